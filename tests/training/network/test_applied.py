"""What was asked for is what trained, for every factor that can be read back; and a factor that was not is named."""

from collections.abc import Callable

import pytest
import torch
from golden import BASE, CPU, LR, load, write_folders
from torch import nn

from training.data.split import Split
from training.network import applied, losses
from training.network.applied import expected_rates, find_not_applied
from training.network.batches import DeviceSet
from training.network.engine import Epoch, Training, begin, make_model, train
from training.study.trial import LOSSES, OPTIMIZERS, SCHEDULERS, Trial

TRIALS = [
    *(BASE.replace(optimizer=name, lr=LR.get(name, 5e-3), weight_decay=0.01) for name in OPTIMIZERS),
    *(BASE.replace(scheduler=name, epochs=9) for name in SCHEDULERS),
    *(BASE.replace(loss=name) for name in LOSSES),
    BASE.replace(dropout=0.3, seed=4),
    BASE.replace(width=4, optimizer="sgd", sgd_momentum=0.5, scheduler="onecycle", epochs=1),
    BASE.replace(scheduler="plateau", epochs=12, lr=1e-7),  # which waits in vain
]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[DeviceSet, Split]:
    return load(write_folders(tmp_path_factory.mktemp("applied")), "square", BASE)


def trained(trial: Trial, images: tuple[DeviceSet, Split]) -> tuple[Training, list[Epoch]]:
    training = begin(make_model(trial, 1, CPU), trial)
    return training, list(train(training, *images))


def name_of(trial: Trial) -> str:
    return f"{trial.loss}-{trial.optimizer}-{trial.scheduler}-{trial.epochs}-{trial.dropout:g}"


@pytest.mark.parametrize("trial", TRIALS, ids=name_of)
def test_every_factor_is_applied(trial: Trial, images: tuple[DeviceSet, Split]) -> None:
    assert find_not_applied(*trained(trial, images)) == []


def other_rate(training: Training) -> None:
    training.optimizer.param_groups[0]["lr"] *= 1.01


def other_decay(training: Training) -> None:
    training.optimizer.param_groups[0]["weight_decay"] = 0.02


def other_momentum(training: Training) -> None:
    training.optimizer.param_groups[0]["momentum"] = 0.8


def other_dropout(training: Training) -> None:
    next(one for one in training.model.modules() if isinstance(one, nn.Dropout)).p = 0.2


def other_optimizer(training: Training) -> None:
    training.optimizer = torch.optim.Adagrad(training.model.parameters(), training.trial.lr)


def a_weight_is_left_out(training: Training) -> None:
    training.optimizer.param_groups[0]["params"].pop()


def other_seed(training: Training) -> None:
    training.generator.manual_seed(7)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (other_rate, ["lr"]),
        (other_decay, ["weight_decay"]),
        (other_momentum, ["sgd_momentum"]),
        (other_dropout, ["dropout"]),
        (other_seed, ["seed"]),
        (a_weight_is_left_out, ["optimizer"]),
    ],
)
def test_what_was_not_applied_is_named(
    change: Callable[[Training], None], names: list[str], images: tuple[DeviceSet, Split]
) -> None:
    trial = BASE.replace(optimizer="sgd", lr=0.02)
    training = begin(make_model(trial, 1, CPU), trial)
    change(training)
    assert find_not_applied(training, list(train(training, *images))) == names


def test_another_optimizer_or_loss_is_named(images: tuple[DeviceSet, Split], monkeypatch: pytest.MonkeyPatch) -> None:
    training, epochs = trained(BASE.replace(optimizer="sgd", lr=0.02), images)
    other_optimizer(training)
    monkeypatch.setattr(applied, "CONSTANTS", {})
    monkeypatch.setattr(applied, "make_loss", lambda trial: losses.make_loss(trial.replace(loss="bce")))
    assert find_not_applied(training, epochs) == ["optimizer", "loss"]


def test_one_that_diverged_has_fewer_epochs_and_that_is_no_fault(images: tuple[DeviceSet, Split]) -> None:
    training, epochs = trained(BASE, images)
    assert find_not_applied(training, epochs[:1]) == ["epochs"]
    assert find_not_applied(training, epochs[:1], is_diverged=True) == []


def test_plateau_falls_by_ten_after_its_patience_and_not_below_its_floor() -> None:
    trial = BASE.replace(scheduler="plateau", lr=1e-2, epochs=40)
    rates = expected_rates(trial, [1.0] * 40)
    assert rates[:5] == [1e-2] * 5
    assert rates[5] == pytest.approx(1e-3)
    assert min(rates) == pytest.approx(1e-5)
