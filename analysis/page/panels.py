"""Figures for a page: panels laid out and drawn.

What is drawn is said in `figures`; this file knows layout only. `svg` turns a figure into what stands in the page.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.claims.labels import factor_label, value_label, variant_label
from analysis.claims.verdicts import Assessments, Claim
from analysis.page import figures
from analysis.page.figures import sorted_values
from analysis.page.tables import MAX_FACTORS, by_change, cell_factors, cell_names
from training.study.studies import DEFAULT_LRS, Study

WIDTH = 7.2  # inches; text is 9 points, so it stays legible at half size
RATE = "learning rate"  # in place of lr, where a study has each optimizer's own and PyTorch's default


def curves_figure(study: Study, trials: pd.DataFrame, curves: pd.DataFrame, score: str) -> Figure:
    """The study's learning curves: one panel per value of one factor, colours for another, dashes for a third."""
    if len(cell_factors(study)) > MAX_FACTORS:
        return variants_figure(study, trials, curves, score)
    colour_by, facet_by, style_by = layout(study)
    data = curves[["run_id", "epoch", score]].merge(trials[["run_id", *cell_factors(study)]], on="run_id")
    if RATE in (colour_by, facet_by, style_by):
        is_default = data["lr"] == data["optimizer"].map(DEFAULT_LRS)
        data = data.assign(**{RATE: is_default.map({True: "PyTorch's default", False: "its own"})})
    colours = figures.colours_of(colour_by, sorted_values(data[colour_by]))
    facets = sorted_values(data[facet_by]) if facet_by else [""]
    figure, panels = _panels(len(facets))
    for axes, facet in zip(panels, facets, strict=False):
        of_facet = data[data[facet_by] == facet] if facet_by else data
        figures.draw_curves(axes, of_facet, score, colour_by, colours, style_by)
        if facet_by:
            axes.set_title(_facet_title(facet_by, facet))
    entries: list[tuple[str, dict[str, Any]]] = [
        (value_label(colour_by, value), {"color": colour}) for value, colour in colours.items()
    ]
    if style_by:
        styles = zip(sorted_values(data[style_by]), figures.LINES, strict=False)
        entries += [
            (value_label(style_by, value), {"color": figures.MUTED, "linestyle": line}) for value, line in styles
        ]
    _legend(figure, "" if colour_by == "optimizer" else factor_label(colour_by), entries)
    return figure


def variants_figure(study: Study, trials: pd.DataFrame, curves: pd.DataFrame, score: str) -> Figure:
    """Where a study changes one thing at a time: one panel per change, with what it started from in grey behind it."""
    factors = cell_factors(study)
    cells = [
        trials.merge(cell.to_frame().T[factors].astype(trials.dtypes[factors]))
        for _, cell in by_change(trials, factors).iterrows()
    ]
    colours = {"settled": figures.MUTED, "changed": figures.VERDICT_COLOURS["supported"]}
    figure, panels = _panels(len(cells) - 1)
    for axes, cell in zip(panels, cells[1:], strict=False):
        shown = pd.concat([cells[0].assign(variant="settled"), cell.assign(variant="changed")])
        of_cells = curves[["run_id", "epoch", score]].merge(shown[["run_id", "variant"]], on="run_id")
        figures.draw_curves(axes, of_cells, score, "variant", colours)
        axes.set_title(variant_label(cell.iloc[0], cells[0].iloc[0], factors))
    title = variant_label(cells[0].iloc[0], cells[0].iloc[0], factors)
    _legend(figure, "", [(title, {"color": colours["settled"]}), ("changed", {"color": colours["changed"]})])
    return figure


def learning_rates_figure(trials: pd.DataFrame) -> Figure:
    """How much each optimizer minds its learning rate: one panel per loss."""
    losses = sorted_values(trials["loss"])
    figure, panels = _panels(len(losses))
    for axes, loss in zip(panels, losses, strict=False):
        figures.draw_learning_rates(axes, trials[trials["loss"] == loss])
        axes.set_title(_facet_title("loss", loss))
    _legend(figure, "", _optimizer_entries(trials))
    return figure


def searches_figure(trials: pd.DataFrame) -> Figure:
    """The path of every learning-rate search: one panel per search."""
    searches = list(trials.groupby(["loss", "optimizer"], sort=False))
    figure, panels = _panels(len(searches), height=1.7)
    for position, (axes, ((loss, optimizer), tried)) in enumerate(zip(panels, searches, strict=False)):
        figures.draw_search(axes, tried)
        axes.set_title(f"{value_label('optimizer', optimizer)}, {value_label('loss', loss)}")
        axes.xaxis.label.set_visible(position >= len(searches) - 3)
    return figure


