"""What the page says of `tune`: how the best grew under each strategy, and which configuration it was."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.evidence.evidence import Evidence
from analysis.evidence.tuned import Tuned
from analysis.page.chapters import describe_params
from analysis.page.figures import LINES, RAMP
from analysis.page.panels import WIDTH, render


def describe_tuned(found: Evidence) -> dict[str, Any]:
    """Values for the templates; nothing of `tune` where it was not run."""
    if not found.tuned:
        return {"tuned": [], "best_so_far": ""}
    rows = [(one, describe_params(one.winner), found.link(one.experiment_id, one.run_id)) for one in found.tuned]
    return {"tuned": rows, "best_so_far": render(lambda: best_so_far_figure(found.tuned), "The best so far")}


def best_so_far_figure(tuned: Sequence[Tuned]) -> Figure:
    """The best validation Dice by what was spent, in full trials: a line per strategy, and where it ends."""
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    axes = figure.subplots()
    for place, one in enumerate(tuned):
        colour, line = RAMP[place % len(RAMP)], LINES[place // len(RAMP) % len(LINES)]
        spent, best = list(one.best), list(one.best.values())
        axes.step(spent, best, where="post", color=colour, linestyle=line, label=one.strategy)
        axes.plot(spent[-1:], best[-1:], "o", color=colour, ms=4)
    axes.set(xlabel="spent, in full trials", ylabel="best validation Dice so far")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    figure.legend(loc="outside upper left", ncols=min(len(tuned), 7))
    return figure
