"""Contrasts: the numbers that claims are about, once per unit, and what a sample of them says of their mean.

A unit is a seed on one fold of one data set. Within a unit, a contrast is a mean over settings (optimizers, amounts of
data), so what a setting adds is no noise. A run that diverged counts as Dice 0: it happened; it has no other score.
Where runs are missing that a contrast is about, it says what hinders it from deciding anything. Published rows do not
know their seed, so all of them are one unit. Nothing here knows a claim or a study.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from analysis.claims.labels import value_label
from training.study.intervals import LEVEL, MIN_UNITS, mean_interval, t_value
from training.study.words import pluralize, shorten

UNIT = ("data_digest", "fold", "seed")
POWER = 0.8
SMALLEST = 0.01  # Dice: the smallest effect of interest, where no reason says otherwise
VARIANCE: dict[str, Any] = {"smallest": SMALLEST**2, "unit": "Dice squared"}  # what contrasts of variances are in
ALIKE = 1e-12  # standard error: below it all units have one value
MOST = 0.5  # share of a side's runs: where more of both sides collapsed or diverged, neither learned
NO_FLOOR = ("loss", "roughness", "fall_from_best", "epochs_to_converge", "epochs_to_target")  # how such scores end
INF = math.inf
ABOVE, BELOW = (0.0, INF), (-INF, 0.0)


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One number per unit, and where its mean lies if the claim is true."""

    words: str
    per_unit: pd.Series  # index: units
    claimed: tuple[float, float] = ABOVE
    smallest: float = SMALLEST  # a mean that surely lies within +- this of 0 is no difference worth the name; 0: any is
    is_difference: bool = True
    unit: str = "Dice"
    group: tuple[str, ...] = ()  # for claims of the kind `one of these, for each of those`
    dropped: int = 0  # units that lack some of the rows
    hindrances: tuple[str, ...] = ()  # why it decides nothing, whatever its units say
    of_what: str = "seed"  # what a unit is, beside its fold and data set


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the units say of a contrast's mean. nan and p = 1 below MIN_UNITS."""

    contrast: Contrast
    effect: float
    spread: float  # sd over units
    low: float  # LEVEL interval, Student's t
    high: float
    p_for: float  # one-sided: small where the mean surely lies where the claim says
    p_against: float  # one-sided: small where it surely lies elsewhere, or is no difference worth the name
    units: int

    @property
    def is_nil(self) -> bool:
        """The whole interval lies within what is no difference worth the name."""
        smallest = self.contrast.smallest or SMALLEST
        return self.low > -smallest and self.high < smallest


def examine(contrast: Contrast, share: float = 1.0) -> Finding:
    """Student's t on the units. Of several looks at them each has its `share` of the error: its interval is wider."""
    values = contrast.per_unit.to_numpy(dtype=float)
    enough = len(values) >= MIN_UNITS
    p_for, p_against = p_values(contrast, values) if enough else (1.0, 1.0)
    low, high = mean_interval(values, 1 - share * (1 - LEVEL)) if enough else (math.nan, math.nan)
    return Finding(
        contrast=contrast,
        effect=float(values.mean()) if len(values) else math.nan,
        spread=float(values.std(ddof=1)) if enough else math.nan,
        low=low,
        high=high,
        p_for=float(p_for),
        p_against=float(p_against),
        units=len(values),
    )


