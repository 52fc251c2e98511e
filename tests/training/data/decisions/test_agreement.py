"""A mask that fits its image agrees with its pixels; turned, moved or inverted it does not, and numbers tell which."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.decisions.agreement import Look, agreement, look_at
from training.data.formats.stored import turn

RNG = np.random.default_rng(0)
MASK = cv2.circle(np.zeros((60, 80), np.uint8), (20, 15), 9, 1, -1)
IMAGE = (RNG.normal(90, 10, (60, 80, 1)) + 60 * MASK[..., None]).clip(0, 255).astype(np.uint8)


def test_a_fitting_mask_agrees_and_a_turned_one_does_not() -> None:
    assert agreement(IMAGE, MASK) > 0.7
    assert agreement(IMAGE, np.ascontiguousarray(MASK[::-1, ::-1])) < 0.05


@pytest.mark.parametrize(("square", "tags"), [(True, range(1, 9)), (False, range(1, 5))])
def test_the_turn_that_would_mend_a_mask_fits_best(square: bool, tags: range) -> None:
    image, mask = (IMAGE[:, :60], MASK[:, :60]) if square else (IMAGE, MASK)
    mask = mask | np.roll(mask, (31, 17), axis=(0, 1)) // 1 * (np.arange(60)[:, None] > 40)
    image = (image + 60 * mask[..., None]).clip(0, 255).astype(np.uint8)
    undo = {6: 8, 8: 6}
    for tag in tags:
        look = look_at(image, turn(mask.astype(np.uint8), tag))
        assert int(np.argmax(look.turned)) + 1 == undo.get(tag, tag)
        assert len(look.turned) == len(tags)


def test_an_inverted_mask_agrees_as_much_with_all_signs_turned() -> None:
    assert agreement(IMAGE, 1 - MASK) == pytest.approx(agreement(IMAGE, MASK), abs=1e-3)
    assert np.allclose(look_at(IMAGE, 1 - MASK).correlations, -np.array(look_at(IMAGE, MASK).correlations), atol=1e-3)


def test_pixels_that_do_not_count_decide_nothing() -> None:
    hidden = MASK.copy()
    hidden[30:] = 2
    spoiled = IMAGE.copy()
    spoiled[30:] = RNG.integers(0, 255, spoiled[30:].shape)
    assert agreement(spoiled, hidden) > 0.7


def test_nothing_is_said_of_empty_and_full_masks_or_of_flat_images() -> None:
    assert math.isnan(agreement(IMAGE, np.zeros_like(MASK)))
    assert look_at(IMAGE, np.ones_like(MASK)) == Look((), ())
    assert agreement(np.full((60, 80, 3), 7, np.uint8), MASK) == pytest.approx(0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dsb2018_histo", "dsb2018_fluo", "chase_db1"])
def test_every_real_mask_fits_better_than_when_turned(real_data: Path, name: str) -> None:
    for path in sorted((real_data / name / "images").iterdir())[:12]:
        image = cv2.imread(str(path))
        mask = (cv2.imread(str(real_data / name / "masks" / f"{path.stem}.png"), 0) > 0).astype(np.uint8)
        assert agreement(image, mask) > agreement(image, np.ascontiguousarray(mask[::-1, ::-1])) + 0.02, path.name
