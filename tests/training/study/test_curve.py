"""What a learning curve says beside its best epoch, on curves that one can check by eye."""

import math

import pytest

from training.study.curve import epochs_to, roughness, tail_mean


def test_the_tail_is_the_last_tenth_and_at_least_one_epoch() -> None:
    assert tail_mean([0.1] * 18 + [0.5, 0.7]) == pytest.approx(0.6)
    assert tail_mean([0.1, 0.2, 0.9]) == 0.9
    assert tail_mean([0.4]) == 0.4


def test_a_smooth_curve_is_less_rough_than_a_wiggly_one_that_ends_alike() -> None:
    assert roughness([0.0, 0.2, 0.4, 0.6]) == pytest.approx(0.2)
    assert roughness([0.0, 0.6, 0.0, 0.6]) == pytest.approx(0.6)
    assert math.isnan(roughness([0.5]))


def test_a_target_that_is_never_reached_takes_all_epochs() -> None:
    assert epochs_to(0.5, [0.1, 0.5, 0.3, 0.9]) == 2
    assert epochs_to(0.95, [0.1, 0.5, 0.3, 0.9]) == 4
