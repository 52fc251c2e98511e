"""The run that `mlflow run` makes for a command: told from any other, made our own, or taken away again.

MLFLOW_RUN_ID may name anything, a person's own finished run too. Only a run that was made for this very command is
written into; whatever else it names stays as it is.
"""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import yaml
from mlflow.entities import RunTag
from mlflow.utils import name_utils

from training import ROOT
from training.tracking import store
from training.tracking.lease import is_alive
from training.tracking.provenance import provenance, this_process

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ENTRY_POINT, NAME = "mlflow.project.entryPoint", "mlflow.runName"
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def own_run(client: "MlflowClient", module: str) -> str:
    """The id of the run that `mlflow run` made for this command, `python -m module`; empty when there is none.

    A run that was not made for it is said and forgotten: MLflow itself would resume what MLFLOW_RUN_ID names.
    """
    run_id = os.environ.get("MLFLOW_RUN_ID", "")
    if not run_id:
        return ""
    if reason := _why_foreign(client, run_id, module):
        del os.environ["MLFLOW_RUN_ID"]
        print(f"MLFLOW_RUN_ID={run_id} {reason}; that run stays as it is", file=sys.stderr)
        return ""
    return run_id


def adopt(client: "MlflowClient", run_id: str, name: str, tags: Mapping[str, str]) -> None:
    """Make the run that `mlflow run` created our own; a name that a person gave it stays.

    One that an earlier step of the same command took stays that step's, but this process keeps it alive now.
    """
    run = client.get_run(run_id)
    written = dict(provenance())
    if "role" not in run.data.tags:
        written = {**tags, **written}
        if _is_made_up(run.info.run_name or ""):
            written[NAME] = name
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in written.items()])


def take_away(module: str) -> str:
    """Delete the run that `mlflow run` made for us, unless it was written into.

    Says what a person should know then: MLflow wants to end the run itself, and complains that it is gone.
    """
    client = store.connect()
    run_id = own_run(client, module)
    if not run_id or "role" in client.get_run(run_id).data.tags:
        return ""
    client.set_terminated(run_id, "FAILED")
    client.delete_run(run_id)
    return f"the run {run_id} was taken away again; that is all MLflow says below"


def _why_foreign(client: "MlflowClient", run_id: str, module: str) -> str:
    """In words, why this run was not made for this command; empty when it was."""
    try:
        run = client.get_run(run_id)
    except Exception as error:
        if getattr(error, "error_code", "") not in MISSING:
            raise
        return "is no run of this store"
    if run.info.lifecycle_stage != "active":
        return "is a run that was deleted"
    if run.info.status != "RUNNING":
        return f"is a run that is {run.info.status}"
    entry_point = run.data.tags.get(ENTRY_POINT, "")
    if not entry_point:
        return "is a run that `mlflow run` did not make"
    command, parameters = _entry_points().get(entry_point, ("", set()))
    if f"-m {module} " not in f"{command} " or not parameters <= set(run.data.params):
        return f"is a run that was made for another command ({entry_point})"
    if "role" not in run.data.tags:
        return "is a run that holds metrics" if run.data.metrics else ""
    return "" if _is_ours(run, command) else "is a run that another process writes"


def _is_ours(run: "Run", command: str) -> bool:
    """Whether we wrote into it, or an earlier step of a command of several, which is over by now."""
    return run.data.tags.get("process") == this_process() or ("&&" in command and not is_alive(run.data.tags))


def _entry_points() -> dict[str, tuple[str, set[str]]]:
    """Command and parameters of each entry point of this project."""
    file = ROOT / "MLproject"
    entries = yaml.safe_load(file.read_text())["entry_points"] if file.is_file() else {}
    return {name: (entry["command"], set(entry.get("parameters", ()))) for name, entry in entries.items()}


def _is_made_up(name: str) -> bool:
    """Whether MLflow made this name up, as `vaunted-ox-123`, because no person gave one."""
    words = name.split("-")
    known = (name_utils._GENERATOR_PREDICATES, name_utils._GENERATOR_NOUNS)
    return (
        len(words) == 3 and all(word in some for word, some in zip(words, known, strict=False)) and words[2].isdigit()
    )
