"""A promotion: the best trial on a folder becomes models:/unet@champion.

Chosen by validation Dice; exported; compared with the trained model; scored once on the test images; registered; and
copied into the BentoML store. Whatever fails leaves the alias where it was. The store gets the ONNX file (or its int8
form, where that costs next to nothing) rather than MLflow's model, so that the service needs neither torch nor MLflow:
it starts in a second, and OpenVINO is also the fastest on a CPU. The weights lie beside it, for torch on a GPU.
"""

import dataclasses
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import bentoml
import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from torch import Tensor

from serving.inference.network import QUANTIZED, WEIGHTS
from serving.promotion.candidate import Candidate, download, find_candidate
from serving.promotion.card import (
    Evidence,
    card_json,
    describe_empty,
    describe_interval,
    describe_scored,
    model_card,
    preprocessing_json,
)
from serving.promotion.export import TOLERANCE, Segmenter, compare, export_onnx, make_example, predict_module
from serving.promotion.precision import choose, predict_served
from serving.promotion.scores import ImageScore, images_tensor, measure, rank, to_csv, val_dice
from training.data.framing import assemble
from training.data.pictures import Row, draw_predictions
from training.network.engine import predict
from training.network.unet import UNet
from training.tracking import mlflow_run, runs

MODEL, ALIAS = "unet", "champion"
ONNX, PREPROCESSING, CARD = "model.onnx", "preprocessing.json", "model_card.md"
TEST_IMAGES, WORST_IMAGES, SHOWN_WORST = "test_images.csv", "test_images_worst.png", 4  # artifacts of the promotion
LOGGED_COUNTS = ("test_foreground_images", "test_empty_images", "test_false_alarms", "otsu_false_alarms")
REQUIREMENTS = ("torch", "numpy")  # of the pt2 program; it needs no code of ours


class ExportDiffers(Exception):
    """An exported model does not say what the trained one says."""


