"""What is known about a promoted model, and how its numbers are said. Nothing here computes a score."""

import math
from dataclasses import dataclass

from training.data.checks.foreground import MIN_IMAGES
from training.study.intervals import MIN_UNITS
from training.study.words import COMPARED_WITH, pluralize


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The champion beside something else on the same test images with foreground, at their own size."""

    name: str  # of COMPARED_WITH
    run_id: str  # of a network; empty for Otsu's threshold
    differs: str  # a network's factors that are not the champion's: `optimizer=sgd lr=0.1`
    dice: float  # mean, of the other
    gain: float  # mean over the images of the champion's Dice less the other's
    low: float  # its 95 % interval, as of test_dice
    high: float


@dataclass(frozen=True, kw_only=True)
class ModelScores:
    """What is known about a promoted model. Test scores are of the masks that the endpoint gives, at each image's own
    size; `..._at_image_size` says where not.
    """

    run_id: str
    data: str
    data_digest: str
    channels: int
    chosen_by: str  # winner or consistent
    train_images: int
    test_images: int  # all of them
    test_foreground_images: int  # that have foreground; the scores are means over these
    test_empty_images: int  # that have none
    test_false_alarms: int  # of the empty ones, those in which any foreground is predicted
    test_reads: int  # how often these test images have been read by promotions, this one counted
    val_dice: float  # best epoch, mean over the validation images with foreground; the trial was chosen by it
    test_dice: float  # mean over the test images with foreground; so are all but the global one
    test_dice_low: float  # its 95 % interval (Student's t over test_units); nan with fewer than MIN_UNITS
    test_dice_high: float
    test_units: int  # images with foreground, or the groups they come in where a group has several
    test_unit: str  # image or group
    test_global_dice: float  # the pixels of all test images pooled
    test_iou: float
    test_dice_at_image_size: float  # of the frames the network computes, before they become the image's size again
    test_dice_ceiling: float  # of the true masks, scaled to image_size and back: what hard edges lose
    test_hd95: float  # pixels; contours.py says what, and of an image in which nothing is predicted
    test_nsd: float
    test_object_f1: float
    otsu_dice: float  # the floor: Otsu's threshold on the same test images with foreground
    otsu_false_alarms: int  # and on the same empty ones
    otsu_dark: bool  # Otsu takes the dark side, as is better on the training images
    precision: str  # that is served: int8, bf16 or fp32
    comparisons: tuple[Comparison, ...]


def describe_scored(scores: ModelScores) -> str:
    """The images that the test scores are means over, in words."""
    images = pluralize(scores.test_foreground_images, "image")
    with_foreground = " with foreground" if scores.test_empty_images else ""
    return images + with_foreground + (" (too few to judge by)" * (scores.test_foreground_images < MIN_IMAGES))


def describe_interval(scores: ModelScores, digits: int) -> str:
    """Of the test Dice, in words."""
    units = pluralize(scores.test_units, scores.test_unit)
    if math.isnan(scores.test_dice_low):
        return f"no interval: it takes {MIN_UNITS}, and there {'is' if scores.test_units == 1 else 'are'} only {units}"
    return f"95 % {scores.test_dice_low:.{digits}f} to {scores.test_dice_high:.{digits}f}, over {units}"


def describe_reads(scores: ModelScores) -> str:
    """How often the test images were looked at, in words."""
    count = scores.test_reads
    if count == 1:
        return "the test images were read for the first time, as far as this store knows"
    ordinal = {1: "st", 2: "nd", 3: "rd"}.get(0 if 10 < count % 100 < 14 else count % 10, "th")
    return (
        f"the test images were read for the {count}{ordinal} time; a score that was looked at before choosing flatters"
    )


def describe_comparison(comparison: Comparison, digits: int) -> str:
    """What the champion gains over something else, in words."""
    gain = f"{comparison.gain:+.{digits}f}"
    if math.isnan(comparison.low):
        return f"{gain} (no interval)"
    return f"{gain} (95 % {comparison.low:+.{digits}f} to {comparison.high:+.{digits}f})"


def name_of(comparison: Comparison) -> str:
    """What the champion is compared with, in words."""
    differs = f" ({comparison.differs})" if comparison.differs else ""
    return COMPARED_WITH[comparison.name] + differs


def describe_empty(scores: ModelScores) -> str:
    """What the test scores leave out, in words."""
    if not scores.test_empty_images:
        return "All test images have foreground."
    return (
        f"{scores.test_empty_images} of the {scores.test_images} test images have no foreground and are in no "
        f"mean; false alarms: {scores.test_false_alarms}, of Otsu's threshold {scores.otsu_false_alarms}."
    )
