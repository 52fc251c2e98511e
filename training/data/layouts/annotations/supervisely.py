"""Supervisely's json, one an image, as Dataset Ninja gives public sets: put as COCO, and read as that."""

import base64
import binascii
import io
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.data.layouts.annotations.coco import as_coco, boxed_runs, pair_by_coco
from training.data.layouts.categories import keyhole
from training.data.layouts.pairs import Layout

INSTEAD = {"rectangle": "bbox", "point": "keypoints", "graph": "keypoints", "line": "lines"}


def is_supervisely(content: object) -> bool:
    """Whether it has objects and a size: those of one image."""
    return (
        isinstance(content, dict) and isinstance(content.get("objects"), list) and isinstance(content.get("size"), dict)
    )


def pair_by_supervisely(folder: Path, contents: Mapping[Path, Mapping[str, Any]], category: str) -> Layout:
    """ann/a.png.json is about a.png, in img/ beside it or elsewhere. Raises ValueError."""
    places: dict[Path, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: {"images": [], "annotations": []})
    for path, content in contents.items():
        try:
            image, annotations = _read(path.stem, content)
        except (KeyError, TypeError, AttributeError, ValueError, OSError, binascii.Error, zlib.error) as error:
            raise ValueError(f"{path}: this is not Supervisely's format; an object lacks {error}") from None
        place = places[path.parent / "*.json"]
        place["images"].append(image)
        place["annotations"] += annotations
    tables = {path: as_coco(**content) for path, content in places.items()}
    layout = pair_by_coco(folder, tables, category)
    return replace(layout, name="Supervisely: a json an image")


def _read(name: str, content: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An image and its annotations, in COCO's words."""
    size = int(content["size"]["height"]), int(content["size"]["width"])
    annotations = []
    for one in content["objects"]:
        outline = _outline(one, size)
        shape = {"segmentation": outline} if outline else {INSTEAD.get(one["geometryType"], "nothing"): True}
        annotations.append({"image_id": name, "category_id": one["classTitle"]} | shape)
    return {"id": name, "file_name": name, "height": size[0], "width": size[1]}, annotations


def _outline(one: Mapping[str, Any], size: tuple[int, int]) -> object:
    """A segmentation as COCO writes it; None for what has no area, and for boxes."""
    if one["geometryType"] == "polygon":
        points = one["points"]
        return [keyhole([ring for ring in (points["exterior"], *points.get("interior", ())) if ring])]
    if one["geometryType"] != "bitmap":
        return None
    with Image.open(io.BytesIO(zlib.decompress(base64.b64decode(one["bitmap"]["data"])))) as file:
        small = np.asarray(file.convert("RGBA"))[..., 3] if "A" in file.getbands() else np.asarray(file.convert("L"))
    left, top = one["bitmap"]["origin"]
    return boxed_runs(small > 0, round(left), round(top), size)
