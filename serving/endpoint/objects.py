"""A mask object by object: measured, outlined, written as GeoJSON or COCO. Arrays in, plain values out."""

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
MAX_SPLIT = 2**24  # pixels: a watershed takes some 40 bytes for each


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

    Marker-controlled watershed (Meyer and Beucher 1990) on the distance to the background: an object has one marker for
    each place that is thicker than all around it, within half of how thick objects usually are.
    """
    mask = np.pad(mask, 1)  # OpenCV's watershed takes the border of an image for a line
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    count, components = cv2.connectedComponents(mask, connectivity=8)
    if count == 1:
        return mask[1:-1, 1:-1]
    thickest = np.zeros(count, np.float32)
    np.maximum.at(thickest, components.ravel().astype(np.intp), distance.ravel())
    usual = float(np.median(thickest[1:]))
    smooth = cv2.GaussianBlur(distance, (0, 0), max(1.0, usual / 4))
    reach = 2 * max(1, round(usual / 2)) + 1
    around = cv2.dilate(smooth, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    peaks = ((smooth >= around) & (mask > 0)).astype(np.uint8)
    number, markers = cv2.connectedComponents(peaks, connectivity=8)
    background = number  # a marker of its own, so that no object grows over it
    flooded = np.where(mask > 0, markers, background).astype(np.int32)
    relief = cv2.normalize(smooth.max() - smooth, np.empty(0), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    labels = cv2.watershed(cv2.cvtColor(relief, cv2.COLOR_GRAY2BGR), flooded)
    inside = np.where((mask > 0) & (labels > 0) & (labels != background), labels, 0).astype(np.float32)
    inside = _fill(inside, mask)
    higher = cv2.dilate(inside, np.ones((3, 3), np.uint8))
    return (mask * (higher == inside)).astype(np.uint8)[1:-1, 1:-1]


def _fill(labels: NDArray[np.float32], mask: Pixels) -> NDArray[np.float32]:
    """Labels for the pixels of a mask that have none, such as the lines of a watershed: a neighbour's."""
    while True:
        grown = np.where((mask > 0) & (labels == 0), cv2.dilate(labels, np.ones((3, 3), np.uint8)), labels)
        if np.array_equal(grown, labels):
            return grown
        labels = grown


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
