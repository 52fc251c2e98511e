"""Kept trials become runs of another store, and a study there trains only what is missing."""

from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from studies import Studies

from analysis.report import main as report
from serving.promote import main as promote
from training.restore import main as restore
from training.tracking.kept_runs import RESTORED, RUNS

pytestmark = pytest.mark.slow

STUDY, TINY = "schedulers_by_data", ("--epochs", "2", "--rates", "own", "--val-percent", "20", "--test-percent", "20")


@pytest.fixture(scope="module")
def trained(discs: Path, tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """A study with searches for its rows' own rates, and beside it the folder `kept`."""
    studies = Studies(tmp_path_factory.mktemp("trained"), discs)
    assert studies.run(STUDY, *TINY)[0] == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", studies.uri)
        folder = studies.folder
        assert report(["--out", str(folder / "page"), "--snapshot", str(folder / "kept")]) == 0
    return studies


@pytest.fixture(scope="module")
def restored(trained: Studies, discs: Path, tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """Another store, with these trials; another folder, as on another machine."""
    studies = Studies(tmp_path_factory.mktemp("restored"), discs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", studies.uri)
        assert restore(["--tables", str(trained.folder / "kept")]) == 0
    return studies


def test_restored_trials_are_those_that_were_trained(trained: Studies, restored: Studies) -> None:
    there = {run.data.tags[RESTORED]: run for run in restored.trained()}
    assert sorted(there) == sorted(run.info.run_id for run in trained.trained())
    for run in trained.trained():
        same = there[run.info.run_id]
        assert (same.data.params, same.data.metrics) == (run.data.params, run.data.metrics)
        assert (same.info.start_time, same.info.end_time) == (run.info.start_time, run.info.end_time)
        for name in ("result_hash", "params_hash", "row", "study", "data_digest", "torch", "git_commit"):
            assert same.data.tags.get(name) == run.data.tags.get(name), name
    shown = next(run for run in trained.trained() if run.data.tags["row"] == "published")
    before, after = (
        [(point.step, point.value) for point in MlflowClient(studies.uri).get_metric_history(run_id, "val_dice")]
        for studies, run_id in ((trained, shown.info.run_id), (restored, there[shown.info.run_id].info.run_id))
    )
    assert before == after
    assert len(before) == 2


def test_what_is_there_already_is_not_written_again(
    trained: Studies, restored: Studies, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    count = len(restored.trained())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", restored.uri)
    assert restore(["--tables", str(trained.folder / "kept")]) == 0
    assert f"0 of {count} trials were restored" in capsys.readouterr().out
    assert len(restored.trained()) == count


def test_the_study_trains_nothing_there_and_its_page_is_the_same(
    trained: Studies, restored: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, said = restored.run(STUDY, *TINY)
    assert status == 0
    assert set(restored.times_trained().values()) == {1}
    assert len(restored.trained()) == len(trained.trained()), said
    monkeypatch.setenv("MLFLOW_TRACKING_URI", restored.uri)
    assert report(["--out", str(tmp_path)]) == 0
    tables = [pd.read_parquet(folder / "trials.parquet") for folder in (trained.folder / "kept", tmp_path / "tables")]
    scores = ["optimizer", "scheduler", "train_percent", "lr", "val_dice", "own_val_dice", "val_loss", "tail_val_dice"]
    one, other = (table[scores].sort_values(scores, ignore_index=True) for table in tables)
    pd.testing.assert_frame_equal(one, other)
    kept, again = (pd.read_parquet(folder / RUNS) for folder in (trained.folder / "kept", tmp_path / "tables"))
    assert sorted(again["run_id"]) == sorted(kept["run_id"]), "reused ones are kept as who trained them"


def test_a_restored_trial_is_not_promoted_without_its_weights(
    restored: Studies, discs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", restored.uri)
    assert promote(["--data", str(discs)]) == 2
    said = capsys.readouterr().err
    assert "restored from files, which hold no weights; delete it (`mlflow runs delete --run-id" in said


def test_a_folder_without_kept_runs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore(["--tables", str(tmp_path)]) == 2
    assert "it has no runs.parquet; it must be a folder that" in capsys.readouterr().err
