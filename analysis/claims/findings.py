"""What was found of a claim's contrasts, in words. Findings in, text out; nothing is decided here."""

import math
from collections.abc import Sequence

from analysis.claims.contrasts import VARIANCE, Finding
from analysis.claims.labels import digits_of, number, signed
from analysis.claims.sets import count_units

SHOWN = 4  # contrasts of a claim that the text lists
MAX_LISTED = 20  # of more it names the one that decides


def describe(findings: Sequence[Finding], shown: Finding, units: int, unit: str) -> str:
    """`switching less BCE +0.031 (0.012 to 0.050)`: what the claim depends on first; and how many units that is."""
    ranked = [shown, *sorted((one for one in findings if one is not shown), key=lambda one: -one.p_for)]
    listed = ranked[:SHOWN] if len(ranked) <= MAX_LISTED else ranked[:1]
    more = [f"{len(ranked) - len(listed)} more"] if len(ranked) > len(listed) else []
    alone = "; one run per cell decides nothing" if units < 2 else f"; {count_units(units, unit)}"
    return ", ".join([*map(describe_finding, listed), *more]) + alone


def describe_finding(finding: Finding) -> str:
    contrast, digits = finding.contrast, _digits(finding)
    value = signed(finding.effect, digits) if contrast.is_difference else number(finding.effect, digits)
    if math.isnan(finding.low):
        return f"{contrast.words} {value}"
    return f"{contrast.words} {value} ({number(finding.low, digits)} to {number(finding.high, digits)})"


def _digits(finding: Finding) -> int | None:
    if finding.contrast.unit == VARIANCE["unit"]:
        return digits_of((finding.effect, finding.low, finding.high))
    return 1 if finding.contrast.unit == "epochs" else 3
