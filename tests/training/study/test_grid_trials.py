"""The grid holds every path of stages, its parts are fair samples, and a cell's two seeds come together."""

import math
from collections import Counter

import pytest

from training.study.grid import GRID, NUM_CELLS, SEEDS, VALUES, grid_trials
from training.study.plan import make_plan
from training.study.settings import RATE_SEED, Settings
from training.study.space import SPACE
from training.study.studies import Baseline
from training.study.trial import Trial

START = Trial(loss="switching", optimizer="adam", lr=1e-4, epochs=15, train_percent=60)
ALL = grid_trials(START)


def test_every_cell_is_there_with_both_seeds_one_after_the_other() -> None:
    assert len(ALL) == len(set(ALL)) == 2 * NUM_CELLS
    assert NUM_CELLS >= 1000
    assert all((one.seed, other.seed) == SEEDS for one, other in zip(ALL[::2], ALL[1::2], strict=True))
    assert all(one == other.replace(seed=one.seed) for one, other in zip(ALL[::2], ALL[1::2], strict=True))


def test_no_study_has_its_seeds_and_every_value_is_one_that_tune_may_choose() -> None:
    assert min(SEEDS) > RATE_SEED
    factors = {factor.name: factor for factor in SPACE}
    assert all(factors[name].holds(value) for name, values in VALUES.items() for value in values)


def test_a_part_is_the_beginning_and_has_every_value_about_as_often_as_the_whole() -> None:
    part = grid_trials(START, "300")
    assert part == ALL[:600]
    for name, values in VALUES.items():
        counts = Counter(getattr(trial, name) for trial in part)
        expected = len(part) / len(values)
        assert all(abs(counts[value] - expected) < 4 * math.sqrt(2 * expected) for value in values), name


@pytest.mark.parametrize("cells", ["0", "1153", "-1", "some"])
def test_what_is_no_number_of_cells_is_refused(cells: str) -> None:
    with pytest.raises(ValueError, match=f"cells='{cells}' must be a whole number from 1 to 1152, or all"):
        grid_trials(START, cells)


def test_its_trials_leave_a_fifth_of_the_images_for_judging() -> None:
    settings = Settings(
        **{"preset": "small", "epochs": "preset", "image_size": "64", "fit": "resize", "seeds": 1, "fold": 0},
        **{"baseline": "report", "search": "geometric", "rates": "auto", "budget": "epochs", "protocol": "fixed"},
        **{"switching_tau": 0.2, "precision": "fp32", "val_percent": 10, "test_percent": 10, "cells": "3"},
    )
    plan = make_plan(GRID, Baseline(), settings)
    assert plan.num_trials == 6
    assert {(trial.train_percent, trial.epochs) for search in plan.searches for trial in search.propose({})} == {
        (60, 15)
    }
