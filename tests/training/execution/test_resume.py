"""Studies that are started again, stopped, and started twice at once: real processes, a real store."""

import dataclasses
import hashlib
import json
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from studies_in_processes import TINY, Studies, wait_until, workers_of

from training.execution.jobs import EpochDone, Job, Outcome
from training.execution.pool import Pool
from training.runner import main

pytestmark = pytest.mark.slow

LONG = ("--epochs", "40")  # of mask_equalization: two trials, seconds each


@pytest.fixture(scope="module")
def undisturbed(discs: Path, tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """mask_equalization with 40 epochs, and losses with 2, to their ends."""
    studies = Studies(tmp_path_factory.mktemp("undisturbed"), discs)
    assert studies.run("mask_equalization", *LONG)[0] == 0
    assert studies.run("losses", "--epochs", "2")[0] == 0
    return studies


def test_a_study_started_again_trains_nothing_and_comes_to_the_same(undisturbed: Studies) -> None:
    before = undisturbed.scores()
    status, said = undisturbed.run("losses", "--epochs", "2")
    assert status == 0
    assert "12 trial(s) were trained before and are reused" in said
    assert set(undisturbed.times_trained().values()) == {1}
    assert undisturbed.scores() == before
    first, second = undisturbed.runs("tags.role = 'study' and tags.study = 'losses'")
    children = [undisturbed.runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'") for parent in (first, second)]
    assert [len(runs) for runs in children] == [12, 12]
    taken = [run for runs in children for run in runs if "reused_from" in run.data.tags]
    for run in taken:
        trained = MlflowClient(undisturbed.uri).get_run(run.data.tags["reused_from"])
        assert trained.data.params == run.data.params
        assert trained.data.metrics["best_val_dice"] == run.data.metrics["best_val_dice"]
    assert len(taken) == 12


def test_only_what_is_missing_is_trained(undisturbed: Studies) -> None:
    """More seeds: those that are there stay."""
    status, said = undisturbed.run("mask_equalization", *LONG, "--seeds", "2")
    assert status == 0
    assert "2 trial(s) were trained before and are reused" in said
    assert set(undisturbed.times_trained().values()) == {1}
    seeds = [run.data.params["seed"] for run in undisturbed.trained() if run.data.tags["study"] == "mask_equalization"]
    assert sorted(seeds) == ["0", "0", "1", "1"]


def test_two_invocations_at_once_share_the_work(undisturbed: Studies, discs: Path, tmp_path: Path) -> None:
    studies = Studies(tmp_path, discs)  # no database yet: they meet in making it
    both = [studies.start("losses", "--epochs", "2") for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert set(studies.times_trained().values()) == {1}
    expected = undisturbed.scores()
    losses = {digest: scores for digest, scores in studies.scores().items() if digest in expected}
    assert len(losses) == 12
    assert all(expected[digest] == scores for digest, scores in losses.items())
    for parent in studies.runs("tags.role = 'study' and tags.study = 'losses'"):
        assert parent.info.status == "FINISHED"
        assert len(studies.runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")) == 12


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 130), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_long_trial_that_was_stopped_goes_on_from_its_checkpoint_to_the_same_end(
    number: signal.Signals, status: int, undisturbed: Studies, discs: Path, tmp_path: Path
) -> None:
    studies = Studies(tmp_path, discs, UNET_STUDIES_CHECKPOINT_SECONDS="0")
    process = studies.start("mask_equalization", *LONG)
    checkpoints = tmp_path / "mlruns" / "checkpoints"
    wait_until(lambda: any(checkpoints.glob("*.safetensors")), process)
    process.send_signal(number)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == status
    if number != signal.SIGKILL:
        assert "resume with the same command" in said
        assert {run.info.status for run in studies.runs()} == {"KILLED"}
    wait_until(lambda: not workers_of(process))

    status, said = studies.run("mask_equalization", *LONG)
    assert status == 0, said
    assert "RUNNING" not in {run.info.status for run in studies.runs()}
    tags = [run.data.tags for run in studies.trained()]
    assert len(tags) == 2
    resumed = [int(of_run["resumed_after_epoch"]) for of_run in tags if "resumed_after_epoch" in of_run]
    assert resumed, "one at least had begun"
    assert all(0 < epoch <= 40 for epoch in resumed)
    expected = undisturbed.scores()
    assert studies.scores() == {digest: expected[digest] for digest in studies.scores()}
    for run in studies.trained():
        history = MlflowClient(studies.uri).get_metric_history(run.info.run_id, "val_dice")
        assert [point.step for point in history] == list(range(1, 41)), "every epoch, each once"
    assert not list(checkpoints.iterdir()), "a finished trial leaves no checkpoint"


def test_a_trial_that_failed_is_trained_again_only_on_request_and_as_often_as_asked(
    discs: Path, tmp_path: Path
) -> None:
    studies = Studies(tmp_path, discs)

    def kill_first_worker() -> tuple[int, str]:
        process = studies.start("mask_equalization", *LONG)
        wait_until(lambda: bool(studies.training()), process)
        pid = studies.training()[0].data.tags["process"].split(":")[1]
        next(worker for worker in workers_of(process) if worker.pid == int(pid)).kill()
        said = process.communicate(timeout=120)[0]
        return process.returncode, said

    status, said = kill_first_worker()
    assert status == 1
    assert "1 trial(s) are missing:\n  mask_equalization: equalize_masks=" in said
    assert "its process died: killed, or out of memory" in said
    (failed,) = studies.runs("attributes.status = 'FAILED' and tags.role = 'trial'")
    assert "its process ended without a word" in failed.data.tags["failure"]

    status, said = studies.run("mask_equalization", *LONG)
    assert status == 1, "nobody asked for another try"
    assert "failed before, retries=1 trains it again: its process ended" in said
    assert len(studies.trained()) == 1

    status, said = studies.run("mask_equalization", *LONG, "--retries", "1")
    assert status == 0
    assert sorted(studies.times_trained().values()) == [1, 1]


def test_a_worker_that_dies_when_its_trial_is_done_costs_nothing(
    discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trial is finished in the store, its checkpoint is still there, and nobody heard of it."""
    real = Pool.run

    def dies_late(pool: Pool, jobs: Iterable[Job], on_tick: Callable[[EpochDone], None]) -> Iterator[Outcome]:
        mine = list(jobs)
        checkpoints = {job.trial: job.checkpoint for job in mine}
        for outcome in real(pool, mine, on_tick):
            checkpoints[outcome.trial].parent.mkdir(parents=True, exist_ok=True)
            checkpoints[outcome.trial].write_bytes(b"left behind")
            yield dataclasses.replace(outcome, failure="its process died: killed, or out of memory")

    monkeypatch.setattr(Pool, "run", dies_late)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert main(["mask_equalization", "--data", str(discs), *TINY, "--epochs", "1"]) == 0
    studies = Studies(tmp_path, discs)
    assert len(studies.trained()) == len(studies.runs("tags.role = 'trial'")) == 2
    assert not list((tmp_path / "mlruns" / "checkpoints").iterdir())


def test_what_a_trial_wrote_can_be_told_from_anything_else(undisturbed: Studies, tmp_path: Path) -> None:
    run = undisturbed.trained()[0]
    hashes = json.loads(run.data.tags["artifacts"])
    assert {"trial.json", "epochs.csv", "model/model.safetensors", "predictions.png"} <= hashes.keys()
    folder = Path(MlflowClient(undisturbed.uri).download_artifacts(run.info.run_id, "", str(tmp_path)))
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in hashes}
    assert found == hashes
