"""From the bytes of an image to the bytes that answer it: decoded, computed, drawn. What requests and jobs share.

Counts what it sees for Prometheus, and times its stages. Knows no endpoint.
"""

import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
from fastapi import HTTPException
from fastapi.responses import StreamingResponse
from numpy.typing import NDArray
from prometheus_client import Histogram

from serving.endpoint.fields import JobOutput, Options, Output
from serving.endpoint.objects import find_objects, threshold_mask, to_coco, to_geojson
from serving.endpoint.uploads import decode
from serving.inference.ensemble import Ensemble
from serving.inference.segmenter import OnProgress, Segmenter, ignore
from training.data.images import Pixels, to_channels

PNG_LEVEL = 1  # of 9: a mask is small at any level, and the higher ones take longer than the network
OVERLAY_RGB, OVERLAY_SHARE = (230, 159, 0), 0.45
PIECE = 2**20  # bytes of a file that are sent at once

SECONDS = Histogram("segment_seconds", "Seconds from a decoded image to its answer", ["endpoint"])
MEGAPIXELS = Histogram(
    "segment_megapixels", "Size of images", buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 16, 64, 100)
)
FOREGROUND = Histogram("segment_foreground_share", "Share of foreground", buckets=[k / 20 for k in range(21)])


@dataclass
class Serving:
    """The model that answers, and what is known about it. Replaced as a whole when another one is promoted."""

    segmenter: Segmenter
    card: dict[str, Any]
    ensemble: Ensemble | None = None  # None: promoted without other networks, so nobody knows how well a mask fits


@dataclass
class ServerTiming:
    """Seconds by stage, for the header Server-Timing, which browsers show."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - begin

    def __str__(self) -> str:
        return ", ".join(f"{name};dur={1000 * seconds:.2f}" for name, seconds in self.seconds.items())


class Answer(NamedTuple):
    content: bytes
    media_type: str
    predicted_dice: float | None = None  # where it was asked for


@dataclass(frozen=True)
class Request:
    """What is asked of one image, and who answers. HTTPException 400 for a confidence that cannot be told."""

    serving: Serving
    output: JobOutput
    options: Options
    confidence: bool = False

    def __post_init__(self) -> None:
        if not self.confidence:
            return
        if self.serving.ensemble is None:
            why = self.serving.card.get("confidence", "an earlier version promoted the model; promote it again")
            raise HTTPException(400, f"confidence='true': how well a mask fits cannot be told: {why}")
        own = self.serving.segmenter.threshold
        if self.options.tta or self.options.threshold not in (None, own):
            given = "tta='true'" if self.options.tta else f"threshold='{self.options.threshold:g}'"
            raise HTTPException(
                400,
                f"confidence='true' with {given}: it is calibrated for masks at the model's own threshold, {own:g}, "
                "without tta; leave threshold and tta out",
            )

    def answer(
        self, data: bytes, name: str, endpoint: str, timing: ServerTiming, progress: OnProgress = ignore
    ) -> Answer:
        """HTTPException 400, 413 or 415 with what is wrong."""
        with timing.stage("decode"):
            pixels = decode(data, name, self.serving.segmenter, self.options)
            MEGAPIXELS.observe(pixels.shape[0] * pixels.shape[1] / 1e6)
        with SECONDS.labels(endpoint).time():
            with timing.stage("network"):
                probability = self.serving.segmenter.probability(pixels, tta=self.options.tta, progress=progress)
            predicted = None
            if self.confidence and self.serving.ensemble:
                with timing.stage("confidence"):
                    predicted = self.serving.ensemble.predict_dice(pixels, probability)
            with timing.stage("encode"):
                if self.output == "geojson" or self.output == "coco":
                    return Answer(self._list(probability), "application/json", predicted)
                return Answer(self._draw(pixels, probability, self.output), "image/png", predicted)

    def _mask(self, probability: NDArray[np.float32]) -> Pixels:
        """(h, w) of 0 and 1."""
        given = self.options.threshold
        threshold = self.serving.segmenter.threshold if given is None else given
        with answered_400():
            mask = threshold_mask(probability, threshold, self.options.min_size, split=self.options.split)
        FOREGROUND.observe(cv2.countNonZero(mask) / mask.size)
        return mask

    def _list(self, probability: NDArray[np.float32]) -> bytes:
        mask = self._mask(probability)
        with answered_400():
            found = find_objects(mask, probability)
        written = (to_geojson if self.output == "geojson" else to_coco)(found, *mask.shape)
        return json.dumps(written, separators=(",", ":")).encode()

    def _draw(self, pixels: Pixels, probability: NDArray[np.float32], output: Output) -> bytes:
        if output == "probability":
            return png(cv2.convertScaleAbs(probability, alpha=255))
        mask = self._mask(probability)
        return png(mask * 255, one_bit=True) if output == "mask" else png(overlay(pixels, mask))


@contextmanager
def answered_400() -> Iterator[None]:
    """What objects refuse, as an answer: a ValueError says value, rule and cure."""
    try:
        yield
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


def overlay(pixels: Pixels, mask: Pixels) -> Pixels:
    """(h, w, 3) BGR: the image, tinted and outlined where the mask is. In bytes: floats would be too many."""
    drawn = cv2.cvtColor(to_channels(pixels, 3), cv2.COLOR_RGB2BGR)
    levels = np.arange(256)[:, None]
    tint = ((1 - OVERLAY_SHARE) * levels + OVERLAY_SHARE * np.array(OVERLAY_RGB[::-1])).astype(np.uint8)
    cv2.copyTo(cv2.LUT(drawn, tint[None]), mask, drawn)
    outline = mask - cv2.erode(mask, np.ones((3, 3), np.uint8))  # contours of noise would fill the memory
    drawn[outline > 0] = OVERLAY_RGB[::-1]
    return drawn.astype(np.uint8, copy=False)


def stream(file: BinaryIO, media_type: str) -> StreamingResponse:
    """An open file bit by bit, closed in the end; it may have no name any more."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)

    async def pieces() -> AsyncIterator[bytes]:
        with file:
            while piece := file.read(PIECE):
                yield piece

    return StreamingResponse(pieces(), media_type=media_type, headers={"content-length": str(length)})


def png(pixels: NDArray[Any], *, one_bit: bool = False) -> bytes:
    options = [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL, *((cv2.IMWRITE_PNG_BILEVEL, 1) if one_bit else ())]
    return cv2.imencode(".png", pixels, options)[1].tobytes()


def card_of(folder: Path, segmenter: Segmenter) -> dict[str, Any]:
    """The stored card, with what really computes on this machine, and in which precision."""
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    served = {"served_precision": segmenter.precision, "computed_by": segmenter.computed_by}
    read = {"image_max": segmenter.image_max or None, "read_channels": segmenter.read_channels}
    return card | served | read | {"frame": asdict(segmenter.frame)}
