"""Online: what a request may hold, what answers it, and the limits before both. Neither torch nor MLflow."""
