"""Kept trials become runs of another store, and a study there trains only what is missing."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from studies import SCORES, Studies

from analysis.evidence.runs import load_kept_runs, load_pool, newest_data_digest
from analysis.report import main as report
from serving.promote import main as promote
from training.restore import main as restore
from training.restore import read_files
from training.study.settings import SEARCH_ROW
from training.tracking.kept_runs import RUNS
from training.tracking.lease import look_up
from training.tracking.tags import RESTORED

pytestmark = pytest.mark.slow

STUDY = "schedulers_by_data"


@pytest.fixture(scope="module")
def options(discs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Of the study: a few epochs, and a split that a file fixed."""
    stems = sorted(path.stem for path in (discs / "images").iterdir())
    table = tmp_path_factory.mktemp("split") / "split.csv"
    table.write_text("\n".join(["stem,part", *(f"{s},{'test' if s < 'disc_04' else 'train'}" for s in stems)]))
    return "--epochs", "2", "--rates", "own", "--val-percent", "20", "--split", str(table)


@pytest.fixture(scope="module")
def trained(discs: Path, options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Studies:
    """A study with searches for its rows' own rates, and beside it the folder `kept`."""
    studies = Studies(tmp_path_factory.mktemp("trained"), discs)
    status, said = studies.run(STUDY, *options)
    assert status == 0
    assert "split: 12 train, 4 validate, 4 test (split=split.csv)" in said
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


def test_a_study_that_has_only_searched_for_rates_so_far_is_kept_too(
    trained: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.uri)
    whole = load_pool([newest_data_digest()])
    outdated = replace(whole, trials=whole.trials.iloc[:0])
    assert load_kept_runs(outdated).empty
    searches = {
        parent: [run for run in runs if run.data.tags["row"] == SEARCH_ROW] for parent, runs in whole.children.items()
    }
    kept = load_kept_runs(replace(outdated, children=searches))
    assert len(kept) >= 2
    assert set(kept["run_id"]) == {run.info.run_id for runs in searches.values() for run in runs}


def test_the_command_that_repeats_it_says_what_was_said_of_the_data(trained: Studies) -> None:
    said = json.loads((trained.folder / "kept" / "provenance.json").read_text())["command"]
    assert " -P data=path/to/discs -P val_percent=20 -P split=path/to/split.csv -P preset=demo " in said


def test_what_is_there_already_is_not_written_again(
    trained: Studies, restored: Studies, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    count = len(restored.trained())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", restored.uri)
    assert restore(["--tables", str(trained.folder / "kept")]) == 0
    assert f"0 of {count} trials were restored" in capsys.readouterr().out
    assert len(restored.trained()) == count


def test_what_no_study_has_reused_yet_is_kept_too(
    trained: Studies, tmp_path: Path, discs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, third = Studies(tmp_path / "elsewhere", discs), Studies(tmp_path / "third", discs)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere.uri)
    assert restore(["--tables", str(trained.folder / "kept")]) == 0
    assert elsewhere.run("losses", "--epochs", "1")[0] == 0
    assert report(["--out", str(tmp_path / "page"), "--snapshot", str(tmp_path / "kept")]) == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", third.uri)
    assert restore(["--tables", str(tmp_path / "kept")]) == 0
    before, after = count_epochs(elsewhere), count_epochs(third)
    assert after == before | dict.fromkeys(set(after) - set(before), 1), "and their curves, beside the losses'"
    assert set(after) > set(before)


def test_a_restored_trial_is_not_promoted_before_a_study_has_reused_it(
    restored: Studies, discs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", restored.uri)
    assert promote(["--data", str(discs)]) == 2
    assert "restored from files, and no study has reused them yet; start a study" in capsys.readouterr().err


def test_the_study_trains_nothing_there_its_page_is_the_same_and_so_are_its_tables_elsewhere(
    trained: Studies,
    restored: Studies,
    discs: Path,
    options: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status, said = restored.run(STUDY, *options)
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
    third = Studies(tmp_path / "third", discs)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", third.uri)
    assert restore(["--tables", str(tmp_path / "tables")]) == 0
    assert count_epochs(third) == count_epochs(restored), "curves travel twice, too"


def count_epochs(studies: Studies) -> dict[str, int]:
    """Of each restored trial, by the id that it had first."""
    client = MlflowClient(studies.uri)
    return {
        run.data.tags[RESTORED]: len(client.get_metric_history(run.info.run_id, "val_dice"))
        for run in studies.trained()
        if RESTORED in run.data.tags
    }


def test_a_restored_trial_is_trained_again_to_the_same_score_when_it_is_promoted(
    restored: Studies, discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", restored.uri)
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    monkeypatch.chdir(tmp_path)
    assert promote(["--data", str(discs)]) == 0
    trained = next(run for run in restored.trained() if RESTORED not in run.data.tags)
    assert f"promoted run {trained.info.run_id} to models:/unet@champion" in capsys.readouterr().out
    (kept,) = restored.runs(f"tags.reused_from = '{trained.info.run_id}' and tags.restored_from != ''")
    assert kept.data.params == trained.data.params
    for name in SCORES:
        assert trained.data.metrics[name] == pytest.approx(kept.data.metrics[name], rel=1e-4), name
    found = look_up(MlflowClient(restored.uri), trained.data.tags["result_hash"]).finished
    assert found
    assert found.info.run_id == trained.info.run_id
    assert len(restored.runs(f"tags.reused_from = '{trained.info.run_id}'")) == 2, "the study's run is told, too"


def test_a_trial_that_two_studies_share_is_restored_with_each_epoch_once(tmp_path: Path) -> None:
    """A copy of its epochs for each study made curves half as rough, and epochs to a target twice as many."""
    shared = {"run_id": ["own", "reusing"], "trained_run_id": ["own", "own"]}
    pd.DataFrame(shared).to_parquet(tmp_path / "trials.parquet")
    epochs = {"epoch": [1, 2], "val_dice": [0.4, 0.6]}
    curves = pd.concat([pd.DataFrame({"run_id": name, **epochs}) for name in shared["run_id"]], ignore_index=True)
    curves.to_parquet(tmp_path / "curves.parquet")
    files = read_files(tmp_path, pd.DataFrame({"run_id": ["own"], "stored_as": ["own"]}))
    assert files["epochs.csv"]["own"].to_dict("list") == epochs


def test_a_folder_without_kept_runs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore(["--tables", str(tmp_path)]) == 2
    assert "it has no runs.parquet; it must be a folder that" in capsys.readouterr().err
