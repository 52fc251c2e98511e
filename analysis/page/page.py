"""The report: evidence is gathered, claims are checked, one self-contained page is rendered, tables lie beside it.

What the page says is decided in `chapters`; how it looks, in templates/report.html; other formats are in `exports`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.claims.claims import ALL_CLAIMS, check_claims
from analysis.claims.looks import has_looks
from analysis.claims.sets import split_sets
from analysis.evidence import evidence, files, snapshot, store
from analysis.evidence.evidence import Evidence
from analysis.evidence.published import read_notes
from analysis.evidence.schema import load_published
from analysis.page import chapters, exports, panels, pictures, power, sets, svg
from analysis.page.champion import compared, describe_reads, describe_rule, describe_test, is_among, more_scores
from analysis.page.tuned import describe_tuned

PROMOTE = "mlflow run . -e promote -P data=FOLDER"


def gather(
    *, published: bool = False, tables: Sequence[Path] = (), data_digest: str = "", server: str = ""
) -> Evidence:
    """From nothing (published), from files (folders of tables) or from the store: those of the newest study's
    images, or of the digests that are given, separated by commas.

    Raises ValueError for what is not there.
    """
    if published:
        return evidence.nothing()
    if tables:
        return snapshot.from_folders(tables, server)
    return evidence.from_store(data_digest, server)


def write_report(out: Path, found: Evidence, snapshot_folder: Path | None, *, log: bool) -> Path:
    """Write the page and its tables into `out`, what they rest on into `snapshot_folder`; with `log`, into MLflow.

    Returns the page's path.
    """
    published = load_published()
    if log and found.champion is None:
        print(f"no champion yet (models:/unet@champion); to choose one: {PROMOTE}")
    content = compose(published, found)
    page = out / "index.html"
    files.write(page, exports.render("report.html", content))
    files.write(out / "report.md", exports.render("report.md", content))
    exports.write_tables(
        out / "tables", exports.make_tables(published, sets.first_set(found.trials), content["verdicts"])
    )
    shown = [
        (thumbnail.run_id, thumbnail.part)
        for chapter in content["chapters"]
        for thumbnail in (*chapter.thumbnails, *chapter.train_thumbnails)
        if thumbnail.run_id
    ]
    for folder in [out / "tables", *([snapshot_folder] if snapshot_folder else [])]:
        snapshot.write_files(folder, found, shown)
    if log:
        store.log_report(out)
        for chapter in content["chapters"]:
            if chapter.parent_run_id:
                store.describe_verdicts(
                    chapter.parent_run_id, exports.render("verdicts.md", {**content, "chapter": chapter})
                )
    return page


def compose(published: pd.DataFrame, found: Evidence) -> dict[str, Any]:
    """Everything the templates ask for."""
    trials, champion = found.trials, found.champion
    on_published, measured = check_claims(published), check_claims(trials)
    by_name = split_sets(trials)
    by_set = {name: check_claims(rows) for name, rows in by_name.items()} if len(by_name) > 1 else {}
    drawn = sets.first_set(trials)
    chosen = {f"Measured on {name}": rows for name, rows in by_name.items()} if by_set else {"Measured": trials}
    return {
        "chapters": chapters.make_chapters(published, found, (on_published, measured), read_notes()),
        "champion": champion,
        "champion_is_shown": champion is None or is_among(champion.params, trials),
        "champion_test": describe_test(champion.tags) if champion else {},
        "champion_compared": compared(champion.tags) if champion else (),
        "champion_scores": more_scores(champion.tags) if champion else (),
        "champion_rule": describe_rule(champion.tags) if champion else "",
        "champion_reads": describe_reads(champion.tags) if champion else "",
        "champion_factors": chapters.describe_params(champion.params) if champion else "",
        "champion_link": found.link(champion.experiment_id, champion.tags.get("run_id", "")) if champion else "",
        **pictures.champion_pictures(champion),
        **describe_tuned(found),
        "cost": svg.render(lambda: panels.cost_figure(drawn.drop_duplicates("trained_run_id")), "Quality against cost")
        if len(trials)
        else "",
        "choices": {
            "Published numbers": chapters.choices(published, found),
            **{name: chapters.choices(rows, found) for name, rows in chosen.items()},
        },
        "summary": chapters.checked_claims(on_published, measured, "summary"),
        "claims": chapters.checked_claims(on_published, measured, ""),
        "counts": {"Published": chapters.counts(on_published), "Measured": chapters.counts(measured)},
        "effects": svg.render(
            lambda: panels.effects_figure(ALL_CLAIMS, on_published, measured), "Effects with 95 % intervals"
        ),
        "glyphs": chapters.GLYPHS,
        "seen": power.what_could_be_seen(measured),
        "num_runs": trials["trained_run_id"].nunique(),
        "provenance": found.provenance,
        "data": ", ".join(by_name),
        "set_names": list(by_name),
        "sets": found.sets,
        "units": sets.units_of(trials),
        "has_looks": has_looks(trials),
        "claims_by_set": sets.claims_by_set(trials, measured, by_set),
        "other_champions": [(one, chapters.describe_params(one.params)) for one in found.other_champions],
        "promote": PROMOTE,
        "verdicts": {
            "published": on_published,
            "measured": measured,
            **{f"measured on {name}": one for name, one in by_set.items()},
        },
    }
