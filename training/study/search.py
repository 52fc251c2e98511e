"""Searches: pure functions from the results so far to the trials still to run.

A search knows neither how a trial is run nor where results are kept. Running a study is: propose, run, propose again
until nothing is left. Resuming it, or running it twice, is the same loop with more results at the start.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from training.study.trial import Trial
from training.study.winning import Results, mean_score


class Search(Protocol):
    @property
    def start(self) -> Trial:
        """One of its trials, for what is asked before any has run: how long it takes, how wide it is."""
        ...

    def propose(self, results: Results) -> list[Trial]:
        """The trials to run next, none of them in results; an empty list when the search is done."""
        ...

    @property
    def num_trials(self) -> int:
        """How many trials the search takes in all."""
        ...

    def holds(self, trial: Trial) -> bool:
        """Whether the trial is one of its own."""
        ...


@dataclass(frozen=True)
class Grid:
    """Every trial of a list, in its order."""

    trials: tuple[Trial, ...]

    @property
    def start(self) -> Trial:
        return self.trials[0]

    def propose(self, results: Results) -> list[Trial]:
        return [trial for trial in self.trials if trial not in results]

    @property
    def num_trials(self) -> int:
        return len(self.trials)

    def holds(self, trial: Trial) -> bool:
        return trial in self.trials


DECADES = (1e-4, 1e-3, 1e-2, 1e-1)
STAGES = 3  # of a refinement
WIDE = 5.0  # the ratio of two neighbouring rates from which there is a decade between them left untried
DIGITS = ((4, 1), (2, 2), (1, 2))  # (distance from the best digit, how many digits to try), for each stage


def bisect_digits(scores: Mapping[float, float], stage: int) -> list[float]:
    """The report's (Section 2): of the digits 2..9 of the best decade 5, then two at half the distance, then two next
    to the best ("around 4+5 = 9 experiments"). Where the best digit lies at the edge, the nearest untried digits take
    the place of those beyond it. Nothing below the best decade is tried.
    """
    decade = max(DECADES, key=lambda lr: scores[lr])
    tried = [digit for digit in range(1, 10) if _digit(digit, decade) in scores]
    best = max(tried, key=lambda digit: scores[_digit(digit, decade)])
    distance, count = DIGITS[stage]
    return [_digit(digit, decade) for digit in _nearest(best, distance, tried)[:count]]


def narrow_around_best(scores: Mapping[float, float], stage: int) -> list[float]:
    """Half a decade below and above the best so far, then a quarter; then an eighth, on the side that scored better.

    Beyond the first and the last rate tried, too.
    """
    best = max(scores, key=lambda lr: scores[lr])
    step = 10**0.5 ** (stage + 1)
    below, above = (
        max((lr for lr in scores if lr < best), default=0),
        min((lr for lr in scores if lr > best), default=0),
    )
    sides = [_round(best / step), _round(best * step)]
    if stage < STAGES - 1:
        return sides
    return sides[:1] if scores.get(below, math.inf) > scores.get(above, math.inf) else sides[1:]


def is_at_edge(best: float, tried: Iterable[float], *, leaves_decades: bool = True) -> bool:
    """Whether better values may lie beyond the best: it is the first or the last one tried.

    Or a search for a rate went on above it and left the decade below it untried, as bisect_digits does of a best
    digit 1.
    """
    tried = list(tried)
    below = max((lr for lr in tried if lr < best), default=None)
    above = min((lr for lr in tried if lr > best), default=None)
    if below is None or above is None:
        return True
    return leaves_decades and best / below > WIDE > above / best


SEARCHES: dict[str, Callable[[Mapping[float, float], int], list[float]]] = {
    "geometric": narrow_around_best,
    "report": bisect_digits,
}


@dataclass(frozen=True)
class DecadeSearch:
    """A search for a learning rate: four decades, then five rates about the best one, in three stages: 9 trials.

    `search` names the refinement, a function of the scores so far and the stage. Without `refine` it ends after the
    decades, and so it does where none of them scores more than 0: there is no best one then. Every learning rate is
    tried with every seed and judged by its mean.
    """

    start: Trial
    seeds: tuple[int, ...] = (0,)
    search: str = "geometric"
    refine: bool = True

    def propose(self, results: Results) -> list[Trial]:
        tried: list[float] = list(DECADES)
        missing = self._missing(tried, results)
        for stage in range(STAGES if self.refine else 0):
            if missing:
                break
            scores = {lr: self._score(lr, results) for lr in tried}
            if max(scores.values()) <= 0:
                break
            rates = SEARCHES[self.search](scores, stage)
            missing = self._missing(rates, results)
            tried += rates
        return missing

    @property
    def num_trials(self) -> int:
        return (len(DECADES) + (sum(count for _, count in DIGITS) if self.refine else 0)) * len(self.seeds)

    def holds(self, trial: Trial) -> bool:
        return _is_at_some_lr(self.start, self.seeds, trial)

    def best_lr(self, results: Results) -> float:
        """Of the learning rates tried so far; the lowest of equals, as where none predicts anything."""
        tried = sorted({trial.lr for trial in results if self.holds(trial)})
        return max(tried, key=lambda lr: self._score(lr, results))

    def _score(self, lr: float, results: Results) -> float:
        return mean_score([results[trial] for trial in self._trials(lr)])

    def _trials(self, lr: float) -> list[Trial]:
        return [self.start.replace(lr=lr, seed=seed) for seed in self.seeds]

    def _missing(self, lrs: Iterable[float], results: Results) -> list[Trial]:
        return [trial for lr in lrs for trial in self._trials(lr) if trial not in results]


@dataclass(frozen=True)
class TunedGrid:
    """The seeds of one cell, at the learning rate that a search finds for it; nothing before that search is done."""

    start: Trial  # its learning rate is replaced
    seeds: tuple[int, ...]
    rate: DecadeSearch

    def propose(self, results: Results) -> list[Trial]:
        if self.rate.propose(results):
            return []
        cell = self.start.replace(lr=self.rate.best_lr(results))
        trials = [cell.replace(seed=seed) for seed in self.seeds]
        return [trial for trial in trials if trial not in results]

    @property
    def num_trials(self) -> int:
        return len(self.seeds)

    def holds(self, trial: Trial) -> bool:
        return _is_at_some_lr(self.start, self.seeds, trial)


def can_win(trial: Trial) -> bool:
    """Whether the trial's validation Dice says what the others' say: on images it did not train on, as they are."""
    return trial.augment != "both" and trial.train_percent < 100


def _is_at_some_lr(start: Trial, seeds: tuple[int, ...], trial: Trial) -> bool:
    """Whether a trial differs from `start` in nothing but its learning rate and which of the seeds it has."""
    return trial.seed in seeds and trial.replace(lr=start.lr, seed=start.seed) == start


def _digit(digit: int, decade: float) -> float:
    return float(f"{digit * decade:.1g}")  # 3 * 1e-4 is 0.00030000000000000003, and a name should be 0.0003


def _round(lr: float) -> float:
    return float(f"{lr:.2g}")


def _nearest(best: int, distance: int, tried: list[int]) -> list[int]:
    untried = [digit for digit in range(1, 10) if digit not in tried]
    return sorted(untried, key=lambda digit: (abs(abs(digit - best) - distance), digit))
