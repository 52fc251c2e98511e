"""A data set ready to train on, as a value: its images, its masks, and what was seen of each when it was read.

The arrays lie on disk and are mapped, so every process of a study shares one copy. How a folder becomes one is said in
training/data/reading.py.
"""

import functools
import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from training.data.copies import Copies
from training.data.framing import Frame, assemble
from training.data.images import Pixels
from training.data.prepared import map_arrays, read_own_masks

SHOWN_PROBLEMS = 20
MAX_SAME = 4  # files of which the same is said: they are merged
NUMBER, LISTED = re.compile(r"\b(?:[0-9a-f]{6}|\d[\d.]*)\b"), re.compile(r"#(?:, (?:#|\.\.\.))+")


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What was seen of one image and its mask when they were read, at their own size."""

    height: int  # pixels
    width: int
    channels: int  # 1 when every pixel is grey
    brightest: int  # 0..255
    transparent: bool  # some pixel is not opaque; transparency is not read
    image_hash: str  # of the pixels: equal for identical images, whatever their files
    mask_hash: str
    mask_kind: str  # as in masks.MaskFacts
    mask_values: tuple[int, ...]
    num_values: int
    named_values: tuple[int, ...]  # of its values, those that a person named as foreground or as not counting
    foreground: float  # share of the pixels that count
    ignored: float  # share of the pixels that are neither foreground nor background
    border: float  # share of the outermost pixels that are foreground
    lining: float  # share of the foreground that lines holes, where it is lines a few pixels wide; 0 where it is not
    correlations: tuple[float, ...]  # of the mask with what one sees, as in agreement.Look
    turned: tuple[float, ...]  # how well the mask would fit by orientation tag, likewise
    contrast: float  # mean luma of foreground less background, in standard deviations; 0 where one is missing

    @classmethod
    def from_json(cls, seen: dict[str, Any]) -> Self:
        """What dataclasses.asdict and JSON made of it."""
        lists = {name: tuple(value) for name, value in seen.items() if isinstance(value, list)}
        return cls(**seen | lists)


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Images with their masks, in tiles of one size: under fit=resize an image is one tile, under fit=tile many.

    images (tiles, h, w, c) uint8, c = 1 (grey) or 3 (RGB); masks (tiles, h, w) uint8: 0 background, 1 foreground,
    framing.OUTSIDE beyond the image. stems, groups and facts have one entry per image; image_index says which image a
    tile is of.
    """

    name: str
    path: Path
    layout: str
    notes: tuple[str, ...]
    range_max: float  # what stands for white in files of more than 8 bits that state nothing; 0: there are none
    overrides_stated: bool  # so it does in those that state something
    stems: tuple[str, ...]
    groups: tuple[str, ...]  # images of one group never lie on two sides of a split
    subject_columns: tuple[str, ...]  # of a csv, that could say so and is not used
    grouped: bool  # the layout or a person said which belong together; else only identical images do
    paths: tuple[str, ...]  # of each image, from the folder on, without its suffix
    folder_parts: tuple[str, ...]  # of each image, as given_split.py tells: train, val, test or ""
    copies: tuple[Copies, ...]  # images that show the same, found by their pixels
    crops_searched: bool  # so are parts of one another; not in very large sets
    facts: tuple[ImageFacts, ...]
    frame: Frame
    image_index: tuple[int, ...]
    digest: str  # 16 hexadecimal digits that name these pixels in this order
    entry: Path  # where the arrays are kept

    @functools.cached_property
    def images(self) -> Pixels:
        return map_arrays(self.entry)[0]

    @functools.cached_property
    def masks(self) -> Pixels:
        return map_arrays(self.entry)[1]

    @functools.cached_property
    def own_masks(self) -> Mapping[str, Pixels]:
        """PNGs by index, of the masks at their images' own size; none under fit=tile, where the tiles are that."""
        return read_own_masks(self.entry)

    def own_mask(self, index: int) -> Pixels:
        """(h, w) of 0, 1 and framing.OUTSIDE, at the image's own size."""
        if self.frame.fit == "tile":
            facts = self.facts[index]
            return assemble(self.masks[list(self.tiles(index))], self.frame, facts.height, facts.width)
        mask = cv2.imdecode(self.own_masks[str(index)], cv2.IMREAD_UNCHANGED)
        assert mask is not None, "what we wrote ourselves"
        return mask.astype(np.uint8)

    def assembled(self, index: int) -> tuple[Pixels, Pixels]:
        """An image (h, w, c) and its mask (h, w) at the size they train in, tiles laid together, nothing beyond."""
        facts, tiles = self.facts[index], list(self.tiles(index))
        arrays = (self.images[tiles], self.masks[tiles])
        image, mask = (np.ascontiguousarray(assemble(one, self.frame, facts.height, facts.width)) for one in arrays)
        return image, mask

    def __getstate__(self) -> dict[str, Any]:
        """Another process maps the arrays itself."""
        return {key: value for key, value in self.__dict__.items() if key not in ("images", "masks", "own_masks")}

    def attach(self, images: Pixels, masks: Pixels, own_masks: Mapping[str, Pixels]) -> None:
        """Arrays that were brought along, on a machine that has none on disk."""
        self.__dict__.update(images=images, masks=masks, own_masks=own_masks)

    @property
    def num_images(self) -> int:
        return len(self.stems)

    @property
    def channels(self) -> int:
        return int(self.images.shape[3])

    @property
    def foreground(self) -> list[float]:
        """Of each image the share of its pixels that is foreground, at its own size."""
        return [facts.foreground for facts in self.facts]

    @property
    def foreground_percent(self) -> float:
        """Mean over images, at their own size."""
        return 100 * float(np.mean(self.foreground))

    def tiles(self, index: int) -> range:
        """Which tiles are an image's."""
        return range(bisect_left(self.image_index, index), bisect_left(self.image_index, index + 1))


def data_name(data: Path) -> str:
    """What a data set is called: its folder, or its csv."""
    return data.resolve().stem if data.is_file() else data.resolve().name


class UnusableError(ValueError):
    """Files that cannot be trained on; `problems` has one line for each, or one for many of which the same is true."""

    def __init__(self, data: Path, problems: list[str]) -> None:
        self.problems = merge_problems(problems)
        lines = [f"\n  - {problem}" for problem in self.problems[:SHOWN_PROBLEMS]]
        left = len(self.problems) - SHOWN_PROBLEMS
        more = f"\n  - and {left} more" if left > 0 else ""
        super().__init__(f"data={data}: {len(self.problems)} problem(s)" + "".join(lines) + more)


def merge_problems(problems: list[str]) -> list[str]:
    """`FILE: what is wrong`, one line for each; where the same is wrong with many files, numbers aside, one line that
    names the first.
    """
    files: dict[str, list[tuple[str, str]]] = {}
    for problem in problems:
        name, separator, rest = problem.partition(": ")
        name, wrong = (name, rest) if separator else ("", problem)
        files.setdefault(_without_numbers(wrong), []).append((name, wrong))
    merged = []
    for alike in files.values():
        name, wrong = alike[0]
        if len(alike) < MAX_SAME:
            merged += [f"{name}: {wrong}" if name else wrong for name, wrong in alike]
        else:
            more = " more files" if len({name for name, _ in alike}) > 1 else " more times"
            numbers = "" if len({wrong for _, wrong in alike}) == 1 else ", with other numbers"
            merged.append(f"{name} and {len(alike) - 1}{more}{numbers}: {wrong}")
    return merged


def _without_numbers(text: str) -> str:
    """The same for lists of numbers, or colours, of any length."""
    return LISTED.sub("#", NUMBER.sub("#", text))
