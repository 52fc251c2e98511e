"""Who plays: the strategies of `tune`, and stages in other orders and from other starts."""

from collections.abc import Callable

import numpy as np

from training.study.space import SEEDS_APART, Space
from training.study.strategies import REPORT_ORDER, STRATEGIES, Staged, Strategy, draw, make_strategy
from training.study.trial import Trial

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
