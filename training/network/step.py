"""What is computed from one batch: logits, loss and counts; eager, or compiled once for all trials of a shape.

torch.compile turns `forward_pass` and its gradient into a few fused kernels, replayed as CUDA graphs on a GPU. A graph
holds the addresses of the weights: so its caller keeps one network of each kind, and gives it each trial's weights in
place. Whatever cannot be compiled runs eagerly, with torch's own warning.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from training.network.batches import equalize, make_target, normalize
from training.network.losses import foreground_fraction, make_loss
from training.network.metrics import Counts, count
from training.network.rounded import RoundedConvolutions, has_no_bf16
from training.network.unet import UNet
from training.study.trial import Trial

VARIANTS = 64  # of the program: shapes, losses, dropouts; torch gives up compiling after 8

Passed = tuple[Float[Tensor, ""], Counts, Float[Tensor, ""]]  # loss, counts, the foreground's share
Step = Callable[[UNet, Trial, Tensor, Tensor, bool], Passed]


def forward_pass(
    model: UNet, trial: Trial, images: UInt8[Tensor, "n c h w"], masks: UInt8[Tensor, "n 1 h w"], padded: bool
) -> Passed:
    """The trial's loss, the counts of each image, and the share of the target that is foreground."""
    target, valid = make_target(masks, padded)
    if trial.equalize_masks:
        target = equalize(target, valid)
    logits = forward(model, images, trial.precision)
    return make_loss(trial)(logits, target, valid), count(logits.detach(), masks), foreground_fraction(target, valid)


def forward(model: UNet, batch: Tensor, precision: str) -> Float[Tensor, "n 1 h w"]:
    """Logits in fp32 of a uint8 batch, computed in the trial's precision."""
    inputs = normalize(batch).contiguous(memory_format=torch.channels_last)
    in_bf16 = precision == "bf16"
    rounded = RoundedConvolutions() if in_bf16 and has_no_bf16(batch.device) else nullcontext()
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=in_bf16), rounded:
        logits: Tensor = model(inputs)
    return logits.float()


def compile_step(device: torch.device, backend: Any = "inductor") -> Step:
    """`forward_pass`, compiled at its first call for each shape and each kind of trial."""
    torch._dynamo.config.recompile_limit = VARIANTS
    torch._dynamo.config.suppress_errors = True
    mode = "reduce-overhead" if device.type == "cuda" and backend == "inductor" else None
    compiled = torch.compile(forward_pass, dynamic=False, backend=backend, mode=mode)

    def step(model: UNet, trial: Trial, images: Tensor, masks: Tensor, padded: bool) -> Passed:
        torch.compiler.cudagraph_mark_step_begin()
        loss, counts, fraction = compiled(model, trial, images, masks, padded)
        return loss, Counts(counts.values.clone()), fraction.clone()  # a graph's next replay overwrites its outputs

    return step
