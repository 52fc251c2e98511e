"""Training computes the golden numbers, to 1e-4, from the start and from a checkpoint: a change of one percent shows.

Where this fails, something changed what training computes. If that was meant: raise RESULTS_VERSION
(training/execution/identity.py), so that no stored trial is reused, and write the numbers anew:
`python tests/golden.py`.
"""

import json
from pathlib import Path

import golden
import pytest
import torch

from training.execution.identity import RESULTS_VERSION
from training.network.checkpoint import TrialProgress, read_checkpoint, write_checkpoint
from training.network.engine import begin, make_model, train
from training.study.trial import Trial

pytestmark = pytest.mark.usefixtures("one_thread")
GOLDEN = json.loads(golden.PATH.read_text())
CURE = (
    "what training computes has changed. If that was meant, raise RESULTS_VERSION (training/execution/identity.py), so "
    "that no stored trial is reused, and write the golden numbers anew: python tests/golden.py"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return golden.write_folders(tmp_path_factory.mktemp("data") / "golden")


def check(name: str, epochs: list[dict[str, float]]) -> None:
    for epoch, numbers in zip(epochs, GOLDEN["trials"][name]["epochs"], strict=True):
        assert epoch == pytest.approx(numbers, rel=1e-4, abs=1e-9), f"{name}: {CURE}"


@pytest.mark.parametrize("name", golden.WANTED)
def test_every_epoch_is_golden(name: str, folder: Path) -> None:
    trial = Trial(**GOLDEN["trials"][name]["trial"])
    check(name, golden.run(golden.load(folder, name, trial), trial))


@pytest.mark.parametrize("name", golden.WANTED)
def test_every_epoch_is_golden_from_a_checkpoint_too(name: str, folder: Path, tmp_path: Path) -> None:
    trial = Trial(**GOLDEN["trials"][name]["trial"])
    data = golden.load(folder, name, trial)
    first = begin(make_model(trial, 1, golden.CPU), trial)
    before = [next(train(first, *data))]
    write_checkpoint(tmp_path / "c", first, TrialProgress(before, {}, 1.0))
    torch.rand(100)  # somebody else draws meanwhile
    second = begin(make_model(trial.replace(seed=trial.seed + 1), 1, golden.CPU), trial)
    progress = read_checkpoint(tmp_path / "c", second)
    check(name, [golden.to_numbers(epoch) for epoch in [*progress.epochs, *train(second, *data)]])


def test_the_golden_numbers_are_of_this_version_of_the_results_and_of_these_trials() -> None:
    assert GOLDEN["results_version"] == RESULTS_VERSION, CURE
    for name, wanted in golden.WANTED.items():
        trial = Trial(**GOLDEN["trials"][name]["trial"])
        assert trial == wanted.replace(seed=trial.seed), CURE
