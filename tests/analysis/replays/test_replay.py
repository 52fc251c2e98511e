"""A player sees one training alone, keeps its budget, and chooses cells that are there. The table is made up."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from grid_tables import EPOCHS, make_table

from analysis.replays.board import Board, make_board
from analysis.replays.replay import NONE, choose, choose_in_seconds, compare, play, play_all
from training.study.grid import NUM_CELLS, VALUES
from training.study.players import PLAYERS, begin
from training.study.space import Rate

BUDGET = 40
OWN = """
class Mine:
    def __init__(self, base, trials): self.base = base
    def suggest(self, number, results): return self.base.replace(lr=10 ** -(1 + number / 20), width=32)
"""
NAMES = [pytest.param(name, marks=pytest.mark.thorough) if name == "gp" else name for name in PLAYERS]


@pytest.fixture(scope="module")
def board() -> Board:
    return make_board(make_table())


@pytest.fixture(params=[*NAMES, "own"])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a player; the last is one's own, which knows nothing of boards."""
    if request.param != "own":
        return str(request.param)
    (tmp_path / "mine.py").write_text(OWN)
    return f"{tmp_path}/mine.py:Mine"


def test_a_player_sees_the_training_that_chooses_and_nothing_of_the_other(board: Board, name: str) -> None:
    budget = 12 if name == "gp" else BUDGET  # of which it draws the first 10 at random
    played = play(board, name, budget, 2)
    assert len(played.choices) == budget
    assert played.choices[-1] != NONE
    other = board.full.copy()
    other[:, 1] = np.random.default_rng(1).random(len(other))
    unseen = dataclasses.replace(board, full=other, judged=board.judged + 1)
    assert play(unseen, name, budget, 2).choices == played.choices


def test_another_replay_is_another_one_but_for_stages_from_the_report_s_start(board: Board, name: str) -> None:
    budget = 12 if name == "gp" else BUDGET
    choices = {play(board, name, budget, 2 * replay).choices for replay in range(4)}
    assert (len(choices) == 1) == (name == "staged" or name.endswith("Mine"))


def test_what_is_asked_for_stays_within_the_budget_and_is_told_as_it_is_on_the_board(board: Board) -> None:
    tuning = begin(board.cells, "random", BUDGET, seed=0)
    batch = tuning.propose({})
    assert all(trial in board.cells.trials for trial in batch)
    place = board.cells.nearest(batch[0])
    assert board.cells.trials[place] == batch[0]
    assert board.score(place, 1, EPOCHS) == board.full[place, 1]
    assert board.score(place, 1, 3) == board.short[place, 1, 2]


def test_a_board_holds_every_cell_and_a_failed_one_counts_0(board: Board) -> None:
    assert len(board.cells.trials) == NUM_CELLS
    assert board.one_pass == 6 * 4 + 3 + 2 + 1 + 1
    failed = [trial.optimizer == "adam" and trial.lr == 0.1 for trial in board.cells.trials]
    assert (board.full[failed] == 0).all()
    assert (board.judged[failed] == 0).all()
    assert (np.diff(board.short, axis=-1) >= 0).all()
    assert {factor.name for factor in board.cells.space} == set(VALUES)
    rate = next(factor for factor in board.cells.space if isinstance(factor, Rate))
    cells, drawn = board.cells.trials, [rate.at((k + 0.5) / 400) for k in range(400)]
    shares = [cells[board.cells.nearest(cells[0].replace(lr=lr))].lr for lr in drawn]
    assert [shares.count(lr) for lr in VALUES["lr"]] == [100] * 4  # every rate is as likely


def test_where_a_cell_is_missing_the_nearest_one_stands_for_it() -> None:
    part = make_board(make_table("200"))
    assert len(part.cells.trials) == 200
    whole = make_board(make_table()).cells.trials
    there = part.cells.trials
    missing = next(trial for trial in whole if trial not in there)
    nearest = there[part.cells.nearest(missing)]
    differ = [sum(getattr(one, name) != getattr(missing, name) for name in VALUES) for one in there]
    assert sum(getattr(nearest, name) != getattr(missing, name) for name in VALUES) <= min(differ) + 1
    assert all(part.cells.nearest(trial) == place for place, trial in enumerate(there))
    assert play(part, "staged", BUDGET, 0).choices[-1] != NONE


def test_a_choice_is_the_best_of_what_is_finished_in_full_by_then(board: Board) -> None:
    scores = np.zeros((len(board.cells.trials), 2))
    scores[:3, 0] = 0.5, 0.7, 0.6
    seconds = np.full((len(board.cells.trials), 2), 10.0)
    small = dataclasses.replace(board, full=scores, seconds=seconds)
    asked = [(1, 3), (0, EPOCHS), (2, EPOCHS), (1, EPOCHS)]  # the first is stopped after a third of its epochs
    assert choose(small, 0, asked, 5) == (NONE, 0, 2, 1, 1)
    assert choose_in_seconds(small, 0, asked, 3) == 2  # the last would end after 33 seconds
    assert choose_in_seconds(small, 0, asked, 1) == NONE


def test_a_comparison_is_decided_by_the_trials_and_wrong_by_the_whole_board(board: Board) -> None:
    losses = np.array([trial.loss for trial in board.cells.trials])
    rng = np.random.default_rng(0)
    scores = np.repeat(0.6 + 0.1 * (losses == "bce")[:, None] + rng.normal(0, 0.01, (NUM_CELLS, 1)), 2, axis=1)
    one_factor = dataclasses.replace(board, full=scores)
    decided, wrong = compare(one_factor, 0, list(range(0, NUM_CELLS, 5)))
    assert decided >= 3
    assert wrong <= decided - 3
    liar = scores.copy()
    liar[:, 0] = 1.4 - scores[:, 0]  # BCE is worse by the training that chooses
    truth = dataclasses.replace(board, full=np.stack([liar[:, 0], 3 * scores[:, 0]], axis=1))
    assert compare(truth, 0, list(range(0, NUM_CELLS, 5)))[1] >= 3
    assert compare(one_factor, 0, [0]) == (0, 0)


@pytest.mark.slow
def test_replays_on_several_processes_are_those_of_one(board: Board) -> None:
    wanted = {"random": 4, "staged": 2}
    alone = [play(board, name, BUDGET, replay) for name, count in wanted.items() for replay in range(count)]
    assert list(play_all(board, BUDGET, wanted, workers=2)) == alone


def test_a_table_that_has_hardly_begun_is_refused() -> None:
    with pytest.raises(ValueError, match="the table has 4 cells with 2 seeds; it takes 10 with 2"):
        make_board(make_table("4"))
    assert math.isclose(make_table("4").share, 4 / NUM_CELLS)
