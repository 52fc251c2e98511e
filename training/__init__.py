"""Images in, MLflow runs out. Read in order: trial, studies, runner, engine."""
