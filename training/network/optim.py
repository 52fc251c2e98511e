"""The report's six optimizers and three schedules, and those it left for later, as torch has them."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import optim
from torch.nn import Parameter

from training.study.trial import Trial

DECAY = 0.1  # step and plateau divide the learning rate by ten; cyclic swings between a tenth and all of it
CYCLES = 4  # of the cyclic schedule, in a trial; Smith 2017 advises 3 or more


def make_optimizer(trial: Trial, parameters: Iterable[Parameter]) -> optim.Optimizer:
    """torch's defaults but for lr, weight_decay (coupled L2; decoupled for AdamW) and SGD's momentum."""
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
    if trial.optimizer == "sgd":
        options["momentum"] = trial.sgd_momentum
    if trial.optimizer in ("adam", "adamw", "adagrad", "sgd"):
        options["fused"] = True
    else:
        options["foreach"] = True
    return classes[trial.optimizer](parameters, **options)


def make_scheduler(trial: Trial, optimizer: optim.Optimizer) -> Callable[[float], None]:
    """What to call after each epoch, with its validation loss; `trial.lr` is the highest rate of all.

    step: lr / 10 after every `step_length` of the epochs. plateau: lr / 10 after `plateau_patience` of the
    epochs without a lower validation loss. cosine: from lr to 0 over the epochs (arXiv:1608.03983, no restart).
    onecycle: up to lr in 30 % of the epochs, then down to almost 0 (arXiv:1708.07120). cyclic: triangles between
    lr / 10 and lr (arXiv:1506.01186). None of them touches the momentum, so that a schedule is one factor.
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
        patience = max(1, round(trial.epochs * trial.plateau_patience))
        plateau = rates.ReduceLROnPlateau(optimizer, factor=DECAY, patience=patience)
        return plateau.step
    return lambda val_loss: None
