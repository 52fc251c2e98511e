"""The network and how it learns: torch, and nothing of MLflow, files of images or the command line."""
