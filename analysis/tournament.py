"""Strategy against strategy: `python -m analysis.tournament --table FOLDER`, on what `mlflow run . -e table` kept.

Every player is replayed again and again on the table, at equal budget; nothing is trained. What was expected
(analysis/replays/expectations.py) is decided by the engine of all claims.
"""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.command.entry import Parser, run_command, user_path, whole_number

if TYPE_CHECKING:  # pandas takes a second to import, and --help does without
    from analysis.replays.board import Board

MODULE = "analysis.tournament"
ALL, USUAL = "all", "usual"
SLOW, SLOW_REPLAYS = "gp", 200  # a replay takes a quarter of a minute, those of all others less than a second


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the page is written, 2 for a value that cannot be used."""
    return run_command(MODULE, tournament, arguments)


def tournament(arguments: Sequence[str]) -> int:
    """Raises ValueError for what cannot be used."""
    options = parse(arguments)
    from tqdm import tqdm

    from analysis.evidence import store
    from analysis.evidence.grid_table import read
    from analysis.page.tournament import label_of, say_live, write_page
    from analysis.replays.board import make_board
    from analysis.replays.live import compare_live
    from analysis.replays.outcome import find_outcome
    from analysis.replays.replay import play_all

    table = read(options.table)
    board = make_board(table)
    replays = find_replays(options, board)
    print(f"{len(board.cells.trials)} cells of {board.data}, {table.share:.1%} of the grid; players take what is there")
    played = list(
        tqdm(
            play_all(board, options.trials, replays, options.workers or os.cpu_count() or 1),
            total=sum(replays.values()),
            unit="replay",
        )
    )
    outcome = find_outcome(board, played, options.trials)
    for one in outcome.standings:
        print(
            f"{label_of(one.player):<38} Dice {one.dice:.3f}  score {one.score:5.2f}  ({one.low:.2f} to {one.high:.2f})"
        )
    for code, found in outcome.assessments.items():
        print(f"{code:<16} {found.verdict}: {found.text}")
    live = compare_live(table, board, played, options.trials)
    for line in say_live(live):
        print(line)
    page = write_page(options.out, board, outcome, table.share, live)
    store.log_files(options.out, "tournament", MODULE)
    print(f"tournament: {page.resolve()}")
    return 0


def find_replays(options: argparse.Namespace, board: "Board") -> dict[str, int]:
    """How often each player plays; random search always does, because it is the zero of all scores."""
    from training.study.players import PLAYERS, make_player

    known = {ALL: list(PLAYERS), USUAL: [name for name in PLAYERS if name != SLOW]}
    names = known.get(options.players) or [name.strip() for name in options.players.split(",")]
    names = list(dict.fromkeys(["random", *names]))
    for name in names:
        make_player(name, board.cells.trials[0], options.trials, board.cells.space)  # raises for what is no player
    if options.replays < (least := 2 * board.judged.shape[-1]):
        images = board.judged.shape[-1]
        raise ValueError(f"replays={options.replays}: {images} judging images with 2 seeds take at least {least}")
    return {name: min(options.replays, max(least, SLOW_REPLAYS)) if name == SLOW else options.replays for name in names}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(MODULE, "Replay strategies on a table of trained cells, against each other.")
    parser.add_argument("--table", type=user_path, required=True, help="a folder that `mlflow run . -e table` wrote")
    parser.add_argument("--out", type=user_path, default="tournament", help="folder for index.html and its numbers")
    parser.add_argument("--trials", type=whole_number, default=60, help="that a player may spend, in full ones")
    parser.add_argument("--replays", type=whole_number, default=1000, help=f"of every player ({SLOW}: {SLOW_REPLAYS})")
    parser.add_argument(
        "--players",
        default=USUAL,
        help=f"{USUAL}: all but {SLOW}, which takes half an hour; {ALL}; or as tpe,FILE.py:Class",
    )
    parser.add_argument("--workers", type=whole_number, default=0, help="processes; 0: one per core")
    options = parser.parse(arguments)
    if options.trials < 1 or options.workers < 0:
        raise ValueError(f"trials={options.trials} workers={options.workers}: at least 1 trial, and 0 workers or more")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
