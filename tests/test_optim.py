"""Six optimizers and three schedules do what their names say."""

import pytest
import torch
from torch import nn

from training.optim import make_optimizer, make_scheduler
from training.trial import OPTIMIZERS, Trial

TRIAL = Trial(loss="bce", optimizer="sgd", lr=0.1, epochs=30)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_the_report_lowers_a_bowl(name: str) -> None:
    point = nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = make_optimizer(TRIAL.replace(optimizer=name, lr=1e-2), [point])
    assert type(optimizer).__name__.lower() == name
    before = point.square().sum().item()
    for _ in range(20):
        optimizer.zero_grad()
        point.square().sum().backward()
        optimizer.step()
    assert point.square().sum().item() < before


@pytest.mark.parametrize("name", OPTIMIZERS)
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
    seen = lrs(TRIAL.replace(scheduler="plateau", epochs=40), [*falling, *[0.1] * 5])
    assert seen == pytest.approx([0.1] * 13 + [0.01] * 2)


def test_none_changes_nothing() -> None:
    assert lrs(TRIAL, [1.0] * 30) == [0.1] * 30
