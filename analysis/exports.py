"""Files of a report: its page, its Markdown, and its tables as csv, parquet and LaTeX. Nothing is computed here."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd

from analysis.claims import ALL_CLAIMS
from analysis.comparisons import compare_with_reference
from analysis.evidence import CURVES, TRIALS
from analysis.labels import factor_label, value_label
from analysis.tables import cell_factors, compare
from analysis.verdicts import Verdict
from training.studies import STUDIES, Study

if TYPE_CHECKING:
    from analysis.evidence import Evidence

TEMPLATES = Path(__file__).parent / "templates"
IN_PRINT = {"printed_val_dice": "printed", "val_dice": "measured", "sd": "sd", "n": "n"}  # columns of a LaTeX table
IN_PRINT_SEARCH = {"printed_lr": "printed", "lr": "measured", "val_dice": "val Dice", "n": "n"}


def render(template: str, content: Mapping[str, Any]) -> str:
    """A template filled in; a page asks for nothing from outside."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=template.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(content)


def make_tables(
    published: pd.DataFrame, trials: pd.DataFrame, verdicts: Mapping[str, Mapping[str, Verdict]]
) -> dict[str, pd.DataFrame]:
    """The numbers behind the page: one table a study, its comparisons, the claims, and every trial."""
    claims = pd.DataFrame(
        {"code": claim.code, "claim": claim.sentence, "source": source, "rule": claim.rule, "unit": claim.unit}
        | {**vars(found[claim.code]), "caveats": "; ".join(found[claim.code].caveats)}
        for claim in ALL_CLAIMS
        for source, found in verdicts.items()
    )
    compared = pd.concat(
        compare_with_reference(study, trials).assign(study=study.name) for study in STUDIES.values()
    ).astype({"value": str, "reference": str})
    tables = {study.name: compare(study, published, trials) for study in STUDIES.values()}
    return {**tables, "comparisons": compared, "claims": claims, "trials": trials}


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame], found: "Evidence") -> None:
    """Each as csv; trials and curves as parquet too, from which the report can be made again; studies as LaTeX."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write(folder / f"{name}.csv", table.to_csv(index=False))
        if name in STUDIES:
            write(folder / f"{name}.tex", latex(STUDIES[name], table))
    for name, table in ((TRIALS, found.trials), (CURVES, found.curves)):
        half = folder / f"{name}.tmp"
        table.to_parquet(half, index=False)
        half.replace(folder / name)


def latex(study: Study, table: pd.DataFrame) -> str:
    """The study's table for a paper; needs the package booktabs."""
    by = cell_factors(study)
    columns = IN_PRINT_SEARCH if study.search_lr else IN_PRINT
    shown = table[[*by, *columns]].copy()
    for factor in by:
        shown[factor] = [value_label(factor, value) for value in shown[factor]]
    if study.search_lr:
        for name in ("printed_lr", "lr"):
            shown[name] = [value_label("lr", value) for value in shown[name]]
    shown = shown.rename(columns={**{factor: factor_label(factor).replace("%", r"\%") for factor in by}, **columns})
    style = shown.style.hide(axis="index").format(precision=3, na_rep="--", escape="latex")
    caption = study.question.replace("%", r"\%")
    return str(style.to_latex(hrules=True, caption=caption, label=f"tab:{study.name}", position_float="centering"))


def write(path: Path, text: str) -> None:
    """All of the file or none of it: a reader never meets half a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)
