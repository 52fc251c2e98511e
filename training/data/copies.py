"""Pictures that are on disk more than once: recompressed, lightened, flipped, turned or cropped copies.

A perceptual hash alone tells neither flips nor two fields of cells apart. So coarse descriptors propose pairs over all
flips and quarter turns, their fine structure decides, and keypoints find crops (overlaps.py). A picture without
structure is nobody's copy; equal pixels are found by their hash. Thumbnails in, groups of indices out.
"""

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.images import Pixels, to_channels
from training.data.overlaps import FAINT, Overlap, Plane, compare, find_overlaps, fine_structure
from training.data.split import connect

SIDE = 128  # pixels of a thumbnail
MAX_GAIN = 8  # that a dark picture is brightened by
COARSE = 32  # pixels of a descriptor
MIN_COARSE = 0.45  # correlation of two descriptors that makes them a candidate
MAX_CANDIDATES = 8  # of a picture, for each way of turning
LOSSLESS = 2  # grey levels that equal pictures' thumbnails may differ by, from rounding
MIN_LIKENESS = 0.5  # of two whole pictures, beyond what any two of the set have in common
MIN_SHARED_LIKENESS = 0.7  # of the part that two pictures share
MAX_FOR_CROPS = 2000  # pictures that are searched for crops, in about a minute or two
SAMPLE, RANK = 12, 2  # pictures that stand for all; likeness to strangers is the third-lowest: some may be copies
UNKNOWN = 0.4  # likeness of strangers, in sets too small to tell
ROWS = 1024  # descriptors compared at once with all others