def p_values(contrast: Contrast, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One-sided, for and against the contrast, of samples (..., units): as p_for and p_against of a Finding."""
    units = values.shape[-1]
    mean, error = values.mean(axis=-1), values.std(axis=-1, ddof=1) / math.sqrt(units)
    start, end = contrast.claimed
    inside = np.maximum(_p_above(mean, error, units, start), _p_above(-mean, error, units, -end))
    outside = np.minimum(_p_above(-mean, error, units, -start), _p_above(mean, error, units, end))
    if contrast.smallest:  # two one-sided tests (Schuirmann 1987): surely within +- smallest
        sides = [_p_above(sign * mean, error, units, -contrast.smallest) for sign in (1, -1)]
        outside = np.minimum(outside, np.maximum(*sides))
    return inside, outside


def _p_above(mean: Any, error: Any, units: int, bound: float) -> Any:
    """One-sided p value of Student's t: small where the true mean surely lies above `bound`."""
    if math.isinf(bound):
        return 1.0 if bound > 0 else 0.0
    alike = error <= ALIKE  # t has no spread to divide by: the sign test
    p = special.stdtr(units - 1, (bound - mean) / np.where(alike, 1.0, error))
    return np.where(alike, np.where(mean > bound + 1e-9, 0.5**units, 1.0), p)


def two_sided(contrast: Contrast) -> float:
    """That the mean is 0; nan below MIN_UNITS."""
    values = contrast.per_unit.to_numpy(dtype=float)
    if len(values) < MIN_UNITS:
        return math.nan
    return min(1.0, 2 * float(np.minimum(*p_values(replace(contrast, claimed=ABOVE, smallest=0.0), values))))


def detectable(spread: float, units: int, share: float = 1.0) -> float:
    """The true mean that a two-sided t test at 5 % finds with power POWER, with so many units of this sd.

    share: of the 5 %, what this look may spend; what an earlier look might have found already is not counted.
    """
    if units < MIN_UNITS or not spread > 0:
        return math.nan
    return float(optimize.brentq(lambda effect: power(effect, spread, units, share) - POWER, 0.0, 100 * spread))


def power(effect: float, spread: float, units: int, share: float = 1.0) -> float:
    """The chance that a two-sided t test at 5 % finds a true mean of `effect`, on its side (noncentral t)."""
    return float(stats.nct.sf(t_value(units, 1 - share * (1 - LEVEL)), units - 1, abs(effect) / spread * units**0.5))


def by_unit(rows: pd.DataFrame, settings: Sequence[str], score: str = "val_dice") -> pd.DataFrame:
    """A score with a row per unit and a column per setting (one without settings); nan where there was no run."""
    units = [" ".join(map(str, unit)) for unit in rows[list(UNIT)].to_numpy(dtype=object)]
    keys = {name: rows[name].astype(object).where(rows[name].notna(), "unknown") for name in settings}
    table = pd.DataFrame({"unit": units, **keys, "score": at_floor(rows, score)}).dropna(subset="score")
    found = table.groupby(["unit", *settings], sort=False)["score"].mean()
    return found.unstack(list(settings)) if settings else found.to_frame()  # noqa: PD010 - it is grouped already


def at_floor(rows: pd.DataFrame, score: str) -> pd.Series:
    """A score, where a run that diverged has Dice 0; and of a score without a worst value, such as a loss, none."""
    return rows[score].where(~rows["diverged"], math.nan if score.endswith(NO_FLOOR) else 0.0)


def complete(values: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The units that have every setting, and what a contrast of them should know of the others.

    Settings that most units lack are left out first, unless nothing is left then; a contrast without them is about
    something else, so it is hindered.
    """
    kept = values.dropna(axis="columns", thresh=max(1, math.ceil(len(values) / 2)))
    whole = (values if kept.empty else kept).dropna()
    lost = [_name(values.columns.names, column) for column in values.columns if column not in kept.columns]
    hindrances = (f"most seeds lack {shorten(lost)}",) if lost else ()
    return whole, {"dropped": len(values) - len(whole), "hindrances": hindrances}


def _name(settings: Sequence[Any], column: Any) -> str:
    """A column of `by_unit` in words."""
    values = column if isinstance(column, tuple) else (column,)
    return " with ".join(
        value_label(name, value) if name else "a score" for name, value in zip(settings, values, strict=True)
    )


def _without_score(sides: Sequence[pd.DataFrame], score: str) -> tuple[str, ...]:
    """Runs that diverged and have no such score hinder a contrast of it."""
    diverged = sum(int(rows["diverged"].sum()) for rows in sides) if score.endswith(NO_FLOOR) else 0
    has = "have" if diverged > 1 else "has"
    return (f"{pluralize(diverged, 'run')} diverged and {has} no such score",) if diverged else ()


def _did_not_learn(left: pd.DataFrame, right: pd.DataFrame) -> tuple[str, ...]:
    """So does that neither side learned."""
    failed = all((rows["diverged"] | rows["collapsed"]).mean() > MOST for rows in (left, right))
    return ("most runs collapsed or diverged on both sides",) if failed else ()


def difference(
    words: str,
    left: pd.DataFrame,
    right: pd.DataFrame,
    settings: Sequence[str] = (),
    score: str = "val_dice",
    **known: Any,
) -> list[Contrast]:
    """The mean over settings of `left` less `right`: one contrast, or none where no unit has both."""
    sides = by_unit(left, settings, score), by_unit(right, settings, score)
    shared = sides[0].columns.intersection(sides[1].columns)  # one side may have been tried in more settings
    values, gaps = complete(sides[0][shared] - sides[1][shared])
    failures = _without_score([left, right], score) + _did_not_learn(left, right)
    gaps["hindrances"] += failures
    per_unit = values.mean(axis="columns")
    return [Contrast(words=words, per_unit=per_unit, **gaps, **known)] if failures or values.size else []


def against_each(
    rows: pd.DataFrame, factor: str, value: Any, others: Iterable[Any], settings: Sequence[str] = (), **known: Any
) -> list[Contrast]:
    """One value of a factor less each other one: a contrast each, of those that were run."""
    with_value = rows[rows[factor] == value]
    return [
        found
        for other in others
        for found in difference(
            f"{value_label(factor, value)} less {value_label(factor, other)}",
            with_value,
            rows[rows[factor] == other],
            settings,
            **known,
        )
    ]


def in_order(
    rows: pd.DataFrame, factor: str, values: Sequence[Any], settings: Sequence[str] = (), **known: Any
) -> list[Contrast]:
    """A trend: each value less the one before, by however little; and the last less the first.

    A step may be small that is one of many, so that only the whole way has to be worth the name.
    """
    steps = [
        found
        for before, after in pairwise(values if len(values) > 2 else ())
        for found in against_each(rows, factor, after, [before], settings, smallest=0.0, **known)
    ]
    return steps + (against_each(rows, factor, values[-1], values[:1], settings, **known) if len(values) > 1 else [])


def level(
    words: str, rows: pd.DataFrame, settings: Sequence[str] = (), score: str = "val_dice", **known: Any
) -> list[Contrast]:
    """The mean over settings of a score itself: one contrast, or none."""
    if rows.empty:
        return []
    values, gaps = complete(by_unit(rows, settings, score))
    failures = _without_score([rows], score)
    gaps["hindrances"] += failures
    known = {"smallest": 0.0, "is_difference": False, **gaps, **known}
    per_unit = values.mean(axis="columns")
    return [Contrast(words=words, per_unit=per_unit, **known)] if failures or values.size else []


def level_of_each(
    rows: pd.DataFrame, factor: str, values: Iterable[Any], settings: Sequence[str] = (), **known: Any
) -> list[Contrast]:
    """The level of a score with each value of a factor: a contrast each, of those that were run."""
    return [
        found
        for value in values
        for found in level(value_label(factor, value), rows[rows[factor] == value], settings, **known)
    ]


def contrast(words: str, values: pd.Series, **known: Any) -> list[Contrast]:
    return [Contrast(words=words, per_unit=values, **known)] if len(values) else []
