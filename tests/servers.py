"""Real servers on loopback for the tests: MLflow's tracking server, and PostgreSQL where it is installed."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class TrackingServer:
    """`mlflow server`, which can be killed and started again at the same address."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.folder, self.backend, self.port = folder, backend, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", self.backend, "--artifacts-destination", str(self.folder / "artifacts")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING")}
        environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # nine processes for MLflow's own judges
        log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(
            [*command, "--workers", "1"],
            cwd=self.folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        end = time.monotonic() + 300
        while True:
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                if requests.get(f"{self.url}/health", timeout=5).ok:
                    return
            assert time.monotonic() < end, (self.folder / "server.log").read_text()[-2000:]
            time.sleep(0.2)

    def kill(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            self.process.wait()


@contextlib.contextmanager
def tracking_server(folder: Path, backend: str = "") -> Iterator[TrackingServer]:
    server = TrackingServer(folder, backend or f"sqlite:///{folder}/server.db")
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The URI of an empty database. Skips where PostgreSQL is not installed."""
    if not POSTGRES:
        pytest.skip("PostgreSQL is not installed: this store was not tried")
    tools, data, port = POSTGRES[-1], folder / "postgres", free_port()
    who = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}  # it refuses to run as root
    data.mkdir()
    for above in (data, *data.parents):
        if who and above.owner() == "root" and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o711)
    if who:
        shutil.chown(data, "postgres", "postgres")

    def call(*command: str) -> None:
        subprocess.run([str(tools / command[0]), *command[1:]], check=True, capture_output=True, cwd=data, **who)

    call("initdb", "-D", str(data), "-U", "tester", "-A", "trust")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data} -c fsync=off"
    call("pg_ctl", "-D", str(data), "-o", options, "-l", str(data / "log"), "-w", "-t", "300", "start")
    postmaster = int((data / "postmaster.pid").read_text().split()[0])
    try:
        call("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "tester", "mlflow")
        yield f"postgresql://tester@127.0.0.1:{port}/mlflow"
    finally:
        try:
            call("pg_ctl", "-D", str(data), "-w", "-t", "60", "-m", "immediate", "stop")
        except subprocess.CalledProcessError:  # not in time, on a busy machine
            with contextlib.suppress(ProcessLookupError):
                os.kill(postmaster, 9)  # its children end with it
