"""The report's conclusions on learning rates, optimizers and how much data they need (Section 2)."""

import pandas as pd

from analysis.claims.labels import number, value_label
from analysis.claims.rules import (
    CONVERGED,
    LITTLE_DATA,
    by_majority,
    by_share,
    from_pairs,
    in_order,
    pair_caveats,
    rising,
)
from analysis.claims.stats import cell_means, pair
from analysis.claims.verdicts import Answer, Verdict, arm, claim, judge, untested

OWN_RANGE = 10.0  # best learning rates a decade apart share no range: the report searched by decades


def best_learning_rates(table: pd.DataFrame) -> pd.DataFrame:
    """Per loss and optimizer the learning rate with the highest mean Dice; the only one where none has a score."""
    tried = cell_means(table[table["study"] == "learning_rate"], ["loss", "optimizer", "lr"])
    ranked = tried.sort_values("mean", na_position="first", kind="stable")
    return ranked.drop_duplicates(["loss", "optimizer"], keep="last").sort_index()


@claim(
    "learning_rate.1",
    "Each optimizer has its own range of good learning rates.",
    f"For each loss, the optimizers' best learning rates span at least {OWN_RANGE:.0f}x.",
    unit="ratio",
)
def own_learning_rate(table: pd.DataFrame) -> Verdict:
    best = best_learning_rates(table)
    counts = best.groupby("loss")["optimizer"].nunique()
    best = best[best["loss"].isin(counts[counts > 1].index)]
    if best.empty:
        return untested("no learning rates of two optimizers")
    lrs = best.groupby("loss", sort=False)["lr"]
    spans = lrs.max() / lrs.min()
    wide = spans >= OWN_RANGE * (1 - 1e-9)
    text = ", ".join(f"{value_label('loss', loss)}: best ones {span:.0f}x apart" for loss, span in spans.items())
    rows = arm(table, "learning_rate")
    answer = by_share(wide)
    return judge(answer, text, rows, effect=float(spans.min()), pairs=len(spans))


@claim(
    "optimizers.1",
    "One learning rate for all optimizers fails: some converge, some do not.",
    f"At one learning rate some runs reach val Dice {CONVERGED} and some do not.",
)
def one_rate_fails(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "optimizers")
    cells = cell_means(rows, ["loss", "optimizer"]).dropna(subset="mean")
    if len(cells) < 2:
        return untested("fewer than two optimizers at one learning rate")
    low, high = cells["mean"].min(), cells["mean"].max()
    text = f"{(cells['mean'] >= CONVERGED).sum()} of {len(cells)} converge; val Dice {number(low)} to {number(high)}"
    answer: Answer = "undecided" if high < CONVERGED else "supported" if low < CONVERGED else "contradicted"
    return judge(answer, text, rows, effect=high - low)


@claim(
    "optimizers.2",
    "Switching loss generally beats BCE.",
    "Pairs of equal optimizer: switching wins at least 75 % of them and on average.",
)
def switching_beats_bce(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "optimizers", loss=("switching", "bce"))
    paired = pair(rows[rows["loss"] == "switching"], rows[rows["loss"] == "bce"], match=["optimizer"], compared="loss")
    return from_pairs(paired, rows, by_majority(paired))


@claim(
    "training_data.1",
    "RMSprop is poor on little data; Adam and SGD are better, Adam best.",
    "At 20 and 40 %: val Dice of RMSprop < SGD < Adam.",
    single_cell=True,
)
def little_data_order(table: pd.DataFrame) -> Verdict:
    """Section 2's own runs where they exist; the report took Adam and SGD from Fig. 11."""
    arms = {}
    for optimizer in ("rmsprop", "sgd", "adam"):
        factors = {"loss": "switching", "optimizer": optimizer, "train_percent": LITTLE_DATA}
        own = arm(table, "training_data", **factors)
        arms[optimizer] = arm(table, "schedulers_by_data", **factors) if own.empty else own
    rows = pd.concat(arms.values())
    means = rows.pivot_table(index="train_percent", columns="optimizer", values="val_dice")
    means = means.reindex(columns=["rmsprop", "sgd", "adam"]).dropna()
    if means.empty:
        return untested("RMSprop, SGD and Adam were not all run on little data")
    holds = [rising(list(values)) for values in means.to_numpy()]
    text = "; ".join(
        f"at {percent:.0f} %: " + in_order([(value_label("optimizer", name), value) for name, value in row.items()])
        for percent, row in means.iterrows()
    )
    paired = pair(arms["adam"], arms["rmsprop"], match=["train_percent"], compared="optimizer")
    answer = by_share(holds)
    effect = float((means["adam"] - means["rmsprop"]).mean())
    caveats = pair_caveats(paired, settled=False)
    return judge(answer, text, rows, caveats, effect=effect, low=paired.low, high=paired.high, pairs=len(means))


CLAIMS = (
    own_learning_rate,
    one_rate_fails,
    switching_beats_bce,
    little_data_order,
)