KINDS = COPY, TURNED, CROP = "copy", "turned", "crop"
WAYS = range(8)  # flips and quarter turns; 0 is none


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Pictures that show the same."""

    images: tuple[int, ...]  # indices, ascending
    kinds: tuple[str, ...]  # copy: as it was; turned: flipped or rotated; crop: a part, or parts overlap
    likeness: float  # 0..1, to its closest copy, of the image that has the least

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """What dataclasses.asdict and JSON made of it."""
        return cls(images=tuple(kept["images"]), kinds=tuple(kept["kinds"]), likeness=kept["likeness"])


@dataclass(frozen=True, kw_only=True)
class CopySearch:
    """What was found among all pictures; crops are looked for in sets of up to MAX_FOR_CROPS."""

    copies: tuple[Copies, ...]
    crops_searched: bool


@dataclass(frozen=True, kw_only=True)
class Link:
    """Two pictures that show the same."""

    first: int
    second: int
    kind: str
    likeness: float


def thumbnail(image: Pixels) -> Pixels:
    """(h, w, c) -> (128, 128) grey: stretched to a square, so that a turned image's is a turned one, and to all levels.

    A dark picture is brightened at most MAX_GAIN times, so that noise stays weak.
    """
    plane: NDArray[Any] = to_channels(image, 1)[..., 0].astype(np.float32)
    for size in ((plane.shape[1], SIDE), (SIDE, SIDE)):  # an axis may shrink while the other grows
        shrinks = size[0] < plane.shape[1] or size[1] < plane.shape[0]
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    low, high = np.percentile(plane, (0.1, 99.9))
    gain = min(MAX_GAIN, 255 / max(high - low, 1))
    return np.asarray(np.clip(np.rint((plane - low) * gain), 0, 255), np.uint8)


def find_copies(thumbnails: Pixels, sizes: Sequence[tuple[int, int]]) -> CopySearch:
    """Groups of pictures that show the same. thumbnails (n, 128, 128), sizes (height, width) of the pictures."""
    links = _find_turned(thumbnails)
    crops_searched = len(thumbnails) <= MAX_FOR_CROPS
    if crops_searched:
        pictures = [_unstretch(picture, *size) for picture, size in zip(thumbnails, sizes, strict=True)]
        overlaps = find_overlaps(pictures, known={(link.first, link.second) for link in links})
        links += [
            Link(first=found.first, second=found.second, kind=_kind(found), likeness=found.likeness)
            for found in overlaps
            if found.likeness >= MIN_SHARED_LIKENESS
        ]
    return CopySearch(copies=_group(len(thumbnails), _beyond_usual(links, thumbnails)), crops_searched=crops_searched)


def _find_turned(thumbnails: Pixels) -> list[Link]:
    """Whole pictures that are alike under a flip or quarter turn, or none."""
    with ThreadPoolExecutor() as threads:
        squares = np.stack(list(threads.map(_describe, thumbnails)))
        candidates = list(_candidates(squares))

        def likeness(pair: tuple[int, int, int]) -> float:
            one, other = thumbnails[pair[0]], turn(thumbnails[pair[1]], pair[2])
            if cv2.absdiff(one, other).max() <= LOSSLESS:  # proves it, however little there is to see
                return 1.0
            return _compare(fine_structure(one), fine_structure(other))

        best: dict[tuple[int, int], tuple[float, int]] = {}
        for (first, second, way), value in zip(candidates, threads.map(likeness, candidates), strict=True):
            best[first, second] = max(best.get((first, second), (0.0, 0)), (value, -way))
    return [
        Link(first=first, second=second, kind=TURNED if way else COPY, likeness=value)
        for (first, second), (value, way) in sorted(best.items())
        if value >= MIN_LIKENESS
    ]


def turn(picture: NDArray[Any], way: int) -> NDArray[Any]:
    """One of the 8 flips and quarter turns of (h, w); 0 leaves it as it is."""
    picture = picture.T if way & 4 else picture
    return np.ascontiguousarray(picture[:: -1 if way & 2 else 1, :: -1 if way & 1 else 1])


def _describe(picture: Pixels) -> Plane:
    """(32, 32) of mean 0 and length 1: structure of 4 to 16 pixels, each place as strong as its surroundings allow."""
    small = cv2.resize(picture, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(small, (0, 0), s, borderType=cv2.BORDER_REFLECT) for s in (1.0, 4.0))
    structure = fine - coarse
    strength = np.sqrt(cv2.GaussianBlur(structure**2, (0, 0), 6.0, borderType=cv2.BORDER_REFLECT))
    square = cv2.resize(structure / (strength + 3 * FAINT), (COARSE, COARSE), interpolation=cv2.INTER_AREA)
    square -= square.mean()
    return np.asarray(square / max(float(np.linalg.norm(square)), 1e-6), np.float32)


def _candidates(squares: Plane) -> Iterator[tuple[int, int, int]]:
    """(first, second, way of turning the second) whose descriptors correlate, first < second."""
    flat = squares.reshape(len(squares), -1)
    for way in WAYS:
        turned = np.stack([turn(square, way) for square in squares]).reshape(len(squares), -1)
        for start in range(0, len(flat), ROWS):
            correlation = flat[start : start + ROWS] @ turned[start:].T
            correlation[np.tril_indices(len(correlation), m=correlation.shape[1])] = -1
            for row in np.flatnonzero(correlation.max(axis=1) >= MIN_COARSE).tolist():
                best = np.argsort(-correlation[row], kind="stable")[:MAX_CANDIDATES]
                for column in best[correlation[row, best] >= MIN_COARSE].tolist():
                    yield start + row, start + column, way


def _beyond_usual(links: Sequence[Link], thumbnails: Pixels) -> list[Link]:
    """The links between pictures that are more alike than strangers of this set.

    Strangers are alike where all show the same ring, scale bar or dust.
    """
    count = min(SAMPLE, len(thumbnails))
    sample = np.linspace(0, len(thumbnails) - 1, count).astype(int).tolist()
    structures = {index: fine_structure(thumbnails[index]) for index in sample}

    @functools.cache
    def usual(index: int) -> float:
        if len(thumbnails) <= SAMPLE:
            return UNKNOWN
        structure = fine_structure(thumbnails[index])
        others = sorted(_compare(structure, structures[other]) for other in sample if other != index)
        return max(0.0, others[RANK])

    return [
        link
        for link in links
        for common in [max(usual(link.first), usual(link.second))]
        if link.likeness - common >= MIN_LIKENESS * (1 - common)
    ]


def _group(num_images: int, links: Sequence[Link]) -> tuple[Copies, ...]:
    firsts = connect(num_images, [(link.first, link.second) for link in links])
    members: dict[int, list[Link]] = {}
    for link in links:
        members.setdefault(firsts[link.first], []).append(link)
    found = []
    for _, inside in sorted(members.items()):
        closest: dict[int, float] = {}
        for link in inside:
            for index in (link.first, link.second):
                closest[index] = max(closest.get(index, 0.0), link.likeness)
        kinds = {link.kind for link in inside}
        found.append(
            Copies(
                images=tuple(sorted(closest)),
                kinds=tuple(kind for kind in KINDS if kind in kinds),
                likeness=min(closest.values()),
            )
        )
    return tuple(found)


def _compare(first: Plane, second: Plane) -> float:
    return compare(first, second, np.ones_like(first))


def _unstretch(picture: Pixels, height: int, width: int) -> Pixels:
    """In its true proportions, the long side SIDE."""
    sides = [max(SIDE // 4, round(SIDE * side / max(height, width))) for side in (width, height)]
    return np.asarray(cv2.resize(picture, sides, interpolation=cv2.INTER_AREA), np.uint8)


def _kind(overlap: Overlap) -> str:
    if not overlap.whole:
        return CROP
    return TURNED if overlap.turned else COPY
