"""All pairs of a set before any is read for good: what their headers say, and what a person said of them."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.data.decisions.agreement import agreement
from training.data.images import Header, decode_samples
from training.data.layouts.pairs import Pair, mask_files
from training.data.mask_rule import MaskPlacing, MaskRule
from training.data.masks import read_mask


@dataclass(frozen=True, kw_only=True)
class SetOfPairs:
    """Everything that is known before pixels are read; as a person said it, AUTO for: look."""

    pairs: Sequence[Pair]
    headers: Mapping[Path, Header]  # of every file of an image or a mask
    rule: MaskRule
    image_max: float
    channels: str
    orientation: str
    rle_order: str

    def samples(self, pair: Pair) -> Any:
        """(h, w, c) as seen. Raises ValueError or OSError."""
        return decode_samples(pair.image.read_bytes(), str(pair.image), pair.page, self.channels)

    def tag(self, pair: Pair) -> int:
        return self.headers[pair.image].orientation

    def mask_tag(self, pair: Pair) -> int:
        """The orientation tag of a mask's file; 1 where it has none, or is no file."""
        return next((self.headers[path].orientation for path in mask_files(pair.mask)), 1)


def in_parallel(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """In order, by as many threads as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(work, items))


def agreement_of(pair_set: SetOfPairs, pair: Pair, placing: MaskPlacing) -> float | None:
    """R^2 of a pair read in this way; nan where its mask says nothing; None where it cannot be read so."""
    try:
        image = pair_set.samples(pair)
        mask, _ = read_mask(pair.mask, image.shape[:2], pair_set.rule, Path.read_bytes, pair_set.tag(pair), placing)
    except (ValueError, OSError):
        return None
    return agreement(image, mask)
