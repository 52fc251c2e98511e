"""What is wrong or odd about how masks lie on their images: turned, mirrored or inverted, all of them or some.

Facts in, findings out; what tells is how well masks agree with pixels (decisions/agreement.py), over all pairs.
"""

from collections.abc import Callable, Mapping

import numpy as np

from training.data.checks.findings import ERROR, WARNING, Finding, stems_of
from training.data.decisions.agreement import CLEAR, NUM_FEATURES, is_sure
from training.data.image_set import ImageSet
from training.study.words import pluralize

LARGER = 0.15  # shares of border and image by which inverted masks exceed the others, in the middle of each
CLEAR_CORRELATION = 0.2  # length of a mask's correlations with its image below which they say nothing
CLEAR_CONTRAST = 0.5  # standard deviations between foreground and background that are no accident
MOSTLY = 0.5  # foreground share of an image that is more foreground than background
TURNED = 0.3  # gain in R^2 by turning one mask that is no accident
TURNS = {
    2: "mirrored left to right",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "transposed",
    6: "turned by 90 degrees clockwise",
    7: "transposed across the other diagonal",
    8: "turned by 90 degrees counterclockwise",
}


def fit_problems(images: ImageSet) -> list[Finding]:
    checks: tuple[Callable[[ImageSet], Finding | None], ...] = (
        _turned,
        _inverted_ones,
        _inverted_all,
        _one_sided_contrast,
    )
    return [finding for check in checks if (finding := check(images))]


def _turned(images: ImageSet) -> Finding | None:
    """Masks that would fit their images if they were turned or mirrored: all of them, or one by one."""
    gains = {tag: _gains(images, tag) for tag in TURNS}
    sure = [tag for tag, found in gains.items() if is_sure(list(found.values())) and _mean(found) > CLEAR]
    if sure:
        best = max(sure, key=lambda tag: _mean(gains[tag]))
        return Finding(
            severity=ERROR,
            title=f"the masks fit their images better when they are {TURNS[best]}",
            meaning="They were turned against each other, perhaps by a program that left out an orientation tag. Turn "
            "the masks, or the images, and save them again.",
            stems=stems_of(images, gains[best]),
        )
    odd = [k for k, facts in enumerate(images.facts) if facts.turned and max(facts.turned) - facts.turned[0] > TURNED]
    if not odd:
        return None
    return Finding(
        severity=WARNING,
        title=f"{pluralize(len(odd), 'suspicious pair')}: the mask would fit its image much better turned or mirrored",
        meaning="Look at these pairs.",
        stems=stems_of(images, odd),
    )


def _gains(images: ImageSet, tag: int) -> dict[int, float]:
    """By how much each mask would fit its image better, turned so; of images where that can be told."""
    comparable = [(k, facts.turned) for k, facts in enumerate(images.facts) if len(facts.turned) >= tag]
    return {k: turned[tag - 1] - turned[0] for k, turned in comparable}


def _mean(gains: Mapping[int, float]) -> float:
    return sum(gains.values()) / len(gains)


def _inverted_ones(images: ImageSet) -> Finding | None:
    """Some masks fit their images the other way round than the others, and reach around the border."""
    found = np.array([facts.correlations or (0.0,) * NUM_FEATURES for facts in images.facts])
    clear = np.linalg.norm(found, axis=1) > CLEAR_CORRELATION
    if clear.sum() < 2:
        return None
    axis = np.linalg.svd(found[clear], full_matrices=False)[2][0]
    side = np.where(clear, np.sign(found @ axis), 0)
    border = np.array([facts.border for facts in images.facts])
    one, other = (border[side == sign] for sign in (1, -1))
    if not len(one) or not len(other):
        return None
    outer = 1 if np.median(one) > np.median(other) else -1
    foreground = np.array(images.foreground)
    if any(np.median(seen[side == outer]) - np.median(seen[side == -outer]) < LARGER for seen in (border, foreground)):
        return None
    odd = np.flatnonzero(side == outer).tolist()
    said = any(facts.mask_kind == "chosen" for facts in images.facts)
    return Finding(
        severity=WARNING if said else ERROR,
        title=f"{pluralize(len(odd), 'mask')} of {images.num_images} look inverted beside the others",
        meaning="What is background elsewhere is foreground here: it reaches around the border, and fits the image the "
        "other way round. Save these masks inverted, or leave them out; if they are right, say so by naming the "
        "values that are foreground: mask_values.",
        stems=stems_of(images, odd),
    )


def _inverted_all(images: ImageSet) -> Finding | None:
    fractions = [fraction for fraction in images.foreground if fraction > 0]
    if np.mean([fraction > MOSTLY for fraction in fractions]) < 0.9:
        return None
    return Finding(
        severity=WARNING,
        title=f"foreground is {100 * float(np.mean(fractions)):.0f} % of the pixels: the masks may be inverted",
        meaning="If 0 marks what you look for, give mask_values=0.",
    )


def _one_sided_contrast(images: ImageSet) -> Finding | None:
    """Nearly all foreground is darker than its background (or brighter), and a few are clearly the other way."""
    contrast = np.array([facts.contrast for facts in images.facts])
    usual = np.sign(np.median(contrast))
    odd = np.flatnonzero(contrast * usual < -CLEAR_CONTRAST).tolist()
    if not odd or len(odd) > 0.05 * len(contrast):
        return None
    side = "brighter" if usual > 0 else "darker"
    return Finding(
        severity=WARNING,
        title=f"{pluralize(len(odd), 'suspicious pair')}: foreground is {side} than background elsewhere, and here the "
        "reverse",
        meaning="The mask may be inverted, shifted, or belong to another image; look at these pairs.",
        stems=stems_of(images, odd),
    )
