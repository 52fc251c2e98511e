"""Numbers from samples that the page shows beside its claims. Values in, numbers out."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats


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
