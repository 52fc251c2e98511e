"""Real worker processes: a trial that fails, or whose process is killed, takes no other with it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from training.command.machine import MAX_WORKERS_ON_GPU, Machine, find_workers
from training.data.reading import load_folder
from training.data.split import Split, make_split
from training.execution.jobs import EpochDone, Job, Outcome
from training.execution.pool import Pool
from training.study.trial import Trial
from training.tracking.runs import begin_run, connect

pytestmark = pytest.mark.slow

TRIAL = Trial(loss="dice", optimizer="adam", lr=1e-3, epochs=2, image_size=32)
SPLIT = make_split(tuple(map(str, range(20))), (0.1,) * 20, "fixed", 80)


@pytest.fixture
def pool(discs: Path, new_store: Path) -> Iterator[Pool]:
    pool = Pool(load_folder(discs, 32), Machine(device=torch.device("cpu"), workers=2))
    yield pool
    pool.close()


def jobs(trials: list[Trial], split: Split = SPLIT) -> list[Job]:
    client, experiment = connect()
    parent = begin_run(client, experiment, "study", {})
    return [
        Job(
            trial=trial,
            name=str(number),
            experiment_id=experiment,
            parent=parent,
            tags={},
            result_hash=f"{trial.digest}{number}",
            split=split,
            checkpoint=Path(f"{number}.safetensors"),
        )
        for number, trial in enumerate(trials)
    ]


def test_a_killed_process_costs_its_own_trial_only_and_is_replaced(pool: Pool) -> None:
    doomed = TRIAL.replace(epochs=10_000)
    trials = [doomed, *(TRIAL.replace(seed=seed) for seed in range(1, 5))]
    killed = []

    def kill(epoch_done: EpochDone) -> None:
        if epoch_done.trial == doomed and not killed:
            slot = next(slot for slot in pool.slots if doomed in [slot.trial])
            killed.extend(slot.executor._processes)
            os.kill(killed[0], signal.SIGKILL)

    outcomes: dict[Trial, Outcome] = {outcome.trial: outcome for outcome in pool.run(jobs(trials), kill)}
    assert outcomes[doomed].failure == "its process died: killed, or out of memory"
    assert [outcomes[trial].failure for trial in trials[1:]] == [""] * 4
    assert all(outcomes[trial].dice >= 0 for trial in trials[1:])
    assert not any(pid in slot.executor._processes for slot in pool.slots for pid in killed)
    again = list(pool.run(jobs([TRIAL.replace(seed=8), TRIAL.replace(seed=9)]), lambda epoch_done: None))
    assert [outcome.failure for outcome in again] == ["", ""], "both workers are at work again"


def test_an_exception_in_a_trial_is_its_failure_with_the_reason(pool: Pool) -> None:
    broken = Split(train=SPLIT.train, val=(10**6,), test=())
    first, second = jobs([TRIAL]), jobs([TRIAL.replace(seed=1)], broken)
    outcomes = {outcome.trial.seed: outcome for outcome in pool.run(first + second, lambda epoch_done: None)}
    assert outcomes[0].failure == ""
    assert outcomes[1].failure.startswith("IndexError: ")


def test_as_many_workers_as_cores_or_as_fill_a_gpu() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    cores = os.cpu_count() or 1
    assert find_workers("auto", cpu, 8 * 128**2) == cores
    assert find_workers("auto", gpu, 32 * 256**2) == 1
    assert find_workers("auto", gpu, 16 * 256**2) == min(2, cores)
    assert find_workers("auto", gpu, 64**2) == min(MAX_WORKERS_ON_GPU, cores)
    assert find_workers("3", gpu, 1) == 3
    for wrong in ("0", "-1", "many", "1.5"):
        with pytest.raises(ValueError, match=r"workers=.*; it must be auto or a whole number of at least 1"):
            find_workers(wrong, cpu, 1)
