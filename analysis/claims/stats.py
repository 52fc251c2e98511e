"""Differences between runs that differ in one factor, and how sure one can be of them.

Tidy tables in, numbers out. Nothing here knows a claim, a study or where a table came from.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from training.study.trial import Trial

FACTORS: tuple[str, ...] = tuple(Trial.__dataclass_fields__)
REPEATS = ("fold", "seed")  # factors that only repeat a cell
LEVEL = 0.95
RESAMPLES = 10_000
SEEDS_NEEDED = 6  # with five pairs of seeds even a clean sweep has a two-sided p of 2 / 2**5 = 0.06
NUISANCE = {"optimizer": ("lr",)}  # tuned for each value of the factor, so it does not confound it


@dataclass(frozen=True)
class Paired:
    """Differences `left - right` between runs alike in `match`, one a cell (the mean over its seeds)."""

    cells: pd.DataFrame  # match, <factor>_left, <factor>_right, difference
    runs: pd.DataFrame  # the pairs of runs behind the cells
    low: float  # of the interval of the mean difference; nan with a single pair of runs
    high: float
    seed_low: float  # the same when only seeds are drawn anew, and the cells are these; nan below two seeds a cell
    seed_high: float
    differs_also: tuple[str, ...]  # factors that differ within pairs, beside the compared one

    @property
    def differences(self) -> pd.Series:
        return self.cells["difference"]

    @property
    def effect(self) -> float:
        return float(self.differences.mean()) if len(self.cells) else math.nan

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
    over_seeds = stratified_interval([group.to_numpy() for _, group in runs.groupby(by, dropna=False)["difference"]])
    return Paired(cells, runs, low, high, *over_seeds, _differs_also(runs, compared, keys))


def interval(values: ArrayLike) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron 1979), the values resampled as they are; nan below two."""
    return stratified_interval([np.asarray(values, dtype=float)])


def stratified_interval(strata: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """The same of the mean of the strata's means, each stratum resampled in itself (Agarwal et al. 2021); nan where one
    has fewer than two values.
    """
    if not strata or min(map(len, strata)) < 2:
        return math.nan, math.nan

    def mean_of_means(*samples: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        return np.mean([sample.mean(axis=axis) for sample in samples], axis=0)

    drawn = stats.bootstrap(
        strata,
        mean_of_means,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def jackknife_interval(effect: float, without_one: Sequence[float]) -> tuple[float, float]:
    """Of an effect of any kind, from what it is without each of its repeats in turn (Efron and Stein 1981); t with one
    degree of freedom fewer than repeats. nan below two, or where it is unknown without one.
    """
    others = np.asarray(without_one, dtype=float)
    count = len(others)
    if count < 2 or np.isnan(others).any():
        return math.nan, math.nan
    error = math.sqrt((count - 1) / count * float(((others - others.mean()) ** 2).sum()))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * error
    return effect - reach, effect + reach


def p_value(differences: ArrayLike) -> float:
    """Two-sided, that the mean difference is 0: all signs flipped (exact up to 13 differences); nan below two."""
    sample = np.asarray(differences, dtype=float)
    if len(sample) < 2:
        return math.nan
    found = stats.permutation_test(
        (sample,), np.mean, permutation_type="samples", n_resamples=RESAMPLES, rng=np.random.default_rng(0)
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values of several comparisons made at once, adjusted (Holm 1979); an unknown one (nan) is no comparison."""
    p = pd.Series(p_values, dtype=float)
    ranked = p.dropna().sort_values()
    weights = np.arange(len(ranked), 0, -1)
    adjusted = (ranked * weights).cummax().clip(upper=1)
    return list(adjusted.reindex(p.index))


def interquartile_mean(values: ArrayLike) -> float:
    """The mean of the middle half (Agarwal et al. 2021); nan below four values, where there is no middle half."""
    sample = np.asarray(values, dtype=float)
    sample = sample[~np.isnan(sample)]
    return float(stats.trim_mean(sample, 0.25)) if len(sample) >= 4 else math.nan


def cell_means(table: pd.DataFrame, by: Sequence[str], score: str = "val_dice") -> pd.DataFrame:
    """One row per cell, in order of appearance: mean over its runs, sd (n - 1; nan for one run) and n."""
    groups = table.groupby(list(by), dropna=False, sort=False)[score]
    return groups.agg(mean="mean", sd="std", n="count").reset_index()


def largest_share(differences: pd.Series) -> float:
    """The part of the mean difference that is gone without its largest pair."""
    if len(differences) < 2 or differences.mean() == 0:
        return math.nan
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
