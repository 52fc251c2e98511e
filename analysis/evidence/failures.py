"""Which trials learned nothing, though they ended well; and whose scores say something else. Tables in, a table out.

A learning rate far too high mostly ends with every pixel called foreground, or none. The loss is finite then and the
Dice is not 0, so neither mark of the training side is set.
"""

import pandas as pd

FLOOR = "val_all_foreground_dice"  # column of epochs.csv; earlier runs have not got it, and theirs is estimated
NEEDED = ("val_precision", "val_recall", "val_predicted_percent")  # columns of epochs.csv
SCORES = ("train_dice", "val_dice")
HIGH_RECALL = 0.5
SKILL = 0.1  # of the way from the Dice of an all-foreground mask to 1; below that nothing was learned


def forget_old_scores(trials: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The Dice is unknown of runs that counted images without foreground, where predicting nothing scores 1.

    They have such validation images and no count of false alarms.
    """
    if "val_empty_images" not in curves:
        return trials
    counted = curves["val_false_alarms"].notna() if "val_false_alarms" in curves else False
    old = set(curves.loc[(curves["val_empty_images"] > 0) & ~pd.Series(counted, curves.index), "run_id"])
    known = trials[list(SCORES)].where(~trials["run_id"].isin(old))
    return trials.assign(**{name: known[name] for name in SCORES})


def mark_collapsed(trials: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """`collapsed` is true, too, where the best validation Dice is hardly above that of an all-foreground mask."""
    if not set(NEEDED) <= set(curves):
        return trials
    floor = trials["parent_run_id"].map(_all_foreground(trials, curves))
    if FLOOR in curves:
        floor = trials["run_id"].map(curves.groupby("run_id")[FLOOR].median()).fillna(floor)
    return trials.assign(collapsed=trials["collapsed"] | (trials["val_dice"] < floor + SKILL * (1 - floor)))


def _all_foreground(trials: pd.DataFrame, curves: pd.DataFrame) -> pd.Series:
    """Per study run, the Dice of a mask that is all foreground: 2 f / (1 + f), with f the share of foreground.

    An epoch says of it precision * predicted / recall. These are means over images, which is near enough where the
    recall is high; so f is the median over such epochs.
    """
    seen = curves[curves["val_recall"] > HIGH_RECALL].merge(trials[["run_id", "parent_run_id"]], on="run_id")
    fraction = seen["val_precision"] * seen["val_predicted_percent"] / 100 / seen["val_recall"]
    median = fraction.groupby(seen["parent_run_id"]).median()
    return 2 * median / (1 + median)
