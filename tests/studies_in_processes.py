"""Starts studies as a user does, in processes of their own, and kills them: for test_resume.py and test_chaos.py."""

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
from mlflow import MlflowClient
from mlflow.entities import Run

ROOT = Path(__file__).parents[1]
TINY = ["--preset", "demo", "--image-size", "32", "--workers", "2"]
SCORES = ("best_val_dice", "best_val_loss", "best_train_dice", "best_train_loss", "best_epoch")


class Studies:
    """A store, and the runner on it."""

    def __init__(self, folder: Path, data: Path, uri: str = "", **environment: str) -> None:
        self.folder, self.data = folder, data
        self.uri = uri or f"sqlite:///{folder}/mlflow.db"
        self.environment = environment

    def start(self, study: str, *options: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "training.runner", study, "--data", str(self.data), *TINY, *options]
        settings = {"MLFLOW_TRACKING_URI": self.uri, "PYTHONPATH": str(ROOT), **self.environment}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, study: str, *options: str) -> tuple[int, str]:
        process = self.start(study, *options)
        said = process.communicate(timeout=300)[0]
        return process.returncode, said

    def runs(self, query: str = "") -> list[Run]:
        client = MlflowClient(self.uri)
        return list(client.search_runs([one.experiment_id for one in client.search_experiments()], query))

    def training(self) -> list[Run]:
        """Runs that hold the lease of a trial."""
        return self.runs("attributes.status = 'RUNNING' and tags.lease = 'held'")

    def trained(self) -> list[Run]:
        """Runs that trained a trial to its end."""
        finished = self.runs("tags.role = 'trial' and attributes.status = 'FINISHED'")
        return [run for run in finished if "reused_from" not in run.data.tags]

    def scores(self) -> dict[str, dict[str, float]]:
        """What each trial came to, by its factors."""
        return {run.data.tags["trial"]: {key: run.data.metrics[key] for key in SCORES} for run in self.trained()}

    def times_trained(self) -> Counter[str]:
        return Counter(run.data.tags["result_hash"] for run in self.trained())


def workers_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The processes that train for a runner: the children of its fork server."""
    with contextlib.suppress(psutil.NoSuchProcess):
        servers = psutil.Process(process.pid).children()
        return [worker for server in servers for worker in server.children()]
    return []


def wait_until(holds: Callable[[], bool], process: "subprocess.Popen[str] | None" = None, seconds: float = 120) -> None:
    """Until something holds, which must be while the process runs."""
    end = time.monotonic() + seconds
    while not holds():
        assert process is None or process.poll() is None, f"it ended before: {process.communicate()[0]}"
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
