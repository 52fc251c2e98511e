"""Who plays on the cells of a grid: the strategies of `tune`, and stages in other orders and from other starts.

A replay on a table (analysis/replays) and a live play (live.py) begin here alike; what a trial comes to they ask
elsewhere.
"""

from collections.abc import Callable

import numpy as np

from training.study.grid import Cells
from training.study.space import SEEDS_APART, Space
from training.study.strategies import REPORT_ORDER, STRATEGIES, Staged, Strategy, draw, make_strategy
from training.study.trial import Trial
from training.study.tuning import Tuning
from training.study.winning import Results

START = {  # the report's: where `staged` begins
    **{"loss": "switching", "optimizer": "adam", "lr": 1e-4, "scheduler": "none"},
    **{"weight_decay": 0.0, "dropout": 0.0},
}
Player = Callable[[Trial, int, Space], Strategy]


def _from_any_start(base: Trial, trials: int, space: Space) -> Strategy:
    return Staged(draw(base, SEEDS_APART - 1, space), trials, space)


def _in_any_order(base: Trial, trials: int, space: Space) -> Strategy:
    order = np.random.default_rng(base.seed).permutation(REPORT_ORDER).tolist()
    return Staged(draw(base, SEEDS_APART - 1, space), trials, space, order)


PLAYERS: dict[str, Player] = {
    "staged": STRATEGIES["staged"],  # from the report's start, where there is no chance: all its replays are the same
    "staged_starts": _from_any_start,
    "staged_orders": _in_any_order,
    **{name: strategy for name, strategy in STRATEGIES.items() if name != "staged"},
}


def make_player(name: str, base: Trial, trials: int, space: Space) -> Strategy:
    """By its name, or one's own strategy: FILE.py:Class. Raises ValueError."""
    return PLAYERS[name](base, trials, space) if name in PLAYERS else make_strategy(name, base, trials, space)


class OnCells:
    """A strategy whose suggestions are moved to the nearest cell that is there, and which is told what that came to."""

    def __init__(self, strategy: Strategy, cells: Cells) -> None:
        self.strategy, self.cells, self.asked = strategy, cells, dict[Trial, Trial]()

    def suggest(self, number: int, results: Results) -> Trial | None:
        told = {asked: results[cell] for asked, cell in self.asked.items() if cell in results}
        asked = self.strategy.suggest(number, told)
        if asked is None:
            return None
        cell = self.cells.trials[self.cells.nearest(asked)].replace(epochs=asked.epochs, seed=asked.seed)
        self.asked[asked] = cell
        return cell


def begin(cells: Cells, player: str, trials: int, seed: int) -> Tuning:
    """A player at its start on these cells, with a budget of so many trials in full. The seed is that of its trials,
    and of its luck.
    """
    base = cells.trials[0].replace(**START, seed=seed)
    return Tuning(base, player, trials, strategy=OnCells(make_player(player, base, trials, cells.space), cells))
