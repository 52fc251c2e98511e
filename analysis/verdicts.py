"""What a claim is, and how evidence becomes a verdict.

A claim is a pure function of the tidy table: it cannot tell printed numbers from measured ones. Which claims there are
is said in `conclusions`; this file knows none of them.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from analysis.labels import several
from analysis.stats import FACTORS, REPEATS

Answer = Literal["supported", "contradicted", "undecided", "untested"]
ANSWERS: tuple[Answer, ...] = ("supported", "contradicted", "undecided", "untested")

ALL_DATA = 100  # percent: the validation images are the training images (Fig. 4, Fig. 11)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    answer: Answer
    text: str  # the evidence in words
    effect: float = math.nan  # mean difference; in Dice where the rule does not say otherwise
    low: float = math.nan  # 95 % bootstrap interval of the effect
    high: float = math.nan
    pairs: int = 0
    n: int = 0  # runs with a score that the verdict rests on
    caveats: tuple[str, ...] = ()


Decide = Callable[[pd.DataFrame], Verdict]


@dataclass(frozen=True)
class Claim:
    """One conclusion of the report and the rule that checks it."""

    code: str  # <study>.<number>
    sentence: str  # the report's conclusion
    rule: str  # how `decide` decides, in words
    decide: Decide

    @property
    def study(self) -> str:
        return self.code.split(".")[0]

    def check(self, table: pd.DataFrame) -> Verdict:
        verdict = self.decide(table)
        left_out = ((table["study"] == self.study) & (table["train_percent"] == ALL_DATA)).any()
        if verdict.answer == "untested" or not left_out:
            return verdict
        note = f"rows at {ALL_DATA} % are left out: their validation images are the training images"
        return replace(verdict, caveats=(*verdict.caveats, note))


def claim(code: str, sentence: str, rule: str) -> Callable[[Decide], Claim]:
    """Make a claim of the function below it, so that the rule in words stands beside the rule in code."""
    return lambda decide: Claim(code, sentence, rule, decide)


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
        caveats.append("one run a cell (n = 1)")
    if lost := int(rows["diverged"].sum()):
        caveats.append(f"{several(lost, 'run')} diverged and left no score")
    return Verdict(answer=answer, text=text, n=len(scored), caveats=tuple(caveats), **numbers)
