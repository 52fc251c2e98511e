"""Figures for a page: panels laid out, drawn and turned into inline SVG that follows the page's light or dark theme.

What is drawn is said in `figures`; this file knows layout, SVG and JPEG only.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import figures
from analysis.labels import factor_label, value_label
from analysis.tables import cell_factors
from analysis.verdicts import Claim, Verdict
from training.studies import Study

WIDTH = 7.2  # inches; text is 9 points, so it stays legible at half size
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "unet-studies",  # the same figure gives the same file
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.edgecolor": figures.MUTED,
    "axes.labelcolor": figures.MUTED,
    "text.color": figures.INK,
    "xtick.color": figures.MUTED,
    "ytick.color": figures.MUTED,
    "xtick.labelcolor": figures.INK,
    "ytick.labelcolor": figures.INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": figures.RULE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "figure.constrained_layout.wspace": 0.06,
}
THEMED = {  # colour as drawn: the page's variable, whose value follows the theme
    figures.INK: "ink",
    figures.MUTED: "muted",
    figures.RULE: "rule",
    figures.PAPER: "card",
    **{colour: name for name, colour in figures.OPTIMIZER_COLOURS.items()},
    **{colour: f"ramp{i}" for i, colour in enumerate(figures.RAMP)},
    **{colour: name for name, colour in figures.ANSWER_COLOURS.items()},
}


def render(make: Callable[[], Figure], title: str) -> str:
    """A figure as inline SVG, its text as text, its colours as the page's variables."""
    with mpl.rc_context(STYLE):
        file = io.StringIO()
        make().savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' id="[A-Za-z0-9]+_\d+"', "", svg)  # several figures share one page
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(
        r'(<svg [^>]*?)width="([\d.]+)pt" height="[\d.]+pt"', r'\1style="max-width:\2pt" role="img"', svg, count=1
    )
    svg = svg.replace("'DejaVu Sans', ", "")
    for colour, name in THEMED.items():
        svg = svg.replace(colour, f"var(--{name}, {colour})")
    return svg.replace(">", f"><title>{title}</title>", 1)


def curves_figure(study: Study, trials: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """The study's learning curves: a panel a value of one factor, colours for another, dashes for a third."""
    colour_by, facet_by, style_by = layout(study)
    data = curves[["run_id", "epoch", "val_dice"]].merge(trials[["run_id", *cell_factors(study)]], on="run_id")
    colours = figures.colours_of(colour_by, sorted_values(data[colour_by]))
    facets = sorted_values(data[facet_by]) if facet_by else [""]
    figure, panels = _panels(len(facets))
    for axes, facet in zip(panels, facets, strict=False):
        own = data[data[facet_by] == facet] if facet_by else data
        figures.draw_curves(axes, own, colour_by, colours, style_by)
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


def learning_rates_figure(trials: pd.DataFrame) -> Figure:
    """How much each optimizer minds its learning rate: a panel a loss."""
    losses = sorted_values(trials["loss"])
    figure, panels = _panels(len(losses))
    for axes, loss in zip(panels, losses, strict=False):
        figures.draw_learning_rates(axes, trials[trials["loss"] == loss])
        axes.set_title(_facet_title("loss", loss))
    names = sorted_values(trials["optimizer"])
    colours = figures.OPTIMIZER_COLOURS
    _legend(figure, "", [(value_label("optimizer", name), {"color": colours[name], "marker": "o"}) for name in names])
    return figure


def comparison_figure(study: Study, table: pd.DataFrame) -> Figure:
    """Printed beside measured, a line a row of the study's table."""
    figure = Figure(figsize=(WIDTH, 0.75 + 0.25 * len(table)), layout="constrained")
    draw = figures.draw_best_learning_rates if study.search_lr else figures.draw_comparison
    draw(figure.subplots(), table, cell_factors(study))
    return figure


def effects_figure(claims: Sequence[Claim], printed: Mapping[str, Verdict], measured: Mapping[str, Verdict]) -> Figure:
    """The effects behind all claims that are about Dice and were tested."""
    sides = (printed, measured)
    shown = [c for c in claims if c.unit == "Dice" and any(side[c.code].answer != "untested" for side in sides)]
    figure = Figure(figsize=(WIDTH, 0.75 + 0.32 * len(shown)), layout="constrained")
    figures.draw_effects(figure.subplots(), shown, printed, measured)
    return figure


def layout(study: Study) -> tuple[str, str, str]:
    """Which factor the colours, the panels and the dashes stand for; the last two may be empty."""
    factors = cell_factors(study)
    colour_by = "optimizer" if "optimizer" in factors else factors[-1]
    facet_by, style_by, *_ = [*(factor for factor in factors if factor != colour_by), "", ""]
    return colour_by, facet_by, style_by


def sorted_values(values: pd.Series) -> list[Any]:
    """Numbers by size, words in order of appearance."""
    found = list(dict.fromkeys(values))
    return sorted(found) if pd.api.types.is_numeric_dtype(values) else found


def _facet_title(factor: str, value: Any) -> str:
    if factor == "train_percent":
        return f"{value:.0f} % of the data"
    return f"{factor_label(factor)}: {value_label(factor, value)}"


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    columns = 1 if count == 1 else 2 if count in (2, 4) else 3
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, 0.5 + 2.1 * rows), layout="constrained")
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


def compress(picture: bytes) -> bytes:
    """A PNG of photographs as a JPEG, a tenth of its size; nothing stays nothing."""
    if not picture:
        return b""
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None, "a trial's own picture"
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
