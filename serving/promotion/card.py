"""What is written down beside a promoted model: its scores, how to prepare its input, and its card in Markdown.

Numbers and a trial in, text out; nothing here computes a score or knows where the text will lie.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from serving.promotion.confidence import Confidence
from serving.promotion.contours import TOLERANCE
from serving.promotion.model_scores import (
    ModelScores,
    describe_comparison,
    describe_empty,
    describe_interval,
    describe_reads,
    describe_scored,
    name_of,
)
from training.data.image_set import ImageSet
from training.data.own_size import THRESHOLD
from training.data.read_options import ReadOptions
from training.study.trial import Trial

LIMITS = {
    "resize": "Every image is scaled to a long side of {size} pixels first, so detail finer than that is lost.",
    "tile": "Images are read in tiles of {size} pixels at their own resolution; what needs a wider view is missed.",
}
CHOSEN = {
    "winner": "Chosen by validation Dice: the best run of the configuration with the highest mean over its seeds",
    "consistent": "Chosen for consistency: the best run of the configuration whose validation Dice varies least over "
    "its seeds, among those that the highest mean exceeds by no more than noise",
}
HOW_FRAMED = {
    "resize": "the long side is scaled to frame.image_size, area-averaged when it shrinks, else bilinear; put in the "
    "middle of the frame, or of as much as it needs (multiples of 16), and mirrored beyond its edges; the probability "
    "is cut out again and scaled back, bilinear",
    "tile": "cut into as few tiles of frame.image_size as cover it, evenly spread, mirrored beyond its edges; where "
    "two overlap, each decides its half",
}


def preprocessing_json(images: ImageSet, reading: ReadOptions, precision: str) -> str:
    """What a caller of the exported model must know. Only facts: the service needs no more than this and the file."""
    facts: dict[str, Any] = {
        "frame": dataclasses.asdict(images.frame),
        "channels": images.channels,
        "image_max": reading.max_value or images.range_max,
        "image_max_overrides": bool(reading.max_value) or images.overrides_stated,
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


def card_json(
    trial: Trial, scores: ModelScores, val_dice: Mapping[str, float], version: str, confidence: Confidence | str
) -> str:
    """The same for programs: what GET /model answers."""
    facts = {"model": "unet", "version": version, "threshold": THRESHOLD, "val_dice_by_precision": dict(val_dice)}
    trusted = confidence if isinstance(confidence, str) else dataclasses.asdict(confidence)
    known = {**facts, **dataclasses.asdict(scores), "trial": dataclasses.asdict(trial), "confidence": trusted}
    return json.dumps(finite(known), indent=2)


def finite(value: Any) -> Any:
    """JSON has no nan: null."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def describe_frame(trial: Trial) -> str:
    """What the network sees of an image, in words."""
    return f"{'in tiles of' if trial.fit == 'tile' else 'at'} {trial.image_size} pixels"


def model_card(trial: Trial, scores: ModelScores, confidence: str) -> str:
    """Mitchell et al. 2019 ("Model Cards for Model Reporting"), in short. confidence: what is said of it."""
    number, interval = describe_scored(scores), describe_interval(scores, digits=4)
    side = "dark" if scores.otsu_dark else "bright"
    factors = "\n".join(f"| {name} | {value} |" for name, value in dataclasses.asdict(trial).items())
    compared = "\n".join(
        f"| {name_of(one)} | {one.dice:.4f} | {describe_comparison(one, digits=4)} |" for one in scores.comparisons
    )
    where = describe_frame(trial)
    rows = [
        (
            "validation Dice",
            scores.val_dice,
            "best epoch, at each image's own size; the trial was chosen by it, so it flatters",
        ),
        ("**test Dice**", scores.test_dice, f"of images never trained on; {interval}"),
        (f"test Dice {where}", scores.test_dice_at_image_size, "before the mask gets the image's size again"),
        (f"true masks, {where} and back", scores.test_dice_ceiling, "what hard edges keep; soft ones may keep more"),
        ("test Dice, pooled", scores.test_global_dice, "the pixels of all test images together"),
        ("test IoU", scores.test_iou, ""),
        ("outlines: HD95", scores.test_hd95, "pixels; 95 % are nearer; nothing predicted: the image's diagonal"),
        ("outlines: NSD", scores.test_nsd, f"share that is at most {TOLERANCE:g} pixels off; nothing predicted: 0"),
        ("objects: F1", scores.test_object_f1, "connected parts, found where the IoU exceeds 0.5"),
    ]
    table = "\n".join(f"| {name} | {value:.4f} | {note} |" for name, value, note in rows)
    return f"""# A U-Net of width {trial.width} for {scores.data}

Marks each pixel of an image as foreground or background. {CHOSEN[scores.chosen_by]} (run `{scores.run_id}`, among
all finished trials on these images). For this card {describe_reads(scores)}.

## Scores

Test scores are of the masks that the endpoint gives, at each image's own size: the mean of {number}.

| | | |
| --- | --- | --- |
{table}

Served in {scores.precision}. {describe_empty(scores)}

## Beside others

Mean Dice on the same test images, and what the champion gains image by image. The others' networks compute in fp32.

| | Dice | the champion's gain |
| --- | --- | --- |
{compared}

Otsu's threshold ({side} side) needs no training: it is the floor.

## When not to trust it

{confidence}

## Data

`{scores.data}` (digest {scores.data_digest}, fit={trial.fit}, {trial.image_size} pixels, {scores.channels}
channel(s)), trained on {scores.train_images} images.

## Use and limits

Meant for images like those of `{scores.data}`: same stain or sensor, same magnification, same kind of foreground.
{LIMITS[trial.fit].format(size=trial.image_size)}
{scores.test_images} test images from one source say little about another source. The
probabilities are not calibrated. Not for diagnosis.

## The trial

| factor | value |
| --- | --- |
{factors}
"""
