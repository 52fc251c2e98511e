"""A score is 0 for random search and 1 for the best cell; what is expected is decided by the engine, both ways."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from grid_tables import IMAGES, make_table

from analysis.claims.contrasts import examine
from analysis.claims.verdicts import ERROR
from analysis.replays.board import Board, make_board
from analysis.replays.expectations import CLAIMS, LABELS, STUDY
from analysis.replays.outcome import Outcome, _judged_rows, find_outcome
from analysis.replays.replay import NONE, Played
from training.study.players import PLAYERS

BUDGET = 40
REPLAYS = 4 * IMAGES


@pytest.fixture(scope="module")
def board() -> Board:
    return make_board(make_table())


def replays(player: str, cells: Sequence[int], decided: int = 2, wrong: int = 0) -> list[Played]:
    """A player that chooses one of these cells, whatever it has seen."""
    rng = np.random.default_rng(len(player))
    chosen = rng.choice(cells, REPLAYS).tolist()
    return [
        Played(
            player=player,
            chooser=number % 2,
            choices=(NONE,) * 10 + (cell,) * (BUDGET - 10),
            in_seconds=cell,
            decided=decided + number % 3,
            wrong=wrong,
        )
        for number, cell in enumerate(chosen)
    ]


def find(board: Board, **cells: Sequence[int]) -> Outcome:
    return find_outcome(board, [one for name, some in cells.items() for one in replays(name, some)], BUDGET)


def ranked(board: Board) -> list[int]:
    """Cells, the best first."""
    return np.argsort(-board.judged.mean(axis=(1, 2))).tolist()


def test_random_search_scores_0_and_the_best_cell_1(board: Board) -> None:
    order = ranked(board)
    outcome = find(board, random=order, tpe=order[:1])
    first, last = outcome.standings
    assert (first.player, last.player) == ("tpe", "random")
    assert first.score == pytest.approx(1, abs=0.1)  # random search is judged by each image on replays of its own
    assert (last.score, last.low, last.high) == (0, 0, 0)
    assert first.dice == pytest.approx(board.best)
    assert outcome.way == pytest.approx(board.best - outcome.curves["random"].iloc[-1])
    assert outcome.curves["tpe"].iloc[-1] == pytest.approx(board.best)
    assert outcome.curves["tpe"].iloc[:10].isna().all()


@pytest.mark.parametrize(("better", "verdict"), [(True, "supported"), (False, "contradicted")])
def test_what_was_expected_is_decided_both_ways(board: Board, better: bool, verdict: str) -> None:
    good, bad = ranked(board)[:20], ranked(board)[500:]
    outcome = find(board, random=bad if better else good, tpe=good if better else bad)
    assert outcome.assessments["tournament.5"].verdict == verdict
    assert outcome.assessments["tournament.5"].units == IMAGES
    assert outcome.assessments["tournament.5"].counted == f"{IMAGES} judging images"
    assert outcome.assessments["tournament.6"].verdict == "untested"
    assert "did not play" in outcome.assessments["tournament.6"].text


def test_both_trainings_must_say_so(board: Board) -> None:
    good, bad = ranked(board)[:20], ranked(board)[500:]
    mixed = [
        dataclasses.replace(one, choices=other.choices) if one.chooser else one
        for one, other in zip(replays("tpe", good), replays("tpe", bad), strict=True)
    ]
    outcome = find_outcome(board, [*replays("random", ranked(board)[250:260]), *mixed], BUDGET)
    assert outcome.assessments["tournament.5"].verdict == "undecided"


def test_comparisons_are_counted_replay_by_replay(board: Board) -> None:
    cells = ranked(board)[:5]
    played = [*replays("random", cells, decided=6), *replays("staged_starts", cells, decided=2, wrong=1)]
    outcome = find_outcome(board, played, BUDGET)
    assert outcome.assessments["tournament.12"].verdict == "supported"
    assert outcome.assessments["tournament.12"].counted == f"{REPLAYS} replays"
    assert outcome.assessments["tournament.13"].verdict == "supported"


def test_less_budget_than_one_pass_leaves_claims_on_it_untested(board: Board) -> None:
    cells = ranked(board)[:5]
    short = [dataclasses.replace(one, choices=one.choices[:20]) for one in replays("random", cells)]
    outcome = find_outcome(board, [*short, *(dataclasses.replace(one, player="staged") for one in short)], 20)
    assert outcome.assessments["tournament.1"].text == "the budget is less than one pass of stages"
    assert outcome.assessments["tournament.2"].text == "one factor at a time, from any start did not play"


def test_where_random_search_finds_the_best_cell_nothing_can_be_scored(board: Board) -> None:
    best = ranked(board)[:1]
    alike = dataclasses.replace(board, judged=np.repeat(board.judged.mean(axis=1, keepdims=True), 2, axis=1))
    outcome = find(alike, random=best, tpe=best)
    assert outcome.assessments["tournament.5"].verdict == "untested"
    assert "random search finds the best cell itself" in outcome.assessments["tournament.5"].text


def test_every_player_has_a_name_and_every_claim_its_own_code() -> None:
    assert set(LABELS) == set(PLAYERS)
    assert [claim.code for claim in CLAIMS] == [f"tournament.{number + 1}" for number in range(len(CLAIMS))]


@pytest.mark.slow
def test_players_that_are_alike_are_told_apart_in_no_more_than_one_of_twenty(board: Board) -> None:
    """Few replays, so that how far they differ matters; both players draw from the same cells."""
    claim = next(one for one in CLAIMS if one.code == "tournament.5")
    rng, false, count = np.random.default_rng(0), 0, 100
    for _ in range(count):
        played = {
            name: [dataclasses.replace(one, choices=(int(rng.integers(1152)),) * BUDGET) for one in replays(name, [0])]
            for name in ("random", "tpe")
        }
        rows = _judged_rows(board, played, BUDGET).assign(study=STUDY, data_digest="0", fold=0, diverged=False)
        contrasts = [dataclasses.replace(one, smallest=0.0) for one in claim.read(rows).contrasts]
        judged = claim.judge([examine(one) for one in contrasts])
        false += 2 * min(judged.p_for, judged.p_against) <= ERROR
    assert false <= 10  # of 100; at 5 % more has a chance of 1 %


def test_foresight_is_1_where_a_training_repeats_the_other_and_0_where_cells_are_alike(board: Board) -> None:
    cells = len(board.cells.trials)
    worth = np.linspace(0.5, 0.9, cells)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1e-3, (cells, 2))
    same = dataclasses.replace(
        board, full=np.stack([worth, worth], axis=1), judged=np.repeat(worth, 2 * IMAGES).reshape(cells, 2, IMAGES)
    )
    assert same.foresight(1.0) == same.foresight(0.1) == pytest.approx(1)
    alike = np.where(np.arange(cells) > cells // 2, 0.9, worth)
    luck = dataclasses.replace(
        board,
        full=alike[:, None] + noise,
        judged=(alike[:, None] + rng.normal(0, 1e-3, (cells, 2)))[:, :, None].repeat(IMAGES, axis=2),
    )
    assert abs(luck.foresight(0.1)) < 0.3 < luck.foresight(1.0)
