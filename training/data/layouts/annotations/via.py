"""The json of the VGG Image Annotator (VIA 1 and 2), or its project: put into COCO's words, and then read as that."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.data.layouts.annotations.coco import as_coco, ellipse, pair_by_coco
from training.data.layouts.pairs import Layout

CLASS_NAMES = ("name", "class", "label", "type", "category")  # of a region's attributes, the one that is a class


def is_via(content: object) -> bool:
    """Whether it is what VIA 1 or 2 exports as json, or its project: regions of files."""
    files = _files(content) if isinstance(content, dict) else {}
    return bool(files) and all(
        isinstance(one, dict) and {"filename", "regions"} <= one.keys() for one in files.values()
    )


def pair_by_via(folder: Path, contents: Mapping[Path, Mapping[str, Any]], category: str) -> Layout:
    """As pair_by_coco. Raises ValueError for a region that is none of VIA's."""
    translated = {}
    for path, content in contents.items():
        try:
            translated[path] = to_coco(_files(content))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path}: this is not VIA's format; a region lacks {error}") from None
    layout = pair_by_coco(folder, translated, category, "VIA's regions")
    kinds = Counter(shape for content in contents.values() for shape in _kinds(_files(content)))
    drawn = ", ".join(f"{kind}: {kinds[kind]}" for kind in ("rect", "circle", "ellipse") if kinds[kind])
    notes = [f"rectangles, circles and ellipses are foreground as they were drawn ({drawn})"] if drawn else []
    return replace(layout, notes=(*layout.notes, *notes))


def to_coco(files: Mapping[str, Any]) -> dict[str, Any]:
    """Without sizes, which VIA does not state."""
    annotations = []
    for key, file in files.items():
        for region in _regions(file):
            outline, instead = _outline(region["shape_attributes"])
            shape = {"segmentation": [outline]} if outline else {instead: True}
            annotations.append({"image_id": key, "category_id": _label(region.get("region_attributes"))} | shape)
    return as_coco([{"id": key, "file_name": file["filename"]} for key, file in files.items()], annotations)


def _files(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """By their keys; of a project or an export."""
    files = content.get("_via_img_metadata", content)
    return files if isinstance(files, dict) else {}


def _regions(file: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    regions = file["regions"]
    return list(regions.values() if isinstance(regions, dict) else regions)  # VIA 1 numbers them by keys


def _kinds(files: Mapping[str, Any]) -> list[str]:
    return [str(region["shape_attributes"]["name"]) for file in files.values() for region in _regions(file)]


def _outline(shape: Mapping[str, Any]) -> tuple[list[float], str]:
    """A polygon as COCO writes it; empty, and what there is instead, for points and lines."""
    kind = str(shape["name"])
    if kind == "polygon":
        points = zip(shape["all_points_x"], shape["all_points_y"], strict=True)
        return [float(number) for point in points for number in point], "lines"
    if kind == "rect":
        left, top, width, height = (float(shape[name]) for name in ("x", "y", "width", "height"))
        return [left, top, left + width, top, left + width, top + height, left, top + height], ""
    if kind in ("circle", "ellipse"):
        wide, high = (float(shape[name]) for name in (("r", "r") if kind == "circle" else ("rx", "ry")))
        return ellipse(complex(shape["cx"], shape["cy"]), wide, high, float(shape.get("theta") or 0)), ""
    return [], "lines" if kind == "polyline" else "keypoints"


def _label(attributes: object) -> str | None:
    """The class of a region: of several attributes the one that is called so, else the first; of boxes the ticked."""
    known = attributes if isinstance(attributes, dict) else {}
    value = next((known[name] for name in (*CLASS_NAMES, *known) if known.get(name)), None)
    if isinstance(value, dict):
        value = ", ".join(name for name, is_ticked in value.items() if is_ticked)
    return str(value) if value else None
