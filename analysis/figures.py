"""The figures' contents: functions that take data and an Axes and return the Axes. No files, no pages, no MLflow.

One colour an optimizer in every figure (Okabe and Ito 2008, colour-blind safe). Printed numbers are hollow, measured
ones filled.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.labels import cell_label, value_label
from analysis.verdicts import ANSWERS, Claim, Verdict

INK, MUTED, RULE, PAPER = "#1a1c20", "#6b7079", "#dfe1e6", "#fefefe"
OPTIMIZER_COLOURS = {
    "adam": "#0072b2",
    "sgd": "#e69f00",
    "rmsprop": "#d55e00",
    "adagrad": "#009e73",
    "adamax": "#cc79a7",
    "adadelta": "#56b4e9",
}
RAMP = ("#440154", "#31688e", "#35b779", "#b8a100")  # viridis, its yellow darkened: ordered values of another factor
ANSWER_COLOURS = dict(zip(ANSWERS, ("#00805c", "#c2440a", "#b07a00", "#8a8f98"), strict=True))
LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))


def colours_of(factor: str, values: Sequence[Any]) -> dict[Any, str]:
    """The colour of each value: its own for an optimizer, a step of the ramp for anything else."""
    if factor == "optimizer":
        return {value: OPTIMIZER_COLOURS[value] for value in values}
    return {value: RAMP[i % len(RAMP)] for i, value in enumerate(values)}


def draw_curves(
    axes: Axes, curves: pd.DataFrame, colour_by: str, colours: Mapping[Any, str], style_by: str = ""
) -> Axes:
    """Validation Dice by epoch: a line a cell (the mean over its runs), its runs' range as a band.

    `curves` holds the epochs of the trials with the trials' factors beside them.
    """
    styles = list(dict.fromkeys(curves[style_by])) if style_by else [""]
    for colour, of_colour in curves.groupby(colour_by, sort=False):
        for style, cell in of_colour.groupby(style_by, sort=False) if style_by else [("", of_colour)]:
            by_epoch = cell.groupby("epoch")["val_dice"].agg(["mean", "min", "max"])
            line = LINES[styles.index(style) % len(LINES)]
            marker = "o" if len(by_epoch) < 6 else ""
            axes.plot(by_epoch.index, by_epoch["mean"], color=colours[colour], linestyle=line, marker=marker, ms=2.5)
            if len(cell) > len(by_epoch):  # several runs
                axes.fill_between(
                    by_epoch.index, by_epoch["min"], by_epoch["max"], color=colours[colour], alpha=0.15, lw=0
                )
    axes.set(xlabel="epoch", ylabel="validation Dice", ylim=(0, 1))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return axes


def draw_comparison(axes: Axes, table: pd.DataFrame, factors: Sequence[str]) -> Axes:
    """Printed (hollow) beside measured (filled, with sd) validation Dice, a line a row of `tables.compare`."""
    for y, (_, row) in enumerate(table.iterrows()):
        colour = OPTIMIZER_COLOURS[row["optimizer"]] if "optimizer" in factors else MUTED
        axes.plot([row["printed_val_dice"], row["val_dice"]], [y, y], color=colour, lw=1.2, alpha=0.5, zorder=2)
        axes.plot(row["printed_val_dice"], y, "o", color=colour, markerfacecolor=PAPER, ms=6, mew=1.4, zorder=3)
        axes.errorbar(row["val_dice"], y, xerr=row["sd"], fmt="o", color=colour, ms=6, lw=1.2, zorder=4)
    axes.set_yticks(range(len(table)), [cell_label(row, factors) for row in table.to_dict("records")])
    axes.set(
        xlabel="validation Dice (hollow: printed; filled: measured)", xlim=(-0.02, 1.02), ylim=(len(table) - 0.4, -0.6)
    )
    axes.grid(visible=True, axis="both", color=RULE, lw=0.6)
    return axes


def draw_best_learning_rates(axes: Axes, table: pd.DataFrame, factors: Sequence[str]) -> Axes:
    """Printed (hollow) beside measured (filled) best learning rates, a line a search."""
    for y, (_, row) in enumerate(table.iterrows()):
        colour = OPTIMIZER_COLOURS[row["optimizer"]]
        axes.plot([row["printed_lr"], row["lr"]], [y, y], color=colour, lw=1.2, alpha=0.5, zorder=2)
        axes.plot(row["printed_lr"], y, "o", color=colour, markerfacecolor=PAPER, ms=6, mew=1.4, zorder=3)
        axes.plot(row["lr"], y, "o", color=colour, ms=6, zorder=4)
    axes.set_xscale("log")
    axes.set_yticks(range(len(table)), [cell_label(row, factors) for row in table.to_dict("records")])
    axes.set(xlabel="best learning rate (hollow: printed; filled: measured)", ylim=(len(table) - 0.4, -0.6))
    axes.set_xlim(5e-5, 1.5)
    axes.grid(visible=True, axis="both", color=RULE, lw=0.6)
    return axes


def draw_learning_rates(axes: Axes, trials: pd.DataFrame) -> Axes:
    """Validation Dice by learning rate, a line an optimizer (the mean over seeds)."""
    for optimizer, tried in trials.groupby("optimizer", sort=False):
        means = tried.groupby("lr")["val_dice"].mean()
        label = value_label("optimizer", optimizer)
        axes.plot(means.index, means, "o-", color=OPTIMIZER_COLOURS[str(optimizer)], ms=3, label=label)
    axes.set_xscale("log")
    axes.set(xlabel="learning rate", ylabel="validation Dice", ylim=(0, 1))
    return axes


def draw_effects(
    axes: Axes, claims: Sequence[Claim], printed: Mapping[str, Verdict], measured: Mapping[str, Verdict]
) -> Axes:
    """The effect of every claim, with its interval where it has one; printed (hollow) above measured (filled)."""
    for y, claim in enumerate(claims):
        for verdict, shift, filled in ((printed[claim.code], -0.16, False), (measured[claim.code], 0.16, True)):
            colour = ANSWER_COLOURS[verdict.answer]
            axes.plot([verdict.low, verdict.high], [y + shift] * 2, color=colour, lw=1.6, solid_capstyle="round")
            face = colour if filled else PAPER
            axes.plot(verdict.effect, y + shift, "o", color=colour, markerfacecolor=face, ms=5, mew=1.4)
    axes.axvline(0, color=MUTED, lw=0.8)
    axes.set_yticks(range(len(claims)), [claim.code for claim in claims])
    axes.set(xlabel="effect in Dice, with its 95 % interval where it has one (hollow: printed; filled: measured)")
    axes.set_ylim(len(claims) - 0.4, -0.6)
    axes.grid(visible=True, axis="x", color=RULE, lw=0.6)
    return axes
