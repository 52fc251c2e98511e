"""What one training step takes: `python -m benchmarks.step_time [--device cuda] [--compile true] [--precision bf16]`.

The engine's own step (normalization, network, loss, counts, backward, optimizer), eager and, if asked, compiled, beside
the plain loop that a user would write: fp32, contiguous, images from the host for every batch. On a GPU each step is
waited for, so launches are not hidden behind each other, as they are in a study. bf16 on a processor without it is
measured as torch computes it, too.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor

from training.command.machine import find_device, find_precision, keep_memory
from training.network.engine import Training, begin, make_model
from training.network.rounded import has_no_bf16
from training.network.step import Passed, Step, compile_step, forward_pass
from training.network.unet import UNet
from training.study.trial import PRECISIONS, Trial

SHAPES = ((1, 128, 8), (3, 256, 8), (3, 256, 16))  # channels, pixels, images
STEPS, WARM = 20, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", default="false", choices=("false", "true"))
    parser.add_argument("--precision", default="auto", choices=("auto", *PRECISIONS))
    options = parser.parse_args()
    keep_memory()
    device = find_device(options.device)
    precision = find_precision(options.precision, device)
    steps: dict[str, Step] = {"eager": forward_pass}
    if precision == "bf16" and has_no_bf16(device):
        steps["torch's own"] = torchs_own
    if options.compile == "true":
        steps["compiled"] = compile_step(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{name}, {precision}, torch {torch.__version__}; medians of {STEPS} steps\n")
    print("| images | system | ms | plain loop / this |\n| --- | --- | --- | --- |")
    for channels, size, count in SHAPES:
        trial = Trial(loss="switching", optimizer="adam", lr=1e-3, epochs=1, image_size=size, batch_size=count)
        plain = measure_plain(trial, channels, device)
        rows = {"plain loop, fp32": plain}
        for system, step in steps.items():
            training = begin(make_model(trial, channels, device), trial.replace(precision=precision))
            rows[f"{system}, {precision}"] = measure(training, step, channels, device)
        for system, milliseconds in rows.items():
            print(
                f"| {count} of {channels}x{size}x{size} | {system} | {milliseconds:.2f} | {plain / milliseconds:.2f} |"
            )


def torchs_own(model: UNet, trial: Trial, images: Tensor, masks: Tensor, padded: bool) -> Passed:
    with mock.patch("training.network.step.has_no_bf16", return_value=False):
        return forward_pass(model, trial, images, masks, padded)


def measure(training: Training, step: Step, channels: int, device: torch.device) -> float:
    """Milliseconds of the engine's step, its images on the device."""
    trial = training.trial
    images, masks = batch(trial, channels)
    images, masks = images.to(device, memory_format=torch.channels_last), masks.to(device)

    def once() -> None:
        loss, _, _ = step(training.model, trial, images, masks, False)
        training.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        training.optimizer.step()

    return median_milliseconds(once, device)


def measure_plain(trial: Trial, channels: int, device: torch.device) -> float:
    """Milliseconds of the step as it is usually written."""
    model = make_model(trial, channels, device).to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.Adam(model.parameters(), trial.lr)
    images, masks = batch(trial, channels)
    loss_of = torch.nn.BCEWithLogitsLoss()

    def once() -> None:
        inputs, target = (images.float() / 255).to(device), masks.float().to(device)
        loss = loss_of(model(inputs), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return median_milliseconds(once, device)


def batch(trial: Trial, channels: int) -> tuple[Tensor, Tensor]:
    """Noise, and a fifth of it foreground."""
    generator = torch.Generator().manual_seed(0)
    shape = (trial.batch_size, channels, trial.image_size, trial.image_size)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return images, (torch.rand(shape[0], 1, *shape[2:], generator=generator) < 0.2).to(torch.uint8)


def median_milliseconds(once: Callable[[], None], device: torch.device) -> float:
    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(WARM):
        once()
    took = []
    for _ in range(STEPS):
        wait()
        start = time.perf_counter()
        once()
        wait()
        took.append(1e3 * (time.perf_counter() - start))
    return statistics.median(took)


if __name__ == "__main__":
    main()
