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

import numpy as np

from training.data.agreement import agreement, is_sure
from training.data.images import STATED, Header, decode_samples
from training.data.mask_rule import APPLY, AUTO, IGNORE, IMAGES, ORIENTATIONS, MaskPlacing, MaskRule
from training.data.masks import read_mask
from training.data.orientation import MEANING, Fit, decide_orientation
from training.data.pairs import FRACTIONS, MaskFile, ObjectFiles, Pair, RunLengths, Shapes
from training.data.ranges import Span, describe_range, find_range
from training.data.run_lengths import KAGGLE, MAX_SAMPLED, RUN_ORDERS, RunOrder, likely_orders
from training.data.shapes import are_traced, farthest, in_pixels, proportional
from training.data.stored import QUARTER_TURNS

USUAL = 0.999  # share of a picture's values that hot pixels do not belong to
BEYOND = 1.05  # of a side: farther than drawing over the edge goes
MANY_BEYOND = 0.1  # share of the images
LIKELY = 2.0  # standard errors that decide what costs one pixel
SCALED = 40  # pairs that are tried at another scale
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
    ask(lambda: _check_scale(asked, placing), None)
    return Decisions(range_max=range_max, placing=placing, notes=tuple(notes)), problems


def in_parallel(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """In order, by as many threads as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(work, items))


def _find_range(asked: SetOfPairs, notes: list[str]) -> float:
    def span(pair: Pair) -> Span | None:
        header = asked.headers[pair.image]
        try:
            samples = asked.samples(pair)
            usual = float(np.quantile(samples, USUAL))
            return Span(pair.stem, header.kind, header.bits, float(samples.max()), usual)
        except (ValueError, OSError):
            return None

    headers = [(pair, asked.headers[pair.image]) for pair in asked.pairs]
    if asked.image_max != STATED:
        if all(header.bits <= 8 and header.kind == "uint" for _, header in headers):
            raise ValueError(f"image_max={asked.image_max:g} has no use here: all images have 8 bits; leave it out")
        return 0.0
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
    samples = ((mask.texts, _sizes(mask, asked.headers[pair.image], asked.orientation)) for pair, mask in counted)
    likely = likely_orders(samples, counted[0][1].path)
    sampled = [pair for pair, mask in counted if mask.texts][:MAX_SAMPLED]
    scores = {order: in_parallel(partial(_best_agreement, asked, order), sampled) for order in likely[1:] and likely}
    found = max(likely, key=lambda order: _total(scores.get(order, ())))
    for other in likely:
        if other.down != found.down and not is_sure(_gains(scores[found], scores[other])):
            raise ValueError(
                f"{counted[0][1].path}: it cannot be told from masks and pixels whether run lengths go down the "
                "columns or along the rows; say it: rle_order=columns (as Kaggle's usually do) or rle_order=rows"
            )
    by_one = [order for order in likely if order.down == found.down and order.first == 1]
    unsure = [
        other
        for other in likely
        if other.down == found.down and other != found and not is_sure(_gains(scores[found], scores[other]), LIKELY)
    ]
    if unsure and by_one:
        found = by_one[0]  # the usual one
    if found != KAGGLE or scores:
        how = "agrees best with the pixels" if scores else "gives the most compact masks"
        doubt = "; from 0 or from 1 cannot be told, which is a shift by one pixel" if unsure else ""
        notes.append(f"{found.text}: that {how}{doubt}; rle_order says otherwise")
    return found


def _best_agreement(asked: SetOfPairs, order: RunOrder, pair: Pair) -> float:
    """R^2 of a pair in an order, under the orientation that suits it best; nan where that cannot be told."""
    ways = (asked.orientation,) if asked.orientation != AUTO else ORIENTATIONS
    ways = ways if asked.tag(pair) != 1 else (APPLY,)
    found = [_agreement(asked, pair, MaskPlacing(order=order, orientation=way)) for way in ways]
    return max((score for score in found if score is not None and not math.isnan(score)), default=math.nan)


def _gains(scores: Sequence[float], others: Sequence[float]) -> list[float]:
    return [gain for one, two in zip(scores, others, strict=True) if not math.isnan(gain := one - two)]


def _total(scores: Sequence[float]) -> float:
    return math.fsum(score for score in scores if not math.isnan(score))


def _sizes(mask: RunLengths, header: Header, orientation: str) -> tuple[tuple[int, int], ...]:
    """The (height, width) that the runs may have been counted on."""
    seen, stored = (header.height, header.width), (header.width, header.height)
    if mask.size:
        return (mask.size,)
    if header.orientation not in QUARTER_TURNS or orientation in (APPLY, IMAGES):
        return (seen,)
    return (stored,) if orientation == IGNORE else (seen, stored)


def _find_traced(asked: SetOfPairs, notes: list[str]) -> bool:
    drawn = [
        in_pixels(text, (asked.headers[pair.image].height, asked.headers[pair.image].width))
        if pair.mask.size == FRACTIONS
        else text
        for pair in asked.pairs
        if isinstance(pair.mask, Shapes)
        for text in pair.mask.segmentations
    ]
    traced = are_traced(drawn[:: max(1, len(drawn) // MAX_OUTLINES)])
    if traced:
        notes.append("outlines were traced along the outermost pixels of their objects, which are read as foreground")
    return traced


def _find_orientation(asked: SetOfPairs, placing: MaskPlacing, notes: list[str]) -> str:
    tagged = [pair for pair in asked.pairs if (asked.tag(pair), asked.mask_tag(pair)) != (1, 1)]
    if not tagged:
        if asked.orientation != AUTO:
            raise ValueError(
                f"orientation={asked.orientation} has no use here: no file carries an orientation tag; leave it out"
            )
        return APPLY
    chosen, how = asked.orientation, f"orientation={asked.orientation}"
    if chosen == AUTO:
        fits = [fit for fit in in_parallel(lambda pair: _fit(asked, pair, placing), tagged) if fit.scores]
        chosen = decide_orientation(fits)
        how = "found by sizes and by how well masks and pixels agree; orientation says otherwise"
    notes.append(f"{len(tagged)} of {len(asked.pairs)} pairs carry an orientation tag: {MEANING[chosen]} ({how})")
    return chosen


def _check_scale(asked: SetOfPairs, placing: MaskPlacing) -> None:
    """Raises ValueError where outlines were drawn on pictures of another size than the file says, or none is said."""
    drawn = [pair for pair in asked.pairs if isinstance(pair.mask, Shapes) and pair.mask.size != FRACTIONS]
    reach = [extent for pair in drawn if (extent := _reach(asked, pair))]
    if not reach:
        return
    beyond = sum(extent > BEYOND for extent in reach)
    sampled = [pair for pair in drawn if pair.mask.segmentations][:SCALED]  # type: ignore[union-attr]
    as_they_are = in_parallel(partial(_scaled_agreement, asked, placing, 1), sampled)
    for scale in (max(reach), 0.5, 2.0):
        if 0.8 < scale < BEYOND:
            continue
        scaled = in_parallel(partial(_scaled_agreement, asked, placing, scale), sampled)
        if is_sure(_gains(scaled, as_they_are)):
            break
    else:
        if beyond < MANY_BEYOND * len(reach):
            return
    table = drawn[0].mask.path  # type: ignore[union-attr]
    raise ValueError(
        f"{table}: outlines do not fit the size of their pictures ({beyond} of {len(reach)} images have some beyond "
        "the edge): they were drawn on pictures of another size. State that size, height and width, beside each image"
    )


def _reach(asked: SetOfPairs, pair: Pair) -> float:
    """How far outlines go, as a share of the picture that they are said to be drawn on; 0 without any."""
    assert isinstance(pair.mask, Shapes)
    header = asked.headers[pair.image]
    height, width = pair.mask.size or (header.height, header.width)
    if header.orientation in QUARTER_TURNS:
        height = width = max(height, width)
    far = [farthest(text) for text in pair.mask.segmentations]
    return max((max(down / height, right / width) for down, right in far), default=0.0)


def _scaled_agreement(asked: SetOfPairs, placing: MaskPlacing, scale: float, pair: Pair) -> float:
    """R^2 of outlines as if drawn on a picture `scale` times as large as stated; nan where it says nothing."""
    assert isinstance(pair.mask, Shapes)
    header = asked.headers[pair.image]
    height, width = pair.mask.size or (header.height, header.width)
    size = pair.mask.size if scale == 1 else (round(scale * height), round(scale * width))
    score = _agreement(asked, replace(pair, mask=replace(pair.mask, size=size)), placing)
    return math.nan if score is None else score


def _fit(asked: SetOfPairs, pair: Pair, placing: MaskPlacing) -> Fit:
    """How well one pair agrees under each orientation."""
    turns = {APPLY: asked.mask_tag(pair), IGNORE: asked.tag(pair)}
    turns |= {way: 1 for way in ORIENTATIONS if way not in turns}
    found = {way: _agreement(asked, pair, replace(placing, orientation=way)) for way in ORIENTATIONS}
    scores = {way: score for way, score in found.items() if score is not None}
    return Fit(pair.stem, turns, scores, _stated(asked, pair))


def _stated(asked: SetOfPairs, pair: Pair) -> str:
    """Which orientation the stated size of an annotation suggests: tools write that of either way."""
    size = None if isinstance(pair.mask, MaskFile | ObjectFiles) else pair.mask.size
    header = asked.headers[pair.image]
    seen = header.height, header.width
    if size is None or size == FRACTIONS or header.orientation not in QUARTER_TURNS or proportional(seen, seen[::-1]):
        return ""
    return APPLY if proportional(size, seen) else IGNORE


def _agreement(asked: SetOfPairs, pair: Pair, placing: MaskPlacing) -> float | None:
    """R^2 of a pair read in this way; nan where its mask says nothing; None where it cannot be read so."""
    try:
        image = asked.samples(pair)
        mask, _ = read_mask(pair.mask, image.shape[:2], asked.rule, Path.read_bytes, asked.tag(pair), placing)
    except (ValueError, OSError):
        return None
    return agreement(image, mask)
