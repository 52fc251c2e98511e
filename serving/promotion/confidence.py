"""How far the champion's answers can be trusted, image by image: a Dice predicted from the agreement of several seeds.

The other networks are chosen here. How much Dice an agreement is worth is fitted on the validation images, and checked
on the test images beside the trivial prediction, the mean validation Dice of every image. The validation images also
chose the champion and its epoch: so its Dice there is a little too good, and the predicted one with it.
"""

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from serving.inference.ensemble import Calibration, measure_agreement
from serving.inference.segmenter import Segmenter
from serving.promotion.candidate import Candidate, Rival, written_by
from serving.promotion.ranking import cell_of, find_runs, score
from serving.promotion.scores import count_mask, interval_over_groups
from training.data.originals import Originals
from training.network.metrics import dice_per_image
from training.study.intervals import MIN_UNITS
from training.study.trial import Trial
from training.study.words import pluralize
from training.tracking.runs import read_json
from training.tracking.tags import PARENT

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_OTHERS = 3  # each computes the image once more
LEAST, MOST = 0.5, 1.5  # of the smallest and of the largest training mask: what a mask covers of which anything is said


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """What a predicted Dice is worth. All images are those with foreground, at their own size."""

    networks: int  # the champion counted
    val_images: int  # that it was calibrated on
    test_images: int  # that it was checked on
    untold: int  # test images besides, of which it says nothing: their masks cover too little or too much
    calibration: Calibration
    error: float  # mean absolute, of the predicted Dice on the test images
    trivial_error: float  # of the mean validation Dice, predicted of every image
    gain_low: float  # 95 % interval of trivial_error less error; nan of too few images
    gain_high: float
    rank_correlation: float  # Spearman's, of predicted and true Dice; nan of too few images


def find_seeds(client: "MlflowClient", candidate: Candidate) -> tuple[Rival, ...]:
    """Other seeds of the candidate's configuration, the best first, MAX_OTHERS at most.

    Same fold and same split: none was trained on an image that judges here. Only of runs whose weights are there.
    """
    chosen = client.get_run(candidate.run_id)
    split_of = functools.cache(functools.partial(_split_of, client))
    found: dict[int, Rival] = {}
    for run in find_runs(client, candidate.images.name):
        if cell_of(run) != cell_of(chosen):
            continue
        trial = Trial.from_params(run.data.params)
        if (
            trial.seed not in (candidate.trial.seed, *found)
            and trial.fold == candidate.trial.fold
            and score(run) > 0
            and client.list_artifacts(run.info.run_id, "model")
            and split_of(run.data.tags[PARENT]) == split_of(chosen.data.tags[PARENT])
        ):
            name, run_id = f"seed_{trial.seed}", run.info.run_id
            found[trial.seed] = Rival(name=name, run_id=run_id, hashes=written_by(run), trial=trial)
        if len(found) == MAX_OTHERS:
            break
    return tuple(found.values())


def _split_of(client: "MlflowClient", study: str) -> dict[str, set[str]]:
    """The stems that train, validate and test in a study run."""
    split = read_json(client, study, "split.json")
    return {part: set(split[part]) for part in ("train", "val", "test")}


def assess_confidence(
    candidate: Candidate, originals: Originals, champion: Segmenter, others: Sequence[Segmenter]
) -> Confidence | str:
    """What the agreement of the networks says of the Dice; or, in words, why it says nothing, and the cure."""
    if not others:
        return (
            "no other seed of the model's configuration was there when it was promoted; run its study with more seeds, "
            "such as seeds=3, and promote again"
        )
    val = _measure(candidate.val, originals, champion, others)
    if len(val) < MIN_UNITS:
        return (
            f"{pluralize(len(val), 'validation image')} with foreground cannot calibrate it, which takes {MIN_UNITS}; "
            "run its study with a larger val_percent, and promote again"
        )
    shares = [candidate.images.facts[index].foreground for index in candidate.train]
    calibration = Calibration(
        dice_per_agreement=calibrate([one.agreement for one in val], [one.dice for one in val]),
        min_share=LEAST * min(shares),
        max_share=min(1.0, MOST * max(shares)),
    )
    seen = _measure(candidate.test, originals, champion, others)
    told = {one: calibration.predict_dice(one.agreement, one.share) for one in seen}
    test = [one for one in seen if not math.isnan(told[one])]
    if not test:
        return "the masks of all test images cover too little or too much to tell; train longer, and promote again"
    predicted, trivial = [told[one] for one in test], fmean(one.dice for one in val)
    errors = [abs(value - one.dice) for value, one in zip(predicted, test, strict=True)]
    trivial_errors = [abs(trivial - one.dice) for one in test]
    gains = [trivial - error for trivial, error in zip(trivial_errors, errors, strict=True)]
    low, high = interval_over_groups(gains, [candidate.images.groups[one.index] for one in test])
    return Confidence(
        networks=1 + len(others),
        val_images=len(val),
        test_images=len(test),
        untold=len(seen) - len(test),
        calibration=calibration,
        error=fmean(errors),
        trivial_error=fmean(trivial_errors),
        gain_low=low,
        gain_high=high,
        rank_correlation=rank_correlation(predicted, [one.dice for one in test]),
    )


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """An image with foreground, at its own size."""

    index: int  # into the candidate's images
    agreement: float
    share: float  # of the image that the champion's mask covers
    dice: float  # of the champion's mask


