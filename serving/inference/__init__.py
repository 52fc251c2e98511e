"""A promoted model's files in, probabilities out: OpenVINO or torch, framed as in training."""
