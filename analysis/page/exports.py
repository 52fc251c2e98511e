"""A report's page, its Markdown, and its tables as csv and LaTeX. Nothing is computed here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from analysis.claims.claims import ALL_CLAIMS
from analysis.claims.comparisons import compare_with_reference
from analysis.claims.labels import factor_label, value_label
from analysis.claims.verdicts import Assessments
from analysis.evidence.files import write
from analysis.page import svg
from analysis.page.tables import cell_factors, compare
from training.study.studies import STUDIES, Study

TEMPLATES = Path(__file__).parent / "templates"
ASSESSED = ("verdict", "text", "effect", "low", "high", "p", "p_adjusted", "detectable", "units", "n")
LATEX_COLUMNS = {
    "published_val_dice": "published",
    "val_dice": "measured",
    "sd": "sd",
    "n": "n",
}
LATEX_COLUMNS_SEARCH = {"published_lr": "published", "lr": "measured", "val_dice": "val Dice", "n": "n"}


def render(template: str, content: Mapping[str, Any]) -> str:
    """A template filled in; a page asks for nothing from outside, and its figures take few bytes."""
    is_page = template.endswith(".html")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=is_page,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filled = environment.get_template(template).render(content)
    return svg.shorten(filled) if is_page else filled


def make_tables(
    published: pd.DataFrame, trials: pd.DataFrame, verdicts: Mapping[str, Assessments]
) -> dict[str, pd.DataFrame]:
    """The numbers behind the page: one table a study, its comparisons, and the claims."""
    claims = pd.DataFrame(
        {"code": claim.code, "claim": claim.sentence, "source": source, "rule": claim.rule, "unit": claim.unit}
        | {name: getattr(found[claim.code], name) for name in ASSESSED}
        | {"caveats": "; ".join(found[claim.code].caveats)}
        for claim in ALL_CLAIMS
        for source, found in verdicts.items()
    )
    compared = pd.concat(
        compare_with_reference(study, trials).assign(study=study.name) for study in STUDIES.values()
    ).astype({"value": str, "reference": str})
    tables = {study.name: compare(study, published, trials) for study in STUDIES.values()}
    return {**tables, "comparisons": compared, "claims": claims}


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Each as csv; studies as LaTeX too."""
    for name, table in tables.items():
        write(folder / f"{name}.csv", table.to_csv(index=False))
        if name in STUDIES:
            write(folder / f"{name}.tex", latex(STUDIES[name], table))


def latex(study: Study, table: pd.DataFrame) -> str:
    """The study's table for a paper; needs the package booktabs."""
    by = cell_factors(study)
    columns = LATEX_COLUMNS_SEARCH if study.search_lr else LATEX_COLUMNS
    shown = table[[*by, *columns]].copy()
    for factor in by:
        shown[factor] = [value_label(factor, value) for value in shown[factor]]
    if study.search_lr:
        for name in ("published_lr", "lr"):
            shown[name] = [value_label("lr", value) for value in shown[name]]
    shown = shown.rename(columns={**{factor: factor_label(factor).replace("%", r"\%") for factor in by}, **columns})
    style = shown.style.hide(axis="index").format(precision=3, na_rep="--", escape="latex")
    caption = study.question.replace("%", r"\%")
    return str(style.to_latex(hrules=True, caption=caption, label=f"tab:{study.name}", position_float="centering"))
