"""The report's six optimizers and three schedules, and those it left for later, as torch has them."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import optim
from torch.nn import Parameter

from training.study.trial import Trial

DECAY = 0.1  # step and plateau divide the learning rate by ten; cyclic swings between a tenth and all of it
MIN_PATIENCE = 3  # epochs; with 1, a noisy validation loss takes the rate from 1e-2 to 1e-7 and the network freezes
PLATEAU_FLOOR = 1e-3  # of the learning rate: three divisions; smaller steps no longer move the network
CYCLES = 4  # of the cyclic schedule, in a trial; Smith 2017 advises 3 or more


def make_optimizer(trial: Trial, parameters: Iterable[Parameter]) -> optim.Optimizer:
    """torch's, with the trial's constants; weight_decay is coupled (L2), but decoupled for AdamW."""
    classes: dict[str, type[optim.Optimizer]] = {
        "adam": optim.Adam,
        "adagrad": optim.Adagrad,
        "adamax": optim.Adamax,
        "rmsprop": optim.RMSprop,
        "sgd": optim.SGD,
        "adadelta": optim.Adadelta,
        "adamw": optim.AdamW,
    }
    options: dict[str, Any] = {"lr": trial.lr, "weight_decay": trial.weight_decay}
    constants: dict[str, dict[str, float]] = {
        "sgd": {"momentum": trial.sgd_momentum},
        "adagrad": {"initial_accumulator_value": trial.adagrad_accumulator},
        "rmsprop": {"alpha": trial.rmsprop_alpha},
        "adadelta": {"rho": trial.adadelta_rho, "eps": trial.adadelta_eps},
    }
    options |= constants.get(trial.optimizer, {})
    if trial.optimizer in ("adam", "adamw", "adagrad", "sgd"):
        options["fused"] = True
    else:
        options["foreach"] = True
    return classes[trial.optimizer](parameters, **options)


def make_scheduler(trial: Trial, optimizer: optim.Optimizer) -> Callable[[float], None]:
    """What to call after each epoch, with its validation loss; `trial.lr` is the highest rate of all.

    step: lr / 10 after every `step_length` of the epochs. plateau: lr / 10 after `plateau_patience` of the epochs, at
    least MIN_PATIENCE, without a lower validation loss; not below PLATEAU_FLOOR of lr. cosine: from lr to 0 over the
    epochs (arXiv:1608.03983, no restart). onecycle: up to lr in 30 % of the epochs, then down to almost 0
    (arXiv:1708.07120). cyclic: triangles between lr / 10 and lr (arXiv:1506.01186). None of them touches the momentum,
    so that a schedule is one factor.
    """
    rates = optim.lr_scheduler
    if trial.scheduler == "cosine":
        cosine = rates.CosineAnnealingLR(optimizer, trial.epochs)
        return lambda val_loss: cosine.step()
    if trial.scheduler == "onecycle":
        onecycle = rates.OneCycleLR(optimizer, trial.lr, total_steps=max(2, trial.epochs), cycle_momentum=False)
        return lambda val_loss: onecycle.step()
    if trial.scheduler == "cyclic":
        half = max(1, round(trial.epochs / CYCLES / 2))
        cyclic = rates.CyclicLR(optimizer, trial.lr * DECAY, trial.lr, step_size_up=half, cycle_momentum=False)
        return lambda val_loss: cyclic.step()
    if trial.scheduler == "step":
        steps = rates.StepLR(optimizer, max(1, round(trial.epochs * trial.step_length)), DECAY)
        return lambda val_loss: steps.step()
    if trial.scheduler == "plateau":
        patience = max(MIN_PATIENCE, round(trial.epochs * trial.plateau_patience))
        floor = trial.lr * PLATEAU_FLOOR
        plateau = rates.ReduceLROnPlateau(optimizer, factor=DECAY, patience=patience, min_lr=floor)
        return plateau.step
    return lambda val_loss: None
