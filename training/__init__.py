"""Training turns a folder of images and masks into MLflow runs: each study's trials, one run each."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of the project: here lies MLproject
