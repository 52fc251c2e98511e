"""The pictures of a chapter: which figures a study gets, and its predictions on the same images, cell by cell.

How a figure is drawn is said in `figures` and `panels`.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.claims.labels import number
from analysis.evidence.evidence import Evidence
from analysis.evidence.store import Champion
from analysis.evidence.thumbnails import to_webp
from analysis.page import panels, svg
from analysis.page.figures import SCORES
from analysis.page.sets import units_of
from analysis.page.tables import MAX_FACTORS, cell_factors, cell_names
from training.study.studies import Study

HEAT_MAPS = {  # study: the factor beside the training data
    "training_data": "optimizer",
    "schedulers_by_data": "scheduler",
    "weight_decay": "weight_decay",
    "dropout": "dropout",
}


@dataclass(frozen=True)
class Picture:
    svg: str
    caption: str
    folded: bool = False  # shown on request


@dataclass(frozen=True)
class Thumbnail:
    """A cell's predictions on the same images as every other one's, side by side."""

    label: str
    dice: str  # of its best run; empty for the images and their truth
    image: str  # base64 of a WebP
    run_id: str = ""  # of the run that was trained; empty for the images and their truth
    best: bool = False
    link: str = ""  # to the run in the MLflow UI
    part: str = "val"  # whose images they are: of PARTS


def study_pictures(study: Study, table: pd.DataFrame, trials: pd.DataFrame, curves: pd.DataFrame) -> list[Picture]:
    """The figures of one study; without runs, the published numbers alone."""
    made: list[Picture] = []

    def add(what: str, caption: str, figure: Callable[[], Figure], *, folded: bool = False) -> None:
        made.append(Picture(svg.render(figure, f"{study.name}: {what}"), caption, folded))

    is_published = table["published_lr" if study.search_lr else "published_val_dice"].notna().any()
    if is_published or len(trials):
        first = ", the settled one first" if len(cell_factors(study)) > MAX_FACTORS else ""
        caption = "Published beside measured." if study.figure else f"Every cell{first}."
        add("published and measured", caption, lambda: panels.comparison_figure(study, table))
    scored = trials.dropna(subset="val_dice")
    if scored.empty:
        return made
    if study.search_lr:
        caption = f"How much each optimizer minds its learning rate; means over {units_of(trials)}."
        add("Dice by learning rate", caption, lambda: panels.learning_rates_figure(trials))
        caption = "The path of each search: rates in the order they were tried, the best ringed, failed ones crossed."
        add("searches", caption, lambda: panels.searches_figure(trials))
    if study.name in HEAT_MAPS and len(scored["train_percent"].unique()) > 1:
        caption = "Mean validation Dice of every pair of values; \N{DAGGER}: a trial among them collapsed or diverged."
        add("heat map", caption, lambda: panels.heat_map_figure(trials, HEAT_MAPS[study.name]))
    shown = trials
    if study.search_lr:
        best = table.dropna(subset="lr")[[*cell_factors(study), "lr"]]
        shown = trials.merge(best, on=list(best.columns))
    if curves["run_id"].isin(shown["run_id"]).any():
        where = ", at each search's best learning rate" if study.search_lr else ""
        for score, name in SCORES.items():
            if score in curves:
                what = f"{name[0].upper() + name[1:]} by epoch{where}"
                caption = f"{what}. A line is the mean over a cell's {units_of(trials)}, a band their range."
                add(what, caption, _curves(study, shown, curves, score), folded=score != "val_dice")
    if 1 < len(cell_factors(study)) <= MAX_FACTORS:
        caption = "What each value allows at best, over all values of the other factors; every run behind it."
        add("isolation", caption, lambda: panels.isolation_figure(study, scored), folded=True)
    return made


def _curves(study: Study, trials: pd.DataFrame, curves: pd.DataFrame, score: str) -> Callable[[], Figure]:
    return lambda: panels.curves_figure(study, trials, curves, score)


def study_thumbnails(
    study: Study, table: pd.DataFrame, trials: pd.DataFrame, found: Evidence, part: str = "val"
) -> list[Thumbnail]:
    """The images, their truth, and what the best run of every cell predicts; nothing where no picture is kept.

    Of several folds the one with most runs is shown: others validate on other images.
    """
    thumbnails: list[Thumbnail] = []
    trials = trials[trials["fold"].isin(trials["fold"].mode().head(1)) | trials["fold"].isna()]
    names = cell_names(study, table)
    factors = [*cell_factors(study), "lr"] if study.search_lr else cell_factors(study)
    runs = [_best_run(trials, row, factors) for row in table.to_dict("records")]
    highest = max((run["val_dice"] for run in runs if run is not None), default=float("nan"))
    for name, run in zip(names, runs, strict=True):
        kept = found.load_thumbnails(run["trained_run_id"], part) if run is not None else None
        if run is None or kept is None:
            continue
        if not thumbnails:
            thumbnails = [Thumbnail("images", "", _base64(kept.images)), Thumbnail("truth", "", _base64(kept.truth))]
        thumbnails.append(
            Thumbnail(
                label=name,
                dice=number(run["val_dice"]),
                image=_base64(kept.predictions),
                run_id=run["trained_run_id"],
                best=run["val_dice"] == highest > 0,
                link=found.link(run["experiment_id"], run["run_id"]),
                part=part,
            )
        )
    return thumbnails


def champion_pictures(champion: Champion | None) -> dict[str, str]:
    """`test_images`: an SVG of those with foreground; `worst_images`: base64 of a WebP; empty where none were kept."""
    dice = champion.test_images.set_index("image")["dice"].dropna() if champion else pd.Series(dtype="float64")
    if champion is None or dice.empty:
        return {"test_images": "", "worst_images": ""}
    low, high = (float(champion.tags.get(name, "nan")) for name in ("test_dice_low", "test_dice_high"))
    worst = to_webp(champion.worst_images) if champion.worst_images else b""
    return {
        "test_images": svg.render(lambda: panels.test_images_figure(dice, (low, high)), "Dice of each test image"),
        "worst_images": _base64(worst),
    }


def _best_run(trials: pd.DataFrame, row: Mapping[Any, Any], factors: list[str]) -> pd.Series | None:
    runs = trials[np.logical_and.reduce([trials[factor] == row[factor] for factor in factors])]
    runs = runs.dropna(subset="val_dice")
    return None if runs.empty else runs.iloc[int(runs["val_dice"].to_numpy().argmax())]


def _base64(picture: bytes) -> str:
    return base64.b64encode(picture).decode()
