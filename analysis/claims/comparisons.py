"""Every value of a factor against one reference, in pairs that are alike in the other factors. Tables in, a table out.

The reference is fixed beforehand, never the best one found: that one would win by having been chosen.
"""

from typing import Any

import pandas as pd

from analysis.claims.stats import holm, p_value, pair
from analysis.claims.verdicts import ALL_DATA
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
    *("factor", "value", "reference", "effect", "low", "high", "seed_low", "seed_high"),
    *("wins", "pairs", "runs", "failed", "p", "p_holm"),
]


def compare_with_reference(study: Study, trials: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS, one row per value: mean difference in validation Dice to the reference, 95 % intervals over pairs
    and over seeds, pairs won, trials of either value that collapsed or diverged, and the p value of the mean being 0,
    as it is and after Holm over the factor's values.

    Rows validated on their training images are left out. A learning-rate search compares nothing.
    """
    own = trials[(trials["study"] == study.name) & (trials["train_percent"] != ALL_DATA)]
    tables = [] if study.search_lr else [_compare(own, factor, study) for factor in study.scientific]
    found = [table for table in tables if len(table)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)


def _compare(own: pd.DataFrame, factor: str, study: Study) -> pd.DataFrame:
    values = list(dict.fromkeys(own[factor].dropna()))
    if len(values) < 2:
        return pd.DataFrame(columns=COLUMNS)
    reference = REFERENCE.get(factor)
    if reference not in values:
        reference = values[0]
    match = [name for name in study.scientific if name != factor]
    rows = []
    for value in (value for value in values if value != reference):
        found = pair(own[own[factor] == value], own[own[factor] == reference], match=match, compared=factor)
        if len(found):
            unit = found.differences if len(found) > 1 else found.runs["difference"]
            row = {"factor": factor, "value": value, "reference": reference, "effect": found.effect}
            row |= {"low": found.low, "high": found.high, "seed_low": found.seed_low, "seed_high": found.seed_high}
            failed = own[own[factor].isin((value, reference)) & (own["collapsed"] | own["diverged"])]
            row |= {"wins": found.wins, "pairs": len(found), "runs": len(found.runs), "p": p_value(unit)}
            row |= {"failed": len(failed)}
            rows.append(row)
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(list(table["p"])))[COLUMNS] if rows else pd.DataFrame(columns=COLUMNS)
