"""Run lengths of a csv: decoded, and in which order they were counted, which the csv itself does not say.

Kaggle counts down the columns from 1; some challenges count along the rows, some programs from 0, and SIIM-ACR counts
each start from the end of the run before. Counted in the wrong order an object falls to pieces, so the order that gives
the most compact masks is the right one; but for square pictures, of which the wrong order swaps the axes. Then the
pixels decide (training/data/decisions/run_order.py).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.images import Pixels

AUTO = "auto"
MAX_SAMPLED = 100  # masks whose compactness is compared
CLEAR = 1.05  # times the outline of the best order, which the best of the other order must exceed


@dataclass(frozen=True)
class RunOrder:
    """down: runs go down the columns, else along the rows; first: the number of the first pixel; relative: a start is
    counted from the end of the run before.
    """

    down: bool
    first: int
    relative: bool = False

    @property
    def text(self) -> str:
        way = "down the columns" if self.down else "along the rows"
        return f"run lengths are counted {way} from {'the end of the run before' if self.relative else self.first}"


RUN_ORDERS = {
    "columns": RunOrder(True, 1),
    "rows": RunOrder(False, 1),
    "columns0": RunOrder(True, 0),
    "rows0": RunOrder(False, 0),
    "columns_relative": RunOrder(True, 0, relative=True),
    "rows_relative": RunOrder(False, 0, relative=True),
}
ABSOLUTE = tuple(order for order in RUN_ORDERS.values() if not order.relative)
RELATIVE = tuple(order for order in RUN_ORDERS.values() if order.relative)
KAGGLE = RUN_ORDERS["columns"]

Sample = tuple[tuple[str, ...], tuple[tuple[int, int], ...]]  # the run lengths of one mask, and sizes it may have
Outlines = dict[RunOrder, float]


def decode_runs(text: str, size: tuple[int, int], path: Path, order: RunOrder = KAGGLE) -> Pixels:
    """(h, w) of 0 and 1, from pairs of a start and a length. Raises ValueError for what is none, or does not fit."""
    height, width = size
    numbers = _parse(text, path)
    starts, lengths = numbers[::2] - order.first, numbers[1::2]
    if order.relative and len(starts) == len(lengths):
        starts = np.cumsum(starts) + np.cumsum(lengths) - lengths
    if len(starts) != len(lengths) or (starts < 0).any() or (lengths < 1).any():
        raise ValueError(
            f"{path}: run lengths are pairs of a start, from {order.first}, and a length, from 1; one row is "
            f"{text[:40]!r}; say how they are counted: rle_order={', '.join(RUN_ORDERS)}"
        )
    if (starts + lengths > height * width).any():
        raise ValueError(f"{path}: a run of {text[:40]!r} ends outside its image of {height}x{width} pixels")
    steps = np.zeros(height * width + 1, np.int32)
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + lengths, -1)
    covered = (np.cumsum(steps[:-1]) > 0).astype(np.uint8)
    return covered.reshape(width, height).T if order.down else covered.reshape(height, width)


def _parse(text: str, path: Path) -> np.ndarray:
    try:
        return np.array(text.split(), np.int64)
    except (ValueError, OverflowError):
        raise ValueError(f"{path}: run lengths are whole numbers, but one row holds {text[:40]!r}") from None


def possible_orders(samples: Sequence[Sample], path: Path) -> tuple[RunOrder, ...]:
    """The relative ones where runs would overlap otherwise, and every mask fits its picture so; else the absolute ones.

    Overlapping runs alone do not tell: some tables join the runs of two objects.
    """
    overlap = any(_overlap(text, path) for texts, _ in samples for text in texts)
    return RELATIVE if overlap and all(fit_somehow(sample, path, RELATIVE) for sample in samples) else ABSOLUTE


def outline_lengths(sample: Sample, path: Path, orders: Sequence[RunOrder] = ABSOLUTE) -> Outlines:
    """Of one mask in each order, the length of its outline in pixels; infinite where its run lengths do not fit."""
    texts, sizes = sample
    return {order: _outline(texts, sizes, path, order) for order in orders}


def fit_somehow(sample: Sample, path: Path, orders: Sequence[RunOrder]) -> bool:
    """Whether run lengths can be read in any of these orders; if not, reading them will say what is wrong."""
    texts, sizes = sample
    return any(math.isfinite(_outline(texts, sizes, path, order)) for order in orders)


def fits(outlines: Outlines) -> bool:
    """The same, of a mask whose outlines were measured."""
    return math.isfinite(min(outlines.values()))


def likely_orders(masks: Iterable[Outlines]) -> list[RunOrder]:
    """The orders that give the shortest outlines over all masks together, the best first.

    Several, where outlines do not tell: in a square picture the wrong order only swaps the axes; and where no object
    reaches the border, counting from 0 or from 1 only shifts the masks by a pixel.
    """
    fitting = [outlines for outlines in masks if fits(outlines)]
    total = {order: sum(outlines[order] for outlines in fitting) for order in (fitting[0] if fitting else ())}
    if not any(total.values()):
        return [KAGGLE]
    shortest = {
        down: min((length for order, length in total.items() if order.down == down), default=math.inf)
        for down in (True, False)
    }
    limit = CLEAR * min(shortest.values())
    likely = [order for order, length in total.items() if length == shortest[order.down] <= limit]
    return sorted(likely, key=lambda order: total[order])


def _overlap(text: str, path: Path) -> bool:
    """Whether runs share pixels where each start is counted from the first pixel."""
    try:
        numbers = _parse(text, path)
    except ValueError:
        return False  # reading it will say so
    starts, lengths = numbers[: len(numbers) // 2 * 2 : 2], numbers[1::2]
    order = np.argsort(starts, kind="stable")
    return bool((starts[order][1:] < (starts + lengths)[order][:-1]).any())


def _outline(texts: tuple[str, ...], sizes: tuple[tuple[int, int], ...], path: Path, order: RunOrder) -> float:
    """The length of a mask's outline, in pixels, at the size that suits it best; infinite where it fits none.

    The picture's border counts: else objects would be the shorter the farther they are pushed beyond it.
    """
    lengths = []
    apart = (order.relative and texts) or (" ".join(texts),)  # at once is faster, where starts do not build on others
    for size in sizes:
        try:
            mask = np.pad(np.bitwise_or.reduce([decode_runs(text, size, path, order) for text in apart]), 1)
        except ValueError:
            continue
        lengths.append(float(sum(np.count_nonzero(np.diff(mask, axis=axis)) for axis in (0, 1))))
    return min(lengths, default=float("inf"))
