"""How good a promoted model is on the test images, and what Otsu's threshold reaches there without any training.

Probabilities in, Evidence out. Nothing here predicts, and nothing here chooses by these numbers.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy import stats
from torch import Tensor

from serving.candidate import Candidate
from serving.card import Evidence
from training.data.framing import assemble
from training.data.images import Pixels, otsu_mask
from training.metrics import Counts, concatenate, count, dice_per_image, pool, score

BOOTSTRAPS = 10_000


def measure(
    candidate: Candidate, probabilities: Float[Tensor, "n 1 h w"], precision: str
) -> tuple[Evidence, list[float]]:
    """Scores of these predictions of the parts of the candidate's test images, at the size it was trained on; and the
    Dice of each test image.
    """
    pooled = _count(candidate, candidate.test, probabilities)
    test, per_image = score(pooled), dice_per_image(pooled).tolist()
    low, high = interval_of_mean(per_image)
    dark = otsu_dice(candidate, candidate.train, dark=True) > otsu_dice(candidate, candidate.train, dark=False)
    evidence = Evidence(
        run_id=candidate.run_id,
        data=candidate.images.name,
        data_digest=candidate.images.digest,
        channels=candidate.images.channels,
        train_images=len(candidate.train),
        test_images=len(candidate.test),
        val_dice=candidate.val_dice,
        test_dice=test.dice,
        test_dice_low=low,
        test_dice_high=high,
        test_global_dice=test.global_dice,
        test_iou=test.iou,
        otsu_dice=otsu_dice(candidate, candidate.test, dark),
        otsu_dark=dark,
        precision=precision,
    )
    return evidence, per_image


def val_dice(candidate: Candidate, probabilities: Float[Tensor, "n 1 h w"]) -> float:
    """Mean Dice over the validation images, of predictions of their parts."""
    return score(_count(candidate, candidate.val, probabilities)).dice


def _count(candidate: Candidate, indices: tuple[int, ...], probabilities: Float[Tensor, "n 1 h w"]) -> Counts:
    """Of each image, its parts together."""
    parts = candidate.parts(indices)
    counts = count(probabilities.logit(), images_tensor(candidate.images.masks[parts, ..., None]))
    return pool(counts, torch.tensor(candidate.images.owners)[parts], indices)


def interval_of_mean(values: Sequence[float]) -> tuple[float, float]:
    """95 % percentile bootstrap (Efron 1979); nan of fewer than two values."""
    if len(values) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(0)
    drawn = stats.bootstrap((values,), np.mean, n_resamples=BOOTSTRAPS, method="percentile", rng=rng)
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def otsu_dice(candidate: Candidate, indices: tuple[int, ...], dark: bool) -> float:
    """Mean over these images of Otsu's Dice, each image with its own threshold, foreground on the dark side or not."""
    return score(concatenate([_count_otsu(candidate, index, dark) for index in indices])).dice


def images_tensor(images: Pixels) -> UInt8[Tensor, "n c h w"]:
    """(n, h, w, c) to (n, c, h, w)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def _count_otsu(candidate: Candidate, index: int, dark: bool) -> Counts:
    images, parts, facts = candidate.images, list(candidate.images.parts(index)), candidate.images.facts[index]
    image, mask = (
        assemble(arrays[parts], images.frame, facts.height, facts.width) for arrays in (images.images, images.masks)
    )
    logits = images_tensor(otsu_mask(np.ascontiguousarray(image), dark)[None, ..., None]).float() - 0.5
    return count(logits, images_tensor(mask[None, ..., None]))
