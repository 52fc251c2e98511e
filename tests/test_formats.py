"""Every format x mode x depth x compression that is claimed to be read equals what another reader shows."""

import numpy as np
import pytest
from PIL import Image

from tests.picture_files import COLOUR, GREY, PictureFile, all_pictures, by_pillow
from training.data.images import STATED, decode_image, read_header

PICTURES = all_pictures()
OTHERS = [by_pillow(Image.fromarray(255 - COLOUR), form) for form in ("png", "jpeg", "tiff", "bmp")]


def dirty_the_heap() -> None:
    """Leave other pictures behind in freed memory."""
    for other in OTHERS:
        decode_image(other, "other")
    junk = [np.full(size, 0xA5, np.uint8) for size in (GREY.size, COLOUR.size, 2 * COLOUR.size) for _ in range(4)]
    del junk


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_what_another_reader_shows_twice_in_a_row(picture: PictureFile) -> None:
    for _ in range(2):
        dirty_the_heap()
        decoded = decode_image(picture.data, picture.name, image_max=picture.image_max or STATED)
        assert decoded.shape == picture.seen.shape
        difference = np.abs(decoded.astype(int) - picture.seen).max()
        assert difference <= picture.tolerance
        header = read_header(picture.data, picture.name)
        assert (header.height, header.width) == decoded.shape[:2]
