"""Where studies and trials become MLflow runs: the only part of training that knows MLflow.

A study is a parent run, a trial its child. Params are the fields of Trial; stepped metrics are the fields of Epoch;
what one looks for in a table are four summary metrics and the tags. Metrics are sent in batches, because a call a
metric would cost more than a short epoch.
"""

import csv
import dataclasses
import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import mlflow
from mlflow import MlflowClient
from mlflow.data.dataset_source_registry import get_registered_sources, resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag

from training.data.image_set import ImageSet, data_name
from training.data.images import Pixels
from training.engine import Epoch
from training.pictures import draw_learning_curve
from training.preparation import Prepared
from training.provenance import now, provenance
from training.trial import Trial
from training.unet import UNet, save_model

DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
EXPERIMENT = "unet-studies"
EXPERIMENT_NOTE = (
    "Hyper-parameter studies of a small U-Net. A run is a study, its child runs are trials, named by what varies. "
    "Compare children by `best_val_dice`; a study's description holds its question, its winner and its table."
)
FLUSH_SECONDS = 10.0
CONVERGED = 0.98  # epochs_to_converge: the first epoch that reaches this share of the best validation Dice
BATCH_METRICS = 900  # MLflow takes at most 1000 at once

Tags = Mapping[str, str]


def connect() -> tuple[MlflowClient, str]:
    """The client and the id of the experiment. MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_ID win where they are set.

    Creates the database: to be called once, before workers start, because they would meet in its migration.
    """
    if "MLFLOW_TRACKING_URI" not in os.environ:
        Path("mlruns").mkdir(exist_ok=True)
        os.environ["MLFLOW_TRACKING_URI"] = DEFAULT_URI
    client = connect_to(os.environ["MLFLOW_TRACKING_URI"])
    if "MLFLOW_EXPERIMENT_ID" in os.environ:
        return client, os.environ["MLFLOW_EXPERIMENT_ID"]
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return client, experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT)


def describe_experiment(client: MlflowClient, experiment_id: str) -> None:
    """Let the UI open on training runs, and say what they are."""
    client.set_experiment_tag(experiment_id, "mlflow.experimentKind", "custom_model_development")
    client.set_experiment_tag(experiment_id, "mlflow.note.content", EXPERIMENT_NOTE)


def connect_to(tracking_uri: str) -> MlflowClient:
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # its table-making is no news
    mlflow.set_tracking_uri(tracking_uri)
    return MlflowClient()


def uri() -> str:
    return str(mlflow.get_tracking_uri())


def run_from_mlflow() -> str:
    """The id of the run that `mlflow run` made for this process; empty when it did not start us."""
    return os.environ.get("MLFLOW_RUN_ID", "")


def discard_run() -> str:
    """Take away the run that `mlflow run` made for us, unless an earlier step of the command wrote into it.

    Says what a person should know then: MLflow wants to end the run itself, and complains that it is gone.
    """
    run_id = run_from_mlflow()
    if not run_id:
        return ""
    client, _ = connect()
    if "role" in client.get_run(run_id).data.tags:
        return ""
    end_run(client, run_id, failed=True)
    client.delete_run(run_id)
    return f"the run {run_id} was taken away again; that is all MLflow says below"


def begin_run(client: MlflowClient, experiment_id: str, name: str, tags: Tags, parent: str = "") -> str:
    """A new run, running; a child of `parent` where one is given."""
    nesting = {"mlflow.parentRunId": parent} if parent else {}
    source = {"mlflow.source.name": "training.runner", "mlflow.source.type": "PROJECT"}
    tags = {**source, **tags, **nesting, **provenance()}
    return str(client.create_run(experiment_id, run_name=name, tags=tags).info.run_id)


def adopt_run(client: MlflowClient, run_id: str, name: str, tags: Tags) -> None:
    """Make the run that `mlflow run` created our own; one that an earlier step of the same command took stays its."""
    if "role" in client.get_run(run_id).data.tags:
        return
    tags = {"mlflow.runName": name, **tags, **provenance()}
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def end_run(client: MlflowClient, run_id: str, failed: bool = False) -> None:
    client.set_terminated(run_id, "FAILED" if failed else "FINISHED")


def describe_study(client: MlflowClient, run_id: str, markdown: str, winners: Sequence[Trial]) -> None:
    """What one reads on the parent's page, and what later studies take over."""
    client.set_tag(run_id, "mlflow.note.content", markdown)
    client.log_dict(run_id, {"winners": [dataclasses.asdict(trial) for trial in winners]}, "winners.json")


def log_data(client: MlflowClient, run_id: str, images: ImageSet, context: str) -> None:
    """The data set as an MLflow dataset input."""
    source = resolve_dataset_source(str(images.path.resolve()), get_registered_sources()[:1])  # the first: local files
    dataset = MetaDataset(source, name=images.name, digest=images.digest)  # type: ignore[abstract]
    client.log_inputs(run_id, [DatasetInput(dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", context)])])


def log_reading(client: MlflowClient, run_id: str, prepared: Prepared) -> None:
    """How the folder was understood, so that promotion understands it the same way; and which images test."""
    images = prepared.images
    known = {"layout": images.layout, "reading": dataclasses.asdict(prepared.reading), "warnings": prepared.warnings}
    groups = dict(zip(images.stems, images.groups, strict=True))
    client.log_dict(run_id, known | {"groups": groups}, "data.json")
    client.log_dict(run_id, prepared.stems, "split.json")


def log_check(data: Path, page: Path, verdict: str) -> None:
    """The page of a checked data set, in the run that `mlflow run` made for it."""
    name = data_name(data)
    log_note(f"check {name}", "check_data", f"`{name}` is {verdict}; the page is among the artifacts.")
    connect()[0].log_artifacts(run_from_mlflow(), str(page))


def log_note(name: str, role: str, markdown: str) -> None:
    """What a command that trains nothing has to say, in the run that `mlflow run` made for it."""
    client, _ = connect()
    adopt_run(client, run_from_mlflow(), name, {"role": role, "mlflow.note.content": markdown})


def load_winners(client: MlflowClient, names: Sequence[str], data_digest: str, protocol: str) -> dict[str, list[Trial]]:
    """The winners of the newest finished run of each study on these images. Raises ValueError, with the cure."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    winners = {}
    for name in names:
        tags = {"role": "study", "study": name, "data_digest": data_digest, "protocol": protocol}
        query = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items()) + " and status = 'FINISHED'"
        found = client.search_runs(experiments, query, max_results=1, order_by=["start_time DESC"])
        if not found:
            raise ValueError(
                f"carry=measured: study {name} has no finished run on these images (digest {data_digest}) under "
                f"protocol={protocol}; run `mlflow run . -e {name} ...` first, or use carry=report"
            )
        with tempfile.TemporaryDirectory() as folder:
            path = client.download_artifacts(found[0].info.run_id, "winners.json", folder)
            winners[name] = [Trial(**fields) for fields in json.loads(Path(path).read_text())["winners"]]
    return winners


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
