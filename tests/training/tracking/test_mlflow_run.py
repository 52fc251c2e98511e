"""Only the run that `mlflow run` made for a command is written into or taken away; any other stays as it is."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow_runs import made_by_mlflow

from analysis import report
from serving import promote
from training import check_data, download, forecast, runner, synthetic
from training.tracking import mlflow_run, store
from training.tracking.runs import connect, describe_experiment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
Door = tuple[Callable[[list[str]], int], dict[str, str], list[str]]  # main, parameters, wrong options
DOORS: dict[str, Door] = {  # by entry point
    "losses": (runner.main, {"data": "cells"}, ["losses", "--data", "nowhere"]),
    "plan": (forecast.main, {"data": "cells"}, ["losses", "--data", "nowhere"]),
    "check_data": (check_data.main, {"data": "cells"}, ["--data", "nowhere"]),
    "promote": (promote.main, {"data": "cells"}, ["--data", "nowhere"]),
    "download": (download.main, {"name": "dsb2018"}, ["--name", "nothing"]),
    "synthetic": (synthetic.main, {"out": "cells"}, ["--out", "cells", "--count", "0"]),
    "report": (report.main, {}, ["--data-digest", "none'such\""]),
}


@pytest.fixture
def client(new_store: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.chdir(new_store)
    return connect()[0]


def finished(client: MlflowClient) -> str:
    run_id = made_by_mlflow("losses", data="cells")
    client.set_terminated(run_id, "FINISHED")
    return run_id


def with_metrics(client: MlflowClient) -> str:
    run_id = made_by_mlflow("losses", data="cells")
    client.log_metric(run_id, "dice", 0.9)
    return run_id


def of_another_project(client: MlflowClient) -> str:
    tags = {"mlflow.project.entryPoint": "losses", "mlflow.source.type": "PROJECT"}
    return str(client.create_run("0", tags=tags).info.run_id)


def written_by_a_living_process(client: MlflowClient) -> str:
    run_id = made_by_mlflow("losses", data="cells")
    process = f"{os.getppid()}"
    code = f"import psutil; print(f'{{psutil.Process({process}).create_time():.2f}}')"
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    mlflow_run.adopt(client, run_id, "losses", {"role": "study"})
    mine = client.get_run(run_id).data.tags["process"].split(":")
    client.set_tag(run_id, "process", ":".join([mine[0], process, started, mine[3]]))
    return run_id


def deleted(client: MlflowClient) -> str:
    run_id = made_by_mlflow("losses", data="cells")
    client.delete_run(run_id)
    return run_id


FOREIGN: list[Callable[[MlflowClient], str]] = [
    finished,
    with_metrics,
    of_another_project,
    written_by_a_living_process,
    deleted,
    lambda client: str(client.create_run("0", run_name="mine").info.run_id),
    lambda client: made_by_mlflow("promote", data="cells"),
    lambda client: "0" * 32,
]
NAMES = ["finished", "metrics", "project", "process", "deleted", "no project", "another command", "no run"]


def everything(client: MlflowClient) -> list[dict[str, Any]]:
    experiments = [one.experiment_id for one in client.search_experiments()]
    found: list[Run] = client.search_runs(experiments, run_view_type=ViewType.ALL)
    return [run.to_dictionary() | {"outputs": None} for run in found]


@pytest.mark.parametrize("foreign", FOREIGN, ids=NAMES)
def test_a_wrong_value_leaves_a_run_that_was_not_made_for_it_untouched(
    foreign: Callable[[MlflowClient], str], client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", foreign(client))
    before = everything(client)
    assert runner.main(["losses", "--data", "nowhere"]) == 2
    assert everything(client) == before


@pytest.mark.parametrize("entry_point", DOORS)
def test_every_command_leaves_a_person_s_finished_run_alone(
    entry_point: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main, _, wrong = DOORS[entry_point]
    run_id = finished(client)
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    before = everything(client)
    assert main(wrong) == 2
    assert everything(client) == before
    assert f"MLFLOW_RUN_ID={run_id} is a run that is FINISHED; that run stays as it is" in capsys.readouterr().err


@pytest.mark.parametrize("entry_point", DOORS)
def test_every_command_takes_away_the_run_that_was_made_for_it(
    entry_point: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    main, parameters, wrong = DOORS[entry_point]
    run_id = made_by_mlflow(entry_point, **parameters)
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    assert main(wrong) == 2
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"


def test_what_is_right_writes_nothing_into_a_run_of_somebody_else(
    client: MlflowClient, discs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = str(client.create_run("0", run_name="mine").info.run_id)
    before = client.get_run(run_id).to_dictionary()
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    options = ["--preset", "demo", "--image-size", "32", "--epochs", "1", "--workers", "1"]
    assert runner.main(["mask_equalization", "--data", str(discs), *options]) == 0
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    assert check_data.main(["--data", str(discs), "--out", "page", "--image-size", "64"]) == 0
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    assert report.main(["--out", "report"]) == 0
    assert client.get_run(run_id).to_dictionary() == before
    ours = {run["data"]["tags"].get("role") for run in everything(client)}
    assert ours == {None, "study", "trial", "report"}


def test_a_later_step_of_a_command_goes_on_in_the_run_of_its_first(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = made_by_mlflow("main", data="cells")
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    code = "from training.tracking import mlflow_run, store\nclient = store.connect()\n"
    code += "run_id = mlflow_run.own_run(client, 'training.runner')\n"
    code += "mlflow_run.adopt(client, run_id, 'all studies', {'role': 'main'})\nclient.log_metric(run_id, 'dice', 0.9)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    assert mlflow_run.own_run(client, "serving.promote") == run_id
    mlflow_run.adopt(client, run_id, "promote", {"role": "promote"})
    run = client.get_run(run_id)
    assert (run.data.tags["role"], run.info.run_name) == ("main", "all studies"), "it stays that step's"
    assert mlflow_run.take_away("serving.promote") == "", "what was written into is not deleted"
    assert client.get_run(run_id).info.lifecycle_stage == "active"


@pytest.mark.parametrize(("name", "kept"), [("", False), ("run-of-tuesday", True), ("dice-loss-2", True)])
def test_a_name_that_a_person_gave_stays_and_one_that_mlflow_made_up_gives_way(
    name: str, kept: bool, client: MlflowClient
) -> None:
    run_id = made_by_mlflow("losses", data="cells")
    if name:
        client.set_tag(run_id, "mlflow.runName", name)  # as `mlflow run --run-name` does
    mlflow_run.adopt(client, run_id, "losses", {"role": "study"})
    assert client.get_run(run_id).info.run_name == (name if kept else "losses")


def test_mlflow_run_keeps_the_name_and_the_experiment_that_were_given(client: MlflowClient, discs: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m mlflow run {ROOT} -e check_data --env-manager local -P data={discs} "
    command += "-P out=page --run-name mine"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {**os.environ, "PATH": path, "MLFLOW_EXPERIMENT_NAME": "my cells"}
    done = subprocess.run(command, shell=True, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    experiment = client.get_experiment_by_name("my cells")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.data.tags["role"], run.info.status) == ("mine", "check_data", "FINISHED")
    assert Path("page/index.html").is_file(), "relative to where the command was typed"


def test_a_study_s_command_outside_mlflow_goes_to_the_experiment_that_is_named(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = client.get_experiment_by_name(store.EXPERIMENT)
    assert ours is not None
    assert store.find_experiment(client) == ours.experiment_id
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "my cells")
    named = store.find_experiment(client)
    assert client.get_experiment(named).name == "my cells"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    assert store.find_experiment(client) == "0", "an id wins"


def test_a_person_s_own_words_about_their_experiment_stay(client: MlflowClient) -> None:
    mine = client.create_experiment("mine", tags={"mlflow.note.content": "My cells."})
    before = client.get_experiment(mine).tags
    describe_experiment(client, mine)
    assert client.get_experiment(mine).tags == before
    ours = store.find_experiment(client)
    describe_experiment(client, ours)
    describe_experiment(client, ours)
    assert client.get_experiment(ours).tags["mlflow.note.content"].count("Hyper-parameter studies") == 1


def test_a_store_that_is_in_the_way_is_not_asked_again(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = made_by_mlflow("report")
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "77")
    with pytest.raises(MlflowException):
        client.get_experiment("77")
    assert promote.main(["--data", "."]) == 2
    assert client.get_run(run_id).info.lifecycle_stage == "active"
