"""A run in, an HTTP endpoint out. Read in order: promote, service."""
