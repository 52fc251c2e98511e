"""What is written down beside a promoted model: its scores, how to prepare its input, and its card in Markdown.

Numbers and a trial in, text out; nothing here computes a score or knows where the text will lie.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.data.checks.foreground import MIN_IMAGES
from training.data.image_set import ImageSet
from training.data.read_options import ReadOptions
from training.study.trial import Trial

LIMITS = {
    "resize": "Every image is scaled to a long side of {size} pixels first, so detail finer than that is lost.",
    "tile": "Images are read in tiles of {size} pixels at their own resolution; what needs a wider view is missed.",
}
THRESHOLD = 0.5  # of a probability
HOW_FRAMED = {
    "resize": "the long side is scaled to frame.image_size, area-averaged when it shrinks, else bilinear; put in the "
    "middle of the frame, or of as much as it needs (multiples of 16), and mirrored beyond its edges; the probability "
    "is cut out again and scaled back, bilinear",
    "tile": "cut into as few tiles of frame.image_size as cover it, evenly spread, mirrored beyond its edges; where "
    "two overlap, each decides its half",
}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known about a promoted model. Test scores are those of the form that is served, at image_size."""

    run_id: str
    data: str
    data_digest: str
    channels: int
    train_images: int
    test_images: int  # all of them
    test_foreground_images: int  # that have foreground; the scores are means over these
    test_empty_images: int  # that have none
    test_false_alarms: int  # of the empty ones, those in which any foreground is predicted
    val_dice: float  # best epoch, mean over the validation images with foreground; the trial was chosen by it
    test_dice: float  # mean over the test images with foreground; so is test_iou
    test_dice_low: float  # its 95 % interval, these images drawn anew (bootstrap); nan with one image
    test_dice_high: float
    test_global_dice: float  # the pixels of all test images pooled
    test_iou: float
    otsu_dice: float  # the floor: Otsu's threshold on the same test images with foreground
    otsu_false_alarms: int  # and on the same empty ones
    otsu_dark: bool  # Otsu takes the dark side, as is better on the training images
    precision: str  # that is served: int8, bf16 or fp32


def describe_scored(evidence: Evidence) -> str:
    """The images that the test scores are means over, in words."""
    images = f"{evidence.test_foreground_images} image{'s' * (evidence.test_foreground_images != 1)}"
    with_foreground = " with foreground" if evidence.test_empty_images else ""
    return images + with_foreground + (" (too few to judge by)" * (evidence.test_foreground_images < MIN_IMAGES))


def describe_interval(evidence: Evidence, digits: int) -> str:
    """Of the test Dice, in words."""
    if math.isnan(evidence.test_dice_low):
        return "one image has no interval"
    return f"95 % {evidence.test_dice_low:.{digits}f} to {evidence.test_dice_high:.{digits}f}"


def describe_empty(evidence: Evidence) -> str:
    """What the test scores leave out, in words."""
    if not evidence.test_empty_images:
        return "All test images have foreground."
    return (
        f"{evidence.test_empty_images} of the {evidence.test_images} test images have no foreground and are in no "
        f"mean; false alarms: {evidence.test_false_alarms}, of Otsu's threshold {evidence.otsu_false_alarms}."
    )


def preprocessing_json(images: ImageSet, reading: ReadOptions, precision: str) -> str:
    """What a caller of the exported model must know. Only facts: the service needs no more than this and the file."""
    facts: dict[str, Any] = {
        "frame": dataclasses.asdict(images.frame),
        "channels": images.channels,
        "image_max": reading.white or images.range_max,
        "image_max_overrides": bool(reading.white),
        "read_channels": reading.channels,
        "threshold": THRESHOLD,
        "precision": precision,
        "steps": [
            "the orientation tag is applied; channels are chosen by read_channels",
            "more than 8 bits are scaled to 0..255: by what a file states (unless image_max_overrides), or image_max; "
            "0: the training images had 8 bits, and nothing is known of more",
            HOW_FRAMED[images.frame.fit],
            "grey is repeated to RGB, or RGB becomes grey by luma",
        ],
        "input": "pixels: float32 (n, channels, h, w), 0..255, RGB order; normalization is inside the model",
        "output": "probability: float32 (n, 1, h, w), of the foreground; foreground is above the threshold",
    }
    return json.dumps(facts, indent=2)


def card_json(trial: Trial, evidence: Evidence, val_dice: Mapping[str, float], version: str) -> str:
    """The same for programs: what GET /model answers."""
    finite = {key: None if value != value else value for key, value in dataclasses.asdict(evidence).items()}
    facts = {"model": "unet", "version": version, "threshold": THRESHOLD, "val_dice_by_precision": dict(val_dice)}
    return json.dumps({**facts, **finite, "trial": dataclasses.asdict(trial)}, indent=2)


def model_card(trial: Trial, evidence: Evidence) -> str:
    """Mitchell et al. 2019 ("Model Cards for Model Reporting"), in short."""
    number, interval = describe_scored(evidence), describe_interval(evidence, digits=4)
    side = "dark" if evidence.otsu_dark else "bright"
    factors = "\n".join(f"| {name} | {value} |" for name, value in dataclasses.asdict(trial).items())
    return f"""# A quarter-width U-Net for {evidence.data}

Marks each pixel of an image as foreground or background. Chosen by validation Dice among all finished trials on these
images (run `{evidence.run_id}`); the test images were read once, for this card.

## Scores

| | Dice | |
| --- | --- | --- |
| validation | {evidence.val_dice:.4f} | best epoch; the trial was chosen by it, so it flatters |
| **test** | **{evidence.test_dice:.4f}** | mean of {number} never trained on; {interval} |
| test, pooled | {evidence.test_global_dice:.4f} | pixels of all test images together |
| Otsu's threshold | {evidence.otsu_dice:.4f} | the floor, on the same test images ({side} side) |

Test IoU {evidence.test_iou:.4f}, mean over the same images. Served in {evidence.precision}. {describe_empty(evidence)}

## Data

`{evidence.data}` (digest {evidence.data_digest}, fit={trial.fit}, {trial.image_size} pixels, {evidence.channels}
channel(s)), trained on {evidence.train_images} images.

## Use and limits

Meant for images like those of `{evidence.data}`: same stain or sensor, same magnification, same kind of foreground.
{LIMITS[trial.fit].format(size=trial.image_size)}
{evidence.test_images} test images from one source say little about another source. The
probabilities are not calibrated. Not for diagnosis.

## The trial

| factor | value |
| --- | --- |
{factors}
"""
