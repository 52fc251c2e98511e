"""What a learning curve says beside its best epoch. Validation Dice of each epoch in, numbers out."""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

TARGET_SHARE = 0.9  # of the highest validation Dice among trials that are compared: a Dice common to them
TAIL = 0.1  # share of the epochs, at least one


def tail_mean(dices: Sequence[float]) -> float:
    """The mean of the last tenth of the epochs: where a training ended, less the luck of its last epoch."""
    return fmean(dices[-max(1, round(TAIL * len(dices))) :])


def roughness(dices: Sequence[float]) -> float:
    """The mean absolute change from one epoch to the next; nan of fewer than two epochs."""
    return fmean(abs(after - before) for before, after in pairwise(dices)) if len(dices) > 1 else math.nan


def epochs_to(target: float, dices: Sequence[float]) -> int:
    """The first epoch, from 1, that reaches the target; as many as there are where none does."""
    reached = (number for number, dice in enumerate(dices, start=1) if dice >= target)
    return next(reached, len(dices))
