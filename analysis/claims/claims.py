"""The report's conclusions and ours beyond them, each checked by a rule against a tidy table.

No verdict is written down here.
"""

import pandas as pd

from analysis.claims import default_rates, extensions, losses, optimizers, regularization, schedulers
from analysis.claims.verdicts import Assessment, Claim, assess_all

CLAIMS: tuple[Claim, ...] = (*optimizers.CLAIMS, *schedulers.CLAIMS, *regularization.CLAIMS, *losses.CLAIMS)
ALL_CLAIMS: tuple[Claim, ...] = (*CLAIMS, *extensions.CLAIMS, *default_rates.CLAIMS)


def check_claims(table: pd.DataFrame, *, goes_on: bool = False) -> dict[str, Assessment]:
    """Every claim on one table, published or measured, judged among all of them; by code. goes_on: as of `assess`."""
    return assess_all(ALL_CLAIMS, table, goes_on=goes_on)
