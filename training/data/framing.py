"""How images of any size become arrays of one size, and a prediction goes back to the image's own size.

`resize` keeps the whole image, its long side scaled to image_size pixels; `tile` keeps every pixel, cut into squares.
What an array holds beyond its image is reflected, and marked OUTSIDE in its mask, so it is neither learned nor scored.
Serving frames with the same code. Arrays in, arrays out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.images import Pixels
from training.study.trial import FITS

OUTSIDE = 2  # in a mask, beside 0 (background) and 1 (foreground)
STRIDE = 16  # the network halves an image's sides four times

Tiles = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The shape of every tile of every image of a set; pixels."""

    fit: str  # resize or tile
    image_size: int  # resize: the long side an image is scaled to; tile: the side of a tile
    height: int
    width: int


@dataclass(frozen=True)
class _Window:
    """Where a tile lies in its image, and the rows and columns that are its own; all in the image's pixels."""

    top: int
    left: int
    rows: slice
    columns: slice


def make_frame(fit: str, image_size: int, sizes: Iterable[tuple[int, int]]) -> Frame:
    """The smallest frame for images of these sizes (height, width). Raises ValueError for an unknown fit."""
    if fit == "tile":
        return Frame(fit=fit, image_size=image_size, height=image_size, width=image_size)
    if fit != "resize":
        raise ValueError(f"fit={fit!r} is unknown; it must be one of {', '.join(FITS)}")
    scaled = [_scaled(height, width, image_size) for height, width in sizes]
    height, width = (_round_up(max(sides)) for sides in zip(*scaled, strict=True))
    return Frame(fit=fit, image_size=image_size, height=height, width=width)


def num_tiles(height: int, width: int, frame: Frame) -> int:
    """How many arrays an image of this size becomes."""
    return len(_windows(height, width, frame.image_size)) if frame.fit == "tile" else 1


def frame_image(image: Pixels, frame: Frame) -> Pixels:
    """(h, w, c) -> (tiles, frame height, frame width, c), area-averaged where it shrinks.

    An image whose other aspect asks for more than the frame gets as much as it needs.
    """
    height, width, channels = image.shape
    if frame.fit == "tile":
        size = frame.image_size
        image = _reflect(image, 0, 0, max(height, size), max(width, size))
        return np.stack([image[w.top : w.top + size, w.left : w.left + size] for w in _windows(height, width, size)])
    rows, columns = _scaled(height, width, frame.image_size)
    shrinks = rows < height
    resized = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return _place(resized.reshape(rows, columns, channels).astype(np.uint8), frame)[None]


def frame_mask(mask: Pixels, frame: Frame) -> Pixels:
    """(h, w) of 0 and 1 -> (tiles, frame height, frame width) of 0, 1 and OUTSIDE, sampled to the nearest pixel."""
    height, width = mask.shape
    if frame.fit == "tile":
        windows = _windows(height, width, frame.image_size)
        tiles = np.full((len(windows), frame.height, frame.width), OUTSIDE, np.uint8)
        for tile, w in zip(tiles, windows, strict=True):
            tile[_shifted(w.rows, w.top), _shifted(w.columns, w.left)] = mask[w.rows, w.columns]
        return tiles
    rows, columns = _scaled(height, width, frame.image_size)
    resized = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT)
    outer_height, outer_width, top, left = _margins(rows, columns, frame)
    tile = np.full((outer_height, outer_width), OUTSIDE, np.uint8)
    tile[top : top + rows, left : left + columns] = resized
    return tile[None]


def assemble(tiles: Tiles, frame: Frame, height: int, width: int) -> Tiles:
    """The whole image again, of (tiles, frame height, frame width, ...): nothing beyond it, nothing twice.

    tile: (h, w, ...), each pixel from the tile that owns it. resize: at the size it was scaled to.
    """
    if frame.fit == "tile":
        whole = np.empty((height, width, *tiles.shape[3:]), tiles.dtype)
        for tile, w in zip(tiles, _windows(height, width, frame.image_size), strict=True):
            whole[w.rows, w.columns] = tile[_shifted(w.rows, w.top), _shifted(w.columns, w.left)]
        return whole
    rows, columns = _scaled(height, width, frame.image_size)
    _, _, top, left = _margins(rows, columns, frame)
    return tiles[0, top : top + rows, left : left + columns]


def join(tiles: Tiles, frame: Frame, height: int, width: int) -> Tiles:
    """(tiles, frame height, frame width) of numbers -> (h, w): assembled, and bilinear to the image's own size."""
    whole = assemble(tiles, frame, height, width)
    return whole if frame.fit == "tile" else cv2.resize(whole, (width, height), interpolation=cv2.INTER_LINEAR)


def _scaled(height: int, width: int, image_size: int) -> tuple[int, int]:
    long = max(height, width)
    return max(1, round(height * image_size / long)), max(1, round(width * image_size / long))


def _margins(rows: int, columns: int, frame: Frame) -> tuple[int, int, int, int]:
    """Height and width of the frame, and where in it an image of rows x columns begins: it lies in the middle."""
    height, width = max(frame.height, _round_up(rows)), max(frame.width, _round_up(columns))
    return height, width, (height - rows) // 2, (width - columns) // 2


def _place(image: Pixels, frame: Frame) -> Pixels:
    height, width, top, left = _margins(image.shape[0], image.shape[1], frame)
    return _reflect(image, top, left, height, width)


def _reflect(image: Pixels, top: int, left: int, height: int, width: int) -> Pixels:
    """The image in an array of height x width, its first pixel at (top, left), mirrored beyond its edges."""
    rows, columns, channels = image.shape
    if (rows, columns) == (height, width):
        return image
    borders = (top, height - rows - top, left, width - columns - left)
    return cv2.copyMakeBorder(image, *borders, cv2.BORDER_REFLECT_101).reshape(height, width, channels).astype(np.uint8)


def _windows(height: int, width: int, size: int) -> list[_Window]:
    """As few tiles as cover the image, evenly spread; where two overlap, each owns its half of the overlap."""
    return [
        _Window(top, left, rows, columns)
        for top, rows in _spans(height, size)
        for left, columns in _spans(width, size)
    ]  # fmt: skip


def _spans(length: int, size: int) -> list[tuple[int, slice]]:
    count = -(-length // size)
    starts = [round(index * (length - size) / (count - 1)) for index in range(count)] if count > 1 else [0]
    edges = [0, *((before + size + after) // 2 for before, after in pairwise(starts)), length]
    return [(start, slice(*edge)) for start, edge in zip(starts, pairwise(edges), strict=True)]


def _shifted(rows: slice, by: int) -> slice:
    return slice(rows.start - by, rows.stop - by)


def _round_up(side: int) -> int:
    return -(-side // STRIDE) * STRIDE
