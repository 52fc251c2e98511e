"""Writes the report: `python -m analysis.report --out report`, which is what `mlflow run . -e report` calls.

Reads runs, checks the claims, renders one self-contained page and the tables beside it. What the page says is decided
in `chapters`; how it looks, in templates/report.html.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from analysis.runs import Champion

TEMPLATES = Path(__file__).parent / "templates"
PROMOTE = "mlflow run . -e promote -P data=FOLDER"
NEWEST = "newest"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the page is written, 2 for a value that cannot be used."""
    options = parse(arguments)
    try:
        page = write_report(Path(options.out), options.data_digest)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"report: {page.resolve()}")
    return 0


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description="Write the report from all runs.")
    parser.add_argument("--out", default="report", help="folder for index.html and tables/ (default: %(default)s)")
    parser.add_argument(
        "--data-digest",
        default=NEWEST,
        help="digest (MLflow tag data_digest) of the images whose runs are shown (default: those of the newest study)",
    )
    return parser.parse_args(arguments)


def write_report(out: Path, data_digest: str) -> Path:
    """Write index.html and tables/*.csv into `out` and keep the page in MLflow. Returns the page's path."""
    from analysis import runs
    from analysis.printed import read_notes

    digest = runs.newest_data_digest() if data_digest == NEWEST else data_digest
    published, trials = runs.load_published(), runs.load_trials(digest)
    if data_digest != NEWEST and trials.empty:
        raise ValueError(
            f"data_digest={data_digest!r}: no finished trial has it; leave it out to take the newest study"
        )
    champion = runs.load_champion()
    if champion is None:
        print(f"no champion yet (models:/unet@champion); to choose one: {PROMOTE}")
    html = render(published, trials, runs.load_curves(trials), champion, read_notes(), runs.load_predictions)
    page = out / "index.html"
    _write(page, html)
    for name, table in make_tables(published, trials).items():
        _write(out / "tables" / f"{name}.csv", table.to_csv(index=False))
    runs.log_report(page)
    return page


def make_tables(published: "pd.DataFrame", trials: "pd.DataFrame") -> dict[str, "pd.DataFrame"]:
    """The numbers behind the page: one table a study, the claims, and every trial."""
    import pandas as pd

    from analysis.claims import CLAIMS, check_claims
    from analysis.tables import compare
    from training.studies import STUDIES

    sides = {"published": check_claims(published), "measured": check_claims(trials)}
    claims = pd.DataFrame(
        {"code": claim.code, "claim": claim.sentence, "source": source, "rule": claim.rule}
        | {**vars(verdicts[claim.code]), "caveats": "; ".join(verdicts[claim.code].caveats)}
        for claim in CLAIMS
        for source, verdicts in sides.items()
    )
    tables = {study.name: compare(study, published, trials) for study in STUDIES.values()}
    return {**tables, "claims": claims, "trials": trials}


def render(
    published: "pd.DataFrame",
    trials: "pd.DataFrame",
    curves: "pd.DataFrame",
    champion: "Champion | None",
    notes: "pd.DataFrame",
    load_picture: Any,
) -> str:
    """The page as one string; it asks for nothing from outside."""
    import jinja2

    from analysis import chapters, panels
    from analysis.claims import CLAIMS, check_claims

    printed, measured = check_claims(published), check_claims(trials)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html").render(
        chapters=chapters.make_chapters(published, trials, curves, (printed, measured), notes, load_picture),
        champion=champion,
        champion_factors=chapters.describe_params(champion.params) if champion else "",
        choices={"Printed numbers": chapters.choices(published), "Measured": chapters.choices(trials)},
        summary=chapters.judged(printed, measured, "summary"),
        claims=chapters.judged(printed, measured, ""),
        counts={"Printed": chapters.counts(printed), "Measured": chapters.counts(measured)},
        effects=panels.render(lambda: panels.effects_figure(CLAIMS, printed, measured), "Effects with 95 % intervals"),
        glyphs=chapters.GLYPHS,
        num_runs=len(trials),
        data="" if trials.empty else trials.iloc[0]["data"],
        promote=PROMOTE,
    )


def _write(path: Path, text: str) -> None:
    """All of the file or none of it: a reader never meets half a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


if __name__ == "__main__":
    raise SystemExit(main())
