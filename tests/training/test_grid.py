"""`-e grid` and `-e live` on a real store: judged on images of their own, nothing twice, and a table that says so."""

from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from studies import Studies

from analysis.evidence.grid_table import COLUMNS, GridTable, read
from analysis.table import main as table
from analysis.tournament import main as tournament
from serving.promote import main as promote
from training.restore import main as restore
from training.study.grid import NUM_CELLS, SEEDS, VALUES
from training.tracking.runs import read_json

pytestmark = pytest.mark.slow

GRID = ("--epochs", "2", "--cells", "2")
LIVE = ("--epochs", "2", "--trials", "1", "--repeats", "1")
PLAYED = 3 * (1 + 1)  # trainings


@pytest.fixture(scope="module")
def trained(discs: Path, tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """A play of each player, kept as `played`; then one cell, then, started again, two."""
    studies = Studies(tmp_path_factory.mktemp("grid"), discs)
    status, said = studies.run("live", *LIVE)
    assert status == 0, said
    keep(studies, "played")
    assert studies.run("grid", *GRID[:-1], "1")[0] == 0
    status, said = studies.run("grid", *GRID)
    assert status == 0, said
    assert "2 trial(s) were trained before and are reused" in said
    return studies


def keep(studies: Studies, name: str) -> None:
    """What is trained so far, as a table of that name beside the store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", studies.uri)
        assert table(["--data", str(studies.data), "--out", str(studies.folder / name)]) == 0


@pytest.fixture(scope="module")
def kept(trained: Studies) -> GridTable:
    keep(trained, "kept")
    return read(trained.folder / "kept")


def test_no_cell_is_trained_twice_and_none_keeps_weights(trained: Studies) -> None:
    cells = trained.runs("tags.role = 'cell'")
    assert [run.info.status for run in cells] == ["FINISHED"] * (4 + PLAYED)
    client = MlflowClient(trained.uri)
    files = {file.path for run in cells for file in client.list_artifacts(run.info.run_id)}
    assert files == {"epochs.csv", "judge_images.csv", "trial.json", "val_images.csv"}


def test_the_images_that_judge_neither_train_nor_validate_nor_test(trained: Studies, kept: GridTable) -> None:
    study = trained.runs("tags.role = 'study'")[0]
    split = read_json(MlflowClient(trained.uri), study.info.run_id, "split.json")
    judges = set(kept.images["image"])
    assert len(judges) == 4
    assert judges < set(split["train"])  # of a trial that trains on all; a cell trains on 12 of these 16
    assert set(kept.cells["train_percent"]) == {60}
    assert len(split["train"]) == 16


def test_the_table_has_a_row_per_training_and_per_epoch_and_per_image_of_it(trained: Studies, kept: GridTable) -> None:
    assert len(kept.cells) == 4
    assert set(kept.cells["seed"]) == set(SEEDS)
    assert kept.share == pytest.approx(2 / NUM_CELLS)
    assert set(kept.epochs.groupby("run_id").size()) == {2}
    means = kept.images.groupby("run_id")["own_dice"].mean()
    best = kept.epochs.groupby("run_id")["val_dice"].max()
    trainings = pd.concat([kept.cells, kept.plays]).set_index("run_id")
    assert trainings["judge_dice"].to_dict() == pytest.approx(means.to_dict())
    assert trainings["val_dice"].to_dict() == pytest.approx(best.to_dict())


def test_every_play_is_kept_with_the_training_that_judges_its_choice(kept: GridTable) -> None:
    plays = kept.plays
    assert (len(plays), plays["seed"].nunique()) == (PLAYED, 6), "a seed that tunes and one that judges, of each play"
    assert set(plays["train_percent"]) == set(kept.cells["train_percent"])
    assert set(kept.kept_runs["run_id"]) == {*kept.cells["run_id"], *plays["run_id"]}


def test_plays_are_kept_before_any_cell_is_trained_and_a_tournament_says_what_is_missing(
    trained: Studies, kept: GridTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    early = read(trained.folder / "played")
    assert early.cells.empty
    pd.testing.assert_frame_equal(early.plays, kept.plays)
    assert "0 trainings of a small U-Net on" in (trained.folder / "played" / "README.md").read_text()
    assert tournament(["--table", str(trained.folder / "played"), "--out", str(tmp_path)]) == 2
    assert "the table has 0 cells" in capsys.readouterr().err


def test_its_card_names_every_column_and_its_three_lines_of_pandas_work(
    trained: Studies, kept: GridTable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = (trained.folder / "kept" / "README.md").read_text()
    for name in (*VALUES, *COLUMNS):
        assert f"`{name}`" in card, name
    assert "Apache-2.0" in card
    monkeypatch.chdir(trained.folder)
    exec(card.split("```python")[1].split("```")[0])
    assert "optimizer" in capsys.readouterr().out
    assert isinstance(pd.read_parquet("kept/cells.parquet")["loss"].iloc[0], str)


def test_a_table_is_restored_in_another_store_and_goes_on_there(
    trained: Studies,
    kept: GridTable,
    discs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    elsewhere = Studies(tmp_path, discs)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere.uri)
    monkeypatch.chdir(tmp_path)
    assert restore(["--tables", str(trained.folder / "kept")]) == 0
    status, said = elsewhere.run("grid", *GRID[:-1], "3")
    assert status == 0, said
    assert "4 trial(s) were trained before and are reused" in said
    status, said = elsewhere.run("live", *LIVE)
    assert status == 0, said
    assert [line.split()[0] for line in said.splitlines() if "trained before" in line] == ["3", "3"]
    assert table(["--data", str(discs), "--out", "again"]) == 0
    again = read(tmp_path / "again")
    for one, other in zip(
        (kept.cells, kept.epochs, kept.images, kept.plays),
        (again.cells, again.epochs, again.images, again.plays),
        strict=True,
    ):
        rows = other[other["run_id"].isin(kept.kept_runs["run_id"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, one, check_dtype=False)
    assert len(again.cells) == 6
    assert "left out:" not in capsys.readouterr().out
    assert elsewhere.run("grid", "--epochs", "1", "--cells", "1")[0] == 0
    assert table(["--data", str(discs), "--out", "other"]) == 0
    assert "left out: 6 with other settings" in capsys.readouterr().out
    assert len(read(tmp_path / "other").cells) == 2


def test_no_cell_is_promoted(
    trained: Studies, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.uri)
    monkeypatch.chdir(trained.folder)
    assert promote(["--data", str(trained.data)]) == 2
    assert "no finished trial on a folder of this name can be promoted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--cells", "none"], "cells='none' must be a whole number from 1 to"),
        (["--protocol", "report"], "it leaves no images to judge cells by"),
        (["--repeats", "0"], "trials=60 and repeats=0: a play takes at least 1 trial"),
    ],
)
def test_what_cannot_be_used_is_refused(given: list[str], words: str, discs: Path, tmp_path: Path) -> None:
    status, said = Studies(tmp_path, discs).run("live" if "--repeats" in given else "grid", *given)
    assert status == 2
    assert words in said


def test_of_other_images_there_is_no_table(
    trained: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.uri)
    assert table(["--data", "other", "--out", str(tmp_path / "kept")]) == 2
    assert "data=other: no cell is trained on images of this name" in capsys.readouterr().err


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"it has no cells\.parquet; it must be a folder that `mlflow run"):
        read(tmp_path)
