"""The rows that a claim reads, and what can be said of any rows: failures, edges of what was tried, confounding."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.claims.labels import factor_label
from training.study.trial import Trial
from training.study.words import pluralize

FACTORS: tuple[str, ...] = tuple(Trial.__dataclass_fields__)
REPEATS = ("fold", "seed", "switching_tau")  # that only repeat a cell; a tau of its own has each fold where it is auto
SEARCHED = {"lr": None, "weight_decay": 0.0, "dropout": 0.0}  # factors with a best value, and where their range ends
NUISANCE = {"optimizer": ("lr",)}  # tuned for each value of the factor, so it does not confound it
TUNED_ALIKE = ("optimizer", "loss", "scheduler")  # what rates=own tunes the learning rate for
WIDE = 5.0  # the ratio of two neighbouring learning rates from which there is a decade between them left untried
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
        caveats.append(
            f"{lost} of {pluralize(len(rows), 'run')} diverged, and {'count' if lost > 1 else 'counts'} as Dice 0"
        )
    if empty := int((rows["collapsed"] & ~rows["diverged"]).sum()):
        caveats.append(f"{pluralize(empty, 'run')} collapsed: no better than a mask that is all foreground or none")
    return caveats


def edge_caveats(rows: pd.DataFrame) -> list[str]:
    """Where the best value of a searched factor is the first or last one tried, better ones may lie beyond it.

    So they may where a search went on above the best learning rate and left the decade below it untried: search=report.
    """
    notes = []
    for factor, natural_end in SEARCHED.items():
        if len(rows[factor].unique()) <= 2:
            continue
        others = [name for name in FACTORS if name not in (factor, *REPEATS) and len(rows[name].unique()) > 1]
        means = rows.groupby([*others, factor], dropna=False)["val_dice"].mean().dropna().reset_index()
        cells = [cell for _, cell in means.groupby(others, dropna=False)] if others else [means]
        tried = [cell for cell in cells if len(cell) > 2]
        best = [float(cell[factor].iloc[int(cell["val_dice"].to_numpy().argmax())]) for cell in tried]
        at_edge = [
            value
            for value, cell in zip(best, tried, strict=True)
            if value != natural_end and _is_edge(value, cell[factor], leaves_decades=factor == "lr")
        ]
        if at_edge:
            where = f" in {len(at_edge)} of {len(tried)} rows" if len(tried) > 1 else ""
            notes.append(f"the best {factor_label(factor)} is at the edge of the range tried{where}")
    return notes


def _is_edge(best: float, tried: pd.Series, *, leaves_decades: bool) -> bool:
    if best in (tried.min(), tried.max()):
        return True
    below, above = tried[tried < best].max(), tried[tried > best].min()
    return leaves_decades and best / below > WIDE > above / best


def confounders(left: pd.DataFrame, right: pd.DataFrame, match: Sequence[str], compared: str) -> list[str]:
    """A caveat where rows alike in `match` differ in another factor than the compared one."""
    is_own = compared in TUNED_ALIKE and all((rows["rates"] == "own").all() for rows in (left, right))
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
