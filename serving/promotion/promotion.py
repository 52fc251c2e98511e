"""A promotion: the best trial on a folder becomes models:/unet@champion.

Chosen by validation Dice; exported; compared with the trained model; scored on the test images by the code that the
endpoint answers with; registered; and copied into the BentoML store. Whatever fails leaves the alias where it was. The
store gets the ONNX file (or its int8 form, where that costs next to nothing) rather than MLflow's model, so that the
service needs neither torch nor MLflow: it starts in a second, and OpenVINO is also the fastest on a CPU. The weights
lie beside it, for torch on a GPU.
"""

import dataclasses
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import mlflow
import numpy as np
from mlflow import MlflowClient
from torch import Tensor

from serving.inference.network import CONFIDENCE, QUANTIZED, WEIGHTS
from serving.inference.segmenter import Segmenter
from serving.promotion.candidate import WINNER, Candidate, Rival, download, find_candidate
from serving.promotion.card import card_json, describe_frame, model_card, preprocessing_json
from serving.promotion.confidence import (
    Confidence,
    assess_confidence,
    confidence_json,
    describe_confidence,
    find_seeds,
)
from serving.promotion.export import TOLERANCE, ExportedModel, compare, export_onnx, predict_module
from serving.promotion.model_scores import (
    ModelScores,
    describe_comparison,
    describe_empty,
    describe_interval,
    describe_reads,
    describe_scored,
    name_of,
)
from serving.promotion.package import write_package
from serving.promotion.precision import choose, predict_served
from serving.promotion.publishing import ALIAS, MODEL, log_model, publish, register
from serving.promotion.reads import count_read
from serving.promotion.scores import (
    CHAMPION,
    ImageTestScore,
    Predict,
    assess,
    choose_side,
    images_tensor,
    measure,
    rank,
    to_csv,
    val_dice,
)
from training.data.images import Pixels
from training.data.originals import Originals, find_originals
from training.data.own_size import THRESHOLD
from training.data.pictures import PredictionRow, draw_predictions
from training.network.engine import predict
from training.network.unet import UNet
from training.study.trial import Trial
from training.tracking import mlflow_run, runs

ONNX, PREPROCESSING, CARD = "model.onnx", "preprocessing.json", "model_card.md"
TEST_IMAGES, WORST_IMAGES, SHOWN_WORST = "test_images.csv", "test_images_worst.png", 4  # artifacts of the promotion
LOGGED_COUNTS = ("test_foreground_images", "test_empty_images", "test_false_alarms", "otsu_false_alarms", "test_reads")


class ExportDiffers(Exception):
    """An exported model does not say what the trained one says."""


def promote(folder: Path, module: str, choose: str = WINNER) -> None:
    """For `python -m module`; choose: winner or consistent.

    Raises ValueError before any run exists, ExportDiffers before anything is registered.
    """
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # it misses pip, which uv does not install
    client, experiment_id = runs.connect()
    candidate = find_candidate(client, folder, choose)
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
        images_tensor(images.images[candidate.tiles(part)]) for part in (candidate.train, candidate.val, candidate.test)
    )
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        weights = download(client, candidate.run_id, candidate.hashes, "model", scratch)
        model = UNet.from_pretrained(weights)
        exported = ExportedModel(model).eval()
        export_onnx(exported, images.channels, scratch / ONNX)
        eager = predict(model, test_images, "fp32")
        _compare(client, run_id, "onnx", eager, predict_served(scratch, "fp32", test_images))
        choice = choose(scratch, train, val, lambda probabilities: val_dice(candidate, probabilities))
        for precision, dice in choice.val_dice.items():
            client.log_metric(run_id, f"val_dice_{precision}", dice)
        (scratch / PREPROCESSING).write_text(preprocessing_json(images, candidate.reading, choice.precision))
        segmenters = {CHAMPION: Segmenter(scratch)}
        for rival in candidate.rivals:
            segmenters[rival.name] = _make_rival(client, candidate, rival, scratch / rival.name)
        seeds = find_seeds(client, candidate)
        seeds_in = "fp32" if choice.precision == "fp32" else "bf16"  # int8 takes a calibration of each
        others = [_make_rival(client, candidate, seed, scratch / seed.name, seeds_in) for seed in seeds]
        originals, dark = find_originals(images, candidate.reading), choose_side(candidate)
        reads = count_read(client, run_id, candidate)
        own_size = assess(
            candidate, originals, {name: _predict(segmenter) for name, segmenter in segmenters.items()}, dark
        )
        framed = predict_served(scratch, choice.precision, test_images)
        scores, per_image = measure(candidate, own_size, framed, dark, choice.precision, reads)
        _log_test_images(client, run_id, originals, segmenters[CHAMPION], per_image)
        confidence = assess_confidence(candidate, originals, segmenters[CHAMPION], others)
        _log_scores(client, run_id, scores)
        _log_confidence(client, run_id, confidence)
        card = model_card(trial, scores, describe_confidence(confidence))
        (scratch / CARD).write_text(card)
        client.log_artifact(run_id, str(scratch / CARD))
        package = write_package(scratch, exported, candidate, scores, card)
        files = [*(scratch / name for name in (ONNX, PREPROCESSING, CARD)), package]
        if choice.precision == "int8":
            files += [(scratch / QUANTIZED).with_suffix(suffix) for suffix in (".xml", ".bin")]
        model_uri = log_model(client, run_id, exported, images.channels, files)
        _compare(client, run_id, "pt2", eager, _predict_logged(model_uri, test_images))
        version = register(client, model_uri, scores, trial.image_size, card)
        weights = weights.rename(scratch / WEIGHTS)
        beside = [weights]
        if isinstance(confidence, Confidence):
            (scratch / CONFIDENCE).write_text(confidence_json(confidence, seeds))
            beside += [scratch / CONFIDENCE, *(scratch / seed.name for seed in seeds)]
        facts = card_json(trial, scores, choice.val_dice, version, confidence)
        publish(client, [*files, *beside], scores, version, facts)
    client.set_tag(run_id, "model_version", version)
    print(_summary(scores, trial, version, describe_confidence(confidence)))


