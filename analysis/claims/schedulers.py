"""The report's conclusions on learning-rate schedulers (Section 3)."""

import pandas as pd

from analysis.claims.labels import number, value_label
from analysis.claims.rules import LITTLE_DATA, all_of, by_interval, by_share, from_pairs, in_order, rising
from analysis.claims.stats import cell_means, pair
from analysis.claims.verdicts import Answer, Verdict, arm, claim, judge, untested

SAME = 0.05  # Dice; "fine with or without"
WITH_SCHEDULER = ("step", "plateau")


@claim(
    "schedulers.1",
    "A scheduler helps most optimizers, not all.",
    "The better of step and plateau beats none for more than half of the optimizers, but not for all.",
)
def helps_most(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "schedulers")
    cells = cell_means(rows, ["optimizer", "scheduler"]).dropna(subset="mean")
    best = cells[cells["scheduler"].isin(WITH_SCHEDULER)].groupby("optimizer", sort=False)["mean"].max()
    gains = (best - cells[cells["scheduler"] == "none"].set_index("optimizer")["mean"]).dropna()
    if len(gains) < 2:
        return untested("fewer than two optimizers with and without a scheduler")
    helped = int((gains > 0).sum())
    names = ", ".join(value_label("optimizer", name) for name in gains[gains > 0].index)
    text = f"the better scheduler helps {helped} of {len(gains)} optimizers" + (f" ({names})" if names else "")
    share = helped / len(gains)
    answer: Answer = "contradicted" if share <= 0.5 else "undecided" if share == 1 else "supported"
    return judge(answer, text, rows, effect=float(gains.mean()), pairs=len(gains))


@claim(
    "schedulers.2",
    "AdaMax is better without a scheduler.",
    "AdaMax without against each scheduler: the 95 % interval of the mean difference lies above 0.",
    single_cell=True,
)
def adamax_without(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "schedulers", optimizer="adamax")
    without, scheduled = rows[rows["scheduler"] == "none"], rows[rows["scheduler"].isin(WITH_SCHEDULER)]
    paired = pair(without, scheduled, match=[], compared="scheduler")
    return from_pairs(paired, rows, by_interval(paired))


@claim(
    "schedulers.3",
    "AdaGrad learns smoothly and early, but reaches a lower optimum.",
    "With a scheduler, AdaGrad converges in fewer epochs than the others' median and to a lower val Dice.",
    single_cell=True,
)
def adagrad_early_but_lower(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "schedulers", scheduler=WITH_SCHEDULER).dropna(subset=["epochs_to_converge", "val_dice"])
    means = rows.groupby("optimizer", sort=False)[["epochs_to_converge", "val_dice"]].mean()
    if "adagrad" not in means.index or len(means) < 2:
        return untested("no learning curves")
    own, others = means.to_dict("index")["adagrad"], means.drop("adagrad").median().to_dict()
    earlier = own["epochs_to_converge"] < others["epochs_to_converge"]
    lower = own["val_dice"] < others["val_dice"]
    text = (
        f"converges after {own['epochs_to_converge']:.0f} epochs, the others' median is "
        f"{others['epochs_to_converge']:.0f}; val Dice {number(own['val_dice'])} against {number(others['val_dice'])}"
    )
    answer: Answer = "supported" if earlier and lower else "undecided" if earlier or lower else "contradicted"
    caveats = ["whether the curve is smooth is not judged"]
    return judge(answer, text, rows, caveats, effect=float(own["val_dice"] - others["val_dice"]))


@claim(
    "schedulers.4",
    "Adam and SGD do fine with or without a scheduler.",
    f"For both, val Dice over step, plateau and none spreads by at most {SAME}.",
    single_cell=True,
)
def fine_either_way(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "schedulers", optimizer=("adam", "sgd"))
    cells = cell_means(rows, ["optimizer", "scheduler"]).dropna(subset="mean").groupby("optimizer", sort=False)["mean"]
    spreads = (cells.max() - cells.min())[cells.size() > 1]
    if spreads.empty:
        return untested("Adam and SGD were not run with and without a scheduler")
    text = ", ".join(f"{value_label('optimizer', name)}: spread {number(value)}" for name, value in spreads.items())
    fine = spreads <= SAME
    answer = by_share(fine)
    return judge(answer, text, rows, effect=float(spreads.max()), pairs=len(spreads))


@claim(
    "schedulers.5",
    "RMSprop needs a scheduler, and plateau works best.",
    "RMSprop's val Dice: none < step < plateau.",
    single_cell=True,
)
def rmsprop_needs_one(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "schedulers", optimizer="rmsprop")
    means = cell_means(rows, ["scheduler"]).set_index("scheduler")["mean"].reindex(["none", "step", "plateau"])
    if means.isna().any():
        return untested("RMSprop was not run with no, step and plateau scheduler")
    values = list(means)
    answer: Answer = "supported" if rising(values) else "contradicted" if values[0] == max(values) else "undecided"
    effect = values[2] - values[0]
    return judge(answer, in_order([(str(name), mean) for name, mean in means.items()]), rows, effect=effect, pairs=2)


@claim(
    "schedulers.6",
    "Overall, plateau works best.",
    "Pairs of equal optimizer, plateau against none and step: the 95 % interval of the mean lies above 0 in both.",
)
def plateau_best(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "schedulers")
    plateau = rows[rows["scheduler"] == "plateau"]
    others = {name: rows[rows["scheduler"] == name] for name in ("none", "step")}
    paired = {name: pair(plateau, right, match=["optimizer"], compared="scheduler") for name, right in others.items()}
    if not all(len(found) for found in paired.values()):
        return untested("plateau was not run beside both step and none")
    closest = min(paired, key=lambda name: paired[name].effect)
    answer = all_of([by_interval(found) for found in paired.values()])
    return from_pairs(paired[closest], rows, answer, text=f"the closest other is {closest}")


@claim(
    "schedulers_by_data.1",
    "On little data, plateau beats step decay.",
    "Pairs of equal optimizer and data at 20 and 40 %: the 95 % interval of the mean difference lies above 0.",
)
def plateau_on_little_data(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "schedulers_by_data", train_percent=LITTLE_DATA)
    match = ["optimizer", "train_percent"]
    plateau, step = rows[rows["scheduler"] == "plateau"], rows[rows["scheduler"] == "step"]
    paired = pair(plateau, step, match=match, compared="scheduler")
    return from_pairs(paired, rows, by_interval(paired))


@claim(
    "schedulers_by_data.2",
    "On little data, Adam beats SGD.",
    "Pairs of equal scheduler and data at 20 and 40 %: the 95 % interval of the mean difference lies above 0.",
)
def adam_on_little_data(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "schedulers_by_data", train_percent=LITTLE_DATA)
    match = ["train_percent", "scheduler"]
    adam, sgd = rows[rows["optimizer"] == "adam"], rows[rows["optimizer"] == "sgd"]
    paired = pair(adam, sgd, match=match, compared="optimizer")
    return from_pairs(paired, rows, by_interval(paired))


CLAIMS = (
    helps_most,
    adamax_without,
    adagrad_early_but_lower,
    fine_either_way,
    rmsprop_needs_one,
    plateau_best,
    plateau_on_little_data,
    adam_on_little_data,
)
