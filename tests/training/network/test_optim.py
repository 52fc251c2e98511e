"""Every optimizer and schedule does what its name says."""

import pytest
import torch
from torch import nn

from training.network.optim import make_optimizer, make_scheduler
from training.study.studies import REPORT_OPTIMIZERS
from training.study.trial import OPTIMIZERS, SCHEDULERS, Trial

TRIAL = Trial(loss="bce", optimizer="sgd", lr=0.1, epochs=30)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_a_bowl(name: str) -> None:
    point = nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = make_optimizer(TRIAL.replace(optimizer=name, lr=1e-2), [point])
    assert type(optimizer).__name__.lower() == name
    before = point.square().sum().item()
    for _ in range(20):
        optimizer.zero_grad()
        point.square().sum().backward()
        optimizer.step()
    assert point.square().sum().item() < before


def first_step(trial: Trial) -> float:
    """How far the first step goes against a gradient of 0.5."""
    point = nn.Parameter(torch.zeros(1))
    optimizer = make_optimizer(trial, [point])
    point.grad = torch.tensor([0.5])
    optimizer.step()
    return -point.item()


@pytest.mark.parametrize(
    ("trial", "step"),
    [
        (TRIAL.replace(optimizer="adagrad"), 0.1 * 0.5 / 0.5),
        (TRIAL.replace(optimizer="adagrad", adagrad_accumulator=0.1), 0.1 * 0.5 / (0.25 + 0.1) ** 0.5),
        (TRIAL.replace(optimizer="rmsprop"), 0.1 * 0.5 / (0.01 * 0.25) ** 0.5),
        (TRIAL.replace(optimizer="rmsprop", rmsprop_alpha=0.9), 0.1 * 0.5 / (0.1 * 0.25) ** 0.5),
        (TRIAL.replace(optimizer="adadelta"), 0.1 * 0.5 * (1e-6 / (0.1 * 0.25 + 1e-6)) ** 0.5),
        (
            TRIAL.replace(optimizer="adadelta", adadelta_rho=0.95, adadelta_eps=1e-7),
            0.1 * 0.5 * (1e-7 / (0.05 * 0.25 + 1e-7)) ** 0.5,
        ),
    ],
    ids=lambda value: value.optimizer if isinstance(value, Trial) else "",
)
def test_the_first_step_is_what_the_constants_say(trial: Trial, step: float) -> None:
    assert first_step(trial) == pytest.approx(step, rel=1e-5)


def test_sgd_without_momentum_takes_equal_steps_for_equal_gradients() -> None:
    def second_step(momentum: float) -> float:
        point = nn.Parameter(torch.zeros(1))
        optimizer = make_optimizer(TRIAL.replace(sgd_momentum=momentum), [point])
        seen = []
        for _ in range(2):
            point.grad = torch.tensor([0.5])
            optimizer.step()
            seen.append(-point.item())
        return seen[1] - seen[0]

    assert second_step(0.0) == pytest.approx(0.1 * 0.5)
    assert second_step(0.9) == pytest.approx(0.1 * 0.5 * 1.9)


@pytest.mark.parametrize("name", REPORT_OPTIMIZERS)
def test_weight_decay_is_coupled_so_it_acts_as_a_gradient_of_wd_times_w(name: str) -> None:
    decayed, pulled = (nn.Parameter(torch.tensor([2.0])) for _ in range(2))
    trial = TRIAL.replace(optimizer=name, lr=1e-2)
    with_decay, without = make_optimizer(trial.replace(weight_decay=0.1), [decayed]), make_optimizer(trial, [pulled])
    for _ in range(3):
        decayed.grad = torch.zeros(1)
        pulled.grad = 0.1 * pulled.detach()
        with_decay.step()
        without.step()
    torch.testing.assert_close(decayed, pulled)


