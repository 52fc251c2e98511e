"""The command line of the runner: what a person may give, and what is said when it cannot be used.

Imports nothing heavy, so that --help answers at once.
"""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from training.plan import CARRIES, PRESETS, PROTOCOLS
from training.studies import STUDIES
from training.trial import PRECISIONS

ALL = "all"  # the report's strategy: every study in order, each taking over what the ones before it settled
DESCRIPTION = "Run one study, or all of them: every trial becomes an MLflow run."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line. Raises ValueError with value, rule and cure."""
    parser = _Parser(prog="python -m training.runner", description=DESCRIPTION)
    parser.add_argument("study", help=f"{', '.join(STUDIES)}, or {ALL} of them in the report's order")
    parser.add_argument("--data", required=True, help="a folder with images/ and masks/ of equal stems")
    parser.add_argument("--preset", default="small", help="; ".join(f"{k}: {v.meant_for}" for k, v in PRESETS.items()))
    parser.add_argument("--epochs", default="preset", help="of every trial; preset: the preset's share of the report's")
    parser.add_argument("--image-size", default="preset", help="pixels, a multiple of 16")
    parser.add_argument("--seeds", type=_whole, default=1, help="runs of every cell")
    parser.add_argument("--carry", default="report", help=f"{' or '.join(CARRIES)}: where fixed factors come from")
    parser.add_argument("--protocol", default="fixed", help=f"{' or '.join(PROTOCOLS)}: what validates and tests")
    parser.add_argument("--val-percent", type=_whole, default=10, help="of the images (protocol=fixed)")
    parser.add_argument("--test-percent", type=_whole, default=10, help="of the images (protocol=fixed)")
    parser.add_argument("--fold", type=_whole, default=0, help="rotation of the split, by a tenth each")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--precision", default="auto", help=f"auto, {' or '.join(PRECISIONS)}")
    parser.add_argument("--workers", default="auto", help="processes; auto: one a core, or one on a GPU")
    # `mlflow run -P val_percent=20` passes what MLproject does not list as --val_percent 20
    given = [text.replace("_", "-") if text.startswith("--") else text for text in arguments]
    options, unknown = parser.parse_known_args(given)
    known = ", ".join(sorted(name for name in vars(options) if name != "study"))
    if unknown:
        extra = " ".join(unknown).removeprefix("--").replace(" ", "=", 1)
        raise ValueError(f"{extra}: there is no such parameter; the parameters are {known}")
    if options.study not in (*STUDIES, ALL):
        raise ValueError(f"study={options.study!r} is unknown; it must be one of {', '.join(STUDIES)}, {ALL}")
    return options


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
