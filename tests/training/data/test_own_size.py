"""Scores at the images' own size, against the mask as it was drawn."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.own_size import mean_own_dice, score_image
from training.data.reading import load_folder

SIDE = 96


def write_set(folder: Path, masks: list[np.ndarray]) -> Path:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index, mask in enumerate(masks):
        cv2.imwrite(str(folder / "images" / f"{index}.png"), 50 + mask // 2)
        cv2.imwrite(str(folder / "masks" / f"{index}.png"), mask)
    return folder


def fine_lines() -> np.ndarray:
    """Every fourth row of pixels: at a third of the size nothing of it can be drawn."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[::4] = 255
    return mask


def half() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[: SIDE // 2] = 255
    return mask


@pytest.mark.parametrize("fit", ["resize", "tile"])
def test_the_mask_at_its_own_size_is_the_one_that_was_drawn(fit: str, tmp_path: Path) -> None:
    images = load_folder(write_set(tmp_path / "set", [half(), fine_lines()]), 32, fit)
    assert (images.own_mask(0) == half() // 255).all()
    assert (images.own_mask(1) == fine_lines() // 255).all()


def test_a_perfect_small_mask_is_perfect_only_at_its_own_size(tmp_path: Path) -> None:
    images = load_folder(write_set(tmp_path / "set", [half(), fine_lines()]), 32)
    coarse, fine = (score_image(images, index, (images.masks[[index]] == 1).astype(np.float32)) for index in (0, 1))
    assert (coarse.dice, fine.dice) == (1, 1)
    assert coarse.own_dice > 0.97
    assert fine.own_dice < 0.7
    assert mean_own_dice([coarse, fine]) == pytest.approx((coarse.own_dice + fine.own_dice) / 2)


def test_in_tiles_both_sizes_are_one(tmp_path: Path) -> None:
    images = load_folder(write_set(tmp_path / "set", [half(), fine_lines()]), 32, "tile")
    nothing_below = np.zeros((len(images.tiles(0)), 32, 32), np.float32)
    nothing_below[: len(nothing_below) // 3] = 1  # the upper third of the image, of which the half is foreground
    score = score_image(images, 0, nothing_below)
    assert score.dice == score.own_dice == pytest.approx(2 * 32 / (32 + 48))


def test_an_image_without_foreground_has_no_dice_and_may_be_a_false_alarm(tmp_path: Path) -> None:
    images = load_folder(write_set(tmp_path / "set", [half(), np.zeros((SIDE, SIDE), np.uint8)]), 32)
    quiet, alarm = (score_image(images, 1, np.full((1, 32, 32), value, np.float32)) for value in (0.1, 0.9))
    assert math.isnan(quiet.own_dice)
    assert (quiet.false_alarm, alarm.false_alarm) == (False, True)
    assert math.isnan(mean_own_dice([quiet]))
