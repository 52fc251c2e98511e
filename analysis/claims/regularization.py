"""The report's conclusions on weight decay and dropout (Sections 4 and 5)."""

import pandas as pd

from analysis.claims.labels import number, signed
from analysis.claims.rules import (
    CONVERGED,
    LITTLE_DATA,
    MUCH_DATA,
    TIE,
    best_cell,
    by_interval,
    by_margin,
    by_share,
    from_pairs,
    in_order,
    pair_caveats,
    rising,
)
from analysis.claims.stats import Paired, cell_means, pair
from analysis.claims.verdicts import Answer, Verdict, arm, claim, judge, untested

STRONG_DECAY = 0.01  # weight decay; the middle of the report's three values
LOSS_TIE = 0.1  # validation loss; Fig. 13's good rows at 80 % lie 0.03 apart, its underfitted one 0.24 above them
SMALLEST_DROPOUT = 0.2  # the share at which the report itself argues about the amount of data (Section 5.3)
LARGEST_DROPOUT = 0.8


@claim(
    "weight_decay.1",
    "With much data, validation loss is low with or without weight decay.",
    f"At {MUCH_DATA} %: val loss without decay at most {LOSS_TIE} above that with the best decay.",
    single_cell=True,
    unit="loss",
)
def no_decay_needed(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "weight_decay", train_percent=MUCH_DATA)
    losses = rows.groupby("weight_decay")["val_loss"].mean().dropna()
    if 0 not in losses.index or len(losses) < 2:
        return untested(f"no row without decay at {MUCH_DATA} %")
    gap = losses[0] - losses.drop(0).min()
    text = f"val loss {number(losses[0])} without decay, {number(losses.drop(0).min())} with the best decay"
    return judge("supported" if gap <= LOSS_TIE else "contradicted", text, rows, effect=float(gap), pairs=1)


@claim(
    "weight_decay.2",
    "Little data needs strong weight decay.",
    f"At 20 and 40 %, the decay with the best val Dice is at least {STRONG_DECAY}.",
    single_cell=True,
)
def little_data_strong_decay(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "weight_decay", train_percent=LITTLE_DATA)
    means = cell_means(rows, ["train_percent", "weight_decay"]).dropna(subset="mean")
    best = means.sort_values("mean").drop_duplicates("train_percent", keep="last").sort_values("train_percent")
    strong = best["weight_decay"] >= STRONG_DECAY
    if best.empty or means["weight_decay"].ge(STRONG_DECAY).nunique() < 2:
        return untested("no strong and weak decay on little data")
    text = "; ".join(f"best at {row.train_percent:.0f} %: {row.weight_decay:g}" for row in best.itertuples())
    by_strength = means.groupby([means["weight_decay"] >= STRONG_DECAY, "train_percent"])["mean"].max()
    effect = float((by_strength[True] - by_strength[False]).mean())
    text += f"; best strong against best weak {signed(effect)}"
    return judge(by_share(strong), text, rows, effect=effect, pairs=len(best))


@claim(
    "weight_decay.3",
    "Too strong a decay underfits when there is much data.",
    f"At {MUCH_DATA} %: train Dice falls with every step to a stronger decay.",
    single_cell=True,
)
def too_strong_underfits(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "weight_decay", train_percent=MUCH_DATA)
    decayed = rows[rows["weight_decay"] > 0].groupby("weight_decay")["train_dice"].mean().dropna()
    if len(decayed) < 2:
        return untested(f"fewer than two strengths of decay at {MUCH_DATA} %")
    values = list(decayed)[::-1]  # the strongest first
    text = "train Dice " + in_order([(f"{decay:g}", dice) for decay, dice in decayed[::-1].items()])
    answer: Answer = "supported" if rising(values) else "contradicted" if values[0] >= values[-1] else "undecided"
    return judge(answer, text, rows, effect=values[0] - values[-1], pairs=len(values) - 1)


@claim(
    "weight_decay.4",
    "The best is 80 % of the data with weight decay 0.01.",
    f"That cell has the highest val Dice of the study, by at least {TIE}.",
    single_cell=True,
)
def best_decay(table: pd.DataFrame) -> Verdict:
    factors = ["train_percent", "weight_decay"]
    return best_cell(arm(table, "weight_decay"), factors, {"train_percent": MUCH_DATA, "weight_decay": 0.01})


def _dropout_pairs(table: pd.DataFrame, **factors: object) -> tuple[Paired, pd.DataFrame]:
    """Rows with dropout against their control: dropout 0 of the same study or, as in the report, of weight_decay."""
    rows = arm(table, "dropout", **factors)
    dropped, control = rows[rows["dropout"] > 0], rows[rows["dropout"] == 0]
    if control.empty:
        decays = tuple(dropped["weight_decay"].unique())
        control = arm(table, "weight_decay", dropout=0, weight_decay=decays)
    return pair(dropped, control, match=["train_percent"], compared="dropout"), dropped


@claim(
    "dropout.1",
    "Dropout of 0.2 and of 0.5 are both too high for this small network.",
    "Pairs of equal data, dropout 0.2 or 0.5 against none: the 95 % interval of the mean difference lies below 0.",
)
def dropout_too_high(table: pd.DataFrame) -> Verdict:
    paired, rows = _dropout_pairs(table, dropout=(0.0, SMALLEST_DROPOUT, 0.5))
    return from_pairs(paired, rows, by_interval(paired, lower=True), lower=True)


@claim(
    "dropout.2",
    "Dropout hurts more, the more training data.",
    f"Dice lost to dropout {SMALLEST_DROPOUT} is larger at most data than at least data, by at least {TIE}.",
    single_cell=True,
)
def dropout_hurts_with_data(table: pd.DataFrame) -> Verdict:
    paired, rows = _dropout_pairs(table, dropout=(0.0, SMALLEST_DROPOUT))
    if len(paired) < 2:
        return untested("dropout was not compared at two amounts of data")
    lost = -paired.cells.set_index("train_percent")["difference"].sort_index()
    text = "Dice lost: " + ", ".join(f"{number(loss)} at {percent:.0f} %" for percent, loss in lost.items())
    growth = float(lost.iloc[-1] - lost.iloc[0])
    caveats = pair_caveats(paired, settled=False)
    if growth > 0 and not rising(list(lost)):
        caveats.append("at the ends only: the loss does not grow at every step")
    return judge(by_margin(growth), text, rows, caveats, effect=growth, pairs=len(paired))


@claim(
    "dropout.3",
    "Dropout of 0.8 does not converge.",
    f"With dropout {LARGEST_DROPOUT}, train Dice stays below {CONVERGED} at every amount of data.",
)
def largest_dropout_fails(table: pd.DataFrame) -> Verdict:
    rows = arm(table, "dropout", dropout=LARGEST_DROPOUT)
    cells = cell_means(rows, ["train_percent"], "train_dice").dropna(subset="mean")
    if cells.empty:
        return untested(f"no row with dropout {LARGEST_DROPOUT:g}")
    failed, highest = cells["mean"] < CONVERGED, float(cells["mean"].max())
    text = f"{failed.sum()} of {len(cells)} stay below train Dice {CONVERGED}; the highest is {number(highest)}"
    return judge(by_share(failed), text, rows, effect=highest, pairs=len(cells))


CLAIMS = (
    no_decay_needed,
    little_data_strong_decay,
    too_strong_underfits,
    best_decay,
    dropout_too_high,
    dropout_hurts_with_data,
    largest_dropout_fails,
)
