"""The MLflow store beside its trials: files of runs, the champion, and where a report is kept.

The table of trials is read in `runs`; what a report says is not known here.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

from training.tracking import mlflow_run
from training.tracking.store import connect, find_experiment

MODULE = "analysis"
CHAMPION = ("unet", "champion")  # the registered model and its alias
TEST_IMAGES = ("test_images.csv", "test_images_worst.png")  # artifacts of its promotion
TEST_COLUMNS = ("image", "dice", "false_alarm")
VERDICTS = "\n\n## What the report's conclusions come to\n\n"
MORE = "\n\nMore trials than fit in here: see the runs below."


@dataclass(frozen=True)
class Champion:
    """The model version that is served."""

    version: str
    tags: dict[str, str]  # the fields of serving.promotion.model_scores.ModelScores; earlier ones have fewer
    params: dict[str, str]  # the trial's; empty when its run is gone
    experiment_id: str  # of that run; empty likewise
    test_images: pd.DataFrame  # TEST_COLUMNS, dice nan of an image without foreground; no rows where none were kept
    worst_images: bytes  # a picture; empty likewise


def tracking_server() -> str:
    """Where the runs can be looked at; empty when MLFLOW_TRACKING_URI names no server."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    return uri if uri.startswith(("http://", "https://")) else ""


def fetch(client: MlflowClient, run_id: str, name: str) -> Path | None:
    """A file among a run's artifacts, on this machine; None where it has none of that name."""
    if name not in {file.path for file in client.list_artifacts(run_id)}:
        return None
    return Path(client.download_artifacts(run_id, name))


def load_champion() -> Champion | None:
    """The registered champion; None when nothing of ours was promoted yet."""
    client = connect()
    try:
        version = client.get_model_version_by_alias(*CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None  # no such model, or no such alias
        raise
    tags = dict(version.tags)
    if "run_id" not in tags:
        return None  # somebody else's model of that name
    found = {name: _fetch_if_run(client, version.run_id, name) for name in TEST_IMAGES} if version.run_id else {}
    scores, worst = (found.get(name) for name in TEST_IMAGES)
    test_images = pd.read_csv(scores, dtype={"image": "str"}) if scores else pd.DataFrame()
    test_images = test_images.reindex(columns=list(TEST_COLUMNS))
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
    resumed = mlflow_run.own_run(client, MODULE)
    run_id = resumed or client.create_run(find_experiment(client), run_name="report").info.run_id
    mlflow_run.adopt(client, run_id, "report", {"role": "report"})
    for name in ("index.html", "report.md"):
        client.log_artifact(run_id, str(folder / name))
    client.log_artifacts(run_id, str(folder / "tables"), "tables")
    if not resumed:
        client.set_terminated(run_id)
    return str(run_id)


def log_files(folder: Path, role: str, module: str) -> None:
    """Keep a folder as artifacts of the run that `mlflow run` made for this command; without one, nowhere."""
    if "MLFLOW_RUN_ID" not in os.environ:
        return
    client = connect()
    if run_id := mlflow_run.own_run(client, module):
        mlflow_run.adopt(client, run_id, f"{role} {folder.name}", {"role": role})
        client.log_artifacts(run_id, str(folder))


def describe_verdicts(run_id: str, markdown: str) -> None:
    """Put the verdicts under a study's own description in MLflow; those of an earlier report give way."""
    client = connect()
    note = client.get_run(run_id).data.tags.get("mlflow.note.content", "")
    description, verdicts = note.split(VERDICTS)[0].rstrip(), VERDICTS + markdown
    if len(description + verdicts) > MAX_TAG_VAL_LENGTH:  # MLflow would cut the verdicts
        room = max(0, MAX_TAG_VAL_LENGTH - len(MORE + verdicts))
        description = description[:room].rpartition("\n")[0] + MORE
    client.set_tag(run_id, "mlflow.note.content", description + verdicts)


def _fetch_if_run(client: MlflowClient, run_id: str, name: str) -> Path | None:
    """As `fetch`; None where the run is gone for good, too: a model outlives the run that made it."""
    try:
        return fetch(client, run_id, name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
