"""Files of pixels, read: an image becomes uint8 grey or RGB, a mask becomes the numbers its file holds.

The same decoding serves training and serving, because a difference between them would be silent. Nothing here knows
folders, torch, trials or MLflow.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.formats.labels import stored_labels
from training.data.formats.raster import decode_raster, is_transparent_raster, read_raster_header
from training.data.formats.stored import FORMATS, MAX_MEGAPIXELS, Header, PixelError, Samples, Stored, opaque, turn
from training.data.formats.tiff import decode_tiff, is_tiff, read_tiff_header

FROM_FILE = 0  # image_max: what the file states
AUTO_CHANNELS, MEAN = "auto", "mean"
FULL_RANGE_FROM = 16384  # a value that only a file of all 16 bits holds, and none of 14 or fewer

Pixels = NDArray[np.uint8]

__all__ = [
    "AUTO_CHANNELS",
    "FORMATS",
    "FROM_FILE",
    "MAX_MEGAPIXELS",
    "Header",
    "Pixels",
    "decode_image",
    "decode_labels",
    "decode_samples",
    "has_transparency",
    "otsu_mask",
    "parse_channels",
    "read_header",
    "read_image",
    "to_bytes",
    "to_channels",
    "turn",
]


def read_header(data: bytes, name: str) -> Header:
    """Raises ValueError for what is no image, and for one that is too large to be one sample."""
    return read_tiff_header(data, name) if is_tiff(data) else read_raster_header(data, name)


def read_image(path: Path, page: int = 0, image_max: float = FROM_FILE, channels: str = AUTO_CHANNELS) -> Pixels:
    """As decode_image, of a file."""
    return decode_image(path.read_bytes(), str(path), page, image_max, channels)


def decode_image(
    data: bytes, name: str, page: int = 0, image_max: float = FROM_FILE, channels: str = AUTO_CHANNELS
) -> Pixels:
    """(h, w, c) uint8 as seen, c = 1 when every pixel is grey, else 3 (RGB). `name` is what an error calls it.

    image_max: the value that becomes 255 where a file has more than 8 bits, as a 12-bit camera's 4095. FROM_FILE takes
    what the file states; 16 bits that are used are their own range; anything else asks by a ValueError.
    channels: see decode_samples. Raises ValueError for what is no image, and for a value above image_max: nothing
    wraps and nothing is clipped.
    """
    samples = decode_samples(data, name, page, channels)
    if samples.dtype != np.uint8:
        header = read_header(data, name)
        stored = header.as_stored(samples)
        levels = to_bytes(stored, name, image_max or _range_of(stored, header.max_value, name))
        pixels = 255 - levels if header.inverted_from else levels
    else:
        pixels = samples
    if pixels.shape[2] == 3:
        red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
        if np.array_equal(red, green) and np.array_equal(green, blue):
            return np.ascontiguousarray(pixels[..., :1])
    return pixels


def decode_samples(data: bytes, name: str, page: int = 0, channels: str = AUTO_CHANNELS) -> Samples:
    """(h, w, c), c = 1 or 3, in the file's own numbers, as seen: turned, RGB order, palettes resolved, bigger is
    brighter, transparency dropped.

    channels: "0,2" takes these as stored, from 0 (one becomes grey, two or three red, green and blue); "mean" their
    mean. AUTO_CHANNELS takes grey or RGB, and raises ValueError where a file does not tell which channels those are.
    """
    chosen = parse_channels(channels)
    stored = _decode(data, name, page)
    samples = stored.samples
    if stored.palette is not None:
        samples = _colours(samples[..., 0], stored.palette, name)
    if channels != AUTO_CHANNELS:
        samples = _choose(samples, chosen, stored.alpha, name)
    elif stored.shown:
        samples = samples if stored.palette is not None else samples[..., : stored.shown]
    else:
        count = samples.shape[2]
        raise PixelError(
            f"{name}: it has {count} channels, and the file does not say which of them make the picture; say which: "
            f"channels={'0,1' if count == 2 else '0,2' if count != 4 else '0,1,2'} (one to three, counted from 0) or "
            "channels=mean"
        )
    return turn(samples, stored.orientation)


def decode_labels(data: bytes, name: str, page: int = 0) -> NDArray[np.int32]:
    """(h, w), not turned by the orientation tag: the numbers of a mask's pixels. Fewer than 8 bits, and 0 for white,
    are levels 0 to 255 as a viewer shows them; a colour, of a palette too, is its number 0xRRGGBB, or its level where
    the whole mask is grey. Raises ValueError for what is no image, and for what is no whole number."""
    return stored_labels(_decode(data, name, page), name)


def has_transparency(data: bytes, name: str, page: int = 0) -> bool:
    """Whether some pixel is not opaque: a channel that decode_image drops says something there."""
    if not is_tiff(data):
        return is_transparent_raster(data, name, page)
    if read_header(data, name).channels not in (2, 4):
        return False
    stored = _decode(data, name, page)
    if not stored.alpha:
        return False
    alpha = stored.samples[..., stored.shown]
    return bool(alpha.min() < opaque(alpha.dtype))


def parse_channels(channels: str) -> tuple[int, ...]:
    """Of "0,2": 0 and 2; of AUTO_CHANNELS and "mean" none. Raises ValueError."""
    if channels in (AUTO_CHANNELS, MEAN):
        return ()
    numbers = channels.split(",")
    if len(numbers) > 3 or not all(number.strip().isdecimal() for number in numbers):
        raise ValueError(
            f"channels={channels!r} is no choice; give one to three numbers counted from 0, as 0,2, or mean, or auto"
        )
    return tuple(int(number) for number in numbers)


def to_bytes(samples: Samples, name: str, image_max: float) -> Pixels:
    """(h, w, c) of any numbers -> uint8: image_max becomes 255, 0 stays 0, rounded. uint8 stays as it is.

    Raises ValueError for a value that is no number, below 0, or above image_max.
    """
    if samples.dtype == np.uint8:
        return samples
    _check_values(samples, name)
    highest = samples.max()
    if highest > image_max:
        raise PixelError(
            f"{name}: a pixel is {highest:.10g}, but image_max={image_max:.10g} is meant to be the highest; give "
            f"image_max={highest:.10g} or more"
        )
    if samples.dtype == np.uint16:
        levels = np.rint(np.arange(int(highest) + 1) * (255 / image_max)).astype(np.uint8)
        return np.asarray(levels[samples])
    return np.rint(samples * (255 / image_max)).astype(np.uint8)


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


def _decode(data: bytes, name: str, page: int) -> Stored:
    return decode_tiff(data, name, page) if is_tiff(data) else decode_raster(data, name, page)


def _colours(indices: Samples, palette: Pixels, name: str) -> Pixels:
    if indices.max() >= len(palette):
        raise PixelError(f"{name}: a pixel is {indices.max()}, but its palette has {len(palette)} colours")
    return palette[indices]


def _choose(samples: Samples, chosen: tuple[int, ...], alpha: bool, name: str) -> Samples:
    count = samples.shape[2]
    if not chosen:
        mean = samples[..., : count - alpha].mean(axis=2, keepdims=True, dtype=np.float64)
        return (mean if samples.dtype.kind == "f" else np.rint(mean)).astype(samples.dtype)
    if max(chosen) >= count:
        raise PixelError(
            f"{name}: channels={','.join(map(str, chosen))} is asked for, but it has {count}, counted from 0"
        )
    picked = samples[..., list(chosen)]
    return np.concatenate([picked, np.zeros_like(picked[..., :1])], axis=2) if len(chosen) == 2 else picked


def _check_values(samples: Samples, name: str) -> None:
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise PixelError(f"{name}: a pixel is not a number, or infinite; replace such pixels, by 0 for example")
    lowest = samples.min()
    if lowest < 0:
        raise PixelError(
            f"{name}: a pixel is {lowest:.10g}, but 0 is meant to be black; shift the values to start at 0"
        )


def _range_of(samples: Samples, stated: float, name: str) -> float:
    """The value of white, where nobody gave it."""
    if stated:
        return stated
    _check_values(samples, name)
    highest = samples.max()
    if highest == 0:
        return 1  # black in every range
    if samples.dtype == np.uint16 and highest >= FULL_RANGE_FROM:
        return 65535
    raise PixelError(
        f"{name}: its highest pixel is {highest:.10g}, of type {samples.dtype}, and the file does not say which value "
        "is white; say it: image_max=4095 for 12 bits, 65535 for 16, 1 for numbers from 0 to 1"
    )
