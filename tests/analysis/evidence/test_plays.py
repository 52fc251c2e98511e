"""Live plays travel with a table: what was asked for in order, the choice, and what judged it."""

from pathlib import Path

import pandas as pd
import pytest
from grid_tables import make_table

from analysis.evidence.grid_table import GridTable, keep, read
from analysis.evidence.plays import PLAY_COLUMNS, tabulate_plays

BUDGET = 3


@pytest.fixture(scope="module")
def table() -> GridTable:
    return make_table("10", plays=(BUDGET, 2))


def test_a_play_has_its_trainings_in_order_one_choice_and_one_that_judges_it(table: GridTable) -> None:
    assert table.plays.groupby(["player", "repeat"]).ngroups == 6
    for _, rows in table.plays.groupby(["player", "repeat"]):
        assert list(rows["number"]) == [1, 2, 3, 4]
        assert list(rows["role"]) == ["tunes"] * BUDGET + ["judges"]
        tuned, judge = rows.iloc[:BUDGET], rows.iloc[BUDGET]
        chosen = rows[rows["chosen"]].iloc[0]
        assert rows["chosen"].sum() == 1
        assert chosen["own_val_dice"] == tuned["own_val_dice"].fillna(0).max()
        assert (judge["lr"], judge["loss"]) == (chosen["lr"], chosen["loss"])


def test_a_play_without_its_last_training_is_left_out_and_counted(table: GridTable) -> None:
    trainings = table.plays.drop(columns=list(PLAY_COLUMNS))
    again, unfinished = tabulate_plays(trainings, BUDGET)
    pd.testing.assert_frame_equal(again, table.plays)
    assert unfinished == 0
    fewer, unfinished = tabulate_plays(trainings.iloc[:-1], BUDGET)
    assert (fewer.groupby(["player", "repeat"]).ngroups, unfinished) == (5, 1)


def test_plays_are_kept_and_read_with_a_table_and_its_card_says_so(table: GridTable, tmp_path: Path) -> None:
    keep(table, tmp_path)
    pd.testing.assert_frame_equal(read(tmp_path).plays, table.plays, check_dtype=False)
    card = (tmp_path / "README.md").read_text()
    assert "with 3 trials each:\n2 of staged_starts, 2 of random, 2 of tpe." in card
    assert all(f"`{column}`" in card for column in PLAY_COLUMNS)
    keep(make_table("10"), tmp_path)
    assert read(tmp_path).plays.empty
    assert "plays.parquet" not in (tmp_path / "README.md").read_text()
