"""A table of cells as arrays on which strategies play: what a trial would have come to, and what its cell is worth."""

import functools
import math
from collections.abc import Hashable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from training.study.grid import VALUES
from training.study.space import SPACE, Choice, Factor, Rate, Space, to_digits
from training.study.trial import Trial

if TYPE_CHECKING:  # it reads stores, and a process that plays needs none
    from analysis.evidence.grid_table import GridTable

MIN_CELLS = 10


@dataclass(frozen=True, kw_only=True)
class Board:
    """The n cells that are there with both seeds. A trial that collapsed or diverged counts 0, as in a study."""

    data: str
    digest: str
    seeds: tuple[int, ...]  # of which one chooses and the other judges
    trials: tuple[Trial, ...]  # (n), in full, of seed 0
    full: np.ndarray  # (n, seeds) validation Dice at the images' own size: what a strategy is told of a trial in full
    short: np.ndarray  # (n, seeds, epochs) the best validation Dice until then, at image_size: of one that is stopped
    judged: np.ndarray  # (n, seeds, images) Dice on the images that judge
    seconds: np.ndarray  # (n, seeds) of a trial in full
    space: Space  # what strategies choose from: the values that are there

    @property
    def epochs(self) -> int:
        """Of a trial in full."""
        return self.short.shape[-1]

    @property
    def one_pass(self) -> int:
        """Trials of one pass of stages: every optimizer with every rate, then each other value of each factor."""
        values = {factor.name: len({getattr(trial, factor.name) for trial in self.trials}) for factor in self.space}
        others = sum(count - 1 for name, count in values.items() if name not in ("optimizer", "lr"))
        return values.get("optimizer", 1) * values.get("lr", 1) + others

    @property
    def best(self) -> float:
        """The Dice of the best cell: known with hindsight alone, and flattered by being the highest of many."""
        return float(self.judged.mean(axis=(1, 2)).max())

    def nearest(self, trial: Trial) -> int:
        """The cell that differs in the fewest factors; a step of the rates counts as one. The first of equals."""
        distance = np.zeros(len(self.trials))
        for factor, values in self._columns.items():
            if factor == "lr":
                distance += np.abs(values - math.log10(trial.lr)) / self._step
            else:
                distance += values != getattr(trial, factor)
        return int(distance.argmin())

    def score(self, cell: int, seed: int, epochs: int) -> float:
        """What a strategy is told of a trial; `seed` is a place in `seeds`."""
        return float(self.full[cell, seed] if epochs == self.epochs else self.short[cell, seed, epochs - 1])

    @functools.cached_property
    def factors(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Of each factor: the cells' values (n), numbered; and the mean score of all cells with each value."""
        columns, means = [], []
        for factor in self.space:
            _, column = np.unique([getattr(trial, factor.name) for trial in self.trials], return_inverse=True)
            columns.append(column)
            means.append(np.array([self.full[column == value].mean() for value in range(column.max() + 1)]))
        return columns, means

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


def make_board(table: "GridTable") -> Board:
    """Raises ValueError where fewer than MIN_CELLS cells are there with both seeds."""
    cells = table.cells.sort_values([*VALUES, "seed"])
    seeds = tuple(sorted({int(seed) for seed in cells["seed"]}))
    whole = cells.groupby(list(VALUES))["seed"].transform("nunique") == len(seeds)
    cells = cells[whole]
    count = len(cells) // max(len(seeds), 1)
    if len(seeds) != 2 or count < MIN_CELLS:
        raise ValueError(
            f"the table has {count} cells with {len(seeds)} seeds; it takes {MIN_CELLS} with 2: train more of the grid"
        )
    failed = (cells["collapsed"] | cells["diverged"]).to_numpy()
    epochs = table.epochs.pivot_table("val_dice", "run_id", "epoch").reindex(cells["run_id"])
    images = table.images.pivot_table("own_dice", "run_id", "image").reindex(cells["run_id"])  # those with foreground
    short = epochs.fillna(0.0).cummax(axis="columns").to_numpy()
    shape = (count, len(seeds))
    first = cells.iloc[:: len(seeds)]
    return Board(
        data=str(cells["data"].iloc[0]),
        digest=str(cells["data_digest"].iloc[0]),
        seeds=seeds,
        trials=tuple(_trial(row) for row in first.to_dict("records")),
        full=np.where(failed, 0.0, cells["own_val_dice"].fillna(0.0)).reshape(shape),
        short=short.reshape(*shape, -1),
        judged=np.where(cells["diverged"].to_numpy()[:, None], 0.0, images.fillna(0.0)).reshape(*shape, -1),
        seconds=cells["seconds"].to_numpy(dtype=float).reshape(shape),
        space=_space(first),
    )


def _trial(row: dict[Hashable, Any]) -> Trial:
    """Of seed 0. A table holds whole numbers as floats."""
    return Trial(**{field.name: field.type(row[field.name]) for field in fields(Trial)}).replace(seed=0)  # type: ignore[operator]


def _space(cells: pd.DataFrame) -> Space:
    """Factors with several values, and these; a rate has half a step more at both ends, so that all are as likely."""
    found: list[Factor] = []
    for factor in SPACE:
        there = sorted(set(cells[factor.name])) if factor.name in VALUES else []
        if len(there) < 2:
            continue
        if isinstance(factor, Choice):
            found.append(Choice(factor.name, tuple(filter(there.__contains__, factor.values))))
        else:
            low, high = there[0] ** 1.5 / there[1] ** 0.5, there[-1] ** 1.5 / there[-2] ** 0.5
            found.append(Rate(factor.name, to_digits(low), to_digits(high)))
    return tuple(found)
