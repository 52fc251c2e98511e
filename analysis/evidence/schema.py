"""The one tidy table: one row per trial, one column per field, typed here and nowhere else. Unknown is nan.

Printed numbers and MLflow runs both come in this schema. Where rows come from, and which are better, this file does
not know.
"""

import dataclasses
import math
from typing import Any

import pandas as pd

from analysis.evidence.published import read_published
from training.study.trial import LATER, Trial

_DTYPES = {str: "str", int: "float64", float: "float64", bool: "bool"}  # int as float: a published field may be unknown
FACTORS: dict[str, str] = {field.name: _DTYPES[field.type] for field in dataclasses.fields(Trial)}  # type: ignore[index]
SUMMARY = {  # column: MLflow metric; scores are those of the epoch with the best validation Dice
    "train_loss": "best_train_loss",
    "val_loss": "best_val_loss",
    "train_dice": "best_train_dice",
    "val_dice": "best_val_dice",  # over the validation images that have foreground
    "own_val_dice": "own_val_dice",  # the same at the images' own size
    "judge_dice": "judge_dice",  # of a cell of `grid`, likewise, on images that neither train nor validate it
    "val_false_alarms": "best_val_false_alarms",  # images: of val_empty_images, those in which foreground is predicted
    "val_empty_images": "val_empty_images",  # validation images without foreground
    "best_epoch": "best_epoch",
    "epochs_to_converge": "epochs_to_converge",
    "seconds": "seconds",
}
ADDED = ("own_val_dice", "judge_dice", "val_false_alarms", "val_empty_images")  # that earlier runs and tables have not
CURVE = (  # of the validation Dice over the epochs: analysis/evidence/curve_scores.py
    *("last_val_dice", "tail_val_dice", "val_dice_roughness", "fall_from_best", "epochs_to_target"),
)
SETTINGS = (  # tags new in 0.3, of what no trial shows
    *("search", "rates", "budget", "switching_tau_origin"),
    "data_options",  # what a person said of data and split, as words of a shell: name=value
    "applied",  # whether every factor, read back from the live objects, was as asked for: all, or all but which
    "first_seeds",  # of a seed that was added where a verdict was open: how many seeds every cell had before
)
TAGS = (  # of a run, under the same names
    *("study", "row", "baseline", "protocol", "preset", "data", "data_digest"),
    *("device", "git_commit", "torch", "mlflow"),
    *SETTINGS,
)
TEXTS = (
    *("source", "figure", "experiment_id", "run_id", "parent_run_id"),
    "trained_run_id",  # the run that was trained and holds the artifacts: run_id, where no earlier trial was reused
    "started",  # UTC, as 2026-05-04T12:30:59
    *TAGS,
)
FLAGS = ("collapsed", "diverged")
RATE_AT_EDGE = "rate_at_edge"  # the search for its own learning rate found it at the edge of what it tried
EARLIER = {"carry": "baseline"}  # what tags and columns were called until 0.1
EARLIER_VALUES = {"row": {"printed": "published", "beyond": "extra"}, "study": {"beyond": "extensions"}}
SCHEMA: dict[str, str] = {
    **dict.fromkeys(TEXTS, "str"),
    **dict.fromkeys((*FLAGS, RATE_AT_EDGE), "bool"),
    **FACTORS,
    **dict.fromkeys((*SUMMARY, *CURVE), "float64"),
}


def modernize(table: pd.DataFrame) -> pd.DataFrame:
    """A table that an earlier version wrote, or whose runs it logged, under today's names and with today's factors.

    A run that has no value of a factor of LATER had Trial's default; of what was published nothing is known.
    """
    for factor in LATER if "run_id" in table else ():
        known = table[factor] if factor in table else pd.Series(math.nan, table.index)
        missing = known.isna() & table["run_id"].notna()
        table = table.assign(**{factor: known.astype(object).where(~missing, getattr(Trial, factor))})
    for before, name in EARLIER.items():
        if before in table:
            table = table.assign(**{name: table[name].fillna(table[before]) if name in table else table[before]})
    return table.replace({name: values for name, values in EARLIER_VALUES.items() if name in table})


def tidy(rows: list[dict[str, Any]] | pd.DataFrame) -> pd.DataFrame:
    """A table of SCHEMA. A row that leaves out its flags has none, and one that names no other run was trained itself;
    anything else is unknown.
    """
    table = modernize(pd.DataFrame(rows)).reindex(columns=list(SCHEMA))
    flags = [name for name, dtype in SCHEMA.items() if dtype == "bool"]
    table[flags] = table[flags].astype(object).where(table[flags].notna(), False).astype(bool)
    table["trained_run_id"] = table["trained_run_id"].where(table["trained_run_id"].notna(), table["run_id"])
    return table.astype(SCHEMA)


def load_published() -> pd.DataFrame:
    """The report's tables, one row per published row."""
    return tidy(read_published())
