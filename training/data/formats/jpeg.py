"""JPEG, decoded by libjpeg-turbo with its warnings: OpenCV and Pillow fill what is missing with grey."""

import re
from collections.abc import Iterator

import numpy as np
import simplejpeg

from training.data.formats.stored import Samples, damaged, unreadable

MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither a stuffed byte nor a restart within the pixels
END, BARE_MARKERS = 0xD9, (0x01, 0xD8)
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # headers of frames: with height and width
DAMAGE = ("Premature end", "Corrupt JPEG data")  # of libjpeg's warnings; the others do not concern pixels


def decode_jpeg(data: bytes, name: str, mode: str) -> Samples:
    """(h, w, c); mode: Pillow's L, RGB or CMYK. Raises ValueError for what is damaged or cannot be read."""
    if not has_end(data):
        raise damaged(name, "its end is missing")
    colours = "GRAY" if mode == "L" else mode
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, colours, strict=True))
    except ValueError as error:
        if str(error).startswith(DAMAGE):
            raise damaged(name, str(error)) from None
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, colours, strict=False))
    except ValueError:
        raise unreadable(name) from None


def has_end(data: bytes) -> bool:
    """Follows the segments, because a preview within them has an end too, and anything may stand behind."""
    return any(marker == END for marker, _ in _markers(data))


def frame_pixels(data: bytes) -> int:
    """How many pixels it becomes, as its frame header says; 0 without one. Nothing is decoded."""
    begin = next((begin for marker, begin in _markers(data) if marker in FRAMES), None)
    if begin is None:
        return 0
    height, width = (int.from_bytes(data[begin + k : begin + k + 2], "big") for k in (3, 5))
    return height * width


def _markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker up to the end of the image, and where what follows it begins."""
    found = MARKER.search(data, 2)
    while found:
        marker, begin = data[found.end() - 1], found.end()
        yield marker, begin
        if marker == END:
            return
        if marker not in BARE_MARKERS:
            begin += max(2, int.from_bytes(data[begin : begin + 2], "big"))
        found = MARKER.search(data, begin)
