"""Published beside measured, in the report's order; and the choice of Section 8."""

import math
from typing import Any

import pandas as pd
import pytest

from analysis.claims.selection import highest_dice, most_consistent
from analysis.evidence.published import read_notes
from analysis.evidence.schema import load_published, tidy
from analysis.page.tables import compare
from training.study.studies import STUDIES, baseline_from_report


def measured(study: str, *rows: dict[str, Any]) -> pd.DataFrame:
    usual = {"loss": "switching", "optimizer": "adam", "lr": 1e-3, "dropout": 0.0, "train_percent": 80, "seed": 0}
    usual |= {"study": study, "augment": "none"}
    return tidy([{"run_id": str(i), **usual, **row} for i, row in enumerate(rows)])


@pytest.mark.parametrize(
    ("study", "figure"), [("optimizers", "2"), ("schedulers", "6"), ("schedulers_by_data", "11"), ("losses", "19")]
)
def test_the_table_has_the_published_rows_in_the_published_order(study: str, figure: str) -> None:
    published = load_published()
    table = compare(STUDIES[study], published, tidy([]))
    dices = published[published["figure"] == figure]["val_dice"]
    assert sorted(table["published_val_dice"].dropna()) == sorted(dices)
    if study != "schedulers_by_data":  # Fig. 11 puts step before plateau within a share of the data, as we do
        assert list(table["published_val_dice"]) == list(dices)
    assert (table["n"] == 0).all()


def test_rows_the_report_has_not_are_marked_and_have_no_published_number() -> None:
    table = compare(STUDIES["dropout"], load_published(), tidy([]))
    assert list(table["dropout"][:4]) == [0.2, 0.5, 0.8, 0.0]
    assert list(table["extra"][:4]) == [False, False, True, True]
    assert table["published_val_dice"].isna().equals(table["extra"])


def test_a_measured_cell_is_the_mean_over_its_seeds_with_sd_and_n() -> None:
    rows = [{"dropout": 0.2, "val_dice": dice, "seed": seed} for seed, dice in enumerate((0.5, 0.6, 0.7))]
    table = compare(STUDIES["dropout"], load_published(), measured("dropout", *rows, {"val_dice": 0.8}))
    cell = table[(table["train_percent"] == 80) & (table["dropout"] == 0.2)].iloc[0]
    assert (cell["val_dice"], cell["sd"], cell["n"]) == pytest.approx((0.6, 0.1, 3))
    assert cell["published_val_dice"] == 0.2658  # Fig. 16
    control = table[(table["train_percent"] == 80) & (table["dropout"] == 0.0)].iloc[0]
    assert control["n"] == 1
    assert math.isnan(control["sd"])


def test_a_search_is_one_row_with_its_best_learning_rate() -> None:
    rows = [{"lr": lr, "val_dice": dice} for lr, dice in ((1e-4, 0.3), (1e-3, 0.6), (1e-2, 0.5))]
    table = compare(STUDIES["learning_rate"], load_published(), measured("learning_rate", *rows))
    assert len(table) == 12
    cell = table[(table["loss"] == "switching") & (table["optimizer"] == "adam")].iloc[0]
    assert (cell["published_lr"], cell["lr"], cell["val_dice"]) == (1e-3, 1e-3, 0.6)


def test_every_note_belongs_to_a_figure_of_a_study() -> None:
    assert set(read_notes()["figure"]) <= {study.figure for study in STUDIES.values()}


def test_the_report_chooses_as_section_8_says() -> None:
    published = load_published()
    highest, consistent = highest_dice(published[published["study"] == "losses"]), most_consistent(published)
    assert highest is not None
    assert (highest["loss"], highest["optimizer"], highest["val_dice"]) == ("bce", "rmsprop", 0.8586)
    assert consistent is not None
    assert (consistent["loss"], consistent["optimizer"], consistent["val_dice"]) == ("switching", "adam", 0.8151)


def test_the_choice_is_by_the_mean_over_seeds_and_takes_the_best_seed() -> None:
    lucky = [{"lr": 1e-2, "val_dice": 0.9, "seed": 0}, {"lr": 1e-2, "val_dice": 0.1, "seed": 1}]
    steady = [{"lr": 1e-3, "val_dice": 0.7, "seed": 0}, {"lr": 1e-3, "val_dice": 0.8, "seed": 1}]
    chosen = highest_dice(measured("losses", *lucky, *steady))
    assert chosen is not None
    assert chosen["val_dice"] == 0.8


@pytest.mark.parametrize(
    "flaw", [{"train_percent": 100}, {"augment": "both"}, {"collapsed": True}, {"diverged": True, "val_dice": math.nan}]
)
def test_a_trial_whose_dice_says_something_else_is_not_chosen(flaw: dict[str, Any]) -> None:
    assert highest_dice(measured("losses", {"val_dice": 0.99, **flaw})) is None
    assert most_consistent(measured("losses", {"val_dice": 0.99, **flaw})) is None


def test_cells_of_a_study_of_ours_come_in_the_order_of_their_factors() -> None:
    study = STUDIES["decay_by_loss"]
    rows = list(study.rows(baseline_from_report(study)))
    trials = tidy(
        [{"study": study.name, "run_id": str(k), "val_dice": 0.5, **row.factors} for k, row in enumerate(rows)]
    )
    table = compare(study, load_published(), trials.sample(frac=1, random_state=0))
    cells = list(table[["loss", "optimizer", "weight_decay"]].itertuples(index=False, name=None))
    assert cells == sorted(cells)
    assert len(cells) == 16
