"""What a person says of masks: which values are foreground, which do not count, how they lie on their images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.run_lengths import KAGGLE, RunOrder

AUTO = "auto"
APPLY, IGNORE, IMAGES = "apply", "ignore", "images"
ORIENTATIONS = (APPLY, IGNORE, IMAGES)
SHOWN_VALUES = 8
FIRST_COLOUR = 1 << 16  # labels from here on are colours, 0xRRGGBB


@dataclass(frozen=True, kw_only=True)
class MaskRule:
    """Which values are foreground: those in `values`, or those above `threshold`; AUTO for neither: look.

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
        return _numbers("mask_values", self.values)

    @property
    def ignored(self) -> list[int]:
        return _numbers("ignore_value", self.ignore)

    def absent(self, held: Iterable[int]) -> str:
        """What is wrong about values that a person named and no mask holds; empty where there is none."""
        there = set(held)
        for name, text in (("mask_values", self.values), ("ignore_value", self.ignore)):
            parts = [] if text == AUTO else text.split(",")
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
        return f"foreground is {self.values} (mask_values)" if self.values != AUTO else ""


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


def _numbers(name: str, text: str) -> list[int]:
    """A grey colour counts as its level, too: that is what it is in a mask without other colours."""
    numbers = [] if text == AUTO else [_number(name, part) for part in text.split(",")]
    return numbers + [number >> 16 for number in numbers if number >= FIRST_COLOUR and number % 0x10101 == 0]


def _number(name: str, text: str) -> int:
    """A decimal number; or six hexadecimal digits, a colour."""
    text = text.strip().removeprefix("#")
    try:
        return int(text, 16) if len(text) == 6 else int(text)
    except ValueError:
        raise ValueError(
            f"{name}={text!r} is no value of a mask; give whole numbers such as 255, or colours such as ff0000"
        ) from None
