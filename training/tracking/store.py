"""The tracking store: tried within seconds, and whatever is wrong with it said with its cure.

Which run holds what is not known here (training/tracking/runs.py). Raises StoreError for what a person can mend.
"""

import contextlib
import logging
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from training.tracking.errors import StoreError
from training.tracking.moved import Client, follow_move, sqlite_file
from training.tracking.retry import is_transient, reason_of, shown, with_retries

DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
EXPERIMENT = "unet-studies"
UI_MODE = "workflowType=machine_learning"  # in a link: a fresh browser opens the MLflow UI in its GenAI mode otherwise
FIRST_SECONDS = 6.0  # of trying, before a store that was never reached is given up
ANSWER_SECONDS = 4  # for one answer meanwhile
SEARCH = "/api/2.0/mlflow/experiments/search"
CHOICES = f"MLFLOW_TRACKING_URI is {DEFAULT_URI}, or the address of an `mlflow server` such as http://127.0.0.1:5000"


def connect() -> MlflowClient:
    """A client with retries of the store in MLFLOW_TRACKING_URI. It makes the tables of a database that has none."""
    return connect_to(os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)


def connect_to(uri: str) -> MlflowClient:
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # table-making is no news, nor are retries
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # else a bar for each of many small files
    os.environ["MLFLOW_TRACKING_URI"] = uri  # for workers, too
    database = sqlite_file(uri)
    try:
        mlflow.set_tracking_uri(uri)
        if database is None:
            return cast("MlflowClient", Client(with_retries(MlflowClient), None))
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{database}.lock"):  # processes that meet a fresh file would all make its tables, and all fail
            return cast("MlflowClient", Client(with_retries(MlflowClient), database.resolve()))
    except OSError as error:
        raise StoreError(f"{shown(uri)}: it cannot be written ({error.strerror}); {CHOICES}") from None
    except MlflowException as error:
        if is_transient(error):
            raise
        raise StoreError(f"{shown(uri)}: {str(error).splitlines()[0]} ({CHOICES})") from None


def search_runs(client: MlflowClient, query: str, order: str = "start_time DESC", page: int = 1000) -> Iterator[Run]:
    """The runs of all experiments that a filter finds, `page` of them asked for at a time, as they are wanted."""
    experiments, token = [experiment.experiment_id for experiment in client.search_experiments()], None
    while True:
        found = client.search_runs(experiments, query, max_results=page, order_by=[order], page_token=token)
        yield from found
        token = found.token
        if not token:
            return


def address() -> str:
    return shown(mlflow.get_tracking_uri())


def check() -> None:
    """Raises StoreError when the store cannot be used: within seconds, where a study that has begun would wait."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme in ("http", "https"):
        _try(uri, _ask_server, "start it, or give its address alone")
    elif scheme in ("postgresql", "mysql"):
        _try(uri, _ask_database, "start it, or mend its address, user and password")
    elif database := sqlite_file(uri):
        _open_file(uri, database)


def find_experiment(client: MlflowClient) -> str:
    """The id of the experiment: of MLFLOW_EXPERIMENT_ID, else MLFLOW_EXPERIMENT_NAME, else ours, made if need be."""
    given, name = os.environ.get("MLFLOW_EXPERIMENT_ID"), os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    try:
        found = client.get_experiment(given) if given else client.get_experiment_by_name(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise StoreError(
            f"MLFLOW_EXPERIMENT_ID={given}: there is no such experiment in {address()}; unset "
            "it, or take an id that `mlflow experiments search` lists"
        ) from None
    if found is None:
        return _make_experiment(client, name)
    if found.lifecycle_stage != "active":
        raise StoreError(
            f"the experiment {found.name!r} was deleted, so no run can be made in it; restore it with `mlflow "
            f"experiments restore -x {found.experiment_id}`, or choose another with MLFLOW_EXPERIMENT_NAME=NAME"
        )
    follow_move(mlflow.get_tracking_uri(), found.experiment_id, found.artifact_location)
    return str(found.experiment_id)


def _make_experiment(client: MlflowClient, name: str) -> str:
    """Its files lie beside the database; MLflow would put them into the working folder."""
    database, location = sqlite_file(mlflow.get_tracking_uri()), None
    if database:
        folder = database.resolve().parent
        folder = folder if folder.name == "mlruns" else folder / "mlruns"
        location = (folder / re.sub(r"[^\w.-]", "_", name)).as_uri()
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return find_experiment(client)  # another process was faster


def _open_file(uri: str, database: Path) -> None:
    """Raises StoreError for a file that cannot be written; MLflow would try again for an hour."""
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(database, timeout=1)) as opened:
            opened.execute("begin immediate")
            opened.execute("create table unet_studies_probe (x integer)")  # what is read-only gives a lock all the same
            opened.rollback()
    except OSError as error:
        raise StoreError(f"{uri}: {database.parent} cannot be made ({error.strerror}); {CHOICES}") from None
    except sqlite3.Error as error:
        if "locked" in str(error):  # which passes
            return
        raise StoreError(
            f"{uri}: it cannot be written ({error}); make it writable, or choose another: {CHOICES}"
        ) from None


def _try(uri: str, ask: Callable[[str], str], cure: str) -> None:
    """Ask until there is no complaint, for FIRST_SECONDS. Raises StoreError."""
    end = time.monotonic() + FIRST_SECONDS
    while complaint := ask(uri):
        if time.monotonic() > end:
            raise StoreError(f"the tracking store at {shown(uri)} cannot be used: {complaint}; {cure} ({CHOICES})")
        time.sleep(1)


def _ask_server(uri: str) -> str:
    """What is wrong with a server that may come up yet. Raises StoreError for what another try would not mend."""
    options: dict[str, Any] = {"max_retries": 0, "timeout": ANSWER_SECONDS, "raise_on_status": False}
    try:
        answer = http_request(get_default_host_creds(uri), SEARCH, "POST", json={"max_results": 1}, **options)
    except MlflowException as error:
        return reason_of(error)
    said = f"it answers {answer.status_code} {answer.reason}"
    if answer.status_code >= 500:
        return said
    if answer.status_code in (401, 403):
        raise StoreError(
            f"the tracking store at {shown(uri)} cannot be used: {said}; give user and password in "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or a token in MLFLOW_TRACKING_TOKEN"
        )
    if answer.status_code != 200 or not answer.headers.get("Content-Type", "").startswith("application/json"):
        raise StoreError(
            f"{shown(uri)} is no MLflow server: {said} where MLflow lists experiments; give the server's address "
            f"alone, without the path of a page ({CHOICES})"
        )
    return ""


def _ask_database(uri: str) -> str:
    try:
        with create_engine(uri, poolclass=NullPool, connect_args={"connect_timeout": ANSWER_SECONDS}).connect():
            return ""
    except ImportError as error:
        raise StoreError(f"{shown(uri)}: its driver is not installed ({error}); pip install {error.name}") from None
    except SQLAlchemyError as error:
        return reason_of(error)
