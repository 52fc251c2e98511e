"""What a claim is, and how evidence becomes a verdict.

A claim is a pure function of the tidy table: it cannot tell printed numbers from measured ones. Which claims there are
is said in `conclusions`; this file knows none of them.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from analysis.claims.labels import factor_label
from analysis.claims.stats import FACTORS, REPEATS, SEEDS_NEEDED, jackknife_interval
from training.study.words import pluralize

Answer = Literal["supported", "contradicted", "undecided", "untested"]
ANSWERS: tuple[Answer, ...] = ("supported", "contradicted", "undecided", "untested")

SEARCHED = {"lr": None, "weight_decay": 0.0, "dropout": 0.0}  # factors with a best value, and where their range ends
ALL_DATA = 100  # percent: the validation images are the training images (Fig. 4, Fig. 11)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    answer: Answer
    text: str  # the evidence in words
    effect: float = math.nan  # mean difference; in Dice where the rule does not say otherwise
    low: float = math.nan  # 95 % bootstrap interval of the effect; over seeds (jackknife) where there are no pairs
    high: float = math.nan
    seed_low: float = math.nan  # the same, when only seeds are drawn anew
    seed_high: float = math.nan
    pairs: int = 0
    n: int = 0  # runs with a score that the verdict rests on
    caveats: tuple[str, ...] = ()


Rule = Callable[[pd.DataFrame], Verdict]


@dataclass(frozen=True)
class Claim:
    """One conclusion, the report's or ours, and the rule that checks it."""

    code: str  # <study>.<number>
    sentence: str  # the conclusion
    rule: str  # how `decide` decides, in words
    decide: Rule
    single_cell: bool = False  # the rule compares single cells, so only seeds can say how sure it is
    unit: str = "Dice"  # of its effect

    @property
    def study(self) -> str:
        return self.code.split(".")[0]

    def check(self, table: pd.DataFrame) -> Verdict:
        """The rule's verdict, with what can be said of any claim."""
        verdict, own = self.decide(table), table[table["study"] == self.study]
        if verdict.answer == "untested":
            return verdict
        notes = edge_caveats(own)
        if (own["train_percent"] == ALL_DATA).any():
            notes.append(f"rows at {ALL_DATA} % are left out: their validation images are the training images")
        verdict = self._over_seeds(replace(verdict, caveats=(*verdict.caveats, *notes)), table)
        seeds = own["seed"].nunique()  # printed rows do not know theirs
        if self.single_cell and verdict.answer != "undecided" and 0 < seeds < SEEDS_NEEDED:
            few = f"seeds alone decide here: {pluralize(seeds, 'seed')} of the {SEEDS_NEEDED} that takes"
            return _undecided(verdict, few)
        return verdict

    def _over_seeds(self, verdict: Verdict, table: pd.DataFrame) -> Verdict:
        """Ask again without each seed in turn: the interval where the rule gives none, and what depends on one seed."""
        seeds = sorted(table[table["study"] == self.study]["seed"].dropna().unique())
        if len(seeds) < 2 or not (self.single_cell or math.isnan(verdict.seed_low)):
            return verdict
        without = {seed: self.decide(table[table["seed"] != seed]) for seed in seeds}
        if math.isnan(verdict.seed_low):
            low, high = jackknife_interval(verdict.effect, [other.effect for other in without.values()])
            verdict = replace(verdict, seed_low=low, seed_high=high)
        if math.isnan(verdict.low):
            verdict = replace(verdict, low=verdict.seed_low, high=verdict.seed_high)
        turned = [f"{seed:g}" for seed, other in without.items() if other.answer != verdict.answer]
        if not turned or verdict.answer == "undecided":
            return verdict
        hooks = ("seed " if len(turned) == 1 else "seeds ") + ", ".join(turned)
        note = f"it depends on {hooks}, without which the answer is another"
        if self.single_cell and len(seeds) >= SEEDS_NEEDED:
            return _undecided(verdict, note)
        return replace(verdict, caveats=(*verdict.caveats, f"the verdict: {note}"))


def _undecided(verdict: Verdict, why: str) -> Verdict:
    note = f"would be {verdict.answer}, but {why}"
    return replace(verdict, answer="undecided", caveats=(*verdict.caveats, note))


def claim(
    code: str, sentence: str, rule: str, *, single_cell: bool = False, unit: str = "Dice"
) -> Callable[[Rule], Claim]:
    """Make a claim of the function below it, so that the rule in words stands beside the rule in code."""
    return lambda decide: Claim(code, sentence, rule, decide, single_cell, unit)


def edge_caveats(rows: pd.DataFrame) -> list[str]:
    """Where the best value of a searched factor is the first or last one tried, better ones may lie beyond it."""
    notes = []
    for factor, natural_end in SEARCHED.items():
        others = [name for name in FACTORS if name not in (factor, *REPEATS) and len(rows[name].unique()) > 1]
        means = rows.groupby([*others, factor], dropna=False)["val_dice"].mean().dropna().reset_index()
        cells = [cell for _, cell in means.groupby(others, dropna=False)] if others else [means]
        tried = [cell for cell in cells if len(cell) > 2]
        best = [float(cell[factor].iloc[int(cell["val_dice"].to_numpy().argmax())]) for cell in tried]
        ends = [(cell[factor].min(), cell[factor].max()) for cell in tried]
        at_edge = [value for value, end in zip(best, ends, strict=True) if value in end and value != natural_end]
        if at_edge:
            where = f" in {len(at_edge)} of {len(tried)} rows" if len(tried) > 1 else ""
            notes.append(f"the best {factor_label(factor)} is at the edge of the range tried{where}")
    return notes


def arm(table: pd.DataFrame, study: str, **factors: Any) -> pd.DataFrame:
    """The rows of a study with these factors (a tuple: any of them), without those validated on training images."""
    keep = (table["study"] == study) & (table["train_percent"] != ALL_DATA)
    for factor, wanted in factors.items():
        keep &= table[factor].isin(wanted if isinstance(wanted, tuple) else (wanted,))
    return table[keep]


def untested(why: str) -> Verdict:
    return Verdict(answer="untested", text=why)


def judge(answer: Answer, text: str, rows: pd.DataFrame, caveats: Iterable[str] = (), **numbers: Any) -> Verdict:
    """A verdict with what can be said of any rows: how many runs, and whether any cell was repeated."""
    scored = rows.dropna(subset="val_dice")
    caveats = list(caveats)
    cell = [factor for factor in FACTORS if factor not in REPEATS]
    if len(scored) and scored.groupby(cell, dropna=False).size().max() == 1:
        caveats.append("one run per cell (n = 1)")
    if lost := int(rows["diverged"].sum()):
        caveats.append(f"{pluralize(lost, 'run')} diverged and left no score")
    if empty := int(scored["collapsed"].sum()):
        caveats.append(f"{pluralize(empty, 'run')} collapsed: no better than a mask that is all foreground or none")
    return Verdict(answer=answer, text=text, n=len(scored), caveats=tuple(caveats), **numbers)
