"""A folder of images and masks becomes a data set: recognized, checked, framed and split. No torch, no MLflow."""
