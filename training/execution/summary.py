"""What is said when trials and studies end: their winners, and their results in words. Outcomes in, text out."""

import itertools
import math

from training.command.progress import duration
from training.execution.jobs import Outcome
from training.study.plan import Plan, describe
from training.study.search import can_win
from training.study.settings import SEARCH_ROW
from training.study.trial import Trial
from training.study.winning import find_winner, mean_score

NO_WINNER = "no trial predicts any foreground that is there (the runs' tag `collapsed`), or all diverged"
MAX_CHARACTERS = 7900  # of a description; MLflow cuts it at 8,000


def find_winners(plan: Plan, outcomes: list[Outcome]) -> list[Trial]:
    """The best trial of the study, or of each learning-rate search; seed 0 stands for all seeds.

    What was settled before stays, unless something is better by more than noise. None of a search, or of the study, in
    which no trial predicts any foreground.
    """
    found = (find_winner(results, plan.find_incumbent(results)) for results in _contests(plan, outcomes).values())
    return [trial for trial in found if trial]


def describe_winner(plan: Plan, outcomes: list[Outcome], winner: Trial) -> str:
    """With its mean Dice; and where it stays though another has a higher one, which, and why."""
    contests = _contests(plan, outcomes).values()
    results = next(one for one in contests if any(trial.replace(seed=0) == winner for trial in one))

    def said(cell: Trial) -> str:
        dice = mean_score(score for trial, score in results.items() if trial.replace(seed=0) == cell)
        return f"{describe(cell, plan.study.scientific, 1)}  val Dice {dice:.3f}"

    highest = find_winner(results) or winner
    stays = f"; it was settled before and stays: {said(highest)} is not better by more than noise"
    return f"{said(winner)} at the images' own size{stays if highest != winner else ''}"


def find_undecided(plan: Plan, outcomes: list[Outcome]) -> list[str]:
    """The searches that have trials and no winner, in words; the study itself where it is no search."""
    return [
        " ".join(key) or plan.study.name
        for key, results in _contests(plan, outcomes).items()
        if find_winner(results) is None
    ]


def _contests(plan: Plan, outcomes: list[Outcome]) -> dict[tuple[str, ...], dict[Trial, float]]:
    """The scores among which a winner is looked for: of each search, or of the whole study."""
    contests: dict[tuple[str, ...], dict[Trial, float]] = {}
    for outcome in outcomes:
        trial = outcome.trial
        if not outcome.failure and can_win(trial) and plan.row_of(trial) != SEARCH_ROW:
            key = (f"loss={trial.loss}", f"optimizer={trial.optimizer}") if plan.study.search_lr else ()
            contests.setdefault(key, {})[trial] = outcome.score
    return contests


def describe_outcome(outcome: Outcome) -> str:
    if outcome.failure:
        return f"FAILED ({outcome.failure.splitlines()[0][:160]})"
    if math.isnan(outcome.dice):
        return f"diverged ({outcome.note})"
    note = f" ({outcome.note})" if outcome.note else ""
    epochs = f"epoch {outcome.best_epoch} of {outcome.trial.epochs}"
    return f"val Dice {outcome.dice:.3f}{_false_alarms(outcome)} in {epochs}, {duration(outcome.seconds)}{note}"


def _false_alarms(outcome: Outcome) -> str:
    """What the Dice leaves out: the validation images without foreground; nothing where there are none."""
    if not outcome.empty_images:
        return ""
    return f" (false alarms on {outcome.false_alarms} of {outcome.empty_images} empty images)"


def describe_study(plan: Plan, outcomes: list[Outcome], winners: list[Trial], seeds: int) -> str:
    """The parent run's description in MLflow, in Markdown."""
    factors = [*plan.study.scientific, *(["seed"] if seeds > 1 else [])]
    study = plan.study
    source = f" (report, Section {study.section}, Figure {study.figure})" if study.section else ""
    lines = [f"**{study.question}**{source}", ""]
    lines += [f"- left out: {reason}" for reason in plan.left_out]
    lines += [f"- winner: {describe_winner(plan, outcomes, trial)}" for trial in winners]
    lines += [f"- no winner: {what}: {NO_WINNER}" for what in find_undecided(plan, outcomes)]
    empty = max((outcome.empty_images for outcome in outcomes), default=0)
    alarms = [f"false alarms on {empty} empty"] if empty else []
    if empty:
        lines += [f"- val Dice is a mean over the images that have foreground; {empty} validation images have none"]
    head = ["", "| " + " | ".join([*factors, "val Dice", *alarms, "best epoch", "note"]) + " |"]
    head += ["|" + " --- |" * (len(factors) + 3 + len(alarms))]
    rows: dict[Trial, str] = {}
    for outcome in outcomes:
        cells = [str(getattr(outcome.trial, factor)) for factor in factors]
        cells += [f"{outcome.dice:.4f}", *([str(outcome.false_alarms)] if empty else [])]
        cells += [str(outcome.best_epoch), outcome.failure.split(":")[0] or outcome.note]
        rows[outcome.trial] = "| " + " | ".join(cells) + " |"
    best_first = sorted(outcomes, key=lambda outcome: -mean_score([outcome.score]))
    room = MAX_CHARACTERS - len("\n".join([*lines, *head]))
    lengths = itertools.accumulate(len(rows[outcome.trial]) + 1 for outcome in best_first)
    shown = best_first[: sum(length <= room for length in lengths)]
    if len(shown) < len(outcomes):
        lines += ["", f"The best {len(shown)} of {len(outcomes)} trials:"]
    in_order = sorted(shown, key=lambda outcome: tuple(getattr(outcome.trial, factor) for factor in factors))
    lines += [*head, *(rows[outcome.trial] for outcome in in_order)]
    return "\n".join(lines)
