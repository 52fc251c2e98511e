"""Most images show nothing: what predicts nothing earns nothing, and never wins; what is found decides."""

import dataclasses
import functools
import json
import math
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from chain import PYTHON, Chain, environment
from conftest import CASES, make_tables
from mlflow import MlflowClient

from analysis.evidence.failures import forget_old_scores, mark_collapsed
from analysis.evidence.schema import tidy
from analysis.page.champion import describe_test
from serving.promotion import promotion
from serving.promotion.candidate import find_candidate
from serving.promotion.contours import Contours
from serving.promotion.scores import ImageTestScore, rank, to_csv
from training.data.checks.findings import ERROR, WARNING
from training.data.checks.foreground import check_foreground
from training.data.image_set import data_name
from training.data.own_size import ImageScore
from training.data.reading import load_folder
from training.data.split import Split, make_split
from training.execution.jobs import Outcome
from training.execution.summary import describe_outcome, describe_study, find_undecided, find_winners
from training.network.engine import Epoch, make_model
from training.runner import main
from training.study.plan import make_plan
from training.study.settings import Settings
from training.study.studies import STUDIES, Baseline, baseline_from_report, baseline_from_winners
from training.study.trial import Trial
from training.tracking.runs import connect
from training.tracking.trial_run import TrialRun

pytestmark = pytest.mark.slow

CASE = CASES / "23-mostly-empty" / "data"
TRIAL = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=1, image_size=64)
SETTINGS = Settings(
    preset="demo", epochs="1", image_size="64", fit="resize", seeds=1, baseline="report", search="geometric",
    rates="auto", budget="epochs", protocol="fixed", switching_tau=0.05, precision="fp32", val_percent=10,
    test_percent=10, fold=0,
)  # fmt: skip
EPOCH = Epoch(
    epoch=1, lr=1e-3, train_loss=0.5, train_dice=0.0, val_loss=0.5, val_dice=0.0, val_global_dice=0.0,
    val_soft_dice=0.0, val_iou=0.0, val_precision=1.0, val_recall=0.0, val_empty_images=5, val_false_alarms=0,
    val_all_foreground_dice=0.1, val_predicted_percent=0.0, switched_percent=0.0, epoch_seconds=1.0,
)  # fmt: skip


def write_discs(folder: Path, count: int, with_foreground: int) -> Path:
    """Dark noisy images, the first of them with a bright disc."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index in range(count):
        mask = np.zeros((64, 64), np.uint8)
        if index < with_foreground:
            cv2.circle(mask, rng.integers(20, 44, 2).tolist(), int(rng.integers(10, 16)), 255, -1)
        image = rng.normal(60, 12, (64, 64)) + 0.5 * mask
        cv2.imwrite(str(folder / "images" / f"{index:02d}.png"), image.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(folder / "masks" / f"{index:02d}.png"), mask)
    return folder


@pytest.fixture
def client(new_store: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.chdir(new_store)
    return connect()[0]


def outcomes_of(study: str, dices: list[float], **known: int) -> list[Outcome]:
    """Of the study's trials; the Dice 0 is of one that predicts nothing."""
    plan = make_plan(STUDIES[study], baseline_from_report(STUDIES[study]), SETTINGS)
    trials = [trial for search in plan.searches for trial in search.propose({})]
    return [
        Outcome(trial=trial, dice=dice, own_dice=dice, best_epoch=1, seconds=1, collapsed=dice == 0, **known)
        for trial, dice in zip(trials, dices, strict=False)
    ]


# the split


@pytest.mark.parametrize("with_foreground", [10, 12, 25, 40])
def test_ten_images_with_foreground_are_enough_for_one_in_each_tenth(with_foreground: int) -> None:
    foreground = [0.1 * (index < with_foreground) for index in range(100)]
    for fold in range(5):
        split = make_split(tuple(map(str, range(100))), foreground, "fixed", 80, fold)
        for part in (split.val, split.test):
            assert sum(foreground[index] > 0 for index in part) >= with_foreground // 10


