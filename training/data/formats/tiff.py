"""TIFF files, read by tifffile: every depth and compression, palettes, stacks, and channels stored as pages.

Bytes in, samples as stored out. What the samples mean to a reader of images is decided in images.py.
"""

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.data.formats.jpeg import frame_pixels, has_end
from training.data.formats.lzw import is_sound
from training.data.formats.stored import (
    QUARTER_TURNS,
    Header,
    PixelError,
    Samples,
    Stored,
    check_page,
    check_size,
    damaged,
    known_orientation,
    opaque,
)
from training.data.formats.tiff_stack import (
    CMYK,
    KINDS,
    MIN_IS_WHITE,
    PALETTE,
    RGB,
    YCBCR,
    Page,
    Stack,
    find_stack,
    opened,
)

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ORIENTATION = 274
MAX_TAGS = (341, 281)  # SMaxSampleValue, MaxSampleValue
ALPHA = (1, 2)  # ExtraSamples: associated, unassociated
TIFFFILE = "tifffile"  # as it signs what it writes
UNCOMPRESSED = 1
UNSIGNED = 1  # SampleFormat
LZW = 5
OLD_JPEG, NEW_JPEG = 6, 7
LOWEST_FIRST = 2  # FillOrder
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
MAX_TILE_SHARE, MAX_TILE = 4, 2**22  # of the image's pixels, and pixels: a small image may lie in one usual tile


def is_tiff(data: bytes) -> bool:
    return data[:4] in MAGIC


def read_tiff_header(data: bytes, name: str) -> Header:
    """Raises ValueError for what cannot be read, and for what is too large."""
    with opened(data, name) as tiff:
        stack = find_stack(tiff, data, name)
        page = stack.first
        height, width, orientation = page.imagelength, page.imagewidth, _orientation(page)
        if orientation in QUARTER_TURNS:
            height, width = width, height
        return Header(
            height=height,
            width=width,
            pages=stack.pages,
            channels=3 if page.photometric == PALETTE else stack.channels,
            bits=_bits(page),
            kind=KINDS[int(page.sampleformat)],
            max_value=_stated_max(page),
            orientation=orientation,
            inverted_look=_has_inverted_look(page),
            inverted_from=_inverted_from(page),
        )


def decode_tiff(data: bytes, name: str, number: int) -> Stored:
    """Page `number`, from 0. Raises ValueError for what cannot be read, is too large, or is damaged."""
    with opened(data, name) as tiff:
        stack = find_stack(tiff, data, name)
        check_page(name, number, stack.pages)
        planes = stack.planes[number] if stack.planes else ()
        page = planes[0] if planes else stack.first
        if planes:
            samples = np.concatenate([_read_plane(plane, data, name) for plane in planes], axis=2)
        else:
            samples = _read_unlisted(stack, number, name)
        return _interpreted(samples, page, len(planes) == 1, _has_inverted_look(stack.first), name)


def _read_plane(page: Page, data: bytes, name: str) -> Samples:
    """(h, w, c) of one directory."""
    if page is None:
        raise PixelError(f"{name}: some of its pages lie in other files; save them as one file")
    check_size(name, page.imagelength, page.imagewidth, page.samplesperpixel * page.dtype.itemsize)
    _check_segments(page, data, name)
    if page.photometric == YCBCR and page.compression not in (OLD_JPEG, NEW_JPEG):
        return _read_ycbcr(page, data)
    try:
        samples = page.asarray(maxworkers=1)
    except Exception as error:  # tifffile and its codecs raise whatever they stumble on
        raise PixelError(
            f"{name}: its pixels cannot be decoded ({error}); the file is damaged or of a rare kind; save it again, "
            "uncompressed or compressed by LZW or deflate"
        ) from None
    return np.asarray(np.moveaxis(samples, 0, 2) if page.axes == "SYX" else samples.reshape(*samples.shape[:2], -1))


def _read_unlisted(stack: Stack, number: int, name: str) -> Samples:
    series = stack.unlisted
    assert series is not None
    try:
        whole = series.asarray(maxworkers=1)
    except Exception as error:  # as above
        raise damaged(name, str(error)) from None
    axes = series.axes
    order = [k for k, axis in enumerate(axes) if axis not in "YXCS"] + [axes.index(a) for a in "YXCS" if a in axes]
    height, width = stack.first.imagelength, stack.first.imagewidth
    return np.asarray(whole.transpose(order).reshape(stack.pages, height, width, stack.channels)[number])


def _read_ycbcr(page: Page, data: bytes) -> Samples:
    """Subsampled colours that are not compressed by JPEG, which tifffile leaves out."""
    with Image.open(io.BytesIO(data), formats=["TIFF"]) as file:
        file.seek(page.index)
        return np.asarray(file.convert("RGB"))


