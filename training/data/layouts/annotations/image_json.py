"""Annotations in one json per image: LabelMe's (polygons, rectangles, circles, masks drawn by a model), and GeoJSON of
outlines in pixels, as QuPath exports it and the endpoint answers objects.
"""

import base64
import binascii
import io
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.data.layouts.annotations.coco import boxed_runs, ellipse
from training.data.layouts.categories import (
    Annotated,
    Ring,
    annotate,
    keyhole,
    make_pairs,
    name_images_without,
)
from training.data.layouts.listing import ImageFiles, clean_path, lies_as_written, same_name
from training.data.layouts.pairs import Findings, Layout
from training.data.layouts.siblings import likely_images
from training.data.layouts.tables import read_size
from training.study.words import pluralize

NO_AREA = ("line", "linestrip", "point", "points")
HEAVY = "imageData"  # the picture once more, in base64
GEOJSON = ".geojson"


def is_labelme(content: object) -> bool:
    """Whether it has shapes, and says of which image."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def find_annotated(files: ImageFiles, table: Path, given: str = "") -> list[Path]:
    """The image that a file of annotations is about: where its own words (`given`) lead, else the one of its stem.

    Of its stem are those that have no such file of their own, and lie in no folder of masks, of previews, or of another
    part of the split. More than one: it is not clear which.
    """
    stem, said = same_name(table.stem), files.parts_of(table)
    called = [*files.by_stem.get(stem, []), *files.by_name.get(stem.casefold(), [])]  # a.png.geojson, too
    called = [path for path in called if not said or said & (files.parts_of(path.parent) or said)]
    free = [path for path in called if path.parent == table.parent or not _has_own(path, table.suffix)]
    same = likely_images(free or called, files.root)
    named = files.find(given, [table.parent], table) if given else []
    if len(named) == 1 and named != same and _leads_to(table, given, named[0]):
        return named if named[0] in same else [*named, *(path for path in same if path.parent == table.parent)]
    return named if len(named) == 1 < len(same) else same or named


def _has_own(image: Path, suffix: str) -> bool:
    """Whether a file of annotations lies beside an image, as a.json or a.png.json."""
    return bool(suffix) and any(path.is_file() for path in (image.with_suffix(suffix), Path(f"{image}{suffix}")))


def _leads_to(table: Path, given: str, image: Path) -> bool:
    """Whether a path leads from its file to the image, or names the image's folder at least."""
    path = clean_path(given)
    folder = [part for part in path.split("/")[:-1] if part not in ("", ".", "..")][-1:]
    return image == Path(os.path.normpath(table.parent / path)) or (
        bool(folder) and lies_as_written(image, f"{folder[0]}/{image.name}")
    )


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
        radius = math.dist((x, y), edge)
        return [ellipse(complex(x, y), radius, radius)] if radius else None
    if kind in NO_AREA or len(points) < 3:
        return None
    return [[number for point in points for number in point]]


def _runs(shape: Mapping[str, Any], points: list[tuple[float, float]], size: tuple[int, int] | None) -> object:
    """Of a small png at its box."""
    if size is None or not shape.get("mask"):
        return None
    with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as file:
        small = np.asarray(file.convert("L")) > 0
    left, top = (round(number) for number in points[0])
    return boxed_runs(small, left, top, size)


def is_geojson(content: object) -> bool:
    """Whether it is a FeatureCollection, or QuPath's bare list of features."""
    if isinstance(content, dict):
        return content.get("type") == "FeatureCollection" and isinstance(content.get("features"), list)
    return isinstance(content, list) and any(isinstance(one, dict) and one.get("type") == "Feature" for one in content)


def pair_by_geojson(folder: Path, contents: Mapping[Path, Any], category: str) -> Layout:
    """Each file and the image of its name, beside it or elsewhere: a.geojson or a.png.geojson for a.png."""
    found, files = Findings(), ImageFiles(folder)
    images: dict[Path, Annotated] = {}
    for path, content in contents.items():
        fits = find_annotated(files, path)
        one = annotate(images, path, fits, "" if fits else " of its name", found)
        if not one:
            continue
        whole = content if isinstance(content, dict) else {"features": content}
        one.size = read_size(whole.get("height"), whole.get("width"))  # which only the endpoint states
        try:
            for feature in whole["features"]:
                label, geometry = _geojson_label(feature.get("properties") or {}), feature.get("geometry") or {}
                outline = [keyhole(rings) for rings in _polygons(geometry)]
                one.outlines += [(label, json.dumps(outline))] if outline else []
                one.bare += [] if outline else [(label, str(geometry.get("type") or "no geometry"))]
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise ValueError(f"{path}: this is not GeoJSON (RFC 7946); a feature lacks {error}") from None
    make_pairs(list(images.values()), category, found)
    name_images_without(images, "GeoJSON", found)
    return found.layout("GeoJSON: a file an image")


def _polygons(geometry: Mapping[str, Any]) -> Iterator[list[Ring]]:
    """Of each polygon its outline, and then its holes; nothing of points and lines."""
    parts = {"Polygon": lambda: [geometry["coordinates"]], "MultiPolygon": lambda: geometry["coordinates"]}
    for part in parts.get(str(geometry.get("type")), list)():
        yield [[[float(x), float(y)] for x, y, *_ in ring] for ring in part]


def _geojson_label(properties: Mapping[str, Any]) -> str:
    """Its class; without one, which of QuPath's objects it is: an annotation may be no more than a region around
    detections.
    """
    known = properties.get("classification")
    if isinstance(known, dict):
        known = known.get("name") or ": ".join(known.get("names") or ())
    return str(known or properties.get("objectType") or "")
