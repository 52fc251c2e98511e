"""Every value of a factor is compared with a fixed reference, all else alike."""

import pandas as pd
import pytest
from claim_rows import row

from analysis.claims.comparisons import COLUMNS, compare_with_reference
from analysis.evidence.schema import tidy
from training.study.studies import STUDIES


def compared(study: str, rows: list[dict[str, object]]) -> pd.DataFrame:
    return compare_with_reference(STUDIES[study], tidy(rows)).set_index("value", drop=False)


def dropout_rows(seeds: int = 1) -> list[dict[str, object]]:
    """Dropout 0.2 gains 0.1 at 20 % and loses 0.3 at 80 %; dropout 0.5 loses 0.2 everywhere."""
    lost = {(0.2, 20): -0.1, (0.2, 80): 0.3, (0.5, 20): 0.2, (0.5, 80): 0.2}
    return [
        row("dropout", 0.7 - lost.get((dropout, percent), 0), dropout=dropout, train_percent=percent, seed=seed)
        for dropout in (0.5, 0.2, 0.0)
        for percent in (20, 80)
        for seed in range(seeds)
    ]


def test_the_reference_is_the_plain_value_and_not_the_best() -> None:
    table = compared("dropout", dropout_rows(seeds=3))
    assert list(table.loc[[0.2, 0.5], "reference"]) == [0.0, 0.0]
    assert table.loc[0.2, "effect"] == pytest.approx(-0.1)
    assert (table.loc[0.2, "low"], table.loc[0.2, "high"]) == pytest.approx((-0.1, -0.1)), "each seed says the same"
    assert (table.loc[0.2, "wins"], table.loc[0.2, "units"]) == (0, 3)


def test_a_study_without_the_plain_value_takes_its_first() -> None:
    rows = [row("schedulers_by_data", 0.5, scheduler="step"), row("schedulers_by_data", 0.6, scheduler="plateau")]
    assert list(compared("schedulers_by_data", rows)["reference"]) == ["step"]


def test_p_values_are_adjusted_over_the_values_of_a_factor() -> None:
    rows = [fields for fields in dropout_rows(seeds=3) if fields["train_percent"] == 80]
    for fields in rows:
        fields["val_dice"] += 0.1 * fields["seed"] * (fields["dropout"] == 0.5)  # differences of -0.2, -0.1 and 0
    table = compared("dropout", rows)
    assert table.loc[0.5, "effect"] == pytest.approx(-0.1)
    assert table.loc[0.5, "p"] == pytest.approx(0.2254, abs=1e-4)  # t = 1.732 with 2 degrees of freedom
    assert table.loc[0.2, "p"] == 0.25, "without any spread the signs of three seeds are all that is known"
    assert list(table["p_holm"]) == pytest.approx([0.4508, 0.4508], abs=1e-4)
    assert (table.loc[0.5, "units"], table.loc[0.5, "runs"]) == (3, 6)


def test_rows_validated_on_training_images_and_searches_are_not_compared() -> None:
    rows = [row("training_data", 0.5, train_percent=80), row("training_data", 0.9, train_percent=100)]
    assert compared("training_data", rows).empty
    assert list(compared("learning_rate", [row("learning_rate", 0.5), row("learning_rate", 0.6, lr=1e-2)])) == COLUMNS
