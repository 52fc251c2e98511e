"""Training one trial: a generator of epochs.

`train` knows a model, a trial, images and a split. It neither logs nor prints, and what to do with an epoch (keep the
weights, stop, draw a bar) is its caller's business. A trial that turns non-finite raises Diverged.
"""

import ctypes
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from training.batches import DeviceSet, augment, equalize, make_target, normalize
from training.data.split import Split
from training.losses import foreground_share, make_loss
from training.metrics import Counts, Scores, concatenate, count, pool, score
from training.optim import make_optimizer, make_scheduler
from training.trial import Trial
from training.unet import UNet

EVALUATION_BATCH = 32


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
    val_empty_images: int  # validation images whose truth has no foreground
    val_predicted_percent: float  # of the validation pixels; 0 when the network predicts nothing
    switched_percent: float  # of the batches: foreground above switching_tau, so foreground Dice led
    epoch_seconds: float


def make_model(trial: Trial, channels: int, device: torch.device) -> UNet:
    """The trial's network with its seed's weights, the same on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trial.seed)
        model = UNet(channels, trial.width, trial.dropout)
    return model.to(device, memory_format=torch.channels_last)


def train(model: UNet, trial: Trial, images: DeviceSet, split: Split) -> Iterator[Epoch]:
    """Train in place, epoch by epoch. Raises Diverged once a loss is not finite."""
    optimizer = make_optimizer(trial, model.parameters())
    after_epoch = make_scheduler(trial, optimizer)
    loss_of = make_loss(trial)
    generator = torch.Generator().manual_seed(trial.seed)
    torch.manual_seed(trial.seed)  # dropout draws from the global generator and takes no other
    for number in range(1, trial.epochs + 1):
        start = time.perf_counter()
        model.train()
        lr = optimizer.param_groups[0]["lr"]
        losses, counts, owners, switched = [], [], [], []
        for batch, masks, owner in images.batches(split.train, trial.batch_size, generator):
            if trial.augment != "none":
                batch, masks = augment(batch, masks, generator)
            target, valid = make_target(masks, images.padded)
            if trial.equalize_masks:
                target = equalize(target, valid)
            logits = forward(model, batch, trial.precision)
            loss = loss_of(logits, target, valid)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach() * len(batch))
            counts.append(count(logits.detach(), masks))
            owners.append(owner)
            switched.append(foreground_share(target, valid) > trial.switching_tau)
        num_parts = sum(map(len, owners))
        train_loss = float(torch.stack(losses).sum()) / num_parts
        if not math.isfinite(train_loss):
            raise Diverged(f"train_loss={train_loss} in epoch {number}")
        validation = torch.Generator().manual_seed(number) if trial.augment == "both" else None
        val_loss, val_counts = evaluate(model, trial, images, split.val, validation)
        if not math.isfinite(val_loss):
            raise Diverged(f"val_loss={val_loss} in epoch {number}")
        after_epoch(val_loss)
        val: Scores = score(val_counts)
        yield Epoch(
            epoch=number,
            lr=lr,
            train_loss=train_loss,
            train_dice=score(pool(concatenate(counts), torch.cat(owners), split.train)).dice,
            val_loss=val_loss,
            val_dice=val.dice,
            val_global_dice=val.global_dice,
            val_soft_dice=val.soft_dice,
            val_iou=val.iou,
            val_precision=val.precision,
            val_recall=val.recall,
            val_empty_images=val.empty_images,
            val_predicted_percent=val.predicted_percent,
            switched_percent=100 * float(torch.stack(switched).float().mean()),
            epoch_seconds=time.perf_counter() - start,
        )


def forward(model: UNet, batch: Tensor, precision: str) -> Float[Tensor, "n 1 h w"]:
    """Logits in fp32 of a uint8 batch, computed in the trial's precision."""
    inputs = normalize(batch).contiguous(memory_format=torch.channels_last)
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=precision == "bf16"):
        logits: Tensor = model(inputs)
    return logits.float()


@torch.inference_mode()
def evaluate(
    model: UNet, trial: Trial, images: DeviceSet, indices: tuple[int, ...], augmentation: torch.Generator | None = None
) -> tuple[float, Counts]:
    """Mean loss over the parts of the images, and the images' counts in their order, in evaluation mode.

    `augmentation` transforms them first.
    """
    model.eval()
    loss_of = make_loss(trial)
    losses, counts, owners = [], [], []
    for batch, masks, owner in images.batches(indices, EVALUATION_BATCH, None):
        if augmentation is not None:
            batch, masks = augment(batch, masks, augmentation)
        logits = forward(model, batch, trial.precision)
        target, valid = make_target(masks, images.padded)
        if trial.equalize_masks:
            target = equalize(target, valid)
        losses.append(loss_of(logits, target, valid) * len(batch))
        counts.append(count(logits, masks))
        owners.append(owner)
    loss = float(torch.stack(losses).sum()) / sum(map(len, owners))
    return loss, pool(concatenate(counts), torch.cat(owners), indices)


@torch.inference_mode()
def predict(model: UNet, images: Tensor, precision: str) -> Float[Tensor, "n 1 h w"]:
    """Foreground probabilities of uint8 images (n, c, h, w)."""
    model.eval()
    return torch.cat([forward(model, batch, precision).sigmoid() for batch in images.split(EVALUATION_BATCH)])


def find_device(name: str) -> torch.device:
    """auto: CUDA where there is one, else the CPU. Raises ValueError for a device that is not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={name!r} is unknown; it must be auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda, but torch finds no CUDA device; use device=cpu, or check the driver")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def find_precision(name: str, device: torch.device) -> str:
    """auto: bf16 where the processor computes in it, else fp32."""
    if name not in ("auto", "fp32", "bf16"):
        raise ValueError(f"precision={name!r} is unknown; it must be auto, fp32 or bf16")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported() else "fp32"


def find_deterministic(text: str) -> bool:
    """Raises ValueError for anything but true and false."""
    if text not in ("true", "false"):
        raise ValueError(f"deterministic={text!r} is unknown; it must be true or false")
    return text == "true"


def set_deterministic(deterministic: bool) -> None:
    """The same trial, seed, device and number of threads then give the same epochs, bit for bit. Call it first.

    On the CPU they do so anyway. On a GPU it costs speed: cuDNN may then try no algorithms, and some sums are ordered.
    """
    if deterministic:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read when CUDA starts
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # we read none
    torch.backends.cudnn.benchmark = not deterministic


def keep_memory() -> None:
    """Ask glibc to keep freed pages: faulting them in again costs a third of an fp32 step. Call it first."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 256 << 20)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
                libc.mallopt(option, value)
