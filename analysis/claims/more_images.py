"""How much more Dice would more images bring? A power law with a floor through the training fractions, carried on.

Errors of networks fall with the number of training images n as a * n^-b + c (Hestness et al. 2017, arXiv:1712.00409;
for sample sizes in medicine Figueroa et al. 2012, doi:10.1186/1472-6947-12-8). Values in, numbers and words out. How
well such forecasts come true: benchmarks/label_forecast.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims.contrasts import by_unit
from analysis.claims.rows import select_rows
from training.study.intervals import LEVEL, MIN_UNITS

MULTIPLES = (1.5, 2.0, 4.0)  # of the images that train now
MIN_SIZES = 3  # of the training set: as many as the law has parameters
EXPONENTS = np.linspace(0.1, 2.0, 20)  # b; those found in practice lie below 1
DRAWS = 2000
TOO_WIDE = 0.1  # Dice, from low to high
SCORE = "own_val_dice"


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The mean Dice to expect with `multiple` times the images."""

    multiple: float
    dice: float
    low: float  # LEVEL interval
    high: float

    @property
    def is_noise(self) -> bool:
        return self.high - self.low > TOO_WIDE


def forecast(scores: pd.DataFrame, multiples: Sequence[float] = MULTIPLES, seed: int = 0) -> list[Forecast]:
    """Forecasts from Dice by unit (rows) and size of the training set (columns, in any measure).

    None below MIN_UNITS units or MIN_SIZES sizes. The interval is a parametric bootstrap: the mean of each size is
    drawn from its Student's t over the units, and the law fitted to the draws. It knows the noise of the runs, and
    nothing of a law that changes beyond the sizes seen.
    """
    whole = scores.dropna().sort_index(axis="columns")
    units, sizes = len(whole), whole.columns.to_numpy(dtype=float)
    if units < MIN_UNITS or len(sizes) < MIN_SIZES:
        return []
    errors = 1 - whole.to_numpy(dtype=float)
    means, deviations = errors.mean(axis=0), errors.std(axis=0, ddof=1) / math.sqrt(units)
    noise = np.random.default_rng(seed).standard_t(units - 1, (DRAWS, len(sizes)))
    wanted = np.asarray(multiples, dtype=float)
    expected, *drawn = 1 - _carry_on(sizes / sizes[-1], np.vstack([means, means + deviations * noise]), wanted)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return [
        Forecast(multiple=float(m), dice=float(dice), low=float(min(lo, dice)), high=float(max(hi, dice)))
        for m, dice, lo, hi in zip(multiples, expected, low, high, strict=True)
    ]


def _carry_on(sizes: np.ndarray, errors: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Errors (curves, sizes) at the wanted sizes, by the law that fits each curve best (least squares).

    For a given exponent the law is a straight line in n^-b, whose slope and floor may not be negative. Thousands of
    curves at once: with scipy.optimize.curve_fit and bounds, one after the other, a forecast took minutes.
    """
    best, found = np.full(len(errors), np.inf), np.zeros((len(errors), len(wanted)))
    for exponent in EXPONENTS:
        x = sizes**-exponent
        slope = ((errors - errors.mean(axis=1, keepdims=True)) @ (x - x.mean())) / ((x - x.mean()) ** 2).sum()
        slope = slope.clip(min=0)
        floor = errors.mean(axis=1) - slope * x.mean()
        slope = np.where(floor < 0, errors @ x / (x @ x), slope)  # through the origin
        floor = floor.clip(min=0)
        misfit = ((errors - floor[:, None] - np.outer(slope, x)) ** 2).sum(axis=1)
        better = misfit < best
        best = np.where(better, misfit, best)
        found[better] = floor[better, None] + np.outer(slope[better], wanted**-exponent)
    return found.clip(0, 1)


def best_curve(rows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Of the study training_data: the optimizer with the best mean on the most images, and its Dice by unit (rows) and
    training fraction (columns). Empty where no optimizer has trials that all went well.
    """
    best, curve, most = "", pd.DataFrame(), rows["train_percent"].max()
    for name, own in rows.groupby("optimizer", sort=False):
        table = by_unit(own, ("train_percent",), SCORE).dropna()
        if (own["diverged"] | own["collapsed"]).any() or table.empty or most not in table:
            continue
        if curve.empty or table[most].mean() > curve[most].mean():
            best, curve = str(name), table
    return best, curve


def describe(rows: pd.DataFrame) -> str:
    """For the page: what 1.5, 2 and 4 times the images would bring, or why it cannot be said; nothing without runs."""
    rows = select_rows(rows, "training_data")
    if rows.empty:
        return ""
    name, curve = best_curve(rows)
    found = forecast(curve) if name else []
    if not found:
        return (
            f"What more images would bring cannot be said: it takes {MIN_UNITS} seeds at {MIN_SIZES} training "
            "fractions, with one optimizer and without a failed run."
        )
    most = rows["train_percent"].max()
    now = curve[most].mean()
    if found[0].is_noise:
        return (
            f"What more images would bring cannot be said: the seeds differ too much (with {found[0].multiple:g} times "
            f"the images val Dice {found[0].low:.2f} to {found[0].high:.2f}, today {now:.3f})."
        )
    said = [
        f"{one.multiple:g} times: {one.dice:.3f} ({one.low:.3f} to {one.high:.3f})"
        if not one.is_noise
        else f"{one.multiple:g} times: too far to say"
        for one in found
    ]
    return (
        f"How many more images should you label? With {name} val Dice is {now:.3f} on {most:g} % of the images; "
        f"with more of the same kind it would come to: {'; '.join(said)}. A power law with a floor through "
        f"{len(curve.columns)} training fractions, 95 % over {len(curve)} units; it knows nothing of images of another "
        "kind."
    )
