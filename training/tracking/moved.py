"""A store whose folder was moved: its database names the old places, and the files lie beside it all the same.

They are read where they are, and new runs write there; what the database says of older runs is left as it is, because
another machine may see the same folder under the old name.
"""

import contextlib
import functools
import sqlite3
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from training.tracking.retry import RetryingClient, is_full, is_transient, reason_of, with_retries


class Client(RetryingClient):
    """Reads artifacts of runs whose folder was moved, too; of a local database, with no query for each run."""

    def __init__(self, client: MlflowClient, database: Path | None) -> None:
        super().__init__(client)
        self._database = database
        self._locations = _locations(database)

    def search_runs(self, *args: Any, **options: Any) -> Any:
        found = self._call("search_runs", *args, **options)
        self._locations |= {run.info.run_id: run.info.artifact_uri for run in found}
        return found

    def list_artifacts(self, run_id: str, path: str | None = None) -> Any:
        if self._database is None:
            return self._call("list_artifacts", run_id, path)
        return with_retries(lambda: get_artifact_repository(self._place(run_id)).list_artifacts(path))

    def download_artifacts(self, run_id: str, path: str, dst_path: str | None = None) -> str:
        """Raises ValueError for a file that is gone, with the cure."""
        try:
            if self._database is None:
                return str(self._call("download_artifacts", run_id, path, dst_path))
            files = get_artifact_repository(self._place(run_id))
            return str(with_retries(lambda: files.download_artifacts(path, dst_path)))
        except (OSError, MlflowException) as error:
            if is_transient(error) or is_full(error):
                raise
            place = self._place(run_id)
            raise ValueError(
                f"run {run_id}: its file {path} cannot be read from {place} ({reason_of(error)}); put the run's folder "
                f"back, or delete the run (`mlflow runs delete --run-id {run_id}`) and start its study again"
            ) from None

    def _place(self, run_id: str) -> str:
        """Where the artifacts of a run lie, as URI."""
        if run_id not in self._locations:
            self._locations[run_id] = self._call("get_run", run_id).info.artifact_uri
        location = self._locations[run_id]
        moved = _moved_to(location, self._database, depth=3) if self._database else None
        return moved.as_uri() if moved else location


def follow_move(uri: str, experiment_id: str, location: str) -> None:
    """New runs write below the place that the experiment names: one that was moved away with its database."""
    database = sqlite_file(uri)
    moved = _moved_to(location, database.resolve(), depth=1) if database else None
    if not (database and moved):
        return
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as opened, opened:
        query = "update experiments set artifact_location = ? where experiment_id = ?"
        opened.execute(query, (moved.as_uri(), experiment_id))
    print(f"files of this experiment were at {location}, which is gone; they are read and written at {moved} now")


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite database; None for another store, or one in memory."""
    try:
        url = make_url(uri)
    except ArgumentError:
        return None
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if is_file else None


@functools.cache
def _locations(database: Path | None) -> dict[str, str]:
    """Artifact URIs of the runs that clients of this database found, by run id: the database never changes them."""
    return {}


def _moved_to(location: str, database: Path, depth: int) -> Path | None:
    """Where the files of this location lie now, if they lay beside a database that was moved together with them.

    `depth` is how many folders below that place they lay. None for a location that is there, or nowhere.
    """
    if "://" in location and not location.startswith("file:"):
        return None
    stored = Path(local_file_uri_to_path(location))
    if stored.exists():
        return None
    for place in (database.parent, database.parent / "mlruns"):
        found = place.joinpath(*stored.parts[-depth:])
        if found.is_dir():
            return found
    return None
