"""Published tables and MLflow runs, read into one schema: the only part of the analysis that knows MLflow.

One row a trial, one column a field, typed here and nowhere else. Unknown is nan. What a row means, and which rows are
better, this file does not know.
"""

import contextlib
import dataclasses
import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.printed import read_printed
from training.trial import Trial

if TYPE_CHECKING:  # MLflow takes seconds to import, and --help does not need it
    from mlflow import MlflowClient
    from mlflow.entities import Run

DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
EXPERIMENT = "unet-studies"
CHAMPION = ("unet", "champion")  # the registered model and its alias
TEST_IMAGES = ("test_images.csv", "test_images_worst.png")  # artifacts of its promotion
PAGE = 2000  # runs a request
VERDICTS = "\n\n## What the report's conclusions come to\n\n"

_DTYPES = {str: "str", int: "float64", float: "float64", bool: "bool"}  # int as float: a published field may be unknown
FACTORS: dict[str, str] = {field.name: _DTYPES[field.type] for field in dataclasses.fields(Trial)}  # type: ignore[index]
SUMMARY = {  # column: MLflow metric; scores are those of the epoch with the best validation Dice
    "train_loss": "best_train_loss",
    "val_loss": "best_val_loss",
    "train_dice": "best_train_dice",
    "val_dice": "best_val_dice",
    "best_epoch": "best_epoch",
    "epochs_to_converge": "epochs_to_converge",
    "seconds": "seconds",
}
TAGS = ("study", "row", "carry", "protocol", "preset", "data", "data_digest")  # of a run, under the same names
TEXTS = ("source", "figure", "experiment_id", "run_id", "parent_run_id", *TAGS)
FLAGS = ("collapsed", "diverged")
SCHEMA: dict[str, str] = {
    **dict.fromkeys(TEXTS, "str"),
    **dict.fromkeys(FLAGS, "bool"),
    **FACTORS,
    **dict.fromkeys(SUMMARY, "float64"),
}


@dataclass(frozen=True)
class Champion:
    """The model version that is served."""

    version: str
    tags: dict[str, str]  # run_id, val_dice, test_dice, test_global_dice, test_iou, otsu_dice, test_images, data
    params: dict[str, str]  # the trial's; empty when its run is gone
    experiment_id: str  # of that run; empty likewise
    test_images: pd.DataFrame  # image, dice; no rows for a promotion that kept none
    worst_images: bytes  # PNG; empty likewise


