"""An image too large for the network at once: overlapping tiles, predicted one by one and faded into each other."""

from collections.abc import Callable, Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from serving.inference.network import Probability
from training.data.images import Pixels

OVERLAP = 4  # tiles overlap by a quarter of their side, and are blended there


def blend_tiles(image: Pixels, size: int, predict: Callable[[Pixels], Probability]) -> Probability:
    """(h, w, c) -> (h, w): overlapping tiles of `size`, faded into each other, so that no seam shows.

    A tile at a time, so memory is that of the image and of its probability.
    """
    height, width, channels = image.shape
    padded_height, padded_width = max(height, size), max(width, size)
    if (padded_height, padded_width) != (height, width):
        borders = (0, padded_height - height, 0, padded_width - width)
        padded = cv2.copyMakeBorder(image, *borders, cv2.BORDER_REFLECT_101)
        image = padded.reshape(padded_height, padded_width, channels).astype(np.uint8)
    tops, lefts = starts(padded_height, size), starts(padded_width, size)
    ramp = fade(size)
    total = np.zeros((padded_height, padded_width), np.float32)
    for top in tops:
        for left in lefts:
            tile = predict(image[None, top : top + size, left : left + size])[0]
            total[top : top + size, left : left + size] += tile * ramp[:, None] * ramp
    total /= summed(ramp, tops, padded_height)[:, None]
    total /= summed(ramp, lefts, padded_width)
    return total[:height, :width]


def starts(length: int, size: int) -> list[int]:
    """Where tiles begin: the first and the last at the edges, evenly spread, overlapping by size / OVERLAP at least."""
    count = 1 + -(-(length - size) // (size - size // OVERLAP))
    return [round(k * (length - size) / (count - 1)) for k in range(count)] if count > 1 else [0]


def fade(size: int) -> NDArray[np.float32]:
    """A tile's weight along a side: 1 in its middle, falling to almost 0 over the overlap."""
    distance = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    return np.clip(distance / (size // OVERLAP), 0, 1).astype(np.float32)


def summed(ramp: NDArray[np.float32], begins: Iterable[int], length: int) -> NDArray[np.float32]:
    """The weights of all tiles along a side."""
    total = np.zeros(length, np.float32)
    for begin in begins:
        total[begin : begin + len(ramp)] += ramp
    return total
