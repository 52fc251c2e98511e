"""The promoted model at work: an image of any size in, the probability of the foreground at that size out.

OpenVINO on the processor, or torch on a GPU that was asked for, in the precision that the promotion chose, so that the
same image always gives the same mask. Knows the files of a promotion and how an image is framed; nothing of requests
or stores.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from serving.inference.network import FACTS, WEIGHTS, Probability
from serving.inference.openvino_network import load_network, servable
from serving.inference.tiles import blend_tiles, starts
from training.data.framing import Frame, frame_image, join
from training.data.images import AUTO_CHANNELS, Pixels, to_channels

FLIPS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (0, 1))  # of test-time augmentation: axes that are mirrored

OnProgress = Callable[[int, int], None]  # tiles done, of how many; whatever it raises ends the work


def ignore(done: int, total: int) -> None:
    """Nobody wants to know."""


class Segmenter:
    """The promoted model, and how its input is prepared. May be called from several threads; one computes at a time.

    device: torch's name of the one that computes, such as cuda; without it OpenVINO does, on the processor. Raises
    ValueError for one that cannot be used.
    """

    def __init__(self, folder: Path, device: str = "") -> None:
        self.folder = folder
        facts = json.loads((folder / FACTS).read_text())
        self.frame, self.channels, self.threshold = Frame(**facts["frame"]), facts["channels"], facts["threshold"]
        self.image_max: float = facts["image_max"]  # of the training images; 0: theirs had 8 bits
        self.overrides_stated: bool = facts.get("image_max_overrides", False)  # what an upload states of its own range
        self.read_channels: str = facts.get("read_channels", AUTO_CHANNELS)
        if device:
            from serving.inference.torch_network import (  # torch may not be installed
                computed_precision,
                load_torch_network,
            )

            self.precision = computed_precision(facts["precision"])
            self._infer = load_torch_network(folder / WEIGHTS, self.precision, device)
        else:
            self.precision = servable(facts["precision"])
            self._infer = load_network(folder, self.precision, (self.frame.height, self.frame.width))
        self.computed_by = f"torch, {device}" if device else "OpenVINO, CPU"
        self._lock = threading.Lock()

    def probability(self, image: Pixels, *, tta: bool = False, progress: OnProgress = ignore) -> Probability:
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

        def predict(tiles: Pixels) -> Probability:
            with self._lock:
                found = self._infer(np.ascontiguousarray(tiles))
            count()
            return found

        if self.frame.fit == "tile" and max(height, width) > self.frame.image_size:
            return blend_tiles(image, self.frame.image_size, predict)
        return np.asarray(join(predict(frame_image(image, self.frame)), self.frame, height, width), np.float32)
