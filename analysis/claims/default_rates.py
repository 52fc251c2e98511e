"""Claims of our own on what the 2020 report did not ask: what a learning rate of its own is worth to an optimizer."""

import pandas as pd

from analysis.claims.contrasts import ABOVE, by_unit, complete, contrast, spread_values
from analysis.claims.rows import select_rows
from analysis.claims.verdicts import Basis, claim
from training.study.studies import DEFAULT_LRS


def _arms(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, int]:
    """Val Dice at the optimizers' own rates and at their defaults, a row per unit; the rows read; units dropped.

    An optimizer whose own rate is the default has one row, which stands for both.
    """
    rows = select_rows(table, "default_rates")
    is_default = rows["lr"] == rows["optimizer"].map(DEFAULT_LRS)
    default = by_unit(rows[is_default], ["optimizer"])
    tuned = by_unit(rows[~is_default], ["optimizer"]).reindex(index=default.index, columns=default.columns)
    both, dropped = complete(pd.concat({"own": tuned.fillna(default), "default": default}, axis="columns"))
    own: pd.DataFrame = both.xs("own", axis="columns")  # type: ignore[assignment]
    return own, both.xs("default", axis="columns"), rows, dropped  # type: ignore[return-value]


@claim(
    "default_rates.1",
    "A learning rate of its own pays for an optimizer.",
    "Each optimizer's own rate less PyTorch's default, in the mean over the optimizers, lies above 0.",
)
def own_rate_pays(table: pd.DataFrame) -> Basis:
    if select_rows(table, "default_rates").empty:
        return Basis(missing="the study default_rates was not run")
    tuned, default, rows, dropped = _arms(table)
    found = contrast("own rate less default", (tuned - default).mean(axis="columns"), claimed=ABOVE, dropped=dropped)
    return Basis(contrasts=found, rows=rows)


@claim(
    "default_rates.2",
    "At default rates optimizers differ more than at rates of their own.",
    "The variance between the optimizers' true mean val Dice, at default rates less at rates of their own, lies above "
    "0 (jackknife over the seeds).",
    unit="Dice squared",
)
def defaults_set_apart(table: pd.DataFrame) -> Basis:
    if select_rows(table, "default_rates")["optimizer"].nunique() < 2:
        return Basis(missing="no two optimizers were run at both rates")
    tuned, default, rows, dropped = _arms(table)
    spread = spread_values(default) - spread_values(tuned)
    found = contrast("variance, defaults less own rates", spread, dropped=dropped, smallest=0.0, unit="Dice squared")
    return Basis(contrasts=found, rows=rows)


CLAIMS = (own_rate_pays, defaults_set_apart)
