"""Figures draw what the tables say, on the Axes they are given."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from analysis.claims.claims import CLAIMS, check_claims
from analysis.claims.labels import value_label
from analysis.evidence.schema import load_published, tidy
from analysis.page import figures, panels, svg
from analysis.page.tables import cell_names, compare
from benchmarks.error_rates import design, equal
from training.study.studies import STUDIES
from training.study.trial import OPTIMIZERS


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
    assert figures.draw_curves(axes, data, "val_dice", "optimizer", figures.OPTIMIZER_COLOURS) is axes
    lines = {to_hex(line.get_color()): np.asarray(line.get_ydata()) for line in axes.lines}
    assert lines[figures.OPTIMIZER_COLOURS["adam"]][-1] == pytest.approx(0.7)
    assert lines[figures.OPTIMIZER_COLOURS["sgd"]][-1] == pytest.approx(0.3)
    assert len(axes.collections) == 1  # the band of the two seeds


@pytest.mark.parametrize(("lr", "label"), [(1e-4, "1e-4"), (3.2e-5, "3.2e-5"), (0.02, "2e-2"), (0.18, "1.8e-1")])
def test_a_learning_rate_is_written_by_its_exponent_with_the_digits_it_has(lr: float, label: str) -> None:
    assert value_label("lr", lr) == label


def test_the_comparison_has_a_line_a_row_and_names_its_axis(axes: Axes) -> None:
    study = STUDIES["losses"]
    table = compare(study, load_published(), tidy([]))
    assert figures.draw_comparison(axes, table, cell_names(study, table), True) is axes
    assert [text.get_text() for text in axes.get_yticklabels()][:2] == [
        "switching loss, Adam",
        "switching loss, RMSprop",
    ]
    assert "Dice" in axes.get_xlabel()


def test_the_learning_rate_figure_is_on_a_logarithmic_axis(axes: Axes) -> None:
    trials = pd.DataFrame({"optimizer": ["adam"] * 2, "lr": [1e-3, 1e-2], "val_dice": [0.5, 0.6]})
    figures.draw_learning_rates(axes, trials)
    assert axes.get_xscale() == "log"


@pytest.mark.slow
def test_the_forest_shows_every_claim_that_was_tested_and_writes_down_what_is_no_dice() -> None:
    published, nothing = check_claims(load_published()), check_claims(tidy([]))
    (axes,) = panels.effects_figure(CLAIMS, published, nothing).axes
    shown = [text.get_text() for text in axes.get_yticklabels()]
    tested = [code for code, one in published.items() if one.verdict != "untested"]
    assert shown == [code for code in tested if code in {claim.code for claim in CLAIMS}]
    assert len(shown) == 37 - 14
    assert [text.get_text() for text in axes.texts] == ["val Dice: published 0.83"]
    assert (
        panels.effects_figure(CLAIMS, published, check_claims(equal(design(3), np.random.default_rng(0)))).axes[0].texts
    )
    assert len(set(figures.VERDICT_MARKS.values())) == len(figures.VERDICT_MARKS), "told apart without colour"


def searched() -> pd.DataFrame:
    rows = [(1e-4, 0.3), (1e-3, 0.6), (1e-2, 0.5), (1e-1, float("nan")), (5e-4, 0.7)]
    flags = {"collapsed": False, "loss": "bce", "optimizer": "adam"}
    return pd.DataFrame([flags | {"lr": lr, "val_dice": dice, "diverged": dice != dice} for lr, dice in rows])


def test_a_search_numbers_its_rates_in_order_rings_the_best_and_crosses_what_failed(axes: Axes) -> None:
    figures.draw_search(axes, searched())
    numbered = {text.get_text(): text.xy for text in axes.texts if isinstance(text, Annotation)}
    assert numbered["5"] == (5e-4, 0.7)
    assert numbered["4"] == (1e-1, 0.0), "what diverged lies at the bottom"
    (ring,) = (line for line in axes.lines if line.get_markerfacecolor() == "none")
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (5e-4, 0.7)
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "x"] == [1e-1]


def test_an_isolation_plot_has_every_run_and_the_best_of_each_value(axes: Axes) -> None:
    trials = pd.DataFrame({"dropout": [0.5, 0.0, 0.0], "val_dice": [0.4, 0.6, 0.8]})
    figures.draw_isolation(axes, trials, "dropout")
    runs, best = axes.lines
    assert list(best.get_ydata()) == [0.8, 0.4]
    assert len(runs.get_ydata()) == 3
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "0.5"]


def test_a_heat_map_writes_the_mean_of_each_pair_of_values(axes: Axes) -> None:
    rows = [(20, 0.0, 0.4), (20, 0.0, 0.6), (80, 0.0, 0.7), (80, 0.2, 0.1)]
    trials = pd.DataFrame(rows, columns=["train_percent", "dropout", "val_dice"])
    trials = trials.assign(collapsed=trials["val_dice"] < 0.2, diverged=False)
    figures.draw_heat_map(axes, trials, "dropout", "train_percent")
    assert [text.get_text() for text in axes.texts] == ["0.500", "0.700", "\N{EN DASH}", "0.100\N{DAGGER}"]


def test_the_cost_figure_joins_the_trials_that_no_faster_one_matches(axes: Axes) -> None:
    rows = [("adam", 10, 0.5), ("sgd", 20, 0.4), ("adam", 30, 0.9), ("sgd", 40, 0.8)]
    figures.draw_cost(axes, pd.DataFrame(rows, columns=["optimizer", "seconds", "val_dice"]))
    front = axes.lines[-1]
    assert list(front.get_xdata()) == [10, 30]


def test_the_test_images_are_sorted_with_mean_interval_and_the_worst_named(axes: Axes) -> None:
    dice = pd.Series([0.9, 0.1, 0.8, 0.7, 0.85], index=list("abcde"))
    figures.draw_test_images(axes, dice, (0.4, 0.85))
    mean, points = axes.lines
    assert mean.get_xdata()[0] == pytest.approx(0.67)
    assert list(points.get_xdata()) == [0.1, 0.7, 0.8, 0.85, 0.9]
    assert [text.get_text() for text in axes.texts] == ["b", "d", "c", "e"]
    assert len(axes.patches) == 1


def test_where_a_study_changes_one_thing_at_a_time_a_panel_shows_a_change_before_the_settled_cell() -> None:
    settled = {"optimizer": "adam", "scheduler": "plateau", "augment": "none", "epochs": 2, "width": 16}
    cells = [settled | {"width": 64}, settled | {"scheduler": "cosine"}, settled, settled | {"epochs": 4}]
    trials = tidy([{"study": "extensions", "run_id": str(k), "val_dice": 0.5, **cell} for k, cell in enumerate(cells)])
    curves = pd.DataFrame(
        [(str(k), e, 0.1 * e) for k in range(4) for e in (1, 2)], columns=["run_id", "epoch", "val_dice"]
    )
    figure = panels.curves_figure(STUDIES["extensions"], trials, curves, "val_dice")
    assert [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes] == [
        "scheduler cosine",
        "epochs 4",
        "width (channels) 64",
    ]
    assert all(len(axes.lines) == 2 for axes in figure.axes)
    assert (
        cell_names(STUDIES["extensions"], compare(STUDIES["extensions"], load_published(), trials))[0] == "as settled"
    )


def test_svg_carries_text_as_text_and_colours_as_variables_of_the_page() -> None:
    study = STUDIES["losses"]
    table = compare(study, load_published(), tidy([]))
    drawn = svg.render(lambda: panels.comparison_figure(study, table), "losses")
    assert drawn.startswith("<svg")
    assert "switching loss, Adam" in drawn
    assert f"var(--adam, {figures.OPTIMIZER_COLOURS['adam']})" in drawn
    assert "http" not in drawn.replace("http://www.w3.org", "")
    assert drawn == svg.render(lambda: panels.comparison_figure(study, table), "losses")


def test_a_path_by_steps_goes_through_the_same_points_in_fewer_bytes() -> None:
    corners = (np.random.default_rng(0).integers(-40000, 40000, (2, 30, 2)) / 100).tolist()
    path = " ".join(f"M {' L '.join(f'{x:g} {y:g}' for x, y in one)} z" for one in corners)
    written = svg._by_steps(path)
    assert len(written) < len(path)
    words = iter(re.findall(r"[Mlz]|-?\d*\.?\d+", written))
    passed, here, command = [], np.zeros(2), ""
    for word in words:
        if word in "Mlz":
            command = word
            continue
        step = np.array([float(word), float(next(words))])
        here = step if command == "M" else here + step
        passed.append(here)
    np.testing.assert_allclose(passed, np.concatenate(corners), atol=1e-9)
    assert svg._by_steps("M 44.1 -86.7 L 44.1 -74.1 L 45 -105.25 z") == "M44.1-86.7l0 12.6 .9-31.15z"


def test_labels_keep_their_digits_when_a_figure_is_slimmed() -> None:
    """Coordinates are cut to tenths of a point; a tick of 0.835 was once shown as 0.83."""

    def draw() -> Figure:
        figure = Figure()
        axes = figure.subplots()
        axes.plot([1, 2, 3], [0.8301, 0.8352, 0.8399])
        axes.set_yticks([0.8325, 0.835, 123.4567], ["0.8325", "0.835", "123.4567"])
        return figure

    drawn = svg.render(draw, "ticks")
    assert re.findall(r">(0\.8325|0\.835|123\.4567)</text>", drawn) == ["0.8325", "0.835", "123.4567"]
    assert not re.search(r'"[^"<>]*\d\d\.\d{3,}[^"<>]*"', drawn)


def test_equal_marks_in_a_row_say_their_class_once_and_stay_where_they_are() -> None:
    def draw() -> Figure:
        figure = Figure()
        figure.subplots().plot([1, 2, 3, 4], [5, 6, 7, 8], "o", clip_on=False)
        return figure

    drawn = svg.render(draw, "marks")
    [row] = re.findall(r'<g class="s[0-9a-f]{8}">((?:<use [^>]*/>){4,})</g>', drawn)
    places = re.findall(r'<use href="[^"]*" x="([\d.]+)" y="([\d.]+)"/>', row)
    across, up = np.array(places, float).T
    np.testing.assert_allclose(np.diff(across), np.diff(across)[0], atol=0.11)
    np.testing.assert_allclose(np.diff(up), np.diff(up)[0], atol=0.11)
