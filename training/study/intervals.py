"""How sure a mean is. Numbers in, numbers out."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

LEVEL = 0.95
MIN_UNITS = 3  # two say nothing of their spread that a t of 12.7 would not forgive


def mean_interval(values: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """Interval of the mean, Student's t; nan below two values. Unknown ones are left out."""
    sample = np.asarray(values, dtype=float)
    sample = sample[~np.isnan(sample)]
    if len(sample) < 2:
        return math.nan, math.nan
    error = sample.std(ddof=1) / math.sqrt(len(sample))
    reach = t_value(len(sample), level) * error
    return float(sample.mean()) - reach, float(sample.mean()) + reach


def t_value(units: int, level: float = LEVEL) -> float:
    """Of so many units: standard errors on either side of their mean that its interval spans (Student's t)."""
    return float(special.stdtrit(units - 1, (1 + level) / 2))
