"""The rows that a claim reads, and what can be said of any rows: failures, edges of what was tried, confounding."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.claims.labels import factor_label
from training.study.search import is_at_edge
from training.study.studies import COMBINATION
from training.study.trial import Trial
from training.study.words import pluralize

FACTORS: tuple[str, ...] = tuple(Trial.__dataclass_fields__)
REPEATS = ("fold", "seed", "switching_tau")  # that only repeat a cell; a tau of its own has each fold where it is auto
SEARCHED = {"lr": None, "weight_decay": 0.0, "dropout": 0.0}  # factors with a best value, and where their range ends
NUISANCE = {"optimizer": ("lr",)}  # tuned for each value of the factor, so it does not confound it
ALL_DATA = 100  # percent: the validation images are the training images (Fig. 4, Fig. 11)
NOT_READ = (  # columns of the tidy table that no claim reads; without them rows are taken in a fraction of the time
    *("source", "figure", "experiment_id", "run_id", "parent_run_id", "trained_run_id", "started", "row"),
    *("baseline", "protocol", "preset", "device", "git_commit", "torch", "mlflow"),
    *("search", "budget", "switching_tau_origin", "applied"),
)


def select_rows(table: pd.DataFrame, study: str, **factors: Any) -> pd.DataFrame:
    """The rows of a study with these factors (a tuple: any of them), without those validated on training images."""
    keep = (table["study"] == study) & (table["train_percent"] != ALL_DATA)
    for factor, wanted in factors.items():
        keep &= table[factor].isin(wanted if isinstance(wanted, tuple) else (wanted,))
    return table[keep]


def cell_means(table: pd.DataFrame, by: Sequence[str], score: str = "val_dice") -> pd.DataFrame:
    """One row per cell, in order of appearance: mean over its runs, sd (n - 1; nan for one run) and n."""
    groups = table.groupby(list(by), dropna=False, sort=False)[score]
    return groups.agg(mean="mean", sd="std", n="count").reset_index()


def describe_rows(rows: pd.DataFrame) -> list[str]:
    """Which runs failed, and how they count."""
    if rows.empty:
        return []
    caveats = []
    if lost := int(rows["diverged"].sum()):
        counted = "they count" if lost > 1 else "it counts"
        caveats.append(f"{lost} of {pluralize(len(rows), 'run')} diverged: as Dice {counted} 0")
    if empty := int((rows["collapsed"] & ~rows["diverged"]).sum()):
        caveats.append(f"{pluralize(empty, 'run')} collapsed: no better than a mask that is all foreground or none")
    return caveats


def edge_caveats(rows: pd.DataFrame) -> list[str]:
    """Where the best value of a searched factor is the first or last one tried, better ones may lie beyond it.

    A row whose own learning rate was searched for says so itself: the rates that were tried for it are no rows.
    """
    cells = rows[[*(name for name in FACTORS if name not in REPEATS), "rate_at_edge"]].drop_duplicates()
    at_edge = {"lr": cells["rate_at_edge"].tolist()}
    for factor, natural_end in SEARCHED.items():
        if len(rows[factor].unique()) <= 2:
            continue
        others = [name for name in FACTORS if name not in (factor, *REPEATS) and len(rows[name].unique()) > 1]
        means = rows.groupby([*others, factor], dropna=False)["val_dice"].mean().dropna().reset_index()
        groups = [group for _, group in means.groupby(others, dropna=False)] if others else [means]
        found = [
            best != natural_end and is_at_edge(best, tried[factor], leaves_decades=factor == "lr")
            for tried in groups
            if len(tried) > 2
            for best in [float(tried[factor].iloc[int(tried["val_dice"].to_numpy().argmax())])]
        ]
        at_edge[factor] = found or at_edge.get(factor, [])
    return [
        f"the best {factor_label(factor)} is at the edge of the range tried"
        + (f" in {sum(found)} of {len(found)} rows" if len(found) > 1 else "")
        for factor, found in at_edge.items()
        if any(found)
    ]


def confounders(left: pd.DataFrame, right: pd.DataFrame, match: Sequence[str], compared: str) -> list[str]:
    """A caveat where rows alike in `match` differ in another factor than the compared one."""
    is_own = compared in COMBINATION and all((rows["rates"] == "own").all() for rows in (left, right))
    held = {compared, *match, *REPEATS, *(("lr",) if is_own else NUISANCE.get(compared, ()))}
    free = [factor for factor in FACTORS if factor not in held]
    keys = [*match, *REPEATS]
    sides = [rows[[*keys, *free]].drop_duplicates() for rows in (left, right)]
    pairs = sides[0].merge(sides[1], on=keys, suffixes=("_left", "_right"))
    found = []
    for factor in free:
        one, other = pairs[f"{factor}_left"], pairs[f"{factor}_right"]
        if (one.notna() & other.notna() & (one != other)).any():
            found.append(factor_label(factor))
    return [f"confounded: the rows differ in {' and '.join(found)} as well"] if found else []
