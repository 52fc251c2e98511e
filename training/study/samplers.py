"""Optuna's samplers, asked for one trial after the other.

Told are all results at once, before each question; the sampler's own seed follows from the number of the trial. So a
study in memory is enough: MLflow's storage for Optuna reads every trial again at each suggestion.
"""

import contextlib
import functools
import warnings
from typing import Any

import optuna
from threadpoolctl import threadpool_limits

from training.study.space import SPACE, Factor, Rate, Space, choose, point_of, seed_of, to_digits
from training.study.trial import Trial
from training.study.winning import Results, mean_score

GAUSSIAN_PROCESS = "gp"
ONE_THREAD = 1  # its matrices are small: two threads take twice as long, and beside other processes four times
STARTUP = 10  # random trials before the first that is chosen


class Sampled:
    """tpe: tree-structured Parzen estimators (Bergstra et al. 2011; multivariate, Falkner et al. 2018). gp: a Gaussian
    process. Both try STARTUP random trials first, unless earlier studies told as much.
    """

    def __init__(self, name: str, base: Trial, trials: int, space: Space = SPACE) -> None:  # noqa: ARG002
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.name, self.base, self.space = name, base, space
        self.study = optuna.create_study(direction="maximize")
        self.told: set[Trial] = set()

    def suggest(self, number: int, results: Results) -> Trial | None:
        for trial, score in results.items():
            if trial not in self.told:
                self.told.add(trial)
                self.study.add_trial(as_finished(trial, score, self.space))
        self.study.sampler = self._sampler(seed_of(self.base, number))
        with threadpool_limits(ONE_THREAD) if self.name == GAUSSIAN_PROCESS else contextlib.nullcontext():
            asked = self.study.ask()
            chosen = choose(functools.partial(_ask, asked), self.space)
        self.study.tell(asked, state=optuna.trial.TrialState.FAIL)  # it is told, finished, with its result
        return self.base.replace(**chosen)

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if self.name == GAUSSIAN_PROCESS:
                return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP)
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=True, group=True)


def _ask(asked: optuna.Trial, factor: Factor) -> Any:
    if isinstance(factor, Rate):
        return to_digits(asked.suggest_float(factor.name, factor.low, factor.high, log=True))
    return asked.suggest_categorical(factor.name, factor.values)


def as_finished(trial: Trial, score: float, space: Space = SPACE) -> optuna.trial.FrozenTrial:
    """A trial with its result, as Optuna knows it."""
    point = point_of(trial, space)
    distributions = {factor.name: _distribution(factor) for factor in space if factor.name in point}
    return optuna.trial.create_trial(params=point, distributions=distributions, value=mean_score([score]))


@functools.cache
def _distribution(factor: Factor) -> optuna.distributions.BaseDistribution:
    if isinstance(factor, Rate):
        return optuna.distributions.FloatDistribution(factor.low, factor.high, log=True)
    return optuna.distributions.CategoricalDistribution(factor.values)
