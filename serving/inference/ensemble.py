"""How well a mask is likely to fit: the champion's mask beside those that other networks make of the same image.

The networks are other seeds of the champion's configuration, trained on the same images. Where an image decides, they
agree; where it does not, each goes its own way. So their agreement predicts the Dice with a truth that nobody has
drawn (Roy et al. 2018, "Inherent Brain Segmentation Quality Control from Fully ConvNet Monte Carlo Sampling"). Where
all err alike, nobody notices. What an agreement is worth, the promotion measured (serving/promotion/confidence.py).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from serving.inference.network import CONFIDENCE, Probability
from serving.inference.segmenter import Segmenter
from training.data.images import Pixels


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What an agreement is worth, as the promotion found it."""

    dice_per_agreement: float
    min_share: float  # of an image that its mask covers, for which anything can be told
    max_share: float

    def predict_dice(self, agreement: float, share: float) -> float:
        """In proportion to the agreement, at most 1. nan of a mask that covers less or more of its image than masks do:
        networks that mark everything, or nothing, agree without having recognized anything.
        """
        if not self.min_share <= share <= self.max_share:
            return math.nan
        return min(agreement * self.dice_per_agreement, 1.0)


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """The other networks; the champion itself computes elsewhere. May be called from several threads."""

    others: Sequence[Segmenter]
    calibration: Calibration

    def predict_dice(self, image: Pixels, probability: Probability) -> float:
        """image (h, w, c) and what the champion makes of it (h, w): the Dice that its mask is expected to have, or nan.

        The mask is that of the champion's own threshold.
        """
        agreement, share = measure_agreement(image, probability, self.others)
        return self.calibration.predict_dice(agreement, share)


def measure_agreement(image: Pixels, probability: Probability, others: Sequence[Segmenter]) -> tuple[float, float]:
    """Mean Dice of the champion's mask (h, w) with that of each other network of the image (h, w, c); and the share of
    the image that the champion's mask covers.
    """
    masks = [other.probability(image) > other.threshold for other in others]
    own = probability > others[0].threshold
    return fmean(dice_of(own, mask) for mask in masks), float(own.mean())


def dice_of(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Of two masks of any shape; two without foreground agree: 1."""
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / total if total else 1.0


def load_ensemble(folder: Path, device: str) -> Ensemble | None:
    """None of a model that was promoted without other networks. `device`: as the Segmenter's."""
    if not (folder / CONFIDENCE).exists():
        return None
    facts = json.loads((folder / CONFIDENCE).read_text())
    others = [Segmenter(folder / name, device) for name in facts["networks"]]
    return Ensemble(others=others, calibration=Calibration(**facts["calibration"]))
