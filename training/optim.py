"""The report's six optimizers and three schedules, as torch has them."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import optim
from torch.nn import Parameter

from training.trial import Trial

DECAY = 0.1  # both schedules divide the learning rate by ten


def make_optimizer(trial: Trial, parameters: Iterable[Parameter]) -> optim.Optimizer:
    """torch's defaults but for lr, weight_decay (coupled L2) and SGD's momentum."""
    classes: dict[str, type[optim.Optimizer]] = {
        "adam": optim.Adam,
        "adagrad": optim.Adagrad,
        "adamax": optim.Adamax,
        "rmsprop": optim.RMSprop,
        "sgd": optim.SGD,
        "adadelta": optim.Adadelta,
    }
    options: dict[str, Any] = {"lr": trial.lr, "weight_decay": trial.weight_decay}
    if trial.optimizer == "sgd":
        options["momentum"] = trial.sgd_momentum
    if trial.optimizer in ("adam", "adagrad", "sgd"):
        options["fused"] = True
    else:
        options["foreach"] = True
    return classes[trial.optimizer](parameters, **options)


def make_scheduler(trial: Trial, optimizer: optim.Optimizer) -> Callable[[float], None]:
    """What to call after each epoch, with its validation loss.

    step: lr / 10 after every `step_length` of the epochs. plateau: lr / 10 after `plateau_patience` of the
    epochs without a lower validation loss.
    """
    if trial.scheduler == "step":
        steps = optim.lr_scheduler.StepLR(optimizer, max(1, round(trial.epochs * trial.step_length)), DECAY)
        return lambda val_loss: steps.step()
    if trial.scheduler == "plateau":
        patience = max(1, round(trial.epochs * trial.plateau_patience))
        plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=DECAY, patience=patience)
        return plateau.step
    return lambda val_loss: None
