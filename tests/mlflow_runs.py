"""Runs as `mlflow run` makes them, by MLflow's own function: what a command finds in MLFLOW_RUN_ID."""

import os
from pathlib import Path

import mlflow
from mlflow.projects.utils import get_or_create_run

ROOT = Path(__file__).parents[1]


def made_by_mlflow(entry_point: str, experiment_id: str = "0", **parameters: str) -> str:
    """The id of a run that `mlflow run . -e ENTRY_POINT -P ...` would make in the store that is set."""
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    run = get_or_create_run(None, str(ROOT), experiment_id, str(ROOT), None, entry_point, parameters)
    return str(run.info.run_id)
