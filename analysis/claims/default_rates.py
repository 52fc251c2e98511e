"""Claims of our own on what the 2020 report did not ask: what a learning rate of its own is worth to an optimizer."""

from typing import Any

import pandas as pd

from analysis.claims.contrasts import VARIANCE, by_unit, complete, contrast
from analysis.claims.rows import select_rows
from analysis.claims.stats import spread_values
from analysis.claims.verdicts import Basis, claim
from training.study.studies import DEFAULT_LRS


def _own_and_default(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Val Dice at the optimizers' own rates and at their defaults, a row per unit; and the gaps of `complete`.

    An optimizer whose own rate is the default has one row, which stands for both.
    """
    is_default = rows["lr"] == rows["optimizer"].map(DEFAULT_LRS)
    default = by_unit(rows[is_default], ["optimizer"])
    tuned = by_unit(rows[~is_default], ["optimizer"]).reindex(index=default.index, columns=default.columns)
    both, gaps = complete(pd.concat({"own": tuned.fillna(default), "default": default}, axis="columns"))
    own: pd.DataFrame = both.xs("own", axis="columns")  # type: ignore[assignment]
    return own, both.xs("default", axis="columns"), gaps  # type: ignore[return-value]


@claim(
    "default_rates.1",
    "A learning rate of its own pays for an optimizer.",
    "Each optimizer's own rate less PyTorch's default, in the mean over the optimizers, lies above 0.",
)
def own_rate_pays(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "default_rates")
    if rows.empty:
        return Basis(missing="the study default_rates was not run")
    own, default, gaps = _own_and_default(rows)
    found = contrast("own rate less default", (own - default).mean(axis="columns"), **gaps)
    return Basis(contrasts=found, rows=rows)


@claim(
    "default_rates.2",
    "At default rates optimizers differ more than at rates of their own.",
    "The variance between the optimizers' true mean val Dice, at default rates less at rates of their own, lies above "
    "0 (jackknife over the seeds).",
    unit="Dice squared",
)
def defaults_set_apart(table: pd.DataFrame) -> Basis:
    rows = select_rows(table, "default_rates")
    if rows["optimizer"].nunique() < 2:
        return Basis(missing="no two optimizers were run at both rates")
    own, default, gaps = _own_and_default(rows)
    spread = spread_values(default) - spread_values(own)
    found = contrast("variance, defaults less own rates", spread, **gaps, **VARIANCE)
    return Basis(contrasts=found, rows=rows)


CLAIMS = (own_rate_pays, defaults_set_apart)
