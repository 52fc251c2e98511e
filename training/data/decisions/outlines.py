"""How the outlines of a set were made, and on pictures of which size: what they and the pixels tell together."""

import math
from dataclasses import replace
from functools import partial

from training.data.decisions.agreement import gains_of, is_sure
from training.data.decisions.set_of_pairs import SetOfPairs, agreement_of, in_parallel
from training.data.formats.stored import QUARTER_TURNS
from training.data.layouts.pairs import FRACTIONS, Pair, Shapes
from training.data.mask_rule import MaskPlacing
from training.data.shapes import are_traced, farthest, in_pixels, outline_of_runs

MAX_OUTLINES = 2000  # that are looked at to tell how all were made
BEYOND = 1.05  # of a side: farther than drawing over the edge goes
MAX_BEYOND = 0.1  # share of the images
MUCH = 0.15  # mean gain in R^2 by another scale that is no accident
SCALED = 40  # pairs that are tried at another scale
MAX_RUNS = 100  # segmentations whose compactness is compared
LONGER = 1.2  # times the outline along the rows, which that down the columns must exceed


def find_traced(pair_set: SetOfPairs, notes: list[str]) -> bool:
    drawn = [
        in_pixels(text, (pair_set.headers[pair.image].height, pair_set.headers[pair.image].width))
        if pair.mask.size == FRACTIONS
        else text
        for pair in pair_set.pairs
        if isinstance(pair.mask, Shapes) and not pair.mask.corners
        for text in pair.mask.segmentations
    ]
    traced = are_traced(drawn[:: max(1, len(drawn) // MAX_OUTLINES)])
    if traced:
        notes.append("outlines were traced along the outermost pixels of their objects, which are read as foreground")
    return traced


def find_fractions(pair_set: SetOfPairs, notes: list[str]) -> bool:
    """Whether all outlines, where pixels are usual, lie in the first pixel."""
    drawn = [pair.mask for pair in pair_set.pairs if isinstance(pair.mask, Shapes) and pair.mask.size != FRACTIONS]
    largest = 0.0
    for text in (text for mask in drawn for text in mask.segmentations):
        largest = max(largest, *farthest(text))
        if largest > 1:
            return False
    if largest:
        notes.append("outlines go from 0 to 1 and are read as fractions of the picture's width and height")
    return largest > 0


def find_by_rows(pair_set: SetOfPairs, notes: list[str]) -> bool:
    """Whether the run lengths of a json give compact masks along the rows only. Of square pictures both are compact:
    those masks are transposed, which checks/fit_checks.py tells.
    """
    drawn = [pair.mask for pair in pair_set.pairs if isinstance(pair.mask, Shapes)]
    runs = [(text, mask.path) for mask in drawn for text in mask.segmentations if text.startswith("{")]
    sampled = runs[:: max(1, len(runs) // MAX_RUNS)]
    down, along = (sum(outline_of_runs(*one, by_rows=by_rows) for one in sampled) for by_rows in (False, True))
    if down <= LONGER * along:
        return False
    notes.append("run lengths of the json are counted along the rows, not down the columns: that gives compact masks")
    return True


def check_scale(pair_set: SetOfPairs, placing: MaskPlacing) -> None:
    """Raises ValueError where outlines were drawn on pictures of another size than the file says, or none is said."""
    if placing.fractions:
        return
    drawn = [pair for pair in pair_set.pairs if isinstance(pair.mask, Shapes) and pair.mask.size != FRACTIONS]
    reach = [extent for pair in drawn if (extent := _reach(pair_set, pair))]
    if not reach:
        return
    beyond = sum(extent > BEYOND for extent in reach)
    sampled = [pair for pair in drawn if pair.mask.segmentations][:SCALED]  # type: ignore[union-attr]
    as_they_are = in_parallel(partial(_scaled_agreement, pair_set, placing, 1), sampled)
    for scale in (0.5, 2.0, *([max(reach)] if max(reach) > BEYOND else [])):
        scaled = in_parallel(partial(_scaled_agreement, pair_set, placing, scale), sampled)
        gains = gains_of(scaled, as_they_are)
        if is_sure(gains) and math.fsum(gains) > MUCH * len(gains):
            break
    else:
        if beyond < MAX_BEYOND * len(reach):
            return
    table = drawn[0].mask.path  # type: ignore[union-attr]
    raise ValueError(
        f"{table}: outlines do not fit the size of their pictures ({beyond} of {len(reach)} images have some beyond "
        "the edge): they were drawn on pictures of another size. State that size, height and width, beside each image"
    )


def _reach(pair_set: SetOfPairs, pair: Pair) -> float:
    """How far outlines go, as a share of the picture that they are said to be drawn on; 0 without any."""
    assert isinstance(pair.mask, Shapes)
    header = pair_set.headers[pair.image]
    height, width = pair.mask.size or (header.height, header.width)
    if header.orientation in QUARTER_TURNS:
        height = width = max(height, width)
    far = [farthest(text) for text in pair.mask.segmentations]
    return max((max(down / height, right / width) for down, right in far), default=0.0)


def _scaled_agreement(pair_set: SetOfPairs, placing: MaskPlacing, scale: float, pair: Pair) -> float:
    """R^2 of outlines as if drawn on a picture `scale` times as large as stated; nan where it says nothing."""
    assert isinstance(pair.mask, Shapes)
    header = pair_set.headers[pair.image]
    height, width = pair.mask.size or (header.height, header.width)
    size = pair.mask.size if scale == 1 else (round(scale * height), round(scale * width))
    score = agreement_of(pair_set, replace(pair, mask=replace(pair.mask, size=size)), placing)
    return math.nan if score is None else score
