"""Scores on masks one can count by eye, against smp's, and what empty masks score."""

import pytest
import torch
from segmentation_models_pytorch import metrics as smp
from torch import Tensor

from training.metrics import Scores, count, dice_per_image, score


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


def test_two_empty_masks_score_1_and_are_counted() -> None:
    found = scores(masks((0, 0), (0, 0), (1, 0)), masks((0, 0), (1, 0), (1, 0)))
    assert found.dice == pytest.approx((1 + 0 + 1) / 3)
    assert found.empty_images == 1


def test_a_false_alarm_on_an_empty_mask_scores_0() -> None:
    assert scores(masks((1, 0)), masks((0, 0))).dice == 0


def test_a_pixel_at_probability_one_half_is_background() -> None:
    assert dice_per_image(count(torch.zeros(1, 1, 1, 2), masks((0, 0)))).item() == 1


@pytest.mark.parametrize("seed", range(5))
def test_scores_agree_with_smp(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 1, 16, 16, generator=generator)
    truth = (torch.rand(6, 1, 16, 16, generator=generator) < 0.3).to(torch.uint8)
    truth[0] = 0
    logits[0] = -1
    stats = smp.get_stats(logits.sigmoid(), truth.long(), mode="binary", threshold=0.5)
    found = score(count(logits, truth))
    per_image = {"reduction": "micro-imagewise", "zero_division": 1.0}
    assert found.dice == pytest.approx(float(smp.f1_score(*stats, **per_image)))
    assert found.iou == pytest.approx(float(smp.iou_score(*stats, **per_image)))
    assert found.precision == pytest.approx(float(smp.precision(*stats, **per_image)))
    assert found.recall == pytest.approx(float(smp.recall(*stats, **per_image)))
    assert found.global_dice == pytest.approx(float(smp.f1_score(*stats, reduction="micro")))
