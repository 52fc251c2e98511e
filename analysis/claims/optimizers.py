"""The report's conclusions on learning rates, optimizers and how much data they need (Section 2)."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.claims.contrasts import (
    INF,
    VARIANCE,
    Finding,
    against_each,
    by_unit,
    complete,
    contrast,
    in_order,
    level_of_each,
)
from analysis.claims.labels import value_label
from analysis.claims.rows import cell_means, confounders, select_rows
from analysis.claims.rules import Judgement, all_hold, any_holds, by_group, judge_each
from analysis.claims.stats import spread_values
from analysis.claims.verdicts import Basis, claim
from training.study.curve import TARGET_SHARE
from training.study.search import DECADES

LITTLE_DATA = (20, 40)  # percent of all images (Fig. 11)
MANY_EPOCHS = 800  # Section 2
CONVERGED = 0.5  # Dice from which a run counts as converged; Fig. 2's fall below 0.19 or above 0.66


def best_learning_rates(table: pd.DataFrame) -> pd.DataFrame:
    """Per loss and optimizer the learning rate with the highest mean Dice; the only one where none has a score."""
    tried = cell_means(table[table["study"] == "learning_rate"], ["loss", "optimizer", "lr"])
    ranked = tried.sort_values("mean", na_position="first", kind="stable")
    return ranked.drop_duplicates(["loss", "optimizer"], keep="last").sort_index()


def no_common_rate(findings: Sequence[Finding]) -> Judgement:
    """For each loss and each rate there is an optimizer that does better at another one."""
    return all_hold([any_holds(judge_each(rate)) for loss in by_group(findings) for rate in by_group(loss, 1)])


@claim(
    "learning_rate.1",
    "Each optimizer has its own range of good learning rates.",
    "No decade serves all: for each loss and each decade there is an optimizer whose val Dice at another decade, less "
    "that at this one, lies above 0.",
    judge=no_common_rate,
)
def own_learning_rate(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "learning_rate", lr=DECADES)
    values, gaps = complete(by_unit(rows, ["loss", "optimizer", "lr"]))
    cells: list[Any] = list(values.columns)
    found = [
        one
        for loss, name, common in cells
        for other in (lr for cell in cells for lr in cell[2:] if cell[:2] == (loss, name) and lr != common)
        for one in contrast(
            f"{value_label('optimizer', name)}, {value_label('loss', loss)}, at {other:g} less at {common:g}",
            values[loss, name, other] - values[loss, name, common],
            group=(loss, f"{common:g}"),
            **gaps,
        )
    ]
    if not found or rows.groupby("loss")["optimizer"].nunique().min() < 2:
        return Basis(
            missing="no two optimizers were tried at the same rates (of its searches the report publishes the best)"
        )
    best = best_learning_rates(table).groupby("loss", sort=False)["lr"]
    spans = best.agg(lambda tried: tried.max() / tried.min())
    text = ", ".join(f"{value_label('loss', loss)}: best ones {span:.0f}x apart" for loss, span in spans.items())
    return Basis(contrasts=found, rows=rows, text=text)


@claim(
    "learning_rate.2",
    "Adam is more sensitive to the learning rate than RMSprop and SGD.",
    "The variance between the decades' true mean val Dice, of Adam less of RMSprop, and less of SGD (jackknife over "
    "the seeds): both lie above 0.",
    unit="Dice squared",
)
def adam_most_sensitive(table: pd.DataFrame) -> Basis:
    names = ("adam", "rmsprop", "sgd")
    rows = select_rows(table, "learning_rate", lr=DECADES, optimizer=names)
    values, gaps = complete(by_unit(rows, ["optimizer", "lr"]))
    if set(values.columns.get_level_values("optimizer")) < set(names):
        return Basis(missing="Adam, RMSprop and SGD were not all tried at the same rates")
    known: dict[str, Any] = gaps | VARIANCE
    adam, *others = (spread_values(values[[name]]) for name in names)
    found = [
        one
        for name, other in zip(names[1:], others, strict=True)
        for one in contrast(f"variance, Adam less {value_label('optimizer', name)}", adam - other, **known)
    ]
    return Basis(contrasts=found, rows=rows)


def some_converge(findings: Sequence[Finding]) -> Judgement:
    """At least one mean above CONVERGED and at least one below; against it: all above, or all below."""
    parts = judge_each(findings)
    below = [Judgement(part.p_against, part.p_for, part.depends_on) for part in parts]
    return all_hold([any_holds(parts), any_holds(below)])


@claim(
    "optimizers.1",
    "One learning rate for all optimizers fails: some converge, some do not.",
    f"At one learning rate the mean val Dice of one optimizer at least lies above {CONVERGED}, that of another below.",
    judge=some_converge,
    unit="val Dice",
)
def one_rate_fails(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "optimizers")
    known: dict[str, Any] = {"claimed": (CONVERGED, INF), "unit": "val Dice"}
    cells = level_of_each(rows, "optimizer", dict.fromkeys(rows["optimizer"]), ["loss"], **known)
    if len(cells) < 2:
        return Basis(missing="fewer than two optimizers at one learning rate")
    return Basis(contrasts=cells, rows=rows)


@claim(
    "optimizers.2",
    "Switching loss generally beats BCE.",
    "Switching less BCE, in the mean over the optimizers, lies above 0.",
)
def switching_beats_bce(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "optimizers", loss=("switching", "bce"))
    found = against_each(rows, "loss", "switching", ["bce"], ["optimizer"])
    return Basis(contrasts=found, rows=rows, missing="no optimizer was run with both losses")


def one_at_least(findings: Sequence[Finding]) -> Judgement:
    return any_holds(judge_each(findings))


@claim(
    "optimizers.3",
    f"At one rate for all, some optimizers need more than {MANY_EPOCHS} epochs.",
    f"The epochs that one optimizer at least takes to {TARGET_SHARE:.0%} of the study's highest val Dice, at one "
    f"learning rate, lie above {MANY_EPOCHS}; one that never gets there takes all it had.",
    judge=one_at_least,
    unit="epochs",
)
def some_need_long(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "optimizers")
    if not (rows["epochs"] > MANY_EPOCHS).any():
        return Basis(missing=f"no trial at one rate for all lasted more than {MANY_EPOCHS} epochs")
    known: dict[str, Any] = {"score": "epochs_to_target", "claimed": (float(MANY_EPOCHS), INF), "unit": "epochs"}
    found = level_of_each(rows, "optimizer", dict.fromkeys(rows["optimizer"]), ["loss"], **known)
    return Basis(contrasts=found, rows=rows, missing="no learning curves")


@claim(
    "training_data.1",
    "RMSprop is poor on little data; Adam and SGD are better, Adam best.",
    "In the mean over 20 and 40 %: SGD less RMSprop, and Adam less SGD, both lie above 0.",
)
def little_data_order(table: pd.DataFrame) -> Basis:
    """Section 2's own runs where they exist; the report took Adam and SGD from Fig. 11."""
    own = {}
    for optimizer in ("rmsprop", "sgd", "adam"):
        factors = {"loss": "switching", "optimizer": optimizer, "train_percent": LITTLE_DATA}
        section_2 = select_rows(table, "training_data", **factors)
        own[optimizer] = select_rows(table, "schedulers_by_data", **factors) if section_2.empty else section_2
    rows = pd.concat(own.values())
    found = [
        one
        for left, right in (("sgd", "rmsprop"), ("adam", "sgd"))
        for one in against_each(rows, "optimizer", left, [right], ["train_percent"])
    ]
    if len(found) < 2:
        return Basis(missing="RMSprop, SGD and Adam were not all run on little data")
    caveats = confounders(own["adam"], own["rmsprop"], ["train_percent"], "optimizer")
    return Basis(contrasts=found, rows=rows, caveats=caveats)


