"""A full grid: every combination of a few values of each factor, with two seeds of each. It makes a table on which any
strategy can be replayed without training (docs/tuning.md).

A replay chooses a cell by the validation Dice of one seed and is judged by the other seed's Dice on images that had no
part in it. The test images are not these: they belong to promotions, and a table that lies open for everybody to choose
from would spend them. So a cell trains on JUDGE_PERCENT of all images less than the protocol has for training, and the
development images that are left judge. No epoch and no cell is chosen by them.
"""

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np

from training.study.search import DECADES
from training.study.space import SPACE, Choice, Factor, Rate, Space, to_digits
from training.study.studies import REPORT_OPTIMIZERS, Study
from training.study.trial import LOSSES, Trial

VALUES = {  # every path of the report's stages, and of any order of them, lies in it
    "loss": LOSSES,
    "optimizer": REPORT_OPTIMIZERS,
    "lr": DECADES,
    "scheduler": ("none", "step", "plateau"),
    "weight_decay": (0.0, 0.01),
    "dropout": (0.0, 0.2),
}
NUM_CELLS = math.prod(map(len, VALUES.values()))
SEEDS = (2000, 2001)  # that no study has: a trial that a study trained was not judged
JUDGE_PERCENT = 20  # of all images
GRID = Study(
    name="grid",
    question="What does every cell of a full grid come to, twice?",
    scientific=tuple(VALUES),
    epochs=150,
    is_table=True,
)


def grid_trials(start: Trial, cells: str = "all") -> tuple[Trial, ...]:
    """Both seeds of the first `cells` cells, in an order drawn once: as far as it gets, it is a fair sample of all.

    Raises ValueError for what is no number of cells.
    """
    if cells != "all" and not (cells.isdecimal() and 1 <= int(cells) <= NUM_CELLS):
        raise ValueError(f"cells={cells!r} must be a whole number from 1 to {NUM_CELLS}, or all")
    combinations = list(itertools.product(*VALUES.values()))
    order = np.random.default_rng(0).permutation(NUM_CELLS)[: None if cells == "all" else int(cells)]
    return tuple(
        start.replace(**dict(zip(VALUES, combinations[index], strict=True)), seed=seed)
        for index in order
        for seed in SEEDS
    )


@dataclass(frozen=True)
class Cells:
    """Those cells of a grid that are there: what players play on."""

    trials: tuple[Trial, ...]  # in full, of seed 0

    @functools.cached_property
    def space(self) -> Space:
        """What strategies choose from: factors with several values, and these. A rate has half a step more at both
        ends, so that all rates are as likely.
        """
        found: list[Factor] = []
        for factor in SPACE:
            there = sorted({getattr(trial, factor.name) for trial in self.trials}) if factor.name in VALUES else []
            if len(there) < 2:
                continue
            if isinstance(factor, Choice):
                found.append(Choice(factor.name, tuple(filter(there.__contains__, factor.values))))
            else:
                low, high = there[0] ** 1.5 / there[1] ** 0.5, there[-1] ** 1.5 / there[-2] ** 0.5
                found.append(Rate(factor.name, to_digits(low), to_digits(high)))
        return tuple(found)

    def nearest(self, trial: Trial) -> int:
        """The place of the cell that differs in the fewest factors; a step of the rates counts as one. The first of
        equals.
        """
        distance = np.zeros(len(self.trials))
        for factor, values in self._columns.items():
            if factor == "lr":
                distance += np.abs(values - math.log10(trial.lr)) / self._step
            else:
                distance += values != getattr(trial, factor)
        return int(distance.argmin())

    @functools.cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        """The cells' values by factor; of the rate its logarithm."""
        columns = {factor.name: [getattr(trial, factor.name) for trial in self.trials] for factor in self.space}
        return {name: np.log10(values) if name == "lr" else np.array(values) for name, values in columns.items()}

    @functools.cached_property
    def _step(self) -> float:
        """Between two rates, in decades."""
        rates = np.unique(self._columns.get("lr", []))
        return float(np.diff(rates).min()) if len(rates) > 1 else 1.0


def all_cells(start: Trial) -> Cells:
    """The whole grid, sorted by the factors, as a table's cells are."""
    cells = {trial.replace(seed=0) for trial in grid_trials(start)}
    return Cells(tuple(sorted(cells, key=lambda trial: tuple(getattr(trial, name) for name in VALUES))))