def _measure(
    indices: Sequence[int], originals: Originals, champion: Segmenter, others: Sequence[Segmenter]
) -> list[_Measured]:
    found = []
    for index in indices:
        image, mask = originals.read(index)
        if not (mask == 1).any():
            continue
        probability = champion.probability(image)
        predicted = (probability > champion.threshold).astype(np.uint8)
        dice = float(dice_per_image(count_mask(predicted, mask)))
        agreement, share = measure_agreement(image, probability, others)
        found.append(_Measured(index=index, agreement=agreement, share=share, dice=dice))
    return found


def calibrate(agreements: Sequence[float], dices: Sequence[float]) -> float:
    """The Dice that stands for an agreement of 1: least squares through the origin.

    One number, because there are few images: on held-out tissue and fluorescence of DSB-2018 a line with an intercept
    was a third further off with 3 images, and with 10 nearer by 0.002 at most. Isotonic regression was about as near,
    but says nothing below the worst validation image, where images of another kind lie; here, networks that agree on
    nothing have found nothing. The agreement of probabilities (soft Dice) was further off with either line.
    """
    return float(np.dot(agreements, dices) / max(np.dot(agreements, agreements), np.finfo(float).tiny))


def rank_correlation(predicted: Sequence[float], dices: Sequence[float]) -> float:
    """Spearman's; nan of fewer than MIN_UNITS images, or where all are equal."""
    if len(dices) < MIN_UNITS or len(set(predicted)) == 1 or len(set(dices)) == 1:
        return math.nan
    return float(spearmanr(predicted, dices).statistic)


def describe_confidence(confidence: Confidence | str) -> str:
    """For the model card and who promotes."""
    if isinstance(confidence, str):
        return f"How well a mask fits cannot be told (confidence=true): {confidence}."
    least, most = 100 * confidence.calibration.min_share, 100 * confidence.calibration.max_share
    low, high, order = confidence.gain_low, confidence.gain_high, confidence.rank_correlation
    interval = "no interval" if math.isnan(low) else f"{low:+.3f} to {high:+.3f} better, 95 %"
    no_better = "" if low > 0 else " So it is not known to be better than the mean among images like these."
    return (
        f"confidence=true predicts the Dice of a mask from the agreement of {confidence.networks} networks, calibrated "
        f"on {pluralize(confidence.val_images, 'validation image')}. On "
        f"{pluralize(confidence.test_images, 'test image')} with foreground it is off by {confidence.error:.3f} on "
        f"average; the mean validation Dice, said of each, by {confidence.trivial_error:.3f} ({interval}). Rank "
        f"correlation with the true Dice: {'unknown' if math.isnan(order) else f'{order:.2f}'}.{no_better} Of a mask "
        f"that covers less than {least:.1f} % or more than {most:.1f} % of its image it says nothing "
        f"({pluralize(confidence.untold, 'test image')})."
    )


def confidence_json(confidence: Confidence, seeds: Sequence[Rival]) -> str:
    """What the service reads (serving/inference/ensemble.py)."""
    names = [seed.name for seed in seeds]
    return json.dumps({"networks": names, "calibration": asdict(confidence.calibration)}, indent=2)
