"""A run's predictions as three thumbnails: its images, their truth, what it predicts. A picture in, pictures out."""

from dataclasses import dataclass

import cv2
import numpy as np

from training.data.images import Pixels
from training.data.pictures import GAP, cut_predictions

PARTS = ("val", "train")  # whose images a trial keeps predictions of: the first of each
SIDE = 80  # pixels of an image in a thumbnail
QUALITY = 30  # of WebP: a thumbnail of four takes some 2 KB, and a page has a hundred


@dataclass(frozen=True)
class Thumbnails:
    """Each the same images side by side, a WebP."""

    images: bytes
    truth: bytes
    predictions: bytes


def make_thumbnails(picture: bytes) -> Thumbnails | None:
    """The picture of predictions that a trial keeps, taken apart; None where there is none, or one of another make."""
    rows = cut_predictions(decode(picture)) if picture else []
    return Thumbnails(*map(_encode, zip(*rows, strict=True))) if rows else None


def to_webp(picture: bytes) -> bytes:
    """The same picture in a fifth of a PNG's bytes; one that is a WebP is left as it is."""
    if picture.startswith(b"RIFF"):
        return picture
    return cv2.imencode(".webp", decode(picture), [cv2.IMWRITE_WEBP_QUALITY, 70])[1].tobytes()


def decode(picture: bytes) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None, "a trial's own picture"
    return pixels.astype(np.uint8)


def _encode(parts: tuple[Pixels, ...]) -> bytes:
    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    small = [cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for part in parts]
    thumbnail = np.concatenate([piece for part in small for piece in (part, gap)][:-1], axis=1)
    return cv2.imencode(".webp", thumbnail, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes()
