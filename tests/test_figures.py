"""Figures draw what the tables say, on the Axes they are given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from analysis import figures, panels
from analysis.claims import CLAIMS, check_claims
from analysis.runs import load_published, tidy
from analysis.tables import cell_factors, compare
from training.studies import STUDIES
from training.trial import OPTIMIZERS


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


def curves(*cells: tuple[str, str, float]) -> pd.DataFrame:
    """Three epochs of runs: (run_id, optimizer, Dice of the last)."""
    rows = [(run, name, epoch, top * epoch / 3) for run, name, top in cells for epoch in (1, 2, 3)]
    return pd.DataFrame(rows, columns=["run_id", "optimizer", "epoch", "val_dice"])


def test_every_optimizer_has_one_colour_of_its_own() -> None:
    assert set(figures.OPTIMIZER_COLOURS) == set(OPTIMIZERS)
    assert len(set(figures.OPTIMIZER_COLOURS.values())) == len(OPTIMIZERS)


def test_a_learning_curve_is_the_mean_over_seeds_in_its_optimizers_colour(axes: Axes) -> None:
    data = curves(("a", "adam", 0.6), ("b", "adam", 0.8), ("c", "sgd", 0.3))
    assert figures.draw_curves(axes, data, "optimizer", figures.OPTIMIZER_COLOURS) is axes
    lines = {to_hex(line.get_color()): np.asarray(line.get_ydata()) for line in axes.lines}
    assert lines[figures.OPTIMIZER_COLOURS["adam"]][-1] == pytest.approx(0.7)
    assert lines[figures.OPTIMIZER_COLOURS["sgd"]][-1] == pytest.approx(0.3)
    assert len(axes.collections) == 1  # the band of the two seeds


def test_the_comparison_has_a_line_a_row_and_names_its_axis(axes: Axes) -> None:
    study = STUDIES["losses"]
    table = compare(study, load_published(), tidy([]))
    assert figures.draw_comparison(axes, table, cell_factors(study)) is axes
    assert [text.get_text() for text in axes.get_yticklabels()][:2] == [
        "switching loss, Adam",
        "switching loss, RMSprop",
    ]
    assert "Dice" in axes.get_xlabel()


def test_the_learning_rate_figure_is_on_a_logarithmic_axis(axes: Axes) -> None:
    trials = pd.DataFrame({"optimizer": ["adam"] * 2, "lr": [1e-3, 1e-2], "val_dice": [0.5, 0.6]})
    figures.draw_learning_rates(axes, trials)
    assert axes.get_xscale() == "log"


def test_the_effects_show_claims_with_an_interval_only() -> None:
    printed, nothing = check_claims(load_published()), check_claims(tidy([]))
    (axes,) = panels.effects_figure(CLAIMS, printed, nothing).axes
    shown = [text.get_text() for text in axes.get_yticklabels()]
    assert "schedulers.6" in shown
    assert "weight_decay.1" not in shown


def test_svg_carries_text_as_text_and_colours_as_variables_of_the_page() -> None:
    study = STUDIES["losses"]
    table = compare(study, load_published(), tidy([]))
    svg = panels.render(lambda: panels.comparison_figure(study, table), "losses")
    assert svg.startswith("<svg")
    assert "switching loss, Adam" in svg
    assert f"var(--adam, {figures.OPTIMIZER_COLOURS['adam']})" in svg
    assert "http" not in svg.replace("http://www.w3.org", "")
    assert svg == panels.render(lambda: panels.comparison_figure(study, table), "losses")
