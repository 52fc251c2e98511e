"""Objects of a mask: every pixel in exactly one of them, its outline around exactly its pixels."""

import itertools
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from serving.endpoint import objects
from serving.endpoint.objects import find_objects, split_touching, threshold_mask, to_coco, to_geojson
from training.data.images import Pixels

RING = np.array([[1, 1, 1, 1, 0], [1, 0, 0, 1, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1]], np.uint8)
MASKS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1))


def twice_area(ring: list[list[int]]) -> int:
    """The shoelace formula, without a sign."""
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in itertools.pairwise(ring)))


def test_an_object_is_measured_in_pixels_of_the_image() -> None:
    probability = np.where(RING > 0, 0.75, 0.1).astype(np.float32)
    (found,) = find_objects(RING, probability)  # the corner pixel touches by its corner
    assert (found.area, found.box) == (11, (0, 0, 5, 4))
    assert found.mean_probability == 0.75
    assert found.centroid == (round((1 + 2 + 3 + 3 + 1 + 2 + 3 + 4) / 11, 2), round((1 + 1 + 2 * 4 + 3) / 11, 2))


def test_an_outline_runs_through_the_corners_of_pixels_and_leaves_the_hole_out() -> None:
    (found,) = find_objects(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8), np.ones((3, 3), np.float32))
    ((outer, hole),) = found.polygons
    assert sorted(map(tuple, outer[:-1])) == [(0, 0), (0, 3), (3, 0), (3, 3)]
    assert sorted(map(tuple, hole[:-1])) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert outer[0] == outer[-1]


@given(MASKS)
@settings(max_examples=150, deadline=None)
def test_outline_and_run_lengths_hold_every_pixel_once(mask: Pixels) -> None:
    found = find_objects(mask, mask.astype(np.float32))
    height, width = mask.shape
    assert sum(one.area for one in found) == mask.sum()
    whole = np.zeros_like(mask)
    for one, annotation in zip(found, to_coco(found, height, width)["annotations"], strict=True):
        rings = [ring for polygon in one.polygons for ring in polygon]
        outer = sum(twice_area(polygon[0]) for polygon in one.polygons)
        holes = sum(twice_area(ring) for ring in rings) - outer
        assert (outer - holes) / 2 == one.area
        decoded = coco.decode({**annotation["segmentation"], "counts": annotation["segmentation"]["counts"].encode()})
        assert decoded.sum() == one.area
        whole += decoded
    assert np.array_equal(whole, mask)
    assert len(to_geojson(found, height, width)["features"]) == len(found)


@pytest.mark.parametrize(("least", "kept"), [(0, 5), (1, 5), (2, 4), (4, 4), (5, 0)])
def test_objects_of_fewer_pixels_are_dropped(least: int, kept: int) -> None:
    probability = np.zeros((6, 6), np.float32)
    probability[0:2, 0:2] = 0.9
    probability[4, 4] = 0.9
    assert threshold_mask(probability, 0.5, least).sum() == kept


def test_foreground_is_above_the_threshold_and_not_at_it() -> None:
    assert threshold_mask(np.array([[0.4, 0.5, 0.6]], np.float32), 0.5, 0).tolist() == [[0, 0, 1]]


def test_more_objects_than_are_listed_are_refused_with_their_number() -> None:
    mask = np.zeros((400, 400), np.uint8)
    mask[::2, ::2] = 1  # 40,000 pixels, none beside another
    with pytest.raises(
        ValueError, match="40000 objects; at most 20000 are listed: give a larger min_size or threshold"
    ):
        find_objects(mask, mask.astype(np.float32))


def count(mask: Pixels) -> int:
    return int(cv2.connectedComponents(mask, connectivity=8)[0]) - 1


def test_discs_that_touch_are_parted_and_a_long_one_stays_whole() -> None:
    mask = np.zeros((100, 160), np.uint8)
    cv2.circle(mask, (40, 50), 22, 1, -1)
    cv2.circle(mask, (76, 50), 20, 1, -1)
    cv2.ellipse(mask, (125, 50), (28, 10), 30, 0, 360, 1, -1)
    parted = split_touching(mask)
    assert (count(mask), count(parted)) == (2, 3)
    assert mask.sum() - parted.sum() < 100, "a line is lost, no more"
    assert len(find_objects(threshold_mask(mask.astype(np.float32), 0.5, 0, split=True), mask.astype(np.float32))) == 3


@given(MASKS)
@settings(max_examples=200, deadline=None)
def test_what_is_parted_lies_in_the_mask_and_no_object_is_lost(mask: Pixels) -> None:
    parted = split_touching(mask)
    assert parted.dtype == np.uint8
    assert (parted <= mask).all()
    _, labels = cv2.connectedComponents(mask, connectivity=8)
    assert set(np.unique(labels[parted > 0])) == set(np.unique(labels)) - {0}


@pytest.mark.parametrize("radius", [8, 30, 150])
def test_two_discs_are_parted_at_their_neck_whatever_their_size(radius: int) -> None:
    side = 5 * radius
    mask = np.zeros((side, side), np.uint8)
    for x in (1.65 * radius, 3.35 * radius):
        cv2.circle(mask, (round(x), side // 2), radius, 1, -1)
    parted = split_touching(mask)
    lost = np.argwhere(parted != mask)
    assert count(parted) == 2
    assert np.abs(lost[:, 1] - 2.5 * radius).max() <= max(2, radius / 10), "the line is straight, and in the middle"


def test_an_image_that_is_all_foreground_takes_no_longer_than_others() -> None:
    """Windows are as large as objects are thick: of these they would have a million pixels."""
    begin = time.process_time()
    assert count(split_touching(np.ones((1500, 1500), np.uint8))) == 1
    assert time.process_time() - begin < 10


def test_an_image_too_large_to_part_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_SPLIT", 15)
    with pytest.raises(ValueError, match="split='true': the image has 20 pixels; at most 15"):
        threshold_mask(RING.astype(np.float32), 0.5, 0, split=True)