@claim(
    "training_data.2",
    "More training data helps.",
    "Val Dice with each amount of data less with the next smaller one, in the mean over the optimizers, lies above 0, "
    "by however little; and so does that with the most less that with the least.",
)
def more_data_helps(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "training_data")
    percents = sorted(rows["train_percent"].dropna().unique())
    found = in_order(rows, "train_percent", percents, ["optimizer"])
    return Basis(contrasts=found, rows=rows, missing="fewer than two amounts of data")


@claim(
    "training_data.3",
    "At good learning rates RMSprop, Adam and SGD all segment well.",
    f"With the most data and each one's own learning rate, the mean val Dice of all three lies above {CONVERGED}.",
    unit="val Dice",
)
def good_at_good_rates(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "training_data")
    rows = rows[rows["train_percent"] == rows["train_percent"].max()]
    known: dict[str, Any] = {"claimed": (CONVERGED, INF), "unit": "val Dice"}
    found = level_of_each(rows, "optimizer", ("rmsprop", "adam", "sgd"), **known)
    if len(found) < 3:
        return Basis(missing="RMSprop, Adam and SGD were not all run at rates of their own")
    return Basis(contrasts=found, rows=rows)


CLAIMS = (
    own_learning_rate,
    adam_most_sensitive,
    one_rate_fails,
    switching_beats_bce,
    some_need_long,
    little_data_order,
    more_data_helps,
    good_at_good_rates,
)
