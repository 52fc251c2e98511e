"""A mask object by object: measured, outlined, written as GeoJSON or COCO. Arrays in, plain values out."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from training.data.images import Pixels

Format = Literal["geojson", "coco"]
FOREGROUND = 1  # COCO's category
MAX_OBJECTS = 20_000
MAX_SPLIT = 2**24  # pixels: a watershed takes some 50 bytes for each
MAX_THICK = 32.0  # pixels from the background; objects that are usually thicker are parted in a smaller mask


@dataclass(frozen=True, kw_only=True)
class Object:
    """A connected part of the foreground (8 neighbours); pixels, x to the right and y down."""

    number: int  # 1, 2, ... from the top
    area: int
    box: tuple[int, int, int, int]  # x, y, width, height
    centroid: tuple[float, float]
    mean_probability: float
    polygons: list[list[list[list[int]]]]  # GeoJSON's MultiPolygon: rings, the first the outline, then its holes
    rle: dict[str, Any]  # COCO's compressed run lengths


def threshold_mask(probability: NDArray[np.float32], threshold: float, min_size: int, *, split: bool = False) -> Pixels:
    """(h, w) of 0 and 1: above the threshold, without objects of fewer than `min_size` pixels.

    split: objects that touch are parted first. Raises ValueError for an image of more than MAX_SPLIT pixels.
    """
    mask = (probability > threshold).astype(np.uint8)
    if split:
        if mask.size > MAX_SPLIT:
            raise ValueError(
                f"split='true': the image has {mask.size:,} pixels; at most {MAX_SPLIT:,} are split at once, so send "
                "parts of it"
            )
        mask = split_touching(mask)
    if min_size > 1:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        keep = stats[:, cv2.CC_STAT_AREA] >= min_size
        keep[0] = False
        mask = keep[labels].astype(np.uint8)
    return mask


def split_touching(mask: Pixels) -> Pixels:
    """(h, w) of 0 and 1: the same, with a line of background where objects touch.

    A watershed on the distance to the background: an object has one summit for each place that is thicker than all
    around it, within half of how thick objects usually are; every pixel belongs to the summit that it climbs to.
    OpenCV's watershed goes by the difference of neighbours, which is about the same everywhere in a distance.
    """
    labels = _label_summits(np.pad(mask, 1)).astype(np.float32)[1:-1, 1:-1]  # outside of the image is background
    return (mask * (cv2.dilate(labels, np.ones((3, 3), np.uint8)) == labels)).astype(np.uint8)


def _label_summits(mask: Pixels) -> NDArray[np.int32]:
    """(h, w) of 0 and the number of each object, touching ones apart. Where objects are thick, from a smaller mask:
    windows are as large as they, and the time would grow with the fourth power of their size."""
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    count, components = cv2.connectedComponents(mask, connectivity=8)
    if count == 1:
        return components.astype(np.int32)
    thickest = np.zeros(count, np.float32)
    np.maximum.at(thickest, components.ravel().astype(np.intp), distance.ravel())
    usual = float(np.median(thickest[1:]))
    if usual > MAX_THICK:
        height, width = (math.ceil(side * MAX_THICK / 2 / usual) for side in mask.shape)
        smaller = _label_summits(_resize(mask, (width, height)).astype(np.uint8))
        return _fill(_resize(smaller, mask.shape[::-1]).astype(np.int32) * mask, mask)
    reach = max(1, round(usual / 2))
    smooth = cv2.GaussianBlur(distance, (0, 0), max(1.0, usual / 4))
    around = cv2.dilate(smooth, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    number, summits = cv2.connectedComponents(((smooth >= around) & (mask > 0)).astype(np.uint8), connectivity=8)
    summits, components, smooth = (np.pad(one, reach) for one in (summits, components, smooth))
    places = np.flatnonzero(components).astype(np.int32)
    above = np.arange(components.size, dtype=np.int32)
    above[places] = _climb(smooth, components, places, 1)
    lesser = places[(above[places] == places) & (summits.ravel()[places] == 0)]
    above[lesser] = _climb(smooth, components, lesser, reach)
    while not np.array_equal(higher := above[above], above):
        above = higher
    reached = summits.ravel()[above].reshape(components.shape)
    labels = np.where(reached > 0, reached, (number + components) * (components > 0))
    return labels[reach:-reach, reach:-reach].astype(np.int32)


def _resize(labels: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
    """size: width, height. Each pixel is one that was there."""
    return cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)


def _fill(labels: NDArray[np.int32], mask: Pixels) -> NDArray[np.int32]:
    """Labels for the pixels of a mask that have none, but a neighbour with one."""
    while True:
        spread = cv2.dilate(labels.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
        grown = np.where((mask > 0) & (labels == 0), spread, labels)
        if np.array_equal(grown, labels):
            return grown
        labels = grown


def _climb(height: NDArray[Any], components: NDArray[Any], places: NDArray[np.int32], reach: int) -> NDArray[np.int32]:
    """For each of the places, which count all pixels row by row, the one within reach in the same component to which
    it is steepest upwards; itself where it is highest."""
    heights, parts = height.ravel(), components.ravel()
    steepest, above = np.zeros(len(places), np.float32), places
    for dy, dx in np.ndindex(2 * reach + 1, 2 * reach + 1):
        length = np.hypot(dy - reach, dx - reach)
        if 0 < length < reach + 0.5:
            there = places + (dy - reach) * height.shape[1] + dx - reach
            slope = (heights[there] - heights[places]) / np.float32(length)
            better = (slope > steepest) & (parts[there] == parts[places])
            steepest, above = np.where(better, slope, steepest), np.where(better, there, above)
    return above


def find_objects(mask: Pixels, probability: NDArray[np.float32]) -> list[Object]:
    """Every object of a mask of 0 and 1, from the top. Raises ValueError, at once, for more than MAX_OBJECTS."""
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count - 1 > MAX_OBJECTS:
        raise ValueError(f"{count - 1} objects; at most {MAX_OBJECTS} are listed: give a larger min_size or threshold")
    found = []
    for label in range(1, count):
        x, y, width, height, area = (int(value) for value in stats[label])
        object_mask = (labels[y : y + height, x : x + width] == label).astype(np.uint8)
        found.append(
            Object(
                number=label,
                area=area,
                box=(x, y, width, height),
                centroid=(round(float(centroids[label][0]), 2), round(float(centroids[label][1]), 2)),
                mean_probability=round(cv2.mean(probability[y : y + height, x : x + width], object_mask)[0], 4),
                polygons=_polygons(object_mask, x, y),
                rle=_rle(object_mask, x, y, mask.shape),
            )
        )
    return found


def to_geojson(objects: list[Object], height: int, width: int) -> dict[str, Any]:
    """A FeatureCollection (RFC 7946) in pixel coordinates, y down, as QuPath reads it."""
    features = [
        {
            "type": "Feature",
            "id": one.number,
            "geometry": {"type": "MultiPolygon", "coordinates": one.polygons},
            "properties": {
                "area": one.area,
                "box": one.box,
                "centroid": one.centroid,
                "mean_probability": one.mean_probability,
            },
        }
        for one in objects
    ]
    return {"type": "FeatureCollection", "height": height, "width": width, "features": features}


def to_coco(objects: list[Object], height: int, width: int) -> dict[str, Any]:
    """COCO's object detection format, its masks as compressed run lengths."""
    annotations = [
        {
            "id": one.number,
            "image_id": 1,
            "category_id": FOREGROUND,
            "area": one.area,
            "bbox": one.box,
            "segmentation": one.rle,
            "iscrowd": 0,
            "score": one.mean_probability,
        }
        for one in objects
    ]
    return {
        "images": [{"id": 1, "height": height, "width": width}],
        "categories": [{"id": FOREGROUND, "name": "foreground"}],
        "annotations": annotations,
    }


