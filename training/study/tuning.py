"""`tune`: the search that any strategy is behind, and its study."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from training.study.space import FACTORS, holds
from training.study.strategies import Strategy, make_strategy
from training.study.studies import Study
from training.study.trial import Trial
from training.study.winning import Results, mean_score

BATCH = 4  # trials that are asked for at once: as many workers have work, and what is asked depends on none of them
REPEATS = 200  # suggestions in a row that bring nothing new: then the strategy is done
TUNE = Study(
    name="tune",
    question="Which configuration segments best, of all that a strategy tries?",
    scientific=FACTORS,
    epochs=150,
)


@dataclass
class Tuning:
    """Trials that a strategy suggests, batch by batch, until they cost as much as `trials` in full.

    What it asks for follows from `known` and from the results of its own trials alone, so it is the same after a stop.
    """

    start: Trial  # the factors that no strategy sets, and those of the first stage of `staged`
    strategy_name: str
    trials: int
    known: Mapping[Trial, float] = field(default_factory=dict)  # of earlier studies: those of the space are told first
    hours: float = math.inf  # after which nothing more is asked for
    strategy: Strategy | None = None  # in place of the one of that name

    def __post_init__(self) -> None:
        self.asked: list[Trial] = []
        self._strategy = self.strategy
        self.known = {trial: score for trial, score in self.known.items() if holds(self.start, trial)}
        self._deadline = time.monotonic() + 3600 * self.hours

    def propose(self, results: Results) -> list[Trial]:
        while True:
            if missing := [trial for trial in dict.fromkeys(self.asked) if trial not in results]:
                return missing
            batch = self._next_batch({**self.known, **{trial: results[trial] for trial in self.asked}})
            if not batch:
                return []
            self.asked += batch

    def _next_batch(self, told: Results) -> list[Trial]:
        strategy = self._made()
        batch: list[Trial] = []
        tried, full, fresh, repeats = dict.fromkeys(self.asked), self.start.epochs, 0, 0
        for number in range(len(self.asked), len(self.asked) + REPEATS):
            if fresh == BATCH or (fresh and repeats == BATCH) or time.monotonic() > self._deadline:
                break  # who repeats what is not finished yet should see what it comes to
            trial = strategy.suggest(number, told)
            if trial is None:
                break
            if not holds(self.start, trial.replace(epochs=full)) or trial.epochs > full:
                raise ValueError(
                    f"strategy={self.strategy_name}: it suggests {trial}, which differs from `base` in more than the "
                    "factors of training/study/space.py, or has more epochs"
                )
            repeats += 1
            if trial not in tried:
                if sum(one.epochs for one in [*tried, trial]) > self.trials * full:
                    break
                tried[trial] = None
                fresh, repeats = fresh + 1, 0
            batch.append(trial)
        return batch if fresh else []

    @property
    def num_trials(self) -> int:
        """As many as the budget pays for; more where the strategy begins with short ones and says how many."""
        return int(getattr(self._made(), "num_trials", self.trials))

    def _made(self) -> Strategy:
        if self._strategy is None:
            self._strategy = make_strategy(self.strategy_name, self.start, self.trials)
        return self._strategy

    def holds(self, trial: Trial) -> bool:
        return trial in self.asked

    def choose(self, results: Results) -> Trial:
        """The best of its trials in full, whose results are all there; of equals the one it asked for first."""
        in_full = [trial for trial in dict.fromkeys(self.asked) if trial.epochs == self.start.epochs]
        return max(in_full, key=lambda trial: mean_score([results[trial]]))

    def best_so_far(self, results: Results) -> dict[int, float]:
        """The best score of its trials in full, by what had been spent until then, in full trials (rounded up)."""
        found: dict[int, float] = {}
        spent, full = 0, self.start.epochs
        for trial in dict.fromkeys(self.asked):
            spent += trial.epochs
            if trial.epochs == full and trial in results:
                found[math.ceil(spent / full)] = max([mean_score([results[trial]]), *found.values()])
        return found
