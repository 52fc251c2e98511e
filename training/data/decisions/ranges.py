"""Which value stands for white in files of more than 8 bits, found over a whole set. Numbers in, a number out.

A camera of 12 bits writes 16-bit files whose highest value is 4095; read by all 16 bits they would be nearly black.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from training.study.words import shorten

FULL_RANGES = (255, 1023, 4095, 16383, 65535)  # 8, 10, 12, 14 and 16 bits
FAR = 2  # usual ranges apart: no difference of exposure
MIN_FRACTION = 0.1  # share of the images that makes a range of its own


@dataclass(frozen=True)
class Span:
    """What one file of more than 8 bits holds."""

    stem: str
    kind: str  # uint, int or float
    bits: int
    highest: float
    usual: float  # 999 of 1000 values are at most this


def find_range(spans: Sequence[Span]) -> float:
    """The smallest usual range that holds every value of files that state none.

    Raises ValueError, asking, for floats above 1, for 32 bits, and for a set of different ranges.
    """
    highest = max(span.highest for span in spans)
    kinds = {span.kind if span.kind == "float" else f"{span.bits}-bit" for span in spans}
    if kinds == {"float"} and 0.5 < highest <= 1:
        return 1
    if kinds != {"16-bit"}:
        raise ValueError(
            f"the images hold {' and '.join(sorted(kinds))} numbers up to {highest:g}, and no file says which value "
            f"stands for white; say it: image_max={_suggest(highest)}"
        )
    found = _range_of(highest)
    hot = [span.stem for span in spans if span.highest > _range_of(max(span.usual for span in spans))]
    if hot and _steps(max(span.usual for span in spans), highest) >= FAR:
        raise ValueError(
            f"a few pixels go up to {highest:g} ({shorten(hot)}), and 999 of 1000 are at most "
            f"{max(span.usual for span in spans):g}: hot pixels would make everything else dark. Mend them, or take "
            f"this range as it is: image_max={found}"
        )
    narrow = [span.stem for span in spans if span.highest and _steps(span.highest, highest) >= FAR]
    if len(narrow) >= MIN_FRACTION * len(spans):
        raise ValueError(
            f"{len(narrow)} of {len(spans)} images of 16 bits hold values up to "
            f"{max(span.highest for span in spans if span.stem in narrow):g} only ({shorten(narrow)}), the others go "
            f"up to {highest:g}: they are of different ranges; save all in one, or say that "
            f"they are of one range as they are: image_max={found}"
        )
    return found


def differ_by_image(stated: Sequence[float]) -> bool:
    """Whether what files state to be white differs, and not as the depths of two cameras do (4095 and 16383)."""
    return len(set(stated)) > 1 and not all(math.log2(value + 1).is_integer() for value in stated)


def describe_range(spans: Sequence[Span], found: float) -> str:
    highest = max(span.highest for span in spans)
    many = f"{len(spans)} images of {spans[0].bits} bits" + (" (floats)" if spans[0].kind == "float" else "")
    return (
        f"{many} are read as 0 to {found:g}, the smallest usual range that holds their highest value, {highest:g}; "
        "image_max says otherwise"
    )


def _range_of(highest: float) -> int:
    return next(limit for limit in FULL_RANGES if highest <= limit)


def _steps(low: float, high: float) -> int:
    """How many usual ranges lie between those of two values."""
    return FULL_RANGES.index(_range_of(high)) - FULL_RANGES.index(_range_of(low))


def _suggest(highest: float) -> str:
    return f"{next((limit for limit in (1, *FULL_RANGES) if highest <= limit), highest):g}"
