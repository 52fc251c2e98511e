"""The numbers of a mask's pixels: levels, classes, or colours as 0xRRGGBB."""

import numpy as np
from numpy.typing import NDArray

from training.data.formats.stored import PixelError, Samples, Stored

INT32 = np.iinfo(np.int32)
MAX_ROUNDING = 1e-3  # how far a float may be from the whole number it is meant to be

Labels = NDArray[np.int32]


def stored_labels(stored: Stored, name: str) -> Labels:
    """(h, w). Raises ValueError for what says nothing for certain."""
    samples = stored.samples
    if stored.numbers is not None:
        return _whole_numbers(stored.numbers[..., 0], name)
    if stored.palette is not None:
        return _palette_labels(samples[..., 0], stored.palette, name)
    if stored.alpha:
        alpha, samples = samples[..., stored.shown], samples[..., : stored.shown]
        if alpha.min() != alpha.max():
            raise PixelError(
                f"{name}: the mask is partly transparent; save it without an alpha channel, or, if what is opaque is "
                "the mask, save that channel alone"
            )
    if samples.shape[2] == 1:
        return _whole_numbers(samples[..., 0], name)
    if samples.shape[2] != 3 or not stored.shown or samples.dtype != np.uint8:
        raise PixelError(
            f"{name}: a mask has 1 channel, or 3 of 8 bits; this one has {samples.shape[2]} of type {samples.dtype}"
        )
    return _colour_labels(samples)


def _whole_numbers(values: Samples, name: str) -> Labels:
    if values.dtype in (np.uint8, np.uint16):
        return values.astype(np.int32)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise PixelError(f"{name}: a pixel of the mask is not a number, or infinite; save it as whole numbers")
        values = _round(values, name)
    if int(values.min()) < INT32.min or int(values.max()) > INT32.max:
        raise PixelError(
            f"{name}: the mask's values go from {values.min():.12g} to {values.max():.12g}; at most {INT32.max} is "
            "read; number the classes or objects from 1"
        )
    return values.astype(np.int32)


def _round(values: Samples, name: str) -> Samples:
    """Whole numbers but for what computing left; fractions of 1 as levels of 255, as they would be saved as png."""
    values = values.astype(np.promote_types(values.dtype, np.float32))  # 16 bits are too few to multiply
    whole = np.rint(values)
    fractions = np.abs(values - whole) > MAX_ROUNDING
    if not fractions.any():
        return whole
    if values.min() >= 0 and values.max() <= 1:
        return np.rint(255 * values)
    raise PixelError(
        f"{name}: a pixel of the mask is {values[fractions].flat[0]:.6g}, and a mask holds whole numbers, or fractions "
        "from 0 to 1 only; if these are probabilities, save the mask that they mean, as 0 and 255"
    )


def _palette_labels(indices: Samples, palette: NDArray[np.uint8], name: str) -> Labels:
    """By colour, because two tools may number the same colours differently."""
    used = np.flatnonzero(np.bincount(indices.ravel()))
    if used[-1] >= len(palette):
        raise PixelError(f"{name}: a pixel is {used[-1]}, but its palette has {len(palette)} colours")
    if len(np.unique(palette[used], axis=0)) < len(used):
        return indices.astype(np.int32)  # colours that do not tell the classes apart
    table = np.zeros(len(palette), np.int32)
    table[used] = _colour_labels(palette[used])
    return table[indices]


def _colour_labels(rgb: NDArray[np.uint8]) -> Labels:
    """(..., 3) -> (...): the level where all colours are grey, else 0xRRGGBB."""
    red, green, blue = (rgb[..., channel].astype(np.int32) for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return red
    return (red << 16) | (green << 8) | blue
