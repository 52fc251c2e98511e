"""Keeps cells of `grid` and plays of `live` as a table: `python -m analysis.table --data FOLDER --out grid_table`.

It may be called while they are trained: what is there is kept.
"""

import argparse
from collections.abc import Sequence

from training.command.entry import Parser, run_command, user_path
from training.data.image_set import data_name
from training.study.words import pluralize

MODULE = "analysis.table"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the table is written, 2 for a value that cannot be used."""
    return run_command(MODULE, table, arguments)


def table(arguments: Sequence[str]) -> int:
    """Raises ValueError for what cannot be used."""
    options = parse(arguments)
    from analysis.evidence import grid_table, store  # pandas and MLflow take seconds to import

    found = grid_table.load(data_name(options.data))
    grid_table.keep(found, options.out)
    store.log_files(options.out, "table", MODULE)
    print(f"{options.out.resolve()}: {len(found.cells)} trainings, {found.share:.1%} of the grid with both seeds")
    if found.unlike:
        print(f"left out: {found.unlike} with other settings, precision, images or split than the last one")
    if len(found.plays) or found.unfinished:
        count = len(found.plays.drop_duplicates(["player", "repeat"]))
        print(f"{pluralize(count, 'live play')}; {found.unfinished} more only begun, and left out")
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(MODULE, "Keep the trained cells of a grid as a table.")
    parser.add_argument("--data", type=user_path, required=True, help="the folder that the grid was trained on")
    parser.add_argument("--out", type=user_path, default="grid_table", help="folder for parquet files and a card")
    return parser.parse(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