def promote(folder: Path, module: str) -> None:
    """For `python -m module`. Raises ValueError before any run exists, ExportDiffers before anything is registered."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # it misses pip, which uv does not install
    client, experiment_id = runs.connect()
    candidate = find_candidate(client, folder)
    tags = {"role": "promote", "data": candidate.images.name, "data_digest": candidate.images.digest}
    tags["mlflow.source.name"] = module
    run_id = mlflow_run.own_run(client, module)
    if run_id:
        mlflow_run.adopt(client, run_id, "promote", tags)
        _promote(client, run_id, candidate)
        return  # `mlflow run` ends its own run, by our exit status
    run_id = runs.begin_run(client, experiment_id, "promote", tags)
    failed = True
    try:
        _promote(client, run_id, candidate)
        failed = False
    finally:
        runs.end_run(client, run_id, failed)


def _promote(client: MlflowClient, run_id: str, candidate: Candidate) -> None:
    """Export, compare, score, register; in a run that exists."""
    images, trial = candidate.images, candidate.trial
    runs.log_data(client, run_id, images, "test")
    train, val, test_images = (
        images_tensor(images.images[candidate.parts(part)]) for part in (candidate.train, candidate.val, candidate.test)
    )
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        weights = download(client, candidate.run_id, candidate.hashes, "model", scratch)
        model = UNet.from_pretrained(weights)
        segmenter = Segmenter(model).eval()
        export_onnx(segmenter, images.channels, scratch / ONNX)
        eager = predict(model, test_images, "fp32")
        _compare(client, run_id, "onnx", eager, predict_served(scratch, "fp32", test_images))
        choice = choose(scratch, train, val, lambda probabilities: val_dice(candidate, probabilities))
        for precision, dice in choice.val_dice.items():
            client.log_metric(run_id, f"val_dice_{precision}", dice)
        served = predict_served(scratch, choice.precision, test_images)
        evidence, per_image = measure(candidate, served, choice.precision)
        _log_test_images(client, run_id, candidate, served, per_image)
        scores = {key: value for key, value in dataclasses.asdict(evidence).items() if isinstance(value, float)}
        scores |= {key: getattr(evidence, key) for key in LOGGED_COUNTS}
        for key, value in scores.items():
            client.log_metric(run_id, key, value)
        (scratch / PREPROCESSING).write_text(preprocessing_json(candidate.images, candidate.reading, choice.precision))
        (scratch / CARD).write_text(model_card(trial, evidence))
        client.log_artifact(run_id, str(scratch / CARD))
        files = [scratch / name for name in (ONNX, PREPROCESSING, CARD)]
        if choice.precision == "int8":
            files += [(scratch / QUANTIZED).with_suffix(suffix) for suffix in (".xml", ".bin")]
        model_uri = _log_model(client, run_id, segmenter, images.channels, files)
        _compare(client, run_id, "pt2", eager, _predict_logged(model_uri, test_images))
        version = _register(client, model_uri, evidence, trial.image_size, (scratch / CARD).read_text())
        weights = weights.rename(scratch / WEIGHTS)
        _publish(client, [*files, weights], evidence, version, card_json(trial, evidence, choice.val_dice, version))
    client.set_tag(run_id, "model_version", version)
    print(_summary(evidence, version))


def _log_test_images(
    client: MlflowClient, run_id: str, candidate: Candidate, probabilities: Tensor, scores: Sequence[ImageScore]
) -> None:
    """The score of each test image, the worst first, and a picture of the worst."""
    images, ranked = candidate.images, rank(scores)
    client.log_text(run_id, to_csv(ranked, images.stems), TEST_IMAGES)
    first = {part: k for k, part in enumerate(candidate.parts(candidate.test))}
    rows = []
    for shown in ranked[:SHOWN_WORST]:
        parts, facts = list(images.parts(shown.index)), images.facts[shown.index]
        predicted = probabilities[[first[part] for part in parts], 0].numpy()
        arrays = (images.images[parts], images.masks[parts], predicted)
        image, mask, probability = (assemble(array, images.frame, facts.height, facts.width) for array in arrays)
        rows.append(Row(image, mask, probability, shown.dice))
    client.log_image(run_id, draw_predictions(rows), WORST_IMAGES)


def _compare(client: MlflowClient, run_id: str, form: str, eager: Tensor, exported: Tensor) -> None:
    """Raises ExportDiffers, with the numbers, for what must not be served."""
    difference = compare(eager, exported)
    client.log_metric(run_id, f"{form}_difference", difference.largest)
    if not difference.tolerable:
        raise ExportDiffers(f"{form} export and trained model differ: {difference}; allowed are {TOLERANCE:.0e} and 0")


def _log_model(client: MlflowClient, run_id: str, segmenter: Segmenter, channels: int, files: Sequence[Path]) -> str:
    """Log the pt2 program, with the other files beside it; its URI."""

    def free(channels: int) -> Schema:
        return Schema([TensorSpec(np.dtype(np.float32), (-1, channels, -1, -1))])

    mlflow.set_experiment(experiment_id=client.get_run(run_id).info.experiment_id)  # or it would lie in the default one
    info = mlflow.pytorch.log_model(
        segmenter,
        name="model",
        run_id=run_id,
        signature=ModelSignature(free(channels), free(1)),
        input_example=make_example(channels),
        pip_requirements=[f"{name}=={metadata.version(name)}" for name in REQUIREMENTS],
        extra_files=[str(file) for file in files],
        serialization_format="pt2",
    )
    return str(info.model_uri)


def _predict_logged(model_uri: str, images: Tensor) -> Tensor:
    """Probabilities of the model that MLflow gives back."""
    return predict_module(mlflow.pytorch.load_model(model_uri), images)


def _register(client: MlflowClient, model_uri: str, evidence: Evidence, image_size: int, card: str) -> str:
    """The number of the new version, described and tagged; no alias points at it yet."""
    tags = {key: str(value) for key, value in dataclasses.asdict(evidence).items()} | {"image_size": str(image_size)}
    version = str(mlflow.register_model(model_uri, MODEL, tags=tags).version)
    client.update_model_version(MODEL, version, description=card)
    return version


def _publish(client: MlflowClient, files: Sequence[Path], evidence: Evidence, version: str, card: str) -> None:
    """Copy what the service needs into the BentoML store and move the alias: both, or neither."""
    labels = {"mlflow_version": version, "run_id": evidence.run_id, "data": evidence.data}
    with bentoml.models.create(MODEL, labels=labels, metadata=dataclasses.asdict(evidence)) as stored:
        for file in files:
            (shutil.copytree if file.is_dir() else shutil.copy)(file, Path(stored.path) / file.name)
        Path(stored.path_of("card.json")).write_text(card)
    try:
        client.set_registered_model_alias(MODEL, ALIAS, version)
    except Exception:
        bentoml.models.delete(stored.tag)
        raise


def _summary(evidence: Evidence, version: str) -> str:
    interval = describe_interval(evidence, digits=3)
    return "\n".join(
        [
            f"promoted run {evidence.run_id} to models:/{MODEL}@{ALIAS}, version {version}",
            f"  val Dice {evidence.val_dice:.3f} (it was chosen by it)",
            f"  test Dice {evidence.test_dice:.3f} over {describe_scored(evidence)}, read this once ({interval})",
            f"  Otsu's threshold {evidence.otsu_dice:.3f} on the same images",
            f"  {describe_empty(evidence)}",
            f"  served in {evidence.precision}",
            f"  serve it: BENTOML_HOME={os.environ['BENTOML_HOME']} bentoml serve serving.service:Segmentation",
        ]
    )
