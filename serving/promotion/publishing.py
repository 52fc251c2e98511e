"""Where a promoted model is kept: MLflow's registry, under an alias, and the BentoML store, from which it is served.

Files in, a version out; nothing here computes or scores.
"""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import bentoml
import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from serving.promotion.export import ExportedModel, make_example
from serving.promotion.model_scores import ModelScores

MODEL, ALIAS = "unet", "champion"
REQUIREMENTS = ("torch", "numpy")  # of the pt2 program; it needs no code of ours


def log_model(client: MlflowClient, run_id: str, model: ExportedModel, channels: int, files: Sequence[Path]) -> str:
    """Log the pt2 program, with the other files beside it; its URI."""

    def free(channels: int) -> Schema:
        return Schema([TensorSpec(np.dtype(np.float32), (-1, channels, -1, -1))])

    mlflow.set_experiment(experiment_id=client.get_run(run_id).info.experiment_id)  # or it would lie in the default one
    info = mlflow.pytorch.log_model(
        model,
        name="model",
        run_id=run_id,
        signature=ModelSignature(free(channels), free(1)),
        input_example=make_example(channels),
        pip_requirements=[f"{name}=={metadata.version(name)}" for name in REQUIREMENTS],
        extra_files=[str(file) for file in files],
        serialization_format="pt2",
    )
    return str(info.model_uri)


def register(client: MlflowClient, model_uri: str, scores: ModelScores, image_size: int, card: str) -> str:
    """The number of the new version, described and tagged; no alias points at it yet."""
    known = {
        key: json.dumps(value) if isinstance(value, tuple) else str(value)
        for key, value in dataclasses.asdict(scores).items()
    }
    tags = known | {"image_size": str(image_size)}
    version = str(mlflow.register_model(model_uri, MODEL, tags=tags).version)
    client.update_model_version(MODEL, version, description=card)
    return version


def publish(client: MlflowClient, files: Sequence[Path], scores: ModelScores, version: str, card: str) -> None:
    """Copy what the service needs into the BentoML store and move the alias: both, or neither."""
    labels = {"mlflow_version": version, "run_id": scores.run_id, "data": scores.data}
    facts = dataclasses.asdict(scores) | {"comparisons": [dataclasses.asdict(one) for one in scores.comparisons]}
    with bentoml.models.create(MODEL, labels=labels, metadata=facts) as stored:
        for file in files:
            (shutil.copytree if file.is_dir() else shutil.copy)(file, Path(stored.path) / file.name)
        Path(stored.path_of("card.json")).write_text(card)
    try:
        client.set_registered_model_alias(MODEL, ALIAS, version)
    except Exception:
        bentoml.models.delete(stored.tag)
        raise
