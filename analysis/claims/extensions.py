"""What the 2020 report had no time for, as claims of our own: later schedules, AdamW, longer training, the full width.

Each compares one changed setting with the settled one, over seeds, so fewer than six seeds decide nothing here.
"""

import pandas as pd

from analysis.claims.rules import TIE, by_interval, from_pairs
from analysis.claims.stats import pair
from analysis.claims.verdicts import Claim, Verdict, arm, claim
from training.study.studies import STUDIES

FACTORS = STUDIES["extensions"].scientific


def _compare(table: pd.DataFrame, factor: str, value: object, reference: object, margin: float) -> Verdict:
    rows = arm(table, "extensions")
    left, right = rows[rows[factor] == value], rows[rows[factor] == reference]
    paired = pair(left, right, match=[name for name in FACTORS if name != factor], compared=factor)
    return from_pairs(paired, pd.concat([left, right]), by_interval(paired, margin=margin))


def _as_good_as_plateau(code: str, scheduler: str, name: str) -> Claim:
    return claim(
        code,
        f"{name} is at least as good as plateau.",
        f"{name} against plateau, all else equal: the 95 % interval of the mean difference lies above -{TIE}.",
        single_cell=True,
    )(lambda table: _compare(table, "scheduler", scheduler, "plateau", -TIE))


@claim(
    "extensions.4",
    "AdamW beats Adam.",
    "AdamW against Adam, with the same number for weight decay: the 95 % interval of the mean difference lies above 0.",
    single_cell=True,
)
def adamw_beats_adam(table: pd.DataFrame) -> Verdict:
    return _compare(table, "optimizer", "adamw", "adam", 0)


@claim(
    "extensions.5",
    "Training twice as long pays.",
    "Twice the epochs against the settled ones: the 95 % interval of the mean difference lies above 0.",
    single_cell=True,
)
def longer_pays(table: pd.DataFrame) -> Verdict:
    epochs = arm(table, "extensions")["epochs"]
    return _compare(table, "epochs", epochs.max(), epochs.min(), 0)


@claim(
    "extensions.6",
    "Augmentation pays when training is long enough.",
    "At twice the epochs, training images augmented or not: the 95 % interval of the mean difference lies above 0.",
    single_cell=True,
)
def augmentation_pays(table: pd.DataFrame) -> Verdict:
    return _compare(table, "augment", "train", "none", 0)


@claim(
    "extensions.7",
    "The full width is worth it.",
    f"64 first channels against 16: the 95 % interval of the mean difference lies above {TIE}.",
    single_cell=True,
)
def full_width_pays(table: pd.DataFrame) -> Verdict:
    return _compare(table, "width", 64, 16, TIE)


CLAIMS = (
    _as_good_as_plateau("extensions.1", "cosine", "Cosine annealing"),
    _as_good_as_plateau("extensions.2", "onecycle", "One-cycle"),
    _as_good_as_plateau("extensions.3", "cyclic", "A cyclic schedule"),
    adamw_beats_adam,
    longer_pays,
    augmentation_pays,
    full_width_pays,
)
