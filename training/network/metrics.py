"""Scores of predicted masks. Logits and truth in, numbers out; nothing here trains or logs.

A pixel is foreground where its probability exceeds 0.5, that is where its logit exceeds 0. `dice` is the mean of each
image's own Dice over the images that have foreground: an image without any says nothing of how well foreground is
found, and two empty masks would score 1 for predicting nothing. Such images are counted instead: `empty_images`, and
`false_alarms`, those of them in which any foreground is predicted. The global Dice pools the pixels of all images
first. Pixels that are OUTSIDE of an image count nowhere; an image that was cut into tiles is scored as a whole, and
one whose every pixel is OUTSIDE is not scored at all.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from training.data.framing import OUTSIDE
from training.network.losses import SMOOTHING


@dataclass(frozen=True)
class Counts:
    """Pixels per image, or per tile of one, one row per kind. The soft ones are sums of probabilities."""

    values: Float[Tensor, "6 n"]

    @property
    def tp(self) -> Float[Tensor, " n"]:
        """Truly foreground and predicted so."""
        return self.values[0]

    @property
    def fp(self) -> Float[Tensor, " n"]:
        """Predicted only."""
        return self.values[1]

    @property
    def fn(self) -> Float[Tensor, " n"]:
        """True only."""
        return self.values[2]

    @property
    def soft_tp(self) -> Float[Tensor, " n"]:
        """|PT|"""
        return self.values[3]

    @property
    def soft_all(self) -> Float[Tensor, " n"]:
        """|P| + |T|"""
        return self.values[4]

    @property
    def pixels(self) -> Float[Tensor, " n"]:
        """That count."""
        return self.values[5]

    @property
    def has_foreground(self) -> Bool[Tensor, " n"]:
        """In truth."""
        return self.tp + self.fn > 0

    @property
    def is_empty(self) -> Bool[Tensor, " n"]:
        """Without foreground in truth; an image of which no pixel counts is neither."""
        return ~self.has_foreground & (self.pixels > 0)

    @property
    def false_alarm(self) -> Bool[Tensor, " n"]:
        """Foreground is predicted in an image that has none."""
        return self.is_empty & (self.fp > 0)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """dice, soft_dice, iou, precision and recall are means over the images that have foreground; nan without any."""

    dice: float
    global_dice: float  # the pixels of all images pooled
    soft_dice: float
    iou: float
    precision: float
    recall: float
    empty_images: int  # whose truth has no foreground
    false_alarms: int  # of these, the images in which any foreground is predicted
    predicted_percent: float  # of all pixels
    all_foreground_dice: float  # the floor: `dice` of a prediction that is foreground everywhere

    @classmethod
    def of(cls, values: list[float]) -> "Scores":
        """What `summarize` computed, once it is here."""
        scores = dict(zip((field.name for field in fields(cls)), values, strict=True))
        counted = {name: round(scores[name]) for name in ("empty_images", "false_alarms")}
        return cls(**scores | counted)  # type: ignore[arg-type]


def count(logits: Float[Tensor, "n 1 h w"], masks: UInt8[Tensor, "n 1 h w"]) -> Counts:
    inside, truth = masks != OUTSIDE, masks == 1
    prediction = (logits > 0) & inside
    probability = logits.float().sigmoid() * inside
    tp, predicted, true = (_sum(part) for part in (prediction & truth, prediction, truth))
    soft_tp = _sum(probability * truth)
    soft_all = _sum(probability) + true
    return Counts(torch.stack([tp, predicted - tp, true - tp, soft_tp, soft_all, _sum(inside)]))


def concatenate(counts: list[Counts]) -> Counts:
    return Counts(torch.cat([some.values for some in counts], dim=1))


def pool(counts: Counts, image_index: Int64[Tensor, " n"], images: tuple[int, ...]) -> Counts:
    """Counts of tiles to counts of images, in the order of `images`; image_index says which image a tile is of."""
    places = torch.zeros(max(images) + 1, dtype=torch.int64)
    places[list(images)] = torch.arange(len(images))
    index = places.to(image_index.device)[image_index]
    return Counts(counts.values.new_zeros(6, len(images)).index_add_(1, index, counts.values))


def dice_per_image(counts: Counts) -> Float[Tensor, " n"]:
    """2 |PT| / (|P| + |T|); nan of an image without foreground, whatever is predicted there."""
    dice = _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)
    return torch.where(counts.has_foreground, dice, torch.nan)


def score(counts: Counts) -> Scores:
    return Scores.of(summarize(counts).tolist())


def summarize(counts: Counts) -> Float[Tensor, " 10"]:
    """The fields of Scores, on the device.

    The precision of an image in which nothing is predicted is 1, and the global Dice where there is nothing at all.
    """
    tp, fp, fn, true = counts.tp, counts.fp, counts.fn, counts.tp + counts.fn

    def mean(values: Tensor) -> Tensor:
        """Over the images that have foreground."""
        return torch.where(counts.has_foreground, values, 0).sum() / counts.has_foreground.sum()

    return torch.stack(
        [
            mean(dice_per_image(counts)),
            _ratio(2 * tp.sum(), 2 * tp.sum() + fp.sum() + fn.sum()),
            mean((2 * counts.soft_tp + SMOOTHING) / (counts.soft_all + SMOOTHING)),
            mean(_ratio(tp, tp + fp + fn)),
            mean(_ratio(tp, tp + fp)),
            mean(_ratio(tp, true)),
            counts.is_empty.sum().float(),
            counts.false_alarm.sum().float(),
            100 * (tp + fp).sum() / counts.pixels.sum().clamp(min=1),
            mean(2 * true / (counts.pixels + true)),
        ]
    )


def _sum(values: Tensor) -> Float[Tensor, " n"]:
    return values.sum(dim=(1, 2, 3)).float()


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole.clamp(min=1), torch.ones_like(whole))
