"""The figures of tune: a line per trial, in colour where it is of the best quarter; an interval per factor."""

import numpy as np
from matplotlib.colors import to_hex

from analysis.page.tuned import BEST_TRIALS, importance_figure, tried_figure
from training.study.importance import Importance
from training.study.space import SPACE, from_shares
from training.study.trial import Trial

BASE = Trial(loss="switching", optimizer="adam", lr=1e-4, epochs=9)


def test_the_best_quarter_of_the_trials_is_in_colour_and_a_factor_that_does_not_apply_is_passed_by() -> None:
    rng = np.random.default_rng(0)
    trials = [from_shares(BASE, rng.random(len(SPACE)).tolist()) for _ in range(20)]
    (axes,) = tried_figure({trial: k / 20 for k, trial in enumerate(trials)}).axes
    assert len(axes.lines) == 20
    assert sum(to_hex(line.get_color()) == BEST_TRIALS for line in axes.lines) == 5
    points = {len(line.get_xdata()) for line, trial in zip(axes.lines, trials, strict=True) if trial.optimizer != "sgd"}
    assert points == {len(SPACE)}  # all factors but SGD's momentum, and Dice
    assert all(0 <= y <= 1 for line in axes.lines for y in line.get_ydata())


def test_trials_that_all_score_the_same_are_drawn_too() -> None:
    (axes,) = tried_figure({BASE: 0.0, BASE.replace(loss="bce"): np.nan}).axes
    assert len(axes.lines) == 2


def test_the_most_important_factor_is_on_top() -> None:
    (axes,) = importance_figure({"lr": Importance(0.7, 0.5, 0.8), "loss": Importance(0.3, 0.1, 0.4)}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["learning rate", "loss"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
