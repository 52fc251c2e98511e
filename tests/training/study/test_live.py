"""A live play keeps its budget, stays on the grid's cells, and shares no training with anything else."""

import math
import zlib

import pytest

from training.study.grid import GRID, SEEDS, VALUES, all_cells
from training.study.live import LIVE, PLAYERS, ROLES, Play, find_plays, make_plays, play_seed
from training.study.plan import make_plan
from training.study.players import START
from training.study.settings import Settings
from training.study.studies import Baseline
from training.study.trial import Trial

CELL = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=3, train_percent=60)
BUDGET = 12  # of which TPE draws the first 10 at random


def dice(trial: Trial) -> float:
    """Made up; the highest rate diverges."""
    return math.nan if trial.lr == 0.1 else zlib.crc32(repr(trial).encode()) % 1000 / 1000


def play_on(play: Play, results: dict[Trial, float], most: int = 10**6) -> list[Trial]:
    """What it asks for until it is done, or has asked so often; `results` grows."""
    asked: list[Trial] = []
    while most and (batch := play.propose(results)):
        results |= {trial: dice(trial) for trial in batch}
        asked, most = [*asked, *batch], most - 1
    return asked


@pytest.fixture(params=PLAYERS)
def play(request: pytest.FixtureRequest) -> Play:
    return next(one for one in make_plays(CELL, BUDGET, 2) if (one.player, one.repeat) == (request.param, 1))


def test_no_two_plays_share_a_seed_and_none_is_the_grid_s_or_a_study_s() -> None:
    seeds = [play_seed(player, repeat, role) for repeat in range(50) for player in PLAYERS for role in ROLES]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) > max(SEEDS)


def test_a_play_spends_its_budget_on_cells_and_has_its_choice_judged_by_another_seed(play: Play) -> None:
    results: dict[Trial, float] = {}
    *tuned, judge = play_on(play, results)
    assert len(set(tuned)) == BUDGET == play.num_trials - 1
    assert {trial.seed for trial in tuned} == {play_seed(play.player, 1, "tunes")}
    assert {trial.replace(seed=0) for trial in tuned} <= set(all_cells(CELL).trials)
    best = max((trial for trial in tuned if trial.lr < 0.1), key=lambda trial: results[trial])
    assert judge == best.replace(seed=play_seed(play.player, 1, "judges"))
    assert all(play.holds(trial) for trial in (*tuned, judge))


def test_of_equals_the_first_is_chosen_and_what_diverged_counts_0(play: Play) -> None:
    asked: list[Trial] = []
    while batch := play.tuning.propose(dict.fromkeys(asked, 0.5)):
        asked += batch
    level = dict.fromkeys(asked, 0.0) | {asked[0]: math.nan}
    assert play.tuning.choose(level) == asked[0]
    assert play.tuning.choose(level | {asked[1]: 0.1, asked[2]: 0.1}) == asked[1]


def test_a_play_begins_where_a_replay_of_the_report_does_but_for_its_seed() -> None:
    starts = {one.start.replace(seed=0) for one in make_plays(CELL, BUDGET, 2)}
    assert starts == {CELL.replace(**START)}


def test_plays_are_known_again_by_their_results_alone_and_one_that_has_only_begun_is_counted() -> None:
    first, second, third = make_plays(CELL, BUDGET, 1)
    results: dict[Trial, float] = {}
    *tuned, judge = play_on(first, results)
    play_on(second, results, most=2)
    finished, unfinished = find_plays(results, BUDGET)
    assert [(one.player, one.repeat) for one in finished] == [(first.player, 0)]
    assert (list(dict.fromkeys(finished[0].tuning.asked)), finished[0].judge(results)) == (tuned, judge)
    assert unfinished == 1
    play_on(second, results)
    play_on(third, results)
    assert [len(find_plays(results, trials)[0]) for trials in (BUDGET, BUDGET + 1)] == [3, 0]


@pytest.mark.parametrize(("trials", "repeats"), [(0, 6), (34, 0), (34, 1001)])
def test_what_is_no_number_of_plays_or_trials_is_refused(trials: int, repeats: int) -> None:
    with pytest.raises(ValueError, match=f"trials={trials} and repeats={repeats}: a play takes at least 1 trial"):
        make_plays(CELL, trials, repeats)


def test_its_trials_are_trained_as_the_grid_s_are() -> None:
    settings = Settings(
        **{"preset": "small", "epochs": "preset", "image_size": "64", "fit": "resize", "seeds": 1, "fold": 0},
        **{"baseline": "report", "search": "geometric", "rates": "auto", "budget": "epochs", "protocol": "fixed"},
        **{"switching_tau": 0.2, "precision": "fp32", "val_percent": 10, "test_percent": 10, "cells": "1"},
        **{"trials": 5, "repeats": 2},
    )
    live, grid = (make_plan(study, Baseline(), settings) for study in (LIVE, GRID))
    assert live.num_trials == len(PLAYERS) * 2 * (5 + 1)
    same = [{trial.replace(**START, seed=0) for trial in plan.searches[0].propose({})} for plan in (live, grid)]
    assert same[0] == same[1]
    assert set(START) == set(VALUES)
