"""What the 2020 report had no time for, as claims of our own: later schedules, AdamW, longer training, the full width.

Each compares one changed setting with the settled one.
"""

import pandas as pd

from analysis.claims.contrasts import ABOVE, INF, SMALLEST, difference
from analysis.claims.labels import value_label
from analysis.claims.rows import confounders, select_rows
from analysis.claims.verdicts import Basis, Claim, claim
from training.study.studies import FULL_WIDTH, STUDIES
from training.study.trial import Trial

FACTORS = STUDIES["extensions"].scientific


def _compare(
    table: pd.DataFrame,
    factor: str,
    value: object,
    reference: object,
    claimed: tuple[float, float] = ABOVE,
    words: str = "",
) -> Basis:
    rows = select_rows(table, "extensions")
    left, right = rows[rows[factor] == value], rows[rows[factor] == reference]
    match = [name for name in FACTORS if name != factor]
    words = words or f"{value_label(factor, value)} less {value_label(factor, reference)}"
    smallest = SMALLEST if claimed == ABOVE else 0.0
    found = difference(words, left, right, match, claimed=claimed, smallest=smallest)
    read = pd.concat([left, right])
    caveats = confounders(left, right, match, factor)
    return Basis(contrasts=found, rows=read, caveats=caveats, missing="no two rows to compare")


def _as_good_as_plateau(code: str, scheduler: str, name: str) -> Claim:
    return claim(
        code,
        f"{name} is at least as good as plateau.",
        f"{name} less plateau, all else equal, lies above -{SMALLEST}.",
    )(lambda table: _compare(table, "scheduler", scheduler, "plateau", (-SMALLEST, INF)))


@claim("extensions.4", "AdamW beats Adam.", "AdamW less Adam, with the same number for weight decay, lies above 0.")
def adamw_beats_adam(table: pd.DataFrame) -> Basis:
    return _compare(table, "optimizer", "adamw", "adam")


@claim("extensions.5", "Training twice as long pays.", "Twice the epochs less the settled ones lies above 0.")
def longer_pays(table: pd.DataFrame) -> Basis:
    epochs = select_rows(table, "extensions")["epochs"]
    words = "twice the epochs less the settled ones"  # the same words on every data set, however long it was trained
    return _compare(table, "epochs", epochs.max(), epochs.min(), words=words)


@claim(
    "extensions.6",
    "Augmentation pays when training is long enough.",
    "At twice the epochs, training images augmented less not augmented lies above 0.",
)
def augmentation_pays(table: pd.DataFrame) -> Basis:
    return _compare(table[table["width"] == Trial.width], "augment", "train", "none")


@claim("extensions.7", "The full width is worth it.", f"64 first channels less 16 lies above {SMALLEST}.")
def full_width_pays(table: pd.DataFrame) -> Basis:
    return _compare(table, "width", FULL_WIDTH, Trial.width, (SMALLEST, INF))


@claim(
    "extensions.8",
    "Augmentation pays with a larger model.",
    f"At {FULL_WIDTH} first channels, training images augmented less not augmented lies above 0.",
)
def augmentation_pays_when_wide(table: pd.DataFrame) -> Basis:
    return _compare(table[table["width"] == FULL_WIDTH], "augment", "train", "none")


CLAIMS = (
    _as_good_as_plateau("extensions.1", "cosine", "Cosine annealing"),
    _as_good_as_plateau("extensions.2", "onecycle", "One-cycle"),
    _as_good_as_plateau("extensions.3", "cyclic", "A cyclic schedule"),
    adamw_beats_adam,
    longer_pays,
    augmentation_pays,
    full_width_pays,
    augmentation_pays_when_wide,
)
