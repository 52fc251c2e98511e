"""Looks: seeds are added while verdicts are open, a claim is looked at again, and every look is paid for.

A claim is looked at with the seeds of the first pass, and then whenever it has half as many again. The k-th look may
spend k / 2^(k + 1) of the error: 1/4, 1/4, 3/16, 1/8 and so on, in all 1, however many looks there will be. So p
divided by its look's share is a p value at all of them, whenever somebody stops and whatever made them stop: a union
bound, as any alpha-spending function (Lan and DeMets 1983), without assumptions on how looks depend on each other.
"""

import itertools
import math
from collections.abc import Iterator

import pandas as pd

from analysis.claims.contrasts import UNIT
from analysis.claims.rows import FACTORS

GROWTH = 1.5  # of the seeds, from look to look
FIRST = "first_seeds"  # column: of a seed that was added, how many every cell had before
PLACE = [name for name in UNIT if name != "seed"]  # where seeds are added: one fold of one data set
CELL = ["study", *(name for name in FACTORS if name != "seed")]


def share_of(look: int) -> float:
    """Of the error, what the look may spend (they are counted from 1)."""
    return look / 2 ** (look + 1)


def schedule(first: int) -> Iterator[int]:
    """With how many seeds a claim is looked at: 6, 9, 14, 21, 32, 48, 72 and so on."""
    seeds = first
    while True:
        yield seeds
        seeds = math.ceil(seeds * GROWTH)


def up_to(seeds: int, first: int) -> list[int]:
    """The looks that so many seeds are enough for."""
    return list(itertools.takewhile(lambda look: look <= seeds, schedule(first)))


def has_looks(table: pd.DataFrame) -> bool:
    """Whether seeds were added to it while verdicts were open."""
    return bool(table[FIRST].notna().any())


def first_look(table: pd.DataFrame) -> pd.DataFrame:
    """What every claim was looked at with first."""
    return table[table["seed"] < _first_seeds(table)]


def count_looks(table: pd.DataFrame, read: pd.DataFrame) -> dict[tuple[object, ...], list[int]]:
    """Of a claim, by place: with how many seeds it was looked at.

    read: its rows in the first look. A further seed counts when all of their cells have it: what the claim is about
    does not depend on which of them got more.
    """
    found, first_seeds = {}, _first_seeds(table)
    for place, rows in read.groupby(PLACE):
        found[place] = [int(rows["seed"].max()) + 1]
        first = first_seeds.loc[rows.index[0]]
        if math.isfinite(first):
            complete = int(first) + _count_further(table, rows, int(first))
            found[place] = up_to(complete, int(first))
    return found


def _count_further(table: pd.DataFrame, read: pd.DataFrame, first: int) -> int:
    """How many seeds after the first ones every cell of these rows has."""
    wanted = read[CELL].drop_duplicates()
    having = table.merge(wanted, on=CELL).groupby("seed")[CELL[0]].size()
    return next(more for more in itertools.count() if having.get(first + more) != len(wanted))


def look(table: pd.DataFrame, counts: dict[tuple[object, ...], list[int]], number: int) -> pd.DataFrame:
    """The table as it was at one look of a claim, counted from 1: of each place the seeds it had then."""
    places = pd.MultiIndex.from_frame(table[PLACE])
    seeds = {place: known[min(number, len(known)) - 1] for place, known in counts.items()}
    return table[table["seed"] < places.map(lambda place: seeds.get(place, math.inf)).to_numpy(dtype=float)]


def _first_seeds(table: pd.DataFrame) -> pd.Series:
    """By row: how many seeds its place had in the first pass; no limit where none was added."""
    known = pd.to_numeric(table[FIRST])
    return known.groupby([table[name] for name in PLACE]).transform("min").fillna(math.inf)
