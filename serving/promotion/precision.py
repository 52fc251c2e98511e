"""Which numbers the promoted model computes in when it is served: the fastest that costs next to no validation Dice.

int8 is quantized by NNCF and calibrated on training images; what it costs depends on the trained network, so it is
measured for each one. Arrays in, a choice out; nothing of runs or requests.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from serving.inference.ensemble import dice_of
from serving.inference.network import MODEL, PRECISIONS, QUANTIZED
from serving.inference.openvino_network import load_network, servable

TOLERATED = 0.002  # validation Dice that a faster precision may cost
ALIKE = 0.99  # Dice of its masks with those of fp32, at least: else it is another model, better or worse
CALIBRATION = 100  # training images, at most

os.environ.setdefault("NNCF_CI", "1")  # NNCF would report its use to its makers


@dataclass(frozen=True, kw_only=True)
class Choice:
    precision: str
    val_dice: dict[str, float]  # of every precision that was tried


def choose(
    folder: Path,
    calibration: UInt8[Tensor, "n c h w"],
    images: UInt8[Tensor, "m c h w"],
    dice: Callable[[Tensor], float],
) -> Choice:
    """Quantize the model in `folder`, then try every precision on the validation images; `dice` scores probabilities.

    The int8 files stay only where int8 is chosen. A processor without bf16 serves fp32, and nothing else is tried.
    """
    if servable("bf16") == "fp32":
        return Choice(precision="fp32", val_dice={"fp32": dice(predict_served(folder, "fp32", images))})
    quantize(folder, calibration)
    probabilities = {precision: predict_served(folder, precision, images) for precision in PRECISIONS}
    found = {precision: dice(values) for precision, values in probabilities.items()}
    precision = next(
        name
        for name in PRECISIONS
        if found[name] >= found["fp32"] - TOLERATED and agreement(probabilities[name], probabilities["fp32"]) >= ALIKE
    )
    if precision != "int8":
        for suffix in (".xml", ".bin"):
            (folder / QUANTIZED).with_suffix(suffix).unlink()
    return Choice(precision=precision, val_dice=found)


def agreement(one: Float[Tensor, "n 1 h w"], other: Float[Tensor, "n 1 h w"]) -> float:
    """Dice of the two masks, the pixels of all images pooled; two empty ones agree."""
    return dice_of((one > 0.5).numpy(), (other > 0.5).numpy())


def quantize(folder: Path, images: UInt8[Tensor, "n c h w"]) -> None:
    """Write the int8 model beside the ONNX file."""
    import nncf

    pixels = [image[None].float().numpy() for image in images[:CALIBRATION]]
    model = openvino.Core().read_model(folder / MODEL)
    quantized = nncf.quantize(model, nncf.Dataset(pixels), subset_size=len(pixels))
    openvino.save_model(quantized, folder / QUANTIZED, compress_to_fp16=False)


def predict_served(folder: Path, precision: str, images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
    """Probabilities as the service will compute them: one image at a time."""
    infer = load_network(folder, precision, (images.shape[2], images.shape[3]))
    found = [infer(image.permute(0, 2, 3, 1).contiguous().numpy()) for image in images.split(1)]
    return torch.from_numpy(np.concatenate(found))[:, None]
