"""`mlflow run` of an address: the project is fetched to a temporary folder, and nothing of a person's lands there."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ADDRESS = "https://git.invalid/unet-studies.git"  # git is told to look for it on this disk


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it lies here, committed."""
    folder = tmp_path_factory.mktemp("git") / "unet-studies"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    for command in (["init", "-b", "main"], ["add", "-A"], [*who, "commit", "-m", "all"]):
        subprocess.run(["git", *command], cwd=folder, capture_output=True, check=True)
    return folder


def mlflow_run(repository: Path, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """As typed in `folder`; with a store that is relative, too."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    settings |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    settings |= {"MLFLOW_TRACKING_URI": "sqlite:///mlruns/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    settings |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf"}
    settings |= {"GIT_CONFIG_VALUE_0": ADDRESS}
    command = [sys.executable, "-m", "mlflow", "run", ADDRESS, "--env-manager", "local", *options]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)


@pytest.mark.thorough
def test_data_pages_runs_and_checkpoints_of_a_git_address_land_where_it_was_typed(
    repository: Path, tmp_path: Path
) -> None:
    before = set(Path(tempfile.gettempdir()).iterdir())
    made = mlflow_run(repository, tmp_path, "-e", "synthetic", "-P", "out=cells", "-P", "count=20", "-P", "size=64")
    assert made.returncode == 0, made.stderr
    assert len(list((tmp_path / "cells" / "images").iterdir())) == 20
    study = ["-e", "mask_equalization", "-P", "data=cells", "-P", "preset=demo", "-P", "epochs=1", "-P", "workers=1"]
    trained = mlflow_run(repository, tmp_path, *study)
    assert trained.returncode == 0, trained.stderr
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    roles = [run.data.tags.get("role") for run in client.search_runs(["0"])]
    assert sorted(filter(None, roles)) == ["study", "trial", "trial"]
    fetched = [folder for folder in Path(tempfile.gettempdir()).iterdir() if folder not in before]
    written = [path for folder in fetched for path in folder.glob("mlruns/*") if path.name != "README.md"]
    assert written + [path for folder in fetched for path in folder.glob("cells")] == []


@pytest.mark.thorough
def test_what_is_wrong_is_refused_and_its_run_taken_away_in_the_store_that_was_meant(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "cells").mkdir()
    done = mlflow_run(repository, tmp_path, "-e", "check_data", "-P", "data=cells", "-P", "image_size=9")
    assert done.returncode != 0
    assert "image_size=9: it must be a multiple of 16" in done.stderr
    assert "was taken away again" in done.stderr
    assert MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db").search_runs(["0"]) == []


def test_a_tilde_is_the_home_folder_in_every_path_option(tmp_path: Path) -> None:
    code = (
        "from {0} import parse; o = parse({1!r}); "
        "values = [v if isinstance(v, list) else [v] for v in vars(o).values()]; "
        "print([str(v) for some in values for v in some if 'home' in str(v)])"
    )
    for module, options, count in (
        ("training.command.options", ["losses", "--data", "~/home"], 1),
        ("training.check_data", ["--data", "~/home", "--out", "~/home"], 2),
        ("training.download", ["--name", "dsb2018", "--out", "~/home"], 1),
        ("training.synthetic", ["--out", "~/home"], 1),
        ("serving.promote", ["--data", "~/home"], 1),
        ("analysis.report", ["--out", "~/home", "--tables", "~/home", "--keep", "~/home"], 3),
    ):
        command = [sys.executable, "-c", code.format(module, options)]
        settings = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        said = subprocess.run(command, env=settings, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert said.strip() == str([str(tmp_path / "home")] * count), module
