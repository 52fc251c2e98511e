"""Outlines and objects: scores of masks that can be checked by eye."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from serving.promotion.contours import compare_contours, number_objects, object_f1
from training.data.framing import OUTSIDE

LABELS = arrays.arrays(np.int32, (6, 7), elements=st.integers(0, 3))


def squares(*places: tuple[int, int], side: int = 10, shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    """Squares of foreground whose first pixels are given."""
    mask = np.zeros(shape, np.uint8)
    for row, column in places:
        mask[row : row + side, column : column + side] = 1
    return mask


def test_a_perfect_mask_is_0_pixels_off_and_finds_every_object() -> None:
    mask = squares((5, 5), (30, 40))
    found = compare_contours(mask, mask)
    assert (found.hd95, found.nsd, found.object_f1) == (0, 1, 1)


@pytest.mark.parametrize(("shift", "nsd"), [(1, 1.0), (2, 1.0)])
def test_a_square_that_is_off_by_less_than_the_tolerance_has_its_whole_outline_found(shift: int, nsd: float) -> None:
    found = compare_contours(squares((20, 20 + shift)), squares((20, 20)))
    assert found.hd95 == shift
    assert found.nsd == pytest.approx(nsd)


def test_a_square_that_is_off_by_five_pixels_shares_the_two_sides_that_it_slides_along() -> None:
    found = compare_contours(squares((20, 25)), squares((20, 20)))
    assert found.hd95 == 5
    assert 0.3 < found.nsd < 0.8
    assert found.object_f1 == 0, "their IoU is a third"


def test_where_nothing_is_predicted_the_distance_is_the_diagonal_and_the_rest_0() -> None:
    found = compare_contours(np.zeros((60, 80), np.uint8), squares((20, 20)))
    assert (found.hd95, found.nsd, found.object_f1) == (math.hypot(60, 80), 0, 0)


def test_objects_count_alike_whatever_their_size() -> None:
    """Two of three are found and one is made up: 2 * 2 / (3 + 3)."""
    truth = squares((2, 2), (2, 30), (30, 30))
    assert compare_contours(squares((2, 2), (2, 31), (40, 60)), truth).object_f1 == pytest.approx(2 / 3)


@given(LABELS, LABELS)
@settings(max_examples=200, deadline=None)
def test_objects_are_found_as_pycocotools_iou_says(predicted: np.ndarray, truth: np.ndarray) -> None:
    truth[0, 0] = 1  # one object at least
    one, other = (
        [coco.encode(np.asfortranarray(labels == number, np.uint8)) for number in np.unique(labels[labels > 0])]
        for labels in (predicted, truth)
    )
    found = np.count_nonzero(np.array(coco.iou(one, other, [0] * len(other))) > 0.5) if one else 0
    assert object_f1(predicted, truth) == pytest.approx(2 * found / (len(one) + len(other)))


def test_objects_that_touch_are_two_where_their_numbers_say_so() -> None:
    truth = np.zeros((20, 20), np.int32)
    truth[:, :10], truth[:, 10:] = 1, 2
    assert object_f1(truth, truth) == 1
    assert object_f1(number_objects((truth > 0).astype(np.uint8)), truth) == 0


def test_two_objects_that_are_predicted_as_one_are_not_found() -> None:
    merged = squares((10, 10), (10, 22))
    merged[10:20, 10:32] = 1
    assert compare_contours(merged, squares((10, 10), (10, 22))).object_f1 == 0


def test_what_does_not_count_is_no_outline() -> None:
    truth = squares((20, 20))
    truth[:, 50:] = OUTSIDE
    predicted = squares((20, 20), (20, 60))
    assert compare_contours(predicted, truth).hd95 == 0
    assert compare_contours(squares((20, 60)), truth).hd95 == 100, "then nothing is predicted"
