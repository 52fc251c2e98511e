"""What a person reads while verdicts are decided: how many are, what is trained next and why, what is left."""

from collections import Counter
from collections.abc import Iterable, Sequence

from analysis.claims.sets import hindrances_of
from analysis.claims.verdicts import Assessment, Assessments, Claim
from analysis.deciding.budget import Budget
from analysis.deciding.outlook import MAX_SEEDS
from analysis.deciding.rounds import Round, Wish
from training.study.words import pluralize


def count_decided(claims: Iterable[Claim], found: Assessments) -> str:
    """`12 of 26 claims decided (8 supported, 4 contradicted)`."""
    counts = Counter(found[claim.code].verdict for claim in claims)
    tested = sum(counts.values()) - counts["untested"]
    decided = tested - counts["undecided"]
    each = f" ({counts['supported']} supported, {counts['contradicted']} contradicted)" if decided else ""
    return f"{decided} of {pluralize(tested, 'claim')} decided{each}"


def describe_round(claims: Sequence[Claim], found: Assessments, chosen: Round, budget: Budget) -> list[str]:
    """What is trained next, and why."""
    head = f"{count_decided(claims, found)}; {budget.words} used; next {pluralize(len(chosen.rows), 'trial')}:"
    return [head, *(f"  {_describe_wish(one)}" for one in chosen.wishes)]


def _describe_wish(one: Wish) -> str:
    chance = f"{one.outlook.chances[one.best]:.0%}"
    if one.best == 0:
        return f"{one.claim.code} to {one.outlook.seeds[0]} seeds, which decide it with a chance of {chance}"
    later = f"on the way to {one.outlook.seeds[one.best]}, which decide it with a chance of {chance}"
    return f"{one.claim.code} to {one.outlook.seeds[0]} seeds, {later}"


def describe_end(claims: Sequence[Claim], found: Assessments, wishes: Sequence[Wish], budget: Budget) -> list[str]:
    """What was decided, and what each claim that is left would take."""
    left = [f"  {one.claim.code}: left: {_describe_need(one, found[one.claim.code])}" for one in wishes]
    head = f"{count_decided(claims, found)}; {budget.words} used"
    return [f"{head}; no more seeds within the budget would decide one of the others:" if left else head, *left]


def _describe_need(one: Wish, found: Assessment) -> str:
    needed = one.outlook.needed
    if hindrances := hindrances_of(finding.contrast for finding in found.findings):
        return f"no seeds would decide it: {'; '.join(hindrances)}"
    if needed is None:
        return f"more than {MAX_SEEDS} seeds would be needed to decide it in 4 of 5 cases"
    cost = dict(zip(one.outlook.seeds, one.missing, strict=True))[needed]
    return f"about {needed} seeds would decide it in 4 of 5 cases, {pluralize(len(cost), 'trial')} more"
