"""A store that cannot be used is said within seconds with its cure; one that was moved is read where it is."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import make_tables
from servers import free_port

from serving import promote
from training.tracking import retry, store
from training.tracking.errors import StoreError
from training.tracking.retry import reason_of, with_retries
from training.tracking.runs import connect

pytestmark = pytest.mark.slow

SECONDS = 12  # of which the processor's load takes some; a store is given up after two


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.setattr(store, "FIRST_SECONDS", 2.0)
    monkeypatch.setattr(store, "ANSWER_SECONDS", 1)
    for name in ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def at(uri: str) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = uri


def refusal() -> str:
    """What connecting says, which must not take long."""
    start = time.monotonic()
    with pytest.raises(StoreError) as raised:
        connect()
    assert time.monotonic() - start < SECONDS
    return str(raised.value)


@contextlib.contextmanager
def answering(status: int, kind: str = "text/html") -> Iterator[str]:
    """A server that answers everything with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(b"{}" if "json" in kind else b"<html></html>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://me:secret@127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_wrong_port_is_said_within_seconds_with_address_reason_and_cure() -> None:
    at(f"http://127.0.0.1:{free_port()}")
    said = refusal()
    assert f"the tracking store at {os.environ['MLFLOW_TRACKING_URI']} cannot be used: " in said
    assert "Connection refused" in said
    assert "start it" in said


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (502, "text/html", ["it answers 502 Bad Gateway", "start it"]),
        (404, "text/html", ["is no MLflow server: it answers 404 Not Found", "give the server's address alone"]),
        (200, "text/html", ["is no MLflow server: it answers 200 OK"]),
        (401, "application/json", ["it answers 401 Unauthorized", "MLFLOW_TRACKING_USERNAME"]),
    ],
)
def test_what_a_server_answers_is_said_without_the_password(status: int, kind: str, words: list[str]) -> None:
    with answering(status, kind) as uri:
        at(uri)
        said = refusal()
    assert all(word in said for word in words), said
    assert "secret" not in said


