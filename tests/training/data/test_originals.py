"""The pixels that a set was made of can be had again at their own size, and nothing else is taken for them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.framing import OUTSIDE
from training.data.originals import find_originals
from training.data.read_options import ReadOptions
from training.data.reading import load_folder

RNG = np.random.default_rng(0)


def write_pair(folder: Path, name: str, image: np.ndarray, mask: np.ndarray) -> None:
    for part, pixels in (("images", image), ("masks", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / part / f"{name}.png"), pixels)


def make_folder(folder: Path, max_value: int = 255) -> Path:
    """Six images of sizes of their own, 16 bits above 255, with a square of foreground each."""
    for k in range(6):
        mask = np.zeros((40 + k, 60), np.uint8)
        mask[10:20, k : k + 15] = 255
        image = RNG.integers(0, max_value + 1, mask.shape).astype(np.uint8 if max_value == 255 else np.uint16)
        image[0, 0] = max_value
        write_pair(folder, f"{k}", image, mask)
    return folder


@pytest.mark.parametrize("fit", ["resize", "tile"])
def test_every_image_has_its_own_size_and_the_pixels_of_its_file(tmp_path: Path, fit: str) -> None:
    folder = make_folder(tmp_path / "cells")
    images = load_folder(folder, 32, fit)
    originals = find_originals(images, ReadOptions())
    for k in range(6):
        image, mask = originals.read(k)
        assert (image[..., 0] == cv2.imread(str(folder / "images" / f"{k}.png"), cv2.IMREAD_GRAYSCALE)).all()
        assert mask.shape == (40 + k, 60)
        assert (mask[10:20, k : k + 15] == 1).all()
        assert mask.sum() == 150


def test_they_are_read_as_the_set_was(tmp_path: Path) -> None:
    """12 bits in files of 16, and a value that does not count."""
    folder = make_folder(tmp_path / "cells", max_value=4095)
    mask = cv2.imread(str(folder / "masks" / "0.png"), cv2.IMREAD_GRAYSCALE)
    mask[30:, :] = 7
    assert cv2.imwrite(str(folder / "masks" / "0.png"), mask)
    reading = ReadOptions(image_max="4095", ignore_value="7")
    image, mask = find_originals(load_folder(folder, 32, reading=reading), reading).read(0)
    assert image.dtype == np.uint8
    assert image[0, 0, 0] == 255
    assert (mask[30:] == OUTSIDE).all()
    assert (mask == 1).sum() == 150


def test_a_file_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "cells")
    originals = find_originals(load_folder(folder, 32), ReadOptions())
    assert cv2.imwrite(str(folder / "masks" / "3.png"), np.full((43, 60), 255, np.uint8))
    originals.read(2)
    with pytest.raises(ValueError, match=r"3\.png: the image or its mask is not the one that was read before"):
        originals.read(3)
