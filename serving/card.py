"""What is written down beside a promoted model: its scores, how to prepare its input, and its card in Markdown.

Numbers and a trial in, text out; nothing here computes a score or knows where the text will lie.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from training.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known about a promoted model. Scores are those of its exported form, in fp32, at image_size."""

    run_id: str
    data: str
    data_digest: str
    channels: int
    train_images: int
    test_images: int
    val_dice: float  # best epoch, mean over the validation images; the trial was chosen by it
    test_dice: float  # mean over the test images; so is test_iou
    test_global_dice: float  # the pixels of all test images pooled
    test_iou: float
    otsu_dice: float  # the floor: Otsu's threshold on the same test images
    otsu_dark: bool  # Otsu takes the dark side, as is better on the training images


def preprocessing_json(trial: Trial, channels: int) -> str:
    """What a caller of the exported model must know. Only facts: the service needs no more than this and the file."""
    facts: dict[str, Any] = {
        "image_size": trial.image_size,
        "channels": channels,
        "threshold": 0.5,
        "resize": "the whole image stretched to image_size x image_size, area-averaged when it shrinks, else bilinear; "
        "then grey repeated to RGB, or RGB to grey by luma; the probability back to the image's size, bilinear",
        "input": "pixels: float32 (n, channels, h, w), 0..255, RGB order; normalization is inside the model",
        "output": "probability: float32 (n, 1, h, w), of the foreground; foreground is above the threshold",
    }
    return json.dumps(facts, indent=2)


def model_card(trial: Trial, evidence: Evidence) -> str:
    """Mitchell et al. 2019 ("Model Cards for Model Reporting"), in short."""
    side = "dark" if evidence.otsu_dark else "bright"
    factors = "\n".join(f"| {name} | {value} |" for name, value in dataclasses.asdict(trial).items())
    return f"""# A quarter-width U-Net for {evidence.data}

Marks each pixel of an image as foreground or background. Chosen by validation Dice among all finished trials on these
images (run `{evidence.run_id}`); the test images were read once, for this card.

## Scores

| | Dice | |
| --- | --- | --- |
| validation | {evidence.val_dice:.4f} | best epoch; the trial was chosen by it, so it flatters |
| **test** | **{evidence.test_dice:.4f}** | mean over {evidence.test_images} images never trained or selected on |
| test, pooled | {evidence.test_global_dice:.4f} | pixels of all test images together |
| Otsu's threshold | {evidence.otsu_dice:.4f} | the floor, on the same test images ({side} side) |

Test IoU {evidence.test_iou:.4f}, mean over images. Two empty masks score 1.

## Data

`{evidence.data}` (digest {evidence.data_digest} at {trial.image_size} x {trial.image_size} pixels, {evidence.channels}
channel(s)), trained on {evidence.train_images} images.

## Use and limits

Meant for images like those of `{evidence.data}`: same stain or sensor, same magnification, same kind of foreground.
Every image is stretched to {trial.image_size} x {trial.image_size} pixels first, so detail finer than that is lost and
other aspect ratios are distorted. {evidence.test_images} test images from one source say little about another source.
The probabilities are not calibrated. Not for diagnosis.

## The trial

| factor | value |
| --- | --- |
{factors}
"""
