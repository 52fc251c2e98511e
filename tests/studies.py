"""Starts studies as a user does, and disturbs them: for the tests of training/execution."""

import contextlib
import io
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, make_tables
from mlflow import MlflowClient
from mlflow.entities import Run

from training.runner import main

TINY = ["--preset", "demo", "--image-size", "32", "--workers", "2"]
SCORES = ("best_val_dice", "best_val_loss", "best_train_dice", "best_train_loss", "best_epoch")


class Studies:
    """A store, and the runner on it."""

    def __init__(self, folder: Path, data: Path, uri: str = "", **environment: str) -> None:
        """Without `uri`: a database of its own, with tables and no runs."""
        if not uri:
            make_tables(folder / "mlflow.db")
        self.folder, self.data = folder, data
        self.uri = uri or f"sqlite:///{folder}/mlflow.db"
        self.environment = {"MLFLOW_TRACKING_URI": self.uri, **environment}

    def start(self, study: str, *options: str) -> "subprocess.Popen[str]":
        """In a process of its own, which may be killed; it takes seconds to import torch and MLflow, twice."""
        return subprocess.Popen(
            [sys.executable, "-m", "training.runner", *self._arguments(study, options)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(
        self, study: str, *options: str, meanwhile: Callable[[Callable[[], str]], object] | None = None
    ) -> tuple[int, str]:
        """In this process: the exit status, and what was said, which `meanwhile`, called beside it, may ask for."""
        said = io.StringIO()
        beside = _Beside(meanwhile, said.getvalue)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            try:
                with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                    beside.start()
                    status = main(self._arguments(study, options))
            except SystemExit as error:
                said.write(str(error))
                status = 1
            finally:
                beside.join()
        assert not beside.failures, (beside.failures, said.getvalue())
        return status, said.getvalue()

    def _arguments(self, study: str, options: tuple[str, ...]) -> list[str]:
        return [study, "--data", str(self.data), *TINY, *options]

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
        return {run.data.tags["params_hash"]: {key: run.data.metrics[key] for key in SCORES} for run in self.trained()}

    def times_trained(self) -> Counter[str]:
        return Counter(run.data.tags["result_hash"] for run in self.trained())


class _Beside(threading.Thread):
    """Calls something; what it raises is kept."""

    def __init__(self, call: Callable[[Callable[[], str]], object] | None, said: Callable[[], str]) -> None:
        super().__init__(daemon=True)
        self.call, self.said, self.failures = call, said, list[BaseException]()

    def run(self) -> None:
        try:
            if self.call:
                self.call(self.said)
        except BaseException as error:
            self.failures.append(error)


def workers_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The processes that train for a runner: the children of its fork server."""
    with contextlib.suppress(psutil.NoSuchProcess):
        servers = psutil.Process(process.pid).children()
        return [worker for server in servers for worker in server.children()]
    return []


def wait_until(holds: Callable[[], bool], process: "subprocess.Popen[str] | None" = None, seconds: float = 300) -> None:
    """Until something holds, which must be while the process runs. A busy machine may take minutes."""
    end = time.monotonic() + seconds
    while not holds():
        assert process is None or process.poll() is None, f"it ended before: {process.communicate()[0]}"
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
