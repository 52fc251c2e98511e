"""Training one trial: a generator of epochs.

`train` knows a training, images and a split. It neither logs nor prints, and what to do with an epoch (keep the
weights, stop, draw a bar) is its caller's business. A trial that turns non-finite raises Diverged.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

from training.data.split import Split
from training.network.batches import EVALUATION_BATCH, DeviceSet, augment
from training.network.metrics import Counts, Scores, concatenate, pool, summarize
from training.network.optim import make_optimizer, make_scheduler
from training.network.step import Step, forward, forward_pass
from training.network.unet import UNet
from training.study.trial import Trial


class Diverged(Exception):
    """The loss of a trial is no longer a finite number."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch left behind; the field names are the names of the MLflow metrics.

    train_* are running means over the epoch's batches in training mode; val_* are taken after it, in evaluation mode.
    train_loss and val_loss leave the weight-decay penalty out.
    """

    epoch: int  # from 1
    lr: float
    train_loss: float
    train_dice: float
    val_loss: float
    val_dice: float
    val_global_dice: float
    val_soft_dice: float
    val_iou: float
    val_precision: float
    val_recall: float
    val_empty_images: int  # validation images whose truth has no foreground; val_dice is a mean over the others
    val_false_alarms: int  # of these, the images in which any foreground is predicted
    val_all_foreground_dice: float  # val_dice of a prediction that is foreground everywhere
    val_predicted_percent: float  # of the validation pixels; 0 when the network predicts nothing
    switched_percent: float  # of the batches: foreground above switching_tau, so foreground Dice led
    epoch_seconds: float


def find_best(epochs: Sequence[Epoch]) -> Epoch:
    """The first of those with the highest validation Dice. It is nan where augmentation turned all foreground away."""
    return max(epochs, key=lambda epoch: -1.0 if math.isnan(epoch.val_dice) else epoch.val_dice)


def make_model(trial: Trial, channels: int, device: torch.device) -> UNet:
    """The trial's network with its seed's weights, the same on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trial.seed)
        model = UNet(channels, trial.width, trial.dropout)
    return model.to(device, memory_format=torch.channels_last)


@dataclass
class Training:
    """What the next epoch depends on, beside images and split. Between two epochs a checkpoint can hold all of it."""

    model: UNet
    trial: Trial
    optimizer: Optimizer
    after_epoch: Callable[[float], None]  # the schedule; told the validation loss
    generator: torch.Generator  # batch order and augmentation; dropout draws from torch's global one
    done: int = 0  # epochs


def begin(model: UNet, trial: Trial) -> Training:
    """A training before its first epoch; seeds torch's global generator, because dropout takes no other."""
    optimizer = make_optimizer(trial, model.parameters())
    torch.manual_seed(trial.seed)
    generator = torch.Generator().manual_seed(trial.seed)
    return Training(model, trial, optimizer, make_scheduler(trial, optimizer), generator)


def train(training: Training, images: DeviceSet, split: Split, compiled: Step = forward_pass) -> Iterator[Epoch]:
    """Train in place, epoch by epoch, from where the training is; batches of full size go through `compiled`.

    Raises Diverged once a loss is not finite. The host waits for the device once an epoch.
    """
    model, trial, optimizer, generator = training.model, training.trial, training.optimizer, training.generator
    for number in range(training.done + 1, trial.epochs + 1):
        start = time.perf_counter()
        model.train()
        lr = optimizer.param_groups[0]["lr"]
        losses, counts, image_index, switched = [], [], [], []
        for batch, masks, index in images.batches(split.train, trial.batch_size, generator):
            if trial.augment != "none":
                batch, masks = augment(batch, masks, generator)
            step = compiled if len(batch) == trial.batch_size else forward_pass
            loss, counted, fraction = step(model, trial, batch, masks, images.padded)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach() * len(batch))
            counts.append(counted)
            image_index.append(index)
            switched.append((fraction > trial.switching_tau).float())
        scores = summarize(pool(concatenate(counts), torch.cat(image_index), split.train))
        train_means = torch.stack([_mean(losses, image_index), torch.stack(switched).mean()])
        validation = torch.Generator().manual_seed(number) if trial.augment == "both" else None
        val_mean, val_counts = evaluate(model, trial, images, split.val, validation)
        values = torch.cat([train_means, scores[:1], val_mean[None], summarize(val_counts)]).tolist()
        train_loss, switched_fraction, train_dice, val_loss = values[:4]
        if not math.isfinite(train_loss):
            raise Diverged(f"train_loss={train_loss} in epoch {number}")
        if not math.isfinite(val_loss):
            raise Diverged(f"val_loss={val_loss} in epoch {number}")
        training.after_epoch(val_loss)
        training.done = number
        val = Scores.of(values[4:])
        yield Epoch(
            epoch=number,
            lr=lr,
            train_loss=train_loss,
            train_dice=train_dice,
            val_loss=val_loss,
            val_dice=val.dice,
            val_global_dice=val.global_dice,
            val_soft_dice=val.soft_dice,
            val_iou=val.iou,
            val_precision=val.precision,
            val_recall=val.recall,
            val_empty_images=val.empty_images,
            val_false_alarms=val.false_alarms,
            val_all_foreground_dice=val.all_foreground_dice,
            val_predicted_percent=val.predicted_percent,
            switched_percent=100 * switched_fraction,
            epoch_seconds=time.perf_counter() - start,
        )


@torch.inference_mode()
def evaluate(
    model: UNet, trial: Trial, images: DeviceSet, indices: tuple[int, ...], augmentation: torch.Generator | None = None
) -> tuple[Float[Tensor, ""], Counts]:
    """Mean loss over the tiles of the images, and the images' counts in their order, in evaluation mode.

    `augmentation` transforms them first.
    """
    model.eval()
    losses, counts, image_index = [], [], []
    for batch, masks, index in images.batches(indices, EVALUATION_BATCH, None):
        if augmentation is not None:
            batch, masks = augment(batch, masks, augmentation)
        loss, counted, _ = forward_pass(model, trial, batch, masks, images.padded)
        losses.append(loss * len(batch))
        counts.append(counted)
        image_index.append(index)
    return _mean(losses, image_index), pool(concatenate(counts), torch.cat(image_index), indices)


@torch.inference_mode()
def predict(model: UNet, images: Tensor, precision: str) -> Float[Tensor, "n 1 h w"]:
    """Foreground probabilities of uint8 images (n, c, h, w)."""
    model.eval()
    return torch.cat([forward(model, batch, precision).sigmoid() for batch in images.split(EVALUATION_BATCH)])


def _mean(losses: list[Tensor], image_index: list[Tensor]) -> Float[Tensor, ""]:
    """Of sums over batches, for each of the tiles in them."""
    return torch.stack(losses).sum() / sum(map(len, image_index))
