"""The forecast counts what a study will run, times it on this machine, and runs no trial."""

import re
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_runs import made_by_mlflow
from studies import Studies

from training.forecast import main
from training.study.studies import REPORT_STUDIES, STUDIES

pytestmark = pytest.mark.slow

SMALL = ["--preset", "demo", "--image-size", "32", "--workers", "2"]


def lines_of(said: str) -> dict[str, list[str]]:
    rows = [re.split(r"  +", line.strip()) for line in said.splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) == 5}


def test_every_study_has_its_trials_epochs_and_time_and_the_sum(
    discs: Path, new_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = made_by_mlflow("plan", data=str(discs))
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    assert main(["all", "--data", str(discs), *SMALL]) == 0
    said = lines_of(capsys.readouterr().out)
    assert [name for name in said if name in STUDIES] == [study.name for study in REPORT_STUDIES]
    assert said["losses"][:3] == ["12", "0", "72"], "12 trials of 6 epochs"
    assert said["learning_rate"][:3] == ["48", "0", "96"], "12 searches of 4 decades"
    assert said["in all"][0] == str(sum(int(said[name][0]) for name in said if name in STUDIES)) == "148"
    assert re.match(r"\d+(\.\d)? (s|min|h), on 2 worker\(s\), cpu", said["in all"][3])
    (kept,) = MlflowClient(f"sqlite:///{new_store}/mlflow.db").search_runs(["0"])
    assert kept.info.run_id == run_id, "no trial was run"
    assert "in all" in kept.data.tags["mlflow.note.content"]


def test_what_is_trained_already_takes_no_time(
    discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    studies = Studies(tmp_path, discs)
    assert studies.run("mask_equalization", "--epochs", "1")[0] == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", studies.uri)
    before = {run.info.run_id for run in studies.runs()}
    for study, seeds, counts in (
        ("mask_equalization", "1", ["2", "2", "0", "0 s"]),
        ("mask_equalization", "3", ["6", "2", "4"]),
        ("augmentation", "1", ["3", "1", "2"]),
    ):
        assert main([study, "--data", str(discs), *SMALL, "--epochs", "1", "--seeds", seeds]) == 0
        said = capsys.readouterr().out
        assert lines_of(said)[study][: len(counts)] == counts, said
        assert "what is trained already is reused" in said
    assert {run.info.run_id for run in studies.runs()} == before, "nothing was written"


def test_a_wrong_value_is_named(discs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses", "--data", str(discs), *SMALL, "--fold", "9"]) == 2
    assert "fold=9 is out of range" in capsys.readouterr().err
