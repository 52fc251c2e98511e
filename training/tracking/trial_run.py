"""Where a trial becomes an MLflow run: opened, fed with epochs, closed once.

Params are the fields of Trial; stepped metrics are the fields of Epoch; what one looks for in a table are the summary
metrics and the tags. Metrics are sent in batches, because a call a metric would cost more than a short epoch, and by a
thread of their own, because a store may be away for a while (training/tracking/retry.py) and training can go on.
"""

import csv
import dataclasses
import hashlib
import json
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from training.data.images import Pixels
from training.data.own_size import ImageScore, mean_own_dice
from training.network.engine import Epoch, find_best
from training.network.unet import UNet, save_model
from training.study.curve import roughness, tail_mean
from training.study.trial import Trial
from training.tracking.learning_curve import draw_learning_curve
from training.tracking.lease import LEASE, REQUESTED, LeaseLost
from training.tracking.provenance import now
from training.tracking.retry import is_transient
from training.tracking.runs import BATCH_METRICS, Tags, begin_run, end_run

SEND_SECONDS = 10.0
CONVERGED = 0.98  # epochs_to_converge: the first epoch that reaches this share of the best validation Dice


class TrialRun:
    """The child run of one trial: opened, fed with epochs, closed once."""

    def __init__(
        self, client: MlflowClient, experiment_id: str, name: str, trial: Trial, tags: Tags, parent: str
    ) -> None:
        """`tags` holds result_hash: the run asks for that trial (training/tracking/lease.py)."""
        tags = {"role": "trial", **tags, "params_hash": trial.digest, LEASE: REQUESTED}
        self.client, self.trial, self.name = client, trial, name
        self.run_id = begin_run(client, experiment_id, name, tags, parent)
        params = [Param(field, str(value)) for field, value in dataclasses.asdict(trial).items()]
        client.log_batch(self.run_id, params=params)
        self.epochs: list[Epoch] = []
        self._waiting: list[Metric] = []
        self._sender: threading.Thread | None = None
        self._sent = time.monotonic()

    def log(self, epoch: Epoch) -> None:
        """Keep an epoch; it is sent with the others that wait, every SEND_SECONDS."""
        self.epochs.append(epoch)
        fields = dataclasses.asdict(epoch)
        number, stamp = fields.pop("epoch"), int(time.time() * 1000)
        self._waiting += [Metric(key, float(value), stamp, number) for key, value in fields.items()]
        if time.monotonic() - self._sent > SEND_SECONDS and not (self._sender and self._sender.is_alive()):
            self._sent = time.monotonic()
            self._sender = threading.Thread(target=self._try_to_send, daemon=True)
            self._sender.start()

    @property
    def best(self) -> Epoch:
        return find_best(self.epochs)

    @property
    def collapsed(self) -> bool:
        """Whether nothing is predicted in the end, or nothing right was in any epoch."""
        return bool(self.epochs) and (self.epochs[-1].val_predicted_percent == 0 or not self.best.val_dice > 0)

    def finish(
        self,
        model: UNet,
        pictures: Mapping[str, Pixels],
        seconds: float,
        reason_diverged: str,
        stems: Sequence[str],
        scores: Sequence[ImageScore],
        not_applied: Sequence[str] = (),
        judged: Sequence[ImageScore] = (),
    ) -> None:
        """Summary metrics, tags and artifacts; then the run is FINISHED. `model` holds the best epoch's weights.

        pictures: RGB, by the name of their file. scores: of these weights, on the validation images, whose names are
        in `stems` by index. judged: of a cell of a table, likewise, on the images that judge it; such a run keeps its
        scores alone. not_applied: factors that the trial asked for and, read back, did not get.
        Raises LeaseLost when somebody took the run for dead meanwhile. What is sent twice counts once.
        """
        summary: dict[str, float] = {"seconds": seconds}
        tags = {"diverged": str(bool(reason_diverged)).lower(), "heartbeat": now()}
        tags["collapsed"] = str(self.collapsed).lower()
        tags["applied"] = f"all but {', '.join(not_applied)}" if not_applied else "all"
        if reason_diverged:
            tags["failure"] = reason_diverged
        if self.epochs:
            best, dices = self.best, [epoch.val_dice for epoch in self.epochs]
            enough = (one.epoch for one in self.epochs if one is best or one.val_dice >= CONVERGED * best.val_dice)
            summary |= {
                "best_val_dice": best.val_dice,
                "best_val_loss": best.val_loss,
                "best_train_dice": best.train_dice,
                "best_train_loss": best.train_loss,
                "best_val_false_alarms": best.val_false_alarms,
                "best_epoch": best.epoch,
                "epochs_to_converge": next(enough),
                "own_val_dice": mean_own_dice(scores),
                "last_val_dice": dices[-1],
                "tail_val_dice": tail_mean(dices),
                "val_dice_roughness": roughness(dices),
            } | ({"judge_dice": mean_own_dice(judged)} if judged else {})
        self._settle()
        stamp = int(time.time() * 1000)
        self._waiting += [Metric(key, float(value), stamp, 0) for key, value in summary.items()]
        self._send()
        tags["artifacts"] = json.dumps(self._log_artifacts(model, pictures, stems, scores, judged))
        self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        if self.client.get_run(self.run_id).info.status != "RUNNING":
            raise LeaseLost(self.run_id)
        end_run(self.client, self.run_id)

    def fail(self, reason: str) -> None:
        """The run is FAILED, with its reason."""
        self._settle()
        self._try_to_send()
        self.client.set_tag(self.run_id, "failure", reason[:5000])
        end_run(self.client, self.run_id, failed=True)

    def withdraw(self) -> None:
        """Another run trains this trial: as if this one had never asked."""
        self.client.set_terminated(self.run_id, "KILLED")
        self.client.delete_run(self.run_id)

    def _settle(self) -> None:
        """Wait for what is being sent."""
        if self._sender:
            self._sender.join()

    def _try_to_send(self) -> None:
        try:
            self._send()
        except Exception as error:
            if not is_transient(error):
                raise  # seen in the worker's output; `finish` meets it again

    def _send(self) -> None:
        """Send what waits; it waits on until it has arrived."""
        while self._waiting:
            batch = self._waiting[:BATCH_METRICS]
            self.client.log_batch(self.run_id, batch)
            del self._waiting[: len(batch)]

    def _log_artifacts(
        self,
        model: UNet,
        pictures: Mapping[str, Pixels],
        stems: Sequence[str],
        scores: Sequence[ImageScore],
        judged: Sequence[ImageScore],
    ) -> dict[str, str]:
        """Their SHA-256, by name: whoever reads one can tell that it is whole, and what the trial wrote."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "trial.json").write_text(self.trial.to_json())
            if self.epochs:
                _write_rows(folder / "epochs.csv", Epoch, self.epochs)
                _write_rows(folder / "val_images.csv", ImageScore, scores, image=[stems[one.index] for one in scores])
            if judged:
                _write_rows(folder / "judge_images.csv", ImageScore, judged, image=[stems[one.index] for one in judged])
            elif self.epochs:
                draw_learning_curve(self.epochs, self.name).savefig(folder / "learning_curve.png")
                for file, picture in pictures.items():
                    _, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
                    (folder / file).write_bytes(encoded.tobytes())  # imwrite is silent on a full disk
                save_model(model, folder / "model")
            self.client.log_artifacts(self.run_id, str(folder))
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _write_rows(path: Path, kind: type[Any], rows: Sequence[Any], **first: Sequence[str]) -> None:
    """One row per dataclass of that kind, and before its fields the columns in `first`."""
    names = [*first, *(field.name for field in dataclasses.fields(kind))]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for index, row in enumerate(rows):
            writer.writerow({name: column[index] for name, column in first.items()} | dataclasses.asdict(row))
