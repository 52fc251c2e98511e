"""What is foreground in a mask: the rule, the ways to write a mask down, and the refusal to guess.

Two values, one of them 0, are clear, and so are objects numbered from 1. Everything else asks its owner. Knows the
sources a layout finds; nothing of images, trials or torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from training.data.formats.stored import QUARTER_TURNS
from training.data.framing import OUTSIDE
from training.data.images import Pixels, decode_labels, read_header, turn
from training.data.layouts.pairs import FRACTIONS, MaskFile, MaskSource, ObjectFiles, RunLengths, Shapes
from training.data.mask_rule import (
    APPLY,
    AUTO,
    FIRST_COLOUR,
    IGNORE,
    IMAGES,
    SHOWN_VALUES,
    MaskPlacing,
    MaskRule,
    show_values,
    suggest,
)
from training.data.run_lengths import decode_runs
from training.data.shapes import decode_shape, proportional, resize_mask

Labels = NDArray[np.int32]
ReadBytes = Callable[[Path], bytes]


@dataclass(frozen=True, kw_only=True)
class MaskFacts:
    """What a mask held before it became 0 and 1."""

    kind: str  # empty, full, binary, objects; chosen or above where values or a threshold said what is foreground
    values: tuple[int, ...]  # the lowest SHOWN_VALUES of them
    num_values: int
    named: tuple[int, ...] = ()  # those that a person named as foreground, or as not counting


def read_mask(
    source: MaskSource,
    size: tuple[int, int],
    rule: MaskRule,
    read: ReadBytes,
    tag: int = 1,
    placing: MaskPlacing = MaskPlacing(),  # noqa: B008 - frozen
) -> tuple[Pixels, MaskFacts]:
    """(h, w) of 0, 1 and OUTSIDE (does not count), as the image is seen.

    `size` is the image's (height, width) as seen and `tag` its orientation; `read` gives the bytes of a file. Raises
    ValueError, naming the file, for a mask of another size and for one whose foreground is not clear.
    """
    if isinstance(source, MaskFile):
        labels = _read_labels(source.path, source.page, size, read, tag, placing)
        return binarize(labels, rule, str(source.path), source.values, source.ignored)
    if isinstance(source, ObjectFiles):
        mask = np.zeros(size, np.uint8)
        for path in source.paths:
            mask |= binarize(_read_labels(path, 0, size, read, tag, placing), rule, str(path))[0] == 1
        return mask, _facts(np.unique(mask), "objects" if mask.any() else "empty")
    if placing.fractions and isinstance(source, Shapes):
        source = replace(source, size=FRACTIONS)
    turned = tag if placing.orientation == IGNORE else 1
    drawn = turn(_draw(_sized(source, size, tag, turned), _stored(size, turned), placing), turned)
    return drawn, _facts(np.unique(drawn), "objects" if drawn.any() else "empty")


def binarize(
    labels: Labels, rule: MaskRule, name: str, values: Sequence[int] = (), ignored: Sequence[int] = ()
) -> tuple[Pixels, MaskFacts]:
    """Labels to 0, 1 and OUTSIDE by the rule; under AUTO 0 is background, and there must be no doubt.

    values, ignored: what the layout knows of this file (a label map); what a person said goes first.
    """
    left_out = rule.is_ignored(labels) | np.isin(labels, ignored) if rule.ignored or ignored else None
    found = _values(labels if left_out is None else labels[~left_out])
    mask, kind = _foreground(labels, found, rule, name, values, left_out)
    if left_out is not None:
        mask[left_out] = OUTSIDE
    return mask, replace(_facts(found, kind), named=rule.named(labels))


def _foreground(
    labels: Labels,
    found: NDArray[np.int32],
    rule: MaskRule,
    name: str,
    values: Sequence[int],
    left_out: NDArray[np.bool_] | None,
) -> tuple[Pixels, str]:
    """(h, w) of 0 and 1, and the kind of mask (MaskFacts). `found` are the values that count."""
    if rule.threshold != AUTO:
        return rule.is_above(labels).astype(np.uint8), "above"
    if rule.values != AUTO or values:
        chosen = rule.is_chosen(labels) if rule.values != AUTO else np.isin(labels, values)
        return chosen.astype(np.uint8), "chosen"
    mask = (labels != 0).astype(np.uint8)
    if len(found) == 0 or (len(found) == 1 and found[0] == 0):
        return mask, "empty"
    if len(found) == 1:
        return mask, "full"
    if len(found) == 2 and found[0] == 0:
        return mask, "binary"
    if are_objects(labels if left_out is None else np.where(left_out, 0, labels), found):
        return mask, "objects"
    raise ValueError(
        f"{name}: the mask holds {len(found)} values ({show_values(found)}), and it is not clear which are "
        f"foreground; say so: {suggest(found)}"
    )


def are_objects(labels: Labels, values: NDArray[np.int32]) -> bool:
    """Whether the values number objects: 0, 1, 2, ... without a gap, each one piece (sides and corners join pixels)."""
    count = len(values) - 1
    if values[0] != 0 or values[-1] != count:
        return False
    rows, columns = labels.shape
    links = np.zeros((2 * rows - 1, 2 * columns - 1), np.uint8)  # pixels, and between them what joins equal ones
    links[::2, ::2] = labels > 0
    links[::2, 1::2] = (labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] > 0)
    links[1::2, ::2] = (labels[1:] == labels[:-1]) & (labels[1:] > 0)
    number, grid = cv2.connectedComponents(links, connectivity=4)
    joined = _corner_links(labels, grid[::2, ::2].astype(np.int32))
    graph = coo_array((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), (number, number))
    pieces = connected_components(graph, directed=False, return_labels=False) - 1
    return bool(pieces <= 1.1 * count)


def _corner_links(labels: Labels, pieces: NDArray[np.int32]) -> NDArray[np.int32]:
    """(n, 2): pieces of one label that touch at a corner, as what numbers objects mostly joins them; each two once."""
    corners = ((np.s_[:-1, :-1], np.s_[1:, 1:]), (np.s_[:-1, 1:], np.s_[1:, :-1]))
    found = []
    for one, other in corners:
        touching = (labels[one] == labels[other]) & (labels[one] > 0) & (pieces[one] != pieces[other])
        found.append(np.stack([pieces[one][touching], pieces[other][touching]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _read_labels(
    path: Path, page: int, size: tuple[int, int], read: ReadBytes, tag: int, placing: MaskPlacing
) -> Labels:
    """The labels of a file, as its image is seen. Raises ValueError for another size."""
    data = read(path)
    labels = decode_labels(data, str(path), page)
    turned = {APPLY: lambda: read_header(data, str(path)).orientation, IMAGES: lambda: 1, IGNORE: lambda: tag}
    labels = turn(labels, turned[placing.orientation]())
    if labels.shape != size:
        (h, w), (mh, mw) = size, labels.shape
        raise ValueError(
            f"{path}: image is {h}x{w} but its mask is {mh}x{mw}; they must have the same size: give the picture that "
            "the mask was drawn on, or scale the mask to the nearest pixel"
        )
    return labels


def _draw(source: RunLengths | Shapes, size: tuple[int, int], placing: MaskPlacing) -> Pixels:
    """(h, w) of 0 and 1."""
    mask = np.zeros(size, np.uint8)
    if isinstance(source, Shapes):
        traced = placing.traced and not source.corners
        for text in source.segmentations:
            mask |= decode_shape(text, size, source.path, source.size, traced, placing.by_rows)
        return mask
    counted_at = source.size or size
    if not proportional(counted_at, size):
        raise ValueError(
            f"{source.path}: run lengths were counted on {counted_at[0]}x{counted_at[1]} pixels (height x width), but "
            f"the image is {size[0]}x{size[1]}, of another shape; give the picture that was annotated"
        )
    mask = np.zeros(counted_at, np.uint8)
    for text in source.texts:
        mask |= decode_runs(text, counted_at, source.path, placing.order)
    return resize_mask(mask, size)


def _sized(source: RunLengths | Shapes, size: tuple[int, int], tag: int, turned: int) -> RunLengths | Shapes:
    """Of a picture that its tag turns on its side, a table may state the height and width of either way."""
    wanted = _stored(size, turned)
    if tag not in QUARTER_TURNS or source.size in (None, FRACTIONS) or proportional(source.size, wanted):
        return source
    return replace(source, size=source.size[::-1]) if isinstance(source, Shapes) else source


def _stored(size: tuple[int, int], tag: int) -> tuple[int, int]:
    """The (height, width) before an orientation tag turned it."""
    return (size[1], size[0]) if tag in QUARTER_TURNS else size


def _values(labels: Labels) -> NDArray[np.int32]:
    if labels.size == 0:
        return np.zeros(0, np.int32)
    if labels.max() < FIRST_COLOUR and labels.min() >= 0:
        return np.flatnonzero(np.bincount(labels.ravel())).astype(np.int32)  # many times faster than sorting
    return np.unique(labels)


def _facts(values: NDArray[Any], kind: str) -> MaskFacts:
    return MaskFacts(kind=kind, values=tuple(values[:SHOWN_VALUES].tolist()), num_values=len(values))
