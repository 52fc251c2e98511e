"""The report's conclusions on the loss, on changed data and on what to choose (Sections 6 to 8)."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from analysis.claims.labels import number, signed, value_label
from analysis.claims.rules import TIE, all_of, best_cell, by_interval, by_share, from_pairs, pair_caveats
from analysis.claims.stats import Paired, cell_means, pair
from analysis.claims.verdicts import Answer, Verdict, arm, claim, judge, untested
from training.study.trial import LOSSES

VERY_BAD = 0.2  # Dice lost
SCORES = ["train_loss", "val_loss", "train_dice", "val_dice"]


def _loss_pairs(rows: pd.DataFrame, loss: str, others: Iterable[str]) -> dict[str, Paired]:
    own = rows[rows["loss"] == loss]
    found = {name: pair(own, rows[rows["loss"] == name], match=["optimizer"], compared="loss") for name in others}
    return {name: paired for name, paired in found.items() if len(paired)}


def _loss_means(rows: pd.DataFrame) -> str:
    means = cell_means(rows, ["loss"]).dropna(subset="mean").sort_values("mean", ascending=False)
    cells = zip(means["loss"], means["mean"], strict=True)
    return "means: " + ", ".join(f"{value_label('loss', loss)} {number(mean)}" for loss, mean in cells)


def _extreme_loss(table: pd.DataFrame, loss: str, *, lower: bool) -> Verdict:
    """One loss against each other one, which it has to beat (`lower`: to lose to); shown is the closest."""
    rows = arm(table, "losses")
    paired = _loss_pairs(rows, loss, [name for name in LOSSES if name != loss])
    if not paired:
        return untested("no other loss to compare with")
    sign = -1 if lower else 1
    closest = min(paired, key=lambda name: sign * paired[name].effect)
    answer = all_of([by_interval(found, lower=lower) for found in paired.values()])
    text = f"the closest other is {value_label('loss', closest)}; {_loss_means(rows)}"
    return from_pairs(paired[closest], rows, answer, lower=lower, text=text)


@claim(
    "losses.1",
    "Switching loss works best overall.",
    "Pairs of equal optimizer, switching against each other loss: the 95 % interval of the mean lies above 0 in all.",
)
def switching_best(table: pd.DataFrame) -> Verdict:
    return _extreme_loss(table, "switching", lower=False)


@claim(
    "losses.2",
    "Inverse Dice BCE comes next, then BCE.",
    "Pairs of equal optimizer, inverse Dice BCE against BCE: the 95 % interval of the mean difference lies above 0.",
)
def inverse_dice_before_bce(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "losses")
    paired = _loss_pairs(rows, "inverse_dice", ["bce"]).get("bce")
    if paired is None:
        return untested("inverse Dice BCE and BCE were not both run")
    return from_pairs(paired, rows, by_interval(paired), text=_loss_means(rows))


@claim(
    "losses.3",
    "Dice BCE works poorest.",
    "Pairs of equal optimizer, Dice BCE against each other loss: the 95 % interval of the mean lies below 0 in all.",
)
def dice_poorest(table: pd.DataFrame) -> Verdict:
    return _extreme_loss(table, "dice", lower=True)


@claim(
    "losses.4",
    "The single best run is RMSprop with BCE.",
    f"That cell has the highest val Dice of the study, by at least {TIE}.",
    single_cell=True,
)
def best_loss_and_optimizer(table: pd.DataFrame) -> Verdict:
    wanted: dict[str, object] = {"loss": "bce", "optimizer": "rmsprop"}
    verdict = best_cell(arm(table, "losses"), ["optimizer", "loss"], wanted)
    if verdict.answer == "untested":
        return verdict
    repeats = _repeated_in(table, arm(table, "losses", **wanted))
    notes = [f"the row repeats one of {study}, digit by digit, though its factors differ" for study in repeats]
    return replace(verdict, caveats=(*verdict.caveats, *notes))


def _repeated_in(table: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Other studies with a row of the very same scores but of other factors: no two runs do that."""
    same = rows.dropna(subset=SCORES).merge(table[~table["study"].isin(rows["study"])], on=SCORES)
    known = same.dropna(subset=["weight_decay_x", "weight_decay_y"])
    return list(known[known["weight_decay_x"] != known["weight_decay_y"]]["study_y"].unique())


