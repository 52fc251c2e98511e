"""A real store whose runs say what is made up."""

import math
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import make_tables

from training.data.pictures import TRAIN_PICTURE, VAL_PICTURE, PredictionRow, draw_predictions
from training.study.studies import STUDIES, baseline_from_report
from training.study.trial import Trial
from training.tracking.store import EXPERIMENT, connect

DIGEST = "made-up-digest"


SKILL = {"adam": 0.80, "sgd": 0.74, "rmsprop": 0.70, "adagrad": 0.66, "adamax": 0.72, "adadelta": 0.5}  # made up


def made_up_trials(study: str, seeds: int) -> list[tuple[Trial, bool]]:
    """The study's trials, tiny, and whether each is beyond the report; a search has its four decades."""
    found = []
    for row in STUDIES[study].rows(baseline_from_report(STUDIES[study])):
        factors = {"epochs": 6, "image_size": 64} | {k: v for k, v in row.factors.items() if k != "epochs"}
        if factors.get("train_percent") == 100:
            continue
        for lr in (1e-4, 1e-3, 1e-2, 1e-1) if STUDIES[study].search_lr else (factors["lr"],):
            found += [(Trial(**factors | {"lr": lr, "seed": seed}), row.extra) for seed in range(seeds)]
    return found


def made_up_curve(trial: Trial, rng: np.random.Generator) -> pd.DataFrame:
    """Scores with a little sense in them, so that a page made of them looks like a page."""
    away = abs(math.log10(trial.lr / {"adam": 1e-3, "sgd": 1e-1}.get(trial.optimizer, 3e-3)))
    top = SKILL[trial.optimizer] - 0.12 * away - 0.7 * trial.dropout - 0.4 * trial.equalize_masks
    top += 0.1 * math.log2(trial.train_percent / 80) + 0.03 * (trial.scheduler == "plateau") - 0.6 * trial.weight_decay
    top = min(0.95, max(0.02, top + rng.normal(0, 0.02)))
    epoch = np.arange(1, trial.epochs + 1)
    val_dice = top * (1 - np.exp(-epoch / 2)) + rng.normal(0, 0.01, trial.epochs)
    scores = {
        "train_dice": val_dice + 0.1,
        "val_dice": val_dice,
        "train_loss": 1 - val_dice,
        "val_loss": 1.1 - val_dice,
    }
    return pd.DataFrame({"epoch": epoch, "lr": trial.lr, **scores, "seconds": 0.5})


def make_experiment(folder: Path) -> None:
    """An experiment with its artifacts beside its database; MLflow's own default is the working directory."""
    connect().create_experiment(EXPERIMENT, artifact_location=(folder / "artifacts").as_uri())


def experiment() -> str:
    found = connect().get_experiment_by_name(EXPERIMENT)
    assert found is not None
    return str(found.experiment_id)


def log_made_up_trial(
    trial: Trial, tags: dict[str, str], parent: str, *, diverged: bool = False, digest: str = DIGEST
) -> str:
    """One finished child run as the training side logs it."""
    client = connect()
    tags = {"role": "trial", "row": "published", "params_hash": trial.digest, "collapsed": "false", **tags}
    tags |= {"device": "cpu", "torch": "0.0", "git_commit": "c0ffee"}
    tags |= {"mlflow.parentRunId": parent, "diverged": str(diverged).lower(), "data_digest": digest, "data": "made_up"}
    curve = made_up_curve(trial, np.random.default_rng(int(trial.digest, 16)))
    best = curve.iloc[int(curve["val_dice"].to_numpy().argmax())]
    summary = {f"best_{name}": best[name] for name in ("val_dice", "val_loss", "train_dice", "train_loss")}
    summary |= {"best_epoch": best["epoch"], "epochs_to_converge": best["epoch"], "seconds": 3.0}
    from mlflow.entities import Metric, Param

    run_id = client.create_run(experiment(), tags=tags, start_time=int(time.time() * 1000)).info.run_id
    metrics = [] if diverged else [Metric(name, float(value), 0, 0) for name, value in summary.items()]
    client.log_batch(run_id, metrics, [Param(name, str(value)) for name, value in asdict(trial).items()])
    if not diverged:
        client.log_text(run_id, curve.to_csv(index=False), "epochs.csv")
    client.set_terminated(run_id)
    return str(run_id)


def log_made_up_study(study: str, seeds: int = 2, *, fold: int = 0, digest: str = DIGEST) -> str:
    """A parent run with its trials, each with a picture of predictions."""
    client = connect()
    tags = {"study": study, "baseline": "report", "protocol": "fixed", "preset": "demo"}
    parent = client.create_run(experiment(), tags={"role": "study", "data_digest": digest, **tags}).info.run_id
    mask = np.eye(48, dtype=np.uint8)
    picture = draw_predictions([PredictionRow(mask[..., None] * 200, mask, mask.astype(np.float32), 1.0)])
    for trial, extra in made_up_trials(study, seeds):
        row = {"row": "extra" if extra else "published"}
        run_id = log_made_up_trial(trial.replace(fold=fold), tags | row, parent, digest=digest)
        path = Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"))
        for name in (VAL_PICTURE, TRAIN_PICTURE):
            cv2.imwrite(str(path / name), picture)
    client.set_terminated(parent)
    return str(parent)


def made_up_store(folder: Path, studies: Iterable[str] = ("losses", "augmentation")) -> str:
    """The tracking URI of a store with made-up runs; made once a test session."""
    uri = f"sqlite:///{folder}/made_up/mlflow.db"
    if not (folder / "made_up").exists():
        make_tables(folder / "made_up" / "mlflow.db")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", uri)
            patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
            make_experiment(folder / "made_up")
            for study in studies:
                log_made_up_study(study)
    return uri
