"""Writes the report: `python -m analysis --out report`, which is what `mlflow run . -e report` calls.

Gathers the evidence, checks the claims, renders one self-contained page and writes the tables beside it. What the page
says is decided in `chapters`; how it looks, in templates/report.html; other formats are in `exports`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.command.entry import Parser, enter, refuse, user_path

if TYPE_CHECKING:
    import pandas as pd

    from analysis.evidence.evidence import Evidence

NEWEST, AUTO = "newest", "auto"
PROMOTE = "mlflow run . -e promote -P data=FOLDER"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the page is written, 2 for a value that cannot be used."""
    enter()
    try:
        options = parse(arguments)
        found = gather(options)
        page = write_report(options.out, found, options.keep, log=not (options.published or options.tables))
    except (ValueError, OSError) as error:
        return refuse(error, "analysis")
    print(f"report: {page.resolve()}")
    return 0


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(prog="python -m analysis", description="Write the report from all runs.")
    parser.add_argument("--out", type=user_path, default="report", help="folder for index.html, report.md and tables/")
    parser.add_argument(
        "--data-digest",
        default=NEWEST,
        help="digest (MLflow tag data_digest) of the images whose runs are shown (default: those of the newest study)",
    )
    parser.add_argument("--published", action="store_true", help="the report's printed numbers alone; no store is read")
    parser.add_argument(
        "--tables", type=user_path, help="the tables/ folder of an earlier report or one of --keep, in place of a store"
    )
    parser.add_argument(
        "--keep", type=user_path, help="write what the report rests on into this folder, too, and that alone"
    )
    parser.add_argument(
        "--tracking-url",
        default=AUTO,
        help="where numbers link to, as http://127.0.0.1:5000 of `mlflow ui` (auto: MLFLOW_TRACKING_URI, if a server)",
    )
    return parser.parse_args(arguments)


def gather(options: argparse.Namespace) -> "Evidence":
    """Raises ValueError for what is not there."""
    from analysis.evidence import evidence, store
    from analysis.evidence import snapshot as kept

    if options.published:
        return evidence.nothing()
    server = "" if options.tracking_url == AUTO else options.tracking_url
    if options.tables:
        return kept.from_files(options.tables, server)
    store.check()
    return evidence.from_store("" if options.data_digest == NEWEST else options.data_digest, server)


def write_report(out: Path, found: "Evidence", keep: Path | None, *, log: bool) -> Path:
    """Write the page and its tables into `out`, what they rest on into `keep`, and, with `log`, the page into MLflow.

    Returns the page's path.
    """
    from analysis.evidence import files, store
    from analysis.evidence import snapshot as kept
    from analysis.evidence.schema import load_published
    from analysis.page import exports

    published = load_published()
    if log and found.champion is None:
        print(f"no champion yet (models:/unet@champion); to choose one: {PROMOTE}")
    content = compose(published, found)
    page = out / "index.html"
    files.write(page, exports.render("report.html", content))
    files.write(out / "report.md", exports.render("report.md", content))
    exports.write_tables(out / "tables", exports.make_tables(published, found.trials, content["verdicts"]))
    shown = [strip.run_id for chapter in content["chapters"] for strip in chapter.strips if strip.run_id]
    for folder in [out / "tables", *([keep] if keep else [])]:
        kept.write_files(folder, found, shown)
    if log:
        store.log_report(out)
        for chapter in content["chapters"]:
            if chapter.parent_run_id:
                store.describe_verdicts(
                    chapter.parent_run_id, exports.render("verdicts.md", {**content, "chapter": chapter})
                )
    return page


def compose(published: "pd.DataFrame", found: "Evidence") -> dict[str, Any]:
    """Everything the templates ask for."""
    from analysis.claims.claims import ALL_CLAIMS, check_claims
    from analysis.evidence.published import read_notes
    from analysis.page import chapters, panels, pictures

    trials, champion = found.trials, found.champion
    printed, measured = check_claims(published), check_claims(trials)
    return {
        "chapters": chapters.make_chapters(published, found, (printed, measured), read_notes()),
        "champion": champion,
        "champion_test": chapters.describe_test(champion.tags) if champion else {},
        "champion_factors": chapters.describe_params(champion.params) if champion else "",
        "champion_link": found.link(champion.experiment_id, champion.tags.get("run_id", "")) if champion else "",
        **pictures.champion_pictures(champion),
        "cost": panels.render(
            lambda: panels.cost_figure(trials.drop_duplicates("trained_run_id")), "Quality against cost"
        )
        if len(trials)
        else "",
        "choices": {"Printed numbers": chapters.choices(published, found), "Measured": chapters.choices(trials, found)},
        "summary": chapters.judged(printed, measured, "summary"),
        "claims": chapters.judged(printed, measured, ""),
        "counts": {"Printed": chapters.counts(printed), "Measured": chapters.counts(measured)},
        "effects": panels.render(
            lambda: panels.effects_figure(ALL_CLAIMS, printed, measured), "Effects with 95 % intervals"
        ),
        "glyphs": chapters.GLYPHS,
        "num_runs": trials["trained_run_id"].nunique(),
        "provenance": found.provenance,
        "data": "" if trials.empty else trials.iloc[0]["data"],
        "promote": PROMOTE,
        "verdicts": {"published": printed, "measured": measured},
    }


if __name__ == "__main__":
    raise SystemExit(main())
