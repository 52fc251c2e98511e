"""The best trial on a folder becomes models:/unet@champion: `python -m serving.promote --data FOLDER`.

What is done, and why the service needs neither torch nor MLflow, is in serving/promotion/promotion.py.
"""

import argparse
import sys
from collections.abc import Sequence

from training.command.entry import Parser, run_command, user_path
from training.data.layouts.archive import open_archive
from training.data.layouts.layouts import find_layout

MODULE = "serving.promote"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the champion stands, 1 when an export differs, 2 for what cannot be used."""
    return run_command(MODULE, run, arguments)


def run(arguments: Sequence[str]) -> int:
    """0 or 1; raises ValueError before any run exists."""
    folder = parse(arguments).data
    find_layout(open_archive(folder))
    from serving.promotion.promotion import ALIAS, ExportDiffers, promote  # torch and MLflow take seconds to import

    try:
        promote(folder, MODULE)
    except ExportDiffers as error:
        print(f"error: {error}; {ALIAS} stays where it was", file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(MODULE, (__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=user_path, required=True, help="the folder the studies ran on")
    return parser.parse(arguments)


if __name__ == "__main__":
    sys.exit(main())
