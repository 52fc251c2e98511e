"""CVAT's own xml ("CVAT for images"): put into COCO's words, and then read as that."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from training.data.layouts.annotations.coco import as_coco, boxed_runs, ellipse, pair_by_coco
from training.data.layouts.listing import list_below, list_tables
from training.data.layouts.pairs import Layout

INSTEAD = {"box": "bbox", "points": "keypoints", "skeleton": "keypoints", "polyline": "lines", "cuboid": "bbox"}


def find_by_cvat(folder: Path, category: str) -> Layout | None:
    """annotations.xml of a task or a project, beside images/ or elsewhere. Raises ValueError."""
    tables = (path for place in (folder, *list_below(folder)) for path in list_tables(place, ".xml"))
    roots = {path: root for path in tables if (root := _parse(path)) is not None}
    if not roots:
        return None
    contents = {}
    for path, root in roots.items():
        try:
            contents[path] = to_coco(root)
        except KeyError as error:
            raise ValueError(f"{path}: this is not CVAT's format; a shape lacks {error}") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return pair_by_coco(folder, contents, category, "CVAT's shapes")


def to_coco(root: ElementTree.Element) -> dict[str, Any]:
    """Boxes are no outlines, as in what CVAT exports as COCO. Raises KeyError and ValueError."""
    images, annotations = [], []
    for image in root.iter("image"):
        size = int(image.attrib["height"]), int(image.attrib["width"])
        images.append(
            {"id": image.attrib["id"], "file_name": image.attrib["name"], "height": size[0], "width": size[1]}
        )
        for shape in (one for one in image if "label" in one.attrib and one.tag != "tag"):
            outline = _outline(shape.tag, shape.attrib, size)
            found = {"segmentation": outline} if outline else {INSTEAD.get(shape.tag, "nothing"): True}
            annotations.append({"image_id": image.attrib["id"], "category_id": shape.attrib["label"]} | found)
    if not images:
        raise ValueError("CVAT's tracks of a video are not read; export the task as CVAT for images, or as COCO")
    return as_coco(images, annotations)


def _parse(path: Path) -> ElementTree.Element | None:
    """The root of CVAT's xml; None of any other."""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError):
        return None
    return root if root.tag == "annotations" else None


def _outline(kind: str, shape: Mapping[str, str], size: tuple[int, int]) -> object:
    """A segmentation as COCO writes it; None for what has no area, and for boxes."""
    if kind == "polygon":
        return [[float(number) for point in shape["points"].split(";") for number in point.split(",")]]
    if kind == "ellipse":
        center, wide, high = complex(float(shape["cx"]), float(shape["cy"])), float(shape["rx"]), float(shape["ry"])
        return [ellipse(center, wide, high, math.radians(float(shape.get("rotation", 0))))]
    if kind == "mask":
        left, top, width, height = (int(float(shape[name])) for name in ("left", "top", "width", "height"))
        counts = [int(count) for count in shape["rle"].split(",")]  # along the rows of its box, background first
        small = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)
        return boxed_runs(small, left, top, size)
    return None
