"""What a person says of masks: which values are foreground, which do not count, how they lie on their images; and what
to suggest to one who has said nothing yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.run_lengths import KAGGLE, RunOrder

AUTO = "auto"
APPLY, IGNORE, IMAGES = "apply", "ignore", "images"
ORIENTATIONS = (APPLY, IGNORE, IMAGES)
ALL_BUT = "all-but-"  # before values that are background
SHOWN_VALUES = 8
FIRST_COLOUR = 1 << 16  # labels from here on are colours, 0xRRGGBB
GREY, WHITE = 0x010101, 0xFFFFFF  # GREY times a level is its colour
IGNORE_LABEL = 255  # of many tools: "does not count"
IGNORE_LABELS = (IGNORE_LABEL, 65535)
VOID = 0xE0E0C0  # Pascal VOC's
MIN_RAMP = 17  # colours, above what classes have
MOST, BESIDE = 0.9, 0.2  # share of the colours of a ramp that are not farther beside it, as a share of its length


@dataclass(frozen=True, kw_only=True)
class MaskRule:
    """Which values are foreground: those in `values` (or, after ALL_BUT, the others), or those above `threshold`; AUTO
    for neither: look.

    `ignore` are values that are neither foreground nor background, as written by a person; AUTO for none.
    """

    threshold: str = AUTO
    values: str = AUTO
    ignore: str = AUTO

    def __post_init__(self) -> None:
        if self.threshold != AUTO and self.values != AUTO:
            raise ValueError(
                f"mask_threshold={self.threshold} and mask_values={self.values} both decide what is foreground; "
                "give one of them"
            )
        if self.threshold != AUTO:
            _number("mask_threshold", self.threshold)
        both = set(self.chosen) & set(self.ignored)
        if both:
            raise ValueError(
                f"mask_values={self.values} and ignore_value={self.ignore} both name {show_values(sorted(both))}; a "
                "value is foreground or does not count"
            )

    @property
    def chosen(self) -> list[int]:
        """The values that a person named in `values`."""
        return _numbers("mask_values", self.values.removeprefix(ALL_BUT))

    @property
    def ignored(self) -> list[int]:
        return _numbers("ignore_value", self.ignore)

    def is_chosen(self, labels: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which labels are foreground by `values`."""
        return np.isin(labels, _held(self.chosen, labels), invert=self.values.startswith(ALL_BUT))

    def is_ignored(self, labels: NDArray[np.int32]) -> NDArray[np.bool_]:
        return np.isin(labels, _held(self.ignored, labels))

    def named(self, labels: NDArray[np.int32]) -> tuple[int, ...]:
        """Those of a mask's values that a person named."""
        return tuple(n for n in _held([*self.chosen, *self.ignored], labels) if (labels == n).any())

    def is_above(self, labels: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which labels lie above the threshold; above a colour, those that go farther its way."""
        limit = _number("mask_threshold", self.threshold)
        if limit == 0 or not _is_colour(self.threshold):
            return labels > limit
        if limit % GREY == 0 and labels.max() < FIRST_COLOUR:
            return labels > limit // GREY
        channels = [(limit >> shift & 255, labels >> shift & 255) for shift in (16, 8, 0)]
        return np.asarray(sum(one * other for one, other in channels) > sum(one**2 for one, _ in channels))

    def absent(self, held: Iterable[int]) -> str:
        """What is wrong about values that a person named and no mask holds; empty where there is none."""
        there = set(held)
        for name, text in (("mask_values", self.values), ("ignore_value", self.ignore)):
            parts = [] if text == AUTO else text.removeprefix(ALL_BUT).split(",")
            lacking = [part.strip() for part in parts if not there & set(_numbers(name, part))]
            if lacking:
                return f"{name}={text}: no mask holds {', '.join(lacking)}"
        return ""

    @property
    def decides(self) -> bool:
        """Whether a person said which values are foreground."""
        return (self.threshold, self.values) != (AUTO, AUTO)

    @property
    def text(self) -> str:
        """What a person said, in words; empty where nothing."""
        if self.threshold != AUTO:
            return f"foreground is every value above {self.threshold} (mask_threshold)"
        values = self.values.replace(ALL_BUT, "all but ")
        return f"foreground is {values} (mask_values)" if self.values != AUTO else ""


@dataclass(frozen=True, kw_only=True)
class MaskPlacing:
    """How masks lie on their images, decided once for a set (training/data/decisions/decisions.py).

    orientation: apply: masks fit the picture as seen, by their own orientation tags; ignore: they fit the pixels as
    stored, whatever their tags, and are turned as the image is; images: they fit the picture as seen, and tags of
    their own are wrong.
    traced: outlines run through the outermost pixels of their objects (training/data/shapes.py).
    fractions: outlines are in fractions of the picture's width and height.
    by_rows: run lengths of a json go along the rows, where COCO's go down the columns.
    """

    orientation: str = APPLY
    order: RunOrder = KAGGLE
    traced: bool = False
    fractions: bool = False
    by_rows: bool = False


def show_values(values: Sequence[int] | NDArray[np.int32]) -> str:
    """The lowest few of sorted values; colours as hexadecimal RRGGBB."""
    colours = values[-1] >= FIRST_COLOUR
    shown = [show_value(value, colours) for value in values[:SHOWN_VALUES]]
    return ", ".join(shown) + (", ..." if len(values) > SHOWN_VALUES else "")


def show_value(value: int, colour: bool = False) -> str:
    """A level as a number, a colour as hexadecimal RRGGBB; black is a colour among colours."""
    return f"{value:06x}" if colour or value >= FIRST_COLOUR else str(value)


def suggest(values: NDArray[np.int32]) -> str:
    """The options that would decide."""
    ignored = _looks_ignored(values)
    others = values[values != ignored] if ignored is not None else values
    shown = show_values([ignored]) if ignored is not None else ""
    ignore = f"ignore_value={shown} (where {shown} means: does not count), " if shown else ""
    if others[-1] >= FIRST_COLOUR:
        half = _half_of_ramp(others)
        if half is not None:
            return ignore + f"mask_threshold={half:06x} (more than half of the colour; for smoothed masks and jpg)"
        colours = ",".join(show_value(value, colour=True) for value in others[others != 0][:2])
        rest = ", or mask_threshold=0 (all but black)" if 0 in others else ""
        rest += f", or mask_values={ALL_BUT}ffffff (all but white)" if WHITE in others else ""
        return ignore + f"mask_values={colours} (which colours are foreground){rest}"
    if len(others) == 2:
        return ignore + f"mask_values={others[0]}, or mask_values={others[1]}"
    middle = int(others[0] + others[-1]) // 2
    return ignore + (
        f"mask_threshold={middle} (above it; for smoothed masks), mask_threshold={others[0]} (all but {others[0]}; for "
        f"numbered objects), or mask_values={others[-1]} (a list of classes)"
    )


def _half_of_ramp(colours: NDArray[np.int32]) -> int | None:
    """Of many colours between black and one other, as smoothing and jpg make them, half of that one."""
    rgb = np.stack([colours >> 16 & 255, colours >> 8 & 255, colours & 255], axis=1).astype(np.float64)
    way = np.abs(np.linalg.svd(rgb, full_matrices=False)[2][0])
    along = rgb @ way
    beside = np.linalg.norm(rgb - along[:, None] * way, axis=1)
    if len(colours) < MIN_RAMP or along.min() > 0 or np.quantile(beside, MOST) > BESIDE * along.max():
        return None
    half = (np.minimum(way * along.max(), 255) / 2).astype(int)
    red, green, blue = np.where(half < half.max() / 4, 0, half).tolist()  # less is jpg's
    return red << 16 | green << 8 | blue


def _looks_ignored(values: NDArray[np.int32]) -> int | None:
    """Of at least three sorted values, the one that many tools give to pixels that do not count."""
    if len(values) < 3:
        return None
    if values[0] < 0:
        return int(values[0])
    if VOID in values:
        return VOID
    return int(values[-1]) if values[-1] in IGNORE_LABELS and values[-2] < values[-1] // 2 else None


def _held(numbers: Sequence[int], labels: NDArray[np.int32]) -> list[int]:
    """Without the levels of grey colours, in a mask that holds colours: there they are shades of blue."""
    levels = {number // GREY for number in numbers if number >= FIRST_COLOUR and number % GREY == 0}
    colours = labels.size > 0 and labels.max() >= FIRST_COLOUR
    return [number for number in numbers if not (colours and number in levels)]


def _numbers(name: str, text: str) -> list[int]:
    """A grey colour counts as its level, too: that is what it is in a mask without other colours."""
    numbers = [] if text == AUTO else [_number(name, part) for part in text.split(",")]
    return numbers + [number // GREY for number in numbers if number >= FIRST_COLOUR and number % GREY == 0]


def _number(name: str, text: str) -> int:
    """A decimal number; or six hexadecimal digits, a colour."""
    digits = text.strip().removeprefix("#")
    try:
        return int(digits, 16) if _is_colour(text) else int(digits)
    except ValueError:
        raise ValueError(
            f"{name}={text!r} is no value of a mask; give whole numbers such as 255, or colours such as ff0000"
        ) from None


def _is_colour(text: str) -> bool:
    return len(text.strip().removeprefix("#")) == 6
