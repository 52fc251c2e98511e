"""Differences between runs that differ in one factor, and how sure one can be of them.

Tidy tables in, numbers out. Nothing here knows a claim, a study or where a table came from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from training.trial import Trial

FACTORS: tuple[str, ...] = tuple(Trial.__dataclass_fields__)
REPEATS = ("fold", "seed")  # factors that only repeat a cell
LEVEL = 0.95
RESAMPLES = 10_000
NUISANCE = {"optimizer": ("lr",)}  # tuned for each value of the factor, so it does not confound it


@dataclass(frozen=True)
class Paired:
    """Differences `left - right` between runs alike in `match`, one a cell (the mean over its seeds)."""

    cells: pd.DataFrame  # match, <factor>_left, <factor>_right, difference
    runs: pd.DataFrame  # the pairs of runs behind the cells
    low: float  # of the interval of the mean difference; nan with a single pair of runs
    high: float
    differs_also: tuple[str, ...]  # factors that differ within pairs, beside the compared one

    @property
    def differences(self) -> pd.Series:
        return self.cells["difference"]

    @property
    def effect(self) -> float:
        return float(self.differences.mean()) if len(self.cells) else float("nan")

    @property
    def wins(self) -> int:
        return int((self.differences > 0).sum())

    def __len__(self) -> int:
        return len(self.cells)


def pair(
    left: pd.DataFrame, right: pd.DataFrame, *, match: Sequence[str], compared: str, score: str = "val_dice"
) -> Paired:
    """Pair runs alike in `match`, fold and seed. Unknown (nan) matches unknown; runs without a score form no pair."""
    keys = [*match, *REPEATS]
    runs = left.dropna(subset=score).merge(right.dropna(subset=score), on=keys, suffixes=("_left", "_right"))
    runs["difference"] = runs[f"{score}_left"] - runs[f"{score}_right"]
    by = [*match, f"{compared}_left", f"{compared}_right"]
    cells = runs.groupby(by, dropna=False, sort=False)["difference"].mean().reset_index()
    unit = cells if len(cells) > 1 else runs  # of resampling: cells; the seeds of a single cell
    low, high = interval(unit["difference"])
    return Paired(cells, runs, low, high, _differs_also(runs, compared, keys))


def interval(values: ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron 1979), the values resampled as they are; nan below two."""
    sample = np.asarray(values, dtype=float)
    if len(sample) < 2:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(0, len(sample), size=(RESAMPLES, len(sample)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(sample[drawn].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)


def cell_means(table: pd.DataFrame, by: Sequence[str], score: str = "val_dice") -> pd.DataFrame:
    """One row a cell, in order of appearance: mean over its runs, sd (n - 1; nan for one run) and n."""
    groups = table.groupby(list(by), dropna=False, sort=False)[score]
    return groups.agg(mean="mean", sd="std", n="count").reset_index()


def largest_share(differences: pd.Series) -> float:
    """The part of the mean difference that is gone without its largest pair."""
    if len(differences) < 2 or differences.mean() == 0:
        return float("nan")
    rest = differences.drop(differences.abs().idxmax())
    return float(1 - rest.mean() / differences.mean())


def _differs_also(runs: pd.DataFrame, compared: str, matched: Sequence[str]) -> tuple[str, ...]:
    held = {compared, *matched, *NUISANCE.get(compared, ())}
    found = []
    for factor in (factor for factor in FACTORS if factor not in held):
        left, right = runs[f"{factor}_left"], runs[f"{factor}_right"]
        if (left.notna() & right.notna() & (left != right)).any():
            found.append(factor)
    return tuple(found)
