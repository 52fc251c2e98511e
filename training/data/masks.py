"""What is foreground in a mask: the rule, the ways to write a mask down, and the refusal to guess.

Two values, one of them 0, are clear, and so are objects numbered from 1. Everything else asks its owner. Knows the
sources a layout finds; nothing of images, trials or torch.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.images import Pixels, decode_labels
from training.data.pairs import MaskFile, MaskSource, ObjectFiles, RunLengths

AUTO = "auto"
SHOWN_VALUES = 8
FIRST_COLOUR = 1 << 16  # labels from here on are colours, 0xRRGGBB

Labels = NDArray[np.int32]
ReadBytes = Callable[[Path], bytes]


@dataclass(frozen=True, kw_only=True)
class MaskRule:
    """Which values are foreground: those in `values`, or those above `threshold`; AUTO for neither: look."""

    threshold: str = AUTO
    values: str = AUTO

    def __post_init__(self) -> None:
        if self.threshold != AUTO and self.values != AUTO:
            raise ValueError(
                f"mask_threshold={self.threshold} and mask_values={self.values} both decide what is foreground; "
                "give one of them"
            )
        if self.threshold != AUTO:
            _number("mask_threshold", self.threshold)
        self.chosen  # noqa: B018 - raises for what is no list of values

    @property
    def chosen(self) -> list[int]:
        return [] if self.values == AUTO else [_number("mask_values", text) for text in self.values.split(",")]

    @property
    def text(self) -> str:
        if self.threshold != AUTO:
            return f"foreground is every value above {self.threshold} (mask_threshold)"
        return f"foreground is {self.values} (mask_values)" if self.values != AUTO else ""


@dataclass(frozen=True, kw_only=True)
class MaskFacts:
    """What a mask held before it became 0 and 1."""

    kind: str  # empty, full, binary, objects; chosen where the rule said which values are foreground
    values: tuple[int, ...]  # the lowest SHOWN_VALUES of them
    num_values: int


def read_mask(source: MaskSource, size: tuple[int, int], rule: MaskRule, read: ReadBytes) -> tuple[Pixels, MaskFacts]:
    """(h, w) of 0 and 1. `size` is the image's (height, width), `read` gives the bytes of a file.

    Raises ValueError, naming the file, for a mask of another size and for one whose foreground is not clear.
    """
    if isinstance(source, MaskFile):
        labels = decode_labels(read(source.path), str(source.path), source.page)
        _check_size(labels, size, source.path)
        return binarize(labels, rule, str(source.path))
    if isinstance(source, ObjectFiles):
        return _unite(source, size, rule, read)
    mask = np.zeros(size, np.uint8)
    if isinstance(source, RunLengths):
        for text in source.texts:
            mask |= decode_runs(text, size, source.path)
    else:
        for text in source.segmentations:
            mask |= decode_shape(text, size, source.path)
    return mask, _facts(np.unique(mask), "objects" if mask.any() else "empty")


def binarize(labels: Labels, rule: MaskRule, name: str) -> tuple[Pixels, MaskFacts]:
    """Labels to 0 and 1 by the rule; under AUTO 0 is background, and there must be no doubt."""
    values = _values(labels)
    if rule.threshold != AUTO:
        return (labels > int(rule.threshold)).astype(np.uint8), _facts(values, "chosen")
    if rule.values != AUTO:
        return np.isin(labels, rule.chosen).astype(np.uint8), _facts(values, "chosen")
    mask = (labels != 0).astype(np.uint8)
    if len(values) == 1:
        return mask, _facts(values, "full" if values[0] else "empty")
    if len(values) == 2 and values[0] == 0:
        return mask, _facts(values, "binary")
    if are_objects(labels, values):
        return mask, _facts(values, "objects")
    raise ValueError(
        f"{name}: the mask holds {len(values)} values ({show_values(values)}), and it is not clear which are "
        f"foreground; say so: {suggest(values)}"
    )


def are_objects(labels: Labels, values: NDArray[np.int32]) -> bool:
    """Whether the values number objects: 0, 1, 2, ... without a gap, and each of them one connected piece."""
    count = len(values) - 1
    if values[0] != 0 or values[-1] != count:
        return False
    rows, columns = labels.shape
    links = np.zeros((2 * rows - 1, 2 * columns - 1), np.uint8)  # pixels, and between them what joins equal ones
    links[::2, ::2] = labels > 0
    links[::2, 1::2] = (labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] > 0)
    links[1::2, ::2] = (labels[1:] == labels[:-1]) & (labels[1:] > 0)
    pieces = cv2.connectedComponents(links, connectivity=4)[0] - 1
    return bool(pieces <= 1.1 * count)


def suggest(values: NDArray[np.int32]) -> str:
    """The options that would decide."""
    if values[-1] >= FIRST_COLOUR:
        return "mask_values=ff0000,00ff00 (colours), or mask_threshold=0 (all but black)"
    middle = int(values[0] + values[-1]) // 2
    return (
        f"mask_threshold={middle} (above it; for smoothed masks), mask_threshold={values[0]} (all but {values[0]}; for "
        f"numbered objects), or mask_values={values[-1]} (a list of classes)"
    )


def show_values(values: NDArray[np.int32]) -> str:
    """The lowest few values; colours as hexadecimal RRGGBB."""
    colours = values[-1] >= FIRST_COLOUR
    shown = [f"{value:06x}" if colours else str(value) for value in values[:SHOWN_VALUES]]
    return ", ".join(shown) + (", ..." if len(values) > SHOWN_VALUES else "")


def decode_runs(text: str, size: tuple[int, int], path: Path) -> Pixels:
    """Kaggle's run lengths: pairs of a start (from 1, down the columns) and a length. Raises ValueError."""
    height, width = size
    try:
        numbers = np.array(text.split(), np.int64)
    except (ValueError, OverflowError):
        raise ValueError(f"{path}: run lengths are whole numbers, but one row holds {text[:40]!r}") from None
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    if len(starts) != len(lengths) or (starts < 0).any() or (lengths < 1).any():
        raise ValueError(f"{path}: run lengths are pairs of start and length, both from 1; one row is {text[:40]!r}")
    if (starts + lengths > height * width).any():
        raise ValueError(f"{path}: a run of {text[:40]!r} ends outside its image of {height}x{width} pixels")
    steps = np.zeros(height * width + 1, np.int32)
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + lengths, -1)
    return (np.cumsum(steps[:-1]) > 0).astype(np.uint8).reshape(width, height).T


