"""Outlines of annotations, drawn at the size they were made for. JSON in, masks out.

COCO's own library draws outlines: a pixel is foreground when its middle lies inside. But those that a program traced
around a mask (OpenCV's findContours) run through the middles of its outermost pixels, which then would be lost, and
thin objects with them. Such outlines step from pixel to pixel, which people's do not.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.formats.coco_runs import decode_counts
from training.data.images import Pixels
from training.data.layouts.pairs import FRACTIONS

MIN_POINTS = 8  # of an outline that says how it was made
MIN_TRACED = 0.9  # share of these that must look traced
ROUNDED = 0.01  # pixels; by which a whole number that was stored as a fraction may be off
MAX_DISTORTION = 0.02  # by which the two sides may be scaled differently: sizes are whole pixels


def decode_shape(
    text: str,
    size: tuple[int, int],
    path: Path,
    drawn_at: tuple[int, int] | None = None,
    traced: bool = False,
    by_rows: bool = False,
) -> Pixels:
    """(h, w) of 0 and 1, from a COCO segmentation in JSON: polygons, or run lengths, compressed or not.

    drawn_at: the (height, width) of the picture it was drawn on; None: the image's own size. A picture that was scaled
    since has its shapes scaled with it. traced: outlines belong to the object. by_rows: run lengths go along the rows.
    Raises ValueError for what cannot be drawn, or was drawn on another picture.
    """
    shape = json.loads(text)
    if not (_are_polygons(shape) or _are_runs(shape)):
        raise ValueError(
            f"{path}: the segmentation {text[:60]!r} is neither polygons of at least three points (x, y, x, y, ...) "
            "nor run lengths with size and counts"
        )
    if isinstance(shape, dict):
        drawn_at = (int(shape["size"][0]), int(shape["size"][1]))
    elif drawn_at == FRACTIONS:
        shape, drawn_at = [_scaled(polygon, FRACTIONS, size) for polygon in shape], None
    elif drawn_at and drawn_at != size and not traced:
        shape = [_scaled(polygon, drawn_at, size) for polygon in shape]
    if drawn_at and not proportional(drawn_at, size):
        raise ValueError(
            f"{path}: a segmentation was drawn on a picture of {drawn_at[0]}x{drawn_at[1]} (height x width), but the "
            f"image is {size[0]}x{size[1]}, of another shape; give the picture that was annotated"
        )
    if isinstance(shape, dict):
        return resize_mask(decode_counts(shape["counts"], drawn_at or size, path, by_rows), size)
    return _fill_scaled(shape, drawn_at or size, size) if traced else _draw(shape, size, path)


def in_pixels(text: str, size: tuple[int, int]) -> str:
    """Outlines in fractions, in pixels of a picture of this (height, width)."""
    return json.dumps([_scaled(polygon, FRACTIONS, size) for polygon in _polygons_of(text)])


def farthest(text: str) -> tuple[float, float]:
    """The largest y and the largest x of a segmentation's outlines; 0 for run lengths."""
    numbers = [number for polygon in _polygons_of(text) for number in polygon]
    return max(numbers[1::2], default=0.0), max(numbers[::2], default=0.0)


def outline_of_runs(text: str, path: Path, by_rows: bool) -> int:
    """Of run lengths counted so, the length of the mask's outline in pixels; 0 for polygons and what cannot be read."""
    shape = json.loads(text)
    if not isinstance(shape, dict) or not _are_runs(shape):
        return 0
    try:
        mask = np.pad(decode_counts(shape["counts"], (int(shape["size"][0]), int(shape["size"][1])), path, by_rows), 1)
    except ValueError:
        return 0  # reading it will say so
    return sum(int(np.count_nonzero(np.diff(mask, axis=axis))) for axis in (0, 1))


def are_traced(segmentations: Iterable[str]) -> bool:
    """Whether these outlines were traced around masks: whole numbers, in steps along the pixels and across them."""
    polygons = [np.array(polygon).reshape(-1, 2) for text in segmentations for polygon in _polygons_of(text)]
    telling = [
        traced for polygon in polygons if len(polygon) >= MIN_POINTS and (traced := _is_traced(polygon)) is not None
    ]
    return bool(telling) and sum(telling) >= MIN_TRACED * len(telling)


def _is_traced(polygon: NDArray[np.float64]) -> bool | None:
    """None for an outline along rows and columns only, which both may have."""
    if np.abs(polygon - np.rint(polygon)).max() > ROUNDED:
        return False
    wide, tall = np.abs(np.diff(np.rint(polygon), axis=0, append=np.rint(polygon[:1]))).T
    straight, diagonal = (wide == 0) | (tall == 0), (wide == tall) & (wide > 0)
    return None if straight.all() else bool((straight | diagonal).all())


def _polygons_of(text: str) -> list[list[float]]:
    shape = json.loads(text)
    return shape if _are_polygons(shape) and isinstance(shape, list) else []


def _draw(polygons: list[list[float]], size: tuple[int, int], path: Path) -> Pixels:
    """(h, w) of 0 and 1, as COCO's library draws them."""
    from pycocotools import mask as coco

    try:
        return np.asarray(coco.decode(coco.merge(coco.frPyObjects(polygons, *size))), np.uint8)
    except Exception as error:  # pycocotools raises plain Exception
        raise ValueError(f"{path}: the segmentation {str(polygons)[:60]!r} cannot be drawn ({error})") from None


def _fill_scaled(polygons: list[list[float]], drawn_at: tuple[int, int], size: tuple[int, int]) -> Pixels:
    """Of a scaled picture, outlines that fall on whole pixels there were traced at its size."""
    scaled = [_scaled(polygon, drawn_at, size) for polygon in polygons]
    if all(abs(number - round(number)) <= ROUNDED for polygon in scaled for number in polygon):
        return _fill(scaled, size)
    return resize_mask(_fill(polygons, drawn_at), size)


def _fill(polygons: list[list[float]], size: tuple[int, int]) -> Pixels:
    """(h, w) of 0 and 1, outlines included."""
    mask = np.zeros(size, np.uint8)
    for polygon in polygons:
        points = np.rint(np.array(polygon).reshape(-1, 2)).astype(np.int32)
        cv2.fillPoly(mask, [points], 1)
    return mask


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
    if not isinstance(shape, dict) or not isinstance(size := shape.get("size"), list) or len(size) != 2:
        return False
    counts = shape.get("counts")
    whole = all(isinstance(number, int | float) and number >= 1 and number % 1 == 0 for number in size)
    return whole and (isinstance(counts, str) or (isinstance(counts, list) and all(isinstance(n, int) for n in counts)))