def test_a_server_that_never_answers_is_given_up_soon() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        at(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "timed out" in refusal()


def test_a_database_server_that_is_not_there_is_said_without_the_password() -> None:
    at(f"postgresql+psycopg://me:secret@127.0.0.1:{free_port()}/mlflow")
    said = refusal()
    assert "Connection refused" in said
    assert "mend its address" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("./mlruns", "MLFLOW_TRACKING_URI is sqlite"),
        ("file:///tmp/mlruns", "MLFLOW_TRACKING_URI is sqlite"),
        ("nonsense://somewhere", "MLFLOW_TRACKING_URI is sqlite:///mlruns/mlflow.db, or"),
        ("sqlite:///a_file/mlflow.db", "a_file cannot be made (File exists)"),
        ("sqlite:///garbage.db", "file is not a database"),
        ("sqlite:///folder.db", "unable to open database file"),
    ],
)
def test_a_store_that_mlflow_cannot_use_is_named_with_what_it_can(uri: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a_file").write_text("")
    (tmp_path / "garbage.db").write_text("nothing of a database" * 99)
    (tmp_path / "folder.db").mkdir()
    at(uri)
    said = refusal()
    assert said.startswith(uri)
    assert words in said


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount: a read-only folder was not tried")
def test_a_read_only_folder_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "frozen"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("nothing can be mounted here: a read-only folder was not tried")
    try:
        make_tables(folder / "mlflow.db")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        at(f"sqlite:///{folder}/mlflow.db")
        assert "make it writable, or choose another" in refusal()
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("by", ["name", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"])
def test_an_experiment_that_was_deleted_is_said_with_the_command_that_restores_it(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tables(tmp_path / "mlflow.db")
    at(f"sqlite:///{tmp_path}/mlflow.db")
    name = "mine" if by == "MLFLOW_EXPERIMENT_NAME" else store.EXPERIMENT
    client = store.connect()
    experiment = client.create_experiment(name)
    client.delete_experiment(experiment)
    if by != "name":
        monkeypatch.setenv(by, name if by.endswith("NAME") else experiment)
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
        (tmp_path / "data" / part / "a.png").write_bytes(b"")
    assert promote.main(["--data", "data"]) == 2
    said = capsys.readouterr().err
    assert f"the experiment '{name}' was deleted" in said
    assert f"mlflow experiments restore -x {experiment}" in said
    assert "Traceback" not in said


def test_an_experiment_that_does_not_exist_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tables(tmp_path / "mlflow.db")
    at(f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "4711")
    assert "MLFLOW_EXPERIMENT_ID=4711: there is no such experiment" in refusal()


@pytest.mark.parametrize("place", ["", "mlruns"])
def test_a_store_that_was_moved_is_read_and_written_where_it_is(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether the database lies in mlruns/, as ours does, or beside it, as MLflow's does."""
    before, after = tmp_path / "before", tmp_path / "after"
    make_tables(before / place / "mlflow.db")
    at(f"sqlite:///{before / place}/mlflow.db")
    client, experiment = connect()
    old = client.create_run(experiment).info
    client.log_dict(old.run_id, {"winners": []}, "winners.json")
    assert (before / "mlruns" / store.EXPERIMENT / old.run_id / "artifacts" / "winners.json").is_file()

    before.rename(after)
    at(f"sqlite:///{after / place}/mlflow.db")
    client, experiment = connect()
    assert f"they are read and written at {after}" in capsys.readouterr().out
    assert [file.path for file in client.list_artifacts(old.run_id)] == ["winners.json"]
    assert (
        Path(client.download_artifacts(old.run_id, "winners.json", str(tmp_path))).read_text()
        == '{\n  "winners": []\n}'
    )
    new = client.create_run(experiment).info
    client.log_dict(new.run_id, {}, "winners.json")
    assert not before.exists()
    assert [file.path for file in client.list_artifacts(new.run_id)] == ["winners.json"]
    assert client.get_run(old.run_id).info.artifact_uri == old.artifact_uri, "others may see the old place still"


def test_files_that_are_gone_are_said_with_the_run_and_the_cure(tmp_path: Path) -> None:
    make_tables(tmp_path / "mlflow.db")
    at(f"sqlite:///{tmp_path}/mlflow.db")
    client, experiment = connect()
    run_id = client.create_run(experiment).info.run_id
    client.log_dict(run_id, {}, "data.json")
    shutil.rmtree(tmp_path / "mlruns")
    with pytest.raises(ValueError, match=f"run {run_id}: its file data.json cannot be read") as raised:
        client.download_artifacts(run_id, "data.json", str(tmp_path))
    assert f"mlflow runs delete --run-id {run_id}" in str(raised.value)


def test_a_store_that_goes_away_is_waited_for_aloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at("http://me:secret@somewhere:5000")
    monkeypatch.setattr(retry, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(retry, "NOTICE_SECONDS", 0.5)
    monkeypatch.setattr(retry, "_noticed", -9.0)
    start = time.monotonic()

    def call() -> str:
        if time.monotonic() - start < 2:
            raise ConnectionError("Connection refused")
        return "there"

    assert with_retries(call) == "there"
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        "the tracking store at http://somewhere:5000 does not answer (Connection refused); trying again for 10 minutes "
        "more; nothing is lost meanwhile"
    )
    assert 2 <= len(said) <= 4


def test_a_reason_is_told_in_a_few_words() -> None:
    wrapped = "API request to http://x/api failed with exception HTTPConnectionPool(host='x', port=1): Max retries "
    wrapped += "exceeded with url: /api (Caused by NewConnectionError(\"HTTPConnection(host='x', port=1): Failed to "
    wrapped += 'establish a new connection: [Errno 111] Connection refused"))'
    assert reason_of(Exception(wrapped)) == "[Errno 111] Connection refused"
    assert reason_of(sqlite3.OperationalError("database is locked")) == "database is locked"
    assert reason_of(TimeoutError()) == "TimeoutError"
