"""What the files of a set decide together before any is read for good: the range of their pixels, how their masks lie.

One file does not tell; all of them mostly do. Where they do not, or contradict each other, their owner is asked.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from training.data.agreement import agreement, is_sure
from training.data.images import STATED, Header, decode_samples
from training.data.mask_rule import APPLY, AUTO, IGNORE, ORIENTATIONS, MaskPlacing, MaskRule
from training.data.masks import read_mask
from training.data.orientation import MEANING, Fit, decide_orientation
from training.data.pairs import MaskFile, ObjectFiles, Pair, RunLengths, Shapes
from training.data.ranges import Span, describe_range, find_range
from training.data.run_lengths import KAGGLE, MAX_SAMPLED, RUN_ORDERS, RunOrder, likely_orders
from training.data.shapes import are_traced
from training.data.stored import QUARTER_TURNS

MAX_OUTLINES = 2000  # that are looked at to tell how all were made


@dataclass(frozen=True, kw_only=True)
class Decisions:
    range_max: float  # what stands for white in files of more than 8 bits that state nothing; 0: there are none
    placing: MaskPlacing
    notes: tuple[str, ...]  # what was decided, and by what, for people


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
        paths = pair.mask.paths if isinstance(pair.mask, ObjectFiles) else ()
        paths = (pair.mask.path,) if isinstance(pair.mask, MaskFile) else paths
        return next((self.headers[path].orientation for path in paths), 1)


def decide(asked: SetOfPairs) -> tuple[Decisions, list[str]]:
    """Decisions, and what has to be asked first: one problem each.

    A file that cannot be read decides nothing; reading it will say what is wrong.
    """
    notes: list[str] = []
    problems: list[str] = []

    def ask(decision: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return decision()
        except ValueError as error:
            problems.append(str(error))
            return otherwise

    range_max = ask(lambda: _find_range(asked, notes), 0.0)
    order = ask(lambda: _find_order(asked, notes), KAGGLE)
    placing = MaskPlacing(order=order, traced=_find_traced(asked, notes))
    orientation = ask(lambda: _find_orientation(asked, placing, notes), APPLY)
    placing = replace(placing, orientation=orientation)
    return Decisions(range_max=range_max, placing=placing, notes=tuple(notes)), problems


def in_parallel(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """In order, by as many threads as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(work, items))


def _find_range(asked: SetOfPairs, notes: list[str]) -> float:
    def span(pair: Pair) -> Span | None:
        header = asked.headers[pair.image]
        try:
            return Span(pair.stem, header.kind, header.bits, float(asked.samples(pair).max()))
        except (ValueError, OSError):
            return None

    if asked.image_max != STATED:
        return 0.0
    headers = [(pair, asked.headers[pair.image]) for pair in asked.pairs]
    unstated = [pair for pair, header in headers if (header.bits > 8 or header.kind != "uint") and not header.max_value]
    spans = [span for span in in_parallel(span, unstated) if span]
    if not spans:
        return 0.0
    found = find_range(spans)
    notes.append(describe_range(spans, found))
    return found


def _find_order(asked: SetOfPairs, notes: list[str]) -> RunOrder:
    counted = [(pair, pair.mask) for pair in asked.pairs if isinstance(pair.mask, RunLengths)]
    if not counted:
        return KAGGLE
    if asked.rle_order != AUTO:
        return RUN_ORDERS[asked.rle_order]
    samples = ((mask.texts, _sizes(mask, asked.headers[pair.image])) for pair, mask in counted)
    first, *others = likely_orders(samples, counted[0][1].path)
    how = "that gives the most compact masks"
    for other in others:
        sampled = [pair for pair, mask in counted if mask.texts][:MAX_SAMPLED]
        gains = [gain for gain in in_parallel(partial(_gain, asked, first, other), sampled) if not math.isnan(gain)]
        if is_sure([-gain for gain in gains]):
            first = other
        elif not is_sure(gains):
            raise ValueError(
                f"{counted[0][1].path}: it cannot be told from masks and pixels whether run lengths go down the "
                "columns or along the rows; say it: rle_order=columns (as Kaggle's usually do) or rle_order=rows"
            )
        how = "masks then agree with the pixels"
    if first != KAGGLE or others:
        notes.append(f"{first.text}: {how}; rle_order says otherwise")
    return first


def _gain(asked: SetOfPairs, one: RunOrder, other: RunOrder, pair: Pair) -> float:
    """By how much a pair agrees better in one order than in the other; nan where that cannot be told."""
    first, second = (_agreement(asked, pair, MaskPlacing(order=order)) for order in (one, other))
    return math.nan if first is None or second is None else first - second


def _sizes(mask: RunLengths, header: Header) -> tuple[tuple[int, int], ...]:
    """The (height, width) that the runs may have been counted on."""
    seen, stored = (header.height, header.width), (header.width, header.height)
    if mask.size:
        return (mask.size,)
    return (seen, stored) if header.orientation in QUARTER_TURNS else (seen,)


def _find_traced(asked: SetOfPairs, notes: list[str]) -> bool:
    drawn = [text for pair in asked.pairs if isinstance(pair.mask, Shapes) for text in pair.mask.segmentations]
    traced = are_traced(drawn[:: max(1, len(drawn) // MAX_OUTLINES)])
    if traced:
        notes.append("outlines were traced along the outermost pixels of their objects, which are read as foreground")
    return traced


def _find_orientation(asked: SetOfPairs, placing: MaskPlacing, notes: list[str]) -> str:
    tagged = [pair for pair in asked.pairs if (asked.tag(pair), asked.mask_tag(pair)) != (1, 1)]
    if not tagged:
        return APPLY
    chosen, how = asked.orientation, f"orientation={asked.orientation}"
    if chosen == AUTO:
        fits = [fit for fit in in_parallel(lambda pair: _fit(asked, pair, placing), tagged) if fit.scores]
        chosen = decide_orientation(fits)
        how = "found by sizes and by how well masks and pixels agree; orientation says otherwise"
    notes.append(f"{len(tagged)} of {len(asked.pairs)} pairs carry an orientation tag: {MEANING[chosen]} ({how})")
    return chosen


def _fit(asked: SetOfPairs, pair: Pair, placing: MaskPlacing) -> Fit:
    """How well one pair agrees under each orientation."""
    turns = {APPLY: asked.mask_tag(pair), IGNORE: asked.tag(pair)}
    turns |= {way: 1 for way in ORIENTATIONS if way not in turns}
    found = {way: _agreement(asked, pair, replace(placing, orientation=way)) for way in ORIENTATIONS}
    return Fit(pair.stem, turns, {way: score for way, score in found.items() if score is not None})


def _agreement(asked: SetOfPairs, pair: Pair, placing: MaskPlacing) -> float | None:
    """R^2 of a pair read in this way; nan where its mask says nothing; None where it cannot be read so."""
    try:
        image = asked.samples(pair)
        mask, _ = read_mask(pair.mask, image.shape[:2], asked.rule, Path.read_bytes, asked.tag(pair), placing)
    except (ValueError, OSError):
        return None
    return agreement(image, mask)
