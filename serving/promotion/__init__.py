"""Offline: which trial is promoted, its test score, export, precision and card. Knows torch and MLflow."""
