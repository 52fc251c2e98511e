"""Files of pixels, read: an image becomes uint8 grey or RGB, a mask becomes the numbers its file holds.

The same decoding serves training and serving, because a difference between them would be silent. Nothing here knows
folders, torch, trials or MLflow.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

FORMATS = "png, jpg, bmp, tif, webp, gif"
MAX_MEGAPIXELS = 100
STATED = 0  # image_max: what the file states, else all its 16 bits
TIFF_MAX_TAGS = (281, 341)  # MaxSampleValue, SMaxSampleValue
EXIF_ORIENTATION = 0x0112
QUARTER_TURNS = (5, 6, 7, 8)  # orientations that swap height and width
UNREADABLE_MODES = {"F": "floating-point", "I": "32-bit"}
DECODE_IMAGE = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR_RGB  # applies EXIF's orientation, drops transparency

Pixels = NDArray[np.uint8]

Image.MAX_IMAGE_PIXELS = None  # our own limit is lower, and its error names file, rule and cure
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a broken file is reported by us


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says about itself before its pixels are decoded."""

    height: int  # pixels, as seen: after EXIF's rotation
    width: int
    pages: int
    mode: str  # Pillow's: L, RGB, I;16 ...
    max_value: int  # the value that stands for white; 0 where the file does not say

    @property
    def grey(self) -> bool:
        """Surely one channel; a colour file may still hold grey pixels only."""
        return self.mode in ("1", "L", "I;16", "I;16B")


def read_header(data: bytes, name: str) -> Header:
    """Raises ValueError for what is no image, and for one that is too large to be one sample."""
    file = _open(data, name)
    width, height = file.size
    if height * width > MAX_MEGAPIXELS * 1_000_000:
        raise ValueError(
            f"{name}: the image has {width}x{height} = {height * width / 1e6:.0f} megapixels; at most {MAX_MEGAPIXELS} "
            "are read at once; cut it into pieces first"
        )
    try:
        exif = file.format != "PNG" or b"eXIf" in data  # to look for what is not there, Pillow would decode a whole PNG
        if exif and file.getexif().get(EXIF_ORIENTATION) in QUARTER_TURNS:
            width, height = height, width
        pages = int(getattr(file, "n_frames", 1))
    except (OSError, SyntaxError, ValueError):
        raise _unreadable(name) from None
    return Header(height=height, width=width, pages=pages, mode=file.mode, max_value=_stated_max(file))


def read_image(path: Path, page: int = 0, image_max: int = STATED) -> Pixels:
    """As decode_image, of a file."""
    return decode_image(path.read_bytes(), str(path), page, image_max)


def decode_image(data: bytes, name: str, page: int = 0, image_max: int = STATED) -> Pixels:
    """(h, w, c) uint8, c = 1 when every pixel is grey, else 3 (RGB). `name` is what an error calls it.

    image_max: the value that becomes 255 where a file has more than 8 bits, as a 12-bit camera's 4095. Raises
    ValueError for what is no image, and for a value above image_max: nothing wraps and nothing is clipped.
    """
    header = read_header(data, name)
    if header.mode in UNREADABLE_MODES:
        raise ValueError(
            f"{name}: its pixels are {UNREADABLE_MODES[header.mode]} numbers, whose range nothing states; save it "
            "with 8 or 16 bits a channel"
        )
    pixels = _decode(data, name, page, DECODE_IMAGE)
    if pixels.dtype == np.uint16:
        pixels = _scale(pixels, name, image_max or header.max_value or 65535)
    grey = np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 1], pixels[..., 2])
    return np.ascontiguousarray(pixels[..., :1]) if grey else pixels


def decode_labels(data: bytes, name: str, page: int = 0) -> NDArray[np.int32]:
    """(h, w): the numbers of a mask's pixels. A palette gives its indices, unless all its colours are grey; a colour
    its number 0xRRGGBB, or its level where it is grey. Raises ValueError for what is no image."""
    file = _open(data, name)
    if file.mode in ("P", "I") and page == 0:
        return _pillow_labels(file, name)
    values = _decode(data, name, page, cv2.IMREAD_UNCHANGED)
    if values.ndim == 2:
        return values.astype(np.int32)
    if values.shape[2] == 4:
        if values[..., 3].min() != values[..., 3].max():
            raise ValueError(f"{name}: the mask is partly transparent; save it without an alpha channel")
        values = values[..., :3]
    if values.shape[2] != 3 or values.dtype != np.uint8:
        raise ValueError(f"{name}: a mask has 1 channel, or 3 of 8 bits; this one has {values.shape[2]}")
    return _colour_labels(values[..., ::-1])


def to_channels(image: Pixels, channels: int) -> Pixels:
    """Grey to RGB by repetition, RGB to grey by luma, or unchanged."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8)[..., None]


def otsu_mask(image: Pixels, dark: bool) -> Pixels:
    """(h, w, c) -> (h, w) of 0 and 1 by Otsu's threshold on the luma: the floor a trained network must beat."""
    grey = np.ascontiguousarray(to_channels(image, 1)[..., 0])
    kind = cv2.THRESH_BINARY_INV if dark else cv2.THRESH_BINARY
    return cv2.threshold(grey, 0, 1, kind + cv2.THRESH_OTSU)[1].astype(np.uint8)


def _open(data: bytes, name: str) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(data))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        raise _unreadable(name) from None


def _stated_max(file: ImageFile.ImageFile) -> int:
    tags = getattr(file, "tag_v2", {})
    try:
        return max((int(np.max(tags[tag])) for tag in TIFF_MAX_TAGS if tag in tags), default=0)
    except (TypeError, ValueError):
        return 0  # a malformed tag states nothing


def _decode(data: bytes, name: str, page: int, flags: int) -> NDArray[Any]:
    buffer = np.frombuffer(data, np.uint8)
    try:
        if page == 0:
            pixels = cv2.imdecode(buffer, flags)
        else:
            _, pages = cv2.imdecodemulti(buffer, flags, range=(page, page + 1))
            pixels = pages[0] if pages else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise _unreadable(name)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{name}: its pixels are of type {pixels.dtype}; save the file with 8 or 16 bits a channel")
    return pixels


def _unreadable(name: str) -> ValueError:
    return ValueError(f"{name}: this is no image that can be read; give a whole {FORMATS} file")


def _scale(pixels: NDArray[Any], name: str, image_max: int) -> Pixels:
    highest = int(pixels.max())
    if highest > image_max:
        raise ValueError(
            f"{name}: a pixel is {highest}, but image_max={image_max} is meant to be the highest; give image_max="
            f"{highest} or more"
        )
    levels = np.rint(np.arange(highest + 1) * (255 / image_max)).astype(np.uint8)
    return np.asarray(levels[pixels])


def _pillow_labels(file: ImageFile.ImageFile, name: str) -> NDArray[np.int32]:
    """Of a palette or of 32 bits, which OpenCV turns into colours or cannot read."""
    try:
        indices = np.asarray(file).astype(np.int32)
    except (OSError, SyntaxError, ValueError):
        raise _unreadable(name) from None
    if file.mode == "I":
        return indices
    colours = np.array(file.getpalette("RGB"), np.int32).reshape(-1, 3)
    if (colours == colours[:, :1]).all() and indices.max() < len(colours):
        return np.asarray(colours[indices, 0])
    return indices


def _colour_labels(rgb: Pixels) -> NDArray[np.int32]:
    red, green, blue = (rgb[..., channel].astype(np.int32) for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return red
    return (red << 16) | (green << 8) | blue
