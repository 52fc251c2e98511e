"""The champion as a file for other programs: `python -m serving.export --format bioimageio --out champion.zip`.

bioimageio is a package for Fiji, QuPath, napari and ilastik (docs/serving.md). The promotion made it; here it gets the
licence of its weights and the name of its author.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.promotion.licence import AUTHOR, LICENCE, check_author, check_licence
from training.command.entry import Parser, run_command, user_path

MODULE = "serving.export"
FORMATS = ("bioimageio",)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the file is written, 2 for what cannot be used."""
    return run_command(MODULE, export, arguments)


def export(arguments: Sequence[str]) -> int:
    """0; raises ValueError for what cannot be used."""
    options = parse(arguments)
    from serving.promotion.package import export_package  # torch and MLflow take seconds to import

    try:
        export_package(options.out, options.licence, options.author)
    except OSError as error:
        raise ValueError(f"out={options.out} cannot be written ({error}); choose a file you may write") from None
    print(f"{options.out}: models:/unet@champion for bioimage.io, by {options.author}, {options.licence}")
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(MODULE, (__doc__ or "").split("\n")[0])
    parser.add_argument("--format", default=FORMATS[0], help=f"{', '.join(FORMATS)} (default: {FORMATS[0]})")
    parser.add_argument("--out", type=user_path, default=Path("champion.zip"), help="a file (default: champion.zip)")
    parser.add_argument("--licence", default=LICENCE, help=f"of the weights, as SPDX calls it (default: {LICENCE})")
    parser.add_argument("--author", default=AUTHOR, help=f"(default: {AUTHOR})")
    options = parser.parse(arguments)
    if options.format not in FORMATS:
        raise ValueError(f"format={options.format!r} is unknown; it must be one of {', '.join(FORMATS)}")
    check_licence(options.licence)
    check_author(options.author)
    return options


if __name__ == "__main__":
    sys.exit(main())
