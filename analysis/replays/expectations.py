"""What is expected of strategies that play on a table, written down before any table was read.

The table: rows of the study `tournament`, made in outcome.py. A score is where a player's choice lies on the way from
random search (0) to the best cell (1): its Dice less that of random search at the same budget, over the best cell's
less that. A unit is an image that judges replays of its own, so what is decided holds for other images of this kind,
and for other replays. The trainings are two: what decides a claim, for or against, must hold whichever of them chooses,
the other one judging. That is all a table of two seeds can say, and it says nothing of other data.

Which part of its budget a player had spent (`at`): `epochs`, all of it; `pass`, what one pass of stages costs;
`seconds`, those that its budget takes on average. `comparisons` are counted replay by replay: how many differences
between two values of a factor a player's trials decide, and how often with the wrong sign. There a unit is a replay,
and what is decided holds for other replays on this table.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.claims.contrasts import Contrast, Finding, by_unit, contrast
from analysis.claims.rules import Judgement
from analysis.claims.verdicts import Basis, Claim, claim

STUDY = "tournament"
SMALLEST = 0.1  # of the way from random search to the best cell: less is no difference worth the name
ALIKE = (-SMALLEST, SMALLEST)
LABELS = {
    "staged": "one factor at a time, as the report",
    "staged_starts": "one factor at a time, from any start",
    "staged_orders": "one factor at a time, in any order",
    "random": "random search",
    "sobol": "Sobol's sequence",
    "tpe": "TPE",
    "gp": "a Gaussian process",
    "one_epoch": "one-epoch screening",
    "halving": "successive halving",
}
SCORE = "way to the best"  # the unit of an effect


def _agree(findings: Sequence[Finding]) -> Judgement:
    """For or against, every training must say so."""
    weakest = max(findings, key=lambda one: min(one.p_for, one.p_against))
    return Judgement(max(one.p_for for one in findings), max(one.p_against for one in findings), weakest)


def _score(table: pd.DataFrame, left: tuple[str, str], right: tuple[str, str], **known: Any) -> Basis:
    """The score of one (player, at) less that of another, for each training that chooses."""
    rows = _played(table, left, right)
    if isinstance(rows, str):
        return Basis(missing=rows)
    words = LABELS[left[0]] + " less " + (LABELS[right[0]] if left[0] != right[0] else "the same after one pass")
    known = {"smallest": SMALLEST, "unit": SCORE, "of_what": "judging image", **known}
    found: list[Contrast] = []
    for chooser, own in rows.groupby("chooser"):
        one, other = (by_unit(_of(own, side), (), "score") for side in (left, right))
        found += contrast(f"{words}, choosing by seed {chooser:g}", (one - other)["score"].dropna(), **known)
    return Basis(contrasts=found, rows=rows, missing="random search finds the best cell itself: there is no way left")


def _counted(table: pd.DataFrame, left: str, right: str, column: str, unit: str, smallest: float) -> Basis:
    """What was counted of one player's comparisons less what was of another's, replay by replay."""
    sides = (left, "comparisons"), (right, "comparisons")
    rows = _played(table, *sides)
    if isinstance(rows, str):
        return Basis(missing=rows)
    one, other = (by_unit(_of(rows, side), (), column) for side in sides)
    values = (one - other)["score"].dropna()  # where both decided any
    known: dict[str, Any] = {"smallest": smallest, "unit": unit, "of_what": "replay"}
    return Basis(contrasts=contrast(f"{LABELS[left]} less {LABELS[right]}", values, **known), rows=rows)


def _of(rows: pd.DataFrame, side: tuple[str, str]) -> pd.DataFrame:
    return rows[(rows["player"] == side[0]) & (rows["at"] == side[1])]


def _played(table: pd.DataFrame, *sides: tuple[str, str]) -> pd.DataFrame | str:
    """The rows of these players; or why there are none."""
    rows = table[table["study"] == STUDY]
    if rows.empty:
        return "no tournament was played"
    for player, at in sides:
        if _of(rows, (player, at)).empty:
            has_played = (rows["player"] == player).any()
            return "the budget is less than one pass of stages" if has_played else f"{LABELS[player]} did not play"
    return pd.concat([_of(rows, side) for side in sides])


def _beats(code: str, sentence: str, player: str, other: str, at: str = "epochs") -> Claim:
    budget = {"epochs": "the same epochs", "pass": "the epochs of one pass", "seconds": "the same seconds"}[at]
    rule = (
        f"The score of {LABELS[player]} less that of {LABELS[other]}, after {budget}, lies above 0 whichever seed "
        f"chooses; within {SMALLEST} of 0 is no difference."
    )
    return claim(code, sentence, rule, judge=_agree, unit=SCORE)(lambda table: _score(table, (player, at), (other, at)))


def _alike(code: str, sentence: str, player: str, other: str, at: str = "epochs") -> Claim:
    less = f"{LABELS[player]} less that of {LABELS[other]}"
    rule = f"The score of {less} lies within {SMALLEST} of 0 whichever seed chooses."
    known = {"claimed": ALIKE, "smallest": 0.0}
    return claim(code, sentence, rule, judge=_agree, unit=SCORE)(
        lambda table: _score(table, (player, at), (other, at), **known)
    )


@claim(
    "tournament.4",
    "A second pass of stages pays.",
    f"The score of {LABELS['staged_starts']}, after all epochs less after one pass, lies above 0 whichever seed "
    f"chooses; within {SMALLEST} of 0 is no difference.",
    judge=_agree,
    unit=SCORE,
)
def second_pass_pays(table: pd.DataFrame) -> Basis:
    return _score(table, ("staged_starts", "epochs"), ("staged_starts", "pass"))


@claim(
    "tournament.12",
    "Random trials decide more comparisons than stages do.",
    "Differences between two values of a factor that Welch's t decides at 5 %, random search less one factor at a time "
    "from any start, lie above 0 in the mean over the replays; fewer than 1 is no difference.",
    unit="comparisons",
)
def random_decides_more(table: pd.DataFrame) -> Basis:
    return _counted(table, "random", "staged_starts", "decided", "comparisons", 1.0)


@claim(
    "tournament.13",
    "What stages decide is more often wrong.",
    "The share of a replay's decided comparisons whose sign is not that of the whole table, one factor at a time from "
    "any start less random search, lies above 0 in the mean over the replays; less than 0.05 is no difference.",
    unit="share",
)
def stages_mislead(table: pd.DataFrame) -> Basis:
    return _counted(table, "staged_starts", "random", "wrong", "share", 0.05)


CLAIMS: Sequence[Claim] = (
    _beats(
        "tournament.1", "One factor at a time, as the report tunes, beats random search.", "staged", "random", "pass"
    ),
    _beats("tournament.2", "From any start it does so, too.", "staged_starts", "random", "pass"),
    _alike("tournament.3", "The order of the stages matters little.", "staged_starts", "staged_orders", "pass"),
    second_pass_pays,
    _beats("tournament.5", "TPE beats random search.", "tpe", "random"),
    _beats("tournament.6", "TPE beats one factor at a time, two passes of it.", "tpe", "staged_starts"),
    _beats("tournament.7", "A Gaussian process beats random search.", "gp", "random"),
    _alike("tournament.8", "Sobol's sequence is no better than random search.", "sobol", "random"),
    _beats("tournament.9", "Successive halving beats random search.", "halving", "random"),
    _beats("tournament.10", "One-epoch screening beats random search.", "one_epoch", "random"),
    _beats("tournament.11", "In seconds TPE beats one factor at a time, too.", "tpe", "staged_starts", "seconds"),
    random_decides_more,
    stages_mislead,
)
