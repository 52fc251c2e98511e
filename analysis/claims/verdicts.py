"""What a claim is, and how evidence becomes a verdict: one engine for all claims, published or measured.

A claim names the contrasts that it is about, each a number once per unit (a seed on one fold of one data set), and
where their means lie if it is true. The engine does the rest: Student's t over the units, one p value for the claim and
one against it, and over all claims of a page the false discovery rate of Benjamini and Hochberg (1995). Which claims
there are is said in claims.py; this file knows none of them.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd
from scipy import stats

from analysis.claims.contrasts import Contrast, Finding, detectable, examine
from analysis.claims.findings import describe
from analysis.claims.looks import count_looks, first_look, has_looks, look, share_of
from analysis.claims.rows import ALL_DATA, NOT_READ, describe_rows, edge_caveats
from analysis.claims.rules import Judge, all_of_them
from analysis.claims.sets import (
    count_units,
    disagreements,
    hindrances_of,
    merge,
    merge_notes,
    names_by_digest,
    split_sets,
    unit_words,
)

Verdict = Literal["supported", "contradicted", "undecided", "untested"]
VERDICTS: tuple[Verdict, ...] = ("supported", "contradicted", "undecided", "untested")

ERROR = 0.05  # of one claim: false verdicts; of a page: the expected share of false ones among those that decide


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What a claim rests on. No contrasts: it cannot be tested, and `missing` says why."""

    contrasts: Sequence[Contrast] = ()
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)  # that it read
    missing: str = ""
    text: str = ""  # what else there is to say
    caveats: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Assessment:
    verdict: Verdict
    text: str  # the evidence in words
    effect: float = math.nan  # of the contrast on which the claim depends most
    low: float = math.nan  # its 95 % interval (Student's t over units); of several looks, over all of them
    high: float = math.nan
    p: float = math.nan  # of deciding at all; the claim by itself
    p_adjusted: float = math.nan  # among all claims of the page
    spread: float = math.nan  # its sd over units
    units: int = 0
    unit_words: str = "seed"  # what a unit is: seed (x fold) (x data set)
    n: int = 0  # runs with a score that the verdict rests on
    findings: tuple[Finding, ...] = ()
    shown: Finding | None = None  # of these the one whose effect this is
    caveats: tuple[str, ...] = ()
    looks: int = 1  # that were taken, seeds being added in between; p, p_adjusted and the interval pay for them
    share: float = 1.0  # of the error, what the look that is shown may spend

    @property
    def sure(self) -> str:
        """How sure, and what could have been seen, in words; empty where nothing could decide."""
        if math.isnan(self.low):
            return ""
        words = [f"p = {self.p:.2g}, among all claims {self.p_adjusted:.2g}"]
        if self.looks > 1:
            words[0] += f", after {self.looks} looks"
        if not math.isnan(self.detectable):
            words.append(f"an effect of {self.detectable:.2g} would be seen in 4 of 5 tries with {self.counted}")
        return "; ".join(words)

    @property
    def counted(self) -> str:
        """`6 seeds`, `12 seeds x folds`."""
        return count_units(self.units, self.unit_words)

    @property
    def detectable(self) -> float:
        """The effect that would be seen in 4 of 5 tries, with these units and this noise, at the look that is shown."""
        return detectable(self.spread, self.units, self.share)


Assessments = Mapping[str, Assessment]  # by the claim's code


@dataclass(frozen=True)
class Claim:
    """One conclusion, the report's or ours, and what has to hold if it is true."""

    code: str  # <study>.<number>
    sentence: str  # the conclusion
    rule: str  # what has to hold, in words
    read: Callable[[pd.DataFrame], Basis]
    judge: Judge
    unit: str = "Dice"  # of its effect

    @property
    def study(self) -> str:
        return self.code.split(".")[0]


def claim(
    code: str, sentence: str, rule: str, *, judge: Judge | None = None, unit: str = "Dice"
) -> Callable[[Callable[[pd.DataFrame], Basis]], Claim]:
    """Make a claim of the function below it, so that the rule in words stands beside the rule in code."""
    return lambda read: Claim(code, sentence, rule, read, judge or all_of_them, unit)


def assess(claim: Claim, table: pd.DataFrame, *, goes_on: bool = False) -> Assessment:
    """One claim by itself on a tidy table: false in at most ERROR of the cases in which it decides wrongly.

    Where seeds were added while verdicts were open, it is looked at as often as it was then (looks.py); what counts is
    the look that decides it most surely or, where none does, the last one. goes_on: seeds will be added where it stays
    open, so that the first look has to be paid for already.
    """
    table = table.drop(columns=list(NOT_READ), errors="ignore")
    if not goes_on and not has_looks(table):
        return _look_at(claim, table)
    first = first_look(table)
    read = _read(claim, first)
    if not read.contrasts:
        return _look_at(claim, first)
    table = table[table["study"].isin({claim.study, *read.rows["study"]})]
    counts = count_looks(table, read.rows)
    looks = max(len(seeds) for seeds in counts.values())
    found = [_look_at(claim, look(table, counts, number), number) for number in range(1, looks + 1)]
    surest = min(found, key=lambda one: one.p if one.p <= ERROR else 1.0)
    shown = surest if surest.p <= ERROR else found[-1]
    return replace(shown, p=min(one.p for one in found), looks=looks)


