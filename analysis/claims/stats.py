"""Numbers from samples: of claims, and beside them. Values in, numbers out."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from training.study.intervals import MIN_UNITS


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


def spread_values(values: pd.DataFrame) -> pd.Series:
    """Of the variance between the columns' true means, one pseudo-value per unit (Tukey's jackknife).

    The variance is that of the products of two different units, so the noise of single runs adds nothing to it.
    """
    centred = values.to_numpy() - values.to_numpy().mean(axis=1, keepdims=True)

    def between(rows: np.ndarray) -> float:
        count, columns = rows.shape
        products = (rows.sum(axis=0) ** 2).sum() - (rows**2).sum()
        return float(products / (count * (count - 1) * (columns - 1)))

    count = len(centred)
    if count < MIN_UNITS:
        return pd.Series(math.nan, index=values.index)
    whole = between(centred)
    without = [between(np.delete(centred, k, axis=0)) for k in range(count)]
    return pd.Series([count * whole - (count - 1) * one for one in without], index=values.index)
