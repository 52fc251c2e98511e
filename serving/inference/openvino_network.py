"""The promoted network in OpenVINO, on the processor: in fp32, bf16, or quantized to int8."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from serving.inference.network import MODEL, QUANTIZED, Infer

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}  # of int8, what the layers compute in that stay unquantized


def servable(precision: str) -> str:
    """The precision itself, or fp32 on a processor without bf16."""
    has_bf16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return precision if precision == "fp32" or has_bf16 else "fp32"


def load_network(folder: Path, precision: str, size: tuple[int, int] | None = None) -> Infer:
    """Pixels (n, h, w, c) -> probabilities (n, h, w), in one of PRECISIONS.

    size: the usual height and width, of one image at a time; to be compiled for it saves 4 % of the time. For any other
    the network is compiled again, when such an image comes first.
    """
    if size is None:
        return _compile(folder, precision)
    usual = _compile(folder, precision, size)

    @functools.cache
    def of_any_size() -> Infer:
        return _compile(folder, precision)

    return lambda pixels: usual(pixels) if pixels.shape[:3] == (1, *size) else of_any_size()(pixels)


def _compile(folder: Path, precision: str, size: tuple[int, int] | None = None) -> Infer:
    """OpenVINO turns bytes into floats and moves the channels: in numpy that took as long as a fifth of the network."""
    core = openvino.Core()
    model = core.read_model(folder / (QUANTIZED if precision == "int8" else MODEL))
    if size:
        model.reshape([1, model.input().partial_shape[1].get_length(), *size])
    prepared = openvino.preprocess.PrePostProcessor(model)
    prepared.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    prepared.input().model().set_layout(openvino.Layout("NCHW"))
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(prepared.build(), "CPU", options).create_infer_request()
    return lambda pixels: np.asarray(request.infer({0: pixels})[0], np.float32)[:, 0].copy()