def decode_shape(text: str, size: tuple[int, int], path: Path) -> Pixels:
    """A COCO segmentation in JSON, drawn by COCO's own library: polygons, or run lengths, compressed or not."""
    from pycocotools import mask as coco

    height, width = size
    shape = json.loads(text)
    if not (_are_polygons(shape) or _are_runs(shape)):
        raise ValueError(
            f"{path}: the segmentation {text[:60]!r} is neither polygons of at least three points (x, y, x, y, ...) "
            "nor run lengths with size and counts"
        )
    if isinstance(shape, dict) and shape["size"] != [height, width]:
        raise ValueError(f"{path}: a segmentation is of size {shape['size']}, but its image is {height}x{width}")
    try:
        compressed = isinstance(shape, dict) and isinstance(shape["counts"], str)
        codes = shape if compressed else coco.frPyObjects(shape, height, width)
        mask = coco.decode(coco.merge(codes) if isinstance(codes, list) else codes)
    except Exception as error:  # pycocotools raises plain Exception
        raise ValueError(f"{path}: the segmentation {text[:60]!r} cannot be drawn ({error})") from None
    return np.asarray(mask, np.uint8)


def _are_polygons(shape: object) -> bool:
    """pycocotools would crash on anything else."""
    return bool(shape) and all(
        isinstance(polygon, list)
        and len(polygon) >= 6
        and len(polygon) % 2 == 0
        and all(isinstance(number, int | float) and abs(number) < 1e6 for number in polygon)
        for polygon in (shape if isinstance(shape, list) else [None])
    )


def _are_runs(shape: object) -> bool:
    if not isinstance(shape, dict) or not isinstance(shape.get("size"), list):
        return False
    counts = shape.get("counts")
    plain = isinstance(counts, list) and all(isinstance(count, int) and count >= 0 for count in counts)
    return isinstance(counts, str) or (plain and sum(counts or ()) == np.prod(shape["size"]))


def _unite(source: ObjectFiles, size: tuple[int, int], rule: MaskRule, read: ReadBytes) -> tuple[Pixels, MaskFacts]:
    mask = np.zeros(size, np.uint8)
    for path in source.paths:
        labels = decode_labels(read(path), str(path))
        _check_size(labels, size, path)
        mask |= binarize(labels, rule, str(path))[0]
    return mask, _facts(np.unique(mask), "objects" if mask.any() else "empty")


def _check_size(labels: Labels, size: tuple[int, int], path: Path) -> None:
    if labels.shape != size:
        (h, w), (mh, mw) = size, labels.shape
        raise ValueError(f"{path}: image is {h}x{w} but its mask is {mh}x{mw}; they must have the same size")


def _values(labels: Labels) -> NDArray[np.int32]:
    if labels.max() < FIRST_COLOUR and labels.min() >= 0:
        return np.flatnonzero(np.bincount(labels.ravel())).astype(np.int32)  # many times faster than sorting
    return np.unique(labels)


def _facts(values: NDArray[Any], kind: str) -> MaskFacts:
    return MaskFacts(kind=kind, values=tuple(values[:SHOWN_VALUES].tolist()), num_values=len(values))


def _number(name: str, text: str) -> int:
    """A decimal number; or six hexadecimal digits, a colour."""
    text = text.strip().removeprefix("#")
    try:
        return int(text, 16) if len(text) == 6 else int(text)
    except ValueError:
        raise ValueError(
            f"{name}={text!r} is no value of a mask; give whole numbers such as 255, or colours such as ff0000"
        ) from None
