"""One player plays on a board: what it asked for, what it would have chosen, and which comparisons it can decide.

The loop is that of a study: propose, learn what became of it, propose again (training/study/tuning.py).
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.claims.verdicts import ERROR
from analysis.replays.board import Board
from training.study.players import begin
from training.study.trial import Trial

NONE = -1  # no cell: no trial in full is finished yet


@dataclass(frozen=True, kw_only=True)
class Played:
    """One replay. Cells are places on the board, a seed is a place in its `seeds`."""

    player: str
    chooser: int  # the seed that the strategy saw; the other one judges
    choices: tuple[int, ...]  # the cell it would choose after 1, 2, ... full trials' worth of epochs
    in_seconds: int  # the same once it has spent the seconds that its budget takes on average
    decided: int  # comparisons
    wrong: int  # of these


def play(board: Board, player: str, trials: int, replay: int) -> Played:
    """The replay of this number; even ones choose by the first seed, odd ones by the second."""
    chooser = replay % len(board.seeds)
    tuning = begin(board.cells, player, trials, seed=replay // len(board.seeds))
    results: dict[Trial, float] = {}
    while batch := tuning.propose(results):
        results |= {trial: board.score(board.cells.nearest(trial), chooser, trial.epochs) for trial in batch}
    asked = [(board.cells.nearest(trial), trial.epochs) for trial in dict.fromkeys(tuning.asked)]
    decided, wrong = compare(board, chooser, [cell for cell, epochs in asked if epochs == board.epochs])
    return Played(
        player=player,
        chooser=chooser,
        choices=choose(board, chooser, asked, trials),
        in_seconds=choose_in_seconds(board, chooser, asked, trials),
        decided=decided,
        wrong=wrong,
    )


def choose(board: Board, chooser: int, asked: Sequence[tuple[int, int]], trials: int) -> tuple[int, ...]:
    """After each full trial's worth of epochs: the best so far of the trials in full. `asked`: (cell, epochs)."""
    choices, spent, best = [NONE] * trials, 0, NONE
    for cell, epochs in asked:
        spent += epochs
        best = _better(board, chooser, best, cell, epochs)
        after = -(-spent // board.epochs) - 1
        choices[after:] = [best] * (trials - after)
    return tuple(choices)


def choose_in_seconds(board: Board, chooser: int, asked: Sequence[tuple[int, int]], trials: int) -> int:
    """The best of the trials in full that end within the seconds that so many trials take on average."""
    left, best = trials * float(board.seconds.mean()), NONE
    for cell, epochs in asked:
        left -= board.seconds[cell, chooser] * epochs / board.epochs
        if left < 0:
            break
        best = _better(board, chooser, best, cell, epochs)
    return best


def _better(board: Board, chooser: int, best: int, cell: int, epochs: int) -> int:
    if epochs < board.epochs or (best != NONE and board.full[cell, chooser] <= board.full[best, chooser]):
        return best
    return cell


def compare(board: Board, chooser: int, cells: Sequence[int]) -> tuple[int, int]:
    """How many differences between two values of a factor these trials decide (Welch's t at ERROR), and how many of
    these with another sign than the means over the whole board have.
    """
    scores, decided, wrong = board.full[list(cells), chooser], 0, 0
    for column, truth in zip(*board.factors, strict=True):
        of_cells = column[list(cells)]
        groups = [scores[of_cells == value] for value in range(len(truth))]
        for one, other in itertools.combinations(range(len(truth)), 2):
            if min(len(groups[one]), len(groups[other])) < 2:
                continue
            known = [(group.mean(), group.std(ddof=1), len(group)) for group in (groups[one], groups[other])]
            if known[0][1] == known[1][1] == 0:
                continue
            t, p = stats.ttest_ind_from_stats(*known[0], *known[1], equal_var=False)
            if p < ERROR:
                decided += 1
                wrong += int(np.sign(t) != np.sign(truth[one] - truth[other]))
    return decided, wrong


def play_all(board: Board, trials: int, replays: Mapping[str, int], workers: int) -> Iterator[Played]:
    """So many replays of each player, as they come; on so many processes."""
    wanted = [(player, replay) for player, count in replays.items() for replay in range(count)]
    with ProcessPoolExecutor(workers, initializer=_start, initargs=(board, trials)) as pool:
        yield from pool.map(_play, wanted)


_board: tuple[Board, int]


def _start(board: Board, trials: int) -> None:
    global _board  # noqa: PLW0603 - a process pool hands its initializer's work over in no other way
    _board = board, trials


def _play(wanted: tuple[str, int]) -> Played:
    board, trials = _board
    return play(board, wanted[0], trials, wanted[1])
