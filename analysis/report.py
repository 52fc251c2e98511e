"""Writes the report: `python -m analysis --out report`, which is what `mlflow run . -e report` calls.

Gathers the evidence, checks the claims, renders one self-contained page and writes the tables beside it. What the page
says is decided in `chapters`; how it looks, in templates/report.html; other formats are in `exports`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from training.command.entry import Parser, run_command, user_path

MODULE = "analysis"
NEWEST, AUTO = "newest", "auto"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the page is written, 2 for a value that cannot be used."""
    return run_command(MODULE, report, arguments)


def report(arguments: Sequence[str]) -> int:
    """0; raises ValueError for what cannot be used."""
    options = parse(arguments)
    from analysis.page.page import gather, write_report  # pandas, MLflow and matplotlib take seconds to import

    try:
        found = gather(
            published=options.published,
            tables=options.tables,
            data_digest="" if options.data_digest == NEWEST else options.data_digest,
            server="" if options.tracking_url == AUTO else options.tracking_url,
        )
        page = write_report(options.out, found, options.snapshot, log=not (options.published or options.tables))
    except OSError as error:
        raise ValueError(str(error)) from error
    print(f"report: {page.resolve()}")
    return 0


def user_paths(text: str) -> list[Path]:
    """Paths separated by commas; one that is there as it is written may have commas itself."""
    whole = user_path(text)
    parts = [] if whole.exists() else [part.strip() for part in text.split(",") if part.strip()]
    return [user_path(part) for part in parts] or [whole]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(MODULE, "Write the report from all runs.")
    parser.add_argument("--out", type=user_path, default="report", help="folder for index.html, report.md and tables/")
    parser.add_argument(
        "--data-digest",
        default=NEWEST,
        help="digest (MLflow tag data_digest) of the images whose runs are shown, or several as A,B: verdicts together "
        "and for each, figures of the first (default: the newest study's)",
    )
    parser.add_argument(
        "--published", action="store_true", help="the report's published numbers alone; no store is read"
    )
    parser.add_argument(
        "--tables",
        type=user_paths,
        default=(),
        help="the tables/ folder of an earlier report, or a snapshot, in place of a store; several as A,B are pooled",
    )
    parser.add_argument(
        "--snapshot",
        "--keep",
        type=user_path,
        help="a folder for what the report rests on, as small files",
    )
    parser.add_argument(
        "--tracking-url",
        default=AUTO,
        help="where numbers link to, as http://127.0.0.1:5000 of `mlflow ui` (auto: MLFLOW_TRACKING_URI, if a server)",
    )
    return parser.parse(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
