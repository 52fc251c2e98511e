"""The average columns of Fig. 6 and Fig. 11, computed anew."""

import pytest

from analysis.evidence.schema import load_published, tidy
from analysis.page.averages import averages
from analysis.page.tables import compare
from training.study.studies import STUDIES


def published(study: str, factor: str) -> dict[str, tuple[str, str]]:
    found = averages(STUDIES[study], compare(STUDIES[study], load_published(), tidy([])))
    return {one.value: (one.published_dice, one.published_loss) for one in found if one.factor == factor}


def test_fig_6_averages_are_those_that_the_report_publishes() -> None:
    assert published("schedulers", "scheduler") == {
        "step": ("0.676", "0.259"),
        "plateau": ("0.688", "0.283"),
        "none": ("0.685", "0.370"),
    }


def test_fig_11_leaves_out_what_was_validated_on_training_images() -> None:
    by_scheduler = published("schedulers_by_data", "scheduler")
    assert float(by_scheduler["step"][0]) == pytest.approx(
        (0.4545 + 0.5718 + 0.6852 + 0.4323 + 0.5166 + 0.6995) / 6, abs=1e-3
    )
    assert "100" not in published("schedulers_by_data", "training data (%)")


def test_a_study_of_one_factor_has_none() -> None:
    assert averages(STUDIES["augmentation"], compare(STUDIES["augmentation"], load_published(), tidy([]))) == []
