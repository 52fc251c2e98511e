"""What `tune` chooses from: every factor it may set, declared once, whatever the strategy.

On a table (analysis/replays) strategies choose from fewer values of the same factors: another space.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from training.study.trial import LOSSES, OPTIMIZERS, Trial

SEEDS_APART = 100_000  # more than any number of a trial


def to_digits(rate: float) -> float:
    """A rate as it is named: to three digits."""
    return float(f"{rate:.3g}")


@dataclass(frozen=True)
class Choice:
    """One of several values; only where another factor has a certain value, if `only_if` names one."""

    name: str
    values: tuple[Any, ...]
    only_if: tuple[str, Any] | None = None

    def at(self, share: float) -> Any:
        """The value at a share (0 to below 1) of the range."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def holds(self, value: Any) -> bool:
        return value in self.values


@dataclass(frozen=True)
class Rate:
    """A number whose logarithm is spread evenly."""

    name: str
    low: float
    high: float
    only_if: None = None

    def at(self, share: float) -> float:
        """The value at a share of the range, to three digits."""
        return to_digits(10 ** (math.log10(self.low) + share * math.log10(self.high / self.low)))

    def holds(self, value: Any) -> bool:
        return self.low <= value <= self.high


Factor = Choice | Rate
Space = tuple[Factor, ...]
SPACE: Space = (
    Choice("loss", LOSSES),
    Choice("optimizer", OPTIMIZERS),
    Rate("lr", 1e-5, 1.0),
    Choice("scheduler", ("none", "step", "plateau", "cosine", "onecycle")),
    Choice("weight_decay", (0.0, 0.001, 0.01, 0.1)),
    Choice("dropout", (0.0, 0.1, 0.2, 0.5)),
    Choice("augment", ("none", "train")),
    Choice("sgd_momentum", (0.9, 0.0, 0.99), only_if=("optimizer", "sgd")),
)
FACTORS = tuple(factor.name for factor in SPACE)


def choose(value_of: Callable[[Factor], Any], space: Space = SPACE) -> dict[str, Any]:
    """A value for each factor, in order; for a conditional one only where what was chosen before lets it apply."""
    chosen: dict[str, Any] = {}
    for factor in space:
        if factor.only_if is None or chosen.get(factor.only_if[0]) == factor.only_if[1]:
            chosen[factor.name] = value_of(factor)
    return chosen


def from_shares(base: Trial, shares: Sequence[float], space: Space = SPACE) -> Trial:
    """The trial at a point of the unit cube: a share (0 to below 1) for each factor of the space, in its order."""
    return base.replace(**choose(lambda factor: factor.at(shares[space.index(factor)]), space))


def seed_of(base: Trial, number: int) -> int:
    """What seeds the number-th suggestion of a strategy: another one for each number and each seed of `base`."""
    return number + SEEDS_APART * base.seed


def point_of(trial: Trial, space: Space = SPACE) -> dict[str, Any]:
    """The factors of the space that apply to a trial, and their values."""
    return choose(lambda factor: getattr(trial, factor.name), space)


def holds(base: Trial, trial: Trial) -> bool:
    """Whether a trial differs from `base` only by what SPACE may set, and by its seed."""
    point = point_of(trial)
    inside = all(factor.holds(point[factor.name]) for factor in SPACE if factor.name in point)
    return inside and base.replace(**point, seed=trial.seed) == trial
