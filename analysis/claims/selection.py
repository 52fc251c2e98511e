"""Section 8: which run to keep. Tables in, one row out; the two rules are the two answers the report weighs."""

import pandas as pd

from analysis.claims.rows import FACTORS

CLOSE = 0.05  # Dice below the highest that the report still calls close (0.8151 to 0.8586)
CELL = [factor for factor in FACTORS if factor != "seed"]


def highest_dice(trials: pd.DataFrame) -> pd.Series | None:
    """The best seed of the cell with the highest mean validation Dice; None when no trial can be judged.

    A cell with a trial that diverged or collapsed, or whose Dice is 0, is out, and so are trials whose validation
    images are training images (train_percent 100) or are augmented (augment both): their Dice says something else.
    """
    cells = _judged(trials)
    return None if cells.empty else _best_seed(cells[cells["cell_dice"] == cells["cell_dice"].max()])


def most_consistent(trials: pd.DataFrame) -> pd.Series | None:
    """Of the losses study's cells close to its highest, the one whose optimizer varies least over the losses.

    Varies: the sd, over the losses, of the mean Dice over seeds. Close: at most CLOSE below the highest. Of equals the
    higher Dice. None when no optimizer was run with two losses.
    """
    cells = _judged(trials[trials["study"] == "losses"])
    by_loss = cells.drop_duplicates(["optimizer", "loss"]).groupby("optimizer")["cell_dice"].std().dropna()
    if by_loss.empty:
        return None
    close = cells[cells["cell_dice"] >= cells["cell_dice"].max() - CLOSE]
    close = close.assign(sd=close["optimizer"].map(by_loss)).dropna(subset="sd")
    if close.empty:
        return None
    steadiest = close[close["sd"] == close["sd"].min()]
    return _best_seed(steadiest[steadiest["cell_dice"] == steadiest["cell_dice"].max()])


def _judged(trials: pd.DataFrame) -> pd.DataFrame:
    table = trials[(trials["train_percent"] != 100) & (trials["augment"] != "both")]
    failed = table["diverged"] | table["collapsed"] | (table["val_dice"] <= 0)
    cell = table.groupby(["study", *CELL], dropna=False)
    table = table.assign(cell_dice=cell["val_dice"].transform("mean"), failed=failed)
    lost = table.groupby(["study", *CELL], dropna=False)["failed"].transform("any")
    return table[~lost].dropna(subset="val_dice").drop(columns="failed")


def _best_seed(cell: pd.DataFrame) -> pd.Series:
    return cell.iloc[int(cell["val_dice"].to_numpy().argmax())]
