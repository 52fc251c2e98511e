"""Studies that are started again, stopped, and started twice at once: real workers, a real store."""

import dataclasses
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from studies import Studies, wait_until

from training.execution.jobs import EpochDone, Job, Outcome
from training.execution.pool import Pool

pytestmark = pytest.mark.slow

STUDY = "mask_equalization"  # of two trials a seed
LONG = ("--epochs", "12")
MANY = ("--epochs", "1", "--seeds", "3")


@pytest.fixture(scope="module")
def undisturbed(discs: Path, tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """Two trials of 12 epochs, and six of one, to their ends."""
    studies = Studies(tmp_path_factory.mktemp("undisturbed"), discs)
    assert studies.run(STUDY, *LONG)[0] == 0
    assert studies.run(STUDY, *MANY)[0] == 0
    return studies


def test_a_study_started_again_trains_nothing_and_comes_to_the_same(undisturbed: Studies) -> None:
    before = undisturbed.scores()
    status, said = undisturbed.run(STUDY, *MANY)
    assert status == 0
    assert "6 trial(s) were trained before and are reused" in said
    assert set(undisturbed.times_trained().values()) == {1}
    assert undisturbed.scores() == before
    parents = undisturbed.runs("tags.role = 'study'")
    children = [undisturbed.runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'") for parent in parents]
    assert [len(runs) for runs in children] == [6, 6, 2]
    taken = [run for runs in children for run in runs if "reused_from" in run.data.tags]
    for run in taken:
        trained = MlflowClient(undisturbed.uri).get_run(run.data.tags["reused_from"])
        assert trained.data.params == run.data.params
        assert trained.data.metrics["best_val_dice"] == run.data.metrics["best_val_dice"]
    assert len(taken) == 6


def test_only_what_is_missing_is_trained(undisturbed: Studies) -> None:
    """More seeds: those that are there stay."""
    status, said = undisturbed.run(STUDY, *LONG, "--seeds", "2")
    assert status == 0
    assert "2 trial(s) were trained before and are reused" in said
    assert set(undisturbed.times_trained().values()) == {1}
    seeds = [run.data.params["seed"] for run in undisturbed.trained() if run.data.params["epochs"] == LONG[1]]
    assert sorted(seeds) == ["0", "0", "1", "1"]


@pytest.mark.thorough
def test_two_invocations_at_once_share_the_work(undisturbed: Studies, discs: Path, tmp_path: Path) -> None:
    studies = Studies(tmp_path, discs, f"sqlite:///{tmp_path}/mlflow.db")  # no tables yet: they meet in making them
    both = [studies.start(STUDY, *MANY) for _ in range(2)]
    said = [process.communicate(timeout=900)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert set(studies.times_trained().values()) == {1}
    expected = undisturbed.scores()
    scores = {digest: found for digest, found in studies.scores().items() if digest in expected}
    assert len(scores) == 6
    assert all(expected[digest] == found for digest, found in scores.items())
    for parent in studies.runs("tags.role = 'study'"):
        assert parent.info.status == "FINISHED"
        assert len(studies.runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")) == 6


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.thorough)]
)
def test_a_long_trial_that_was_stopped_goes_on_from_its_checkpoint_to_the_same_end(
    number: signal.Signals, undisturbed: Studies, discs: Path, tmp_path: Path
) -> None:
    studies = Studies(tmp_path, discs, UNET_STUDIES_CHECKPOINT_SECONDS="0")
    checkpoints = tmp_path / "mlruns" / "checkpoints"

    process = studies.start(STUDY, *LONG)
    wait_until(lambda: any(checkpoints.glob("*.safetensors")), process)
    process.send_signal(number)
    if number != signal.SIGKILL:
        time.sleep(0.1)
        process.send_signal(number)  # as `timeout` does
    said = process.communicate(timeout=300)[0]
    if number != signal.SIGKILL:
        assert process.returncode == 130, said
        assert "Traceback" not in said
        assert "resume with the same command" in said
        assert {run.info.status for run in studies.runs()} == {"KILLED"}

    status, said = studies.run(STUDY, *LONG)
    assert status == 0, said
    assert "RUNNING" not in {run.info.status for run in studies.runs()}
    tags = [run.data.tags for run in studies.trained()]
    assert len(tags) == 2
    resumed = [int(of_run["resumed_after_epoch"]) for of_run in tags if "resumed_after_epoch" in of_run]
    assert resumed, "one at least had begun"
    assert all(0 < epoch <= 12 for epoch in resumed)
    expected = undisturbed.scores()
    assert studies.scores() == {digest: expected[digest] for digest in studies.scores()}
    for run in studies.trained():
        history = MlflowClient(studies.uri).get_metric_history(run.info.run_id, "val_dice")
        assert [point.step for point in history] == list(range(1, 13)), "every epoch, each once"
    assert not list(checkpoints.iterdir()), "a finished trial leaves no checkpoint"


def test_a_trial_that_failed_is_trained_again_only_on_request_and_as_often_as_asked(
    discs: Path, tmp_path: Path
) -> None:
    studies = Studies(tmp_path, discs)

    def kill_first_worker(_: object) -> None:
        wait_until(lambda: bool(studies.training()))
        os.kill(int(studies.training()[0].data.tags["process"].split(":")[1]), signal.SIGKILL)

    status, said = studies.run(STUDY, *LONG, meanwhile=kill_first_worker)
    assert status == 1
    assert "1 trial(s) are missing:\n  mask_equalization: equalize_masks=" in said
    assert "its process died: killed, or out of memory" in said
    (failed,) = studies.runs("attributes.status = 'FAILED' and tags.role = 'trial'")
    assert "its process ended without a word" in failed.data.tags["failure"]

    status, said = studies.run(STUDY, *LONG)
    assert status == 1, "nobody asked for another try"
    assert "failed before, retries=1 trains it again: its process ended" in said
    assert len(studies.trained()) == 1

    status, said = studies.run(STUDY, *LONG, "--retries", "1")
    assert status == 0
    assert sorted(studies.times_trained().values()) == [1, 1]


def test_a_worker_that_dies_when_its_trial_is_done_costs_nothing(
    discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trial is finished in the store, its checkpoint is still there, and nobody heard of it."""
    real = Pool.run

    def dies_late(pool: Pool, jobs: Iterable[Job], on_epoch: Callable[[EpochDone], None]) -> Iterator[Outcome]:
        mine = list(jobs)
        checkpoints = {job.trial: job.checkpoint for job in mine}
        for outcome in real(pool, mine, on_epoch):
            checkpoints[outcome.trial].parent.mkdir(parents=True, exist_ok=True)
            checkpoints[outcome.trial].write_bytes(b"left behind")
            yield dataclasses.replace(outcome, failure="its process died: killed, or out of memory")

    monkeypatch.setattr(Pool, "run", dies_late)
    studies = Studies(tmp_path, discs)
    assert studies.run(STUDY, "--epochs", "1")[0] == 0
    assert len(studies.trained()) == len(studies.runs("tags.role = 'trial'")) == 2
    assert not list((tmp_path / "mlruns" / "checkpoints").iterdir())


def test_what_a_trial_wrote_can_be_told_from_anything_else(undisturbed: Studies, tmp_path: Path) -> None:
    run = undisturbed.trained()[0]
    hashes = json.loads(run.data.tags["artifacts"])
    assert {
        "trial.json",
        "epochs.csv",
        "model/model.safetensors",
        "predictions.png",
        "train_predictions.png",
    } <= hashes.keys()
    folder = Path(MlflowClient(undisturbed.uri).download_artifacts(run.info.run_id, "", str(tmp_path)))
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in hashes}
    assert found == hashes