@claim(
    "losses.5",
    "Weight decay hurt SGD and helped RMSprop.",
    "Switching loss, with decay (losses) against without (schedulers): val Dice falls for SGD and rises for RMSprop.",
    single_cell=True,
)
def decay_by_optimizer(table: pd.DataFrame) -> Verdict:
    """With decay: the losses study. Without: the schedulers study, whose runs have none."""
    factors = {"loss": "switching", "optimizer": ("sgd", "rmsprop")}
    decayed = arm(table, "losses", **factors)
    decayed = decayed[decayed["weight_decay"] > 0]
    plain = arm(table, "schedulers", **factors, weight_decay=0)
    paired = pair(decayed, plain, match=["optimizer", "scheduler"], compared="weight_decay")
    effects = paired.cells.set_index("optimizer")["difference"]
    if set(effects.index) != {"sgd", "rmsprop"}:
        return untested("SGD and RMSprop were not both run with and without decay")
    text = ", ".join(f"{value_label('optimizer', name)} {signed(value)}" for name, value in effects.items())
    answer = by_share([effects["sgd"] < 0, effects["rmsprop"] > 0])
    effect = float(effects["rmsprop"] - effects["sgd"])
    return judge(answer, text, decayed, pair_caveats(paired, settled=False), effect=effect, pairs=len(paired))


@claim(
    "augmentation.1",
    "Augmentation does not help this small model.",
    f"No way of augmenting gains {TIE} val Dice over none; contradicted when every way does.",
    single_cell=True,
)
def augmentation_no_help(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "augmentation")
    plain = rows[rows["augment"] == "none"]
    paired = pair(rows[rows["augment"] != "none"], plain, match=[], compared="augment")
    if not len(paired):
        return untested("no rows with and without augmentation")
    gains = paired.cells.set_index("augment_left")["difference"]
    text = "gain: " + ", ".join(f"{value_label('augment', name)} {signed(gain)}" for name, gain in gains.items())
    best = float(gains.max())
    answer: Answer = "supported" if best < TIE else "contradicted" if gains.min() >= TIE else "undecided"
    caveats = pair_caveats(paired, settled=False)
    if "both" in gains.index:
        caveats.append("where validation images are augmented, too, the two arms are judged on different images")
    return judge(answer, text, rows, caveats, effect=best, pairs=len(paired))


@claim(
    "mask_equalization.1",
    "Histogram equalization of the target masks is very bad.",
    f"It costs at least {VERY_BAD} val Dice; contradicted when it costs less than {TIE}.",
    single_cell=True,
)
def equalization_very_bad(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "mask_equalization")
    equalized, plain = rows[rows["equalize_masks"]], rows[~rows["equalize_masks"]]
    paired = pair(equalized, plain, match=[], compared="equalize_masks")
    answer: Answer = "supported" if paired.effect <= -VERY_BAD else "contradicted"
    if -VERY_BAD < paired.effect <= -TIE:
        answer = "undecided"
    return from_pairs(paired, rows, answer, lower=True)


@claim(
    "summary.1",
    "Adam with switching loss is more consistent than RMSprop with BCE.",
    "The sd of val Dice over the losses is smaller for Adam than for RMSprop.",
)
def adam_more_consistent(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "losses", optimizer=("adam", "rmsprop"))
    cells = cell_means(rows, ["optimizer", "loss"]).dropna(subset="mean")
    over = cells.groupby("optimizer")["mean"].agg(["mean", "std", "count"])
    if len(over) < 2 or over["count"].min() < 2:
        return untested("Adam and RMSprop were not both run with two losses")
    adam, rmsprop = over.to_dict("index")["adam"], over.to_dict("index")["rmsprop"]
    text = f"sd over losses {number(adam['std'])} (Adam) against {number(rmsprop['std'])} (RMSprop)"
    caveats = ["an sd over so few losses is itself uncertain"]
    if adam["mean"] < rmsprop["mean"]:
        caveats.append(f"at a lower mean, {number(adam['mean'])} against {number(rmsprop['mean'])}")
    gap = float(adam["std"] - rmsprop["std"])
    return judge(by_share([gap < 0]), text, rows, caveats, effect=gap, pairs=int(over["count"].min()))


CLAIMS = (
    switching_best,
    inverse_dice_before_bce,
    dice_poorest,
    best_loss_and_optimizer,
    decay_by_optimizer,
    augmentation_no_help,
    equalization_very_bad,
    adam_more_consistent,
)