def test_a_part_without_foreground_is_an_error_and_few_images_with_it_a_warning(tmp_path: Path) -> None:
    images = load_folder(write_discs(tmp_path / "discs", 20, 3), 64)
    split = Split(train=tuple(range(1, 17)), val=(0, 17), test=(18, 19))
    error, few = check_foreground(images, split)
    assert (error.severity, few.severity) == (ERROR, WARNING)
    assert error.title == "none of the 2 test images has foreground (3 of all 20 have it)"
    assert "raise test_percent, take another fold" in error.meaning
    assert few.title == (
        "TOO LITTLE TO JUDGE BY: the validation set has 1 image with foreground and the test set has 0 images with "
        "foreground"
    )
    (no_training,) = check_foreground(images, Split(train=(17,), val=(), test=()))
    assert "none of the 1 training images has foreground" in no_training.title


def test_where_all_masks_have_foreground_there_is_nothing_to_say(discs: Path) -> None:
    split = Split(train=tuple(range(10)), val=tuple(range(10, 15)), test=tuple(range(15, 20)))
    assert check_foreground(load_folder(discs, 64), split) == []


def test_foreground_that_is_lost_at_the_size_trained_at_is_named(tmp_path: Path) -> None:
    folder = write_discs(tmp_path / "discs", 4, 4)
    image, speck = (np.zeros((512, 512), np.uint8) for _ in range(2))
    speck[1, 1] = 255
    for part, pixels in (("images", image), ("masks", speck)):
        cv2.imwrite(str(folder / part / "speck.png"), pixels)
    (lost,) = check_foreground(load_folder(folder, 64), Split(train=(0, 1, 2, 3), val=(), test=()))
    assert (lost.title, lost.stems) == ("no foreground is left of 1 mask at 64 pixels", ("speck",))


