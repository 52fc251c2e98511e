"""What the files of a set decide together before any is read for good: the range of their pixels, how their masks lie.

One file does not tell; all of them mostly do. Where they do not, or contradict each other, their owner is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from training.data.decisions.orientation import MEANING, Fit, decide_orientation
from training.data.decisions.outlines import check_scale, find_by_rows, find_fractions, find_traced
from training.data.decisions.ranges import Span, describe_range, differ_by_image, find_range
from training.data.decisions.run_order import find_order
from training.data.decisions.set_of_pairs import SetOfPairs, agreement_of, in_parallel
from training.data.formats.stored import QUARTER_TURNS
from training.data.images import FROM_FILE, Header
from training.data.layouts.pairs import FRACTIONS, MaskFile, ObjectFiles, Pair, mask_files
from training.data.mask_rule import APPLY, AUTO, IGNORE, ORIENTATIONS, MaskPlacing
from training.data.run_lengths import KAGGLE
from training.data.shapes import proportional
from training.study.words import pluralize

NOT_HOT = 0.999  # share of a picture's values that hot pixels do not belong to


@dataclass(frozen=True, kw_only=True)
class Decisions:
    range_max: float  # what stands for white in files of more than 8 bits that state nothing; 0: there are none
    overrides_stated: bool  # so it does in those that state something
    placing: MaskPlacing
    notes: tuple[str, ...]  # what was decided, and by what, for people


def decide(pair_set: SetOfPairs) -> tuple[Decisions, list[str]]:
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

    overrides_stated = _find_own_maxima(pair_set, notes)
    range_max = ask(lambda: _find_range(pair_set, overrides_stated, notes), 0.0)
    order = ask(lambda: find_order(pair_set, notes), KAGGLE)
    placing = MaskPlacing(
        order=order,
        traced=find_traced(pair_set, notes),
        fractions=find_fractions(pair_set, notes),
        by_rows=find_by_rows(pair_set, notes),
    )
    orientation = ask(lambda: _find_orientation(pair_set, placing, notes), APPLY)
    placing = replace(placing, orientation=orientation)
    ask(lambda: check_scale(pair_set, placing), None)
    headers = pair_set.headers
    inverted = sum(any(headers[path].inverted_look for path in mask_files(pair.mask)) for pair in pair_set.pairs)
    if inverted:
        notes.append(
            f"viewers show {pluralize(inverted, 'mask')} inverted (ImageJ's inverting LUT, or bools of tifffile): the "
            "numbers count, so what is shown in black is foreground; mask_values=0 says otherwise"
        )
    decided = Decisions(range_max=range_max, overrides_stated=overrides_stated, placing=placing, notes=tuple(notes))
    return decided, problems


def _find_own_maxima(pair_set: SetOfPairs, notes: list[str]) -> bool:
    """Whether what files state of white is each image's own highest value, and not that of a camera."""
    headers = [pair_set.headers[pair.image] for pair in pair_set.pairs]
    stated = [header.max_value for header in headers if _is_deep(header) and header.max_value]
    if pair_set.image_max != FROM_FILE or not differ_by_image(stated):
        return False
    notes.append(
        f"{len(stated)} images state different values for white ({min(stated):g} to {max(stated):g}), as programs do "
        "that write each image's own highest value there; they are left aside"
    )
    return True


def _is_deep(header: Header) -> bool:
    return header.bits > 8 or header.kind != "uint"


def _find_range(pair_set: SetOfPairs, overrides_stated: bool, notes: list[str]) -> float:
    def span(pair: Pair) -> Span | None:
        header = pair_set.headers[pair.image]
        try:
            samples = header.as_stored(pair_set.samples(pair))
            usual = float(np.quantile(samples, NOT_HOT))
            return Span(pair.stem, header.kind, header.bits, float(samples.max()), usual)
        except (ValueError, OSError):
            return None

    headers = [(pair, pair_set.headers[pair.image]) for pair in pair_set.pairs]
    if pair_set.image_max != FROM_FILE:
        if not any(_is_deep(header) for _, header in headers):
            raise ValueError(f"image_max={pair_set.image_max:g} has no use here: all images have 8 bits; leave it out")
        return 0.0
    unstated = [pair for pair, header in headers if _is_deep(header) and (overrides_stated or not header.max_value)]
    spans = [span for span in in_parallel(span, unstated) if span]
    if not spans:
        return 0.0
    found = find_range(spans)
    notes.append(describe_range(spans, found))
    return found


def _find_orientation(pair_set: SetOfPairs, placing: MaskPlacing, notes: list[str]) -> str:
    tagged = [pair for pair in pair_set.pairs if (pair_set.tag(pair), pair_set.mask_tag(pair)) != (1, 1)]
    if not tagged:
        if pair_set.orientation != AUTO:
            raise ValueError(
                f"orientation={pair_set.orientation} has no use here: no file carries an orientation tag; leave it out"
            )
        return APPLY
    chosen, how = pair_set.orientation, f"orientation={pair_set.orientation}"
    if chosen == AUTO:
        fits = [fit for fit in in_parallel(lambda pair: _fit(pair_set, pair, placing), tagged) if fit.scores]
        chosen = decide_orientation(fits)
        how = "found by sizes and by how well masks and pixels agree; orientation says otherwise"
    notes.append(f"{len(tagged)} of {len(pair_set.pairs)} pairs carry an orientation tag: {MEANING[chosen]} ({how})")
    return chosen


def _fit(pair_set: SetOfPairs, pair: Pair, placing: MaskPlacing) -> Fit:
    """How well one pair agrees under each orientation."""
    turns = {APPLY: pair_set.mask_tag(pair), IGNORE: pair_set.tag(pair)}
    turns |= {way: 1 for way in ORIENTATIONS if way not in turns}
    found = {way: agreement_of(pair_set, pair, replace(placing, orientation=way)) for way in ORIENTATIONS}
    scores = {way: score for way, score in found.items() if score is not None}
    return Fit(pair.stem, turns, scores, _stated(pair_set, pair))


def _stated(pair_set: SetOfPairs, pair: Pair) -> str:
    """Which orientation the stated size of an annotation suggests: tools write that of either way."""
    size = None if isinstance(pair.mask, MaskFile | ObjectFiles) else pair.mask.size
    header = pair_set.headers[pair.image]
    seen = header.height, header.width
    if size is None or size == FRACTIONS or header.orientation not in QUARTER_TURNS or proportional(seen, seen[::-1]):
        return ""
    return APPLY if proportional(size, seen) else IGNORE
