"""Scores of predicted masks. Logits and truth in, numbers out; nothing here trains or logs.

A pixel is foreground where its probability exceeds 0.5, that is where its logit exceeds 0. `dice` is the mean over
images of each image's own Dice; two empty masks score 1, and `empty_images` counts the images whose truth is empty.
The global scores pool the pixels of all images first. Pixels that are OUTSIDE of an image count nowhere, and an image
that was cut into tiles is scored as a whole.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from training.data.framing import OUTSIDE
from training.losses import SMOOTHING


@dataclass(frozen=True)
class Counts:
    """Pixels per image, or per part of one, one row a kind. The soft ones are sums of probabilities."""

    values: Float[Tensor, "6 n"]

    @property
    def hit(self) -> Float[Tensor, " n"]:
        """Truly foreground and predicted so."""
        return self.values[0]

    @property
    def false(self) -> Float[Tensor, " n"]:
        """Predicted only."""
        return self.values[1]

    @property
    def missed(self) -> Float[Tensor, " n"]:
        """True only."""
        return self.values[2]

    @property
    def soft_hit(self) -> Float[Tensor, " n"]:
        """|PT|"""
        return self.values[3]

    @property
    def soft_all(self) -> Float[Tensor, " n"]:
        """|P| + |T|"""
        return self.values[4]

    @property
    def pixels(self) -> Float[Tensor, " n"]:
        return self.values[5]


@dataclass(frozen=True, kw_only=True)
class Scores:
    dice: float
    global_dice: float
    soft_dice: float
    iou: float
    precision: float
    recall: float
    empty_images: int
    predicted_percent: float  # of all pixels

    @classmethod
    def of(cls, values: list[float]) -> "Scores":
        """What `summarize` computed, once it is here."""
        scores = dict(zip((field.name for field in fields(cls)), values, strict=True))
        return cls(**scores | {"empty_images": round(scores["empty_images"])})  # type: ignore[arg-type]


def count(logits: Float[Tensor, "n 1 h w"], masks: UInt8[Tensor, "n 1 h w"]) -> Counts:
    inside, truth = masks != OUTSIDE, masks == 1
    prediction = (logits > 0) & inside
    probability = logits.float().sigmoid() * inside
    hit, predicted, true = (_sum(part) for part in (prediction & truth, prediction, truth))
    soft_hit = _sum(probability * truth)
    soft_all = _sum(probability) + true
    return Counts(torch.stack([hit, predicted - hit, true - hit, soft_hit, soft_all, _sum(inside)]))


def concatenate(counts: list[Counts]) -> Counts:
    return Counts(torch.cat([some.values for some in counts], dim=1))


def pool(counts: Counts, owners: Int64[Tensor, " n"], images: tuple[int, ...]) -> Counts:
    """Counts of parts to counts of images, in the order of `images`; owners says whose a part is."""
    places = torch.zeros(max(images) + 1, dtype=torch.int64)
    places[list(images)] = torch.arange(len(images))
    index = places.to(owners.device)[owners]
    return Counts(counts.values.new_zeros(6, len(images)).index_add_(1, index, counts.values))


def dice_per_image(counts: Counts) -> Float[Tensor, " n"]:
    """2 |PT| / (|P| + |T|), and 1 where both masks are empty."""
    return _ratio(2 * counts.hit, 2 * counts.hit + counts.false + counts.missed)


def score(counts: Counts) -> Scores:
    return Scores.of(summarize(counts).tolist())


def summarize(counts: Counts) -> Float[Tensor, " 8"]:
    """The fields of Scores, on the device.

    iou, precision and recall are means over images, like dice; each is 1 where its denominator is empty.
    """
    hit, false, missed = counts.hit, counts.false, counts.missed
    return torch.stack(
        [
            dice_per_image(counts).mean(),
            _ratio(2 * hit.sum(), 2 * hit.sum() + false.sum() + missed.sum()),
            ((2 * counts.soft_hit + SMOOTHING) / (counts.soft_all + SMOOTHING)).mean(),
            _ratio(hit, hit + false + missed).mean(),
            _ratio(hit, hit + false).mean(),
            _ratio(hit, hit + missed).mean(),
            (hit + missed == 0).sum().float(),
            100 * (hit + false).sum() / counts.pixels.sum(),
        ]
    )


def _sum(values: Tensor) -> Float[Tensor, " n"]:
    return values.sum(dim=(1, 2, 3)).float()


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole.clamp(min=1), torch.ones_like(whole))
