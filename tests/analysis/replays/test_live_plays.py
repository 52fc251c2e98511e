"""A live play is a replay that trains; its interval holds what it should as often as it says, and nothing else."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from grid_tables import START, make_table

from analysis.evidence.grid_table import GridTable
from analysis.replays.board import Board, make_board
from analysis.replays.live import compare_live, compare_one
from analysis.replays.outcome import judge
from analysis.replays.replay import Played, play
from training.study.grid import all_cells
from training.study.live import Play, make_plays
from training.study.trial import Trial

BUDGET = 12
PLAYS = 3


@pytest.fixture(scope="module")
def table() -> GridTable:
    return make_table(plays=(BUDGET, PLAYS))


@pytest.fixture(scope="module")
def board(table: GridTable) -> Board:
    return make_board(table)


@pytest.fixture(scope="module")
def played(board: Board) -> list[Played]:
    return [play(board, name, BUDGET, replay) for name in ("random", "staged_starts") for replay in range(100)]


@pytest.mark.parametrize("live", make_plays(START, BUDGET, 1), ids=lambda live: live.player)
def test_where_trainings_come_to_what_the_table_says_a_live_play_is_its_replay(board: Board, live: Play) -> None:
    results: dict[Trial, float] = {}
    while batch := live.tuning.propose(results):
        results |= {trial: board.score(board.cells.nearest(trial), 0, trial.epochs) for trial in batch}
    replayed = play(board, live.player, BUDGET, 2 * live.start.seed)
    assert board.cells.nearest(live.judge(results)) == replayed.choices[-1]
    assert max(results.values()) == board.full[replayed.choices[-1], 0]


def test_a_whole_table_has_the_cells_that_are_played_on_live(board: Board) -> None:
    assert board.cells == all_cells(START)


def test_the_interval_holds_plays_that_are_like_replays_in_19_of_20_sets_and_shifted_ones_do_not(
    board: Board, played: list[Played]
) -> None:
    replays = [one for one in played if one.player == "random"]
    dice = judge(board, replays, [one.choices[-1] for one in replays]).mean(axis=1)
    rng, sets, n = np.random.default_rng(1), 400, 6
    drawn = rng.choice(dice, (sets, n))
    shift = 4 * dice.std() / np.sqrt(n)
    shares = [np.mean([compare_one("random", live + by, dice).holds for live in drawn]) for by in (0, shift, -shift)]
    assert 0.92 <= shares[0] <= 0.98  # of 400 at 95 %; beyond lies 1 in 100
    assert max(shares[1:]) < 0.1


def test_each_player_s_live_plays_are_set_beside_its_own_replays(
    table: GridTable, board: Board, played: list[Played]
) -> None:
    live = compare_live(table, board, played, BUDGET)
    assert live.why_not == ""
    assert [one.player for one in live.comparisons] == ["staged_starts", "random"]
    assert live.not_replayed == ("tpe",)
    judges = table.plays[table.plays["role"] == "judges"]
    for one in live.comparisons:
        own = judges[judges["player"] == one.player]
        assert (one.plays, one.replays) == (PLAYS, 100)
        assert one.live == pytest.approx(own["judge_dice"].mean())
        assert one.low < one.replayed < one.high
        assert one.holds, "they come from the same surface"


@pytest.mark.parametrize(("by", "word"), [(-0.5, "below"), (0.5, "above")])
def test_plays_that_come_to_something_else_are_not_held(
    table: GridTable, board: Board, played: list[Played], by: float, word: str
) -> None:
    other = dataclasses.replace(table, plays=table.plays.assign(judge_dice=table.plays["judge_dice"] + by))
    for one in compare_live(other, board, played, BUDGET).comparisons:
        assert not one.holds
        assert (one.live < one.low) == (word == "below")


def test_a_judging_training_that_diverged_counts_0(table: GridTable, board: Board, played: list[Played]) -> None:
    other = dataclasses.replace(table, plays=table.plays.assign(diverged=True))
    assert {one.live for one in compare_live(other, board, played, BUDGET).comparisons} == {0.0}


def _changed(**values: object) -> Callable[[GridTable], GridTable]:
    return lambda table: dataclasses.replace(table, plays=table.plays.assign(**values))


def _judged_elsewhere(table: GridTable) -> GridTable:
    mine = table.images["run_id"].isin(table.plays["run_id"])
    return dataclasses.replace(table, images=table.images.assign(image=table.images["image"].where(~mine, "other")))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_changed(trials=34), "they had 34 trials to spend, and these replays 12; -P trials=34"),
        (_changed(data_digest="fedcba9876543210"), "on other images (digest fedcba9876543210; the table's is 0123"),
        (_changed(epochs=30), "they were played with epochs=30, and the table's cells have 9"),
        (_judged_elsewhere, "other images judged them"),
        (lambda table: dataclasses.replace(table, cells=table.cells[:100]), "replays on 4.3% of it are not what was"),
    ],
    ids=["budget", "images", "settings", "judges", "part"],
)
def test_what_was_played_otherwise_is_not_compared_and_it_is_said_why(
    change: Callable[[GridTable], GridTable], words: str, table: GridTable, board: Board, played: list[Played]
) -> None:
    live = compare_live(change(table), board, played, BUDGET)
    assert words in live.why_not
    assert not live.comparisons


def test_without_live_plays_there_is_nothing_to_say(table: GridTable, board: Board, played: list[Played]) -> None:
    live = compare_live(dataclasses.replace(table, plays=pd.DataFrame()), board, played, BUDGET)
    assert (live.comparisons, live.why_not) == ((), "")
