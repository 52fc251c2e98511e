"""Where a trial becomes an MLflow run: opened, fed with epochs, closed once.

Params are the fields of Trial; stepped metrics are the fields of Epoch; what one looks for in a table are the summary
metrics and the tags. Metrics are sent in batches, because a call a metric would cost more than a short epoch.
"""

import csv
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from training.data.images import Pixels
from training.engine import Epoch
from training.learning_curve import draw_learning_curve
from training.provenance import now
from training.tracking import Tags, begin_run, end_run
from training.trial import Trial
from training.unet import UNet, save_model

FLUSH_SECONDS = 10.0
CONVERGED = 0.98  # epochs_to_converge: the first epoch that reaches this share of the best validation Dice
BATCH_METRICS = 900  # MLflow takes at most 1000 at once


class TrialRun:
    """The child run of one trial: opened, fed with epochs, closed once."""

    def __init__(
        self, client: MlflowClient, experiment_id: str, name: str, trial: Trial, tags: Tags, parent: str
    ) -> None:
        tags = {**tags, "role": "trial", "trial": trial.digest}
        self.client, self.trial, self.name = client, trial, name
        self.run_id = begin_run(client, experiment_id, name, tags, parent)
        params = [Param(field, str(value)) for field, value in dataclasses.asdict(trial).items()]
        client.log_batch(self.run_id, params=params)
        self.epochs: list[Epoch] = []
        self._waiting: list[Metric] = []
        self._flushed = time.monotonic()

    def log(self, epoch: Epoch) -> None:
        """Keep an epoch; send what waits every FLUSH_SECONDS."""
        self.epochs.append(epoch)
        fields = dataclasses.asdict(epoch)
        number, stamp = fields.pop("epoch"), int(time.time() * 1000)
        self._waiting += [Metric(key, float(value), stamp, number) for key, value in fields.items()]
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush([])

    @property
    def best(self) -> Epoch:
        return max(self.epochs, key=lambda epoch: epoch.val_dice)

    def finish(self, model: UNet, predictions: Pixels | None, seconds: float, reason_diverged: str) -> None:
        """Summary metrics, tags and artifacts; then the run is FINISHED. `model` holds the best epoch's weights."""
        summary: dict[str, float] = {"seconds": seconds}
        tags = {"diverged": str(bool(reason_diverged)).lower(), "collapsed": "false", "heartbeat": now()}
        if reason_diverged:
            tags["failure"] = reason_diverged
        if self.epochs:
            best = self.best
            enough = (epoch.epoch for epoch in self.epochs if epoch.val_dice >= CONVERGED * best.val_dice)
            summary |= {
                "best_val_dice": best.val_dice,
                "best_val_loss": best.val_loss,
                "best_train_dice": best.train_dice,
                "best_train_loss": best.train_loss,
                "best_epoch": best.epoch,
                "epochs_to_converge": next(enough),
            }
            tags["collapsed"] = str(self.epochs[-1].val_predicted_percent == 0).lower()
        stamp = int(time.time() * 1000)
        self._waiting += [Metric(key, float(value), stamp, 0) for key, value in summary.items()]
        self._flush([RunTag(key, value) for key, value in tags.items()])
        self._log_artifacts(model, predictions)
        end_run(self.client, self.run_id)

    def fail(self, reason: str) -> None:
        """The run is FAILED, with its reason."""
        self._flush([RunTag("failure", reason[:5000])])
        end_run(self.client, self.run_id, failed=True)

    def _flush(self, tags: list[RunTag]) -> None:
        for start in range(0, max(1, len(self._waiting)), BATCH_METRICS):
            self.client.log_batch(self.run_id, self._waiting[start : start + BATCH_METRICS], tags=tags)
        self._waiting.clear()
        self._flushed = time.monotonic()

    def _log_artifacts(self, model: UNet, predictions: Pixels | None) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "trial.json").write_text(self.trial.to_json())
            if self.epochs:
                _write_epochs(self.epochs, folder / "epochs.csv")
                draw_learning_curve(self.epochs, self.name).savefig(folder / "learning_curve.png")
                if predictions is not None:
                    cv2.imwrite(str(folder / "predictions.png"), cv2.cvtColor(predictions, cv2.COLOR_RGB2BGR))
                save_model(model, folder / "model")
            self.client.log_artifacts(self.run_id, str(folder))


def _write_epochs(epochs: Sequence[Epoch], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Epoch)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(epoch) for epoch in epochs)
