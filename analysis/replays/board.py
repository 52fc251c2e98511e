"""A table of cells as arrays on which strategies play: what a trial would have come to, and what its cell is worth."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from analysis.evidence.plays import trial_of
from training.study.grid import VALUES, Cells

if TYPE_CHECKING:  # it reads stores, and a process that plays needs none
    from analysis.evidence.grid_table import GridTable

MIN_CELLS = 10


@dataclass(frozen=True, kw_only=True)
class Board:
    """The n cells that are there with both seeds. A trial that collapsed or diverged counts 0, as in a study."""

    data: str
    digest: str
    seeds: tuple[int, ...]  # of which one chooses and the other judges
    cells: Cells  # (n)
    full: np.ndarray  # (n, seeds) validation Dice at the images' own size: what a strategy is told of a trial in full
    short: np.ndarray  # (n, seeds, epochs) the best validation Dice until then, at image_size: of one that is stopped
    judged: np.ndarray  # (n, seeds, images) Dice on the images that judge
    seconds: np.ndarray  # (n, seeds) of a trial in full

    @property
    def epochs(self) -> int:
        """Of a trial in full."""
        return self.short.shape[-1]

    @property
    def one_pass(self) -> int:
        """Trials of one pass of stages: every optimizer with every rate, then each other value of each factor."""
        values = {
            factor.name: len({getattr(trial, factor.name) for trial in self.cells.trials})
            for factor in self.cells.space
        }
        others = sum(count - 1 for name, count in values.items() if name not in ("optimizer", "lr"))
        return values.get("optimizer", 1) * values.get("lr", 1) + others

    @property
    def best(self) -> float:
        """The Dice of the best cell: known with hindsight alone, and flattered by being the highest of many."""
        return float(self.judged.mean(axis=(1, 2)).max())

    def foresight(self, share: float) -> float:
        """Of this share of the cells, the best by validation Dice: how well it ranks what the other training comes to.
        Spearman's rank correlation with the Dice on the images that judge, the mean over both choosers.
        """
        found = []
        for chooser in range(len(self.seeds)):
            seen, judged = self.full[:, chooser], self.judged[:, 1 - chooser].mean(axis=1)
            best = seen >= np.quantile(seen, 1 - share)
            found.append(stats.spearmanr(seen[best], judged[best]).statistic)
        return float(np.mean(found))

    def score(self, cell: int, seed: int, epochs: int) -> float:
        """What a strategy is told of a trial; `seed` is a place in `seeds`."""
        return float(self.full[cell, seed] if epochs == self.epochs else self.short[cell, seed, epochs - 1])

    @functools.cached_property
    def factors(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Of each factor: the cells' values (n), numbered; and the mean score of all cells with each value."""
        columns, means = [], []
        for factor in self.cells.space:
            _, column = np.unique([getattr(trial, factor.name) for trial in self.cells.trials], return_inverse=True)
            columns.append(column)
            means.append(np.array([self.full[column == value].mean() for value in range(column.max() + 1)]))
        return columns, means


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
    epochs = _of(table.epochs, cells).pivot_table("val_dice", "run_id", "epoch").reindex(cells["run_id"])
    images = (
        _of(table.images, cells).pivot_table("own_dice", "run_id", "image").reindex(cells["run_id"])
    )  # those with foreground
    short = epochs.fillna(0.0).cummax(axis="columns").to_numpy()
    shape = (count, len(seeds))
    first = cells.iloc[:: len(seeds)]
    return Board(
        data=str(cells["data"].iloc[0]),
        digest=str(cells["data_digest"].iloc[0]),
        seeds=seeds,
        cells=Cells(tuple(trial_of(row).replace(seed=0) for row in first.to_dict("records"))),
        full=np.where(failed, 0.0, cells["own_val_dice"].fillna(0.0)).reshape(shape),
        short=short.reshape(*shape, -1),
        judged=np.where(cells["diverged"].to_numpy()[:, None], 0.0, images.fillna(0.0)).reshape(*shape, -1),
        seconds=cells["seconds"].to_numpy(dtype=float).reshape(shape),
    )


def _of(rows: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Without those of plays: their epochs may be more, and their images others."""
    return rows[rows["run_id"].isin(cells["run_id"])]
