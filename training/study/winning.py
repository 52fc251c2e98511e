"""Who wins, by one rule: what later studies build on, what the page calls highest, and what is promoted.

A cell is a configuration, and its score the mean over its seeds and folds; a run that diverged or predicts nothing
scores 0. Cells compete on equal data: only those of the largest training fraction. What was settled before is replaced
only by what is better by more than noise, where seeds tell what noise is. Who wants the steadiest cell in place of the
highest one takes `find_consistent`: among cells that noise alone keeps from the first place.
"""

import math
from collections.abc import Hashable, Iterable, Mapping
from statistics import fmean, stdev
from typing import Any, TypeVar

from training.study.intervals import MIN_UNITS, mean_interval
from training.study.trial import Trial

Cell = TypeVar("Cell", bound=Hashable)
Results = Mapping[Trial, float]  # best validation Dice of every finished trial; 0: it collapsed, nan: it diverged

Repeats = Mapping[Any, float]  # Dice of one cell's runs, by what tells them apart: their seed, or seed and fold


def score_of(dice: float, *, collapsed: bool, diverged: bool) -> float:
    """What a run counts for: 0 where it predicts nothing, or nothing right; nan where it diverged."""
    if collapsed:
        return 0.0
    return math.nan if diverged else dice


def score_by_tags(dice: float, tags: Mapping[str, str]) -> float:
    """The same of a run, whose tags say how it ended."""
    collapsed, diverged = (tags.get(name) == "true" for name in ("collapsed", "diverged"))
    return score_of(dice, collapsed=collapsed, diverged=diverged)


def mean_score(dices: Iterable[float]) -> float:
    """Mean Dice over seeds; one that collapsed (0) or diverged (nan) counts 0."""
    return fmean(0.0 if math.isnan(dice) else dice for dice in dices)


def rank_cells(runs: Iterable[tuple[Cell, float, float]]) -> dict[Cell, float]:
    """The cells that compete and their scores, best first. `runs`: cell, train_percent and Dice of each.

    Failed runs are among them. A cell whose mean is 0 is not: what predicts nothing, or nothing right, does not win.
    """
    known = list(runs)
    largest = max((percent for _, percent, _ in known), default=0.0)
    cells: dict[Cell, list[float]] = {}
    for cell, percent, dice in known:
        if percent == largest:
            cells.setdefault(cell, []).append(dice)
    scores = {cell: mean_score(dices) for cell, dices in cells.items()}
    return {cell: score for cell, score in sorted(scores.items(), key=lambda one: -one[1]) if score > 0}


def find_winner(results: Results, incumbent: Trial | None = None) -> Trial | None:
    """The trial (seed 0 stands for all seeds) that wins; None where no cell has a mean above 0.

    `incumbent`, where it is among the results, stays unless the best is better by more than noise.
    """
    ranked = list(rank_cells((trial.replace(seed=0), trial.train_percent, dice) for trial, dice in results.items()))
    if not ranked or incumbent not in ranked:
        return ranked[0] if ranked else None
    first, stays = _repeats(results, ranked[0]), _repeats(results, incumbent)
    return ranked[0] if ranked[0] != incumbent and is_better(first, stays) else incumbent


def is_better(challenger: Repeats, incumbent: Repeats) -> bool:
    """Whether a cell of the higher mean is better by more than noise: paired t over the seeds that both have.

    With too few seeds to tell what noise is, it is.
    """
    gains = [mean_score([challenger[one]]) - mean_score([incumbent[one]]) for one in incumbent if one in challenger]
    return mean_interval(gains)[0] > 0 if len(gains) >= MIN_UNITS else True


def find_consistent(cells: Mapping[Cell, Repeats], winner: Cell) -> Cell | None:
    """The cell of the smallest sd over seeds, of those that the winner is better than by no more than noise.

    Compared are the seeds that all of them have: of equal cells the one with the fewest would look steadiest. Of equals
    the one of the higher mean. None where the winner itself has fewer than MIN_UNITS seeds.
    """
    if len(cells[winner]) < MIN_UNITS:
        return None
    level = [
        cell
        for cell, repeats in cells.items()
        if cell == winner or (len(repeats) >= MIN_UNITS and not is_better(cells[winner], repeats))
    ]
    shared = set(cells[winner]).intersection(*(cells[cell] for cell in level))
    if len(shared) < MIN_UNITS:
        return winner
    scores = {cell: [mean_score([cells[cell][one]]) for one in sorted(shared)] for cell in level}
    return min(level, key=lambda cell: (stdev(scores[cell]), -fmean(scores[cell])))


def _repeats(results: Results, cell: Trial) -> Repeats:
    return {trial.seed: dice for trial, dice in results.items() if trial.replace(seed=0) == cell}
