"""Where the next seeds go: to the rows that undecided claims read, most decisions per trial first.

Pure: a table and verdicts in, trials out. What is decided gets no more seeds; what no budget decides gets none either.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.claims.looks import CELL, first_look
from analysis.claims.verdicts import Assessment, Assessments, Claim, read_rows
from analysis.deciding.outlook import Outlook, foresee

MIN_CHANCE = 0.1  # of a decision; below that a claim is left
NUMBER = "cell"  # column: a cell's number
ROUND = 0.05  # of the budget: what a round takes at least, so that few rounds start up workers

Cost = Callable[[pd.DataFrame], float]  # of training these rows


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What an undecided claim asks for."""

    claim: Claim
    outlook: Outlook
    missing: tuple[pd.DataFrame, ...]  # at each look to come: the trials that it needs, as NUMBER and seed
    costs: tuple[float, ...]

    @property
    def promise(self) -> float:
        """Expected decisions for what they cost, at the best of the looks to come."""
        return self.outlook.chances[self.best] / self.costs[self.best]

    @property
    def best(self) -> int:
        """The look to come that promises most."""
        pace = [chance / cost for chance, cost in zip(self.outlook.chances, self.costs, strict=True)]
        return pace.index(max(pace))

    def fits(self, budget: float) -> bool:
        """Whether it is likely enough to be decided within a budget."""
        chances = zip(self.outlook.chances, self.costs, strict=True)
        return any(chance >= MIN_CHANCE and cost <= budget for chance, cost in chances)

    def within(self, budget: float) -> "Wish":
        """With those looks alone that the budget reaches."""
        count = sum(cost <= budget for cost in self.costs)
        outlook = Outlook(self.outlook.seeds[:count], self.outlook.chances[:count])
        return replace(self, outlook=outlook, missing=self.missing[:count], costs=self.costs[:count])


@dataclass(frozen=True, kw_only=True)
class Round:
    """What is trained next: rows of NUMBER and seed, and the claims they are for."""

    rows: pd.DataFrame
    wishes: tuple[Wish, ...]


def number_cells(table: pd.DataFrame) -> pd.DataFrame:
    """With a column NUMBER: rows of one cell, which differ in the seed alone, have the same."""
    return table.assign(**{NUMBER: table.groupby(CELL, dropna=False, sort=False).ngroup()})


def wish(claim: Claim, found: Assessment, table: pd.DataFrame, first: int, decided: float, cost: Cost) -> Wish:
    """Of an undecided claim. The table is one data set's, on one fold or several, its cells numbered; first: the seeds
    of the first pass, on each fold; decided: what `share_decided` says.
    """
    read = read_rows(claim, first_look(table))
    outlook = foresee(claim, found, first, decided, np.random.default_rng(0), read["fold"].nunique())
    cells = read[NUMBER].unique()
    there = set(zip(table[NUMBER], table["seed"], strict=True))
    wanted = [[(cell, seed) for cell in cells for seed in range(first, seeds)] for seeds in outlook.seeds]
    missing = tuple(
        pd.DataFrame([one for one in rows if one not in there], columns=[NUMBER, "seed"]).astype("int64")
        for rows in wanted
    )
    return Wish(claim=claim, outlook=outlook, missing=missing, costs=tuple(cost(rows) for rows in missing))


def next_round(wishes: Iterable[Wish], budget_left: float, budget: float, cost: Cost) -> Round | None:
    """The most promising wishes, each to its next look, until the round is large enough; None: nothing is left."""
    able = [one.within(budget_left) for one in wishes if one.fits(budget_left)]
    chosen: list[Wish] = []
    rows = pd.DataFrame(columns=[NUMBER, "seed"], dtype="int64")
    for one in sorted(able, key=lambda one: one.promise, reverse=True):
        more = pd.concat([rows, one.missing[0]]).drop_duplicates()
        if chosen and cost(more) > max(ROUND * budget, cost(chosen[0].missing[0])):
            break
        rows, chosen = more, [*chosen, one]
    return Round(rows=rows, wishes=tuple(chosen)) if chosen else None


def seconds_of_cells(table: pd.DataFrame, elsewhere: Iterable[str]) -> pd.Series:
    """What a trial of each numbered cell takes here. elsewhere: ids of runs that another machine trained; their seconds
    count by how fast this one was on cells that both have trained.
    """
    is_elsewhere = table["trained_run_id"].isin(set(elsewhere))
    here, there = (rows.groupby(NUMBER)["seconds"].mean() for rows in (table[~is_elsewhere], table[is_elsewhere]))
    pace = (here / there).median()
    return here.combine_first(there * (1.0 if pd.isna(pace) else pace))


def find_restored(table: pd.DataFrame, restored: pd.DataFrame, first: int) -> pd.DataFrame:
    """Further seeds of the table's numbered cells that were restored from files and are in no study yet, as NUMBER and
    seed: they cost nothing. Two studies that have a cell in common both ask for it.
    """
    same = [name for name in CELL if name != "study"]
    cells = table[[NUMBER, *same]].drop_duplicates()
    further = restored.loc[restored["seed"] >= first, [*same, "seed"]].drop_duplicates()
    found = cells.merge(further, on=same)[[NUMBER, "seed"]].astype("int64")
    there = pd.MultiIndex.from_frame(table[[NUMBER, "seed"]].astype("int64"))
    return found[~pd.MultiIndex.from_frame(found).isin(there)].reset_index(drop=True)


def open_claims(claims: Sequence[Claim], found: Assessments) -> list[Claim]:
    return [claim for claim in claims if found[claim.code].verdict == "undecided"]


def share_decided(found: Mapping[str, Assessment]) -> float:
    """Of the claims that are tested, the share that would be decided with one more."""
    verdicts = [one.verdict for one in found.values() if one.verdict != "untested"]
    decided = sum(verdict != "undecided" for verdict in verdicts)
    return min(1.0, (decided + 1) / max(1, len(verdicts)))