def _polygons(object_mask: Pixels, x: int, y: int) -> list[list[list[list[int]]]]:
    """Outlines through pixel corners, so that an object of one pixel has an area, too."""
    height, width = object_mask.shape[0] + 2, object_mask.shape[1] + 2
    twice = cv2.resize(np.pad(object_mask, 1), (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
    # contours run through pixels; here, through half ones
    contours, hierarchy = cv2.findContours(twice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = [_ring(contour[:, 0], x, y) for contour in contours]
    holes_of = hierarchy[0][:, 3]
    outer = np.flatnonzero(holes_of < 0)
    return [[rings[index], *(rings[hole] for hole in np.flatnonzero(holes_of == index))] for index in outer]


def _ring(points: NDArray[Any], x: int, y: int) -> list[list[int]]:
    """Closed; from the pixels of the doubled mask, padded by one, to the corners of the pixels of the image."""
    corners = ((points + 1) // 2 - 1 + (x, y)).tolist()
    distinct = [corner for before, corner in zip([None, *corners], corners, strict=False) if corner != before]
    return distinct if distinct[0] == distinct[-1] else [*distinct, distinct[0]]


def _rle(object_mask: Pixels, x: int, y: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """From the runs of the object's own box: its image may be a thousand times as large."""
    height, width = shape[:2]
    padded = np.pad(object_mask.T, ((0, 0), (1, 1)))  # column by column
    columns, rows = np.nonzero(padded[:, 1:] != padded[:, :-1])  # where a run begins, and where it ended, in turn
    places = (columns + x) * height + rows + y
    apart = places[1:-1:2] != places[2::2]  # a run may go on at the top of the next column
    edges = places[np.concatenate([[True], np.repeat(apart, 2), [True]])]
    counts = np.diff(np.concatenate([[0], edges, [height * width]])).tolist()
    encoded = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode()}
