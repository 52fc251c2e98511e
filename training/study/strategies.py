"""How `tune` chooses what to try next: strategies by name, or one of your own.

A strategy is a class made with (base, trials) that has `suggest(number, results)`. It must say the same whenever it is
asked the same, so that a study that was killed goes on as if nothing had happened: whatever is random is seeded by the
number.
"""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from training.study.search import DECADES
from training.study.space import SPACE, Choice, from_shares, to_digits
from training.study.trial import OPTIMIZERS, Trial
from training.study.winning import Results, mean_score

SCREENED = 0.5  # one_epoch: the share of the budget that goes into trials of one epoch
RUNGS = 3  # halving: of epochs, each three times the one before
REDUCTION = 3  # of trials, from rung to rung


class Strategy(Protocol):
    def suggest(self, number: int, results: Results) -> Trial | None:
        """The trial to run as the number-th, counted from 0; `base` with other values of space.SPACE, or fewer epochs.

        results: validation Dice (0: predicts nothing, nan: diverged) of what is finished, earlier studies' first.
        None: nothing before the trials that run are finished; when none runs, nothing at all.
        """
        ...


class Random:
    """Every factor by itself, evenly."""

    def __init__(self, base: Trial, trials: int) -> None:  # noqa: ARG002
        self.base = base

    def suggest(self, number: int, results: Results) -> Trial | None:  # noqa: ARG002
        return _draw(self.base, number)


class Sobol:
    """A sequence that fills the space more evenly than chance (Sobol 1967; scrambled, Owen 1998)."""

    def __init__(self, base: Trial, trials: int) -> None:
        from scipy.stats import qmc  # it takes a second to import

        self.base = base
        power = max(1, (4 * trials - 1).bit_length())  # a strategy is asked as often as its trials cost less than one
        self.points = qmc.Sobol(len(SPACE), rng=0).random_base2(power)

    def suggest(self, number: int, results: Results) -> Trial | None:  # noqa: ARG002
        return from_shares(self.base, self.points[number % len(self.points)].tolist())


class _InStages:
    """Stage after stage, each made when the one before is finished."""

    def __init__(self, first: list[Trial]) -> None:
        self.planned, self.stage, self.results = first, first, dict[Trial, float]()
        self.stages = self._go_on()

    def suggest(self, number: int, results: Results) -> Trial | None:
        while number >= len(self.planned):
            if any(trial not in results for trial in self.stage):
                return None
            self.results = dict(results)
            self.stage = next(self.stages, [])
            if not self.stage:
                return None
            self.planned = [*self.planned, *self.stage]
        return self.planned[number]

    def _go_on(self) -> Iterator[list[Trial]]:
        """The stages after the first; `stage` and `results` are those of the one before."""
        raise NotImplementedError

    def _ranked(self) -> list[Trial]:
        """The trials of the stage that is finished, each once, the best first."""
        return sorted(dict.fromkeys(self.stage), key=lambda trial: -mean_score([self.results[trial]]))


class Staged(_InStages):
    """As the report tunes: rates for each optimizer, then one factor after the other, each at the best so far; then
    again, with rates half a decade around the best.
    """

    def __init__(self, base: Trial, trials: int) -> None:  # noqa: ARG002
        super().__init__([base.replace(optimizer=name, lr=lr) for name in OPTIMIZERS for lr in DECADES])

    def _go_on(self) -> Iterator[list[Trial]]:
        while True:
            for factor in SPACE:
                if isinstance(factor, Choice) and factor.name not in ("optimizer", "sgd_momentum"):
                    best = self._ranked()[0]
                    yield [best, *(best.replace(**{factor.name: value}) for value in factor.values)]
            best = self._ranked()[0]
            yield [best, *(best.replace(lr=to_digits(best.lr * step)) for step in (10**-0.5, 10**0.5))]


class OneEpoch(_InStages):
    """Half of the budget into random trials of one epoch; then the best of them in full, best first."""

    def __init__(self, base: Trial, trials: int) -> None:
        self.epochs = base.epochs
        screened = max(1, round(SCREENED * trials * base.epochs))
        self.num_trials = screened + trials - round(SCREENED * trials)
        super().__init__([_draw(base.replace(epochs=1), number) for number in range(screened)])

    def _go_on(self) -> Iterator[list[Trial]]:
        yield [trial.replace(epochs=self.epochs) for trial in self._ranked()]


class Halving(_InStages):
    """Successive halving (Jamieson and Talwalkar 2016): many short trials, the best third of them three times as long.

    Each rung takes the same number of epochs. A longer trial starts anew: its schedule is another one.
    """

    def __init__(self, base: Trial, trials: int) -> None:
        epochs = sorted({max(1, round(base.epochs / REDUCTION**k)) for k in range(RUNGS)})
        self.rungs = [(number, max(1, int(trials * base.epochs / len(epochs) / number))) for number in epochs]
        self.num_trials = sum(count for _, count in self.rungs)
        shortest, count = self.rungs[0]
        super().__init__([_draw(base.replace(epochs=shortest), number) for number in range(count)])

    def _go_on(self) -> Iterator[list[Trial]]:
        for epochs, count in self.rungs[1:]:
            yield [trial.replace(epochs=epochs) for trial in self._ranked()[:count]]


def _draw(base: Trial, number: int) -> Trial:
    """The random trial of this number."""
    return from_shares(base, np.random.default_rng(number).random(len(SPACE)).tolist())


def _sampled(name: str) -> Callable[[Trial, int], Strategy]:
    def make(base: Trial, trials: int) -> Strategy:
        from training.study.samplers import Sampled  # Optuna takes a second to import

        return Sampled(name, base, trials)

    return make


STRATEGIES: dict[str, Callable[[Trial, int], Strategy]] = {
    "staged": Staged,
    "random": Random,
    "sobol": Sobol,
    "tpe": _sampled("tpe"),
    "gp": _sampled("gp"),
    "halving": Halving,
    "one_epoch": OneEpoch,
}


def make_strategy(name: str, base: Trial, trials: int) -> Strategy:
    """By its name, or of a person's own: FILE.py:Class. Raises ValueError."""
    if name in STRATEGIES:
        return STRATEGIES[name](base, trials)
    file, _, kind = name.rpartition(":")
    path = Path(file)
    if not file.endswith(".py"):
        raise ValueError(f"strategy={name!r} is unknown; it must be one of {', '.join(STRATEGIES)}, or FILE.py:Class")
    if not path.is_file():
        raise ValueError(f"strategy={name}: there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = getattr(module, kind, None)
    if not callable(made) or not hasattr(made, "suggest"):
        raise ValueError(f"strategy={name}: {path} has no class {kind} with a method `suggest(number, results)`")
    strategy: Strategy = made(base, trials)
    return strategy
