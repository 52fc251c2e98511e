"""Who wins, by one rule: what later studies build on, what the page calls highest, and what is promoted.

A cell is a configuration, and its score the mean over its seeds and folds; a run that diverged or predicts nothing
scores 0. Cells compete on equal data: only those of the largest training fraction. What was settled before is replaced
only by what is better by more than noise, where seeds tell what noise is.
"""

import math
from collections.abc import Hashable, Iterable, Mapping
from statistics import fmean
from typing import TypeVar

from training.study.intervals import MIN_UNITS, mean_interval
from training.study.trial import Trial

Cell = TypeVar("Cell", bound=Hashable)
Results = Mapping[Trial, float]  # best validation Dice of every finished trial; 0: it collapsed, nan: it diverged


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
    return ranked[0] if _is_better(ranked[0], incumbent, results) else incumbent


def _is_better(challenger: Trial, incumbent: Trial, results: Results) -> bool:
    """By more than noise (paired t over seeds); with too few seeds to tell, by its mean."""
    seeds = [
        trial.seed
        for trial in results
        if trial.replace(seed=0) == incumbent and challenger.replace(seed=trial.seed) in results
    ]
    gains = [_score(results, challenger, seed) - _score(results, incumbent, seed) for seed in seeds]
    return mean_interval(gains)[0] > 0 if len(gains) >= MIN_UNITS else challenger != incumbent


def _score(results: Results, cell: Trial, seed: int) -> float:
    return mean_score([results[cell.replace(seed=seed)]])
