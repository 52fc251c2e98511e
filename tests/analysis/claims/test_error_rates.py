"""How often the engine is wrong, by simulation: where there is no effect it decides falsely in 5 % at most, and its
intervals cover what they say.
"""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.claims.claims import ALL_CLAIMS, check_claims
from analysis.claims.contrasts import Contrast, detectable, examine, power
from benchmarks.error_rates import NOISES, design, equal, false_rates

PAGES = 30
KINDS = (  # a claim of each kind: choice on other seeds, mean, order, most, interaction, extreme, spread, threshold
    *("learning_rate.1", "optimizers.2", "training_data.1", "schedulers.1", "dropout.2", "losses.1", "summary.1"),
    *("extensions.7", "weight_decay.2"),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "noise", [pytest.param(name, marks=[] if name == "failing" else pytest.mark.thorough) for name in NOISES]
)
def test_without_any_effect_a_claim_is_decided_falsely_in_5_percent_at_most(noise: str) -> None:
    """Each within what 30 tables allow (5 % and three standard errors), and all together within 2 points."""
    rates = false_rates([claim for claim in ALL_CLAIMS if claim.code in KINDS], noise, PAGES, seeds=6)
    assert max(rates.values()) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / PAGES), rates
    assert sum(rates.values()) / len(rates) <= 0.07, rates


@pytest.mark.slow
@pytest.mark.thorough
def test_a_page_without_any_effect_decides_none_of_its_claims_that_ask_for_one() -> None:
    """The false discovery rate of a page on which nothing is true is the chance of one false verdict at all."""
    rng, plain = np.random.default_rng(1), design(6)
    false = 0
    for _ in range(5):
        found = check_claims(equal(plain, rng))
        false += any(one.verdict == "supported" for code, one in found.items() if code in KINDS)
    assert false <= 1


def samples(noise: str, mean: float, units: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    if noise == "normal":
        return rng.normal(mean, 0.02, (count, units))
    return rng.normal(mean, 0.02 * np.linspace(0.3, 2, units), (count, units))  # seeds of unequal noise


@pytest.mark.parametrize("noise", ["normal", "unequal"])
@pytest.mark.parametrize("units", [3, 4, 6, 8])
def test_the_interval_of_an_assessment_covers_the_mean_in_95_percent(noise: str, units: int) -> None:
    """2,000 samples: 95 % and three standard errors."""
    found = [examine(Contrast(words="", per_unit=pd.Series(one))) for one in samples(noise, 0.03, units, 2000)]
    covered = sum(one.low <= 0.03 <= one.high for one in found) / len(found)
    assert covered >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_what_is_said_to_be_detectable_is_seen_in_4_of_5() -> None:
    effect = detectable(0.02, 6)
    found = [examine(Contrast(words="", per_unit=pd.Series(one))) for one in samples("normal", effect, 6, 1000)]
    seen = sum(one.low > 0 for one in found) / len(found)
    assert seen == pytest.approx(0.8, abs=0.04)
    assert power(effect, 0.02, 6) == pytest.approx(0.8, abs=1e-3)


def test_a_difference_at_the_edge_of_what_matters_is_called_nil_in_5_percent_at_most() -> None:
    found = [examine(Contrast(words="", per_unit=pd.Series(one))) for one in samples("normal", 0.01, 30, 1000)]
    assert sum(one.is_nil for one in found) / len(found) <= 0.05
