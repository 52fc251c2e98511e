"""What all tests share: shapes in signatures are checked, nothing phones home, and where the real data lies."""

import atexit
import functools
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from chain import Chain

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["BENTOML_DO_NOT_TRACK"] = "true"
os.environ.pop("MLFLOW_RUN_ID", None)
os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="unet-studies-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
install_import_hook(
    ["training.network.losses", "training.network.metrics", "training.network.batches"], "beartype.beartype"
)

ROOT = Path(__file__).parents[1]
REAL_DATA = Path(os.environ.get("UNET_STUDIES_REAL_DATA", ROOT.parent / "shared" / "data"))
CASES = REAL_DATA.parent / "cases"  # small folders as people have them, with the truth beside
EXPECTED_SKIPS = (
    "no CUDA device",
    "PyTorch Lightning is not installed",
    "napari is not installed",
)  # and, where they are missing, data and cases


def pytest_configure(config: pytest.Config) -> None:
    """Where tests run side by side, threads of each would wait for those of the others.

    Set before the processes of pytest-xdist start: numpy reads it once, when it is imported.
    """
    if getattr(config.option, "numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # of torch and of numpy's OpenBLAS
        os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # where there are several, they would spin meanwhile


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Files that take long come first, so that no process is left alone with one of them in the end.

    First of all one that makes the chain; the others that want it come last of these, so that none waits for it.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    chained = {item.path for item in items if {"make_chain", "make_serving"} & vars(item.module).keys()} | {
        item.path for item in items if "chain" in item.fixturenames
    }
    first = next((item.path for item in items if item.path in chained), None)
    items.sort(key=lambda item: (item.path != first, item.path not in slow, item.path in chained))


@pytest.fixture(autouse=True)
def _no_experiment_is_left() -> Iterator[None]:
    """MLflow sets this variable when it logs a model, for whoever comes after in this process."""
    yield
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real data sets, which lie beside the repository where they lie at all."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data: {REAL_DATA} is missing")
    return REAL_DATA


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> "Chain":
    """A study and a promotion that really ran: this process's own copy."""
    from chain import make_chain  # which imports torch and MLflow

    return make_chain(tmp_path_factory)


@pytest.fixture(scope="module")
def judged_once() -> Iterator[None]:
    """Verdicts take seconds, and the pages of a file are mostly of the same few tables: each table is judged once."""
    import pandas as pd

    from analysis.claims.claims import check_claims
    from analysis.page import page

    judged = {}

    def check_once(table: pd.DataFrame) -> object:
        key = pickle.dumps(table)
        if key not in judged:
            judged[key] = check_claims(table)
        return dict(judged[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "check_claims", check_once)
        yield


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """torch computes on one thread, as in a worker where there is one per core."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_tables(database: Path) -> None:
    """A SQLite store without runs. MLflow takes seconds to make one: all others are copies of the first."""
    database.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_first_database(), database)


@functools.cache
def _first_database() -> Path:
    from mlflow import MlflowClient

    path = Path(os.environ["XDG_CACHE_HOME"]) / "empty.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def new_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store without runs, which MLFLOW_TRACKING_URI names, and MLflow itself, whatever ran before: its folder."""
    import mlflow

    make_tables(tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


@pytest.fixture(scope="session")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 20 easy images: one bright disc each on a dark noisy ground."""
    folder = tmp_path_factory.mktemp("data") / "discs"
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index in range(20):
        centre, radius = rng.integers(20, 44, 2).tolist(), int(rng.integers(8, 16))
        mask = cv2.circle(np.zeros((64, 64), np.uint8), centre, radius, 255, -1)
        image = rng.normal(60, 12, (64, 64)) + 0.4 * mask
        cv2.imwrite(str(folder / "images" / f"disc_{index:02d}.png"), image.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(folder / "masks" / f"disc_{index:02d}.png"), mask)
    return folder


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With FAIL_ON_SKIP set, as continuous integration does, a test skipped for another reason fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("FAIL_ON_SKIP") or reporter is None or hasattr(session.config, "workerinput"):
        return
    expected = list(EXPECTED_SKIPS)
    expected += ["no real data", "no sample folders"] if not REAL_DATA.is_dir() else []
    expected += ["only root can"] if os.getuid() != 0 else []
    reasons = {str(report.longrepr[2]).removeprefix("Skipped: ") for report in reporter.stats.get("skipped", [])}
    unexpected = sorted(reason for reason in reasons if not reason.startswith(tuple(expected)))
    if unexpected and session.exitstatus == 0:
        session.exitstatus = 1
        reporter.write_line(f"skipped for a reason that is not expected: {'; '.join(unexpected)}", red=True)
