"""The figures' contents: functions that take data and an Axes and return the Axes. No files, no pages, no MLflow.

One colour per optimizer in every figure (Okabe and Ito 2008, colour-blind safe). Published numbers are hollow, measured
ones filled.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from analysis.claims.labels import cell_label, factor_label, number, value_label
from analysis.claims.verdicts import VERDICTS, Assessments, Claim

INK, MUTED, RULE, PAPER = "#1a1c20", "#6b7079", "#dfe1e6", "#fefefe"
OPTIMIZER_COLOURS = {
    "adam": "#0072b2",
    "sgd": "#e69f00",
    "rmsprop": "#d55e00",
    "adagrad": "#009e73",
    "adamax": "#cc79a7",
    "adadelta": "#56b4e9",
    "adamw": "#7a5195",
}
RAMP = ("#440154", "#31688e", "#35b779", "#b8a100")  # viridis, its yellow darkened: ordered values of another factor
VERDICT_MARKS = dict(zip(VERDICTS, "oXDs", strict=True))  # a shape beside the colour, for who sees no colours
VERDICT_COLOURS = dict(zip(VERDICTS, ("#00805c", "#c2440a", "#b07a00", "#8a8f98"), strict=True))
FAILED = VERDICT_COLOURS["contradicted"]
SCORES = {
    "val_dice": "validation Dice",
    "train_dice": "training Dice",
    "val_loss": "validation loss",
    "train_loss": "training loss",
}
DAGGER = "\N{DAGGER}"
WORST = 4  # images of the champion that are named
LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))


def colours_of(factor: str, values: Sequence[Any]) -> dict[Any, str]:
    """The colour of each value: its own for an optimizer, a step of the ramp for anything else."""
    if factor == "optimizer":
        return {value: OPTIMIZER_COLOURS[value] for value in values}
    return {value: RAMP[i % len(RAMP)] for i, value in enumerate(values)}


def draw_curves(
    axes: Axes, curves: pd.DataFrame, score: str, colour_by: str, colours: Mapping[Any, str], style_by: str = ""
) -> Axes:
    """A score (val_dice, train_loss, ...) by epoch: one line per cell (its runs' mean), their range as a band.

    `curves` holds the epochs of the trials with the trials' factors beside them.
    """
    styles = list(dict.fromkeys(curves[style_by])) if style_by else [""]
    for colour, of_colour in curves.groupby(colour_by, sort=False):
        for style, cell in of_colour.groupby(style_by, sort=False) if style_by else [("", of_colour)]:
            by_epoch = cell.groupby("epoch")[score].agg(["mean", "min", "max"])
            line = LINES[styles.index(style) % len(LINES)]
            marker = "o" if len(by_epoch) < 6 else ""
            axes.plot(by_epoch.index, by_epoch["mean"], color=colours[colour], linestyle=line, marker=marker, ms=2.5)
            if len(cell) > len(by_epoch):  # several runs
                axes.fill_between(
                    by_epoch.index, by_epoch["min"], by_epoch["max"], color=colours[colour], alpha=0.15, lw=0
                )
    axes.set(xlabel="epoch", ylabel=SCORES[score])
    if score.endswith("dice"):
        axes.set_ylim(0, 1)
    else:
        _set_log(axes, "y")  # one bad epoch can be a hundred times the rest
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return axes


def draw_comparison(axes: Axes, table: pd.DataFrame, names: Sequence[str], by_optimizer: bool) -> Axes:
    """Published (hollow) beside measured (filled, with sd) validation Dice, one line per row of `tables.compare`."""
    for y, (_, row) in enumerate(table.iterrows()):
        colour = OPTIMIZER_COLOURS[row["optimizer"]] if by_optimizer else MUTED
        axes.plot([row["published_val_dice"], row["val_dice"]], [y, y], color=colour, lw=1.2, alpha=0.5, zorder=2)
        axes.plot(row["published_val_dice"], y, "o", color=colour, markerfacecolor=PAPER, ms=6, mew=1.4, zorder=3)
        axes.errorbar(row["val_dice"], y, xerr=row["sd"], fmt="o", color=colour, ms=6, lw=1.2, zorder=4)
    axes.set_yticks(range(len(table)), names)
    axes.set(
        xlabel="validation Dice (hollow: published; filled: measured)",
        xlim=(-0.02, 1.02),
        ylim=(len(table) - 0.4, -0.6),
    )
    axes.grid(visible=True, axis="both", color=RULE, lw=0.6)
    return axes


def draw_best_learning_rates(axes: Axes, table: pd.DataFrame, factors: Sequence[str]) -> Axes:
    """Published (hollow) beside measured (filled) best learning rates, one line per search."""
    for y, (_, row) in enumerate(table.iterrows()):
        colour = OPTIMIZER_COLOURS[row["optimizer"]]
        axes.plot([row["published_lr"], row["lr"]], [y, y], color=colour, lw=1.2, alpha=0.5, zorder=2)
        axes.plot(row["published_lr"], y, "o", color=colour, markerfacecolor=PAPER, ms=6, mew=1.4, zorder=3)
        axes.plot(row["lr"], y, "o", color=colour, ms=6, zorder=4)
    axes.set_xscale("log")
    axes.set_yticks(range(len(table)), [cell_label(row, factors) for row in table.to_dict("records")])
    axes.set(xlabel="best learning rate (hollow: published; filled: measured)", ylim=(len(table) - 0.4, -0.6))
    axes.set_xlim(1e-5, 1.5)
    axes.grid(visible=True, axis="both", color=RULE, lw=0.6)
    return axes


def draw_learning_rates(axes: Axes, trials: pd.DataFrame) -> Axes:
    """Validation Dice by learning rate, one line per optimizer (the mean over seeds)."""
    for optimizer, tried in trials.groupby("optimizer", sort=False):
        means = tried.groupby("lr")["val_dice"].mean()
        label = value_label("optimizer", optimizer)
        axes.plot(means.index, means, "o-", color=OPTIMIZER_COLOURS[str(optimizer)], ms=3, label=label)
    axes.set_xscale("log")
    axes.set(xlabel="learning rate", ylabel="validation Dice", ylim=(0, 1))
    return axes


def draw_search(axes: Axes, trials: pd.DataFrame) -> Axes:
    """One learning-rate search: its rates numbered in the order they were tried, the best ringed.

    Dots are the means over seeds; a trial that collapsed or diverged is a cross, a diverged one at the bottom.
    """
    tried = trials.groupby("lr", sort=False)[["val_dice", "collapsed", "diverged"]].agg(
        {"val_dice": "mean", "collapsed": "any", "diverged": "any"}
    )
    colour = OPTIMIZER_COLOURS[trials["optimizer"].iloc[0]]
    in_order = tried["val_dice"].sort_index()
    axes.plot(in_order.index, in_order, color=colour, lw=1, alpha=0.4)
    for order, row in enumerate(tried.reset_index().to_dict("records"), start=1):
        lr, failed = float(row["lr"]), row["collapsed"] or row["diverged"]
        y = 0.0 if np.isnan(row["val_dice"]) else float(row["val_dice"])
        axes.plot(lr, y, "x" if failed else "o", color=FAILED if failed else colour, ms=4)
        axes.annotate(str(order), (lr, y), (0, 4), textcoords="offset points", ha="center", fontsize=6.5, color=MUTED)
    if tried["val_dice"].notna().any():
        best = int(np.nanargmax(tried["val_dice"]))
        axes.plot(tried.index[best], tried["val_dice"].max(), "o", color=INK, ms=8, mfc="none", mew=1)
    axes.set_xscale("log")
    axes.set(xlabel="learning rate", ylabel="validation Dice", ylim=(-0.05, 1.05))
    return axes


def draw_isolation(axes: Axes, trials: pd.DataFrame, factor: str) -> Axes:
    """Isolation plot: for each value of a factor the best validation Dice over all the others, every run behind it.

    Godbole et al. 2023, "Deep Learning Tuning Playbook".
    """
    values = sorted_values(trials[factor])
    place = trials[factor].map({value: x for x, value in enumerate(values)})
    axes.plot(place, trials["val_dice"], "o", color=MUTED, alpha=0.35, ms=3.5, mew=0)
    best = trials.groupby(place)["val_dice"].max()
    axes.plot(best.index, best, "o-", color=INK, ms=4.5, lw=1)
    axes.set_xticks(range(len(values)), [value_label(factor, value) for value in values])
    axes.set(xlabel=factor_label(factor), xlim=(-0.4, len(values) - 0.6), ylabel="validation Dice")
    return axes


def draw_heat_map(axes: Axes, trials: pd.DataFrame, down: str, across: str) -> Axes:
    """Mean validation Dice of each pair of values, as colour and as a number; darker is higher.

    A dagger marks a mean with a trial that collapsed, or beside one that diverged.
    """
    means = trials.pivot_table(index=down, columns=across, values="val_dice", aggfunc="mean", sort=False)
    means = means.reindex(index=sorted_values(trials[down]), columns=sorted_values(trials[across]))
    failed = trials.assign(failed=trials["collapsed"] | trials["diverged"])
    failed = failed.pivot_table(index=down, columns=across, values="failed", aggfunc="any", sort=False)
    marks = failed.reindex(index=means.index, columns=means.columns).eq(other=True).to_numpy()
    values = means.to_numpy(dtype=float)
    low, high = np.nanmin(values), np.nanmax(values)
    axes.pcolormesh(values, cmap="cividis_r", vmin=low, vmax=high, edgecolors=PAPER, linewidth=1.5)
    for (y, x), value in np.ndenumerate(values):
        dark = value > (low + high) / 2
        text = number(value) + (DAGGER if marks[y, x] else "")
        axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", color="#ffffff" if dark else "#101010")
    axes.set_xticks(np.arange(values.shape[1]) + 0.5, [value_label(across, value) for value in means.columns])
    axes.set_yticks(np.arange(values.shape[0]) + 0.5, [value_label(down, value) for value in means.index])
    axes.set(xlabel=factor_label(across), ylabel=factor_label(down))
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)
    return axes


def draw_cost(axes: Axes, trials: pd.DataFrame) -> Axes:
    """Validation Dice by the seconds a trial took; the line joins those that no faster trial matches."""
    scored = trials.dropna(subset=["seconds", "val_dice"]).sort_values(["seconds", "val_dice"])
    for optimizer, trained in scored.groupby("optimizer", sort=False):
        colour = OPTIMIZER_COLOURS[str(optimizer)]
        axes.plot(trained["seconds"], trained["val_dice"], "o", color=colour, ms=4, alpha=0.7, mew=0)
    front = scored[scored["val_dice"] > scored["val_dice"].cummax().shift(fill_value=-1)]
    axes.step(front["seconds"], front["val_dice"], where="post", color=INK, lw=1)
    _set_log(axes, "x")
    axes.set(xlabel="seconds of training", ylabel="validation Dice", ylim=(0, 1))
    return axes


def draw_test_images(axes: Axes, dice: pd.Series, interval: tuple[float, float]) -> Axes:
    """The champion's Dice on each test image (index: their names), sorted; the mean with its interval."""
    low, high = interval
    ranked = dice.sort_values()
    if pd.notna(low):
        axes.axvspan(low, high, color=VERDICT_COLOURS["supported"], alpha=0.18, lw=0)
    axes.axvline(float(dice.mean()), color=VERDICT_COLOURS["supported"], lw=1.2)
    axes.plot(ranked, range(len(ranked)), "o", color=INK, ms=4)
    for y, (name, value) in enumerate(ranked.iloc[:WORST].items()):
        look: dict[str, Any] = {"textcoords": "offset points", "va": "center", "ha": "right", "fontsize": 7.5}
        axes.annotate(str(name)[:28], (value, y), (-7, 0), **look)
    left = max(0.0, float(ranked.iloc[0]) - 0.2)
    axes.set(xlabel="Dice of each test image; line and band: mean, 95 % interval", xlim=(left - 0.02, 1.02))
    axes.set(yticks=[], ylim=(-0.8, len(ranked) - 0.2))
    return axes


def _set_log(axes: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic axis with plain numbers, three a decade."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set_xscale("log") if which == "x" else axes.set_yscale("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def sorted_values(values: pd.Series) -> list[Any]:
    """Numbers by size, words in order of appearance."""
    found = list(dict.fromkeys(values))
    return sorted(found) if pd.api.types.is_numeric_dtype(values) else found


def draw_effects(axes: Axes, claims: Sequence[Claim], published: Assessments, measured: Assessments) -> Axes:
    """The effect of every claim, with its interval where it has one; published (hollow) above measured (filled).

    An effect that is no difference in Dice is written down instead.
    """
    for y, claim in enumerate(claims):
        words = []
        for found, shift, filled in ((published[claim.code], -0.16, False), (measured[claim.code], 0.16, True)):
            if claim.unit != "Dice":
                known = pd.notna(found.effect)
                words += [f"{'measured' if filled else 'published'} {found.effect:.2g}"] * known
                continue
            colour = VERDICT_COLOURS[found.verdict]
            axes.plot([found.low, found.high], [y + shift] * 2, color=colour, lw=1.6, solid_capstyle="round")
            look: dict[str, Any] = {"marker": VERDICT_MARKS[found.verdict], "ms": 5, "mew": 1.4}
            axes.plot(found.effect, y + shift, color=colour, markerfacecolor=colour if filled else PAPER, **look)
        if words:
            text = f"{claim.unit}: {', '.join(words)}"
            axes.text(0.01, y, text, va="center", fontsize=7.5, color=MUTED, transform=axes.get_yaxis_transform())
    axes.axvline(0, color=MUTED, lw=0.8)
    axes.set_yticks(range(len(claims)), [claim.code for claim in claims])
    axes.set(xlabel="effect in Dice, with its 95 % interval (hollow: published; filled: measured)")
    axes.set_ylim(len(claims) - 0.4, -0.6)
    axes.grid(visible=True, axis="x", color=RULE, lw=0.6)
    return axes