def tidy(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A table of SCHEMA; flags that a row leaves out are False, anything else is unknown."""
    flags = {name: False for name, dtype in SCHEMA.items() if dtype == "bool"}
    return pd.DataFrame([flags | row for row in rows], columns=list(SCHEMA)).astype(SCHEMA)


def load_published() -> pd.DataFrame:
    """The report's printed tables, one row a printed row."""
    return tidy(read_printed())


def connect() -> "MlflowClient":
    """The client of the tracking store; MLFLOW_TRACKING_URI wins where it is set."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # else a bar for each of many small files
    import mlflow

    uri = os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_URI)
    if uri == DEFAULT_URI:
        Path("mlruns").mkdir(exist_ok=True)
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient()


def newest_data_digest() -> str:
    """The images of the newest study run; empty when no study was run yet."""
    client = connect()
    for run in _search(client, "tags.role = 'study'"):
        return str(run.data.tags.get("data_digest", ""))
    return ""


def load_trials(data_digest: str) -> pd.DataFrame:
    """The finished trials on these images, of the newest run of each study that has any."""
    from training.studies import STUDIES

    client = connect()
    children: dict[str, list[Run]] = {}
    digest = f"tags.data_digest = '{data_digest}'"
    with _no_collector():
        for run in _search(client, f"tags.role = 'trial' and {digest} and attributes.status = 'FINISHED'"):
            children.setdefault(run.data.tags.get("mlflow.parentRunId", ""), []).append(run)
    newest: dict[str, str] = {}
    for run in _search(client, f"tags.role = 'study' and {digest}"):
        if run.info.run_id in children:
            newest.setdefault(run.data.tags["study"], run.info.run_id)
    figures = {study.name: study.figure for study in STUDIES.values()}
    rows = [
        _trial_row(run, figures[name])
        for name in STUDIES
        if name in newest
        for run in reversed(children[newest[name]])  # oldest first
    ]
    return tidy(rows)


def load_curves(trials: pd.DataFrame) -> pd.DataFrame:
    """Every epoch of these trials: run_id and the columns of epochs.csv. A trial without epochs has no rows."""
    client = connect()
    curves = []
    for run_id in trials["run_id"].dropna():
        if path := _artifact(client, run_id, "epochs.csv"):
            curves.append(pd.read_csv(path).assign(run_id=run_id))
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=["run_id", "epoch", "val_dice"])


def load_predictions(run_id: str) -> bytes:
    """The picture (PNG) of a run's predictions; empty where it has none."""
    path = _artifact(connect(), run_id, "predictions.png")
    return path.read_bytes() if path else b""


def load_champion() -> Champion | None:
    """The registered champion; None when nothing was promoted yet."""
    from mlflow.exceptions import MlflowException

    client = connect()
    try:
        version = client.get_model_version_by_alias(*CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None  # no such model, or no such alias
        raise
    tags = dict(version.tags)
    found = {name: _artifact(client, version.run_id, name) for name in TEST_IMAGES} if version.run_id else {}
    scores, worst = (found.get(name) for name in TEST_IMAGES)
    test_images = pd.read_csv(scores, dtype={"image": "str"}) if scores else pd.DataFrame(columns=["image", "dice"])
    kept = (test_images, worst.read_bytes() if worst else b"")
    try:
        run = client.get_run(tags["run_id"])
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return Champion(str(version.version), tags, {}, "", *kept)
    return Champion(str(version.version), tags, dict(run.data.params), run.info.experiment_id, *kept)


def log_report(folder: Path) -> str:
    """Keep the report as artifacts: of the run that `mlflow run` made for us, else of one of its own. Its id."""
    client = connect()
    resumed = os.environ.get("MLFLOW_RUN_ID", "")
    run_id = resumed or client.create_run(_experiment(client), run_name="report").info.run_id
    if "role" not in client.get_run(run_id).data.tags:  # `main` has one of its own
        client.set_tag(run_id, "role", "report")
    for name in ("index.html", "report.md"):
        client.log_artifact(run_id, str(folder / name))
    client.log_artifacts(run_id, str(folder / "tables"), "tables")
    if not resumed:
        client.set_terminated(run_id)
    return str(run_id)


def describe_verdicts(run_id: str, markdown: str) -> None:
    """Put the verdicts under a study's own description in MLflow; those of an earlier report give way."""
    client = connect()
    note = client.get_run(run_id).data.tags.get("mlflow.note.content", "")
    client.set_tag(run_id, "mlflow.note.content", note.split(VERDICTS)[0].rstrip() + VERDICTS + markdown)


def tracking_server() -> str:
    """Where the runs can be looked at; empty when MLFLOW_TRACKING_URI names no server."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    return uri if uri.startswith(("http://", "https://")) else ""


def _experiment(client: "MlflowClient") -> str:
    if "MLFLOW_EXPERIMENT_ID" in os.environ:
        return os.environ["MLFLOW_EXPERIMENT_ID"]
    found = client.get_experiment_by_name(EXPERIMENT)
    return str(found.experiment_id if found else client.create_experiment(EXPERIMENT))


def _search(client: "MlflowClient", query: str) -> Iterator["Run"]:
    """All runs that match, page by page, the newest first."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    token: str | None = None
    while True:
        page = client.search_runs(experiments, query, max_results=PAGE, order_by=["start_time DESC"], page_token=token)
        yield from page
        token = page.token
        if not token:
            return


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """Half a million small objects live to the end: walking them again and again would take longer than reading."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _artifact(client: "MlflowClient", run_id: str, name: str) -> Path | None:
    if name not in {file.path for file in client.list_artifacts(run_id)}:
        return None
    return Path(client.download_artifacts(run_id, name))


def _trial_row(run: "Run", figure: str) -> dict[str, Any]:
    tags, info = run.data.tags, run.info
    try:
        trial = Trial.from_params(run.data.params)
    except KeyError as error:
        raise ValueError(
            f"run {info.run_id}: param {error} is missing; a trial has all of Trial's fields: repeat its study "
            f"(`mlflow run . -e {tags.get('study')} ...`) or delete the run"
        ) from error
    return {
        **{name: tags.get(name) for name in TAGS},
        **{flag: tags.get(flag) == "true" for flag in FLAGS},
        **vars(trial),
        **{column: run.data.metrics.get(metric) for column, metric in SUMMARY.items()},
        "source": "measured",
        "figure": figure,
        "experiment_id": info.experiment_id,
        "run_id": info.run_id,
        "parent_run_id": tags.get("mlflow.parentRunId"),
    }
