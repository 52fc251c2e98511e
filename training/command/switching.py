"""Above which share of foreground the switching loss leads with Dice: a threshold that batches lie on both sides of.

Below the smallest share of a batch, or above the largest, the loss would be one of its two branches all the time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from training.data.framing import OUTSIDE
from training.data.image_set import ImageSet
from training.study.trial import Trial

AUTO = "auto"


@dataclass(frozen=True)
class SwitchingTau:
    """A study's switching_tau; all its trials share it."""

    value: float
    origin: str  # auto, report (protocol=report keeps the default) or given
    why: str

    @property
    def text(self) -> str:
        return f"switching_tau={self.value:g}: {self.why}"


def read_tau(text: str, protocol: str) -> SwitchingTau:
    """What is known before the masks are. Raises ValueError for what is neither a number nor auto."""
    if text == AUTO:
        origin = "report" if protocol == "report" else AUTO
        return SwitchingTau(Trial.switching_tau, origin, "protocol=report keeps it, whatever the masks")
    try:
        value = float(text)
    except ValueError:
        raise ValueError(
            f"switching_tau={text!r} is no number; give one between 0 and 1, or `{AUTO}` for the training masks' "
            "median foreground"
        ) from None
    return SwitchingTau(value, "given", "as given")


def find_tau(images: ImageSet, train: Iterable[int]) -> SwitchingTau:
    """The median share of foreground over the tiles that train, as they are trained, to 2 significant digits.

    The mean where more than half of them are empty or full; the default where all are.
    """
    fractions = _foreground_fractions(images, train)
    median, mean = float(np.median(fractions)), float(np.mean(fractions))
    if 0 < median < 1:
        return SwitchingTau(_round(median), AUTO, "the training masks' median foreground")
    if 0 < mean < 1:
        why = f"the training masks' mean foreground; their median is {median:g}"
        return SwitchingTau(_round(mean), AUTO, why)
    return SwitchingTau(Trial.switching_tau, AUTO, f"the training masks' foreground is {mean:g}, so it never switches")


def _foreground_fractions(images: ImageSet, train: Iterable[int]) -> list[float]:
    """Of the pixels that count; a tile without any has none."""
    fractions = []
    for index in train:
        for tile in images.tiles(index):
            mask = images.masks[tile]
            if counted := int((mask != OUTSIDE).sum()):
                fractions.append(int((mask == 1).sum()) / counted)
    return fractions


def _round(fraction: float) -> float:
    return float(f"{fraction:.2g}")
