"""The report's four losses: logits and targets in, one number out.

BCE is the mean over pixels. Soft Dice is computed per image, smoothed by 1e-6, then averaged over the batch. `valid` is
1 for the pixels that count and 0 for those that do not (beyond an image, or of no known truth); None where all count,
which saves passes over the batch. Pixels that do not count have no gradient; where none counts, BCE is 0.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from training.study.trial import Trial

SMOOTHING = 1e-6

Logits = Float[Tensor, "n 1 h w"]
Target = Float[Tensor, "n 1 h w"]
Valid = Float[Tensor, "n 1 h w"] | None
Loss = Callable[..., Float[Tensor, ""]]  # of logits, target and valid


def bce_loss(logits: Logits, target: Target, valid: Valid = None) -> Float[Tensor, ""]:
    if valid is None:
        return F.binary_cross_entropy_with_logits(logits, target)
    return F.binary_cross_entropy_with_logits(logits, target, valid, reduction="sum") / valid.sum().clamp(min=1)


def dice_loss(logits: Logits, target: Target, valid: Valid = None) -> Float[Tensor, ""]:
    """LD of arXiv:2008.03750: 1 - soft Dice of the foreground."""
    return 1 - soft_dice(logits.sigmoid(), target, valid).mean()


def inverse_dice_loss(logits: Logits, target: Target, valid: Valid = None) -> Float[Tensor, ""]:
    """LI of arXiv:2008.03750: 1 - soft Dice of the background."""
    return 1 - soft_dice((-logits).sigmoid(), 1 - target, valid).mean()


def switching_loss(logits: Logits, target: Target, lam: float, tau: float, valid: Valid = None) -> Float[Tensor, ""]:
    """BCE + lam LD + (1 - lam) LI where foreground exceeds tau of the batch's pixels, else the weights are swapped.

    Anand, Patel, Dang, Sethi 2020, arXiv:2008.03750. The switch looks at the batch, not at the image.
    """
    weight = torch.where(foreground_fraction(target, valid) > tau, lam, 1 - lam)
    dice, inverse_dice = dice_loss(logits, target, valid), inverse_dice_loss(logits, target, valid)
    return bce_loss(logits, target, valid) + weight * dice + (1 - weight) * inverse_dice


def foreground_fraction(target: Target, valid: Valid = None) -> Float[Tensor, ""]:
    """Of the batch's pixels."""
    return target.mean() if valid is None else (target * valid).sum() / valid.sum().clamp(min=1)


def soft_dice(probability: Float[Tensor, "n 1 h w"], target: Target, valid: Valid = None) -> Float[Tensor, " n"]:
    """Per image: 2 |PT| / (|P| + |T|); 1 where both are empty."""
    if valid is not None:
        probability, target = probability * valid, target * valid
    overlap = (probability * target).sum(dim=(1, 2, 3))
    total = probability.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    return (2 * overlap + SMOOTHING) / (total + SMOOTHING)


def make_loss(trial: Trial) -> Loss:
    """The loss of a trial, a function of (logits, target, valid)."""
    losses: dict[str, Loss] = {
        "bce": bce_loss,
        "dice": lambda *batch: bce_loss(*batch) + dice_loss(*batch),
        "inverse_dice": lambda *batch: bce_loss(*batch) + dice_loss(*batch) + inverse_dice_loss(*batch),
        "switching": lambda logits, target, valid=None: switching_loss(
            logits, target, trial.switching_lam, trial.switching_tau, valid
        ),
    }
    return losses[trial.loss]
