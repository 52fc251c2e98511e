"""All that training knows of MLflow: the store, runs, leases, and what is tried again when a server is away."""
