"""The report's conclusions on learning-rate schedulers (Section 3)."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.claims.contrasts import (
    BELOW,
    Contrast,
    Finding,
    against_each,
    difference,
    examine,
)
from analysis.claims.findings import describe_finding
from analysis.claims.labels import value_label
from analysis.claims.optimizers import LITTLE_DATA
from analysis.claims.rows import confounders, select_rows
from analysis.claims.rules import Judgement, all_hold, any_holds, at_least, by_group, judge_each
from analysis.claims.verdicts import Basis, claim

SAME = 0.05  # Dice; "fine with or without"
WITH_SCHEDULER = ("step", "plateau")


def most_not_all(findings: Sequence[Finding]) -> Judgement:
    """One of the schedulers helps more than half of the optimizers; and one optimizer at least is helped by none."""
    optimizers = [any_holds(judge_each(group)) for group in by_group(findings)]
    most = at_least(len(optimizers) // 2 + 1, optimizers)
    not_helped = any_holds([Judgement(one.p_against, one.p_for, one.depends_on) for one in optimizers])
    return all_hold([most, not_helped])


@claim(
    "schedulers.1",
    "A scheduler helps most optimizers, not all.",
    "For more than half of the optimizers step or plateau, less none, lies above 0; and for one at least both lie "
    "below 0 or are no difference worth the name.",
    judge=most_not_all,
)
def helps_most(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "schedulers")
    found: list[Contrast] = []
    for name in dict.fromkeys(rows["optimizer"]):
        own = rows[rows["optimizer"] == name]
        without = own[own["scheduler"] == "none"]
        for scheduler in WITH_SCHEDULER:
            words = f"{value_label('optimizer', name)}, {scheduler} less none"
            found += difference(words, own[own["scheduler"] == scheduler], without, group=(name,))
    if len({one.group for one in found}) < 2:
        return Basis(missing="fewer than two optimizers with and without a scheduler")
    return Basis(contrasts=found, rows=rows)


@claim(
    "schedulers.2",
    "AdaMax is better without a scheduler.",
    "AdaMax without less AdaMax with step, and with plateau: both lie above 0.",
)
def adamax_without(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "schedulers", optimizer="adamax")
    without = rows[rows["scheduler"] == "none"]
    found = against_each(rows, "scheduler", "none", WITH_SCHEDULER)
    if len(found) < len(WITH_SCHEDULER):
        return Basis(missing="AdaMax was not run with step, plateau and no scheduler")
    caveats = confounders(without, rows[rows["scheduler"].isin(WITH_SCHEDULER)], [], "scheduler")
    return Basis(contrasts=found, rows=rows, caveats=caveats)


@claim(
    "schedulers.3",
    "AdaGrad learns smoothly and early, but reaches a lower optimum.",
    "With a scheduler, AdaGrad less the mean of the others: val Dice, epochs to converge, and the mean change of val "
    "Dice from epoch to epoch all lie below 0.",
)
def adagrad_early_but_lower(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "schedulers", scheduler=WITH_SCHEDULER)
    own, others = rows[rows["optimizer"] == "adagrad"], rows[rows["optimizer"] != "adagrad"]
    curves = rows["epochs_to_converge"].notna().any()
    lower = difference("val Dice", own, others, ["scheduler"], claimed=BELOW)
    earlier = difference(
        "epochs", own, others, ["scheduler"], "epochs_to_converge", claimed=BELOW, smallest=1.0, unit="epochs"
    )
    smoother = difference("change per epoch", own, others, ["scheduler"], "val_dice_roughness", claimed=BELOW)
    if not (curves and lower and earlier and smoother):
        return Basis(missing="no learning curves")
    return Basis(contrasts=[*lower, *earlier, *smoother], rows=rows)


@claim(
    "schedulers.4",
    "Adam and SGD do fine with or without a scheduler.",
    f"For both, each of step, plateau and none less each other lies within {SAME} of 0.",
)
def fine_either_way(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "schedulers", optimizer=("adam", "sgd"))
    found = []
    for name in ("adam", "sgd"):
        own = rows[rows["optimizer"] == name]
        for left, right in (("step", "none"), ("plateau", "none"), ("plateau", "step")):
            words = f"{value_label('optimizer', name)}, {left} less {right}"
            sides = own[own["scheduler"] == left], own[own["scheduler"] == right]
            found += difference(words, *sides, claimed=(-SAME, SAME), smallest=0.0)
    if not found:
        return Basis(missing="Adam and SGD were not run with and without a scheduler")
    return Basis(contrasts=found, rows=rows)


@claim(
    "schedulers.5",
    "RMSprop needs a scheduler, and plateau works best.",
    "RMSprop with plateau less without, and less step: both lie above 0.",
)
def rmsprop_needs_one(table: pd.DataFrame) -> Basis:
    return _plateau_over_others(select_rows(table, "schedulers", optimizer="rmsprop"), [])


@claim(
    "schedulers.6",
    "Overall, plateau works best.",
    "Plateau less none, and less step, in the mean over the optimizers: both lie above 0.",
)
def plateau_best(table: pd.DataFrame) -> Basis:
    return _plateau_over_others(select_rows(table, "schedulers"), ["optimizer"])


def _plateau_over_others(rows: pd.DataFrame, settings: list[str]) -> Basis:
    plateau, others = rows[rows["scheduler"] == "plateau"], ("none", "step")
    found = against_each(rows, "scheduler", "plateau", others, settings)
    if len(found) < len(others):
        return Basis(missing="plateau was not run beside both step and none")
    caveats = confounders(plateau, rows[rows["scheduler"] != "plateau"], settings, "scheduler")
    tails = against_each(rows, "scheduler", "plateau", others, settings, score="tail_val_dice")
    shown = ", ".join(describe_finding(examine(tail)) for tail in tails)
    text = f"in the last tenth of the epochs, where none is chosen: {shown}" if tails else ""
    return Basis(contrasts=found, rows=rows, text=text, caveats=caveats)


def _none_less_each(table: pd.DataFrame, score: str, **factors: Any) -> Basis:
    """Of a score of the learning curve: without a scheduler less with each, in the mean over the optimizers."""
    rows = select_rows(table, "schedulers", **factors)
    found = against_each(rows, "scheduler", "none", WITH_SCHEDULER, ["optimizer"], score=score)
    if len(found) < len(WITH_SCHEDULER):
        return Basis(missing="no learning curves with and without a scheduler")
    return Basis(contrasts=found, rows=rows)


@claim(
    "schedulers.7",
    "A scheduler stabilizes where Adam and SGD end.",
    "The fall from the best epoch's val Dice to the mean of the last tenth of the epochs, without a scheduler less "
    "with step, and with plateau: both lie above 0.",
)
def stabilizes_the_end(table: pd.DataFrame) -> Basis:
    return _none_less_each(table, "fall_from_best", optimizer=("adam", "sgd"))


@claim(
    "schedulers.8",
    "Without a scheduler curves are wiggly.",
    "The mean change of val Dice from epoch to epoch, without a scheduler less with step, and with plateau, in the "
    "mean over the optimizers: both lie above 0.",
)
def wiggly_without(table: pd.DataFrame) -> Basis:
    return _none_less_each(table, "val_dice_roughness")


@claim(
    "schedulers_by_data.1",
    "On little data, plateau beats step decay.",
    "Plateau less step, in the mean over optimizers and 20 and 40 %, lies above 0.",
)
def plateau_on_little_data(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "schedulers_by_data", train_percent=LITTLE_DATA)
    found = against_each(rows, "scheduler", "plateau", ["step"], ["optimizer", "train_percent"])
    return Basis(contrasts=found, rows=rows, missing="plateau and step were not both run on little data")


@claim(
    "schedulers_by_data.2",
    "On little data, Adam beats SGD.",
    "Adam less SGD, in the mean over schedulers and 20 and 40 %, lies above 0.",
)
def adam_on_little_data(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "schedulers_by_data", train_percent=LITTLE_DATA)
    found = against_each(rows, "optimizer", "adam", ["sgd"], ["scheduler", "train_percent"])
    return Basis(contrasts=found, rows=rows, missing="Adam and SGD were not both run on little data")


CLAIMS = (
    helps_most,
    adamax_without,
    adagrad_early_but_lower,
    fine_either_way,
    rmsprop_needs_one,
    plateau_best,
    stabilizes_the_end,
    wiggly_without,
    plateau_on_little_data,
    adam_on_little_data,
)
