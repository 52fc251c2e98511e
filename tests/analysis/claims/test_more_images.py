"""The forecast of what more images bring: true to the law that made the numbers, and silent where noise hides it."""

import numpy as np
import pandas as pd
import pytest
from claim_rows import row

from analysis.claims.more_images import MULTIPLES, best_curve, describe, forecast
from analysis.evidence.schema import tidy

SIZES = (20, 40, 60, 80)


def law(size: float, scale: float = 0.1, exponent: float = 0.5, floor: float = 0.05) -> float:
    return 1 - (scale * (size / 80) ** -exponent + floor)


def curves(noise: float, units: int = 6, seed: int = 0, sizes: tuple[int, ...] = SIZES) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({size: law(size) + rng.normal(0, noise, units) for size in sizes})


def test_without_noise_the_law_is_carried_on() -> None:
    found = forecast(curves(1e-9))
    assert [one.multiple for one in found] == list(MULTIPLES)
    assert [one.dice for one in found] == pytest.approx([law(80 * multiple) for multiple in MULTIPLES], abs=1e-3)
    assert all(one.high - one.low < 1e-3 for one in found)


def test_its_interval_holds_the_truth_in_about_95_of_100() -> None:
    found = [forecast(curves(0.01, seed=seed), (2.0,))[0] for seed in range(100)]
    assert sum(one.low <= law(160) <= one.high for one in found) >= 88  # 95 and three standard errors
    assert np.median([one.high - one.low for one in found]) < 0.06


def test_more_images_never_forecast_less_dice_and_further_is_less_sure() -> None:
    found = forecast(curves(0.02, seed=3))
    assert sorted(one.dice for one in found) == [one.dice for one in found]
    widths = [one.high - one.low for one in found]
    assert widths[0] < widths[2]


@pytest.mark.parametrize(("units", "sizes"), [(2, SIZES), (6, (40, 80))])
def test_too_few_seeds_or_fractions_give_no_forecast(units: int, sizes: tuple[int, ...]) -> None:
    assert forecast(curves(0.01, units, sizes=sizes)) == []


def rows(noise: float, **failed: bool) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    found = [
        row("training_data", 0.5, optimizer=optimizer, train_percent=size, seed=seed)
        | {"own_val_dice": law(size) - worse + rng.normal(0, noise)}
        | (failed if optimizer == "adam" else {})
        for optimizer, worse in (("adam", 0.0), ("sgd", 0.05))
        for size in SIZES
        for seed in range(6)
    ]
    return tidy(found)


def test_the_optimizer_with_the_best_mean_speaks_and_one_that_failed_does_not() -> None:
    assert best_curve(rows(0.005))[0] == "adam"
    assert best_curve(rows(0.005, diverged=True))[0] == "sgd"


def test_the_page_says_it_in_words_or_why_it_cannot() -> None:
    said = describe(rows(0.004))
    assert "With adam val Dice is 0.8" in said
    assert "2 times: 0.8" in said
    assert "over 6 units" in said
    assert "the seeds differ too much" in describe(rows(0.3))
    assert "it takes 3 seeds at 3 training fractions" in describe(rows(0.01)[lambda known: known["seed"] < 2])
    assert describe(tidy([])) == ""