def test_a_study_is_refused_before_any_run_exists_where_no_validation_image_has_foreground(
    client: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_discs(tmp_path / "discs", 40, 1)
    assert main(["losses", "--data", str(folder), "--preset", "demo", "--image-size", "32", "--workers", "1"]) == 2
    said = capsys.readouterr().err
    assert "none of the 4 validation images has foreground (1 of all 40 have it)" in said
    assert "raise val_percent" in said
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert client.search_runs(experiments) == []


# the winner


def test_a_trial_that_predicts_nothing_does_not_win_and_a_study_of_such_has_no_winner() -> None:
    plan = make_plan(STUDIES["losses"], baseline_from_report(STUDIES["losses"]), SETTINGS)
    one = outcomes_of("losses", [0.0, 0.3, 0.2, math.nan])
    assert find_winners(plan, one) == [one[1].trial]
    assert find_undecided(plan, one) == []
    none = outcomes_of("losses", [0.0, 0.0, math.nan])
    assert find_winners(plan, none) == []
    assert find_undecided(plan, none) == ["losses"]
    assert "- no winner: losses: no trial predicts any foreground" in describe_study(plan, none, [], 1)


def test_a_trial_that_predicts_nothing_in_the_end_scores_0_whatever_an_earlier_epoch_had() -> None:
    plan = make_plan(STUDIES["losses"], baseline_from_report(STUDIES["losses"]), SETTINGS)
    first, second = outcomes_of("losses", [0.9, 0.2])
    assert find_winners(plan, [dataclasses.replace(first, collapsed=True), second]) == [second.trial]


def test_false_alarms_stand_beside_the_dice() -> None:
    (outcome,) = outcomes_of("losses", [0.5], empty_images=5, false_alarms=2)
    assert "val Dice 0.500 (false alarms on 2 of 5 empty images) in epoch 1" in describe_outcome(outcome)
    plan = make_plan(STUDIES["losses"], baseline_from_report(STUDIES["losses"]), SETTINGS)
    table = describe_study(plan, [outcome], [], 1)
    assert "| val Dice | false alarms on 5 empty | best epoch |" in table
    assert "| 0.5000 | 2 | 1 |" in table
    assert "false alarms" not in describe_outcome(dataclasses.replace(outcome, empty_images=0))


def test_an_optimizer_whose_search_found_no_learning_rate_is_left_out_of_later_studies_with_the_reason() -> None:
    found = [TRIAL.replace(loss="switching", optimizer=name) for name in ("adam", "adagrad", "adamax", "rmsprop")]
    plan = make_plan(STUDIES["schedulers"], baseline_from_winners({"learning_rate": found}), SETTINGS)
    trials = [trial for search in plan.searches for trial in search.propose({})]
    assert {trial.optimizer for trial in trials} == {"adam", "adagrad", "adamax", "rmsprop"}
    (reason,) = plan.left_out
    assert reason.startswith("optimizer=sgd: the study learning_rate found no learning rate")
    assert math.isnan(Baseline().lr("bce", "adam"))


# the promotion


def log_trial(client: MlflowClient, folder: Path, *epochs: Epoch) -> str:
    tags = {"result_hash": "0", "protocol": "fixed", "data": data_name(folder)}
    run = TrialRun(client, connect()[1], "trial", TRIAL, tags, "")
    for epoch in epochs:
        run.log(epoch)
    score = ImageScore(index=0, dice=run.best.val_dice, own_dice=run.best.val_dice, false_alarm=False)
    run.finish(make_model(TRIAL, 1, torch.device("cpu")), {}, 1.0, "", ("image",), [score])
    return run.run_id


def test_a_trial_without_any_right_foreground_is_marked_and_not_promoted(client: MlflowClient, tmp_path: Path) -> None:
    nothing = log_trial(client, tmp_path / "discs", EPOCH)
    nothing_right = log_trial(client, tmp_path / "discs", dataclasses.replace(EPOCH, val_predicted_percent=3.0))
    for run_id in (nothing, nothing_right):
        data = client.get_run(run_id).data
        assert (data.tags["collapsed"], data.metrics["best_val_dice"]) == ("true", 0)
        assert data.metrics["best_val_false_alarms"] == 0
    with pytest.raises(ValueError, match=r"2 trial\(s\) are finished, but none predicts any foreground that is there"):
        find_candidate(client, tmp_path / "discs")


def test_a_run_that_counted_two_empty_masks_as_1_is_not_promoted(client: MlflowClient, tmp_path: Path) -> None:
    found = dataclasses.replace(EPOCH, val_dice=0.9, val_predicted_percent=3.0)
    run_id = log_trial(client, tmp_path / "discs", found)
    old = client.create_run(connect()[1], tags={"mlflow.runName": "old"})
    data = client.get_run(run_id).data
    for key, param in data.params.items():
        client.log_param(old.info.run_id, key, param)
    for key, value in data.metrics.items():
        if "false_alarms" not in key:
            client.log_metric(old.info.run_id, key, value)
    for key, tag in data.tags.items():
        client.set_tag(old.info.run_id, key, tag)
    client.set_terminated(old.info.run_id)
    client.delete_run(run_id)
    with pytest.raises(ValueError, match=r"the Dice of 1 finished trial\(s\) counts images without foreground"):
        find_candidate(client, tmp_path / "discs")


def test_test_images_are_listed_the_worst_first_and_those_without_foreground_have_no_dice() -> None:
    fine, bad = (
        ImageTestScore(0, 0.9, False, False, Contours(0.0, 1.0, 1.0)),
        ImageTestScore(1, 0.1, False, False, Contours(4.0, 0.5, 0.25)),
    )
    quiet, alarm = ImageTestScore(2, math.nan, True, False), ImageTestScore(3, math.nan, True, True)
    ranked = rank([quiet, fine, alarm, bad])
    assert [image.index for image in ranked] == [1, 0, 3, 2]
    lines = to_csv(ranked, ["a", 'b, "c"', "d", "e"]).splitlines()
    assert lines[0] == "image,dice,false_alarm,hd95,nsd,object_f1"
    assert lines[1:] == ['"b, ""c""",0.1,,4.0,0.5,0.25', "a,0.9,,0.0,1.0,1.0", "e,,true,,,", "d,,false,,,"]


@pytest.mark.thorough
def test_a_mostly_empty_folder_from_study_to_champion(tmp_path: Path) -> None:
    folder = CASE if CASE.is_dir() else write_discs(tmp_path / "discs", 60, 12)
    make_tables(tmp_path / "mlruns" / "mlflow.db")
    run = functools.partial(
        subprocess.run, cwd=tmp_path, env=environment(), text=True, capture_output=True, check=False
    )
    study = [*PYTHON, "training.runner", "augmentation", "--data", folder, "--preset", "demo", "--workers", "2"]
    trained = run([*study, "--epochs", "6", "--image-size", "32"])
    assert trained.returncode == 0, trained.stderr
    promoted = run([*PYTHON, "serving.promote", "--data", folder])
    assert promoted.returncode == 0, promoted.stderr
    assert "over 1 image with foreground (too few to judge by), at their own size" in promoted.stdout
    assert "(no interval: it takes 3, and there is only 1 image)" in promoted.stdout
    assert "5 of the 6 test images have no foreground" in promoted.stdout
    chain = Chain(tmp_path, folder, promoted.stdout)
    tags = chain.champion.tags
    assert (tags["test_images"], tags["test_foreground_images"], tags["test_empty_images"]) == ("6", "1", "5")
    assert "mean of 1 image with foreground" in chain.champion.description
    images = pd.read_csv(chain.client.download_artifacts(chain.champion.run_id, promotion.TEST_IMAGES, str(tmp_path)))
    assert images["dice"].notna().sum() == 1
    assert images["false_alarm"].notna().sum() == 5
    assert float(tags["test_dice"]) == pytest.approx(images["dice"].iloc[0])
    assert int(tags["test_false_alarms"]) == (images["false_alarm"] == True).sum()  # noqa: E712 - the others are nan
    (card,) = chain.bentoml_home.glob("models/unet/*/card.json")
    assert json.loads(card.read_text())["test_dice_low"] is None, "one image has no interval"


# the page


def test_runs_that_counted_two_empty_masks_as_1_have_no_known_dice_and_others_keep_theirs() -> None:
    trials = tidy([{"run_id": name, "val_dice": 0.8, "train_dice": 0.7} for name in ("old", "new", "no empty")])
    rows = [("old", 5, math.nan), ("new", 5, 1.0), ("no empty", 0, math.nan)]
    curves = pd.DataFrame(rows, columns=["run_id", "val_empty_images", "val_false_alarms"])
    found = forget_old_scores(trials, curves).set_index("run_id")
    assert found["val_dice"].isna().tolist() == [True, False, False]
    assert found["train_dice"].isna().tolist() == [True, False, False]
    before = forget_old_scores(trials, curves.drop(columns="val_false_alarms")).set_index("run_id")
    assert before["val_dice"].isna().tolist() == [True, True, False]
    assert forget_old_scores(trials, pd.DataFrame(columns=["run_id"])) is trials


def test_the_floor_is_that_of_the_images_with_foreground() -> None:
    """Foreground is 10 % of those, so an all-foreground mask scores 0.18 and hardly above it nothing was learned."""
    trials = tidy([{"run_id": name, "val_dice": dice} for name, dice in (("poor", 0.2), ("fair", 0.3))])
    needed = {"val_precision": 0.5, "val_recall": 0.9, "val_predicted_percent": 1.0}
    curves = pd.DataFrame([{"run_id": name, "val_all_foreground_dice": 0.18} | needed for name in ("poor", "fair")])
    assert mark_collapsed(trials, curves)["collapsed"].tolist() == [True, False]


def test_the_headline_says_what_its_dice_leaves_out() -> None:
    tags = {"test_images": "6", "test_foreground_images": "1", "test_empty_images": "5", "test_false_alarms": "2"}
    found = describe_test({**tags, "otsu_false_alarms": "5"})
    assert found["scored"] == "1 test image with foreground"
    assert found["left_out"] == "false alarms on 2 of 5 images without (Otsu: 5)"
    assert found["few"] == "A mean of 1 test image with foreground says little."
    assert describe_test({"test_images": "24"}) == {"scored": "24 test images", "left_out": "", "few": ""}
