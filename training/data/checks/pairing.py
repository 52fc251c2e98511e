"""Does each mask belong to its image? Told by laying it on the others, too: names may be equal and still be wrong.

An ImageSet in, a finding out; what tells is how well masks agree with pixels (decisions/agreement.py).
"""

import numpy as np

from training.data.checks.findings import ERROR, WARNING, Finding, stems_of
from training.data.decisions.agreement import agreements
from training.data.image_set import ImageSet
from training.study.words import pluralize

MAX_IMAGES = 200  # that are laid on each other: the first ones, since a numbering that slips does so among neighbours
MIN_OTHERS = 3  # images of the same size, without which a mask is not judged
BETTER = 0.3  # gain in R^2 on the best of the other images that is no accident,
CHANCE = 0.1  # where on its own a mask has hardly more than on all of them


def check_pairing(images: ImageSet) -> Finding | None:
    """Masks that fit another image well, and their own no better than any."""
    known = [k for k, facts in enumerate(images.facts[:MAX_IMAGES]) if 0 < facts.foreground < 1]
    if len(known) <= MIN_OTHERS:
        return None
    found = agreements(images.assembled(index) for index in known)
    sizes = np.array([(images.facts[k].height, images.facts[k].width) for k in known])
    others = (sizes[:, None] == sizes).all(axis=2) & ~np.isnan(found) & ~np.eye(len(known), dtype=bool)
    told = [k for k in range(len(known)) if others[k].sum() >= MIN_OTHERS]
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
