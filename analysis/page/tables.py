"""Per study, the report's published numbers beside the measured ones. Tidy tables in, one table out; nothing drawn."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.claims.labels import cell_label, variant_label
from analysis.claims.optimizers import best_learning_rates
from analysis.claims.stats import interquartile_mean
from analysis.evidence.schema import ADDED
from training.study.studies import Study, baseline_from_report

PUBLISHED = ("val_dice", "train_dice", "val_loss", "train_loss", "lr")  # shown as published_*
MEANS = ("train_dice", "val_loss", "train_loss", "best_epoch", "epochs_to_converge", "seconds", *ADDED)


MAX_FACTORS = 3  # with more, a study changes one thing at a time, and a cell is named by its change


def cell_names(study: Study, table: pd.DataFrame) -> list[str]:
    """The rows of `compare` in words."""
    factors, rows = cell_factors(study), table.to_dict("records")
    if len(factors) > MAX_FACTORS:
        return [variant_label(row, rows[0], factors) for row in rows]
    return [cell_label(row, factors) for row in rows]


def cell_factors(study: Study) -> list[str]:
    """The factors that name a row of the study's table; a learning-rate search is one row."""
    return [factor for factor in study.scientific if not (study.search_lr and factor == "lr")]


def compare(study: Study, published: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """One row per cell, in the report's order: factors, extra, published_*, then measured means, sd, iqm, n, runs.

    `extra` marks rows the report has not. `val_dice` is the mean over n runs, `sd` theirs (n - 1; nan for one run),
    `iqm` their interquartile mean (nan below four runs); `run_id` is the first of them.
    A learning-rate search shows its best learning rate as `lr`, and n counts the runs at it.
    """
    by = cell_factors(study)
    published = published[published["study"] == study.name]
    measured = measured[measured["study"] == study.name]
    if study.search_lr:
        best = best_learning_rates(measured)[[*by, "lr"]]
        measured = measured.merge(best, on=[*by, "lr"])
    published = published[[*by]].join(published[list(PUBLISHED)].add_prefix("published_"))
    table = (
        _rows(study, by, measured).merge(published, on=by, how="left").merge(_means(measured, by), on=by, how="left")
    )
    counts = ["n", "collapsed", "diverged"]
    table[counts] = table[counts].fillna(0).astype(int)
    return table


def _rows(study: Study, by: list[str], measured: pd.DataFrame) -> pd.DataFrame:
    """The study's cells in table order; then any that were measured but are not among them.

    A study that the report has not starts from what others settled, so once it ran, its cells are those that ran: in
    the order of their factors, or where one thing is changed at a time, that one first from which all differ.
    """
    listed: list[dict[str, Any]] = [
        {factor: row.factors[factor] for factor in by} | {"extra": row.extra}
        for row in study.rows(baseline_from_report(study))
    ]
    others = measured[by].assign(extra=True)
    if len(others) and not study.figure:
        return by_change(others, by) if len(by) > MAX_FACTORS else others.drop_duplicates(by).sort_values(by)
    table = pd.concat([pd.DataFrame(listed).astype(others.dtypes[by].to_dict()), others])
    return table.drop_duplicates(by).reset_index(drop=True)


def by_change(cells: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Cells that differ from a common one in a factor each: that one (of the commonest values) first, once each."""
    cells = cells.drop_duplicates(list(factors))
    settled = {factor: cells[factor].mode()[0] for factor in factors}
    change = [
        tuple(k for k, factor in enumerate(factors) if row[factor] != settled[factor])
        for row in cells.to_dict("records")
    ]
    order = sorted(range(len(cells)), key=lambda k: change[k])
    return cells.iloc[order].reset_index(drop=True)


def _means(measured: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    cells = measured.groupby(by, sort=False, dropna=False)
    scores = cells["val_dice"].agg(val_dice="mean", sd="std", n="count")
    rates = cells[[name for name in ("lr",) if name not in by]].first()
    middle = cells["val_dice"].agg(interquartile_mean).rename("iqm")
    runs = cells[["experiment_id", "run_id", "parent_run_id"]].first()
    flags = cells[["collapsed", "diverged"]].sum()
    return pd.concat([scores, middle, rates, cells[list(MEANS)].mean(), flags, runs], axis=1).reset_index()
