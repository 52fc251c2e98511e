"""Outlines of annotations, drawn as COCO draws them, at the size they were made for. JSON in, masks out."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training.data.images import Pixels

MAX_DISTORTION = 0.02  # by which the two sides may be scaled differently: sizes are whole pixels


def decode_shape(text: str, size: tuple[int, int], path: Path, drawn_at: tuple[int, int] | None = None) -> Pixels:
    """(h, w) of 0 and 1, from a COCO segmentation in JSON: polygons, or run lengths, compressed or not.

    drawn_at: the (height, width) of the picture it was drawn on; None: the image's own size. A picture that was scaled
    since has its shapes scaled with it. Raises ValueError for what cannot be drawn, or was drawn on another picture.
    """
    from pycocotools import mask as coco

    shape = json.loads(text)
    if not (_are_polygons(shape) or _are_runs(shape)):
        raise ValueError(
            f"{path}: the segmentation {text[:60]!r} is neither polygons of at least three points (x, y, x, y, ...) "
            "nor run lengths with size and counts"
        )
    if isinstance(shape, dict):
        drawn_at = (int(shape["size"][0]), int(shape["size"][1]))
    elif drawn_at and drawn_at != size:
        shape = [_scaled(polygon, drawn_at, size) for polygon in shape]
    if drawn_at and not proportional(drawn_at, size):
        raise ValueError(
            f"{path}: a segmentation was drawn on a picture of {drawn_at[0]}x{drawn_at[1]} (height x width), but the "
            f"image is {size[0]}x{size[1]}, of another shape; give the picture that was annotated"
        )
    height, width = drawn_at if isinstance(shape, dict) and drawn_at else size
    try:
        compressed = isinstance(shape, dict) and isinstance(shape["counts"], str)
        codes = shape if compressed else coco.frPyObjects(shape, height, width)
        mask = np.asarray(coco.decode(coco.merge(codes) if isinstance(codes, list) else codes), np.uint8)
    except Exception as error:  # pycocotools raises plain Exception
        raise ValueError(f"{path}: the segmentation {text[:60]!r} cannot be drawn ({error})") from None
    return resize_mask(mask, size)


def proportional(drawn_at: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether one size is the other one scaled, up to the rounding of whole pixels."""
    tall, wide = size[0] / drawn_at[0], size[1] / drawn_at[1]
    rounding = 1 / min(*size, *drawn_at)
    return abs(tall / wide - 1) <= max(MAX_DISTORTION, 2 * rounding)


def resize_mask(mask: Pixels, size: tuple[int, int]) -> Pixels:
    """(h, w) to another (height, width), sampled to the nearest pixel."""
    if mask.shape == size:
        return mask
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)


def _scaled(polygon: list[float], drawn_at: tuple[int, int], size: tuple[int, int]) -> list[float]:
    tall, wide = size[0] / drawn_at[0], size[1] / drawn_at[1]
    return [number * (tall if index % 2 else wide) for index, number in enumerate(polygon)]


def _are_polygons(shape: Any) -> bool:
    """pycocotools would crash on anything else."""
    return bool(shape) and all(
        isinstance(polygon, list)
        and len(polygon) >= 6
        and len(polygon) % 2 == 0
        and all(isinstance(number, int | float) and abs(number) < 1e6 for number in polygon)
        for polygon in (shape if isinstance(shape, list) else [None])
    )


def _are_runs(shape: Any) -> bool:
    if not isinstance(shape, dict) or not isinstance(shape.get("size"), list) or len(shape["size"]) != 2:
        return False
    counts = shape.get("counts")
    plain = isinstance(counts, list) and all(isinstance(count, int) and count >= 0 for count in counts)
    return isinstance(counts, str) or (plain and sum(counts or ()) == np.prod(shape["size"]))