def _make_rival(
    client: MlflowClient, candidate: Candidate, rival: Rival, folder: Path, precision: str = "fp32"
) -> Segmenter:
    """Another network as the endpoint would serve it; its files go into the folder."""
    folder.mkdir()
    weights = download(client, rival.run_id, rival.hashes, "model", folder).rename(folder / WEIGHTS)
    export_onnx(ExportedModel(UNet.from_pretrained(weights)).eval(), candidate.images.channels, folder / ONNX)
    (folder / PREPROCESSING).write_text(preprocessing_json(candidate.images, candidate.reading, precision))
    return Segmenter(folder)


def _predict(segmenter: Segmenter) -> Predict:
    def predict(image: Pixels) -> Pixels:
        return (segmenter.probability(image) > THRESHOLD).astype(np.uint8)

    return predict


def _log_scores(client: MlflowClient, run_id: str, scores: ModelScores) -> None:
    values = {key: value for key, value in dataclasses.asdict(scores).items() if isinstance(value, float)}
    values |= {key: getattr(scores, key) for key in LOGGED_COUNTS}
    values |= {f"test_gain_over_{one.name}": one.gain for one in scores.comparisons}
    for key, value in values.items():
        client.log_metric(run_id, key, value)


def _log_confidence(client: MlflowClient, run_id: str, confidence: Confidence | str) -> None:
    if isinstance(confidence, Confidence):
        for name in ("error", "trivial_error", "rank_correlation"):
            client.log_metric(run_id, f"test_confidence_{name}", getattr(confidence, name))


def _log_test_images(
    client: MlflowClient, run_id: str, originals: Originals, segmenter: Segmenter, scores: Sequence[ImageTestScore]
) -> None:
    """The score of each test image, the worst first, and a picture of the worst."""
    ranked = rank(scores)
    client.log_text(run_id, to_csv(ranked, originals.images.stems), TEST_IMAGES)
    rows = []
    for shown in ranked[:SHOWN_WORST]:
        image, mask = originals.read(shown.index)
        rows.append(PredictionRow(image, mask, segmenter.probability(image), shown.dice))
    client.log_image(run_id, draw_predictions(rows), WORST_IMAGES)


def _compare(client: MlflowClient, run_id: str, form: str, eager: Tensor, exported: Tensor) -> None:
    """Raises ExportDiffers, with the numbers, for what must not be served."""
    difference = compare(eager, exported)
    client.log_metric(run_id, f"{form}_difference", difference.largest)
    if not difference.tolerable:
        raise ExportDiffers(f"{form} export and trained model differ: {difference}; allowed are {TOLERANCE:.0e} and 0")


def _predict_logged(model_uri: str, images: Tensor) -> Tensor:
    """Probabilities of the model that MLflow gives back."""
    return predict_module(mlflow.pytorch.load_model(model_uri), images)


def _summary(scores: ModelScores, trial: Trial, version: str, confidence: str) -> str:
    interval = describe_interval(scores, digits=3)
    return "\n".join(
        [
            f"promoted run {scores.run_id} to models:/{MODEL}@{ALIAS}, version {version}",
            f"  val Dice {scores.val_dice:.3f} (it was chosen by it, choose={scores.chosen_by})",
            f"  test Dice {scores.test_dice:.3f} over {describe_scored(scores)}, at their own size ({interval})",
            f"  {describe_frame(trial)} {scores.test_dice_at_image_size:.3f}; the true masks, brought there and "
            f"back, reach {scores.test_dice_ceiling:.3f}",
            f"  outlines: HD95 {scores.test_hd95:.1f} pixels, NSD {scores.test_nsd:.3f}; "
            f"objects: F1 {scores.test_object_f1:.3f}",
            *(
                f"  {describe_comparison(one, digits=3)} over {name_of(one)}, {one.dice:.3f} on the same images"
                for one in scores.comparisons
            ),
            f"  {describe_reads(scores)}",
            f"  {describe_empty(scores)}",
            f"  {confidence}",
            f"  served in {scores.precision}",
            f"  serve it: BENTOML_HOME={os.environ['BENTOML_HOME']} bentoml serve serving.service:Segmentation",
        ]
    )
