"""A study and a promotion that really ran, as one would run them from a shell: made once, copied for each process."""

import functools
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest
from conftest import ROOT, make_tables
from filelock import FileLock
from mlflow import MlflowClient

from training.network.unet import UNet

PYTHON = [sys.executable, "-m"]


@dataclass(frozen=True)
class Chain:
    """A folder in which a study has run and its best trial was promoted, as one would from a shell."""

    folder: Path
    data: Path
    output: str  # what promote printed

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder}/mlruns/mlflow.db"

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri, self.uri)

    @property
    def bentoml_home(self) -> Path:
        return self.folder / "mlruns" / "bentoml"

    @property
    def champion(self) -> mlflow.entities.model_registry.ModelVersion:
        return self.client.get_model_version_by_alias("unet", "champion")

    def model(self, folder: Path) -> UNet:
        """The trained network as its trial left it."""
        return UNet.from_pretrained(self.client.download_artifacts(self.champion.tags["run_id"], "model", str(folder)))


def make_chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """This process's own copy of the chain, which tests may change."""
    return _copy_chain(tmp_path_factory.getbasetemp())


@functools.cache
def _copy_chain(base: Path) -> Chain:
    """A process of several has its folder beside those of the others: there the first makes the chain for all."""
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with FileLock(shared / "chain.lock"):
        if not (shared / "chain" / "promoted.txt").exists():
            _make_chain(shared / "chain")
    copy = Path(shutil.copytree(shared / "chain", base / "own_chain"))
    with sqlite3.connect(copy / "mlruns" / "mlflow.db") as database:  # which names files by their whole path
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, kind, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
                if kind.startswith(("VARCHAR", "TEXT")):
                    places = (str(shared / "chain"), str(copy))
                    database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", places)
    return Chain(copy, copy / "circles", (copy / "promoted.txt").read_text())


def _make_chain(folder: Path) -> None:
    folder.mkdir()
    data = folder / "circles"
    make_circles(data, 24)
    make_tables(folder / "mlruns" / "mlflow.db")
    run = functools.partial(subprocess.run, cwd=folder, env=environment(), text=True, capture_output=True, check=False)
    study = [*PYTHON, "training.runner", "augmentation", "--data", data, "--preset", "demo"]
    trained = run([*study, "--epochs", "8", "--workers", "2", "--seeds", "2", "--val-percent", "15"])
    assert trained.returncode == 0, trained.stderr
    promoted = run([*PYTHON, "serving.promote", "--data", data])
    assert promoted.returncode == 0, promoted.stderr
    (folder / "promoted.txt").write_text(promoted.stdout)


def environment() -> dict[str, str]:
    """This process's, but with no store set: then all of them lie under mlruns/ of the working folder."""
    unset = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID", "BENTOML_HOME")
    return {key: value for key, value in os.environ.items() if key not in unset} | {"PYTHONPATH": str(ROOT)}


def make_circles(folder: Path, count: int) -> None:
    """Bright discs on a dark noisy ground, 64 x 64."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index in range(count):
        centre, radius = rng.integers(20, 44, 2).tolist(), int(rng.integers(10, 18))
        mask = cv2.circle(np.zeros((64, 64), np.uint8), centre, radius, 255, -1)
        image = rng.normal(60, 12, (64, 64)) + 0.4 * mask
        cv2.imwrite(str(folder / "images" / f"{index:02d}.png"), image.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(folder / "masks" / f"{index:02d}.png"), mask)
