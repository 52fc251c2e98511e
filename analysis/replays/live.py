"""Do replays say what live plays come to? A table's plays and its replays in, one comparison per player out.

All replays share the two trainings of each cell, and every live play has its own. So the replays' interval knows how
far plays differ by what they asked for, and by which cell they chose; it does not know what another table would say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.evidence.schema import FACTORS
from analysis.replays.board import Board
from analysis.replays.outcome import judge
from analysis.replays.replay import Played
from training.study.grid import VALUES
from training.study.intervals import LEVEL
from training.study.live import ROLES

if TYPE_CHECKING:  # it reads stores
    from analysis.evidence.grid_table import GridTable

DRAWS = 10_000  # of the bootstrap


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One player. Dice are means over the images that judge; one that diverged counts 0."""

    player: str
    plays: int  # live
    live: float  # mean Dice of what they chose
    replays: int
    replayed: float  # mean Dice likewise
    low: float  # the replays' interval for the mean of so many plays
    high: float

    @property
    def holds(self) -> bool:
        return self.low <= self.live <= self.high


@dataclass(frozen=True, kw_only=True)
class Live:
    comparisons: tuple[Comparison, ...] = ()
    not_replayed: tuple[str, ...] = ()  # players with live plays that are left out of this tournament
    why_not: str = ""  # nothing is compared, in words; empty, too, where nobody played live


def compare_live(table: "GridTable", board: Board, played: Sequence[Played], trials: int) -> Live:
    """Each player's live plays beside its replays, where both had the same to choose from, and as much to spend."""
    if table.plays.empty:
        return Live()
    if why_not := _why_not(table, board, trials):
        return Live(why_not=why_not)
    judges = table.plays[table.plays["role"] == ROLES[1]]
    dice = judges["judge_dice"].where(~judges["diverged"], 0.0).fillna(0.0)
    comparisons, not_replayed = [], []
    for player, live in dice.groupby(judges["player"], sort=False):
        replays = [one for one in played if one.player == player]
        if replays:
            replayed = judge(board, replays, [one.choices[-1] for one in replays]).mean(axis=1)
            comparisons.append(compare_one(str(player), live.to_numpy(), replayed))
        else:
            not_replayed.append(str(player))
    return Live(comparisons=tuple(comparisons), not_replayed=tuple(not_replayed))


def compare_one(player: str, live: np.ndarray, replayed: np.ndarray) -> Comparison:
    """Dice of live plays beside those of replays. The interval is where the means of as many replays lie, drawn from
    them with replacement DRAWS times by a generator of its own (percentile bootstrap): from 2.5 % to 97.5 %.
    """
    means = np.random.default_rng(0).choice(replayed, (DRAWS, len(live))).mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Comparison(
        player=player,
        plays=len(live),
        live=float(live.mean()),
        replays=len(replayed),
        replayed=float(replayed.mean()),
        low=float(low),
        high=float(high),
    )


def _why_not(table: "GridTable", board: Board, trials: int) -> str:
    """Why replays on this table are not what was played live, in words; empty where they are."""
    plays, first, cell = table.plays, table.plays.iloc[0], table.cells.iloc[0]
    if first["data_digest"] != board.digest:
        return f"they were played on other images (digest {first['data_digest']}; the table's is {board.digest})"
    for factor in FACTORS:
        if factor not in (*VALUES, "seed") and first[factor] != cell[factor]:
            return f"they were played with {factor}={first[factor]}, and the table's cells have {cell[factor]}"
    images = [_judging(table.images, rows["run_id"]) for rows in (plays[plays["role"] == ROLES[1]], table.cells)]
    if not images[0] <= images[1]:
        return "other images judged them than the table's cells"
    if first["trials"] != trials:
        return f"they had {first['trials']} trials to spend, and these replays {trials}; -P trials={first['trials']}"
    if table.share < 1:
        return f"they chose from the whole grid, and replays on {table.share:.1%} of it are not what was played"
    return ""


def _judging(images: pd.DataFrame, run_ids: pd.Series) -> set[str]:
    """The images with foreground that judged these trainings."""
    return set(images[images["run_id"].isin(run_ids)].dropna(subset="own_dice")["image"])
