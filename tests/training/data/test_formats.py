"""Every format x mode x depth x compression that is claimed to be read equals what another reader shows.

And what is no whole picture is an error, never half of one.
"""

import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from conftest import CASES
from picture_files import COLOUR, GREY, PictureFile, all_pictures, by_opencv, by_pillow, by_tifffile
from PIL import Image

from training.data.images import FROM_FILE, decode_image, decode_labels, decode_samples, read_header

pytestmark = pytest.mark.slow

PICTURES = all_pictures()
OTHERS = [by_pillow(Image.fromarray(255 - COLOUR), form) for form in ("png", "jpeg", "tiff", "bmp")]
LOST = [0.1, 0.3, 0.5, 0.7, 0.9, 0.97]
PAGES = np.stack([np.full((6, 8), level, np.uint8) for level in (10, 20, 30, 40)])


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
        decoded = decode_image(picture.data, picture.name, image_max=picture.image_max or FROM_FILE)
        assert decoded.shape == picture.seen.shape
        assert np.abs(decoded.astype(int) - picture.seen).max() <= picture.tolerance
        header = read_header(picture.data, picture.name)
        assert (header.height, header.width) == decoded.shape[:2]


def test_a_flat_16_bit_colour_tiff_shows_nothing_of_another_picture() -> None:
    flat = by_opencv(".tif", np.full((512, 512, 3), 30000, np.uint16))
    for seed in range(8):
        other = np.random.default_rng(seed).integers(0, 256, (512, 512, 3), np.uint8)
        decode_image(by_opencv(".png", other), "of somebody else")
        assert np.unique(decode_image(flat, "flat")).tolist() == [117]


