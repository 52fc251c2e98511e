"""How much each factor decides whether a trial is among the best, of trials that somebody chose to try. By Optuna."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import optuna

from training.study.intervals import LEVEL
from training.study.samplers import as_finished
from training.study.space import FACTORS
from training.study.winning import Results

BEST = 0.25  # the share of the trials that count as the best
MIN_TRIALS = 20  # so that these are five, which Optuna advises
DRAWS = 100


@dataclass(frozen=True)
class Importance:
    """The share of a factor in all importance, from 0 to 1."""

    share: float
    low: float  # LEVEL interval
    high: float


def importances(results: Results, seed: int = 0) -> Mapping[str, Importance]:
    """By factor, the most important first; none below MIN_TRIALS trials.

    PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255; of conditional factors arXiv:2601.20800): how far the values of
    the best quarter lie from those of all that were tried, so a value that a strategy liked to try is not important for
    that. The interval is a percentile bootstrap over the trials. It takes them for independent, which those that a
    strategy chose are not.
    """
    if len(results) < MIN_TRIALS:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BEST)
    finished = [as_finished(trial, score) for trial, score in results.items()]

    def shares(trials: list[optuna.trial.FrozenTrial]) -> dict[str, float]:
        study = optuna.create_study(direction="maximize")
        study.add_trials(trials)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a factor that hardly ever applied: its interval says so
            return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = shares(finished)
    resampled = np.random.default_rng(seed).integers(len(finished), size=(DRAWS, len(finished)))
    drawn = [shares([finished[index] for index in draw]) for draw in resampled.tolist()]
    tail = (1 - LEVEL) / 2
    return {
        name: Importance(found[name], *np.quantile([one.get(name, 0.0) for one in drawn], [tail, 1 - tail]).tolist())
        for name in found
        if name in FACTORS
    }