def _interpreted(samples: Samples, page: Page, one_directory: bool, inverted_look: bool, name: str) -> Stored:
    photometric, orientation = int(page.photometric), _orientation(page)
    extras = [int(kind) for kind in page.extrasamples]
    count = samples.shape[2]
    if photometric == PALETTE and one_directory and count == 1:
        return Stored(samples, 1, False, orientation, _palette(page.colormap))
    if photometric == CMYK and one_directory and count >= 4:
        return Stored(_cmyk_to_rgb(samples[..., :4], name), 3, False, orientation)
    spread = _spread(samples, page)
    samples = _bigger_is_brighter(spread, page, name) if photometric == MIN_IS_WHITE else spread
    alpha = one_directory and len(extras) > 0 and extras[0] in ALPHA
    colours = count - len(extras) if one_directory else 0  # stains stored as pages are no colours
    if count == 4 and photometric == RGB and not alpha and samples[..., 3].min() == opaque(samples.dtype):
        shown, alpha = 3, True  # OpenCV writes no ExtraSamples; a channel that is full everywhere is no stain
    elif count == 1:
        shown = 1
    elif one_directory and count == 3 and not alpha:
        shown = 3
    else:
        shown = colours if alpha and len(extras) == 1 and colours in (1, 3) else 0
    return Stored(samples, shown, alpha and shown > 0, orientation, numbers=spread if inverted_look else None)


def _spread(samples: Samples, page: Page) -> Samples:
    """Less than 8 bits as 8, as every viewer shows them."""
    bits = _bits(page)
    return samples if bits >= 8 else samples.astype(np.uint8) * np.uint8(255 // ((1 << bits) - 1))


def _bigger_is_brighter(samples: Samples, page: Page, name: str) -> Samples:
    """MinIsWhite inverted."""
    bits, max_value = _bits(page), _stated_max(page)
    if bits < 8:
        bits, max_value = 8, 0
    if not np.issubdtype(samples.dtype, np.unsignedinteger):
        raise PixelError(
            f"{name}: 0 stands for white (MinIsWhite) and its pixels are {samples.dtype}, so black is unknown; save it "
            "with 0 for black"
        )
    top = int(max_value) if max_value > 0 and samples.max() <= max_value else (1 << bits) - 1
    return np.asarray(samples.dtype.type(top) - samples)


def _inverted_from(page: Page) -> int:
    """As in Header, of more than 8 bits: of MinIsWhite the set, and not one file, tells which number is black."""
    unstated = page.photometric == MIN_IS_WHITE and page.sampleformat == UNSIGNED and not _stated_max(page)
    return (1 << _bits(page)) - 1 if unstated and _bits(page) > 8 else 0


def _has_inverted_look(page: Page) -> bool:
    """MinIsWhite by a tool for which numbers count and not the look: tifffile so writes bools, unless told otherwise;
    ImageJ so writes what has an inverting LUT, as its binary masks have, whose objects are 255.
    """
    if page.photometric != MIN_IS_WHITE or page.samplesperpixel != 1:
        return False
    return bool(page.is_imagej) or (_bits(page) == 1 and page.software.startswith(TIFFFILE))


def _cmyk_to_rgb(inks: Samples, name: str) -> Samples:
    if inks.dtype not in (np.uint8, np.uint16):
        raise PixelError(f"{name}: it is CMYK with pixels of type {inks.dtype}; save it as RGB")
    top = int(np.iinfo(inks.dtype).max)
    light = top - inks.astype(np.uint32)
    return ((light[..., :3] * light[..., 3:] + top // 2) // top).astype(inks.dtype)


def _palette(colormap: Any) -> NDArray[np.uint8]:
    colours = np.asarray(colormap).T  # (n, 3) of 16 bits; some writers fill 8 of them
    return (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)


def _check_segments(page: Page, data: bytes, name: str) -> None:
    """Every strip and tile lies in the file, and is no larger than the image needs. tifffile would fill what is
    missing, and reserve memory for whatever a tile says of itself."""
    image = page.imagelength * page.imagewidth
    largest = page.tilelength * page.tilewidth if page.is_tiled else image
    if largest > MAX_TILE_SHARE * image + MAX_TILE:
        raise damaged(name, f"a tile of {page.tilewidth}x{page.tilelength} pixels is larger than the image needs")
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    plain = page.compression == UNCOMPRESSED and page.photometric != YCBCR  # whose colours may be subsampled
    needed = math.prod(page.shape) * _bits(page) // 8 if plain else 1
    whole = all(count > 0 and begin + count <= len(data) for begin, count in segments)
    if whole and page.compression == NEW_JPEG:
        whole = all(has_end(data[begin : begin + count]) for begin, count in segments)
        if any(frame_pixels(data[begin : begin + count]) > 2 * largest + MAX_TILE for begin, count in segments):
            raise damaged(name, "a JPEG in it is larger than its tile or strip")
    if whole and page.compression == LZW:
        parts = (data[begin : begin + count] for begin, count in segments)
        whole = all(is_sound(part.translate(REVERSED) if page.fillorder == LOWEST_FIRST else part) for part in parts)
    if not whole or sum(count for _, count in segments) < needed:
        raise damaged(name, "a part of its pixels is missing")


def _orientation(page: Page) -> int:
    tag = page.tags.get(ORIENTATION)
    return known_orientation(int(tag.value) if tag is not None else 1)


def _bits(page: Page) -> int:
    bits = page.bitspersample
    return max(bits) if isinstance(bits, tuple) else int(bits)


def _stated_max(page: Page) -> float:
    """A tag's; or what fits in the bits of a depth that no machine has, as a camera's 12."""
    for code in MAX_TAGS:
        tag = page.tags.get(code)
        if tag is not None:
            try:
                value = float(np.max(tag.value))
            except (TypeError, ValueError):
                continue  # a malformed tag states nothing
            if math.isfinite(value) and value > 0:
                return value
    bits = _bits(page)
    return float((1 << bits) - 1) if 8 < bits < 32 and bits not in (16, 24) and page.sampleformat == UNSIGNED else 0
