"""Whether masks fit their images as seen or as stored, where files carry an orientation tag (EXIF, TIFF).

A camera stores a picture as its sensor lay and writes beside it how to turn it. Some annotation tools apply the tag,
some ignore it, some copy it onto the mask. Sizes tell where a turn swaps height and width; else the agreement of
masks and pixels does, over all pairs with a tag. Scores in, a decision out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.data.decisions.agreement import CLEAR, is_sure
from training.data.mask_rule import APPLY, IGNORE, IMAGES, ORIENTATIONS
from training.study.words import pluralize, shorten

MEANING = {
    APPLY: "masks fit the pictures as seen",
    IGNORE: "masks fit the pixels as stored, before the tag turns them, and are turned with their images",
    IMAGES: "masks fit the pictures as seen; orientation tags of their own are wrong and left out",
}
ASK = "orientation=apply (masks fit the pictures as a viewer shows them) or orientation=ignore (the stored pixels)"


@dataclass(frozen=True)
class Fit:
    """One pair with a tag: how well its mask agrees with its image, by orientation; nothing where sizes differ."""

    stem: str
    turns: Mapping[str, int]  # orientation -> the tag that would turn its mask
    scores: Mapping[str, float]  # orientation -> R^2; nan where the mask is empty or full
    stated: str = ""  # the orientation that the stated size of an annotation suggests


def decide_orientation(fits: Sequence[Fit]) -> str:
    """One of ORIENTATIONS. Raises ValueError, asking or naming the pairs, where the set does not tell."""
    possible = [one for one in ORIENTATIONS if all(one in fit.scores for fit in fits)]
    if not possible:
        sides = {one: [fit.stem for fit in fits if one in fit.scores] for one in (APPLY, IGNORE)}
        if not any(sides.values()):
            return APPLY  # wrong sizes whatever the tags say: reading will name them
        raise ValueError(_mixed(sides[APPLY], sides[IGNORE], "by their sizes"))
    best = max(possible, key=lambda one: _total(fits, one))
    for other in possible:
        differing = [fit for fit in fits if fit.turns[best] != fit.turns[other]]
        if not differing:
            best = min(best, other, key=ORIENTATIONS.index)  # the same for every pair: the plainer one
            continue
        gains = {fit.stem: fit.scores[best] - fit.scores[other] for fit in differing}
        known = {stem: gain for stem, gain in gains.items() if not math.isnan(gain)}
        against = [stem for stem, gain in known.items() if gain < -CLEAR]
        agreeing = [stem for stem, gain in known.items() if gain > CLEAR]
        if against and agreeing:
            seen, stored = (agreeing, against) if best == APPLY else (against, agreeing)
            raise ValueError(_mixed(seen, stored, "by how well they agree with the pixels"))
        if not is_sure(list(known.values())):
            stated = {fit.stated for fit in differing}
            if len(stated) == 1 and "" not in stated:
                return stated.pop()
            tagged = shorten([fit.stem for fit in differing])
            raise ValueError(
                f"{len(differing)} images or masks carry an orientation tag ({tagged}), and whether the masks fit the "
                f"turned or the stored pixels cannot be told from them; say it: {ASK}"
            )
    return best


def _total(fits: Sequence[Fit], orientation: str) -> float:
    return sum(score for fit in fits if not math.isnan(score := fit.scores[orientation]))


def _mixed(seen: Sequence[str], stored: Sequence[str], how: str) -> str:
    return (
        f"orientation tags: {pluralize(len(seen), 'mask')} fit their picture as seen ({shorten(seen)}) and "
        f"{len(stored)} fit the stored pixels ({shorten(stored)}), {how}; masks of one set must fit in one way: "
        "save the fewer again"
    )
