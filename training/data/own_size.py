"""Scores at the images' own size: a prediction scaled back, against the mask as it was drawn.

However well it was learned, a mask of few pixels cannot follow a fine outline, so a score at image_size says too much.
Arrays in, numbers out.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from training.data.framing import OUTSIDE, assemble, join
from training.data.image_set import ImageSet
from training.data.images import Pixels

THRESHOLD = 0.5  # of a probability


@dataclass(frozen=True, kw_only=True)
class ImageScore:
    """What became of one image. The Dice is nan where there is no foreground."""

    index: int  # in its ImageSet
    dice: float  # at image_size
    own_dice: float  # at the image's own size
    false_alarm: bool  # it has no foreground, and some is predicted, at its own size


def score_image(images: ImageSet, index: int, probabilities: NDArray[np.float32]) -> ImageScore:
    """`probabilities`: of the foreground, of the image's tiles (tiles, frame height, frame width)."""
    facts = images.facts[index]
    size = facts.height, facts.width
    framed_mask = assemble(images.masks[list(images.tiles(index))], images.frame, *size)
    mask = images.own_mask(index)
    predicted = join(probabilities, images.frame, *size) > THRESHOLD
    own_dice = dice(predicted, mask)
    return ImageScore(
        index=index,
        dice=dice(assemble(probabilities, images.frame, *size) > THRESHOLD, framed_mask),
        own_dice=own_dice,
        false_alarm=math.isnan(own_dice) and bool((predicted & (mask != OUTSIDE)).any()),
    )


def dice(predicted: NDArray[np.bool_], mask: Pixels) -> float:
    """2 |PT| / (|P| + |T|) of two masks of one size, where the mask is not OUTSIDE; nan of one without foreground."""
    truth = mask == 1
    total = int((predicted & (mask != OUTSIDE)).sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / total if truth.any() else math.nan


def mean_own_dice(scores: Iterable[ImageScore]) -> float:
    """Over the images with foreground; nan without any."""
    known = [score.own_dice for score in scores if not math.isnan(score.own_dice)]
    return fmean(known) if known else math.nan
