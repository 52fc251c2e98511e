"""The promoted model at work: an image of any size in, the probability of the foreground at that size out.

OpenVINO on the processor, or torch on a GPU that was asked for, in the precision that the promotion chose, so that the
same image always gives the same mask. Knows the files of a promotion and how an image is framed; nothing of requests
or stores.
"""

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino
from numpy.typing import NDArray

from training.data.framing import Frame, frame_image, join
from training.data.images import AUTO_CHANNELS, Pixels, to_channels

MODEL, QUANTIZED, FACTS = "model.onnx", "model_int8.xml", "preprocessing.json"
WEIGHTS = "weights"  # a folder: the trained network, for torch
PRECISIONS = ("int8", "bf16", "fp32")  # the fastest first
HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}  # of int8, what the layers compute in that stay unquantized
OVERLAP = 4  # tiles overlap by a quarter of their side, and are blended there
FLIPS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (0, 1))  # of test-time augmentation: axes that are mirrored

Probability = NDArray[np.float32]
Infer = Callable[[Pixels], Probability]  # (n, h, w, c) -> (n, h, w)
Progress = Callable[[int, int], None]  # tiles done, of how many; whatever it raises ends the work


def ignore(done: int, total: int) -> None:
    """Nobody wants to know."""


class Segmenter:
    """The promoted model, and how its input is prepared. May be called from several threads; one computes at a time.

    device: torch's name of the one that computes, such as cuda; without it OpenVINO does, on the processor. Raises
    ValueError for one that cannot be used.
    """

    def __init__(self, folder: Path, device: str = "") -> None:
        facts = json.loads((folder / FACTS).read_text())
        self.frame, self.channels, self.threshold = Frame(**facts["frame"]), facts["channels"], facts["threshold"]
        self.image_max: float = facts["image_max"]  # of the training images; 0: theirs had 8 bits
        self.overrides_stated: bool = facts.get("image_max_overrides", False)  # what an upload states of its own range
        self.read_channels: str = facts.get("read_channels", AUTO_CHANNELS)
        if device:
            from serving.torch_network import computed_precision, load_torch_network  # torch may not be installed

            self.precision = computed_precision(facts["precision"])
            self._infer = load_torch_network(folder / WEIGHTS, self.precision, device)
        else:
            self.precision = servable(facts["precision"])
            self._infer = load_network(folder, self.precision, (self.frame.height, self.frame.width))
        self.computed_by = f"torch, {device}" if device else "OpenVINO, CPU"
        self._lock = threading.Lock()

    def probability(self, image: Pixels, *, tta: bool = False, progress: Progress = ignore) -> Probability:
        """(h, w, c) of any size -> (h, w): framed as in training, and back again.

        tta: the mean over the image and its three mirror images.
        """
        image = to_channels(image, self.channels)
        views = FLIPS if tta else FLIPS[:1]
        tiles = self.num_tiles(*image.shape[:2]) * len(views)
        done = 0

        def count() -> None:
            nonlocal done
            done += 1
            progress(done, tiles)

        progress(0, tiles)
        if not tta:
            return self._probability(image, count)
        total = np.zeros(image.shape[:2], np.float32)
        for axes in views:
            total += np.flip(self._probability(np.ascontiguousarray(np.flip(image, axes)), count), axes)
        total /= len(views)
        return total

    def num_tiles(self, height: int, width: int) -> int:
        """How many times the network computes for an image of this size."""
        if self.frame.fit != "tile":
            return 1
        size = self.frame.image_size
        return len(starts(max(height, size), size)) * len(starts(max(width, size), size))

    def warm_up(self) -> None:
        """Compile for the usual shape, so that the first request does not wait for it."""
        self.probability(np.zeros((self.frame.height, self.frame.width, self.channels), np.uint8))

    def _probability(self, image: Pixels, count: Callable[[], None]) -> Probability:
        height, width = image.shape[:2]

        def predict(parts: Pixels) -> Probability:
            with self._lock:
                found = self._infer(np.ascontiguousarray(parts))
            count()
            return found

        if self.frame.fit == "tile" and max(height, width) > self.frame.image_size:
            return blend_tiles(image, self.frame.image_size, predict)
        return np.asarray(join(predict(frame_image(image, self.frame)), self.frame, height, width), np.float32)


def servable(precision: str) -> str:
    """The precision itself, or fp32 on a processor without bf16."""
    has_bf16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return precision if precision == "fp32" or has_bf16 else "fp32"


def load_network(folder: Path, precision: str, size: tuple[int, int] | None = None) -> Infer:
    """Pixels (n, h, w, c) -> probabilities (n, h, w), in one of PRECISIONS.

    size: the height and width of all images, one at a time; to know them saves 4 % of the time. OpenVINO turns bytes
    into floats and moves the channels: in numpy that took as long as a fifth of the network.
    """
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


def blend_tiles(image: Pixels, size: int, predict: Callable[[Pixels], Probability]) -> Probability:
    """(h, w, c) -> (h, w): overlapping tiles of `size`, faded into each other, so that no seam shows.

    A tile at a time, so memory is that of the image and of its probability.
    """
    height, width, channels = image.shape
    padded_height, padded_width = max(height, size), max(width, size)
    if (padded_height, padded_width) != (height, width):
        borders = (0, padded_height - height, 0, padded_width - width)
        padded = cv2.copyMakeBorder(image, *borders, cv2.BORDER_REFLECT_101)
        image = padded.reshape(padded_height, padded_width, channels).astype(np.uint8)
    tops, lefts = starts(padded_height, size), starts(padded_width, size)
    ramp = fade(size)
    total = np.zeros((padded_height, padded_width), np.float32)
    for top in tops:
        for left in lefts:
            tile = predict(image[None, top : top + size, left : left + size])[0]
            total[top : top + size, left : left + size] += tile * ramp[:, None] * ramp
    total /= summed(ramp, tops, padded_height)[:, None]
    total /= summed(ramp, lefts, padded_width)
    return total[:height, :width]


def starts(length: int, size: int) -> list[int]:
    """Where tiles begin: the first and the last at the edges, evenly spread, overlapping by size / OVERLAP at least."""
    count = 1 + -(-(length - size) // (size - size // OVERLAP))
    return [round(k * (length - size) / (count - 1)) for k in range(count)] if count > 1 else [0]


def fade(size: int) -> NDArray[np.float32]:
    """A tile's weight along a side: 1 in its middle, falling to almost 0 over the overlap."""
    distance = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    return np.clip(distance / (size // OVERLAP), 0, 1).astype(np.float32)


def summed(ramp: NDArray[np.float32], begins: Iterable[int], length: int) -> NDArray[np.float32]:
    """The weights of all tiles along a side."""
    total = np.zeros(length, np.float32)
    for begin in begins:
        total[begin : begin + len(ramp)] += ramp
    return total
