"""Was every factor of a trial really applied? Read back after its last epoch, from the objects that trained it.

The optimizer's class, constants, decay and the weights it holds; the rate of each epoch; dropout and width of the
network; the loss on a batch of four pixels; seed and epochs. What it should be is worked out here once more, from the
trial alone. Not read back: precision, augmentation, equalized masks, and which images train.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

from training.network.engine import Epoch, Training
from training.network.losses import make_loss
from training.network.optim import CYCLES, DECAY, MIN_PATIENCE, PLATEAU_FLOOR
from training.study.trial import Trial

LOGITS, TARGET = (-2.0, 0.5, 1.0, 3.0), (0.0, 0.0, 1.0, 1.0)  # of the batch on which the loss is asked
CONSTANTS = {  # by optimizer: its own name for a constant, and the trial's
    "sgd": {"momentum": "sgd_momentum"},
    "adagrad": {"initial_accumulator_value": "adagrad_accumulator"},
    "rmsprop": {"alpha": "rmsprop_alpha"},
    "adadelta": {"rho": "adadelta_rho", "eps": "adadelta_eps"},
}


def find_not_applied(training: Training, epochs: Sequence[Epoch], is_diverged: bool = False) -> list[str]:
    """The factors that the trial asked for and did not get, by name; one that diverged was stopped before its end."""
    trial, optimizer = training.trial, training.optimizer
    group, drops = optimizer.param_groups[0], [one for one in training.model.modules() if isinstance(one, nn.Dropout)]
    held = {id(weight) for one in optimizer.param_groups for weight in one["params"]}
    first = next(weight for weight in training.model.parameters() if weight.ndim == 4)
    wanted = expected_rates(trial, [epoch.val_loss for epoch in epochs])
    applied = {
        "optimizer": type(optimizer).__name__.lower() == trial.optimizer
        and held == {id(weight) for weight in training.model.parameters()},
        "weight_decay": all(one["weight_decay"] == trial.weight_decay for one in optimizer.param_groups),
        "lr": _alike([epoch.lr for epoch in epochs], wanted),
        "dropout": {one.p for one in drops} == {trial.dropout} or not (drops or trial.dropout),
        "width": first.shape[0] == trial.width,
        "loss": _alike([float(_loss(trial))], [_loss_by_hand(trial)]),
        "seed": training.generator.initial_seed() == trial.seed,
        "epochs": is_diverged or len(epochs) == training.done == trial.epochs,
        **{ours: group[name] == getattr(trial, ours) for name, ours in CONSTANTS.get(trial.optimizer, {}).items()},
    }
    return [name for name, holds in applied.items() if not holds]


def expected_rates(trial: Trial, val_losses: Sequence[float]) -> list[float]:
    """The learning rate of each epoch, by the schedule's formula; plateau looks at the validation losses before it."""
    count, lr = len(val_losses), trial.lr
    if trial.scheduler == "step":
        length = max(1, round(trial.epochs * trial.step_length))
        return [lr * DECAY ** (epoch // length) for epoch in range(count)]
    if trial.scheduler == "cosine":
        return [lr * (1 + math.cos(math.pi * epoch / trial.epochs)) / 2 for epoch in range(count)]
    if trial.scheduler == "cyclic":
        half = max(1, round(trial.epochs / CYCLES / 2))
        climbed = (1 - abs(epoch % (2 * half) / half - 1) for epoch in range(count))
        return [lr * (DECAY + (1 - DECAY) * share) for share in climbed]
    if trial.scheduler == "onecycle":
        return [_one_cycle(trial, epoch) for epoch in range(count)]
    if trial.scheduler == "plateau":
        return _plateau(trial, val_losses)
    return [lr] * count


def _one_cycle(trial: Trial, epoch: int) -> float:
    """Up from a 25th of the rate in 30 % of the epochs, then down to a 10,000th of that; along half a cosine each."""
    total = max(2, trial.epochs)
    low, top, last = trial.lr / 25, 0.3 * total - 1, total - 1
    if epoch <= top:
        start, end, share = low, trial.lr, epoch / top
    else:
        start, end, share = trial.lr, low / 1e4, (epoch - top) / (last - top)
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def _plateau(trial: Trial, val_losses: Sequence[float]) -> list[float]:
    rates, rate, best, waited = [], trial.lr, math.inf, 0
    for loss in val_losses:
        rates.append(rate)
        best, waited = (loss, 0) if loss < best * (1 - 1e-4) else (best, waited + 1)
        if waited > max(MIN_PATIENCE, round(trial.epochs * trial.plateau_patience)):
            lower, waited = max(rate * DECAY, trial.lr * PLATEAU_FLOOR), 0
            rate = lower if rate - lower > 1e-8 else rate
    return rates


def _loss(trial: Trial) -> torch.Tensor:
    logits, target = (torch.tensor(values, dtype=torch.float64).reshape(1, 1, 2, 2) for values in (LOGITS, TARGET))
    return make_loss(trial)(logits, target, None)


def _loss_by_hand(trial: Trial) -> float:
    """Of LOGITS and TARGET; half of whose pixels are foreground."""
    probability = [1 / (1 + math.exp(-logit)) for logit in LOGITS]
    bce = -sum(math.log(p if t else 1 - p) for p, t in zip(probability, TARGET, strict=True)) / len(TARGET)
    dice = 1 - _soft_dice(probability, TARGET)
    inverse = 1 - _soft_dice([1 - p for p in probability], [1 - t for t in TARGET])
    lead = trial.switching_lam if sum(TARGET) / len(TARGET) > trial.switching_tau else 1 - trial.switching_lam
    return {
        "bce": bce,
        "dice": bce + dice,
        "inverse_dice": bce + dice + inverse,
        "switching": bce + lead * dice + (1 - lead) * inverse,
    }[trial.loss]


def _soft_dice(probability: Sequence[float], target: Sequence[float]) -> float:
    return 2 * sum(p * t for p, t in zip(probability, target, strict=True)) / (sum(probability) + sum(target))


def _alike(found: Sequence[float], wanted: Sequence[float]) -> bool:
    return len(found) == len(wanted) and all(
        math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-12) for one, other in zip(found, wanted, strict=True)
    )
