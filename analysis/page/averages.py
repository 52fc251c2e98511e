"""The report's average columns (Fig. 6, Fig. 11), for every study of several factors. A table in, lines out."""

from dataclasses import dataclass

import pandas as pd

from analysis.claims.labels import factor_label, number, value_label
from analysis.claims.rows import ALL_DATA
from analysis.page.tables import cell_factors
from training.study.studies import Study


@dataclass(frozen=True)
class Average:
    """A value of a factor, and means over the cells that have it, ready to be read."""

    factor: str
    value: str
    cells: int
    published_dice: str
    measured_dice: str
    published_loss: str
    measured_loss: str


def averages(study: Study, table: pd.DataFrame) -> list[Average]:
    """Of the rows that the report published, without those validated on training images.

    `table`: of analysis/page/tables.compare. None of a study that has one factor, searches, or is not the report's.
    """
    factors = cell_factors(study)
    if len(factors) < 2 or study.search_lr or not study.figure:
        return []
    rows = table[~table["extra"].astype(bool)]
    if "train_percent" in factors:
        rows = rows[rows["train_percent"] != ALL_DATA]
    scores = ["published_val_dice", "val_dice", "published_val_loss", "val_loss"]
    found = []
    for factor in factors:
        groups = rows.groupby(factor, sort=False)
        if len(groups) > 1:
            for value, group in groups:
                means = group[scores].mean().map(number)
                found.append(Average(factor_label(factor), value_label(factor, value), len(group), *means))
    return found
