"""LabelMe's json, one an image: polygons, rectangles, circles, and masks drawn by a model."""

import base64
import binascii
import io
import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.data.layouts.categories import Annotated, annotate, find_annotated, make_pairs, name_images_without
from training.data.layouts.listing import ImageFiles, lies_as_written
from training.data.layouts.pairs import Findings, Layout
from training.data.layouts.tables import read_size
from training.study.words import pluralize

CIRCLE_POINTS = 64
NO_AREA = ("line", "linestrip", "point", "points")
HEAVY = "imageData"  # the picture once more, in base64


def is_labelme(content: object) -> bool:
    """Whether it has shapes, and says of which image."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def pair_by_labelme(folder: Path, contents: Mapping[Path, Mapping[str, Any]], category: str) -> Layout:
    """Each json and its image: the one that imagePath leads to, else the one of its stem; where both differ, asked."""
    found, files = Findings(), ImageFiles(folder)
    images: dict[Path, Annotated] = {}
    drawn, elsewhere = Counter[str](), 0
    for path, content in contents.items():
        fits = find_annotated(files, path, str(content["imagePath"]))
        stated = f"its imagePath {content['imagePath']!r}"
        unfit = f", or correct {stated}" if fits else f" of its name, neither by its stem nor by {stated}"
        one = annotate(images, path, fits, unfit, found)
        if not one:
            continue
        elsewhere += not lies_as_written(one.image, str(content["imagePath"]))
        one.size = read_size(content.get("imageHeight"), content.get("imageWidth"))
        for shape in content["shapes"]:
            try:
                kind, label = str(shape.get("shape_type") or "polygon"), str(shape["label"])
                outline = _outline(shape, kind, one.size)
            except (KeyError, TypeError, AttributeError, ValueError, OSError, binascii.Error) as error:
                raise ValueError(f"{path}: this is not LabelMe's format; a shape lacks {error}") from None
            drawn[kind] += outline is not None
            one.outlines += [(label, json.dumps(outline))] if outline is not None else []
            one.bare += [] if outline is not None else [(label, kind if kind in NO_AREA else f"{kind} without area")]
    make_pairs(list(images.values()), category, found)
    if elsewhere:
        found.notes.append(f"{pluralize(elsewhere, 'image')} not where imagePath says, and found by the json's name")
    others = ", ".join(f"{kind}: {drawn[kind]}" for kind in ("rectangle", "circle") if drawn[kind])
    if others:
        found.notes.append(f"rectangles and circles are foreground as they were drawn ({others})")
    name_images_without(images, "json", found)
    return found.layout("LabelMe: a json an image")


def _outline(shape: Mapping[str, Any], kind: str, size: tuple[int, int] | None) -> object:
    """A COCO segmentation; None for what has no area."""
    points = [(float(x), float(y)) for x, y in shape["points"]]
    if kind == "mask":
        return _runs(shape, points, size)
    if kind in ("rectangle", "rotation") and len(points) == 2:
        (left, top), (right, bottom) = points
        points = [(left, top), (right, top), (right, bottom), (left, bottom)]
    elif kind == "circle" and len(points) == 2:
        (x, y), edge = points
        radius, step = math.dist((x, y), edge), 2 * math.pi / CIRCLE_POINTS
        angles = [step * k for k in range(CIRCLE_POINTS)] if radius else []
        points = [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]
    if kind in NO_AREA or len(points) < 3:
        return None
    return [[number for point in points for number in point]]


def _runs(shape: Mapping[str, Any], points: list[tuple[float, float]], size: tuple[int, int] | None) -> object:
    """A small png at its box becomes run lengths of the image: down the columns, background first."""
    if size is None or not shape.get("mask"):
        return None
    with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as file:
        small = np.asarray(file.convert("L")) > 0
    whole = np.zeros(size, bool)
    left, top = (round(number) for number in points[0])
    area = whole[max(0, top) : top + small.shape[0], max(0, left) : left + small.shape[1]]
    area |= small[max(0, -top) :, max(0, -left) :][: area.shape[0], : area.shape[1]]
    flat = whole.T.ravel()
    ends = [*np.flatnonzero(np.diff(flat)) + 1, flat.size]
    counts = np.diff([0, *([0] if flat[0] else []), *ends])
    return {"size": list(size), "counts": counts.tolist()}
