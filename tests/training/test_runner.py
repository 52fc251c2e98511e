"""Studies run for real on a few easy images: what a user sees in MLflow, and that wrong values leave nothing behind."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import make_tables
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from training.command.progress import Progress, duration
from training.data.split import split_digest
from training.network.unet import UNet
from training.runner import main
from training.study.plan import trial_work
from training.study.trial import Trial

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SMALL = ["--preset", "demo", "--epochs", "2", "--image-size", "32", "--workers", "2"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place for runs: the working folder, with MLflow's database in it."""
    folder = tmp_path_factory.mktemp("store")
    make_tables(folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def finished(store: Path, discs: Path) -> Path:
    """The study `losses` of 12 trials and `mask_equalization` of 2, done."""
    for study in ("losses", "mask_equalization"):
        assert main([study, "--data", str(discs), *SMALL]) == 0
    return store


def runs(query: str = "", view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, query, run_view_type=view))


def artifact(run: Run, name: str, folder: Path) -> Path:
    return Path(MlflowClient(os.environ["MLFLOW_TRACKING_URI"]).download_artifacts(run.info.run_id, name, str(folder)))


@pytest.mark.usefixtures("finished")
def test_a_study_is_a_parent_run_and_its_trials_are_children_named_by_what_varies() -> None:
    (parent,) = runs("tags.role = 'study' and tags.study = 'losses'")
    children = runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert len(children) == 12
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}
    assert "loss=bce optimizer=adam" in {run.info.run_name for run in children}
    assert "| loss | optimizer | val Dice |" in parent.data.tags["mlflow.note.content"]
    assert [data.dataset.name for data in parent.inputs.dataset_inputs] == ["discs"]


