"""What learning curves say beside their best epoch, as columns of the trials. Tables in, a table out.

last_val_dice, tail_val_dice (mean of the last tenth of the epochs), val_dice_roughness (mean absolute change from epoch
to epoch), fall_from_best (the best epoch's less the tail's) and epochs_to_target: the first epoch that reaches a Dice
common to all trials of a study on the same images, and all epochs of a trial that never does.
"""

import pandas as pd

from analysis.evidence.schema import CURVE
from training.study.curve import TARGET_SHARE, epochs_to, roughness, tail_mean

GROUP = ("data_digest", "study")


def add_curve_scores(trials: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Trials without a curve (published ones) have none of these scores."""
    if curves.empty or trials.empty:
        return trials
    in_order = curves.sort_values("epoch")
    dices = {str(run_id): list(curve["val_dice"].fillna(0.0)) for run_id, curve in in_order.groupby("run_id")}
    targets = TARGET_SHARE * trials.groupby(list(GROUP), dropna=False)["val_dice"].transform("max")
    known = zip(trials["run_id"], trials["val_dice"], targets, strict=True)
    scores = pd.DataFrame([_of_one(dices.get(run_id), best, target) for run_id, best, target in known], trials.index)
    return trials.assign(**{name: scores[name].astype("float64") for name in CURVE})


def _of_one(dices: list[float] | None, best: float, target: float) -> dict[str, float | None]:
    tail = tail_mean(dices) if dices else None
    return {
        "last_val_dice": dices[-1] if dices else None,
        "tail_val_dice": tail,
        "val_dice_roughness": roughness(dices) if dices else None,
        "fall_from_best": best - tail if tail is not None else None,
        "epochs_to_target": epochs_to(target, dices) if dices else None,
    }