def _look_at(claim: Claim, table: pd.DataFrame, number: int = 0) -> Assessment:
    """At one of several looks, counted from 1, which share the error between them; 0: there is but this one."""
    read, share = _read(claim, table), share_of(number) if number else 1.0
    if not read.contrasts:
        return Assessment(verdict="untested", text=read.missing)
    findings, unit = [examine(contrast, share) for contrast in read.contrasts], unit_words(read.contrasts)
    units = min(finding.units for finding in findings)
    judged = claim.judge(findings)
    hindrances = hindrances_of(read.contrasts)
    p_for, p_against = (1.0 if hindrances else min(1.0, 2 * p / share) for p in (judged.p_for, judged.p_against))
    p = p_against if p_against <= ERROR else min(p_for, p_against)
    shown = judged.depends_on
    if shown.contrast.unit != claim.unit:
        shown = next((finding for finding in findings if finding.contrast.unit == claim.unit), shown)
    caveats = [f"not decided: {hindrance}" for hindrance in hindrances]
    caveats += [*disagreements(findings, names_by_digest(table)), *read.caveats, *describe_rows(read.rows)]
    if dropped := max(contrast.dropped for contrast in read.contrasts):
        caveats.append(f"left out: {count_units(dropped, unit)} without all of the rows")
    words = [describe(findings, shown, units, unit), *([read.text] if read.text else [])]
    return Assessment(
        verdict=_verdict(p_for, p_against),
        text="; ".join(words),
        effect=shown.effect,
        low=shown.low,
        high=shown.high,
        p=p,
        p_adjusted=p,
        spread=shown.spread,
        units=units,
        unit_words=unit,
        n=int(read.rows["val_dice"].notna().sum()),
        findings=tuple(findings),
        shown=shown,
        share=share,
        caveats=tuple(dict.fromkeys(caveats)),
    )


def read_rows(claim: Claim, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the table that the claim rests on; none where it is untested."""
    read = _read(claim, table)
    return read.rows if read.contrasts else table.head(0)


def _read(claim: Claim, table: pd.DataFrame) -> Basis:
    """What the claim rests on: read of each data set by itself, then put together."""
    sets = split_sets(table)
    bases = {name: claim.read(rows) for name, rows in sets.items()} if len(sets) > 1 else {"": claim.read(table)}
    notes = {name: [*one.caveats, *_of_study(claim, sets.get(name, table))] for name, one in bases.items()}
    tested = {name: one for name, one in bases.items() if one.contrasts}
    if not tested:
        return next(iter(bases.values()))
    texts = [f"{name}: {one.text}" if len(sets) > 1 else one.text for name, one in tested.items() if one.text]
    return Basis(
        contrasts=merge([one.contrasts for one in tested.values()]),
        rows=pd.concat([one.rows for one in tested.values()]),
        text="; ".join(texts),
        caveats=[
            *merge_notes({name: notes[name] for name in tested}),
            *(f"nothing of {name}: {one.missing}" for name, one in bases.items() if name not in tested),
        ],
    )


def _of_study(claim: Claim, table: pd.DataFrame) -> list[str]:
    """What is to be known of all runs of the claim's study."""
    rows = table[table["study"] == claim.study]
    left_out = f"rows at {ALL_DATA} % are left out: their validation images are the training images"
    return [*edge_caveats(rows), *([left_out] if (rows["train_percent"] == ALL_DATA).any() else [])]


def assess_all(claims: Iterable[Claim], table: pd.DataFrame, *, goes_on: bool = False) -> dict[str, Assessment]:
    """All claims of a page: what decides by itself but not among so many is undecided, and says so; by code."""
    return among_all({claim.code: assess(claim, table, goes_on=goes_on) for claim in claims})


def among_all(found: dict[str, Assessment]) -> dict[str, Assessment]:
    """Claims that were assessed by themselves, judged among each other; by code."""
    tested = {code: one for code, one in found.items() if not math.isnan(one.p)}
    judged = dict(found)
    if not tested:
        return judged
    adjusted = stats.false_discovery_control([one.p for one in tested.values()], method="bh")
    for (code, one), p in zip(tested.items(), adjusted, strict=True):
        kept = replace(one, p_adjusted=float(p))
        if p > ERROR and one.verdict in ("supported", "contradicted"):
            note = f"by itself it would be {one.verdict} (p = {one.p:.3f}); among {len(tested)} claims p = {p:.3f}"
            kept = replace(kept, verdict="undecided", caveats=(*one.caveats, note))
        judged[code] = kept
    return judged


def _verdict(p_for: float, p_against: float) -> Verdict:
    """Of two-sided p values. Against comes first: what is surely too small to be worth the name is contradicted, though
    it may surely lie on the claim's side of 0.
    """
    if p_against <= ERROR:
        return "contradicted"
    return "supported" if p_for <= ERROR else "undecided"
