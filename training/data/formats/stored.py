"""What a file of pixels says of itself and what it holds: common to every format.

Knows the limits of what is read at once; decodes nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMATS = "png, jpg, bmp, tif, webp, gif"
MAX_MEGAPIXELS = 100
MAX_PIXEL_BYTES = 8  # on average, of an image of MAX_MEGAPIXELS: four channels of 16 bits
UNTURNED = 1  # the orientation of a file without the tag
QUARTER_TURNS = (5, 6, 7, 8)  # orientations that swap height and width

Samples = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says about itself before its pixels are decoded."""

    height: int  # pixels, as seen: after the orientation tag
    width: int
    pages: int  # images, or frames of an animation; channels that are stored as pages do not count
    channels: int  # samples of a pixel as stored, alpha included; a palette counts as its three colours
    bits: int  # of a sample
    kind: str  # uint, int, float
    max_value: float  # the value that stands for white; 0 where the file does not say
    orientation: int  # EXIF's and TIFF's tag, 1 to 8
    inverted_look: bool = False  # whether Stored.numbers would be there
    inverted_from: int = 0  # samples are what a file's numbers lack to this: 0 is white there, and black is not stated

    @property
    def grey(self) -> bool:
        """Surely one channel; a colour file may still hold grey pixels only."""
        return self.channels == 1

    def as_stored(self, samples: Samples) -> Samples:
        """Samples as the file's own numbers, which tell its range."""
        return samples.dtype.type(self.inverted_from) - samples if self.inverted_from else samples


@dataclass(frozen=True)
class Stored:
    """The samples of one page, not turned yet."""

    samples: Samples  # (h, w, c): RGB order, bigger is brighter; (h, w, 1) indices where there is a palette
    shown: int  # how many leading channels make the picture: 1 or 3; 0 where the file does not tell
    alpha: bool  # the channel after those is transparency
    orientation: int
    palette: NDArray[np.uint8] | None = None  # (n, 3), RGB, of a file that has one
    numbers: Samples | None = None  # (h, w, 1): a mask's, of a tool that lets viewers show the highest in black


class PixelError(ValueError):
    """What is wrong with a file of pixels, said to its owner."""


def unreadable(name: str) -> PixelError:
    return PixelError(f"{name}: this is no image that can be read; give a whole {FORMATS} file")


def damaged(name: str, seen: str) -> PixelError:
    return PixelError(f"{unreadable(name)} (this one is damaged: {seen})")


def check_page(name: str, page: int, pages: int) -> None:
    if not 0 <= page < pages:
        raise PixelError(f"{name}: page {page} is wanted, but the file has {pages}, counted from 0")


def check_size(name: str, height: int, width: int, pixel_bytes: int) -> None:
    """Raises ValueError for what is too large to be one sample; called before anything is decoded."""
    if height < 1 or width < 1:
        raise unreadable(name)
    if height * width > MAX_MEGAPIXELS * 1_000_000:
        raise PixelError(
            f"{name}: the image has {width}x{height} = {height * width / 1e6:.0f} megapixels; at most {MAX_MEGAPIXELS} "
            "are read at once; cut it into pieces first"
        )
    if height * width * pixel_bytes > MAX_MEGAPIXELS * 1_000_000 * MAX_PIXEL_BYTES:
        raise PixelError(
            f"{name}: the image takes {height * width * pixel_bytes / 1e6:.0f} MB ({width}x{height}, {pixel_bytes} "
            f"bytes a pixel); at most {MAX_MEGAPIXELS * MAX_PIXEL_BYTES} are read at once; cut it into pieces first"
        )


def turn(pixels: Samples, orientation: int) -> Samples:
    """(h, w) or (h, w, c) as stored -> as seen, by EXIF's orientation tag, 1 to 8. The result is contiguous."""
    assert 1 <= orientation <= 8, orientation
    if orientation in QUARTER_TURNS:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def known_orientation(tag: object) -> int:
    return tag if isinstance(tag, int) and 1 <= tag <= 8 else UNTURNED


def opaque(dtype: np.dtype[Any]) -> float:
    """The level of a transparency channel that hides nothing."""
    return 1 if dtype.kind == "f" else int(np.iinfo(dtype).max)
