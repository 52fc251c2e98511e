"""The report's 27 conclusions and ours beyond them, each checked by a rule against a tidy table.

No verdict is written down here.
"""

import pandas as pd

from analysis.claims import extensions, losses, optimizers, regularization, schedulers
from analysis.claims.verdicts import Claim, Verdict

CLAIMS: tuple[Claim, ...] = (*optimizers.CLAIMS, *schedulers.CLAIMS, *regularization.CLAIMS, *losses.CLAIMS)
ALL_CLAIMS: tuple[Claim, ...] = (*CLAIMS, *extensions.CLAIMS)


def check_claims(table: pd.DataFrame) -> dict[str, Verdict]:
    """Every claim's verdict on one table, printed or measured; by code."""
    return {claim.code: claim.check(table) for claim in ALL_CLAIMS}
