"""How large an effect the seeds of each claim could have shown. Assessments in, words for a table out."""

from dataclasses import dataclass

from analysis.claims.claims import ALL_CLAIMS
from analysis.claims.contrasts import power
from analysis.claims.labels import number
from analysis.claims.verdicts import Assessments

SEEDS = 6  # for which power is given


@dataclass(frozen=True)
class Seen:
    """What a claim's seeds could have shown."""

    code: str
    units: str
    spread: str  # sd over seeds
    detectable: str  # in 4 of 5 tries
    small: str  # the chance to see +0.01 and +0.02 with six seeds of this spread
    large: str


def what_could_be_seen(found: Assessments) -> list[Seen]:
    """Of every claim about Dice whose spread is known: how large an effect its seeds would have shown."""
    known = [(claim, found[claim.code]) for claim in ALL_CLAIMS if claim.unit == "Dice"]
    return [
        Seen(
            code=claim.code,
            units=str(one.units),
            spread=number(one.spread),
            detectable=number(one.detectable),
            small=f"{power(0.01, one.spread, SEEDS):.0%}",
            large=f"{power(0.02, one.spread, SEEDS):.0%}",
        )
        for claim, one in known
        if one.spread > 0
    ]
