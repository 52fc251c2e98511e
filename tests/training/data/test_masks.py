"""Masks become 0 and 1 where there is no doubt, by a rule that is said; and are refused where there is."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from training.data.images import decode_labels
from training.data.layouts.pairs import MaskFile, ObjectFiles, RunLengths, Shapes
from training.data.mask_rule import MaskRule
from training.data.masks import binarize, read_mask
from training.data.run_lengths import decode_runs
from training.data.shapes import are_traced, decode_shape

AUTO = MaskRule()
DISC = cv2.circle(np.zeros((32, 40), np.uint8), (20, 16), 8, 1, -1)
FILE = Path("annotations")


def write(path: Path, pixels: np.ndarray) -> Path:
    cv2.imwrite(str(path), pixels)
    return path


def numbered(count: int) -> np.ndarray:
    """Discs of value 1, 2, ... side by side."""
    labels = np.zeros((20, 20 * count), np.int32)
    for k in range(count):
        labels[5:15, 20 * k + 5 : 20 * k + 15] = k + 1
    return labels


@pytest.mark.parametrize("value", [1, 255, 128, 65535, 0xFF0000])
def test_0_and_one_other_value_are_clear(value: int) -> None:
    mask, facts = binarize(DISC.astype(np.int32) * value, AUTO, "m")
    assert np.array_equal(mask, DISC)
    assert (facts.kind, facts.values) == ("binary", (0, value))


def test_empty_and_full_masks_are_told_apart() -> None:
    assert binarize(np.zeros((4, 4), np.int32), AUTO, "m")[1].kind == "empty"
    mask, facts = binarize(np.full((4, 4), 255, np.int32), AUTO, "m")
    assert facts.kind == "full"
    assert mask.all()


def test_numbered_objects_are_one_foreground() -> None:
    labels = numbered(12)
    mask, facts = binarize(labels, AUTO, "m")
    assert np.array_equal(mask, labels > 0)
    assert (facts.kind, facts.num_values) == ("objects", 13)


def test_touching_objects_are_still_objects() -> None:
    labels = np.repeat(np.arange(1, 7, dtype=np.int32), 5)[None].repeat(10, axis=0)
    labels[0] = 0
    assert binarize(labels, AUTO, "m")[1].kind == "objects"


@pytest.mark.parametrize(
    ("labels", "shown", "cure"),
    [
        (np.array([[0, 128, 255]]), r"3 values \(0, 128, 255\)", "mask_threshold=127"),
        (np.array([[1, 2]]), r"2 values \(1, 2\)", "mask_values=2"),
        (np.array([[3, 7, 9]]), r"3 values \(3, 7, 9\)", "mask_threshold=3 .all but 3"),
        (np.array([[0, 0xFF0000, 0x00FF00]]), r"3 values \(000000, 00ff00, ff0000\)", "mask_values=00ff00,ff0000"),
        (np.arange(256).reshape(16, 16), r"256 values \(0, 1, 2, 3, 4, 5, 6, 7, ...\)", "mask_threshold=127"),
    ],
)
def test_a_mask_that_is_not_clear_is_refused_with_its_values_and_the_option(
    labels: np.ndarray, shown: str, cure: str
) -> None:
    labels = labels.astype(np.int32)
    if labels.size == 256:  # smoothed: the same few levels scattered all over
        labels = np.random.default_rng(0).permutation(np.tile(labels.ravel(), 16)).reshape(64, 64)
    with pytest.raises(ValueError, match=rf"m: the mask holds {shown}.*{cure}"):
        binarize(labels, AUTO, "m")


def test_pieces_that_touch_at_corners_are_one_object_as_they_are_for_what_numbers_them() -> None:
    drawn = np.zeros((40, 40), np.uint8)
    drawn[2:6, 2:6] = drawn[6:10, 6:10] = drawn[20:30, 20:30] = drawn[15:20, 30:35] = 1
    count, labels = cv2.connectedComponents(drawn)
    assert count == 3
    mask, facts = binarize(labels, AUTO, "m")
    assert np.array_equal(mask, drawn)
    assert facts.kind == "objects"
    apart = np.where(labels == 2, 1, 2 * (labels == 1)) + np.roll(labels == 2, 10, axis=1)  # classes in pieces
    with pytest.raises(ValueError, match="it is not clear which are foreground"):
        binarize(apart.astype(np.int32), AUTO, "m")


def test_a_smoothed_outline_is_no_set_of_objects() -> None:
    smooth = cv2.GaussianBlur(DISC * 255, (0, 0), 2)
    with pytest.raises(ValueError, match="it is not clear which are foreground"):
        binarize(smooth.astype(np.int32), AUTO, "m")
    mask, facts = binarize(smooth.astype(np.int32), MaskRule(threshold="127"), "m")
    assert np.count_nonzero(mask != DISC) < 0.1 * DISC.sum()
    assert facts.kind == "above"


def test_the_options_decide() -> None:
    labels = np.array([[0, 1, 2, 0xFF0000]], np.int32)
    assert binarize(labels, MaskRule(values="1, 2"), "m")[0].tolist() == [[0, 1, 1, 0]]
    assert binarize(labels, MaskRule(values="#ff0000"), "m")[0].tolist() == [[0, 0, 0, 1]]
    assert binarize(labels, MaskRule(values="0"), "m")[0].tolist() == [[1, 0, 0, 0]]
    assert binarize(labels, MaskRule(threshold="1"), "m")[0].tolist() == [[0, 0, 1, 1]]
    assert MaskRule(threshold="1").text == "foreground is every value above 1 (mask_threshold)"


def test_white_is_found_in_masks_of_greys_and_of_colours_by_one_name() -> None:
    rule = MaskRule(values="ffffff")
    assert binarize(np.array([[0, 255]], np.int32), rule, "m")[0].tolist() == [[0, 1]]
    assert binarize(np.array([[0, 0xFFFFFF, 0xFF0000]], np.int32), rule, "m")[0].tolist() == [[0, 1, 0]]


def red_and_green(kind: str) -> list[np.ndarray]:
    """Labels of a coloured disc, smoothed or as a jpg of some quality."""
    found = []
    for channel in (2, 1):
        image = np.zeros((32, 40, 3), np.uint8)
        image[..., channel] = 255 * DISC
        smooth = cv2.GaussianBlur(image, (0, 0), 1.5)
        data = cv2.imencode(*((".png", smooth) if kind == "smoothed" else (".jpg", image, [1, int(kind)])))[1].tobytes()
        found.append(decode_labels(data, "m"))
    return found


@pytest.mark.parametrize("kind", ["smoothed", "95", "75"])
def test_half_of_a_colour_parts_it_from_black_whatever_jpg_added(kind: str) -> None:
    red, green = red_and_green(kind)
    with pytest.raises(ValueError, match=r"mask_threshold=7[ef]0000 \(more than half of the colour") as error:
        binarize(red, AUTO, "m")
    assert "all but black" not in str(error.value)
    for labels, half in ((red, "7f0000"), (green, "#007f00")):
        assert np.count_nonzero(binarize(labels, MaskRule(threshold=half), "m")[0] != DISC) <= 0.06 * DISC.sum()


def test_a_threshold_of_six_digits_is_a_colour_and_black_is_below_all() -> None:
    labels = np.array([[0, 0x120000, 0x200000]], np.int32)
    assert binarize(labels, MaskRule(threshold="128000"), "m")[0].tolist() == [[0, 0, 0]]
    assert binarize(labels, MaskRule(threshold="120000"), "m")[0].tolist() == [[0, 0, 1]]
    assert binarize(labels, MaskRule(threshold="000000"), "m")[0].tolist() == [[0, 1, 1]]
    levels = np.array([[0, 127, 128]], np.int32)
    assert binarize(levels, MaskRule(threshold="7f7f7f"), "m")[0].tolist() == [[0, 0, 1]], "of greys, a level"


def test_many_colours_of_objects_are_no_ramp() -> None:
    labels = np.r_[0, np.random.default_rng(0).integers(1, 1 << 24, 40)].reshape(1, -1).astype(np.int32)
    with pytest.raises(ValueError, match=r"mask_threshold=0 \(all but black\)"):
        binarize(labels, AUTO, "m")


def test_all_but_a_colour_is_foreground_where_objects_have_colours_of_their_own() -> None:
    labels = np.array([[0xFFFFFF, 0x12AB34, 0xC00020, 0x0000FF]], np.int32)
    with pytest.raises(ValueError, match=r"or mask_values=all-but-ffffff \(all but white\)"):
        binarize(labels, AUTO, "m")
    rule = MaskRule(values="all-but-ffffff")
    mask, facts = binarize(labels, rule, "m")
    assert (mask.tolist(), facts.named) == ([[0, 1, 1, 1]], (0xFFFFFF,))
    assert rule.text == "foreground is all but ffffff (mask_values)"
    assert binarize(np.array([[255, 0]], np.int32), rule, "m")[0].tolist() == [[0, 1]], "white, of greys"
    assert binarize(np.array([[1, 5, 7]], np.int32), MaskRule(values="all-but-1,7"), "m")[0].tolist() == [[0, 1, 0]]
    assert rule.absent([5]) == "mask_values=all-but-ffffff: no mask holds ffffff"
    with pytest.raises(ValueError, match="mask_values='' is no value of a mask"):
        MaskRule(values="all-but-")


def test_white_is_no_blue_in_a_mask_of_colours() -> None:
    labels = np.array([[0, 0xFFFFFF, 0x0000FF]], np.int32)
    assert binarize(labels, MaskRule(values="ffffff"), "m")[0].tolist() == [[0, 1, 0]]
    assert binarize(labels, MaskRule(values="0", ignore="ffffff"), "m")[0].tolist() == [[1, 2, 0]]


def test_options_that_contradict_or_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="mask_threshold=1 and mask_values=2 both decide"):
        MaskRule(threshold="1", values="2")
    with pytest.raises(ValueError, match="mask_values='cell' is no value of a mask"):
        MaskRule(values="1,cell")
    with pytest.raises(ValueError, match="mask_threshold='half' is no value of a mask"):
        MaskRule(threshold="half")


def test_one_file_an_object_gives_their_union(tmp_path: Path) -> None:
    left, right = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    left[:, :3], right[:, 6:] = 255, 255
    files = (write(tmp_path / "1.png", left), write(tmp_path / "2.png", right))
    mask, facts = read_mask(ObjectFiles(files), (8, 8), AUTO, Path.read_bytes)
    assert np.array_equal(mask, (left | right) > 0)
    assert facts.kind == "objects"


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m.png", DISC * 255)
    with pytest.raises(ValueError, match=r"m\.png: image is 40x32 but its mask is 32x40; they must have the same size"):
        read_mask(MaskFile(path), (40, 32), AUTO, Path.read_bytes)


def test_run_lengths_go_down_the_columns_from_1() -> None:
    assert decode_runs("2 1 4 2", (3, 2), FILE).tolist() == [[0, 1], [1, 1], [0, 0]]
    mask, _ = read_mask(RunLengths(FILE, ("1 1", "6 1")), (3, 2), AUTO, Path.read_bytes)
    assert mask.tolist() == [[1, 0], [0, 0], [0, 1]]


def test_run_lengths_agree_with_coco_s_own_code() -> None:
    """COCO counts zeros and ones in turn, in the same order of pixels."""
    flat = DISC.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    text = " ".join(f"{start + 1} {end - start}" for start, end in edges.reshape(-1, 2))
    assert np.array_equal(decode_runs(text, DISC.shape, FILE), DISC)
    code = coco.encode(np.asfortranarray(DISC))
    compressed = json.dumps({"size": code["size"], "counts": code["counts"].decode()})
    assert np.array_equal(decode_shape(compressed, DISC.shape, FILE), DISC)


@pytest.mark.parametrize("text", ["5", "0 3", "4 0", "a b", "9 9", "99999999999999999999 1"])
def test_run_lengths_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"annotations: (run lengths|a run)"):
        decode_runs(text, (4, 4), FILE)


def test_coco_polygons_and_plain_run_lengths_are_drawn() -> None:
    square = decode_shape("[[2, 2, 8, 2, 8, 6, 2, 6]]", (10, 12), FILE)
    assert square.sum() == 24
    assert square[2:6, 2:8].all()
    plain = decode_shape(json.dumps({"size": [2, 2], "counts": [1, 2, 1]}), (2, 2), FILE)
    assert plain.tolist() == [[0, 1], [1, 0]]
    shapes = Shapes(FILE, ("[[0, 0, 4, 0, 4, 4, 0, 4]]", "[[6, 6, 9, 6, 9, 9, 6, 9]]"))
    mask, facts = read_mask(shapes, (10, 12), AUTO, Path.read_bytes)
    assert facts.kind == "objects"
    assert mask[:4, :4].all()
    assert mask[6:9, 6:9].all()


def compressed(mask: np.ndarray) -> str:
    return str(coco.encode(np.asfortranarray(mask))["counts"].decode())


def test_compressed_run_lengths_of_every_length_agree_with_coco_s_own_code() -> None:
    rng = np.random.default_rng(0)
    for fraction in (0.0, 0.0005, 0.02, 0.5, 0.999, 1.0):
        mask = (rng.random((97, 301)) < fraction).astype(np.uint8)
        text = json.dumps({"size": [97, 301], "counts": compressed(mask)})
        assert np.array_equal(decode_shape(text, (97, 301), FILE), mask)
    nothing = json.dumps({"size": [97, 301], "counts": ""})
    assert not decode_shape(nothing, (97, 301), FILE).any()


@pytest.mark.parametrize(
    ("counts", "wrong"),
    [
        (compressed(DISC)[:-2], "add up to [0-9]+ pixels, but 32x40 has 1280"),
        (compressed(DISC) + "1", "add up to 12[0-9]+ pixels, but 32x40 has 1280"),
        (compressed(DISC) + "a", "end within a number"),
        ("PX1O" + "1" * 9 + "O", "add up to [0-9]+ pixels, one of them below 0, but"),
        (compressed(DISC)[:4] + "~", "hold '~', which is no part of a number"),
        ([1279], "add up to 1279 pixels, but 32x40 has 1280"),
        ([1281, -1], "add up to 1280 pixels, one of them below 0, but"),
    ],
)
def test_run_lengths_that_are_cut_off_are_refused_and_nothing_is_made_up(counts: str | list[int], wrong: str) -> None:
    with pytest.raises(ValueError, match=rf"annotations: run lengths of a segmentation .* {wrong}.*; export"):
        decode_shape(json.dumps({"size": [32, 40], "counts": counts}), DISC.shape, FILE)


@pytest.mark.parametrize(
    "text", ["[[1, 2]]", "[]", '{"size": [3, 3], "counts": [1]}', '"words"', "[[1, 2, 3, 4, 5, null]]"]
)
def test_coco_shapes_that_cannot_be_drawn_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="annotations: "):
        decode_shape(text, (10, 12), FILE)


SQUARE = json.dumps([[4, 4, 16, 4, 16, 12, 4, 12]])


def test_shapes_drawn_on_a_larger_picture_are_scaled_with_it() -> None:
    drawn = decode_shape(SQUARE, (10, 12), FILE, drawn_at=(20, 24))
    assert np.array_equal(drawn, decode_shape("[[2, 2, 8, 2, 8, 6, 2, 6]]", (10, 12), FILE))


def test_run_lengths_of_a_larger_picture_are_scaled_with_it() -> None:
    code = coco.encode(np.asfortranarray(cv2.resize(DISC, (80, 64), interpolation=cv2.INTER_NEAREST)))
    shape = json.dumps({"size": code["size"], "counts": code["counts"].decode()})
    assert np.count_nonzero(decode_shape(shape, DISC.shape, FILE) != DISC) <= 0.1 * DISC.sum()
    runs = RunLengths(FILE, ("1 20",), size=(20, 24))  # the first column of the larger picture
    mask, _ = read_mask(runs, (10, 12), AUTO, Path.read_bytes)
    assert mask[:, 1:].sum() == 0


@pytest.mark.parametrize("drawn_at", [(24, 20), (20, 30), (10, 16)])
def test_shapes_of_a_picture_of_another_shape_are_refused(drawn_at: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"drawn on a picture of \d+x\d+ .* but the image is 10x12, of another shape"):
        decode_shape(SQUARE, (10, 12), FILE, drawn_at)


def test_values_that_do_not_count_are_neither_foreground_nor_background() -> None:
    labels = np.array([[0, 1, 255, 255]], np.int32)
    mask, facts = binarize(labels, MaskRule(ignore="255"), "m")
    assert mask.tolist() == [[0, 1, 2, 2]]
    assert (facts.kind, facts.values) == ("binary", (0, 1))
    assert binarize(labels, MaskRule(threshold="0", ignore="255"), "m")[0].tolist() == [[0, 1, 2, 2]]
    assert binarize(np.array([[0, 255]], np.int32), MaskRule(ignore="255"), "m")[1].kind == "empty"
    assert binarize(np.array([[-1, 0, 4]], np.int32), MaskRule(ignore="-1"), "m")[0].tolist() == [[2, 0, 1]]


def test_what_a_layout_knows_of_a_file_counts_unless_a_person_says_otherwise() -> None:
    labels = np.array([[0, 0x800000, 0x008000, 0xE0E0C0]], np.int32)
    known = {"values": (0x008000,), "ignored": (0xE0E0C0,)}
    assert binarize(labels, AUTO, "m", **known)[0].tolist() == [[0, 0, 1, 2]]
    assert binarize(labels, MaskRule(values="800000"), "m", **known)[0].tolist() == [[0, 1, 0, 2]]


def traced(mask: np.ndarray) -> list[str]:
    outlines = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    return [json.dumps([outline.ravel().tolist()]) for outline in outlines]


def test_outlines_that_were_traced_around_masks_give_these_masks_back() -> None:
    thin = cv2.line(DISC.copy(), (2, 3), (35, 9), 1, 1)
    for mask in (DISC, thin):
        shapes = traced(mask)
        assert are_traced(shapes)
        drawn = np.bitwise_or.reduce([decode_shape(text, mask.shape, FILE, traced=True) for text in shapes])
        assert np.array_equal(drawn, mask)


@pytest.mark.parametrize(
    "text",
    [
        SQUARE,  # corners of a box
        "[[1.5, 2.25, 30.75, 4.5, 28.5, 20.25, 20.5, 25.75, 10.5, 22.5, 5.5, 15.5, 3.5, 10.5, 2.5, 6.5]]",
        "[[1, 2, 30, 4, 28, 20, 20, 25, 10, 22, 5, 15, 3, 10, 2, 6]]",  # people's, rounded
        "[[0, 0, 4, 0, 4, 1, 5, 1, 5, 2, 6, 2, 6, 4, 0, 4]]",  # along the edges of pixels
        '{"size": [2, 2], "counts": [1, 2, 1]}',
    ],
)
def test_other_outlines_are_drawn_as_coco_draws_them(text: str) -> None:
    assert not are_traced([text])
