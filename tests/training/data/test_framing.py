"""Images of any size go into a frame and come back whole: nothing crushed, nothing twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.framing import OUTSIDE, Frame, assemble, frame_image, frame_mask, join, make_frame, num_tiles
from training.data.images import Pixels

SIDES = st.integers(1, 300)


def image_of(height: int, width: int, channels: int = 1) -> Pixels:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, channels), np.uint8)


def test_a_resized_image_keeps_its_aspect_ratio_and_lies_in_the_middle() -> None:
    frame = make_frame("resize", 64, [(256, 320)])
    assert (frame.height, frame.width) == (64, 64), "51 rows, rounded up to a multiple of 16"
    mask = frame_mask(np.ones((256, 320), np.uint8), frame)[0]
    inside = np.flatnonzero((mask != OUTSIDE).any(axis=1))
    assert (inside[0], inside[-1] + 1) == (6, 57)
    assert (mask[6:57] == 1).all()


def test_a_frame_is_no_larger_than_its_images_need() -> None:
    frame = make_frame("resize", 128, [(100, 400), (50, 400)])
    assert (frame.height, frame.width) == (32, 128)


def test_shrinking_averages_areas() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(8, 0).repeat(8, 1) * 10
    frame = make_frame("resize", 16, [(32, 32)])
    assert frame_image(image, frame)[0, ::8, ::8, 0].tolist() == [[0, 20], [80, 100]]
    small = make_frame("resize", 32, [(64, 64)])
    checkers = np.indices((64, 64)).sum(0).astype(np.uint8)[..., None] % 2 * 200
    assert set(frame_image(checkers, small).ravel().tolist()) == {100}


def test_an_upload_of_another_shape_gets_the_scale_it_would_have_had_in_training() -> None:
    frame = make_frame("resize", 64, [(256, 320)])
    assert frame_image(image_of(640, 160), frame).shape == (1, 64, 64, 1)
    wide = make_frame("resize", 64, [(16, 64)])
    assert frame_image(image_of(640, 160), wide).shape == (1, 64, 64, 1), "grown beyond the frame, not squeezed into it"


def test_margins_are_mirrored_and_marked() -> None:
    frame = Frame(fit="resize", image_size=32, height=48, width=32)
    tile = frame_image(image_of(32, 32), frame)[0, :, :, 0]
    assert np.array_equal(tile[:8], tile[9:17][::-1])
    assert (frame_mask(np.zeros((32, 32), np.uint8), frame)[0, :8] == OUTSIDE).all()


@given(SIDES, SIDES, st.sampled_from([32, 48, 64]))
@settings(max_examples=60, deadline=None)
def test_tiles_own_every_pixel_exactly_once(height: int, width: int, size: int) -> None:
    frame = make_frame("tile", size, [(height, width)])
    image = image_of(height, width, 3)
    mask = (image[..., 0] > 100).astype(np.uint8)
    tiles, masks = frame_image(image, frame), frame_mask(mask, frame)
    assert tiles.shape == (num_tiles(height, width, frame), size, size, 3)
    assert np.count_nonzero(masks != OUTSIDE) == height * width
    assert np.array_equal(assemble(tiles, frame, height, width), image)
    assert np.array_equal(join(masks, frame, height, width), mask)


@given(SIDES, SIDES)
@settings(max_examples=40, deadline=None)
def test_a_resized_image_comes_back_in_its_own_size(height: int, width: int) -> None:
    frame = make_frame("resize", 64, [(height, width)])
    tiles = frame_image(image_of(height, width), frame)
    masks = frame_mask(np.ones((height, width), np.uint8), frame)
    assert tiles.shape[1:3] == masks.shape[1:] == (frame.height, frame.width)
    assert max(assemble(masks, frame, height, width).shape) == 64
    assert (assemble(masks, frame, height, width) == 1).all()
    assert (join(masks.astype(np.float32), frame, height, width) == np.ones((height, width))).all()


def test_a_tiled_image_keeps_its_resolution() -> None:
    frame = make_frame("tile", 128, [(960, 999)])
    assert num_tiles(960, 999, frame) == 64
    line = np.zeros((960, 999), np.uint8)
    line[:, 500] = 1
    assert np.array_equal(join(frame_mask(line, frame), frame, 960, 999), line), "a vessel one pixel wide survives"


def test_an_unknown_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="fit='crop' is unknown; it must be one of resize, tile"):
        make_frame("crop", 64, [(64, 64)])


@pytest.mark.parametrize(("fit", "image_size"), [("resize", 32), ("tile", 48)])
def test_pixels_that_do_not_count_inside_a_mask_keep_their_mark_and_no_other_value_appears(
    fit: str, image_size: int
) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[:20], mask[30:50, 40:70] = 1, OUTSIDE
    frame = make_frame(fit, image_size, [mask.shape])
    whole = assemble(frame_mask(mask, frame), frame, *mask.shape)
    assert set(np.unique(whole)) == {0, 1, OUTSIDE}
    for value in (1, OUTSIDE):
        assert (whole == value).mean() == pytest.approx((mask == value).mean(), abs=0.03)
    if fit == "tile":
        np.testing.assert_array_equal(whole, mask)
