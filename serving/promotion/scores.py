"""How good a promoted model is on the test images, and what Otsu's threshold and other networks reach there.

Masks in, ModelScores out. Nothing here loads a network, and nothing here chooses by these numbers.
"""

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from statistics import fmean

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from serving.promotion.candidate import Candidate
from serving.promotion.contours import Contours, compare_contours
from serving.promotion.model_scores import Comparison, ModelScores
from training.data.framing import Frame, frame_mask, join
from training.data.images import Pixels, otsu_mask, to_channels
from training.data.originals import Originals
from training.data.own_size import THRESHOLD
from training.network.metrics import Counts, Scores, concatenate, count, dice_per_image, pool, score
from training.study.intervals import MIN_UNITS, t_value

Predict = Callable[[Pixels], Pixels]  # an image (h, w, c) -> its mask (h, w) of 0 and 1
CHAMPION, OTSU, CEILING = "champion", "otsu", "ceiling"


@dataclass(frozen=True)
class ImageTestScore:
    """How one test image fared, at its own size."""

    index: int  # into the candidate's images
    dice: float  # nan of an image without foreground
    is_empty: bool  # without foreground; an image of which no pixel counts is neither
    false_alarm: bool  # empty, and foreground is predicted
    contours: Contours | None = None  # of an image with foreground


@dataclass(frozen=True, kw_only=True)
class OwnSize:
    """What was counted on the test images at their own size, in the candidate's order."""

    counts: Mapping[str, Counts]  # by who predicts: CHAMPION, OTSU, CEILING and the rivals' names
    contours: tuple[Contours | None, ...]  # of the champion; None of an image without foreground


def assess(candidate: Candidate, originals: Originals, predict: Mapping[str, Predict], dark: bool) -> OwnSize:
    """Read each test image once, at its own size, and compare every mask of it with the original one.

    predict: CHAMPION, as it is served, and rivals by name. One image is in memory at a time.
    """
    counts: dict[str, list[Counts]] = {name: [] for name in (*predict, OTSU, CEILING)}
    contours = []
    for index in candidate.test:
        image, mask = originals.read(index)
        for name, network in predict.items():
            predicted = network(image)
            counts[name].append(count_mask(predicted, mask))
            if name == CHAMPION:
                contours.append(compare_contours(predicted, mask) if (mask == 1).any() else None)
        grey_or_rgb = to_channels(image, candidate.images.channels)
        counts[OTSU].append(count_mask(otsu_mask(np.ascontiguousarray(grey_or_rgb), dark), mask))
        counts[CEILING].append(count_mask(frame_and_back(mask, candidate.images.frame), mask))
    return OwnSize(
        counts={name: concatenate(per_image) for name, per_image in counts.items()}, contours=tuple(contours)
    )


def frame_and_back(mask: Pixels, frame: Frame) -> Pixels:
    """(h, w) -> (h, w) of 0 and 1: the mask as a network would have to predict it, brought back as a prediction is."""
    height, width = mask.shape
    perfect = (frame_mask(mask, frame) == 1).astype(np.float32)
    return (join(perfect, frame, height, width) > THRESHOLD).astype(np.uint8)


def count_mask(predicted: Pixels, mask: Pixels) -> Counts:
    """Of one image: (h, w) of 0 and 1 against (h, w) of 0, 1 and OUTSIDE."""
    logits = torch.from_numpy(predicted)[None, None].float() - 0.5
    return count(logits, torch.from_numpy(mask)[None, None])


def measure(
    candidate: Candidate,
    own_size: OwnSize,
    framed: Float[Tensor, "n 1 h w"],
    dark: bool,
    precision: str,
    test_reads: int,
) -> tuple[ModelScores, list[ImageTestScore]]:
    """Everything that is said of the champion; and the score of each test image.

    framed: its probabilities of the tiles of the test images, at the size it was trained on; dark: Otsu's side.
    """
    counts = own_size.counts[CHAMPION]
    test, otsu = score(counts), score(own_size.counts[OTSU])
    per_image = [dice_per_image(counts), counts.is_empty, counts.false_alarm]
    columns = (*(values.tolist() for values in per_image), own_size.contours)
    images = [ImageTestScore(*values) for values in zip(candidate.test, *columns, strict=True)]
    scored = [image for image in images if not math.isnan(image.dice)]
    contours = [image.contours for image in scored if image.contours]
    groups = [candidate.images.groups[image.index] for image in scored]
    low, high = interval_over_groups([image.dice for image in scored], groups)
    scores = ModelScores(
        run_id=candidate.run_id,
        data=candidate.images.name,
        data_digest=candidate.images.digest,
        channels=candidate.images.channels,
        chosen_by=candidate.choose,
        train_images=len(candidate.train),
        test_images=len(candidate.test),
        test_foreground_images=len(scored),
        test_empty_images=test.empty_images,
        test_false_alarms=test.false_alarms,
        test_reads=test_reads,
        val_dice=candidate.val_dice,
        test_dice=test.dice,
        test_dice_low=low if math.isnan(low) else max(low, 0.0),
        test_dice_high=high if math.isnan(high) else min(high, 1.0),
        test_units=len(set(groups)),
        test_unit="image" if len(set(groups)) == len(groups) else "group",
        test_global_dice=test.global_dice,
        test_iou=test.iou,
        test_dice_at_image_size=score(_count(candidate, candidate.test, framed)).dice,
        test_dice_ceiling=score(own_size.counts[CEILING]).dice,
        test_hd95=fmean(one.hd95 for one in contours),
        test_nsd=fmean(one.nsd for one in contours),
        test_object_f1=fmean(one.object_f1 for one in contours),
        otsu_dice=otsu.dice,
        otsu_false_alarms=otsu.false_alarms,
        otsu_dark=dark,
        precision=precision,
        comparisons=_compare(candidate, own_size, groups),
    )
    return scores, images


