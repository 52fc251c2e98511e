"""In which order the run lengths of a set were counted: compact masks tell it, and where they do not, the pixels."""

import math
from collections.abc import Sequence
from functools import partial

from training.data.decisions.agreement import gains_of, is_sure
from training.data.decisions.set_of_pairs import SetOfPairs, agreement_of, in_parallel
from training.data.formats.stored import QUARTER_TURNS
from training.data.images import Header
from training.data.layouts.pairs import Pair, RunLengths
from training.data.mask_rule import APPLY, AUTO, IGNORE, IMAGES, ORIENTATIONS, MaskPlacing
from training.data.run_lengths import (
    KAGGLE,
    MAX_SAMPLED,
    RUN_ORDERS,
    RunOrder,
    fit_somehow,
    fits,
    likely_orders,
    outline_lengths,
    possible_orders,
)

LIKELY = 2.0  # standard errors that decide what costs one pixel


def find_order(pair_set: SetOfPairs, notes: list[str]) -> RunOrder:
    counted = [(pair, pair.mask) for pair in pair_set.pairs if isinstance(pair.mask, RunLengths)]
    if not counted:
        return KAGGLE
    if pair_set.rle_order != AUTO:
        return RUN_ORDERS[pair_set.rle_order]
    samples = [(mask.texts, _sizes(mask, pair_set.headers[pair.image], pair_set.orientation)) for pair, mask in counted]
    path = counted[0][1].path
    orders = possible_orders(samples, path)
    outlines = [outline_lengths(sample, path, orders) for sample in samples[:MAX_SAMPLED]]
    likely = likely_orders(outlines)
    if not (all(map(fits, outlines)) and all(fit_somehow(sample, path, orders) for sample in samples[MAX_SAMPLED:])):
        return likely[0]
    sampled = [pair for pair, mask in counted if mask.texts][:MAX_SAMPLED]
    scores = {order: in_parallel(partial(_best_agreement, pair_set, order), sampled) for order in likely[1:] and likely}
    found = max(likely, key=lambda order: _total(scores.get(order, ())))
    for other in likely:
        if other.down != found.down and not is_sure(gains_of(scores[found], scores[other])):
            raise ValueError(
                f"{path}: it cannot be told from masks and pixels whether run lengths go down the "
                "columns or along the rows; say it: rle_order=columns (as Kaggle's usually do) or rle_order=rows"
            )
    by_one = [order for order in likely if order.down == found.down and order.first == 1]
    unsure = [
        other
        for other in likely
        if other.down == found.down and other != found and not is_sure(gains_of(scores[found], scores[other]), LIKELY)
    ]
    if unsure and by_one:
        found = by_one[0]  # the usual one
    if found != KAGGLE or scores:
        how = "agrees best with the pixels" if scores else "gives the most compact masks"
        doubt = "; from 0 or from 1 cannot be told, which is a shift by one pixel" if unsure else ""
        notes.append(f"{found.text}: that {how}{doubt}; rle_order says otherwise")
    return found


def _best_agreement(pair_set: SetOfPairs, order: RunOrder, pair: Pair) -> float:
    """R^2 of a pair in an order, under the orientation that suits it best; nan where that cannot be told."""
    ways = (pair_set.orientation,) if pair_set.orientation != AUTO else ORIENTATIONS
    ways = ways if pair_set.tag(pair) != 1 else (APPLY,)
    found = [agreement_of(pair_set, pair, MaskPlacing(order=order, orientation=way)) for way in ways]
    return max((score for score in found if score is not None and not math.isnan(score)), default=math.nan)


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
