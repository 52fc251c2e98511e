"""`-e decide` on real images and a real store: seeds come until the verdict does, and a stopped one goes on."""

import contextlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from mlflow import MlflowClient
from studies import Studies, wait_until

from analysis.claims.verdicts import assess
from analysis.decide import find_claims, find_studies, main
from analysis.deciding import rounds
from analysis.evidence import runs
from analysis.report import main as report
from training.restore import main as restore
from training.study.further import Further, write
from training.study.trial import Trial
from training.tracking.tags import RESTORED

TINY = ("--preset", "demo", "--image-size", "32", "--epochs", "4", "--workers", "2", "--baseline", "report")
CLAIM = "augmentation.1"
DECIDE = (  # in a process of its own: so few seeds of so short trials decide nothing, and get more all the same
    "import sys; from analysis import decide; from analysis.deciding import rounds; rounds.MIN_CHANCE = 0.0; "
    "sys.exit(decide.main(sys.argv[1:]))"
)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--hours", "0"], "must be above 0"),
        (["--trials", "-1"], "must be above 0"),
        (["--seeds", "2"], "below 3 no verdict"),
        (["--folds", "6"], "folds=6 is out of range; it must be from 1 to 5"),
        (["--folds", "2", "--fold", "1"], "folds=2 and fold=1 contradict each other"),
        (
            ["--trials", "8", "--claims", CLAIM, "--baseline", "report"],
            "trials=8: the first pass alone has 9 (augmentation 9); give at least as many",
        ),
        (["--trials", "17", "--folds", "2", "--claims", CLAIM, "--baseline", "report"], "alone has 18"),
        (["--claims", "losses.99"], "claims='losses.99' is unknown"),
        (["--epoch", "3"], "no such parameter"),
    ],
)
def test_what_cannot_be_used_is_refused(
    given: list[str],
    words: str,
    tmp_path: Path,
    discs: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    assert main(["--data", str(discs), *given]) == 2
    assert words in capsys.readouterr().err


def test_the_first_pass_runs_what_the_claims_read() -> None:
    assert find_studies("all", find_claims("all"), "measured") == ["all"]
    assert find_studies("x", find_claims("weight_decay.1"), "report") == ["weight_decay"]
    measured = find_studies("x", find_claims("weight_decay.1,summary.1"), "measured")
    assert measured == ["learning_rate", "schedulers", "weight_decay", "dropout", "losses"]


@pytest.fixture(scope="module")
def decided(discs: Path, tmp_path_factory: pytest.TempPathFactory) -> Studies:
    studies = Studies(tmp_path_factory.mktemp("decided"), discs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", studies.uri)
        patch.chdir(studies.folder)
        patch.setattr(rounds, "MIN_CHANCE", 0.0)  # so few seeds of so short trials decide nothing
        assert main(["--data", str(discs), "--trials", "18", "--claims", CLAIM, *TINY]) == 0
    return studies


@pytest.mark.slow
def test_seeds_are_added_to_the_study_run_that_is_there_and_say_so(decided: Studies) -> None:
    trained = decided.trained()
    further = [run for run in trained if "first_seeds" in run.data.tags]
    assert len(trained) == 9 + len(further) == 15
    assert {run.data.tags["first_seeds"] for run in further} == {"3"}
    (study,) = {run.data.tags["mlflow.parentRunId"] for run in trained}
    assert MlflowClient(decided.uri).get_run(study).info.status == "FINISHED"
    seeds = {int(run.data.params["seed"]) for run in further}
    assert seeds == {3, 4}


@pytest.mark.slow
def test_the_run_says_what_was_decided_and_what_is_left(decided: Studies) -> None:
    (run,) = decided.runs("tags.role = 'decide'")
    note = run.data.tags["mlflow.note.content"]
    assert run.info.status == "FINISHED"
    assert "0 of 1 claim decided" in note
    assert "of 18 trials used" in note
    assert f"{CLAIM} to 5 seeds" in note


@pytest.mark.slow
def test_started_again_it_trains_nothing_and_a_stopped_round_is_finished_first(
    decided: Studies, discs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", decided.uri)
    monkeypatch.chdir(decided.folder)
    before = {run.info.run_id for run in decided.trained()}
    run = next(run for run in decided.trained() if "first_seeds" in run.data.tags)
    MlflowClient(decided.uri).delete_run(run.info.run_id)  # as if it had not been trained when the round was stopped
    table = runs.load_trials(run.data.tags["data_digest"])
    assert len(table) == len(before) - 1
    kept = decided.folder / "mlruns" / "rounds" / f"{run.data.tags['data_digest']}-0.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    trial = Trial.from_params(run.data.params)
    one = Further(study="augmentation", parent=run.data.tags["mlflow.parentRunId"], is_extra=False, trial=trial)
    write(kept, 3, [one])
    assert main(["--data", str(discs), "--trials", "18", "--claims", CLAIM, *TINY]) == 0
    assert "a round that was stopped is finished first" in capfd.readouterr().out
    assert not kept.exists()
    assert len({run.info.run_id for run in decided.trained()} - before) == 1


@pytest.mark.slow
def test_seeds_that_were_restored_come_first_and_cost_nothing(
    decided: Studies,
    discs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    elsewhere = Studies(tmp_path, discs)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", decided.uri)
    assert report(["--out", str(tmp_path / "page"), "--snapshot", str(tmp_path / "kept")]) == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere.uri)
    monkeypatch.chdir(tmp_path)
    assert restore(["--tables", str(tmp_path / "kept")]) == 0
    assert main(["--data", str(discs), "--trials", "15", "--claims", CLAIM, *TINY]) == 0
    assert "6 restored trials of these studies come first: they need no training" in capfd.readouterr().out
    assert not [run for run in elsewhere.trained() if RESTORED not in run.data.tags]
    digest = elsewhere.trained()[0].data.tags["data_digest"]
    assert not runs.load_waiting(runs.load_pool([digest]), [digest])
    assert len(runs.load_restored([digest])) == 15  # other studies that have these cells may still ask for them
    assert _assess(elsewhere) == _assess(decided)


@pytest.mark.slow
@pytest.mark.thorough
def test_killed_and_started_again_it_comes_to_the_same_verdicts_from_the_same_trials(
    decided: Studies, discs: Path, tmp_path: Path
) -> None:
    studies = Studies(tmp_path, discs)
    command = [sys.executable, "-c", DECIDE, "--data", str(discs), "--trials", "18", "--claims", CLAIM, *TINY]
    environment = _environment(studies)
    for trained in (2, 10):  # in the first pass, which has nine; in a round
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, text=True)
        wait_until(lambda: len(studies.trained()) >= trained, process)  # noqa: B023
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False, timeout=800).returncode == 0
    assert set(studies.times_trained().values()) == {1}
    assert studies.scores() == decided.scores()
    assert _assess(studies) == _assess(decided)


@pytest.mark.slow
@pytest.mark.thorough
def test_on_several_folds_seeds_are_added_to_each_up_to_the_next_look(decided: Studies, discs: Path) -> None:
    """Fold 0 was looked at twice already, with 3 and 5 seeds of its three cells: the next look is with 8, on both."""
    before = decided.scores()
    given = [*("--data", str(discs)), *("--trials", "48"), *("--claims", CLAIM), *("--folds", "2"), *TINY]
    run = subprocess.run(
        [sys.executable, "-c", DECIDE, *given], cwd=decided.folder, env=_environment(decided), check=False
    )
    assert run.returncode == 0
    seeds = Counter((run.data.params["fold"], run.data.params["seed"]) for run in decided.trained())
    assert seeds == {(fold, str(seed)): 3 for fold in "01" for seed in range(8)}
    assert decided.scores().items() > before.items()  # fold 0 is trained as without the other, and only once


def _environment(studies: Studies) -> dict[str, str]:
    return {**os.environ, **studies.environment, "PYTHONPATH": str(ROOT)}


def _assess(studies: Studies) -> tuple[str, str, int]:
    """What the claim came to, in words, and over how many seeds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", studies.uri)
        table = runs.load_trials(studies.trained()[0].data.tags["data_digest"])
    (claim,) = find_claims(CLAIM)
    found = assess(claim, table)
    return found.verdict, found.text, found.units
