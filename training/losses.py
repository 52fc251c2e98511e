"""The report's four losses: logits and targets in, one number out.

BCE is the mean over pixels. Soft Dice is computed per image, smoothed by 1e-6, then averaged over the batch.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from training.trial import Trial

SMOOTHING = 1e-6

Logits = Float[Tensor, "n 1 h w"]
Target = Float[Tensor, "n 1 h w"]
Loss = Callable[[Logits, Target], Float[Tensor, ""]]


def bce_loss(logits: Logits, target: Target) -> Float[Tensor, ""]:
    return F.binary_cross_entropy_with_logits(logits, target)


def dice_loss(logits: Logits, target: Target) -> Float[Tensor, ""]:
    """LD of arXiv:2008.03750: 1 - soft Dice of the foreground."""
    return 1 - soft_dice(logits.sigmoid(), target).mean()


def inverse_dice_loss(logits: Logits, target: Target) -> Float[Tensor, ""]:
    """LI of arXiv:2008.03750: 1 - soft Dice of the background."""
    return 1 - soft_dice((-logits).sigmoid(), 1 - target).mean()


def switching_loss(logits: Logits, target: Target, lam: float, tau: float) -> Float[Tensor, ""]:
    """BCE + lam LD + (1 - lam) LI where foreground exceeds tau of the batch's pixels, else the weights are swapped.

    Anand, Patel, Dang, Sethi 2020, arXiv:2008.03750. The switch looks at the batch, not at the image.
    """
    weight = torch.where(target.mean() > tau, lam, 1 - lam)
    dice, inverse_dice = dice_loss(logits, target), inverse_dice_loss(logits, target)
    return bce_loss(logits, target) + weight * dice + (1 - weight) * inverse_dice


def soft_dice(probability: Float[Tensor, "n 1 h w"], target: Target) -> Float[Tensor, " n"]:
    """Per image: 2 |PT| / (|P| + |T|); 1 where both are empty."""
    overlap = (probability * target).sum(dim=(1, 2, 3))
    total = probability.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    return (2 * overlap + SMOOTHING) / (total + SMOOTHING)


def make_loss(trial: Trial) -> Loss:
    """The loss of a trial, a function of (logits, target)."""
    losses: dict[str, Loss] = {
        "bce": bce_loss,
        "dice": lambda logits, target: bce_loss(logits, target) + dice_loss(logits, target),
        "inverse_dice": lambda logits, target: (
            bce_loss(logits, target) + dice_loss(logits, target) + inverse_dice_loss(logits, target)
        ),
        "switching": lambda logits, target: switching_loss(logits, target, trial.switching_lam, trial.switching_tau),
    }
    return losses[trial.loss]
