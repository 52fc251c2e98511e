"""GeoJSON of outlines in pixels, one file an image: as QuPath exports it, and as the endpoint answers objects."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training.data.layouts.categories import (
    Annotated,
    Ring,
    annotate,
    find_annotated,
    keyhole,
    make_pairs,
    name_images_without,
)
from training.data.layouts.listing import ImageFiles
from training.data.layouts.pairs import Findings, Layout
from training.data.layouts.tables import read_size

SUFFIX = ".geojson"


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
                label, geometry = _label(feature.get("properties") or {}), feature.get("geometry") or {}
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


def _label(properties: Mapping[str, Any]) -> str:
    """Its class; without one, which of QuPath's objects it is: an annotation may be no more than a region around
    detections.
    """
    known = properties.get("classification")
    if isinstance(known, dict):
        known = known.get("name") or ": ".join(known.get("names") or ())
    return str(known or properties.get("objectType") or "")
