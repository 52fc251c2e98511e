"""How well a mask fits its image: what a linear look at the pixels can say of it. Arrays in, numbers out.

It tells whether a mask was turned against its image, or inverted, because the pixels of a mask that fits can be told
from the others by colour, local brightness or edges. No network is trained, and nothing is assumed of what is shown.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.formats.stored import QUARTER_TURNS, turn

SIDE = 256  # pixels, the long side of what is looked at
QUICK_SIDE = 128  # of what is looked at in every image
PAIR_SIDE = 64  # of what is looked at when every mask is laid on every image
COARSE, FINE = 8.0, 1.0  # pixels, standard deviations of the blurs
RIDGE = 1e-3  # on standardized features: keeps the fit defined where features are constant
MIN_PIXELS = 8  # of foreground and of background, below which nothing can be said
NUM_FEATURES = 5
CLEAR = 0.05  # of R^2: a difference that is no noise, where several pairs have it
CLEAR_ALONE = 0.5  # that one or two pairs can be trusted with
SURE = 3.0  # standard errors of the mean difference over many pairs

Features = NDArray[np.float32]


def agreement(image: NDArray[Any], mask: NDArray[np.uint8]) -> float:
    """R^2, 0 to 1, of the best linear guess of the mask (h, w; 1 is foreground, 0 background, others do not count)
    from the image (h, w, c). nan where the mask has no foreground or no background.
    """
    small = _shrink(mask, SIDE)
    if not _has_both(small):
        return math.nan
    counts = small.ravel() < 2
    features = _standardized(_features(image, small.shape)[counts])
    return float(_r2(features, _products(features, [small.ravel()[counts]]))[0])


@dataclass(frozen=True)
class Look:
    """What a quick look says of a pair; nothing where its mask has no foreground or no background."""

    correlations: tuple[float, ...]  # with brightness, two of colour, local brightness and edges, -1 to 1: inverting a
    # mask turns all their signs
    turned: tuple[float, ...]  # the agreement if the mask were turned by each orientation tag, from 1 (as it is) to 8;
    # those that swap height and width of squares only


def look_at(image: NDArray[Any], mask: NDArray[np.uint8]) -> Look:
    """As in `agreement`, at a smaller size; pixels that do not count are as if of mean value."""
    small = _shrink(mask, QUICK_SIDE)
    if not _has_both(small):
        return Look((), ())
    square = small.shape[0] == small.shape[1]
    tags = [tag for tag in range(1, 9) if square or tag not in QUARTER_TURNS]
    features = _standardized(_features(image, small.shape))
    products = _products(features, [turn(small, tag) for tag in tags])
    correlations, turned = products[0].round(4).tolist(), _r2(features, products).round(4).tolist()
    return Look(tuple(correlations), tuple(turned))


@dataclass(frozen=True)
class SmallPairs:
    """Pairs at PAIR_SIDE squared pixels, to lay each mask on each image, or beside where it lies on its own."""

    features: list[Features]
    masks: NDArray[
        np.float32
    ]  # (n, PAIR_SIDE, PAIR_SIDE): standardized, 0 where nothing counts; over the fraction that
    # counts, so that a mean over all pixels is one over those
    telling: NDArray[np.bool_]  # (n,): enough foreground, and enough background

    @classmethod
    def of(cls, pairs: Iterable[tuple[NDArray[Any], NDArray[np.uint8]]]) -> Self:
        features, small = [], []
        for image, mask in pairs:
            features.append(_standardized(_features(image, (PAIR_SIDE, PAIR_SIDE))))
            small.append(cv2.resize(mask, (PAIR_SIDE, PAIR_SIDE), interpolation=cv2.INTER_NEAREST).astype(np.uint8))
        telling = np.array([_has_both(mask) for mask in small])
        masks = [
            _standardized_mask(mask) * np.float32(mask.size / (mask < 2).sum())
            if told
            else np.zeros_like(mask, np.float32)
            for mask, told in zip(small, telling, strict=True)
        ]
        return cls(features, np.stack(masks), telling)

    def across(self) -> NDArray[np.float32]:
        """(n, n): the agreement of each mask, by row, with each image; nan where a mask says nothing."""
        flat = self.masks.reshape(len(self.masks), -1) / np.float32(PAIR_SIDE**2)
        found = np.stack([_r2(features, np.asarray(flat @ features)) for features in self.features], axis=1)
        return np.where(self.telling[:, None], found, np.float32(np.nan))

    def moved(self) -> NDArray[np.float32]:
        """(telling, PAIR_SIDE, PAIR_SIDE): the agreement of each mask with its own image when it is moved by so many
        pixels down and to the right; what leaves one side comes back at the other.
        """
        found = [_moved(features, mask) for features, mask in zip(self.features, self.masks, strict=True)]
        return np.asarray(found)[self.telling]


def _moved(features: Features, mask: NDArray[np.float32]) -> NDArray[np.float32]:
    planes = features.T.reshape(NUM_FEATURES, *mask.shape)
    products = np.fft.irfft2(np.fft.rfft2(planes) * np.conj(np.fft.rfft2(mask)), s=mask.shape) / mask.size
    return _r2(features, products.reshape(NUM_FEATURES, -1).T.astype(np.float32)).reshape(mask.shape)


def gains_of(scores: Sequence[float], others: Sequence[float]) -> list[float]:
    """By how much each pair agrees better in one way than in another; without those that say nothing (nan)."""
    return [gain for one, two in zip(scores, others, strict=True) if not math.isnan(gain := one - two)]


def is_sure(gains: Sequence[float], errors: float = SURE) -> bool:
    """Whether the mean gain in R^2 is above 0 for certain: by `errors` standard errors over many pairs, or clearly in
    each of few.
    """
    if not gains:
        return False
    if len(gains) < 3:
        return min(gains) > CLEAR_ALONE
    if min(gains) > CLEAR:
        return True
    mean = math.fsum(gains) / len(gains)
    variance = math.fsum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1)
    return mean > errors * math.sqrt(variance / len(gains))


def _shrink(mask: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = mask.shape
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8)


def _has_both(mask: NDArray[np.uint8]) -> bool:
    """Whether there is enough foreground, and enough background."""
    return min(cv2.countNonZero((mask == value).astype(np.uint8)) for value in (0, 1)) >= MIN_PIXELS


def _products(features: Features, masks: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """(masks, 5): the correlation of each mask with each feature."""
    wanted = np.stack([_standardized_mask(mask).ravel() for mask in masks])
    return (wanted @ features / np.float32((masks[0] < 2).sum())).astype(np.float32)


def _standardized_mask(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of mean 0 and spread 1 over the pixels that count, 0 where none does; for a mask that has both."""
    counts = mask < 2
    fraction = float((mask == 1).sum() / counts.sum())
    return (np.where(counts, mask - fraction, 0) / math.sqrt(fraction * (1 - fraction))).astype(np.float32)


