"""How `tune` chooses what to try next: strategies by name, or one of your own.

A strategy is a class made with (base, trials) that has `suggest(number, results)`. It must say the same whenever it is
asked the same, so that a study that was killed goes on as if nothing had happened: whatever is random is seeded by the
number and by the seed of `base`.
"""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from training.study.search import DECADES
from training.study.space import SPACE, Choice, Space, from_shares, seed_of, to_digits
from training.study.trial import Trial
from training.study.winning import Results, mean_score

SCREENED = 0.5  # one_epoch: the share of the budget that goes into trials of one epoch
RUNGS = 3  # halving: of epochs, each three times the one before
REDUCTION = 3  # of trials, from rung to rung
REPORT_ORDER = ("optimizer", "scheduler", "weight_decay", "dropout", "loss", "augment")  # of its sections


class Strategy(Protocol):
    def suggest(self, number: int, results: Results) -> Trial | None:
        """The trial to run as the number-th, counted from 0; `base` with other values of space.SPACE, or fewer epochs.

        results: validation Dice (0: predicts nothing, nan: diverged) of what is finished, earlier studies' first.
        None: nothing before the trials that run are finished; when none runs, nothing at all.
        """
        ...


class Random:
    """Every factor by itself, evenly."""

    def __init__(self, base: Trial, trials: int, space: Space = SPACE) -> None:  # noqa: ARG002
        self.base, self.space = base, space

    def suggest(self, number: int, results: Results) -> Trial | None:  # noqa: ARG002
        return draw(self.base, number, self.space)


class Sobol:
    """A sequence that fills the space more evenly than chance (Sobol 1967; scrambled, Owen 1998)."""

    def __init__(self, base: Trial, trials: int, space: Space = SPACE) -> None:
        from scipy.stats import qmc  # it takes a second to import

        self.base, self.space = base, space
        power = max(1, (4 * trials - 1).bit_length())  # a strategy is asked as often as its trials cost less than one
        self.points = qmc.Sobol(len(space), rng=base.seed).random_base2(power)

    def suggest(self, number: int, results: Results) -> Trial | None:  # noqa: ARG002
        return from_shares(self.base, self.points[number % len(self.points)].tolist(), self.space)


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
    again without the optimizers, with rates half a decade around the best.
    """

    def __init__(
        self,
        base: Trial,
        trials: int,  # noqa: ARG002
        space: Space = SPACE,
        order: Sequence[str] = REPORT_ORDER,
    ) -> None:
        values = {factor.name: factor.values for factor in space if isinstance(factor, Choice)}
        self.values = {name: values[name] for name in order if name in values}
        super().__init__(self._stage(next(iter(self.values)), base))

    def _go_on(self) -> Iterator[list[Trial]]:
        _, *others = self.values
        for name in others:
            yield self._stage(name, self._ranked()[0])
        while True:
            best = self._ranked()[0]
            yield [best, *(best.replace(lr=to_digits(best.lr * step)) for step in (10**-0.5, 10**0.5))]
            for name in self.values:
                if name != "optimizer":
                    yield self._stage(name, self._ranked()[0])

    def _stage(self, name: str, best: Trial) -> list[Trial]:
        """Every value of a factor, all else as in the best; an optimizer with every rate."""
        if name == "optimizer":
            tried = [best.replace(optimizer=value, lr=lr) for value in self.values[name] for lr in DECADES]
        else:
            tried = [best.replace(**{name: value}) for value in self.values[name]]
        return list(dict.fromkeys([best, *tried]))


class OneEpoch(_InStages):
    """Half of the budget into random trials of one epoch; then the best of them in full, best first."""

    def __init__(self, base: Trial, trials: int, space: Space = SPACE) -> None:
        self.epochs = base.epochs
        screened = max(1, round(SCREENED * trials * base.epochs))
        self.num_trials = screened + trials - round(SCREENED * trials)
        super().__init__([draw(base.replace(epochs=1), number, space) for number in range(screened)])

    def _go_on(self) -> Iterator[list[Trial]]:
        yield [trial.replace(epochs=self.epochs) for trial in self._ranked()]


class Halving(_InStages):
    """Successive halving (Jamieson and Talwalkar 2016): many short trials, the best third of them three times as long.

    Each rung takes the same number of epochs. A longer trial starts anew: its schedule is another one.
    """

    def __init__(self, base: Trial, trials: int, space: Space = SPACE) -> None:
        epochs = sorted({max(1, round(base.epochs / REDUCTION**k)) for k in range(RUNGS)})
        self.rungs = [(number, max(1, int(trials * base.epochs / len(epochs) / number))) for number in epochs]
        self.num_trials = sum(count for _, count in self.rungs)
        shortest, count = self.rungs[0]
        super().__init__([draw(base.replace(epochs=shortest), number, space) for number in range(count)])

    def _go_on(self) -> Iterator[list[Trial]]:
        for epochs, count in self.rungs[1:]:
            yield [trial.replace(epochs=epochs) for trial in self._ranked()[:count]]


def draw(base: Trial, number: int, space: Space = SPACE) -> Trial:
    """The random trial of this number."""
    return from_shares(base, np.random.default_rng(seed_of(base, number)).random(len(space)).tolist(), space)


def _sampled(name: str) -> Callable[[Trial, int, Space], Strategy]:
    def make(base: Trial, trials: int, space: Space) -> Strategy:
        from training.study.samplers import Sampled  # Optuna takes a second to import

        return Sampled(name, base, trials, space)

    return make


STRATEGIES: dict[str, Callable[[Trial, int, Space], Strategy]] = {
    "staged": Staged,
    "random": Random,
    "sobol": Sobol,
    "tpe": _sampled("tpe"),
    "gp": _sampled("gp"),
    "halving": Halving,
    "one_epoch": OneEpoch,
}


def make_strategy(name: str, base: Trial, trials: int, space: Space = SPACE) -> Strategy:
    """By its name, or of a person's own, which knows of SPACE alone: FILE.py:Class. Raises ValueError."""
    if name in STRATEGIES:
        return STRATEGIES[name](base, trials, space)
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
