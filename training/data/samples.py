"""One image and its mask, read at their own size, with what is worth knowing of them.

Files in, arrays and facts out.
"""

import hashlib
from pathlib import Path

import cv2
import numpy as np

from training.data.framing import OUTSIDE
from training.data.image_set import ImageFacts
from training.data.images import Pixels, decode_image, to_channels
from training.data.masks import MaskRule, read_mask
from training.data.pairs import Pair


def read_pair(pair: Pair, rule: MaskRule, image_max: int) -> tuple[Pixels, Pixels, ImageFacts]:
    """An image, its mask of 0 and 1, and what is worth knowing of them. Raises ValueError or OSError."""
    image = decode_image(pair.image.read_bytes(), str(pair.image), pair.page, image_max)
    size = image.shape[0], image.shape[1]
    mask, mask_facts = read_mask(pair.mask, size, rule, Path.read_bytes)
    facts = ImageFacts(
        height=size[0],
        width=size[1],
        channels=image.shape[2],
        brightest=int(image.max()),
        image_hash=_hash(image),
        mask_hash=_hash(mask),
        mask_kind=mask_facts.kind,
        mask_values=mask_facts.values,
        num_values=mask_facts.num_values,
        foreground=_foreground(mask),
        contrast=_contrast(image, mask),
    )
    return image, mask, facts


def _foreground(mask: Pixels) -> float:
    """The share of foreground among the pixels that count; 0 where none does."""
    counted = int((mask != OUTSIDE).sum())
    return int((mask == 1).sum()) / counted if counted else 0.0


def _contrast(image: Pixels, mask: Pixels) -> float:
    luma = np.ascontiguousarray(to_channels(image, 1)[..., 0])
    deviation = float(cv2.meanStdDev(luma)[1][0, 0])
    foreground, background = ((mask == value).astype(np.uint8) for value in (1, 0))
    if not foreground.any() or not background.any() or deviation == 0:
        return 0.0
    return (cv2.mean(luma, foreground)[0] - cv2.mean(luma, background)[0]) / deviation


def _hash(pixels: Pixels) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:16]