def _compare(candidate: Candidate, own_size: OwnSize, groups: Sequence[str]) -> tuple[Comparison, ...]:
    """The champion less each other, over the same images; `groups`: of those with foreground."""
    dices = {name: dice_per_image(counts) for name, counts in own_size.counts.items()}
    has_foreground = own_size.counts[CHAMPION].has_foreground
    found = []
    for name, run_id, differs in [
        (OTSU, "", ""),
        *((rival.name, rival.run_id, candidate.differs(rival)) for rival in candidate.rivals),
    ]:
        gains = (dices[CHAMPION] - dices[name])[has_foreground].tolist()
        low, high = interval_over_groups(gains, groups)
        dice = float(dices[name][has_foreground].mean())
        gain = fmean(gains)
        found.append(Comparison(name=name, run_id=run_id, differs=differs, dice=dice, gain=gain, low=low, high=high))
    return tuple(found)


def rank(scores: Sequence[ImageTestScore]) -> list[ImageTestScore]:
    """The worst first: the lowest Dice; then images without foreground, false alarms before the others."""
    return sorted(scores, key=lambda image: (1, not image.false_alarm) if math.isnan(image.dice) else (0, image.dice))


def to_csv(scores: Sequence[ImageTestScore], stems: Sequence[str]) -> str:
    """image, dice, false_alarm, hd95 (pixels), nsd, object_f1.

    Of an image without foreground only false_alarm is said, and of one with foreground all others.
    """
    table = csv.writer(text := io.StringIO(), lineterminator="\n")
    table.writerow(["image", "dice", "false_alarm", "hd95", "nsd", "object_f1"])
    for image in scores:
        dice = "" if math.isnan(image.dice) else image.dice
        alarm = str(image.false_alarm).lower() if image.is_empty else ""
        table.writerow([stems[image.index], dice, alarm, *(astuple(image.contours) if image.contours else ("",) * 3)])
    return text.getvalue()


def val_dice(candidate: Candidate, probabilities: Float[Tensor, "n 1 h w"]) -> float:
    """Mean Dice over the validation images with foreground, of predictions of their tiles."""
    return score(_count(candidate, candidate.val, probabilities)).dice


def _count(candidate: Candidate, indices: tuple[int, ...], probabilities: Float[Tensor, "n 1 h w"]) -> Counts:
    """Of each image, its tiles together."""
    tiles = candidate.tiles(indices)
    counts = count(probabilities.logit(), images_tensor(candidate.images.masks[tiles, ..., None]))
    return pool(counts, torch.tensor(candidate.images.image_index)[tiles], indices)


def interval_over_groups(values: Sequence[float], groups: Sequence[str]) -> tuple[float, float]:
    """95 % interval of the mean over images, Student's t over their groups; nan of fewer than MIN_UNITS groups.

    A group's images are alike, so it counts as one: by the mean of its images, where all groups are of one size. Where
    they are not, each weighs by its images, and its part of the error is what the mean moves by when it is left out
    (the jackknife: Cochran 1977, Sampling Techniques); for a group that holds most images pulls the mean to itself.
    """
    sizes = Counter(groups)
    if len(sizes) < MIN_UNITS:
        return math.nan, math.nan
    mean = fmean(values)
    moves = dict.fromkeys(sizes, 0.0)
    for value, group in zip(values, groups, strict=True):
        moves[group] += (value - mean) / (len(values) - sizes[group])
    error = math.sqrt((len(sizes) - 1) / len(sizes) * sum(move**2 for move in moves.values()))
    reach = t_value(len(sizes)) * error
    return mean - reach, mean + reach


def choose_side(candidate: Candidate) -> bool:
    """Whether Otsu's foreground is the dark side: what is better on the training images, at image_size."""
    return _score_otsu(candidate, dark=True).dice > _score_otsu(candidate, dark=False).dice


def _score_otsu(candidate: Candidate, dark: bool) -> Scores:
    """Of the training images, each with its own threshold; foreground on the dark side or not."""
    return score(concatenate([_count_otsu(candidate, index, dark) for index in candidate.train]))


def images_tensor(images: Pixels) -> UInt8[Tensor, "n c h w"]:
    """(n, h, w, c) to (n, c, h, w)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def _count_otsu(candidate: Candidate, index: int, dark: bool) -> Counts:
    image, mask = candidate.images.assembled(index)
    return count_mask(otsu_mask(image, dark), mask)
