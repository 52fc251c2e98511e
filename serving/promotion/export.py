"""A trained network as one artifact from pixels to probabilities; and the proof that it still says the same.

It holds everything between the resized image and the probability, so that who serves it needs no arithmetic of
ours. Knows torch, TorchScript and ONNX; nothing of runs, registries or requests.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor, nn

from serving.promotion.upsampling import compute_before_upsampling
from training.network.batches import EVALUATION_BATCH
from training.network.unet import UNet, fold_batchnorm

TOLERANCE = 1e-4  # of a probability. Folding and another order of sums in fp32 cost about 1e-6.
OPSET, IR_VERSION = 17, 8  # of ONNX: what runtimes of 2022 read too, such as those inside Fiji
ADDED_BY_WRITER = ("version", ".data/serialization_id")  # records of every file of torch's
EXAMPLE_SHAPE = (2, 48, 64)  # images, height, width; three numbers, because equal ones would be exported as one


class ExportedModel(nn.Module):
    """Pixels 0..255 in, probabilities of the foreground out.

    Batch normalization is folded away, and what can be computed before an upsampling is.
    """

    def __init__(self, model: UNet) -> None:
        super().__init__()
        self.model = compute_before_upsampling(fold_batchnorm(model))

    def forward(self, pixels: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
        normalized = (pixels - 127.5) / 63.75  # as training/network/batches.py does, on uint8 and in place
        probability: Tensor = self.model(normalized).sigmoid()
        return probability


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far an export is from the eager model on the same images."""

    largest: float  # of a probability, over all pixels
    flipped: int  # pixels on the other side of 0.5, though the eager model was clearly on one

    @property
    def tolerable(self) -> bool:
        return self.largest <= TOLERANCE and self.flipped == 0  # a nan is above every tolerance

    def __str__(self) -> str:
        return f"largest difference of a probability {self.largest:.1e}, {self.flipped} pixel(s) of the masks flipped"


def make_example(channels: int) -> NDArray[np.float32]:
    """Pixels to trace the model with."""
    images, height, width = EXAMPLE_SHAPE
    return np.full((images, channels, height, width), 128, np.float32)


def export_onnx(model: ExportedModel, channels: int, path: Path) -> None:
    """Write one ONNX file whose number of images, height and width are free.

    torch writes opset 20 and leaves in each node the lines of code it came from, with the folders of this machine.
    """
    free = torch.export.Dim.AUTO
    torch.onnx.export(
        model,
        (torch.from_numpy(make_example(channels)),),
        path,
        input_names=["pixels"],
        output_names=["probability"],
        dynamic_shapes=({0: free, 2: free, 3: free},),
        external_data=False,
        verbose=False,
    )
    written = onnx.version_converter.convert_version(onnx.load(path), OPSET)
    written.ir_version = IR_VERSION
    for part in (written.graph, *written.graph.node, *written.graph.value_info):
        part.ClearField("metadata_props")
    onnx.checker.check_model(written, full_check=True)
    onnx.save(written, path)


def export_torchscript(model: ExportedModel, channels: int, path: Path) -> None:
    """Write one TorchScript file, free as the ONNX file is, for programs that hold an older libtorch.

    What only a debugger reads is left out: it names the folders of this machine.
    """
    whole = path.with_suffix(".whole")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.export, its successor, is read by torch alone
        torch.jit.save(torch.jit.trace(model, torch.from_numpy(make_example(channels))), whole)
    reader, writer = torch._C.PyTorchFileReader(str(whole)), torch._C.PyTorchFileWriter(str(path))
    for name in reader.get_all_records():
        if not name.endswith(".debug_pkl") and name not in ADDED_BY_WRITER:
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    whole.unlink()


@torch.inference_mode()
def predict_module(module: nn.Module, images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
    """Probabilities from a module of pixels, such as MLflow gives back."""
    return torch.cat([module(batch.float().contiguous()) for batch in images.split(EVALUATION_BATCH)])


def compare(eager: Float[Tensor, "n 1 h w"], exported: Float[Tensor, "n 1 h w"]) -> Difference:
    clear = (eager - 0.5).abs() > TOLERANCE
    flipped = ((eager > 0.5) != (exported > 0.5)) & clear
    return Difference(largest=float((eager - exported).abs().max()), flipped=int(flipped.sum()))
