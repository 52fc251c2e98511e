"""Files of every format are decoded to what they show: bits, ranges, palettes, orientation."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from training.data.images import (
    MAX_MEGAPIXELS,
    decode_image,
    decode_labels,
    otsu_mask,
    read_header,
    read_image,
    to_channels,
)

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 9, 3), np.uint8)
GREY = COLOUR[..., 0]
DEEP = RNG.integers(0, 65536, (12, 9), np.uint16)


def encode(pixels: Any, form: str, mode: str = "", **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["png", "bmp", "tiff", "webp"])
def test_grey_images_have_one_channel_and_colour_images_three_in_rgb_order(form: str) -> None:
    options = {"lossless": True} if form == "webp" else {}
    assert np.array_equal(decode_image(encode(COLOUR, form, **options), "a"), COLOUR)
    assert np.array_equal(decode_image(encode(GREY, form, **options), "a")[..., 0], GREY)


def test_jpeg_is_read_closely_enough() -> None:
    smooth = cv2.resize(COLOUR, (64, 64))
    assert np.abs(decode_image(encode(smooth, "jpeg", quality=95), "a").astype(int) - smooth).mean() < 6


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "1"])
def test_transparency_and_palettes_are_resolved_to_what_one_sees(mode: str) -> None:
    shown = np.array(Image.fromarray(COLOUR).convert(mode).convert("RGB"))
    decoded = decode_image(encode(COLOUR, "png", mode), "a")
    assert np.array_equal(to_channels(decoded, 3), shown)


@pytest.mark.parametrize(("form", "options"), [("png", {}), ("tiff", {}), ("tiff", {"compression": "tiff_lzw"})])
def test_16_bits_become_8_by_their_whole_range_and_never_wrap(form: str, options: dict[str, str]) -> None:
    decoded = decode_image(encode(DEEP, form, **options), "a")[..., 0]
    assert np.array_equal(decoded, np.rint(DEEP / 257).astype(np.uint8))


def test_16_bit_colour_is_read() -> None:
    deep = RNG.integers(0, 65536, (12, 9, 3), np.uint16)
    for suffix in (".png", ".tif"):
        data = cv2.imencode(suffix, deep[..., ::-1])[1].tobytes()
        assert np.array_equal(decode_image(data, "a"), np.rint(deep / 257).astype(np.uint8))


def test_a_tiff_that_states_its_range_is_scaled_by_it() -> None:
    stated = encode(DEEP % 4096, "tiff", tiffinfo={281: 4095})
    assert np.array_equal(decode_image(stated, "a")[..., 0], np.rint(DEEP % 4096 * (255 / 4095)).astype(np.uint8))


def test_image_max_says_what_a_file_does_not() -> None:
    data = encode(DEEP % 4096, "tiff")
    with pytest.raises(ValueError, match=r"a: its highest pixel is \d+, .* say it: image_max=4095 for 12 bits"):
        decode_image(data, "a")
    assert np.array_equal(decode_image(data, "a", image_max=4095)[..., 0], np.rint((DEEP % 4096) * (255 / 4095)))
    assert np.array_equal(decode_image(encode(GREY, "png"), "a", image_max=4095)[..., 0], GREY), "8 bits are 0..255"


def test_a_value_above_image_max_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"a: a pixel is \d+, but image_max=1000 is meant to be the highest"):
        decode_image(encode(DEEP, "tiff"), "a", image_max=1000)


def test_pages_of_a_stack_are_read_one_by_one() -> None:
    pages = [Image.fromarray(np.full((4, 5), level, np.uint8)) for level in (10, 20, 30)]
    file = io.BytesIO()
    pages[0].save(file, "tiff", save_all=True, append_images=pages[1:])
    assert read_header(file.getvalue(), "a").pages == 3
    assert [int(decode_image(file.getvalue(), "a", page)[0, 0, 0]) for page in range(3)] == [10, 20, 30]
    assert [int(decode_labels(file.getvalue(), "a", page)[0, 0]) for page in range(3)] == [10, 20, 30]


def test_a_camera_s_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(cv2.resize(COLOUR, (32, 16)), "jpeg", exif=exif)
    header = read_header(data, "a")
    assert (header.height, header.width) == decode_image(data, "a").shape[:2] == (32, 16)


def test_labels_are_the_numbers_in_the_file() -> None:
    ids = np.arange(12, dtype=np.uint16).reshape(3, 4) * 300
    assert np.array_equal(decode_labels(encode(ids, "png"), "a"), ids)
    assert np.array_equal(decode_labels(encode(ids.astype(np.int32), "tiff"), "a"), ids), "32 bits"
    assert set(np.unique(decode_labels(encode(GREY > 100, "png"), "a"))) == {0, 255}, "1 bit is black and white"


def palette_png(indices: Any, colours: list[int]) -> bytes:
    image = Image.fromarray(np.array(indices, np.uint8), "P")
    image.putpalette(colours)
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def test_a_palette_gives_colours_whatever_number_they_have() -> None:
    black, red = [0, 0, 0], [200, 0, 0]
    one_tool = decode_labels(palette_png([[0, 1]], black + red), "a")
    another = decode_labels(palette_png([[1, 0]], red + black), "a")
    assert one_tool.tolist() == another.tolist() == [[0, 0xC80000]]


def test_a_palette_of_grey_colours_gives_their_levels() -> None:
    assert decode_labels(palette_png([[0, 1]], [255, 255, 255, 0, 0, 0]), "a").tolist() == [[255, 0]]
    assert decode_labels(encode(np.array([[255, 0]], np.uint8), "gif"), "a").tolist() == [[255, 0]]


def test_a_palette_whose_colours_say_nothing_gives_its_numbers() -> None:
    assert decode_labels(palette_png([[0, 1], [2, 1]], [0, 0, 0] * 3), "a").tolist() == [[0, 1], [2, 1]]


def test_colours_of_a_mask_become_their_numbers() -> None:
    mask = np.array([[[0, 0, 0], [255, 0, 0], [0, 255, 0], [9, 9, 9]]], np.uint8)
    assert decode_labels(encode(mask, "png"), "a").tolist() == [[0, 0xFF0000, 0x00FF00, 0x090909]]
    grey = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    assert decode_labels(encode(grey, "png", "RGBA"), "a").tolist() == [[0, 255]]


def test_a_mask_that_is_partly_transparent_is_refused() -> None:
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[:2, :, 3] = 255
    with pytest.raises(ValueError, match="a: the mask is partly transparent; save it without an alpha channel"):
        decode_labels(encode(mask, "png"), "a")


def test_what_is_too_large_is_refused_by_its_header() -> None:
    bomb = bytearray(encode(np.zeros((1, 1), np.uint8), "bmp"))
    bomb[18:26] = (100_000).to_bytes(4, "little") * 2
    with pytest.raises(ValueError, match=f"100000x100000 = 10000 megapixels; at most {MAX_MEGAPIXELS}"):
        decode_image(bytes(bomb), "a")


def test_decoding_bytes_and_reading_the_file_agree(discs: Path) -> None:
    path = next((discs / "images").iterdir())
    np.testing.assert_array_equal(decode_image(path.read_bytes(), "upload"), read_image(path))


def test_grey_becomes_rgb_by_repetition() -> None:
    assert to_channels(GREY[..., None], 3).shape == (12, 9, 3)
    assert to_channels(to_channels(GREY[..., None], 3), 1)[..., 0].tolist() == GREY.tolist()


def test_otsu_finds_the_bright_or_the_dark_side() -> None:
    image = np.array([[10, 200]], np.uint8)[..., None]
    assert otsu_mask(image, dark=False).tolist() == [[0, 1]]
    assert otsu_mask(image, dark=True).tolist() == [[1, 0]]


def test_a_png_s_rotation_is_seen_by_its_header_as_by_its_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(cv2.resize(COLOUR, (32, 16)), "png", exif=exif)
    header = read_header(data, "a")
    assert (header.height, header.width) == decode_image(data, "a").shape[:2]
