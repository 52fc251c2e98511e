"""The steps that several claims share, from numbers to an answer: intervals, majorities, margins, orders.

Thresholds that more than one rule asks for stand here, with their reason. Nothing here knows a particular claim.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.labels import cell_label, factor_label, number, signed
from analysis.claims.stats import SEEDS_NEEDED, Paired, cell_means, largest_share, pair
from analysis.claims.verdicts import Answer, Verdict, judge, untested
from training.study.words import pluralize

LITTLE_DATA = (20, 40)  # percent of all images (Fig. 11)
MUCH_DATA = 80  # percent: the most that leaves validation images
CONVERGED = 0.5  # Dice from which a run counts as converged; Fig. 2's fall below 0.19 or above 0.66
TIE = 0.01  # Dice; a single best cell has to lead by this much
MIN_WINS = 0.75  # share of pairs that "in general" asks for
ONE_PAIR = 0.5  # a mean rests on one pair when more than this part of it goes with the pair


def by_interval(paired: Paired, *, lower: bool = False, margin: float = 0) -> Answer:
    """Supported when the whole interval lies above `margin` (with `lower`: below); of a single pair of runs, when it
    does. Contradicted when it lies on the other side.
    """
    low, high = (paired.effect, paired.effect) if math.isnan(paired.low) else (paired.low, paired.high)
    return above_zero(margin - high, margin - low) if lower else above_zero(low - margin, high - margin)


def above_zero(low: float, high: float) -> Answer:
    if low > 0:
        return "supported"
    return "contradicted" if high < 0 else "undecided"


def by_majority(paired: Paired) -> Answer:
    """Supported when the mean and at least MIN_WINS of the pairs are above 0."""
    share = paired.wins / len(paired) if len(paired) else math.nan
    if share >= MIN_WINS and paired.effect > 0:
        return "supported"
    return "contradicted" if share <= 1 - MIN_WINS and paired.effect < 0 else "undecided"


def by_margin(lead: float, margin: float = TIE) -> Answer:
    """For a single best cell: it has to lead by a margin, or to trail by one."""
    return "supported" if lead >= margin else "contradicted" if lead <= -margin else "undecided"


def by_share(holds: Iterable[bool]) -> Answer:
    """For a claim about several cells: it has to hold in all of them, or in none."""
    found = list(holds)
    return "supported" if all(found) else "undecided" if any(found) else "contradicted"


def all_of(answers: Sequence[Answer]) -> Answer:
    """For a claim against several others: it has to hold against each; one contradiction contradicts it."""
    if "contradicted" in answers:
        return "contradicted"
    return "supported" if all(answer == "supported" for answer in answers) else "undecided"


def from_pairs(paired: Paired, rows: pd.DataFrame, answer: Answer, *, lower: bool = False, text: str = "") -> Verdict:
    """The answer to `left scores higher than right` (with `lower`: lower), with its pairs as the evidence."""
    if not len(paired):
        return untested("no two runs to compare")
    count = int((paired.differences < 0).sum()) if lower else paired.wins
    side, pairs = "lower" if lower else "higher", pluralize(len(paired), "pair")
    words = f"{side} in {count} of {pairs}; mean {describe_effect(paired)}"
    if len(paired) > 1 and not math.isnan(paired.seed_low):
        words += f", over seeds alone {number(paired.seed_low)} to {number(paired.seed_high)}"
    return judge(
        answer,
        "; ".join([words, text] if text else [words]),
        rows,
        pair_caveats(paired, settled=answer != "undecided"),
        effect=paired.effect,
        low=paired.low,
        high=paired.high,
        seed_low=paired.seed_low,
        seed_high=paired.seed_high,
        pairs=len(paired),
    )


def pair_caveats(paired: Paired, *, settled: bool) -> list[str]:
    """What weakens a comparison: another factor that differs, or a mean that one pair makes."""
    caveats = []
    if paired.differs_also:
        names = " and ".join(factor_label(factor) for factor in paired.differs_also)
        caveats.append(f"confounded: the arms differ in {names} as well")
    if settled and largest_share(paired.differences) > ONE_PAIR:
        largest = paired.cells.iloc[int(paired.differences.abs().to_numpy().argmax())]
        caveats.append(f"rests on one pair ({pair_label(largest)}, {signed(largest['difference'], 2)})")
    if settled and len(paired) == 1:
        caveats.append("one pair only")
    if settled and 1 < len(paired) < SEEDS_NEEDED and not math.isnan(paired.low):
        caveats.append(f"over {len(paired)} pairs a bootstrap interval is too narrow")
    return caveats


def pair_label(cell: pd.Series) -> str:
    """What sets a pair apart from the other pairs."""
    names = [str(name) for name in cell.index if name != "difference" and not str(name).endswith(("_left", "_right"))]
    if names:
        return cell_label({name: cell[name] for name in names}, names)
    (factor,) = (str(name).removesuffix("_right") for name in cell.index if str(name).endswith("_right"))
    sides = ({factor: cell[f"{factor}_{side}"]} for side in ("left", "right"))
    return " against ".join(cell_label(side, [factor]) for side in sides)


def describe_effect(paired: Paired) -> str:
    """`+0.077 (0.059 to 0.103)`."""
    if math.isnan(paired.low):
        return signed(paired.effect)
    return f"{signed(paired.effect)} ({number(paired.low)} to {number(paired.high)})"


def in_order(means: Sequence[tuple[str, float]]) -> str:
    """`0.604 (none) < 0.633 (step)`, with the signs the numbers have."""
    text = f"{number(means[0][1])} ({means[0][0]})"
    for (_, before), (name, value) in pairwise(means):
        sign = "<" if value > before else ">" if value < before else "="
        text += f" {sign} {number(value)} ({name})"
    return text


def rising(values: Sequence[float]) -> bool:
    return all(before < after for before, after in pairwise(values))


def best_cell(rows: pd.DataFrame, factors: list[str], wanted: Mapping[str, Any]) -> Verdict:
    """Whether one cell leads all the others; where there are seeds, its lead over them has to lie above 0, too."""
    means = cell_means(rows, factors).dropna(subset="mean")
    chosen = np.logical_and.reduce([means[factor] == value for factor, value in wanted.items()])
    if not chosen.any() or chosen.all():
        return untested(f"no row {cell_label(wanted, factors)} beside others")
    runner_up = means[~chosen].sort_values("mean").iloc[-1]
    own = float(means[chosen]["mean"].iloc[0])
    text = f"val Dice {number(own)}; the best other is {cell_label(runner_up.to_dict(), factors)}, "
    text += number(runner_up["mean"])
    lead = own - float(runner_up["mean"])
    over_seeds = pair(_cell(rows, wanted), _cell(rows, runner_up[factors].to_dict()), match=[], compared=factors[0])
    low, high = over_seeds.low, over_seeds.high
    answer = by_margin(lead)
    if not math.isnan(low) and above_zero(low, high) != answer:
        answer = "undecided"
    return judge(answer, text, rows, effect=lead, low=low, high=high, seed_low=low, seed_high=high, pairs=1)


def _cell(rows: pd.DataFrame, factors: Mapping[Any, Any]) -> pd.DataFrame:
    return rows[np.logical_and.reduce([rows[factor] == value for factor, value in factors.items()])]
