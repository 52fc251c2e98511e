"""Section 8: which run to keep. Tables in, one row out; the two rules are the two answers the report weighs."""

import pandas as pd

from analysis.claims.rows import FACTORS, REPEATS
from training.study.winning import rank_cells

CLOSE = 0.05  # Dice below the highest that the report still calls close (0.8151 to 0.8586)
CELL = [factor for factor in FACTORS if factor not in REPEATS]


def highest_dice(trials: pd.DataFrame) -> pd.Series | None:
    """The best run of the cell that wins (training/study/winning.py); None when no trial can be judged.

    Trials whose validation images are training images (train_percent 100) or are augmented (augment both) are out:
    their Dice says something else.
    """
    cells = _judged(trials)
    ranked = rank_cells(zip(cells["cell"], cells["train_percent"].fillna(0), cells["score"], strict=True))
    return _best_run(cells[cells["cell"] == next(iter(ranked))]) if ranked else None


def most_consistent(trials: pd.DataFrame) -> pd.Series | None:
    """Of the losses study's cells close to its highest, the one whose optimizer varies least over the losses.

    Varies: the sd, over the losses, of the mean Dice over seeds. Close: at most CLOSE below the highest. Of equals the
    higher Dice. None when no optimizer was run with two losses.
    """
    cells = _judged(trials[trials["study"] == "losses"])
    cells = cells[cells["cell_dice"] > 0]
    by_loss = cells.drop_duplicates(["optimizer", "loss"]).groupby("optimizer")["cell_dice"].std().dropna()
    if by_loss.empty:
        return None
    close = cells[cells["cell_dice"] >= cells["cell_dice"].max() - CLOSE]
    close = close.assign(sd=close["optimizer"].map(by_loss)).dropna(subset="sd")
    if close.empty:
        return None
    steadiest = close[close["sd"] == close["sd"].min()]
    return _best_run(steadiest[steadiest["cell_dice"] == steadiest["cell_dice"].max()])


def _judged(trials: pd.DataFrame) -> pd.DataFrame:
    """With the number of each trial's cell, its score (0 where it failed) and its cell's mean.

    The score is the Dice at the images' own size where all know it: published and earlier trials do not.
    """
    table = trials[(trials["train_percent"] != 100) & (trials["augment"] != "both")]
    failed = table["diverged"] | table["collapsed"] | (table["val_dice"] <= 0)
    dice = table["own_val_dice"] if table["own_val_dice"].notna().all() else table["val_dice"]
    score = dice.where(~failed, 0.0)
    table = table.assign(score=score).dropna(subset="score")
    cell = table.groupby(["study", *CELL], dropna=False, sort=False)
    return table.assign(cell=cell.ngroup(), cell_dice=cell["score"].transform("mean"))


def _best_run(cell: pd.DataFrame) -> pd.Series:
    return cell.iloc[int(cell["score"].to_numpy().argmax())]
