"""The promoted network on a device of torch's, such as a GPU: compiled, in the precision that the promotion chose.

An alternative to OpenVINO (openvino_network.py) for who has a GPU and torch in the service's environment. The
arithmetic is that of validation (training/network/step.py), with batch normalization folded away.
"""

from pathlib import Path

import numpy as np
import torch

from serving.inference.network import Infer, Probability
from training.data.images import Pixels
from training.network.step import forward
from training.network.unet import UNet, fold_batchnorm


def computed_precision(chosen: str) -> str:
    """int8 was made for OpenVINO: torch computes in bf16 instead."""
    return "fp32" if chosen == "fp32" else "bf16"


def load_torch_network(weights: Path, precision: str, device: str) -> Infer:
    """Pixels (n, h, w, c) -> probabilities (n, h, w), in fp32 or bf16. Compiled at the first call for each shape.

    Raises ValueError for a device that torch cannot use, and for a model that was promoted without its weights.
    """
    place = find_device(device)
    if not weights.is_dir():
        raise ValueError(f"{weights} is missing: the model was promoted for OpenVINO only; promote it again")
    model = fold_batchnorm(UNet.from_pretrained(weights)).to(place, memory_format=torch.channels_last)
    compiled = torch.compile(forward, dynamic=False)  # without CUDA graphs: those belong to one thread

    @torch.inference_mode()
    def infer(pixels: Pixels) -> Probability:
        batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(place)
        return np.asarray(compiled(model, batch, precision).sigmoid()[:, 0].cpu().numpy())

    return infer


def find_device(name: str) -> torch.device:
    """Raises ValueError, with the cure, for one that is unknown or not there."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"SEGMENT_DEVICE={name!r}: torch cannot use it ({reason}); leave it out for OpenVINO on the processor"
        ) from None
    return device
