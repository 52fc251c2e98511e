"""A page of several data sets: the verdicts together and set by set, all else of the first set, and that is said."""

import dataclasses
from typing import Any

import pytest
from claim_rows import row

from analysis.evidence import evidence
from analysis.evidence.provenance import provenance, provenance_by_set
from analysis.evidence.schema import load_published, tidy
from analysis.page import exports
from analysis.page.page import compose

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("judged_once")]

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"


def rows_of(gains: list[float], digest: str, fold: int, dice: float) -> list[dict[str, Any]]:
    known = {"data_digest": digest, "data": "cells", "fold": fold, "epochs": 6, "image_size": 64, "preset": "demo"}
    known |= {"protocol": "fixed", "baseline": "report", "seconds": 1.0}
    return [
        row("augmentation", dice + gain * (augment == "train"), augment=augment, seed=seed, **known)
        | {"run_id": f"{digest} {fold} {augment} {seed}", "parent_run_id": f"{digest} {fold}"}
        for seed, gain in enumerate(gains)
        for augment in ("none", "train")
    ]


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """Two sets of one name: augmentation surely helps on one, in two folds, and surely harms on the other."""
    rows = [*rows_of([0.050, 0.052], "aa", 0, 0.6), *rows_of([0.051, 0.049], "aa", 1, 0.6)]
    trials = tidy([*rows, *rows_of([-0.040, -0.041, -0.039], "bb", 0, 0.8)])
    images = {"aa": 40, "bb": 36}
    sets = provenance_by_set(trials, images)
    found = dataclasses.replace(
        evidence.nothing(), trials=trials, sets=sets, provenance=provenance(trials, images)
    )  # fmt: skip
    return compose(load_published(), found)


def test_the_table_by_data_set_has_verdicts_and_effects_of_one_contrast(content: dict[str, Any]) -> None:
    table = content["claims_by_set"]
    assert table.heads == (
        ("together", f"7 seeds {TIMES} folds {TIMES} data sets"),
        ("cells (aa)", f"4 seeds {TIMES} folds"),
        ("cells (bb)", "3 seeds"),
    )
    (line,) = table.rows
    assert line.contrast == "training only less none"
    assert [(cell.verdict, cell.effect) for cell in line.cells] == [
        ("undecided", "+0.012"),
        ("contradicted", "+0.051"),
        ("supported", f"{MINUS}0.040"),
    ]
    assert line.disagree


def test_figures_and_tables_are_of_the_first_set_and_the_page_says_so(content: dict[str, Any]) -> None:
    (chapter,) = (chapter for chapter in content["chapters"] if chapter.study.name == "augmentation")
    assert [(line.cells, line.n) for line in chapter.rows[:2]] == [(("none",), "4"), (("training only",), "4")]
    assert chapter.runs.startswith("8 runs on cells")
    assert chapter.runs.endswith("folds 0, 1")
    assert "for fold in 0 1; do" in chapter.command
    html, markdown = (exports.render(name, content) for name in ("report.html", "report.md"))
    assert html.count("<b>Of cells (aa) alone</b>") == 1, "the one study that has runs"
    assert "The unit is a seed on one fold of one data set" in html
    assert (
        f"the data sets disagree on training only less none: +0.051 on cells (aa), {MINUS}0.040 on cells (bb)" in html
    )
    assert "sets disagree" in markdown
    assert "- cells (bb): digest of the data bb; pixels 64; folds 0; seeds 0, 1, 2;" in markdown


def test_what_to_keep_is_chosen_on_each_set_by_itself(content: dict[str, Any]) -> None:
    chosen = {name: found[0]["val_dice"] for name, found in content["choices"].items() if found}
    assert (chosen["Measured on cells (aa)"], chosen["Measured on cells (bb)"]) == ("0.652", "0.800")
    assert set(content["verdicts"]) == {
        *("published", "measured", "measured on cells (aa)", "measured on cells (bb)"),
    }
