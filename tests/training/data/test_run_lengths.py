"""Run lengths are decoded in the order in which they were counted, which the masks themselves tell."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.image_set import UnusableError
from training.data.read_options import ReadOptions
from training.data.reading import load_folder
from training.data.run_lengths import (
    KAGGLE,
    MAX_SAMPLED,
    RUN_ORDERS,
    decode_runs,
    likely_orders,
    outline_lengths,
    possible_orders,
)

FILE = Path("train.csv")
SIZE = (48, 64)


def encode(mask: np.ndarray, name: str) -> str:
    """By hand: the independent way round."""
    order = RUN_ORDERS[name]
    flat = (mask.T if order.down else mask).ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]]))).reshape(-1, 2)
    begins = [0, *edges[:-1, 1]] if order.relative else [0] * len(edges)
    return " ".join(
        f"{start - begin + order.first} {end - start}" for (start, end), begin in zip(edges, begins, strict=True)
    )


def masks(touching: bool) -> list[np.ndarray]:
    """Discs; touching: some reach the border, where counting from 0 or 1 makes a difference."""
    centres = [(20 + k, 18) for k in range(6)] + ([(0, 20), (40, 47), (30, 0), (63, 30)] if touching else [])
    return [cv2.circle(np.zeros(SIZE, np.uint8), centre, 9, 1, -1) for centre in centres]


@pytest.mark.parametrize("name", RUN_ORDERS)
def test_the_order_is_found_and_gives_the_masks_back(name: str) -> None:
    texts = [encode(mask, name) for mask in masks(touching=True)]
    samples = [((text,), (SIZE,)) for text in texts]
    orders = possible_orders(samples, FILE)
    (order,) = likely_orders([outline_lengths(sample, FILE, orders) for sample in samples])
    assert order == RUN_ORDERS[name]
    for text, mask in zip(texts, masks(touching=True), strict=True):
        assert np.array_equal(decode_runs(text, SIZE, FILE, order), mask)


@pytest.mark.parametrize("name", [name for name in RUN_ORDERS if not RUN_ORDERS[name].relative])
@pytest.mark.parametrize("gap", [1, 2])
def test_objects_that_lie_near_the_border_are_not_pushed_onto_it(name: str, gap: int) -> None:
    """There the border hid a side of them, and the wrong order seemed the more compact one."""
    height, width = SIZE
    near = [(gap, gap), (width - 9 - gap, height - 9 - gap), (gap, height - 9 - gap), (width - 9 - gap, gap)]
    whole = [cv2.rectangle(np.zeros(SIZE, np.uint8), (x, y), (x + 8, y + 8), 1, -1) for x, y in near]
    likely = likely_orders([outline_lengths(((encode(mask, name),), (SIZE,)), FILE) for mask in whole])
    assert RUN_ORDERS[name] in likely
    further = [outline_lengths(((encode(mask, name),), (SIZE,)), FILE) for mask in (*whole, *masks(touching=True))]
    likely = likely_orders(further)
    assert likely == [RUN_ORDERS[name]]


def test_overlapping_runs_of_two_objects_do_not_make_a_table_relative() -> None:
    """The joined runs of two objects, as some tables have them, in one mask of nine."""
    texts = [encode(mask, "columns") for mask in masks(touching=True)]
    texts[0] += " " + texts[1]
    samples = [((text,), (SIZE,)) for text in texts]
    assert RUN_ORDERS["columns"] in possible_orders(samples, FILE)
    assert not any(order.relative for order in possible_orders(samples, FILE))


def square_folder(root: Path, name: str, noise: bool, count: int = 12) -> Path:
    """Square pictures of a disc off the diagonal, their masks in a csv."""
    (root / "images").mkdir()
    rows = ["ImageId,EncodedPixels"]
    for k in range(count):
        mask = cv2.circle(np.zeros((64, 64), np.uint8), (15 + k % 12, 45), 9, 1, -1)
        pixels = np.random.default_rng(k).normal(90, 10, mask.shape) + (0 if noise else 60 * mask)
        cv2.imwrite(str(root / "images" / f"c{k:03d}.png"), pixels.clip(0, 255).astype(np.uint8))
        rows.append(f"c{k:03d},{encode(mask, name)}")
    (root / "train.csv").write_text("\n".join(rows))
    return root


@pytest.mark.parametrize("name", ["rows", "columns"])
def test_of_square_pictures_the_pixels_tell_it(tmp_path: Path, name: str) -> None:
    images = load_folder(square_folder(tmp_path, name, noise=False), 64)
    assert images.masks[0][45, 15] == 1
    assert images.masks[0][15, 45] == 0
    assert any("agrees best with the pixels" in note for note in images.notes)


def test_square_pictures_of_noise_tell_nothing_and_their_owner_is_asked(tmp_path: Path) -> None:
    folder = square_folder(tmp_path, "rows", noise=True)
    with pytest.raises(UnusableError, match=r"train\.csv: it cannot be told .*rle_order=columns .*rle_order=rows"):
        load_folder(folder, 64)
    assert load_folder(folder, 64, reading=ReadOptions(rle_order="rows")).masks[0][45, 15] == 1
    assert load_folder(folder, 64, reading=ReadOptions(rle_order="columns")).masks[0][15, 45] == 1


@pytest.mark.parametrize("wrong", [0, MAX_SAMPLED])
def test_runs_that_fit_in_no_order_are_named_before_the_order_is_asked(tmp_path: Path, wrong: int) -> None:
    """Among the masks whose outlines are compared, and beyond them."""
    table = square_folder(tmp_path, "rows", noise=True, count=MAX_SAMPLED + 1) / "train.csv"
    rows = table.read_text().splitlines()
    rows[1 + wrong] = f"c{wrong:03d},4090 900"
    table.write_text("\n".join(rows))
    with pytest.raises(UnusableError) as error:
        load_folder(tmp_path, 64)
    assert [problem.partition(": ")[2] for problem in error.value.problems] == [
        "a run of '4090 900' ends outside its image of 64x64 pixels"
    ]


def test_without_any_run_kaggle_s_order_is_taken() -> None:
    assert likely_orders([outline_lengths(((), (SIZE,)), FILE)]) == [KAGGLE]


def test_an_empty_mask_among_relative_ones_fits_any_order() -> None:
    samples = [((encode(mask, "rows_relative"),), (SIZE,)) for mask in masks(touching=True)] + [((), (SIZE,))]
    outlines = [outline_lengths(sample, FILE, possible_orders(samples, FILE)) for sample in samples]
    assert likely_orders(outlines) == [RUN_ORDERS["rows_relative"]]
    assert set(outlines[-1].values()) == {0}


def test_objects_of_several_rows_are_one_mask() -> None:
    whole = masks(touching=False)
    outlines = outline_lengths((tuple(encode(mask, "rows") for mask in whole), (SIZE,)), FILE)
    assert likely_orders([outlines]) == [RUN_ORDERS["rows"], RUN_ORDERS["rows0"]], "none reaches the border"


@pytest.mark.parametrize("name", RUN_ORDERS)
def test_where_no_object_reaches_the_border_the_pixels_tell_from_0_or_1(tmp_path: Path, name: str) -> None:
    images = load_folder(square_folder(tmp_path, name, noise=False), 64)
    for k, mask in enumerate(images.masks):
        assert np.array_equal(mask, cv2.circle(np.zeros((64, 64), np.uint8), (15 + k, 45), 9, 1, -1))
