"""Tables and runs of earlier versions are read, with the factors that they had and could not name."""

from dataclasses import asdict
from pathlib import Path

import pytest
from conftest import ROOT

from analysis.evidence.grid_table import CELLS, COLUMNS, read
from analysis.evidence.schema import FACTORS, load_published, modernize, tidy
from analysis.evidence.snapshot import from_files
from training.study.trial import LATER, Trial

TRIAL = Trial(loss="bce", optimizer="adagrad", lr=1e-2, epochs=2)
KEPT = sorted((ROOT / "analysis" / "measured").iterdir())
GRIDS = [folder for folder in KEPT if (folder / CELLS).is_file()]


@pytest.mark.parametrize(
    "folder", [one for one in KEPT if (one / "trials.parquet").is_file()], ids=lambda folder: folder.name
)
def test_kept_tables_of_earlier_versions_have_the_defaults_of_the_factors_they_lack(folder: Path) -> None:
    trials = from_files(folder, "").trials
    assert len(trials)
    for factor in LATER:
        assert trials[factor].notna().all()
    assert set(trials[trials["started"] < "2026-06"]["adagrad_accumulator"]) <= {Trial.adagrad_accumulator}


@pytest.mark.parametrize("folder", GRIDS, ids=lambda folder: folder.name)
def test_a_kept_grid_has_every_column_of_its_card_and_the_epochs_and_runs_of_every_cell(folder: Path) -> None:
    table = read(folder)
    assert set(table.cells) == {*FACTORS, *COLUMNS}
    ids = set(table.kept_runs["run_id"])
    assert ids >= {*table.cells["run_id"], *table.plays.get("run_id", [])}
    assert ids >= set(table.epochs["run_id"]) >= set(table.images["run_id"])


def test_a_run_without_a_later_param_had_its_default_and_one_that_has_it_keeps_it() -> None:
    params = {name: str(value) for name, value in asdict(TRIAL).items()}
    old = {name: value for name, value in params.items() if name not in LATER}
    rows = [{"run_id": "old", **old}, {"run_id": "new", **params, "adagrad_accumulator": "0.1"}]
    assert list(tidy(rows)["adagrad_accumulator"]) == [0.0, 0.1]
    assert list(tidy(rows)["rmsprop_alpha"]) == [0.99, 0.99]
    assert Trial.from_params(old) == TRIAL
    assert modernize(tidy(rows))[list(LATER)].astype(float).equals(tidy(rows)[list(LATER)]), "read again, they stay"


def test_of_published_rows_no_optimizer_constant_is_known() -> None:
    assert load_published()[list(LATER)].isna().all(axis=None)
