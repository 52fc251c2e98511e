"""What the page says of several data sets: the claims set by set. Tables in, words out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.claims.claims import ALL_CLAIMS
from analysis.claims.contrasts import UNIT
from analysis.claims.labels import TIMES, number, signed
from analysis.claims.sets import DISAGREE, names_by_digest, split_sets
from analysis.claims.sets import by_set as contrasts_by_set
from analysis.claims.verdicts import Assessments, Claim, Verdict


@dataclass(frozen=True)
class SetCell:
    """What a claim comes to on one data set, or together."""

    verdict: Verdict
    effect: str  # of the row's contrast


@dataclass(frozen=True)
class SetRow:
    claim: Claim
    contrast: str  # the one on which the claim, judged on all sets together, depends most
    cells: tuple[SetCell, ...]  # together first
    disagree: bool  # surely above 0 on one set and below on another


@dataclass(frozen=True)
class SetTable:
    """The claims by data set."""

    heads: tuple[tuple[str, str], ...]  # together and each set, with its units
    rows: tuple[SetRow, ...]  # of the claims that were tested anywhere
    untested: int  # claims that were not


def first_set(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of the data set that comes first."""
    return next(iter(split_sets(trials).values()), trials)


def units_of(trials: pd.DataFrame) -> str:
    """What is counted: `seeds`, `seeds x folds x data sets`."""
    several = [
        word for name, word in (("fold", "folds"), ("data_digest", "data sets")) if len(trials[name].unique()) > 1
    ]
    return f" {TIMES} ".join(["seeds", *several])


def claims_by_set(trials: pd.DataFrame, measured: Assessments, by_set: Mapping[str, Assessments]) -> SetTable | None:
    """Every claim's verdict and effect together and on each data set; None of a single one."""
    if len(by_set) < 2:
        return None
    sets = {"together": trials, **split_sets(trials)}
    sides = {"together": measured, **by_set}
    tested = [claim for claim in ALL_CLAIMS if any(side[claim.code].verdict != "untested" for side in sides.values())]
    names = names_by_digest(trials)
    return SetTable(
        heads=tuple(
            (name, f"{len(rows[list(UNIT)].drop_duplicates())} {units_of(rows)}") for name, rows in sets.items()
        ),
        rows=tuple(_row(claim, sides, names) for claim in tested),
        untested=len(ALL_CLAIMS) - len(tested),
    )


def _row(claim: Claim, sides: Mapping[str, Assessments], names: Mapping[str, str]) -> SetRow:
    together = sides["together"][claim.code]
    found = contrasts_by_set(together.shown, names) if together.shown else {}
    effects = {"together": together.effect} | {name: one.effect for name, one in found.items()}
    return SetRow(
        claim=claim,
        contrast=together.shown.contrast.words if together.shown else "",
        cells=tuple(
            SetCell(side[claim.code].verdict, _effect(claim, effects.get(name, math.nan)))
            for name, side in sides.items()
        ),
        disagree=any(note.startswith(DISAGREE) for note in together.caveats),
    )


def _effect(claim: Claim, effect: float) -> str:
    if math.isnan(effect):
        return ""
    return signed(effect) if claim.unit == "Dice" else f"{number(effect)} ({claim.unit})"
