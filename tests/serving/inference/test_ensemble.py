"""What the agreement of masks is, and the Dice that it stands for."""

import math

import numpy as np
import pytest

from serving.inference.ensemble import Calibration, dice_of

LEFT, TOP, NOTHING = np.array([[1, 0], [1, 0]]) > 0, np.array([[1, 1], [0, 0]]) > 0, np.zeros((2, 2), bool)

KNOWN = Calibration(dice_per_agreement=1.2, min_share=0.01, max_share=0.6)


def test_masks_agree_by_their_dice_and_two_empty_ones_wholly() -> None:
    assert dice_of(LEFT, LEFT) == 1
    assert dice_of(LEFT, TOP) == 0.5, "one pixel of two and two"
    assert dice_of(LEFT, ~LEFT) == dice_of(LEFT, NOTHING) == 0
    assert dice_of(NOTHING, NOTHING) == 1


def test_the_predicted_dice_is_in_proportion_and_at_most_1() -> None:
    assert KNOWN.predict_dice(0.5, share=0.2) == pytest.approx(0.6)
    assert KNOWN.predict_dice(0, share=0.2) == 0
    assert KNOWN.predict_dice(1, share=0.2) == 1


@pytest.mark.parametrize("share", [0.0, 0.009, 0.61, 1.0])
def test_networks_that_mark_nothing_or_everything_say_nothing_though_they_agree(share: float) -> None:
    assert math.isnan(KNOWN.predict_dice(1, share))
