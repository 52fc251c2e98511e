"""The best trial on a folder becomes models:/unet@champion: `python -m serving.promote --data FOLDER`.

choose=winner takes the best run of the winning configuration; choose=consistent that of the configuration that varies
least over its seeds, among those as good as the winner but for noise. A run that was restored from files has no
weights: it is trained again first. What is done, and why the service needs neither torch nor MLflow, is in
serving/promotion/promotion.py.
"""

import argparse
import sys
from collections.abc import Sequence

from training.command.entry import Parser, run_command, user_path
from training.data.layouts.archive import open_archive
from training.data.layouts.layouts import find_folder

MODULE = "serving.promote"
CHOICES = ("winner", "consistent")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the champion stands, 1 when an export differs, 2 for what cannot be used."""
    return run_command(MODULE, run, arguments)


def run(arguments: Sequence[str]) -> int:
    """0 or 1; raises ValueError before any run exists."""
    options = parse(arguments)
    folder = options.data
    find_folder(open_archive(folder))
    from serving.promotion.candidate import NoWeights  # torch and MLflow take seconds to import
    from serving.promotion.promotion import ExportDiffers, promote
    from training.execution.again import train_again

    while True:
        try:
            promote(folder, MODULE, options.choose)
        except NoWeights as restored:
            train_again(folder, restored.run_id)
            continue
        except ExportDiffers as error:
            print(f"error: {error}; the champion stays where it was", file=sys.stderr)
            return 1
        return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(MODULE, (__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=user_path, required=True, help="the folder the studies ran on")
    parser.add_argument(
        "--choose", default=CHOICES[0], help=f"by which rule, of {', '.join(CHOICES)} (default: {CHOICES[0]})"
    )
    options = parser.parse(arguments)
    if options.choose not in CHOICES:
        raise ValueError(f"choose={options.choose!r} is unknown; it must be one of {', '.join(CHOICES)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
