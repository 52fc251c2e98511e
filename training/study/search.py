"""Searches: pure functions from the results so far to the trials still to run.

A search knows neither how a trial is run nor where results are kept. Running a study is: propose, run, propose again
until nothing is left. Resuming it, or running it twice, is the same loop with more results at the start.
"""

from dataclasses import dataclass
from typing import Protocol

from training.study.trial import Trial
from training.study.winning import Results, mean_score


class Search(Protocol):
    def propose(self, results: Results) -> list[Trial]:
        """The trials to run next, none of them in results; an empty list when the search is done."""
        ...

    @property
    def num_trials(self) -> int:
        """How many trials the search takes in all."""
        ...


@dataclass(frozen=True)
class Grid:
    """Every trial of a list, in its order."""

    trials: tuple[Trial, ...]

    def propose(self, results: Results) -> list[Trial]:
        return [trial for trial in self.trials if trial not in results]

    @property
    def num_trials(self) -> int:
        return len(self.trials)


@dataclass(frozen=True)
class DecadeSearch:
    """The report's search for a learning rate (Section 2): the best decade first, then its digits by bisection.

    Four decades, then five of the digits 2..9 of the best decade: 5, then two at half the distance, then two next to
    the best ("around 4+5 = 9 experiments"). Where the best digit lies at the edge, the nearest untried digits take the
    place of those beyond it. Without `bisect` it ends after the decades, and so it does where none of them scores more
    than 0: there is no best one then. Every learning rate is tried with every seed and judged by its mean.
    """

    start: Trial
    seeds: tuple[int, ...] = (0,)
    bisect: bool = True

    DECADES = (1e-4, 1e-3, 1e-2, 1e-1)
    STEPS = ((4, 1), (2, 2), (1, 2))  # (distance from the best digit, how many digits to try)

    def propose(self, results: Results) -> list[Trial]:
        missing = self._missing(self.DECADES, results)
        if missing or not self.bisect:
            return missing
        decade = max(self.DECADES, key=lambda lr: self._score(lr, results))
        if self._score(decade, results) <= 0:
            return []
        tried = [1]
        for distance, count in self.STEPS:
            best = max(tried, key=lambda digit: self._score(_lr(digit, decade), results))
            digits = _nearest(best, distance, tried)[:count]
            missing = self._missing([_lr(digit, decade) for digit in digits], results)
            if missing:
                return missing
            tried += digits
        return []

    @property
    def num_trials(self) -> int:
        digits = sum(count for _, count in self.STEPS) if self.bisect else 0
        return (len(self.DECADES) + digits) * len(self.seeds)

    def _trials(self, lr: float) -> list[Trial]:
        return [self.start.replace(lr=lr, seed=seed) for seed in self.seeds]

    def _missing(self, lrs: list[float] | tuple[float, ...], results: Results) -> list[Trial]:
        return [trial for lr in lrs for trial in self._trials(lr) if trial not in results]

    def _score(self, lr: float, results: Results) -> float:
        return mean_score([results[trial] for trial in self._trials(lr)])


def can_win(trial: Trial) -> bool:
    """Whether the trial's validation Dice says what the others' say: on images it did not train on, as they are."""
    return trial.augment != "both" and trial.train_percent < 100


def _lr(digit: int, decade: float) -> float:
    return float(f"{digit * decade:.1g}")  # 3 * 1e-4 is 0.00030000000000000003, and a name should be 0.0003


def _nearest(best: int, distance: int, tried: list[int]) -> list[int]:
    untried = [digit for digit in range(1, 10) if digit not in tried]
    return sorted(untried, key=lambda digit: (abs(abs(digit - best) - distance), digit))
