"""Folders are read as they are meant, or refused by name with the cure."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.images import decode_image, find_pairs, load_folder, otsu_mask, read_image, read_mask, resize, to_channels


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
    return path


GREY = np.full((8, 8), 100, np.uint8)
MASK = np.eye(8, dtype=np.uint8) * 255


def test_images_and_masks_pair_by_stem(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / "images" / f"{name}.jpg", GREY)
        write(tmp_path / "masks" / f"{name}_mask.png", MASK)
    pairs = find_pairs(tmp_path)
    assert [(image.name, mask.name) for image, mask in pairs] == [("a.jpg", "a_mask.png"), ("b.jpg", "b_mask.png")]


def test_masks_of_0_and_1_and_of_0_and_255_mean_the_same(tmp_path: Path) -> None:
    ones, full = write(tmp_path / "1.png", MASK // 255), write(tmp_path / "2.png", MASK)
    np.testing.assert_array_equal(read_mask(ones), read_mask(full))
    assert set(np.unique(read_mask(full))) == {0, 1}


def test_grey_images_have_one_channel_and_colour_images_three(tmp_path: Path) -> None:
    colour = np.dstack([GREY, GREY + 1, GREY])
    assert read_image(write(tmp_path / "g.png", GREY)).shape == (8, 8, 1)
    assert read_image(write(tmp_path / "c.png", colour)).shape == (8, 8, 3)


def test_colour_is_read_as_rgb(tmp_path: Path) -> None:
    red_bgr = np.zeros((8, 8, 3), np.uint8)
    red_bgr[..., 2] = 255
    assert read_image(write(tmp_path / "red.png", red_bgr))[0, 0].tolist() == [255, 0, 0]


def test_the_whole_image_is_resized_by_area(tmp_path: Path) -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1) * 10
    assert resize(image, 2)[..., 0].tolist() == [[25, 45], [105, 125]]
    assert resize(image, 8).shape == (8, 8, 1)


def test_grey_becomes_rgb_by_repetition() -> None:
    assert to_channels(GREY[..., None], 3).shape == (8, 8, 3)
    assert to_channels(to_channels(GREY[..., None], 3), 1).squeeze().tolist() == GREY.tolist()


def test_otsu_finds_the_bright_or_the_dark_side() -> None:
    image = np.array([[10, 200]], np.uint8)[..., None]
    assert otsu_mask(image, dark=False).tolist() == [[0, 1]]
    assert otsu_mask(image, dark=True).tolist() == [[1, 0]]


def bad_folder(tmp_path: Path, kind: str) -> Path:
    folder = tmp_path / "data"
    if kind == "missing":
        return folder
    (folder / "images").mkdir(parents=True)
    if kind == "no masks folder":
        return folder
    (folder / "masks").mkdir()
    if kind == "empty":
        return folder
    write(folder / "images" / "a.png", GREY)
    if kind == "image without mask":
        return folder
    write(folder / "masks" / "a.png", MASK)
    if kind == "mask without image":
        write(folder / "masks" / "z.png", MASK)
    elif kind == "sizes differ":
        write(folder / "masks" / "a.png", MASK[:4])
    elif kind == "three levels":
        write(folder / "masks" / "a.png", np.arange(64, dtype=np.uint8).reshape(8, 8))
    elif kind == "text named png":
        (folder / "images" / "a.png").write_text("hello")
    elif kind == "truncated":
        path = folder / "images" / "a.png"
        path.write_bytes(path.read_bytes()[:40])
    elif kind == "no bytes":
        (folder / "images" / "a.png").write_bytes(b"")
    elif kind == "all masks empty":
        write(folder / "masks" / "a.png", 0 * MASK)
    elif kind == "same stem twice":
        write(folder / "images" / "a.jpg", GREY)
    return folder


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "there is no such folder; a data folder holds images/ and masks/"),
        ("no masks folder", "it has no folder masks/"),
        ("empty", "images/ holds no image"),
        ("image without mask", r"a\.png in images/ without a mask"),
        ("mask without image", r"z\.png in masks/ without an image"),
        ("sizes differ", "image is 8x8 but its mask is 4x8"),
        ("three levels", r"a mask must hold 0 and one other value, but this one holds 0, 1, 2, .*make it binary"),
        ("text named png", r"a\.png: this is no image that can be read"),
        ("truncated", r"a\.png: this is no image that can be read"),
        ("no bytes", r"a\.png: this is no image that can be read"),
        ("all masks empty", "every mask is empty"),
        ("same stem twice", "has the same stem"),
    ],
)
def test_a_folder_that_cannot_be_trained_on_is_refused_by_name(tmp_path: Path, kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_folder(bad_folder(tmp_path, kind), 32)


def test_the_digest_names_the_pixels(discs: Path) -> None:
    assert load_folder(discs, 64).digest == load_folder(discs, 64).digest
    assert load_folder(discs, 64).digest != load_folder(discs, 32).digest


def test_decoding_bytes_and_reading_the_file_agree(discs: Path) -> None:
    path = next((discs / "images").iterdir())
    np.testing.assert_array_equal(decode_image(path.read_bytes(), "upload"), read_image(path))


def test_real_folders_load(real_data: Path) -> None:
    histo = load_folder(real_data / "dsb2018_histo", 64)
    assert histo.images.shape == (107, 64, 64, 3)
    assert histo.foreground_percent == pytest.approx(21.3, abs=0.3)
