"""A tracking server that goes away and comes back, a locked database, a full disk: nothing is lost."""

import os
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import make_tables
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from servers import postgresql, tracking_server
from sqlalchemy import Engine, event
from studies import Studies, wait_until

from training.tracking import lease, retry
from training.tracking.retry import is_full, is_transient, with_retries
from training.tracking.runs import begin_run, connect

pytestmark = pytest.mark.slow

EPOCHS = ("--epochs", "12")  # so that they are not done before they are disturbed


@pytest.fixture
def sqlite_that_does_not_wait() -> Iterator[None]:
    """SQLite waits a fifth of a second for a lock, where MLflow tells it to wait for twenty."""

    def shorten(_: object, __: object, statement: str, parameters: object, *___: object) -> tuple[str, object]:
        return statement.replace("busy_timeout = 20000", "busy_timeout = 200"), parameters

    event.listen(Engine, "before_cursor_execute", shorten, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", shorten)


def every_epoch_is_there(studies: Studies) -> bool:
    client = MlflowClient(studies.uri)
    histories = [client.get_metric_history(run.info.run_id, "val_dice") for run in studies.trained()]
    return len(histories) == 2 and all([p.step for p in points] == list(range(1, 13)) for points in histories)


def test_a_server_that_was_away_misses_nothing(discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.2)  # of the runner, which says aloud that it waits
    monkeypatch.setattr(retry, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(retry, "_noticed", -99.0)
    folder = tmp_path / "store"
    folder.mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(tracking_server(folder, stack.enter_context(postgresql(folder))))
        studies = Studies(tmp_path, discs, server.url)

        def go_away(said: Callable[[], str]) -> None:
            wait_until(lambda: bool(studies.training()))
            server.kill()
            wait_until(lambda: "does not answer" in said())
            server.start()

        status, said = studies.run("mask_equalization", *EPOCHS, meanwhile=go_away)
        assert status == 0, said
        assert every_epoch_is_there(studies)


@pytest.mark.thorough
def test_when_the_retries_are_over_what_was_trained_is_kept_and_sent_later(discs: Path, tmp_path: Path) -> None:
    make_tables(tmp_path / "server" / "server.db")
    with tracking_server(tmp_path / "server") as server:
        studies = Studies(tmp_path, discs, server.url, UNET_STUDIES_RETRY_SECONDS="2")

        def go_away(_: object) -> None:
            wait_until(lambda: len(studies.training()) == 2)  # one that only asks for its trial has nothing to keep
            server.kill()

        status, said = studies.run("mask_equalization", *EPOCHS, meanwhile=go_away)
        assert status == 1
        assert "cannot be reached" in said
        assert "resume with the same command" in said
        kept = list((tmp_path / "mlruns" / "checkpoints").glob("*.safetensors"))
        assert kept
        server.start()
        status, said = studies.run("mask_equalization", *EPOCHS)
        assert status == 0, said
        assert every_epoch_is_there(studies)
        resumed = [run.data.tags.get("resumed_after_epoch") for run in studies.trained()]
        assert resumed.count("12") == len(kept), "what was trained is not trained again"


@pytest.mark.usefixtures("sqlite_that_does_not_wait")
def test_a_locked_database_is_waited_for(new_store: Path) -> None:
    """Longer than SQLite itself waits."""
    client, experiment = connect()
    lock = sqlite3.connect(new_store / "mlflow.db", check_same_thread=False)
    lock.execute("begin exclusive")
    released = []

    def release() -> None:
        released.append(True)
        lock.rollback()

    threading.Timer(1, release).start()
    run = begin_run(client, experiment, "retried", {})
    assert released == [True]
    assert client.get_run(run).info.run_name == "retried"


def test_what_passes_is_tried_again_and_what_does_not_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def away(error: Exception, times: int) -> str:
        calls.append(error)
        if len(calls) <= times:
            raise error
        return "there"

    busy = MlflowException("database is locked", error_code=TEMPORARILY_UNAVAILABLE)
    assert is_transient(busy)
    assert with_retries(lambda: away(busy, 2)) == "there"
    assert len(calls) == 3
    full = MlflowException("(sqlite3.OperationalError) database or disk is full", error_code=TEMPORARILY_UNAVAILABLE)
    assert is_full(full)
    calls.clear()
    with pytest.raises(MlflowException, match="disk is full"):
        with_retries(lambda: away(full, 9))
    assert len(calls) == 1
    monkeypatch.setenv("UNET_STUDIES_RETRY_SECONDS", "0.5")
    with pytest.raises(MlflowException, match="locked"):
        with_retries(lambda: away(busy, 99))
    assert not is_transient(ValueError("wrong"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a small disk: a full one was not tried")
def test_a_full_disk_stops_with_a_message_and_the_study_goes_on_when_there_is_room(discs: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here: a full disk was not tried")
    try:
        studies = Studies(small, discs)
        status, said = studies.run("losses", "--epochs", "1")
        assert status == 1
        assert "error: the disk is full" in said
        assert "resume with the same command" in said
        assert "Traceback" not in said
        subprocess.run(["mount", "-o", "remount,size=400m", str(small)], check=True)
        status, said = studies.run("losses", "--epochs", "1", "--retries", "9")
        assert status == 0, said
        assert set(studies.times_trained().values()) == {1}
        assert len(studies.scores()) == 12
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
