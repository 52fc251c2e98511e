"""Scores on masks one can count by eye, against smp's, and what images without foreground are counted as."""

import math

import pytest
import torch
from segmentation_models_pytorch import metrics as smp
from torch import Tensor

from training.data.framing import OUTSIDE
from training.network.metrics import Scores, count, dice_per_image, score


def masks(*rows: tuple[int, ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.uint8).reshape(len(rows), 1, 1, -1)


def scores(predicted: Tensor, truth: Tensor) -> Scores:
    return score(count(20.0 * predicted.float() - 10, truth))


def test_scores_by_hand() -> None:
    found = scores(masks((1, 1, 0, 0), (1, 0, 0, 0)), masks((1, 0, 1, 0), (1, 0, 0, 0)))
    assert found.dice == pytest.approx((0.5 + 1) / 2)
    assert found.global_dice == pytest.approx(2 * 2 / (3 + 3))
    assert found.iou == pytest.approx((1 / 3 + 1) / 2)
    assert found.precision == pytest.approx((1 / 2 + 1) / 2)
    assert found.recall == pytest.approx((1 / 2 + 1) / 2)
    assert found.soft_dice == pytest.approx(found.dice, abs=1e-3)
    assert found.all_foreground_dice == pytest.approx((2 * 2 / (4 + 2) + 2 * 1 / (4 + 1)) / 2)
    assert (found.empty_images, found.false_alarms) == (0, 0)


def test_means_leave_images_without_foreground_out_and_count_them() -> None:
    """Five images without foreground, of which two raise a false alarm, beside one found by half."""
    empty = masks(*[(0, 0, 0, 0)] * 5, (1, 1, 0, 0))
    found = scores(masks((0, 0, 0, 0), (1, 0, 0, 0), (0, 0, 0, 0), (1, 1, 1, 1), (0, 0, 0, 0), (1, 0, 0, 0)), empty)
    assert (found.empty_images, found.false_alarms) == (5, 2)
    assert found.dice == pytest.approx(2 * 1 / (1 + 2))
    assert found.soft_dice == pytest.approx(found.dice, abs=1e-3)
    assert found.iou == pytest.approx(1 / 2)
    assert found.precision == 1
    assert found.recall == pytest.approx(1 / 2)
    assert found.all_foreground_dice == pytest.approx(2 * 2 / (4 + 2))
    assert found.global_dice == pytest.approx(2 * 1 / (6 + 2)), "pools all pixels, those of false alarms too"
    assert found.predicted_percent == pytest.approx(100 * 6 / 24)


def test_predicting_nothing_on_mostly_empty_images_earns_nothing() -> None:
    truth = masks(*[(0, 0, 0, 0)] * 5, (1, 1, 0, 0))
    found = scores(torch.zeros_like(truth), truth)
    assert found.dice == found.iou == found.recall == found.global_dice == found.predicted_percent == 0
    assert found.soft_dice == pytest.approx(0, abs=1e-3)
    assert found.false_alarms == 0


def test_the_dice_of_an_image_without_foreground_is_nan_whatever_is_predicted() -> None:
    truth = masks((0, 0), (0, 0), (1, 0))
    found = dice_per_image(count(20.0 * masks((0, 0), (1, 1), (1, 0)).float() - 10, truth)).tolist()
    assert math.isnan(found[0])
    assert math.isnan(found[1])
    assert found[2] == 1


def test_without_any_foreground_the_means_are_nan_and_false_alarms_are_counted() -> None:
    found = scores(masks((1, 0), (0, 0)), masks((0, 0), (0, 0)))
    assert math.isnan(found.dice)
    assert math.isnan(found.soft_dice)
    assert (found.empty_images, found.false_alarms) == (2, 1)


def test_an_image_of_which_no_pixel_counts_is_neither_empty_nor_scored() -> None:
    nothing_counts = masks((OUTSIDE, OUTSIDE), (1, 0), (OUTSIDE, 0))
    found = scores(masks((1, 1), (1, 0), (1, 0)), nothing_counts)
    assert (found.dice, found.empty_images, found.false_alarms) == (1, 1, 0)
    assert found.predicted_percent == pytest.approx(100 / 3)
    assert scores(masks((1, 1)), masks((OUTSIDE, OUTSIDE))).predicted_percent == 0


def test_a_pixel_at_probability_one_half_is_background() -> None:
    assert dice_per_image(count(torch.zeros(1, 1, 1, 2), masks((1, 0)))).item() == 0
    assert score(count(torch.zeros(1, 1, 1, 2), masks((0, 0)))).false_alarms == 0


@pytest.mark.parametrize("seed", range(5))
def test_scores_agree_with_smp_on_the_images_that_have_foreground(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 1, 16, 16, generator=generator)
    truth = (torch.rand(6, 1, 16, 16, generator=generator) < 0.3).to(torch.uint8)
    truth[0] = 0
    logits[1] = -1
    stats = smp.get_stats(logits.sigmoid(), truth.long(), mode="binary", threshold=0.5)
    with_foreground = [values[1:] for values in stats]
    found = score(count(logits, truth))
    per_image = {"reduction": "micro-imagewise", "zero_division": 1.0}
    assert found.dice == pytest.approx(float(smp.f1_score(*with_foreground, **per_image)))
    assert found.iou == pytest.approx(float(smp.iou_score(*with_foreground, **per_image)))
    assert found.precision == pytest.approx(float(smp.precision(*with_foreground, **per_image)))
    assert found.recall == pytest.approx(float(smp.recall(*with_foreground, **per_image)))
    assert found.global_dice == pytest.approx(float(smp.f1_score(*stats, reduction="micro")))


@pytest.mark.parametrize("num_images", [1, 2, 7, 54])
def test_where_all_images_have_foreground_the_dice_is_their_plain_mean_bit_for_bit(num_images: int) -> None:
    generator = torch.Generator().manual_seed(num_images)
    truth = (torch.rand(num_images, 1, 16, 16, generator=generator) < 0.3).to(torch.uint8)
    counts = count(torch.randn(num_images, 1, 16, 16, generator=generator), truth)
    assert score(counts).dice == dice_per_image(counts).mean().item()
