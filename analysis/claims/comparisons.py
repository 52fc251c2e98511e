"""Every value of a factor against one reference, in the mean over the other factors. Tables in, a table out.

The reference is fixed beforehand, never the best one found: that one would win by having been chosen.
"""

from typing import Any

import pandas as pd

from analysis.claims.contrasts import difference, examine, two_sided
from analysis.claims.labels import value_label
from analysis.claims.looks import first_look
from analysis.claims.rows import ALL_DATA
from analysis.claims.stats import holm
from training.study.studies import Study

REFERENCE: dict[str, Any] = {  # the plain value; where a study has it not, its first one
    "loss": "bce",
    "optimizer": "adam",
    "scheduler": "none",
    "weight_decay": 0.0,
    "dropout": 0.0,
    "train_percent": 80,
    "augment": "none",
    "equalize_masks": False,
    "width": 16,
}
COLUMNS = [
    *("factor", "value", "reference", "effect", "low", "high"),
    *("wins", "units", "runs", "failed", "p", "p_holm"),
]


def compare_with_reference(study: Study, trials: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS, one row per value, compared by the mean difference in validation Dice; a diverged run counts as 0.

    With its 95 % interval over seeds (Student's t), the seeds in which it is above 0, trials of either value that
    collapsed or diverged, and the p value of the mean being 0, as it is and after Holm over the factor's values. Rows
    validated on their training images are left out, and so are seeds that were added while verdicts were open: a table
    that grows until it decides does so too often. A learning-rate search compares nothing.
    """
    trials = first_look(trials)
    rows = trials[(trials["study"] == study.name) & (trials["train_percent"] != ALL_DATA)]
    tables = [] if study.search_lr else [_compare(rows, factor, study) for factor in study.scientific]
    found = [table for table in tables if len(table)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)


def _compare(rows: pd.DataFrame, factor: str, study: Study) -> pd.DataFrame:
    values = list(dict.fromkeys(rows[factor].dropna()))
    if len(values) < 2:
        return pd.DataFrame(columns=COLUMNS)
    reference = REFERENCE.get(factor)
    if reference not in values:
        reference = values[0]
    match = [name for name in study.scientific if name != factor]
    compared = []
    for value in (value for value in values if value != reference):
        left, right = rows[rows[factor] == value], rows[rows[factor] == reference]
        for contrast in difference(value_label(factor, value), left, right, match):
            finding = examine(contrast)
            failed = left["collapsed"] | left["diverged"]
            failed_reference = right["collapsed"] | right["diverged"]
            row = {"factor": factor, "value": value, "reference": reference}
            row |= {"effect": finding.effect, "low": finding.low, "high": finding.high, "units": finding.units}
            row |= {"wins": int((contrast.per_unit > 0).sum()), "runs": len(left) + len(right)}
            row |= {"failed": int(failed.sum() + failed_reference.sum()), "p": two_sided(contrast)}
            compared.append(row)
    table = pd.DataFrame(compared)
    return table.assign(p_holm=holm(list(table["p"])))[COLUMNS] if compared else pd.DataFrame(columns=COLUMNS)
