"""The four losses against hand-computed cases, torch, and smp; and their gradients where masks are empty or full."""

import math
from itertools import product

import pytest
import torch
from segmentation_models_pytorch.losses import DiceLoss
from torch import Tensor

from training.network.losses import bce_loss, dice_loss, inverse_dice_loss, make_loss, soft_dice, switching_loss
from training.study.trial import LOSSES, Trial


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def one_image(*values: float) -> Tensor:
    return torch.tensor([float(value) for value in values]).reshape(1, 1, 1, -1)


LOGITS = one_image(logit(0.9), logit(0.6), logit(0.2), logit(0.1))
TARGET = one_image(1, 0, 0, 1)
BCE = -(math.log(0.9) + math.log(0.4) + math.log(0.8) + math.log(0.1)) / 4
LD = 1 - 2 * (0.9 + 0.1) / (1.8 + 2)  # 2 |PT| / (|P| + |T|) of the foreground
LI = 1 - 2 * (0.4 + 0.8) / (2.2 + 2)  # and of the background


def loss(name: str, **factors: float) -> Tensor:
    trial = Trial(loss=name, optimizer="adam", lr=1e-3, epochs=1, **factors)  # type: ignore[arg-type]
    return make_loss(trial)(LOGITS, TARGET)


def test_bce_by_hand_is_a_mean_over_pixels() -> None:
    assert bce_loss(LOGITS, TARGET).item() == pytest.approx(BCE)


def test_dice_by_hand() -> None:
    assert dice_loss(LOGITS, TARGET).item() == pytest.approx(LD, abs=1e-5)
    assert inverse_dice_loss(LOGITS, TARGET).item() == pytest.approx(LI, abs=1e-5)


def test_the_four_losses_by_hand() -> None:
    assert loss("bce").item() == pytest.approx(BCE, abs=1e-5)
    assert loss("dice").item() == pytest.approx(BCE + LD, abs=1e-5)
    assert loss("inverse_dice").item() == pytest.approx(BCE + LD + LI, abs=1e-5)
    assert loss("switching").item() == pytest.approx(BCE + 0.75 * LD + 0.25 * LI, abs=1e-5)
    assert loss("switching", switching_tau=0.5).item() == pytest.approx(BCE + 0.25 * LD + 0.75 * LI, abs=1e-5)


def test_switching_loss_switches_on_the_batch_not_on_the_image() -> None:
    logits, target = LOGITS.repeat(2, 1, 1, 1), torch.cat([torch.ones_like(TARGET), torch.zeros_like(TARGET)])
    above, below = switching_loss(logits, target, 0.75, 0.49), switching_loss(logits, target, 0.75, 0.5)
    ld, li = dice_loss(logits, target), inverse_dice_loss(logits, target)
    torch.testing.assert_close(above, bce_loss(logits, target) + 0.75 * ld + 0.25 * li)
    torch.testing.assert_close(below, bce_loss(logits, target) + 0.25 * ld + 0.75 * li)


def test_dice_is_averaged_over_images_not_pooled() -> None:
    logits = torch.cat([one_image(9, 9, 9, 9), one_image(-9, -9, -9, 9)])
    target = torch.cat([one_image(1, 1, 1, 1), one_image(1, 1, 1, 1)])
    expected = [soft_dice(logits[i : i + 1].sigmoid(), target[i : i + 1]).item() for i in (0, 1)]
    assert dice_loss(logits, target).item() == pytest.approx(1 - sum(expected) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_losses_agree_with_torch_and_smp(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(1, 1, 16, 16, generator=generator)
    target = (torch.rand(1, 1, 16, 16, generator=generator) < 0.3).float()
    torch.testing.assert_close(bce_loss(logits, target), torch.nn.BCEWithLogitsLoss()(logits, target))
    smp_dice = DiceLoss("binary", smooth=0.0)
    torch.testing.assert_close(dice_loss(logits, target), smp_dice(logits, target))
    torch.testing.assert_close(inverse_dice_loss(logits, target), smp_dice(-logits, 1 - target))


@pytest.mark.parametrize(("name", "foreground"), list(product(LOSSES, (0.0, 1.0))))
def test_empty_and_full_masks_give_finite_gradients_that_point_to_the_mask(name: str, foreground: float) -> None:
    logits = torch.zeros(2, 1, 8, 8, requires_grad=True)
    trial = Trial(loss=name, optimizer="adam", lr=1e-3, epochs=1)
    make_loss(trial)(logits, torch.full((2, 1, 8, 8), foreground)).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert ((logits.grad < 0) == (foreground == 1)).all()


@pytest.mark.parametrize("name", LOSSES)
def test_confident_and_right_costs_nothing_and_confident_and_wrong_stays_finite(name: str) -> None:
    trial = Trial(loss=name, optimizer="adam", lr=1e-3, epochs=1)
    target = one_image(1, 1, 0, 0, 0, 0)
    sure = 200 * (2 * target - 1)
    assert make_loss(trial)(sure, target).item() == pytest.approx(0, abs=1e-5)
    assert 1 < make_loss(trial)(-sure, target).item() < 1e4