def test_adamw_decays_the_weights_themselves() -> None:
    """w <- w (1 - lr wd), whatever the gradient's size (Loshchilov and Hutter 2019, Algorithm 2)."""
    point = nn.Parameter(torch.tensor([2.0]))
    optimizer = make_optimizer(TRIAL.replace(optimizer="adamw", lr=1e-2, weight_decay=0.1), [point])
    point.grad = torch.zeros(1)
    optimizer.step()
    assert point.item() == pytest.approx(2 * (1 - 1e-2 * 0.1))


def lrs(trial: Trial, val_losses: list[float]) -> list[float]:
    optimizer = make_optimizer(trial, [nn.Parameter(torch.zeros(1))])
    after_epoch = make_scheduler(trial, optimizer)
    seen = []
    for val_loss in val_losses:
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        after_epoch(val_loss)
    return seen


def test_step_divides_by_ten_after_every_third_of_the_epochs() -> None:
    seen = lrs(TRIAL.replace(scheduler="step"), [1.0] * 30)
    assert seen == pytest.approx([0.1] * 10 + [0.01] * 10 + [0.001] * 10)


def test_plateau_divides_by_ten_when_5_percent_of_the_epochs_bring_nothing() -> None:
    falling = [1 / (1 + k) for k in range(10)]
    seen = lrs(TRIAL.replace(scheduler="plateau", epochs=100), [*falling, *[0.1] * 8])
    assert seen == pytest.approx([0.1] * 16 + [0.01] * 2)


@pytest.mark.parametrize("epochs", [1, 5, 20, 70])
def test_plateau_waits_three_epochs_however_short_the_trial(epochs: int) -> None:
    seen = lrs(TRIAL.replace(scheduler="plateau", epochs=epochs), [0.5, *[1.0] * 5])
    assert seen == pytest.approx([0.1] * 5 + [0.01]) if epochs < 70 else [0.1] * 6


def test_plateau_never_falls_below_a_thousandth_of_the_learning_rate() -> None:
    seen = lrs(TRIAL.replace(scheduler="plateau"), [1.0] * 60)
    assert [round(lr, 6) for lr in sorted(set(seen))] == [1e-4, 1e-3, 1e-2, 1e-1]


def test_none_changes_nothing() -> None:
    assert lrs(TRIAL, [1.0] * 30) == [0.1] * 30


def test_cosine_falls_from_the_learning_rate_towards_0() -> None:
    seen = lrs(TRIAL.replace(scheduler="cosine", epochs=4), [1.0] * 4)
    assert seen == pytest.approx([0.1, 0.1 * (1 + 2**-0.5) / 2, 0.05, 0.1 * (1 - 2**-0.5) / 2])


def test_one_cycle_climbs_to_the_learning_rate_in_a_third_and_ends_near_0() -> None:
    seen = lrs(TRIAL.replace(scheduler="onecycle", epochs=10), [1.0] * 10)
    assert seen[0] == pytest.approx(0.1 / 25)
    assert seen.index(max(seen)) == 2
    assert max(seen) == pytest.approx(0.1)
    assert seen[-1] < 1e-6


def test_cyclic_swings_four_times_between_a_tenth_and_the_learning_rate() -> None:
    seen = lrs(TRIAL.replace(scheduler="cyclic", epochs=32), [1.0] * 32)
    assert [epoch for epoch, lr in enumerate(seen) if lr == pytest.approx(0.1)] == [4, 12, 20, 28]
    assert [epoch for epoch, lr in enumerate(seen) if lr == pytest.approx(0.01)] == [0, 8, 16, 24]


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_every_schedule_takes_the_shortest_trials(name: str, epochs: int) -> None:
    seen = lrs(TRIAL.replace(scheduler=name, epochs=epochs), [1.0] * epochs)
    assert all(0 < lr <= 0.1 + 1e-9 for lr in seen)


def test_a_schedule_leaves_the_momentum_alone() -> None:
    for name in SCHEDULERS:
        optimizer = make_optimizer(TRIAL.replace(scheduler=name), [nn.Parameter(torch.zeros(1))])
        make_scheduler(TRIAL.replace(scheduler=name), optimizer)
        assert optimizer.param_groups[0]["momentum"] == 0.9
