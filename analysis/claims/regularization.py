"""The report's conclusions on weight decay and dropout (Sections 4 and 5)."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.claims.contrasts import (
    ABOVE,
    INF,
    Finding,
    against_each,
    by_unit,
    complete,
    contrast,
    difference,
    in_order,
    level,
)
from analysis.claims.labels import value_label
from analysis.claims.optimizers import CONVERGED, LITTLE_DATA
from analysis.claims.rows import cell_means, confounders, select_rows
from analysis.claims.rules import Judgement, all_hold, any_holds, by_group, judge_each
from analysis.claims.verdicts import Basis, claim

MUCH_DATA = 80  # percent: the most that leaves validation images
STRONG_DECAY = 0.01  # weight decay; the middle of the report's three values
LOSS_TIE = 0.1  # validation loss; Fig. 13's good rows at 80 % lie 0.03 apart, its underfitted one 0.24 above them
SMALLEST_DROPOUT = 0.2  # the share at which the report itself argues about the amount of data (Section 5.3)
LARGEST_DROPOUT = 0.8


@claim(
    "weight_decay.1",
    "With much data, validation loss is low without weight decay, too.",
    f"At {MUCH_DATA} %: val loss without decay less that with each decay lies below {LOSS_TIE}.",
    unit="loss",
)
def no_decay_needed(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "weight_decay", train_percent=MUCH_DATA)
    decays = sorted(set(rows["weight_decay"]) - {0.0})
    known: dict[str, Any] = {"score": "val_loss", "unit": "loss", "claimed": (-INF, LOSS_TIE), "smallest": 0.0}
    found = against_each(rows, "weight_decay", 0.0, decays, **known)
    return Basis(contrasts=found, rows=rows, missing=f"no row without decay at {MUCH_DATA} %")


def one_beats_all(findings: Sequence[Finding]) -> Judgement:
    """One strong decay at least beats every weak one."""
    return any_holds([all_hold(judge_each(strong)) for strong in by_group(findings)])


@claim(
    "weight_decay.2",
    "Little data needs strong weight decay.",
    f"In the mean over 20 and 40 %: one decay of at least {STRONG_DECAY} less each weaker one lies above 0.",
    judge=one_beats_all,
)
def little_data_strong_decay(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "weight_decay", train_percent=LITTLE_DATA)
    decays = sorted(set(rows["weight_decay"].dropna()))
    weak = [decay for decay in decays if decay < STRONG_DECAY]
    found = [
        one
        for strong in (decay for decay in decays if decay >= STRONG_DECAY)
        for one in against_each(rows, "weight_decay", strong, weak, ["train_percent"], group=(f"{strong:g}",))
    ]
    if not found:
        return Basis(missing="no strong and weak decay on little data")
    means = cell_means(rows, ["train_percent", "weight_decay"]).dropna(subset="mean").sort_values("mean")
    best = means.drop_duplicates("train_percent", keep="last").sort_values("train_percent")
    text = "; ".join(f"best at {row.train_percent:.0f} %: {row.weight_decay:g}" for row in best.itertuples())
    return Basis(contrasts=found, rows=rows, text=text)


@claim(
    "weight_decay.3",
    "Too strong a decay underfits when there is much data.",
    f"At {MUCH_DATA} %: train Dice with each decay less that with the next stronger one lies above 0, by however "
    "little; and so does that with the weakest less that with the strongest.",
)
def too_strong_underfits(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "weight_decay", train_percent=MUCH_DATA)
    decays = sorted(set(rows["weight_decay"]) - {0.0}, reverse=True)
    found = in_order(rows, "weight_decay", decays, score="train_dice")
    return Basis(contrasts=found, rows=rows, missing=f"fewer than two strengths of decay at {MUCH_DATA} %")


@claim(
    "weight_decay.4",
    "The best is 80 % of the data with weight decay 0.01.",
    "That cell less each other one of the study lies above 0.",
)
def best_decay(table: pd.DataFrame) -> Basis:
    return best_cell(select_rows(table, "weight_decay"), {"train_percent": MUCH_DATA, "weight_decay": 0.01})


def best_cell(rows: pd.DataFrame, wanted: dict[str, Any]) -> Basis:
    """One cell against each other one, by the factors in `wanted`."""
    factors = list(wanted)
    is_wanted = (rows[factors] == pd.Series(wanted)).all(axis="columns")
    wanted_rows, found = rows[is_wanted], []
    for cell, other in rows[~is_wanted].groupby(factors, sort=False):
        words = ", ".join(
            f"{value:.0f} % data" if factor == "train_percent" else value_label(factor, value)
            for factor, value in zip(factors, cell, strict=True)
        )
        found += difference(f"it less {words}", wanted_rows, other)
    return Basis(contrasts=found, rows=rows, missing="that cell was not run beside others")


def _dropout_sides(table: pd.DataFrame, dropout: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows without and with dropout; without: of the same study or, as in the report, of weight_decay."""
    dropped, control = (select_rows(table, "dropout", dropout=value) for value in (dropout, 0.0))
    if control.empty:
        control = select_rows(table, "weight_decay", dropout=0, weight_decay=tuple(dropped["weight_decay"].unique()))
    return control, dropped


