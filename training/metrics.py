"""Scores of predicted masks. Logits and truth in, numbers out; nothing here trains or logs.

A pixel is foreground where its probability exceeds 0.5, that is where its logit exceeds 0. `dice` is the mean over
images of each image's own Dice; two empty masks score 1, and `empty_images` counts the images whose truth is empty.
The global scores pool the pixels of all images first.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from training.losses import soft_dice


@dataclass(frozen=True)
class Counts:
    """Pixels per image: truly foreground and predicted so, predicted only, and true only."""

    hit: Float[Tensor, " n"]
    false: Float[Tensor, " n"]
    missed: Float[Tensor, " n"]
    soft_dice: Float[Tensor, " n"]


@dataclass(frozen=True, kw_only=True)
class Scores:
    dice: float
    global_dice: float
    soft_dice: float
    iou: float
    precision: float
    recall: float
    empty_images: int


def count(logits: Float[Tensor, "n 1 h w"], masks: UInt8[Tensor, "n 1 h w"]) -> Counts:
    logits = logits.float()
    prediction, truth = logits > 0, masks > 0
    hit = (prediction & truth).sum(dim=(1, 2, 3)).float()
    return Counts(
        hit,
        prediction.sum(dim=(1, 2, 3)) - hit,
        truth.sum(dim=(1, 2, 3)) - hit,
        soft_dice(logits.sigmoid(), truth.float()),
    )


def concatenate(counts: list[Counts]) -> Counts:
    return Counts(*(torch.cat([getattr(c, name) for c in counts]) for name in ("hit", "false", "missed", "soft_dice")))


def dice_per_image(counts: Counts) -> Float[Tensor, " n"]:
    """2 |PT| / (|P| + |T|), and 1 where both masks are empty."""
    return _ratio(2 * counts.hit, 2 * counts.hit + counts.false + counts.missed)


def score(counts: Counts) -> Scores:
    """Everything at once, in a single transfer from the device.

    iou, precision and recall are means over images, like dice; each is 1 where its denominator is empty.
    """
    hit, false, missed = counts.hit, counts.false, counts.missed
    values = torch.stack(
        [
            dice_per_image(counts).mean(),
            _ratio(2 * hit.sum(), 2 * hit.sum() + false.sum() + missed.sum()),
            counts.soft_dice.mean(),
            _ratio(hit, hit + false + missed).mean(),
            _ratio(hit, hit + false).mean(),
            _ratio(hit, hit + missed).mean(),
            (hit + missed == 0).sum().float(),
        ]
    ).tolist()
    dice, global_dice, soft, iou, precision, recall, empty = values
    return Scores(
        dice=dice,
        global_dice=global_dice,
        soft_dice=soft,
        iou=iou,
        precision=precision,
        recall=recall,
        empty_images=round(empty),
    )


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole.clamp(min=1), torch.ones_like(whole))