def isolation_figure(study: Study, trials: pd.DataFrame) -> Figure:
    """What each factor allows at best: one panel per factor."""
    factors = cell_factors(study)
    figure, panels = _panels(len(factors))
    for axes, factor in zip(panels, factors, strict=False):
        figures.draw_isolation(axes, trials, factor)
        if len(trials[factor].unique()) > 4:
            axes.tick_params(axis="x", labelsize=7)
    return figure


def heat_map_figure(trials: pd.DataFrame, factor: str) -> Figure:
    """Training data against another factor; one panel per optimizer where a study has several besides."""
    facets = sorted_values(trials["optimizer"]) if factor != "optimizer" else [""]
    rows = len(trials[factor].unique())
    figure = Figure(figsize=(WIDTH, 0.7 + 0.42 * rows), layout="constrained")
    grid = figure.subplots(1, len(facets), squeeze=False)[0]
    for axes, facet in zip(grid, facets, strict=True):
        figures.draw_heat_map(axes, trials[trials["optimizer"] == facet] if facet else trials, factor, "train_percent")
        if len(facets) > 1:
            axes.set_title(value_label("optimizer", facet))
    return figure


def cost_figure(trials: pd.DataFrame) -> Figure:
    """Quality against cost, over all studies."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    figures.draw_cost(figure.subplots(), trials)
    _legend(figure, "", _optimizer_entries(trials))
    return figure


def test_images_figure(dice: pd.Series, interval: tuple[float, float]) -> Figure:
    """The champion, test image by test image."""
    figure = Figure(figsize=(WIDTH, 0.9 + min(0.2 * len(dice), 4.0)), layout="constrained")
    figures.draw_test_images(figure.subplots(), dice, interval)
    return figure


def comparison_figure(study: Study, table: pd.DataFrame) -> Figure:
    """Published beside measured, one line per row of the study's table."""
    figure = Figure(figsize=(WIDTH, 0.75 + 0.25 * len(table)), layout="constrained")
    factors = cell_factors(study)
    if study.search_lr:
        figures.draw_best_learning_rates(figure.subplots(), table, factors)
    else:
        figures.draw_comparison(figure.subplots(), table, cell_names(study, table), "optimizer" in factors)
    return figure


def effects_figure(claims: Sequence[Claim], published: Assessments, measured: Assessments) -> Figure:
    """The effects behind all claims that were tested: a forest plot."""
    sides = (published, measured)
    shown = [c for c in claims if any(side[c.code].verdict != "untested" for side in sides)]
    figure = Figure(figsize=(WIDTH, 1.0 + 0.32 * len(shown)), layout="constrained")
    figures.draw_effects(figure.subplots(), shown, published, measured)
    marks = [(verdict, mark) for verdict, mark in figures.VERDICT_MARKS.items() if verdict != "untested"]
    entries: list[tuple[str, dict[str, Any]]] = [
        (verdict, {"color": figures.VERDICT_COLOURS[verdict], "marker": mark, "lw": 0}) for verdict, mark in marks
    ]
    _legend(figure, "", entries)
    return figure


def layout(study: Study) -> tuple[str, str, str]:
    """Which factor the colours, the panels and the dashes stand for; the last two may be empty."""
    factors = cell_factors(study)
    if "lr" in factors and not study.search_lr:
        return RATE, "optimizer", ""
    colour_by = "optimizer" if "optimizer" in factors else factors[-1]
    facet_by, style_by, *_ = [*(factor for factor in factors if factor != colour_by), "", ""]
    return colour_by, facet_by, style_by


def _optimizer_entries(trials: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    colours = figures.OPTIMIZER_COLOURS
    names = sorted_values(trials["optimizer"])
    return [(value_label("optimizer", name), {"color": colours[name], "marker": "o"}) for name in names]


def _facet_title(factor: str, value: Any) -> str:
    if factor == "train_percent":
        return f"{value:.0f} % of the data"
    return f"{factor_label(factor)}: {value_label(factor, value)}"


def _panels(count: int, height: float = 2.1) -> tuple[Figure, list[Axes]]:
    columns = 1 if count == 1 else 2 if count in (2, 4) else 3
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, 0.5 + height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=False, sharey=True, squeeze=False)
    panels = [axes for line in grid for axes in line]
    for axes in panels[count:]:
        axes.remove()
    for axes in panels[:count]:
        axes.yaxis.label.set_visible(axes.get_subplotspec().is_first_col())
    return figure, panels[:count]


def _legend(figure: Figure, title: str, entries: list[tuple[str, dict[str, Any]]]) -> None:
    handles = [Line2D([], [], label=label, **look) for label, look in entries]
    figure.legend(handles=handles, title=title or None, loc="outside upper left", ncols=min(len(handles), 6))
