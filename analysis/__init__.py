"""MLflow runs in, conclusions out. Read in order: runs, claims, report. No torch in here."""
