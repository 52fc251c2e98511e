"""What is said when trials and studies end: their winners, and their results in words. Outcomes in, text out."""

import math
from typing import TYPE_CHECKING

from training.plan import Plan, describe
from training.progress import duration
from training.search import can_win, winner
from training.trial import Trial

if TYPE_CHECKING:
    from training.pool import Outcome


def find_winners(plan: Plan, outcomes: list["Outcome"]) -> list[Trial]:
    """The best trial of the study, or of each learning-rate search; seed 0 stands for all seeds."""
    groups: dict[tuple[str, ...], dict[Trial, float]] = {}
    for outcome in outcomes:
        trial = outcome.trial
        if not outcome.failure and can_win(trial):
            key = (trial.loss, trial.optimizer) if plan.study.search_lr else ()
            groups.setdefault(key, {})[trial] = outcome.dice
    return [winner(results) for results in groups.values()]


def describe_outcome(outcome: "Outcome") -> str:
    if outcome.failure:
        return f"FAILED ({outcome.failure.splitlines()[0][:160]})"
    if math.isnan(outcome.dice):
        return f"diverged ({outcome.note})"
    note = f" ({outcome.note})" if outcome.note else ""
    epochs = f"epoch {outcome.best_epoch} of {outcome.trial.epochs}"
    return f"val Dice {outcome.dice:.3f} in {epochs}, {duration(outcome.seconds)}{note}"


def describe_study(plan: Plan, outcomes: list["Outcome"], winners: list[Trial], seeds: int) -> str:
    """The parent run's description in MLflow, in Markdown."""
    factors = [*plan.study.scientific, *(["seed"] if seeds > 1 else [])]
    lines = [f"**{plan.study.question}** (report, Section {plan.study.section}, Figure {plan.study.figure})", ""]
    lines += [f"- left out: {reason}" for reason in plan.left_out]
    lines += [f"- winner: {describe(trial, plan.study.scientific, 1)}" for trial in winners]
    lines += ["", "| " + " | ".join([*factors, "val Dice", "best epoch", "note"]) + " |"]
    lines += ["|" + " --- |" * (len(factors) + 3)]
    in_order = sorted(outcomes, key=lambda outcome: tuple(getattr(outcome.trial, factor) for factor in factors))
    for outcome in in_order:
        cells = [str(getattr(outcome.trial, factor)) for factor in factors]
        cells += [f"{outcome.dice:.4f}", str(outcome.best_epoch), outcome.failure.split(":")[0] or outcome.note]
        lines += ["| " + " | ".join(cells) + " |"]
    return "\n".join(lines)
