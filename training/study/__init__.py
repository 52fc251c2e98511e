"""What is asked: a trial, a study, its search, and the plan of both. Pure values, no images, no torch, no MLflow."""