def _r2(features: Features, products: NDArray[np.float32]) -> NDArray[np.float32]:
    """(masks,): R^2 of the least-squares guess, from the correlations of masks and features."""
    gram = features.T @ features / len(features) + RIDGE * np.eye(NUM_FEATURES, dtype=np.float32)
    return np.einsum("ij,ij->i", products, np.linalg.solve(gram, products.T).T).astype(np.float32)


def _features(image: NDArray[Any], shape: tuple[int, ...]) -> Features:
    """(pixels, 5) of an image (h, w, c) scaled to a shape (height, width)."""
    height, width = shape
    known = image if image.dtype in (np.uint8, np.uint16, np.float32) else image.astype(np.float32)  # OpenCV's
    pixels = cv2.resize(known, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, -1)
    red, green, blue = (pixels[..., k % pixels.shape[2]].astype(np.float32) for k in range(3))
    luma = (red + green + blue) / 3
    smooth = cv2.GaussianBlur(luma, (0, 0), FINE)
    edges = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    local = luma - cv2.GaussianBlur(luma, (0, 0), COARSE)
    channels = (luma, red - green, blue - luma, local, cv2.GaussianBlur(edges, (0, 0), 2 * FINE))
    return np.stack(channels, axis=-1).reshape(-1, NUM_FEATURES)


def _standardized(features: Features) -> Features:
    features = features - features.mean(axis=0)
    spread = features.std(axis=0)
    return (features / np.where(spread > 1e-6, spread, 1)).astype(np.float32)
