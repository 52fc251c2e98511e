"""How good a promoted model is on the test images, and what Otsu's threshold reaches there without any training.

Probabilities in, Evidence out. Nothing here predicts, and nothing here chooses by these numbers.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy import stats
from torch import Tensor

from serving.promotion.candidate import Candidate
from serving.promotion.card import Evidence
from training.data.framing import assemble
from training.data.images import Pixels, otsu_mask
from training.network.metrics import Counts, Scores, concatenate, count, dice_per_image, pool, score

BOOTSTRAPS = 10_000


@dataclass(frozen=True)
class ImageScore:
    """How one test image fared."""

    index: int  # into the candidate's images
    dice: float  # nan of an image without foreground
    is_empty: bool  # without foreground; an image of which no pixel counts is neither
    false_alarm: bool  # empty, and foreground is predicted


def measure(
    candidate: Candidate, probabilities: Float[Tensor, "n 1 h w"], precision: str
) -> tuple[Evidence, list[ImageScore]]:
    """Scores of these predictions of the parts of the candidate's test images, at the size it was trained on; and those
    of each test image.
    """
    counts = _count(candidate, candidate.test, probabilities)
    test = score(counts)
    per_image = [dice_per_image(counts), counts.is_empty, counts.false_alarm]
    images = [ImageScore(*values) for values in zip(candidate.test, *(v.tolist() for v in per_image), strict=True)]
    scored = [image.dice for image in images if not math.isnan(image.dice)]
    low, high = interval_of_mean(scored)
    train = candidate.train
    dark = score_otsu(candidate, train, dark=True).dice > score_otsu(candidate, train, dark=False).dice
    otsu = score_otsu(candidate, candidate.test, dark)
    evidence = Evidence(
        run_id=candidate.run_id,
        data=candidate.images.name,
        data_digest=candidate.images.digest,
        channels=candidate.images.channels,
        train_images=len(candidate.train),
        test_images=len(candidate.test),
        test_foreground_images=len(scored),
        test_empty_images=test.empty_images,
        test_false_alarms=test.false_alarms,
        val_dice=candidate.val_dice,
        test_dice=test.dice,
        test_dice_low=low,
        test_dice_high=high,
        test_global_dice=test.global_dice,
        test_iou=test.iou,
        otsu_dice=otsu.dice,
        otsu_false_alarms=otsu.false_alarms,
        otsu_dark=dark,
        precision=precision,
    )
    return evidence, images


def rank(scores: Sequence[ImageScore]) -> list[ImageScore]:
    """The worst first: the lowest Dice; then images without foreground, false alarms before the others."""
    return sorted(scores, key=lambda image: (0, image.dice) if image.dice == image.dice else (1, not image.false_alarm))


def to_csv(scores: Sequence[ImageScore], stems: Sequence[str]) -> str:
    """image, dice (empty for an image without foreground), false_alarm (empty for one with)."""
    table = csv.writer(text := io.StringIO(), lineterminator="\n")
    table.writerow(["image", "dice", "false_alarm"])
    for image in scores:
        dice = "" if math.isnan(image.dice) else image.dice
        table.writerow([stems[image.index], dice, str(image.false_alarm).lower() if image.is_empty else ""])
    return text.getvalue()


def val_dice(candidate: Candidate, probabilities: Float[Tensor, "n 1 h w"]) -> float:
    """Mean Dice over the validation images with foreground, of predictions of their parts."""
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


def score_otsu(candidate: Candidate, indices: tuple[int, ...], dark: bool) -> Scores:
    """Of these images by Otsu's method, each image with its own threshold, foreground on the dark side or not."""
    return score(concatenate([_count_otsu(candidate, index, dark) for index in indices]))


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