@claim(
    "dropout.1",
    "Dropout of 0.2 and of 0.5 are both too high for this small network.",
    "In the mean over the amounts of data: no dropout less 0.2, and less 0.5, both lie above 0.",
)
def dropout_too_high(table: pd.DataFrame) -> Basis:
    found, rows = [], []
    for dropout in (SMALLEST_DROPOUT, 0.5):
        control, dropped = _dropout_sides(table, dropout)
        found += difference(f"none less {dropout:g}", control, dropped, ["train_percent"])
        rows += [control, dropped]
    if len(found) < 2:
        return Basis(missing="dropout 0.2, 0.5 and none were not all run")
    return Basis(contrasts=found, rows=pd.concat(rows).drop_duplicates())


@claim(
    "dropout.2",
    "Dropout hurts more, the more training data.",
    f"Dice lost to dropout {SMALLEST_DROPOUT} at the most data, less that at the least, lies above 0.",
)
def dropout_hurts_with_data(table: pd.DataFrame) -> Basis:
    control, dropped = _dropout_sides(table, SMALLEST_DROPOUT)
    missing = Basis(missing="dropout was not compared at two amounts of data")
    if control.empty or dropped.empty:
        return missing
    lost, gaps = complete(by_unit(control, ["train_percent"]) - by_unit(dropped, ["train_percent"]))
    percents = sorted(lost.columns)
    if len(percents) < 2:
        return missing
    growth = lost[percents[-1]] - lost[percents[0]]
    words = f"lost at {percents[-1]:.0f} % less at {percents[0]:.0f} %"
    text = "Dice lost: " + ", ".join(f"{lost[percent].mean():.3f} at {percent:.0f} %" for percent in percents)
    found = contrast(words, growth, claimed=ABOVE, **gaps)
    caveats = confounders(control, dropped, ["train_percent"], "dropout")
    return Basis(contrasts=found, rows=pd.concat([control, dropped]), text=text, caveats=caveats)


@claim(
    "dropout.3",
    "Dropout of 0.8 does not converge.",
    f"With dropout {LARGEST_DROPOUT}, train Dice lies below {CONVERGED} at every amount of data.",
    unit="train Dice",
)
def largest_dropout_fails(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "dropout", dropout=LARGEST_DROPOUT)
    found = [
        one
        for percent in sorted(rows["train_percent"].unique())
        for one in level(
            f"at {percent:.0f} %",
            rows[rows["train_percent"] == percent],
            score="train_dice",
            claimed=(-INF, CONVERGED),
            unit="train Dice",
        )
    ]
    return Basis(contrasts=found, rows=rows, missing=f"no row with dropout {LARGEST_DROPOUT:g}")


CLAIMS = (
    no_decay_needed,
    little_data_strong_decay,
    too_strong_underfits,
    best_decay,
    dropout_too_high,
    dropout_hurts_with_data,
    largest_dropout_fails,
)
