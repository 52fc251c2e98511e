"""A training that was stopped ends as if it had not been: every optimizer, schedule and generator, bit for bit."""

from pathlib import Path

import pytest
import torch

from training.data.reading import load_folder
from training.data.split import make_split
from training.network.batches import DeviceSet
from training.network.checkpoint import TrialProgress, read_checkpoint, write_checkpoint
from training.network.engine import Epoch, begin, make_model, train
from training.study.trial import OPTIMIZERS, SCHEDULERS, Trial

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]
CPU = torch.device("cpu")
SPLIT = make_split(tuple(map(str, range(20))), (0.1,) * 20, "fixed", 80)
TRIAL = Trial(loss="switching", optimizer="adam", lr=3e-3, epochs=4, image_size=32, augment="train", dropout=0.1)
CASES = [  # every optimizer and every schedule; once in bf16
    *((OPTIMIZERS[k], SCHEDULERS[k % len(SCHEDULERS)], "fp32") for k in range(len(OPTIMIZERS))),
    ("adam", "plateau", "bf16"),
]


@pytest.fixture(scope="module")
def images(discs: Path) -> DeviceSet:
    return DeviceSet.on(CPU, load_folder(discs, 32))


def numbers(epochs: list[Epoch]) -> list[dict[str, float]]:
    return [{**epoch.__dict__, "epoch_seconds": 0} for epoch in epochs]


@pytest.mark.parametrize(("optimizer", "scheduler", "precision"), CASES)
def test_a_training_that_was_stopped_ends_with_the_same_bits(
    optimizer: str, scheduler: str, precision: str, images: DeviceSet, tmp_path: Path
) -> None:
    trial = TRIAL.replace(optimizer=optimizer, scheduler=scheduler, precision=precision, plateau_patience=0.0)
    whole = begin(make_model(trial, 1, CPU), trial)
    undisturbed = list(train(whole, images, SPLIT))

    first = begin(make_model(trial, 1, CPU), trial)
    epochs = train(first, images, SPLIT)
    before = [next(epochs), next(epochs)]
    write_checkpoint(tmp_path / "c", first, TrialProgress(before, {}, 1.5))
    torch.rand(100)  # somebody else draws meanwhile

    second = begin(make_model(trial.replace(seed=9), 1, CPU), trial)
    progress = read_checkpoint(tmp_path / "c", second)
    assert progress.epochs == before
    assert progress.seconds == 1.5
    assert numbers(progress.epochs + list(train(second, images, SPLIT))) == numbers(undisturbed)
    ends, expected = second.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(ends[name], expected[name]) for name in expected)


def test_the_best_weights_so_far_are_kept(images: DeviceSet, tmp_path: Path) -> None:
    training = begin(make_model(TRIAL, 1, CPU), TRIAL)
    best = {name: value + 1 for name, value in training.model.state_dict().items()}
    write_checkpoint(tmp_path / "c", training, TrialProgress([], best, 0.0))
    progress = read_checkpoint(tmp_path / "c", begin(make_model(TRIAL, 1, CPU), TRIAL))
    assert all(torch.equal(progress.best_weights[name], best[name]) for name in best)


def test_a_half_written_checkpoint_is_never_seen(images: DeviceSet, tmp_path: Path) -> None:
    training = begin(make_model(TRIAL, 1, CPU), TRIAL)
    write_checkpoint(tmp_path / "c", training, TrialProgress([], {}, 0.0))
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    (tmp_path / "cut").write_bytes((tmp_path / "c").read_bytes()[:1000])
    with pytest.raises(ValueError, match="this is no checkpoint of such a trial"):
        read_checkpoint(tmp_path / "cut", training)
    wider = TRIAL.replace(width=32)
    with pytest.raises(ValueError, match="this is no checkpoint of such a trial"):
        read_checkpoint(tmp_path / "c", begin(make_model(wider, 1, CPU), wider))
