"""What the page says of `tune`: how the best grew under each strategy, what was tried, and which factors mattered."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.claims.labels import factor_label, value_label
from analysis.evidence.evidence import Evidence
from analysis.evidence.tuned import Tuned
from analysis.page.chapters import describe_params
from analysis.page.figures import INK, LINES, MUTED, PAPER, RAMP, RULE
from analysis.page.panels import WIDTH
from analysis.page.svg import render
from training.study.importance import BEST, Importance, importances
from training.study.space import FACTORS, SPACE, Choice, Factor, point_of
from training.study.winning import Results, mean_score

BEST_TRIALS, OTHERS = RAMP[1], MUTED  # colours
JITTER = 0.2  # of the distance between two values of a factor: trials that agree there are drawn side by side


def describe_tuned(found: Evidence) -> dict[str, Any]:
    """Values for the templates; nothing of `tune` where it was not run."""
    if not found.tuned:
        return {"tuned": [], "best_so_far": "", "tried": "", "importance": "", "num_tried": 0}
    rows = [(one, describe_params(one.winner), found.link(one.experiment_id, one.run_id)) for one in found.tuned]
    tried = {trial: score for one in found.tuned for trial, score in one.tried.items()}
    matters = importances(tried)
    return {
        "tuned": rows,
        "best_so_far": render(lambda: best_so_far_figure(found.tuned), "The best so far"),
        "tried": render(lambda: tried_figure(tried), "What was tried") if len(tried) > 1 else "",
        "importance": render(lambda: importance_figure(matters), "Which factors matter") if matters else "",
        "num_tried": len(tried),
    }


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


def importance_figure(found: Mapping[str, Importance]) -> Figure:
    """The share of each factor in all importance, with its interval; the most important on top."""
    figure = Figure(figsize=(WIDTH, 0.6 + 0.25 * len(found)), layout="constrained")
    axes = figure.subplots()
    for y, one in enumerate(found.values()):
        axes.plot([one.low, one.high], [y, y], color=MUTED, lw=1.6, solid_capstyle="round")
        axes.plot(one.share, y, "o", color=INK, ms=5)
    axes.set_yticks(range(len(found)), [factor_label(name) for name in found])
    axes.set(xlabel="share in all importance, with its 95 % interval", xlim=(0, 1), ylim=(len(found) - 0.5, -0.5))
    return figure


def tried_figure(tried: Results) -> Figure:
    """Parallel coordinates: a line per trial through its values, those of the best quarter in colour."""
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    _draw_tried(figure.subplots(), tried)
    entries = (("the best quarter of the trials", BEST_TRIALS), ("the others", OTHERS))
    handles = [Line2D([], [], color=colour, label=label) for label, colour in entries]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return figure


def _draw_tried(axes: Axes, tried: Results) -> Axes:
    """Each factor is an axis from 0 to 1, Dice the last. A line passes by a factor that does not apply."""
    ranked = sorted(tried, key=lambda trial: mean_score([tried[trial]]))
    dice = np.array([mean_score([tried[trial]]) for trial in ranked])
    low, high = float(dice.min()), float(dice.max())
    places = np.random.default_rng(0).uniform(-JITTER, JITTER, (len(ranked), len(SPACE)))
    for rank, trial in enumerate(ranked):
        known, is_best = point_of(trial), rank >= (1 - BEST) * len(ranked)
        passed = [x for x, factor in enumerate(SPACE) if factor.name in known]
        line = [_place(SPACE[x], known[SPACE[x].name], places[rank, x]) for x in passed]
        line.append((dice[rank] - low) / (high - low) if high > low else 0.5)
        look: dict[str, Any] = (
            {"color": BEST_TRIALS, "lw": 1.3} if is_best else {"color": OTHERS, "lw": 0.7, "alpha": 0.3}
        )
        axes.plot([*passed, len(SPACE)], line, **look)
    ticks = [(x, *tick) for x, factor in enumerate(SPACE) for tick in _ticks(factor)]
    ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
    for x, label, y in [*ticks, *((len(SPACE), f"{value:.3f}", y) for y, value in ((0.0, low), (1.0, high)))]:
        axes.text(x, y, label, ha="center", va="center", fontsize=7.5, color=INK, bbox=ground, zorder=5)
    axes.set_xticks(range(len(SPACE) + 1), [*(factor_label(name).replace(" ", "\n") for name in FACTORS), "val Dice"])
    axes.set(yticks=[], xlim=(-0.4, len(SPACE) + 0.3), ylim=(-0.05, 1.05))
    axes.grid(visible=True, axis="x", color=RULE, lw=0.8)
    axes.spines[:].set_visible(False)
    return axes


def _ticks(factor: Factor) -> list[tuple[str, float]]:
    """The values that are named on a factor's axis, and where they lie on it."""
    values = (
        factor.values if isinstance(factor, Choice) else (factor.low, (factor.low * factor.high) ** 0.5, factor.high)
    )
    return [(value_label(factor.name, value), _place(factor, value, 0.0)) for value in values]


def _place(factor: Factor, value: Any, jitter: float) -> float:
    """Where a value lies on its factor's axis, from 0 to 1."""
    if isinstance(factor, Choice):
        return float((factor.values.index(value) + 0.5 + jitter) / len(factor.values))
    return float(np.log(value / factor.low) / np.log(factor.high / factor.low))
