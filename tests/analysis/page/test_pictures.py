"""A trial's picture is taken apart into the panels it was made of; a chapter shows them cell by cell."""

import base64
import dataclasses
import math

import cv2
import numpy as np
import pytest

from analysis.evidence import evidence
from analysis.evidence.schema import load_published, tidy
from analysis.evidence.thumbnails import PARTS, SIDE, Thumbnails, make_thumbnails
from analysis.page.pictures import study_pictures, study_thumbnails
from analysis.page.tables import compare
from training.data.framing import OUTSIDE
from training.data.images import Pixels
from training.data.pictures import GAP, PANEL, PredictionRow, cut_predictions, draw_predictions, outline
from training.study.studies import STUDIES, baseline_from_report

pytestmark = pytest.mark.slow


def picture(*sizes: tuple[int, int]) -> Pixels:
    """Predictions on grey images of these sizes, each darker than the one before."""
    rows = []
    for k, (height, width) in enumerate(sizes):
        mask = np.zeros((height, width), np.uint8)
        mask[: height // 2] = 1
        rows.append(
            PredictionRow(np.full((height, width, 1), 200 - 50 * k, np.uint8), mask, mask.astype(np.float32), 0.5)
        )
    return draw_predictions(rows)


@pytest.mark.parametrize("sizes", [((64, 64),), ((64, 64), (30, 90), (90, 30))])
def test_a_picture_is_cut_into_square_panels_whatever_the_images_are(sizes: tuple[tuple[int, int], ...]) -> None:
    rows = cut_predictions(picture(*sizes))
    assert len(rows) == len(sizes)
    assert all(panel.shape == (PANEL, PANEL, 3) for row in rows for panel in row)
    for k, (image, truth, prediction) in enumerate(rows):
        assert image[PANEL // 2, PANEL // 2].tolist() == [200 - 50 * k] * 3
        assert not np.array_equal(image, truth)
        assert not np.array_equal(truth, prediction)


@pytest.mark.parametrize(
    ("truth", "predicted", "dice", "said"),
    [
        (1, 1, 0.5, "Dice 0.50"),
        (0, 0, math.nan, "empty"),
        (0, 1, math.nan, "false alarm"),
        (OUTSIDE, 1, math.nan, "not scored"),
    ],
)
def test_a_picture_says_of_an_image_without_foreground_whether_any_is_predicted(
    truth: int, predicted: int, dice: float, said: str
) -> None:
    mask = np.full((8, 8), truth, np.uint8)
    assert (
        PredictionRow(np.zeros((8, 8, 1), np.uint8), mask, np.full((8, 8), predicted, np.float32), dice).score == said
    )


def test_what_is_predicted_where_nothing_counts_is_no_false_alarm() -> None:
    mask, probability = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.float32)
    mask[:4], probability[:4] = OUTSIDE, 1
    assert PredictionRow(np.zeros((8, 8, 1), np.uint8), mask, probability, math.nan).score == "empty"


def test_an_outline_tints_foreground_and_greys_what_does_not_count() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[:3], mask[6:] = 1, OUTSIDE
    drawn = outline(np.zeros((9, 9, 3), np.uint8), mask, (0, 200, 0))
    assert drawn[1, 4].tolist() == [0, 70, 0]
    assert drawn[4, 4].tolist() == [0, 0, 0]
    assert drawn[7, 4].tolist() == [83, 83, 83], "grey, and no outline around it"


def test_a_picture_of_another_make_is_not_cut() -> None:
    assert cut_predictions(np.zeros((100, 100, 3), np.uint8)) == []
    assert make_thumbnails(cv2.imencode(".png", np.zeros((100, 100, 3), np.uint8))[1].tobytes()) is None
    assert make_thumbnails(b"") is None


def runs_of(study: str) -> list[dict[str, object]]:
    rows = STUDIES[study].rows(baseline_from_report(STUDIES[study]))
    known = {"source": "measured", "study": study, "seed": 0, "val_dice": 0.5, "epochs": 20, "seconds": 9.0}
    return [known | row.factors | {"run_id": str(k), "experiment_id": "1"} for k, row in enumerate(rows)]


@pytest.mark.parametrize("part", PARTS)
def test_every_cell_shows_its_best_run_on_the_same_images_and_the_best_is_marked(part: str) -> None:
    cells = runs_of("losses")
    trials = tidy([*cells, cells[3] | {"seed": 1, "val_dice": 0.9, "run_id": "best"}])
    loaded = []

    def load_thumbnails(run_id: str, wanted: str) -> Thumbnails | None:
        assert wanted == part
        loaded.append(run_id)
        return make_thumbnails(cv2.imencode(".png", picture((64, 64), (30, 90)))[1].tobytes())

    found = dataclasses.replace(
        evidence.nothing(), trials=trials, load_thumbnails=load_thumbnails, server="http://mlflow.example"
    )
    study = STUDIES["losses"]
    thumbnails = study_thumbnails(study, compare(study, load_published(), trials), trials, found, part)
    assert {thumbnail.part for thumbnail in thumbnails if thumbnail.run_id} == {part}
    assert [thumbnail.label for thumbnail in thumbnails[:3]] == ["images", "truth", "switching loss, Adam"]
    assert len(thumbnails) == 2 + 12
    assert "best" in loaded
    assert "3" not in loaded
    (best,) = (thumbnail for thumbnail in thumbnails if thumbnail.best)
    assert (best.dice, best.link) == (
        "0.900",
        "http://mlflow.example/#/experiments/1/runs/best?workflowType=machine_learning",
    )
    shape = cv2.imdecode(np.frombuffer(base64.b64decode(best.image), np.uint8), cv2.IMREAD_COLOR).shape
    assert shape == (SIDE, 2 * SIDE + GAP, 3)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_its_figures_with_and_without_runs(name: str) -> None:
    study, nothing = STUDIES[name], evidence.nothing()
    empty = study_pictures(study, compare(study, load_published(), tidy([])), tidy([]), nothing.curves)
    assert len(empty) == (study.figure not in ("", "22", "23")), "a study of ours, or one without a printed table"
    rows = runs_of(name)
    if study.search_lr:
        rows = [row | {"lr": lr, "run_id": f"{row['run_id']} {lr}"} for row in rows for lr in (1e-4, 1e-3)]
    trials = tidy(rows)
    curves = tidy(rows)[["run_id", "val_dice"]].assign(epoch=1, val_loss=0.1)
    made = study_pictures(study, compare(study, load_published(), trials), trials, curves)
    assert [picture.caption for picture in made if "Validation Dice by epoch" in picture.caption]
    assert [picture.folded for picture in made if "Validation loss by epoch" in picture.caption] == [True]
    heat = name in ("training_data", "schedulers_by_data", "weight_decay", "dropout")
    assert any("every pair" in picture.caption for picture in made) == heat
