"""Files of every format are decoded to what they show: bits, ranges, palettes, orientation."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from picture_files import by_tifffile
from PIL import Image, ImageOps

from training.data.images import (
    MAX_MEGAPIXELS,
    decode_image,
    decode_labels,
    decode_samples,
    has_transparency,
    otsu_mask,
    read_header,
    read_image,
    to_bytes,
    to_channels,
    turn,
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


def test_a_range_that_nobody_states_is_asked_for() -> None:
    for dim in (DEEP % 16384, (DEEP / 65535).astype(np.float32), DEEP.astype(np.uint32)):
        with pytest.raises(
            ValueError, match=r"a: its highest pixel is [\d.]+, of type \w+, .*image_max=4095 for 12 bits"
        ):
            decode_image(by_tifffile(dim), "a")
    assert decode_image(by_tifffile(np.zeros((4, 4), np.uint16)), "a").max() == 0, "black is black in every range"


def test_a_float_picture_is_scaled_by_the_range_that_is_given() -> None:
    ramp = np.array([[0, 0.5, 1]], np.float32)
    assert decode_image(by_tifffile(ramp), "a", image_max=1)[..., 0].tolist() == [[0, 128, 255]]
    assert decode_image(by_tifffile(ramp * 40), "a", image_max=80)[..., 0].tolist() == [[0, 64, 128]]


@pytest.mark.parametrize(
    ("value", "said"),
    [(np.nan, "not a number"), (np.inf, "not a number, or infinite"), (-0.5, "is -0.5, but 0 is meant to be black")],
)
def test_what_is_no_brightness_is_an_error(value: float, said: str) -> None:
    with pytest.raises(ValueError, match=f"a: a pixel is .*{said}|a: a pixel {said}"):
        decode_image(by_tifffile(np.array([[0, value, 1]], np.float32)), "a", image_max=1)


def test_to_bytes_rounds_and_leaves_8_bits_alone() -> None:
    assert to_bytes(np.array([[[0], [1], [1023]]], np.uint16), "a", 1023).ravel().tolist() == [0, 0, 255]
    assert to_bytes(GREY[..., None], "a", 4095) is not None
    assert np.array_equal(to_bytes(GREY[..., None], "a", 4095)[..., 0], GREY)


def test_a_header_tells_depth_kind_and_white() -> None:
    header = read_header(by_tifffile(DEEP % 4096, extratags=[(281, "H", 1, 4095, True)]), "a")
    assert (header.bits, header.kind, header.max_value, header.channels, header.grey) == (16, "uint", 4095, 1, True)
    packed = read_header(by_tifffile(DEEP % 4096, bitspersample=12), "a")
    assert (packed.bits, packed.max_value) == (12, 4095)
    floats = read_header(by_tifffile(DEEP.astype(np.float32)), "a")
    assert (floats.bits, floats.kind, floats.max_value) == (32, "float", 0)
    deep_png = read_header(cv2.imencode(".png", np.dstack([DEEP] * 3))[1].tobytes(), "a")
    assert (deep_png.bits, deep_png.channels, deep_png.orientation, deep_png.pages) == (16, 3, 1, 1)


@pytest.mark.parametrize("tag", range(1, 9))
def test_turning_is_what_pillow_does(tag: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    stored = Image.open(io.BytesIO(encode(COLOUR, "png", exif=exif)))
    assert np.array_equal(turn(COLOUR, tag), np.asarray(ImageOps.exif_transpose(stored)))
    assert np.array_equal(turn(GREY, tag), turn(COLOUR, tag)[..., 0])
    assert turn(GREY, tag).flags.c_contiguous


FIVE = np.arange(5, dtype=np.uint8) + np.zeros((3, 4, 1), np.uint8)


def test_channels_are_chosen_by_number_or_averaged() -> None:
    data = by_tifffile(FIVE, photometric="minisblack", planarconfig="contig")
    with pytest.raises(ValueError, match=r"a: it has 5 channels, .*say which: channels=0,2 .*or channels=mean"):
        decode_image(data, "a")
    for text, pixel in {"4": [4], "0,2": [0, 2, 0], "3,2,1": [3, 2, 1], "mean": [2]}.items():
        assert decode_samples(data, "a", channels=text)[0, 0].tolist() == pixel
    with pytest.raises(ValueError, match=r"a: channels=5 is asked for, but it has 5, counted from 0"):
        decode_image(data, "a", channels="5")
    for wrong in ("0,1,2,3", "red", "", "-1"):
        with pytest.raises(ValueError, match=r"is no choice; give one to three numbers"):
            decode_image(data, "a", channels=wrong)


def test_a_second_or_fourth_channel_is_dropped_only_where_it_is_transparency() -> None:
    two = by_tifffile(FIVE[..., :2], photometric="minisblack", planarconfig="contig")
    four = by_tifffile(FIVE[..., :4], photometric="minisblack", planarconfig="contig")
    for stains in (two, four):
        with pytest.raises(ValueError, match="say which"):
            decode_image(stains, "a")
    assert np.array_equal(decode_image(encode(COLOUR, "tiff", "RGBA"), "a"), COLOUR)
    assert decode_image(encode(GREY, "tiff", "LA"), "a").shape[2] == 1
    assert decode_samples(encode(COLOUR, "png", "RGBA"), "a", channels="3").min() == 255, "as stored: its transparency"


@pytest.mark.parametrize("form", ["png", "tiff", "webp", "gif"])
def test_transparency_is_seen_where_some_pixel_has_it(form: str) -> None:
    clear = np.dstack([COLOUR, np.full_like(GREY, 255)])
    assert not has_transparency(encode(clear, form), "a")
    clear[:3, :3, 3] = 0
    assert has_transparency(encode(clear, form), "a")
    assert not has_transparency(encode(GREY, "jpeg"), "a")


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


def test_where_0_is_white_image_max_says_what_is_black() -> None:
    data = by_tifffile(DEEP % 4096, photometric="miniswhite")
    with pytest.raises(ValueError, match=r"a: its highest pixel is \d{4}, .* say it: image_max=4095 for 12 bits"):
        decode_image(data, "a")
    assert np.array_equal(decode_image(data, "a", image_max=4095)[..., 0], 255 - np.rint(DEEP % 4096 * (255 / 4095)))


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


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint32", "int32", "int64", "uint16", "int16"])
def test_labels_of_every_type_are_whole_numbers(dtype: str) -> None:
    assert decode_labels(by_tifffile(np.array([[0, 1, 255]], dtype)), "a").tolist() == [[0, 1, 255]]
    if dtype[0] != "u":
        assert decode_labels(by_tifffile(np.array([[0, -1]], dtype)), "a").tolist() == [[0, -1]]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.array([[0, 1.5]], np.float32), "a pixel of the mask is 1.5, and a mask holds whole numbers"),
        (np.array([[-0.5, 1]], np.float32), "a pixel of the mask is -0.5, and a mask holds whole numbers"),
        (np.array([[0, np.nan]], np.float32), "not a number"),
        (np.array([[0, 2**32 - 1]], np.uint32), "the mask's values go from 0 to 4294967295; at most 2147483647"),
        (np.zeros((4, 4, 3), np.uint16), "a mask has 1 channel, or 3 of 8 bits"),
        (np.zeros((4, 4, 5), np.uint8), "a mask has 1 channel, or 3 of 8 bits; this one has 5"),
    ],
)
def test_labels_that_are_no_whole_numbers_are_refused(labels: Any, said: str) -> None:
    options = (
        {"planarconfig": "contig", "photometric": "minisblack"} if labels.ndim == 3 and labels.shape[2] == 5 else {}
    )
    with pytest.raises(ValueError, match=f"a: .*{said}"):
        decode_labels(by_tifffile(labels, **options), "a")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_close_to_whole_numbers_are_those_and_fractions_of_1_are_levels_of_255(dtype: str) -> None:
    close = np.array([[0, 0.9995, 2, 7.0005]], dtype)
    assert decode_labels(by_tifffile(close), "a").tolist() == [[0, 1, 2, 7]]
    probabilities = np.array([[0, 0.25, 0.5, 0.75, 1]], dtype)
    assert decode_labels(by_tifffile(probabilities), "a").tolist() == [[0, 64, 128, 191, 255]]


def test_masks_of_one_bit_or_with_0_for_white_are_read_as_they_are_shown() -> None:
    black_and_white = np.array([[False, True] * 8])
    assert decode_labels(by_tifffile(black_and_white, photometric="minisblack"), "a").tolist() == [[0, 255] * 8]
    scanned = by_tifffile(~black_and_white, photometric="miniswhite", software="scanner")
    assert decode_labels(scanned, "a").tolist() == [[0, 255] * 8]
    inverted = by_tifffile(np.array([[255, 0]], np.uint8), photometric="miniswhite")
    assert decode_labels(inverted, "a").tolist() == [[0, 255]]


def by_imagej(labels: np.ndarray, form: str) -> bytes:
    """As ImageJ saves what has an inverting LUT."""
    if form == "tiff":
        return by_tifffile(labels, photometric="miniswhite", description="ImageJ=1.54f\n", metadata=None)
    image = Image.fromarray(labels, "P")
    image.putpalette(np.repeat(np.arange(255, -1, -1, dtype=np.uint8), 3).tobytes())
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def test_bools_are_what_they_were_in_python_though_tifffile_lets_viewers_invert_them() -> None:
    truth = np.array([[False, True, True, True] * 4])
    data = by_tifffile(truth)
    assert np.array_equal(tifffile.imread(io.BytesIO(data)), truth)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), ~truth), "as a viewer shows it"
    assert np.array_equal(decode_labels(data, "a"), 255 * truth)
    assert read_header(data, "a").inverted_look


@pytest.mark.parametrize("form", ["tiff", "png"])
@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2, 3)])
def test_a_mask_of_imagej_is_its_numbers_though_an_inverting_lut_shows_them_inverted(
    form: str, values: tuple[int, ...]
) -> None:
    labels = np.resize(np.array(values, np.uint8), (8, 12))
    data = by_imagej(labels, form)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("L")), 255 - labels), "as a viewer shows it"
    assert np.array_equal(decode_labels(data, "a"), labels)
    assert np.array_equal(decode_image(data, "a")[..., 0], 255 - labels), "a picture is what one sees"
    assert read_header(data, "a").inverted_look


@pytest.mark.parametrize("form", ["png", "gif", "bmp", "tiff"])
def test_a_palette_gives_the_same_labels_in_every_format(form: str) -> None:
    image = Image.fromarray(np.array([[0, 1, 2, 1]], np.uint8), "P")
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 0, 9] + [0, 0, 0] * 253)
    file = io.BytesIO()
    image.save(file, form)
    assert decode_labels(file.getvalue(), "a").tolist() == [[0, 0xC80000, 0x000009, 0xC80000]]


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


def test_a_tiff_bomb_is_refused_by_its_header() -> None:
    tags = {256: 100_000, 257: 100_000, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 100_000, 279: 1}
    entries = b"".join(tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + v.to_bytes(4, "little") for tag, v in tags.items())
    bomb = b"II*\0\x08\0\0\0" + len(tags).to_bytes(2, "little") + entries + bytes(4)
    with pytest.raises(ValueError, match=f"100000x100000 = 10000 megapixels; at most {MAX_MEGAPIXELS}"):
        read_header(bomb, "a")
    many = bomb.replace(tags[256].to_bytes(4, "little"), (5000).to_bytes(4, "little"))
    many = many.replace(b"\x15\1\4\0\1\0\0\0\1", b"\x15\1\4\0\1\0\0\0\x64")
    with pytest.raises(ValueError, match=r"takes 2500 MB \(5000x5000, 100 bytes a pixel\)"):
        read_header(many, "a")
