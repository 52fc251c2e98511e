"""Searches are pure: told results, they propose; run to the end, they find what they should."""

import math
from collections.abc import Callable

import pytest

from training.study.search import DecadeSearch, Grid, Search
from training.study.trial import Trial
from training.study.winning import find_winner

START = Trial(loss="bce", optimizer="adam", lr=1e-4, epochs=2)


def winner(results: dict[Trial, float]) -> Trial:
    found = find_winner(results)
    assert found
    return found


def finish(search: Search, dice: Callable[[Trial], float]) -> dict[Trial, float]:
    results: dict[Trial, float] = {}
    while proposed := search.propose(results):
        assert not set(proposed) & set(results), "a search never proposes what is done"
        results |= {trial: dice(trial) for trial in proposed}
    return results


@pytest.mark.parametrize("optimum", [1e-5, 1e-4, 2e-4, 5e-4, 1e-3, 4e-3, 2e-2, 5e-2, 8e-2, 1e-1, 0.3])
def test_a_decade_search_takes_nine_trials_and_ends_near_the_optimum(optimum: float) -> None:
    results = finish(DecadeSearch(START), lambda trial: 9 - abs(math.log10(trial.lr / optimum)))
    assert len(results) == DecadeSearch(START).num_trials == 9
    assert all(1e-4 <= trial.lr < 1 for trial in results)
    if 1e-4 <= optimum <= 1e-1:
        # 4e-3 is nearer (as a logarithm) to 1e-2 than to 1e-3, whose digits hold it: so the report's search goes
        assert 1 / 2.6 < winner(results).lr / optimum < 2.6


def test_the_report_s_own_optima_are_on_the_grid_of_the_search() -> None:
    for optimum in (2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 8e-2, 1e-1):  # Fig. 1
        digit = optimum / 10 ** math.floor(math.log10(optimum) + 1e-9)
        assert digit == pytest.approx(round(digit))


def test_without_bisection_only_the_decades_are_tried() -> None:
    results = finish(DecadeSearch(START, bisect=False), lambda trial: 0.0)
    assert [trial.lr for trial in results] == [1e-4, 1e-3, 1e-2, 1e-1]


def test_every_seed_is_tried_and_the_mean_decides() -> None:
    def lucky_once(trial: Trial) -> float:
        return {(0.01, 0): 1.0, (0.01, 1): 0.0, (0.1, 0): 0.7, (0.1, 1): 0.7}.get((trial.lr, trial.seed), 0.1)

    search = DecadeSearch(START, seeds=(0, 1), bisect=False)
    assert winner(finish(search, lucky_once)).lr == 0.1


def test_a_diverged_trial_counts_nothing() -> None:
    results = {START: float("nan"), START.replace(lr=1e-2): 0.2}
    assert winner(results).lr == 1e-2


def test_what_predicts_nothing_never_wins() -> None:
    assert find_winner({START: 0.0, START.replace(lr=1e-2): math.nan}) is None
    assert find_winner({}) is None
    assert winner({START: 0.0, START.replace(lr=1e-2): 0.01}).lr == 1e-2


def test_a_search_whose_decades_all_predict_nothing_ends_with_them() -> None:
    results = finish(DecadeSearch(START), lambda trial: 0.0)
    assert [trial.lr for trial in results] == [1e-4, 1e-3, 1e-2, 1e-1]


def test_a_search_that_is_resumed_proposes_only_what_is_missing() -> None:
    trials = tuple(START.replace(seed=seed) for seed in range(3))
    assert Grid(trials).propose({trials[1]: 0.5}) == [trials[0], trials[2]]
