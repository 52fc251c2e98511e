"""The report's conclusions on the loss, on changed data and on what to choose (Sections 6 to 8)."""

from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.claims.contrasts import (
    ABOVE,
    BELOW,
    INF,
    SMALLEST,
    VARIANCE,
    Contrast,
    against_each,
    by_unit,
    complete,
    contrast,
    difference,
)
from analysis.claims.labels import digits_of, number, value_label
from analysis.claims.regularization import best_cell
from analysis.claims.rows import cell_means, confounders, select_rows
from analysis.claims.selection import CLOSE
from analysis.claims.sets import by_fold
from analysis.claims.stats import spread_values
from analysis.claims.verdicts import Basis, claim
from training.study.search import DECADES
from training.study.trial import LOSSES

VERY_BAD = 0.2  # Dice lost
DECAY_EFFECTS = {"sgd": BELOW, "rmsprop": ABOVE}  # Section 6
NOT_BOTH = "the two were not both run"
MIN_FOLDS = 3  # each is one unit: with more seeds on two folds nothing is known of a third
SCORES = ["train_loss", "val_loss", "train_dice", "val_dice"]


def _loss_means(rows: pd.DataFrame) -> str:
    means = cell_means(rows, ["loss"]).dropna(subset="mean").sort_values("mean", ascending=False)
    cells = zip(means["loss"], means["mean"], strict=True)
    return "means: " + ", ".join(f"{value_label('loss', loss)} {number(mean)}" for loss, mean in cells)


def _against_others(table: pd.DataFrame, loss: str, claimed: tuple[float, float]) -> Basis:
    rows = select_rows(table, "losses")
    others = [other for other in LOSSES if other != loss]
    found = against_each(rows, "loss", loss, others, ["optimizer"], claimed=claimed)
    return Basis(contrasts=found, rows=rows, text=_loss_means(rows), missing="no other loss to compare with")


@claim(
    "losses.1",
    "Switching loss works best overall.",
    "Switching less each other loss, in the mean over the optimizers, lies above 0.",
)
def switching_best(table: pd.DataFrame) -> Basis:
    return _against_others(table, "switching", ABOVE)


@claim(
    "losses.2",
    "Inverse Dice BCE comes next, then BCE.",
    "Inverse Dice BCE less BCE, in the mean over the optimizers, lies above 0.",
)
def inverse_dice_before_bce(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "losses")
    found = against_each(rows, "loss", "inverse_dice", ["bce"], ["optimizer"])
    missing = "inverse Dice BCE and BCE were not both run"
    return Basis(contrasts=found, rows=rows, text=_loss_means(rows), missing=missing)


@claim(
    "losses.3",
    "Dice BCE works poorest.",
    "Dice BCE less each other loss, in the mean over the optimizers, lies below 0.",
)
def dice_poorest(table: pd.DataFrame) -> Basis:
    return _against_others(table, "dice", BELOW)


@claim(
    "losses.4",
    "The single best run is RMSprop with BCE.",
    "That cell less each other one of the study lies above 0.",
)
def best_loss_and_optimizer(table: pd.DataFrame) -> Basis:
    wanted = {"loss": "bce", "optimizer": "rmsprop"}
    found = best_cell(select_rows(table, "losses"), wanted)
    repeats = _repeated_in(table, select_rows(table, "losses", **wanted))
    notes = [f"the row repeats one of {study}, digit by digit, though its factors differ" for study in repeats]
    return replace(found, caveats=notes)