@pytest.mark.usefixtures("finished")
def test_a_trial_s_run_has_its_factors_scores_tags_and_pictures(tmp_path: Path) -> None:
    run = next(run for run in runs("tags.study = 'losses'") if run.data.tags.get("mlflow.parentRunId"))
    trial = Trial.from_params(run.data.params)
    assert set(run.data.params) == set(Trial.__dataclass_fields__)
    summary = {"best_val_dice", "best_val_loss", "best_train_dice", "best_train_loss"}
    assert summary | {"best_epoch", "epochs_to_converge", "seconds", "val_dice", "train_loss"} <= set(run.data.metrics)
    expected = {"role": "trial", "study": "losses", "section": "6", "row": "published", "baseline": "report"}
    expected |= {
        "protocol": "fixed",
        "data": "discs",
        "params_hash": trial.digest,
        "device": "cpu",
        "diverged": "false",
    }
    assert expected.items() <= run.data.tags.items()
    for name in ("data_digest", "split_digest", "git_commit", "process", "heartbeat", "collapsed"):
        assert name in run.data.tags
    assert Trial.from_json(artifact(run, "trial.json", tmp_path).read_text()) == trial
    for picture in ("learning_curve.png", "predictions.png", "train_predictions.png"):
        assert artifact(run, picture, tmp_path).read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(artifact(run, "epochs.csv", tmp_path).open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert max(float(row["val_dice"]) for row in rows) == pytest.approx(run.data.metrics["best_val_dice"])
    assert UNet.from_pretrained(artifact(run, "model", tmp_path)).encoder.out_channels[0] == 1


@pytest.mark.usefixtures("finished")
def test_the_split_and_the_winner_are_kept_for_the_studies_that_follow(tmp_path: Path) -> None:
    (parent,) = runs("tags.role = 'study' and tags.study = 'losses'")
    split = json.loads(artifact(parent, "split.json", tmp_path).read_text())
    assert [len(split[part]) for part in ("train", "val", "test")] == [16, 2, 2]
    assert parent.data.tags["split_digest"] == split_digest(split)
    (winner,) = json.loads(artifact(parent, "winners.json", tmp_path).read_text())["winners"]
    children = runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    scores = {Trial.from_params(run.data.params): run.data.metrics["own_val_dice"] for run in children}
    assert scores[Trial(**winner)] == max(scores.values()), "the Dice at the images' own size decides"


@pytest.mark.usefixtures("finished")
def test_measured_carry_over_names_the_study_that_is_missing(discs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(runs(view=ViewType.ALL))
    assert main(["weight_decay", "--data", str(discs), *SMALL, "--baseline", "measured"]) == 2
    assert "study learning_rate has no finished run" in capsys.readouterr().err
    assert len(runs(view=ViewType.ALL)) == before


def test_a_study_on_tiles_keeps_groups_together_and_says_how_it_read_the_folder(
    discs: Path, new_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(new_store)
    arguments = ["mask_equalization", "--data", str(discs), *SMALL, "--fit", "tile", "--group", r"disc_\d(\d)"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "images/ and masks/, equal stems" in said
    assert "20 images, 10 groups, grey, 64x64 (20); tile to 32x32 pixels, 80 tiles" in said
    assert "masks: 0 is background, 255 foreground (20 masks)" in said
    (parent,) = runs("tags.role = 'study'")
    known = json.loads(artifact(parent, "data.json", new_store).read_text())
    assert known["reading"]["group"] == r"disc_\d(\d)"
    assert known["groups"]["disc_13"] == "3"
    split = json.loads(artifact(parent, "split.json", new_store).read_text())
    assert [len(split[part]) for part in ("train", "val", "test")] == [16, 2, 2]
    assert len({stem[-1] for stem in split["test"]}) == 1


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["weight_decays"], "study='weight_decays' is unknown; it must be one of learning_rate, "),
        (["losses", "--lr", "abc"], "lr=abc: there is no such parameter; the parameters are "),
        (["losses", "--preset", "huge"], "preset='huge' is unknown; it must be one of demo, small, report"),
        (
            ["losses", "--epochs", "ten"],
            "epochs='ten' is no whole number; give one, a share of the report's, as 25%, or `preset`",
        ),
        (["losses", "--epochs", "2.5%"], "epochs='2.5%': a share of the report's epochs is a whole percentage from 1%"),
        (["losses", "--epochs=-5%"], "epochs='-5%': a share of the report's epochs is a whole percentage from 1%"),
        (["losses", "--epochs", "0"], "epochs=0 is out of range; it must be at least 1"),
        (["losses", "--seeds", "x"], "'x' is no whole number"),
        (["losses", "--seeds", "0"], "seeds=0 is out of range; it must be between 1 and 1000"),
        (["losses", "--image-size", "100"], "image_size=100 is out of range; it must be a multiple of 16"),
        (["losses", "--baseline", "guess"], "baseline='guess' is unknown; it must be one of report, measured"),
        (["losses", "--protocol", "none"], "protocol='none' is unknown; it must be one of fixed, report"),
        (["losses", "--device", "tpu"], "device='tpu' is unknown; it must be auto, cpu or cuda"),
        (["losses", "--deterministic", "yes"], "deterministic='yes' is unknown; it must be true or false"),
        (["losses", "--precision", "fp8"], "precision='fp8' is unknown; it must be auto, fp32 or bf16"),
        (["losses", "--workers", "none"], "workers='none'; it must be auto or a whole number of at least 1"),
        (["losses", "--data", "nowhere"], "data=nowhere: there is no such folder"),
        (["losses", "--data", ""], "data: it is empty; give a path"),
        (
            ["losses", "--hours", "1"],
            "hours=1.0: study=losses has no use for it, it is an option of tune; leave it out",
        ),
        (["losses", "--trials", "3"], "an option of tune and live; leave it out"),
        (["losses", "--fit", "crop"], "fit='crop' is unknown; it must be one of resize, tile"),
        (["losses", "--fold", "1", "--split", "x.csv"], "it goes with protocol=fixed and fold=0 alone; leave out fold"),
        (["losses", "--split", "x.csv"], "x.csv: this is no csv that can be read"),
        (["losses", "--fold", "5"], "fold=5 is out of range; it must be between 0 and 4"),
        (["losses", "--group", r"patient(\d+)"], "the expression says nothing of disc_00, disc_01"),
        (["losses", "--mask_values", "cell"], "mask_values='cell' is no value of a mask"),
        (["losses", "--mask-suffix=_truth"], "there is no mask that ends in _truth"),
    ],
)
def test_a_wrong_value_stops_at_once_with_value_rule_and_cure_and_leaves_no_run(
    arguments: list[str], message: str, discs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(runs(view=ViewType.ALL))
    assert main([arguments[0], "--data", str(discs), *SMALL, *arguments[1:]]) == 2
    assert message in capsys.readouterr().err
    assert len(runs(view=ViewType.ALL)) == before


@pytest.mark.usefixtures("store")
def test_mlflow_run_makes_the_parent_and_takes_it_away_when_a_value_is_wrong(discs: Path, store: Path) -> None:
    def mlflow_run(*parameters: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "run",
            str(ROOT),
            "-e",
            "mask_equalization",
            "--env-manager",
            "local",
        ]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command += ["-P", f"data={discs}", "-P", "preset=demo", "-P", "image_size=32", *parameters]
        return subprocess.run(
            command, cwd=store, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
        )

    before = {run.info.run_id for run in runs()}
    wrong = mlflow_run("-P", "epochs=abc")
    assert wrong.returncode != 0
    assert "epochs='abc' is no whole number" in wrong.stderr
    assert {run.info.run_id for run in runs()} == before, "the run that mlflow made is deleted again"

    right = mlflow_run("-P", "epochs=1")
    assert right.returncode == 0, right.stderr
    made = [run for run in runs() if run.info.run_id not in before]
    parents = [run for run in made if "mlflow.parentRunId" not in run.data.tags]
    assert len(made) == 3
    assert [run.data.tags["mlflow.project.entryPoint"] for run in parents] == ["mask_equalization"]
    assert parents[0].info.status == "FINISHED"
    assert parents[0].info.run_name == "mask_equalization"


def test_progress_tells_study_trial_dice_and_time_left() -> None:
    out = io.StringIO()
    trial = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=2)
    progress = Progress(total_work=4 * 2 * 83.5, out=out)
    progress.begin_study("1/2", "losses", "Which?", 2)
    progress.epoch(trial, 1, 0.5, "loss=bce")
    progress.trial(trial, "loss=bce", "val Dice 0.600 in epoch 2 of 2")
    assert "1/2 losses: Which? (2 trials)" in out.getvalue()
    assert "1/2  loss=bce" in out.getvalue()
    assert "val Dice 0.600" in out.getvalue()
    assert " left" in out.getvalue().splitlines()[-1]


def test_the_time_left_follows_the_pace_of_late(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    trial = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=2)
    progress = Progress(total_work=200 * trial_work(trial), out=io.StringIO())
    progress.begin_study("", "losses", "Which?", 200)
    for seconds, left in ((100, "about 4.2 h left"), (1, "about 2 min left")):
        for _ in range(50):
            now += seconds
            progress.trial(trial, "loss=bce", "val Dice 0.600")
        assert progress.left() == left


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (89, "89 s"), (300, "5 min"), (7200, "2.0 h")])
def test_durations_read_as_a_person_would_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
