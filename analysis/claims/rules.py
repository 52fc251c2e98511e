"""How the contrasts of a claim are taken together: all hold, one holds, so many hold. p values in, p values out."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from analysis.claims.contrasts import Finding


class Judgement(NamedTuple):
    """How sure it is that something holds, how sure that it does not (one-sided p values), and on what that depends."""

    p_for: float
    p_against: float
    depends_on: Finding


Judge = Callable[[Sequence[Finding]], Judgement]


def all_of_them(findings: Sequence[Finding]) -> Judgement:
    """The rule of a claim that names no other."""
    return all_hold(judge_each(findings))


def judge_each(findings: Iterable[Finding]) -> list[Judgement]:
    return [Judgement(finding.p_for, finding.p_against, finding) for finding in findings]


def all_hold(parts: Sequence[Judgement]) -> Judgement:
    """Every part holds (the intersection-union test of Berger 1982: no correction); one that does not contradicts it
    (Bonferroni over the parts).
    """
    weakest = max(parts, key=lambda part: (part.p_for, -abs(part.depends_on.effect)))
    return Judgement(weakest.p_for, min(1.0, len(parts) * min(part.p_against for part in parts)), weakest.depends_on)


def any_holds(parts: Sequence[Judgement]) -> Judgement:
    """One part at least holds (Bonferroni over the parts: the best was looked for). That none does contradicts it."""
    strongest = min(parts, key=lambda part: (part.p_for, -part.depends_on.effect))
    p_for = min(1.0, len(parts) * strongest.p_for)
    return Judgement(p_for, max(part.p_against for part in parts), strongest.depends_on)


def at_least(needed: int, parts: Sequence[Judgement]) -> Judgement:
    """At least so many parts hold (partial conjunction, Benjamini and Heller 2008)."""
    by_for = sorted(parts, key=lambda part: part.p_for)
    by_against = sorted(part.p_against for part in parts)
    others = len(parts) - needed + 1  # so many that do not contradict it
    p_for = min(1.0, others * by_for[needed - 1].p_for)
    return Judgement(p_for, min(1.0, needed * by_against[others - 1]), by_for[needed - 1].depends_on)


def by_group(findings: Sequence[Finding], level: int = 0) -> list[list[Finding]]:
    """Findings with the same entry in `group`, in order of appearance."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.contrast.group[level], []).append(finding)
    return list(groups.values())