def _repeated_in(table: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Other studies with a row of the very same scores but of other factors: no two runs do that."""
    same = rows.dropna(subset=SCORES).merge(table[~table["study"].isin(rows["study"])], on=SCORES)
    known = same.dropna(subset=["weight_decay_x", "weight_decay_y"])
    return list(known[known["weight_decay_x"] != known["weight_decay_y"]]["study_y"].unique())


@claim(
    "losses.5",
    "Weight decay hurt SGD and helped RMSprop.",
    "Switching loss, with decay (losses) less without (schedulers): below 0 for SGD, above 0 for RMSprop.",
)
def decay_by_optimizer(table: pd.DataFrame) -> Basis:
    """With decay: the losses study. Without: the schedulers study, whose runs have none."""
    found, rows, caveats = [], [], []
    for optimizer, claimed in DECAY_EFFECTS.items():
        factors = {"loss": "switching", "optimizer": optimizer}
        decayed = select_rows(table, "losses", **factors)
        decayed = decayed[decayed["weight_decay"] > 0]
        plain = select_rows(table, "schedulers", **factors, weight_decay=0)
        found += difference(value_label("optimizer", optimizer), decayed, plain, ["scheduler"], claimed=claimed)
        caveats += confounders(decayed, plain, ["scheduler"], "weight_decay")
        rows += [decayed, plain]
    if len(found) < 2:
        return Basis(missing="SGD and RMSprop were not both run with and without decay")
    return Basis(contrasts=found, rows=pd.concat(rows), caveats=caveats)


@claim(
    "losses.6",
    "Switching loss with Adam follows closely behind RMSprop with BCE.",
    f"Adam with switching loss less RMSprop with BCE lies above -{CLOSE}.",
)
def adam_follows_closely(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "losses")
    return Basis(contrasts=_favourites(rows, claimed=(-CLOSE, INF), smallest=0.0), rows=rows, missing=NOT_BOTH)


def _favourites(rows: pd.DataFrame, **known: Any) -> list[Contrast]:
    adam = rows[(rows["optimizer"] == "adam") & (rows["loss"] == "switching")]
    rmsprop = rows[(rows["optimizer"] == "rmsprop") & (rows["loss"] == "bce")]
    return difference("Adam with switching less RMSprop with BCE", adam, rmsprop, **known)


@claim(
    "augmentation.1",
    "Augmentation does not help this small model.",
    f"Each way of augmenting less none lies below {SMALLEST}.",
)
def augmentation_no_help(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "augmentation")
    ways = [way for way in dict.fromkeys(rows["augment"]) if way != "none"]
    found = [
        one
        for way in ways
        for one in against_each(rows, "augment", way, ["none"], claimed=(-INF, SMALLEST), smallest=0.0)
    ]
    caveats = ["where validation images are augmented, too, they are other images"] if "both" in ways else []
    return Basis(contrasts=found, rows=rows, caveats=caveats, missing="no rows with and without augmentation")


@claim(
    "mask_equalization.1",
    "Histogram equalization of the target masks is very bad.",
    f"The masks as they are less equalized ones lies above {VERY_BAD}.",
)
def equalization_very_bad(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "mask_equalization")
    sides = rows[~rows["equalize_masks"]], rows[rows["equalize_masks"]]
    found = difference("as they are less equalized", *sides, claimed=(VERY_BAD, INF), smallest=0.0)
    return Basis(contrasts=found, rows=rows, missing="no rows with and without equalized masks")


@claim(
    "decay_by_loss.1",
    "With every loss, weight decay hurt SGD and helped RMSprop.",
    "With decay less without, for each loss: below 0 for SGD, above 0 for RMSprop.",
)
def decay_with_every_loss(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "decay_by_loss")
    decayed, plain = rows[rows["weight_decay"] > 0], rows[rows["weight_decay"] == 0]
    found = [
        one
        for optimizer, claimed in DECAY_EFFECTS.items()
        for loss in LOSSES
        for one in difference(
            f"{value_label('optimizer', optimizer)}, {value_label('loss', loss)}",
            select_rows(decayed, "decay_by_loss", optimizer=optimizer, loss=loss),
            select_rows(plain, "decay_by_loss", optimizer=optimizer, loss=loss),
            claimed=claimed,
        )
    ]
    if len(found) < len(DECAY_EFFECTS) * len(LOSSES):
        return Basis(missing="SGD and RMSprop were not run with every loss, with and without decay")
    return Basis(contrasts=found, rows=rows)


@claim(
    "summary.1",
    "Adam with switching loss is more consistent than RMSprop with BCE.",
    "The variance between the losses' true means, of Adam less of RMSprop, lies below 0 (jackknife over the seeds).",
    unit="Dice squared",
)
def adam_more_consistent(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "losses", optimizer=("adam", "rmsprop"))
    cells = cell_means(rows, ["optimizer", "loss"]).dropna(subset="mean")
    over = cells.groupby("optimizer")["mean"].agg(["mean", "std", "count"])
    if len(over) < 2 or over["count"].min() < 2:
        return Basis(missing="Adam and RMSprop were not both run with two losses")
    values, gaps = complete(by_unit(rows, ["optimizer", "loss"]))
    if not {"adam", "rmsprop"} <= set(values.columns.get_level_values("optimizer")):
        return Basis(missing="no seed has Adam and RMSprop with two losses")
    spread = spread_values(values[["adam"]]) - spread_values(values[["rmsprop"]])
    adam, rmsprop = over.to_dict("index")["adam"], over.to_dict("index")["rmsprop"]
    digits = digits_of(over["std"])
    text = f"sd over losses {number(adam['std'], digits)} (Adam) against {number(rmsprop['std'], digits)} (RMSprop)"
    means = f"at a lower mean, {number(adam['mean'])} against {number(rmsprop['mean'])}"
    found = contrast("variance, Adam less RMSprop", spread, claimed=BELOW, **gaps, **VARIANCE)
    return Basis(contrasts=found, rows=rows, text=text, caveats=[means] if adam["mean"] < rmsprop["mean"] else [])


@claim(
    "summary.2",
    "The loss matters more than the learning rate.",
    "In the searches for learning rates: the variance between the losses' true mean val Dice less that between the "
    "decades' lies above 0 (main effects of a full grid; jackknife over the seeds).",
    unit="Dice squared",
)
def loss_matters_more(table: pd.DataFrame) -> Basis:
    """The variance of a factor's means is its main effect in the functional ANOVA (Hutter et al. 2014) of a grid."""
    rows = select_rows(table, "learning_rate", lr=DECADES)
    values, gaps = complete(by_unit(rows, ["optimizer", "loss", "lr"]))
    if min((values.columns.get_level_values(name).nunique() for name in ("loss", "lr")), default=0) < 2:
        return Basis(missing="no two losses were tried at the same rates")
    by_loss, by_rate = (values.T.groupby(level=name).mean().T for name in ("loss", "lr"))
    spread = spread_values(by_loss) - spread_values(by_rate)
    return Basis(contrasts=contrast("variance over losses less over rates", spread, **gaps, **VARIANCE), rows=rows)


@claim(
    "summary.3",
    "On other validation sets Adam with switching loss does better than RMSprop with BCE.",
    "Adam with switching loss less RMSprop with BCE, in the mean over the seeds, lies above 0; the unit is a fold, of "
    f"which there are at least {MIN_FOLDS}.",
)
def better_elsewhere(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "losses")
    if rows["fold"].nunique() < MIN_FOLDS:
        return Basis(missing=f"the losses study was run on fewer than {MIN_FOLDS} folds (-P fold=1, and so on)")
    found = [replace(one, per_unit=by_fold(one.per_unit), of_what="fold") for one in _favourites(rows)]
    return Basis(contrasts=found, rows=rows, missing=NOT_BOTH)


CLAIMS = (
    switching_best,
    inverse_dice_before_bce,
    dice_poorest,
    best_loss_and_optimizer,
    decay_by_optimizer,
    adam_follows_closely,
    augmentation_no_help,
    equalization_very_bad,
    decay_with_every_loss,
    adam_more_consistent,
    loss_matters_more,
    better_elsewhere,
)
