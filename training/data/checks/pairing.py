"""Does each mask belong to its image, and where it lies? Told by laying it on the others, and by moving it about.

An ImageSet in, findings out; what tells is how well masks agree with pixels (decisions/agreement.py).
"""

import math

import numpy as np
from numpy.typing import NDArray

from training.data.checks.findings import ERROR, WARNING, Finding, stems_of
from training.data.decisions.agreement import PAIR_SIDE, SmallPairs, agreement, gains_of, is_sure
from training.data.image_set import ImageSet
from training.study.words import pluralize

MAX_IMAGES = 200  # that are laid on each other: the first ones, since a numbering that slips does so among neighbours
MIN_OTHERS = 3  # images of the same size, without which a mask is not judged
MIN_JUDGED = 8  # masks, below which no better on their own images than on others may be chance
MAX_JUDGED = 50  # masks that are laid on MIN_OTHERS other images at their full size
BETTER = 0.3  # gain in R^2 on the best of the other images that is no accident,
CHANCE = 0.1  # where on its own a mask has hardly more than on all of them
MOVED = 0.15  # mean gain in R^2 by moving all masks alike that is no accident


def pairing_problems(images: ImageSet) -> list[Finding]:
    known = [k for k, facts in enumerate(images.facts[:MAX_IMAGES]) if 0 < facts.foreground < 1]
    if len(known) <= MIN_OTHERS:
        return []
    pairs = SmallPairs.of(images.assembled(index) for index in known)
    across = pairs.across()
    sizes = np.array([(images.facts[k].height, images.facts[k].width) for k in known])
    others = (sizes[:, None] == sizes).all(axis=2) & ~np.isnan(across) & ~np.eye(len(known), dtype=bool)
    told = [k for k in range(len(known)) if others[k].sum() >= MIN_OTHERS]
    found = (
        _moved(images, known, pairs)
        or _others(images, known, told, across, others)
        or _unrelated(images, known, told, across, others)
    )
    return [found] if found else []


def _others(
    images: ImageSet, known: list[int], told: list[int], found: NDArray[np.float32], others: NDArray[np.bool_]
) -> Finding | None:
    """Masks that fit another image well, and their own no better than any."""
    best = [int(np.where(others[k], found[k], -1).argmax()) for k in told]
    above_chance = [float(found[k, k] - found[k, others[k]].mean()) for k in told]
    gains = [float(found[k, other] - found[k, k]) for k, other in zip(told, best, strict=True)]
    odd = [n for n in range(len(told)) if gains[n] > BETTER and above_chance[n] < CHANCE]
    if not odd:
        return None
    first = max(odd, key=lambda n: gains[n])
    mask, image = (images.stems[known[k]] for k in (told[first], best[first]))
    most = len(odd) > len(told) / 2
    return Finding(
        severity=ERROR if most else WARNING,
        title=f"{pluralize(len(odd), 'mask')} of {len(told)} would fit another image better: {mask}'s fits {image}",
        meaning="Masks seem to be named after the wrong images, perhaps by a numbering that slipped. Compare them by "
        "eye, and name each mask after its image.",
        stems=stems_of(images, [known[told[n]] for n in odd]),
    )


def _unrelated(
    images: ImageSet, known: list[int], told: list[int], found: NDArray[np.float32], others: NDArray[np.bool_]
) -> Finding | None:
    """Masks that fit their own images no better than those of others: they may be of other images, or drawn wrongly."""
    if len(told) < MIN_JUDGED or is_sure([float(found[k, k] - found[k, others[k]].mean()) for k in told]):
        return None
    if is_sure(_gains_at_full_size(images, known, told[:: math.ceil(len(told) / MAX_JUDGED)], others)):
        return None
    return Finding(
        severity=WARNING,
        title=f"{len(told)} masks fit their own images no better than those of others",
        meaning="Nothing in the pixels says that masks belong to these images, or lie in the right places. Look at the "
        "contact sheet: are they named after other images, drawn at another size, or counted in another order? If they "
        "lie where they should, the pictures are all alike, or brightness, colour and edges do not show what is meant.",
    )


def _gains_at_full_size(images: ImageSet, known: list[int], told: list[int], others: NDArray[np.bool_]) -> list[float]:
    """How much better each mask agrees with its own image than with the next ones; thin lines tell at no less."""
    own, on_others = list[float](), list[float]()
    for k in told:
        image, mask = images.assembled(known[k])
        own.append(agreement(image, mask))
        following = sorted(np.flatnonzero(others[k]).tolist(), key=lambda other: (other - k) % len(known))[:MIN_OTHERS]
        scores = [agreement(images.assembled(known[other])[0], mask) for other in following]
        on_others.append(math.fsum(scores) / len(scores))
    return gains_of(own, on_others)


def _moved(images: ImageSet, known: list[int], pairs: SmallPairs) -> Finding | None:
    """Masks that all lie as far beside what they outline."""
    found = pairs.moved()
    if len(found) <= MIN_OTHERS:
        return None
    down, right = (int(place) for place in np.unravel_index(found.mean(axis=0).argmax(), found.shape[1:]))
    gains = [float(gain) for gain in found[:, down, right] - found[:, 0, 0]]
    if not is_sure(gains) or np.mean(gains) < MOVED:
        return None
    sizes = np.median([(images.facts[k].height, images.facts[k].width) for k in known], axis=0)
    steps = [place - PAIR_SIDE * (place > PAIR_SIDE / 2) for place in (down, right)]
    words = (("lower", "higher"), ("further right", "further left"))
    where = [
        f"{abs(step) * size / PAIR_SIDE:.0f} pixels {word[step < 0]}"
        for step, size, word in zip(steps, sizes, words, strict=True)
        if step
    ]
    return Finding(
        severity=WARNING,
        title=f"the masks would fit their images better about {' and '.join(where)}",
        meaning="They were shifted against each other, perhaps by a margin that one of them lacks; or outlines were "
        "drawn on pictures of another size. Look at the contact sheet, and save the masks where they belong.",
    )
