"""Which trials of several study runs are shown together. A table in, fewer rows of it out; no MLflow.

The newest study run of a study on a data set says which settings hold. What was run before with the same settings on
other folds, or with other seeds, is the same experiment and counts; what was run with others is outdated and does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from training.study.studies import STUDIES
from training.study.trial import Trial

FACTORS = tuple(Trial.__dataclass_fields__)
REPEATS = ("fold", "seed")
SETTLED = ("loss", "optimizer", "lr", "scheduler", "weight_decay", "dropout", "augment")  # by earlier studies
CHOSEN = (  # tags
    *("protocol", "baseline", "preset", "val_percent", "test_percent", "results_version"),
    *("search", "rates", "budget", "switching_tau_origin"),
)
SPLIT = "split_digest"  # tag: who trains and who validates, on one fold
POOLING_TAGS = ("val_percent", "test_percent", "results_version", SPLIT)  # that the tidy table has not
MAX_NOTES = 3


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The rows that count, in the order they came, and in words what was left out though nothing stands in for it."""

    trials: pd.DataFrame
    notes: tuple[str, ...] = ()


def pool(trials: pd.DataFrame) -> Pool:
    """One row per trial: of each study on each data set those whose settings are the newest study run's.

    The rows of a newer study run come before those of an older one. Beside the tidy table's columns there may be
    POOLING_TAGS; a tag that an earlier version did not set is not compared.
    """
    kept, notes = [trials.head(0)], list[str]()
    for _, own in trials.groupby(["study", "data_digest"], sort=False, dropna=False):
        rows, left_out = _pool_study(own)
        kept.append(rows)
        notes += left_out
    more = [f"{len(notes) - MAX_NOTES} more study runs"] if len(notes) > MAX_NOTES else []
    counted = trials.loc[trials.index.isin(pd.concat(kept).index)]
    return Pool(trials=counted, notes=(*notes[:MAX_NOTES], *more))


def newest_first(trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of the study run that started last come first; within a study run they stay in order."""
    started = trials.groupby("parent_run_id", dropna=False)["started"].transform("max")
    order = pd.DataFrame({"started": started, "parent": trials["parent_run_id"]}).fillna("")
    return trials.loc[order.sort_values(["started", "parent"], ascending=False, kind="stable").index]


def _pool_study(own: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    study = STUDIES[own["study"].iloc[0]]
    varied = set(study.scientific) - {"epochs"}  # twice the epochs of another preset are other epochs
    is_auto = own["switching_tau_origin"].iloc[0] == "auto"  # then each fold has a tau of its own
    repeats = (*REPEATS, *(("switching_tau",) if is_auto else ()))
    settings = [name for name in FACTORS if name not in (*repeats, *SETTLED, *varied)]
    same, reasons = own, dict[str, str]()  # by study run
    for name in (*CHOSEN, *settings):
        if name in own:
            same = _agree(same, name, reasons)
    if SPLIT in own:
        newest = same.groupby("fold")[SPLIT].transform("first")
        differs = same[SPLIT].notna() & newest.notna() & (same[SPLIT] != newest)
        reasons |= dict.fromkeys(same[differs]["parent_run_id"], "with other images held out")
        same = same[~differs]
    is_settled_by_fold = (same["baseline"] == "measured").any() or (same["rates"] == "own").any()  # each for itself
    cell = _joined(same, [*study.scientific, *(["fold"] if is_settled_by_fold else [])])
    rest = cell + _joined(same, [name for name in FACTORS if name not in (*repeats, *study.scientific)])
    is_leading = same["parent_run_id"] == same["parent_run_id"].groupby(cell).transform("first")
    agrees = rest.isin(set(rest[is_leading]))
    reasons |= dict.fromkeys(same[~agrees]["parent_run_id"], "with other fixed factors")
    rows = same[agrees].drop_duplicates(list(FACTORS))
    return rows, _left_out(study.name, own, rows, reasons)


def _agree(rows: pd.DataFrame, name: str, reasons: dict[str, str]) -> pd.DataFrame:
    """Without the rows that have another value than the newest study run; an unknown value agrees with any."""
    newest = rows[rows["parent_run_id"] == rows["parent_run_id"].iloc[0]][name].dropna().unique()
    if not len(newest):
        return rows
    agrees = rows[name].isin(newest) | rows[name].isna()
    for parent, value in rows[~agrees].drop_duplicates("parent_run_id")[["parent_run_id", name]].to_numpy():
        reasons.setdefault(str(parent), f"with {name}={_word(value)}; the newest has {_word(newest[0])}")
    return rows[agrees]


def _left_out(study: str, own: pd.DataFrame, rows: pd.DataFrame, reasons: dict[str, str]) -> list[str]:
    """Study runs on a fold of which no run counts; what a newer run of the same fold replaces goes without saying."""
    missing = own[~own["fold"].isin(rows["fold"])].drop_duplicates(["fold"])
    return [
        f"{study}, fold {_word(run['fold'])}: a study run {reasons.get(run['parent_run_id'], 'of another kind')}"
        for run in missing.to_dict("records")
    ]


def _joined(rows: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    words = pd.Series("", index=rows.index, dtype="str")
    for name in names:
        words = words + " " + rows[name].astype("object").map(str).astype("str")
    return words


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