def test_the_case_of_16_bit_colour_tiffs_is_read_as_meant() -> None:
    folder = CASES / "73-16bit-rgb-tiff"
    if not folder.exists():
        pytest.skip(f"no sample folders: {folder} is missing")
    for meant in sorted((folder / "images_meant").iterdir()):
        data = (folder / "data" / "images" / f"{meant.stem}.tif").read_bytes()
        shown = cv2.imread(str(meant), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(decode_image(data, meant.stem, image_max=65535).astype(int) - shown).max() <= 1


def compressed() -> list[PictureFile]:
    kinds = ("png-", "jpeg-", "gif-", "webp-RGB-", "tiff-uint8-rgb-", "opencv-tiff-uint8-rgb-", "pillow-tiff-RGB-")
    return [picture for picture in PICTURES if picture.name.startswith(kinds)]


@pytest.mark.parametrize("picture", compressed(), ids=lambda picture: picture.name)
def test_a_file_that_is_cut_off_is_an_error(picture: PictureFile) -> None:
    size = len(picture.data)
    for kept in [*(int(size * fraction) for fraction in LOST), size - 3]:
        with pytest.raises(ValueError, match=r"damaged|no image that can be read|cannot be decoded"):
            decode_image(picture.data[:kept], "cut")


@pytest.mark.parametrize(
    "picture",
    [p for p in compressed() if p.name.startswith(("png-", "jpeg-", "gif-", "webp-RGB-", "tiff-uint8-rgb-deflate"))],
    ids=lambda picture: picture.name,
)
def test_a_file_whose_rest_is_zeros_is_an_error(picture: PictureFile) -> None:
    size = len(picture.data)
    for kept in (int(size * fraction) for fraction in LOST if fraction < 0.9):
        with pytest.raises(ValueError, match=r"damaged|no image that can be read|cannot be decoded"):
            decode_image(picture.data[:kept] + bytes(size - kept), "half")


def test_a_jpeg_with_a_hole_or_a_forged_end_is_an_error() -> None:
    data = by_pillow(Image.fromarray(COLOUR), "jpeg", quality=95)
    half = len(data) // 2
    for broken in (data[:half] + b"\xff\xd9", data[:half] + bytes(len(data) - half - 2) + b"\xff\xd9"):
        with pytest.raises(ValueError, match="damaged"):
            decode_image(broken, "a")


def test_what_stands_behind_a_jpeg_does_not_matter() -> None:
    data = by_pillow(Image.fromarray(COLOUR), "jpeg")
    for trailer in (bytes(100), b"\xff\xda\x00\x08 a film of the phone" * 20):
        assert np.array_equal(decode_image(data + trailer, "a"), decode_image(data, "a"))


def test_a_stack_that_lost_its_last_pages_is_an_error() -> None:
    stack = by_pillow(Image.fromarray(PAGES[0]), "tiff", save_all=True, append_images=list(map(Image.fromarray, PAGES)))
    assert read_header(stack, "a").pages == 5
    for kept in (0.3, 0.5, 0.66, 0.8, 0.9):
        with pytest.raises(ValueError, match=r"a: this is no image that can be read"):
            read_header(stack[: int(len(stack) * kept)], "a")


def test_pages_of_stacks_are_counted_and_read_one_by_one() -> None:
    stacks = [
        by_tifffile(PAGES, photometric="minisblack"),
        by_tifffile(PAGES, photometric="minisblack", metadata=None),
        by_tifffile(PAGES, imagej=True, metadata={"axes": "ZYX"}),
        by_tifffile(PAGES, imagej=True, metadata={"axes": "TYX"}, truncate=True),
        by_tifffile(PAGES, ome=True, metadata={"axes": "ZYX"}, photometric="minisblack"),
    ]
    for data in stacks:
        assert (read_header(data, "a").pages, read_header(data, "a").channels) == (4, 1)
        assert [int(decode_image(data, "a", page).max()) for page in range(4)] == [10, 20, 30, 40]
        with pytest.raises(ValueError, match="a: page 4 is wanted, but the file has 4, counted from 0"):
            decode_image(data, "a", 4)


@pytest.mark.parametrize("options", [{"ome": True}, {"imagej": True}, {}, {"imagej": True, "truncate": True}])
@pytest.mark.parametrize(("axes", "shape"), [("CYX", (4, 6, 8)), ("ZCYX", (1, 4, 6, 8)), ("TZCYX", (1, 1, 4, 6, 8))])
def test_channels_stored_as_pages_are_asked_for_and_chosen(
    axes: str, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    data = by_tifffile(PAGES.reshape(shape), photometric="minisblack", metadata={"axes": axes}, **options)
    header = read_header(data, "a")
    assert (header.pages, header.channels) == (1, 4)
    with pytest.raises(ValueError, match=r"a: it has 4 channels, .*; say which: channels=0,1,2 .* or channels=mean"):
        decode_image(data, "a")
    assert decode_samples(data, "a", channels="3,1")[0, 0].tolist() == [40, 20, 0]
    assert decode_image(data, "a", channels="mean")[0, 0].tolist() == [25]


def test_a_hyperstack_has_its_slices_as_pages_and_channels_within_them() -> None:
    slices = np.stack([PAGES[:2], PAGES[2:]])
    for options in ({"imagej": True}, {"ome": True}, {"imagej": True, "truncate": True}):
        data = by_tifffile(slices, photometric="minisblack", metadata={"axes": "ZCYX"}, **options)
        assert (read_header(data, "a").pages, read_header(data, "a").channels) == (2, 2)
        assert decode_samples(data, "a", 1, channels="0,1")[0, 0].tolist() == [30, 40, 0]


def test_reduced_copies_of_a_picture_are_no_pages() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(GREY[..., 0], metadata=None)
        writer.write(GREY[::2, ::2, 0], subfiletype=1, metadata=None)
    assert read_header(file.getvalue(), "a").pages == 1


def test_an_ome_file_that_names_other_files_is_read_by_its_own_pages(tmp_path: Path) -> None:
    other = tmp_path / "other.ome.tif"
    other.write_bytes(by_tifffile(np.full((6, 8), 77, np.uint8), ome=True))
    text = tifffile.TiffFile(other).ome_metadata
    assert text is not None
    begin, end = text.index("<TiffData"), text.index("</Pixels>")
    elsewhere = f'<TiffData IFD="0" PlaneCount="1"><UUID FileName="{other}">urn:uuid:1</UUID></TiffData>'
    data = by_tifffile(np.full((6, 8), 5, np.uint8), description=text[:begin] + elsewhere + text[end:], metadata=None)
    assert np.unique(decode_image(data, "a")).tolist() == [5]


def test_orientation_of_labels_is_left_to_the_caller() -> None:
    data = by_tifffile(GREY[..., 0], extratags=[(274, "H", 1, 6, True)])
    assert np.array_equal(decode_labels(data, "a"), GREY[..., 0])
    assert read_header(data, "a").orientation == 6


def tiled_tiff(side: int, tile: int, compression: int, data: bytes) -> bytes:
    """A square grey TIFF of one tile that says of itself what is given."""
    entries = [(256, side), (257, side), (258, 8), (259, compression), (262, 1), (277, 1)]
    entries += [(322, tile), (323, tile), (324, 8 + 2 + 12 * 10 + 4), (325, len(data))]
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + b"\0\0\0\0" + data


@pytest.mark.parametrize("kind", ["a tile", "a jpeg in a tile"])
def test_what_a_tile_says_of_its_size_reserves_no_memory(kind: str) -> None:
    if kind == "a tile":
        data = tiled_tiff(16, 20_000, 8, zlib.compress(bytes(1000)))
    else:
        data = tiled_tiff(16, 16, 7, cv2.imencode(".jpg", np.zeros((4000, 4000), np.uint8))[1].tobytes())
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bomb: .*this one is damaged: a .* is larger than"):
        decode_image(data, "bomb")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
