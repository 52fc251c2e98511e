"""COCO's json: polygons and run lengths of objects, as CVAT, Label Studio, Roboflow and many others export it.

Several files of one folder are read together where they are about different images. Pictures are not opened.
"""

import cmath
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.layouts.categories import Annotated, make_pairs
from training.data.layouts.listing import (
    ImageFiles,
    clean_path,
    lies_as_written,
    list_below,
    list_images,
    note_elsewhere,
    same_name,
)
from training.data.layouts.pairs import Findings, Layout
from training.data.layouts.siblings import likely_images
from training.data.layouts.tables import read_size
from training.study.words import shorten

INSTANCES = "instances"  # COCO's own name of the file of outlines, beside keypoints and captions of the same images
MIN_NUMBERS = 6  # of a polygon: three points
CURVE_POINTS = 64  # of an ellipse


@dataclass(frozen=True, kw_only=True)
class Table:
    """One json."""

    path: Path
    content: Mapping[str, Any]

    @property
    def outlines(self) -> bool:
        return any(isinstance(one, dict) and _outline(one)[0] for one in self.content["annotations"])


def is_coco(content: object) -> bool:
    """Whether it has images and annotations of them."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("images"), list)
        and isinstance(content.get("annotations"), list)
    )


def pair_by_coco(
    folder: Path, contents: Mapping[Path, Mapping[str, Any]], category: str, name: str = "COCO annotations"
) -> Layout:
    """The images of one json, or of several. name: what they hold, for people. Raises ValueError for a file that is not
    COCO's format.
    """
    found, files = Findings(), ImageFiles(folder)
    images: dict[Path, Annotated] = {}
    listed, ids = list[str](), dict[str, str]()
    tables = _take([Table(path=path, content=content) for path, content in contents.items()], found)
    for table in tables:
        homes = {other.path.parent for other in tables if other is not table}
        try:
            categories = table.content.get("categories") or []
            names = {_id(one["id"]): str(one.get("name", one["id"])).strip() for one in categories}
            entries = _read(table, names, folder, files, found, homes)
        except KeyError as error:
            raise ValueError(f"{table.path}: this is not COCO's format; an entry lacks {error}") from None
        except (TypeError, AttributeError) as error:
            raise ValueError(f"{table.path}: this is not COCO's format; an entry is malformed ({error})") from None
        listed += names.values()
        clash = [key for key, name in names.items() if ids.get(key, name).casefold() != name.casefold()]
        ids = {key: name for key, name in (ids | names).items() if key not in clash}  # ids are each file's own
        _add(table, entries, images, found)
    make_pairs(list(images.values()), category, found, listed, ids)
    _note_unlisted(folder, tables, images, found)
    names_of_tables = shorten([str(table.path.relative_to(folder)) for table in tables])
    return found.layout(f"{name} in {names_of_tables if len(tables) > 1 else tables[0].path.name}")


def as_coco(images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> dict[str, Any]:
    """What another tool says, as a json of COCO holds it: a class is its own id."""
    classes = sorted({str(one["category_id"]) for one in annotations if one["category_id"]})
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": name, "name": name} for name in classes],
    }


def ellipse(center: complex, wide: float, high: float, angle: float = 0) -> list[float]:
    """A polygon. wide, high: half its axes before it is turned by an angle in radians, clockwise as seen."""
    steps = (2 * math.pi * k / CURVE_POINTS for k in range(CURVE_POINTS))
    turn = cmath.rect(1, angle)
    points = (center + turn * complex(wide * math.cos(step), high * math.sin(step)) for step in steps)
    return [number for point in points for number in (point.real, point.imag)]


def boxed_runs(small: NDArray[np.bool_], left: int, top: int, size: tuple[int, int]) -> dict[str, Any]:
    """A segmentation from a mask of a box: run lengths of the whole image (height, width), down the columns, background
    first.
    """
    whole = np.zeros(size, bool)
    area = whole[max(0, top) : top + small.shape[0], max(0, left) : left + small.shape[1]]
    area |= small[max(0, -top) :, max(0, -left) :][: area.shape[0], : area.shape[1]]
    flat = whole.T.ravel()
    ends = [*np.flatnonzero(np.diff(flat)) + 1, flat.size]
    counts = np.diff([0, *([0] if flat[0] else []), *ends])
    return {"size": list(size), "counts": counts.tolist()}


def _take(tables: Sequence[Table], found: Findings) -> Sequence[Table]:
    """Those that hold outlines; a note names the others."""
    drawn = [table for table in tables if table.outlines] or tables
    official = [table for table in drawn if table.path.name.startswith(INSTANCES)] or drawn
    for reason, kept, before in (("no outlines", drawn, tables), (f"{INSTANCES}_* is read instead", official, drawn)):
        left_out = [table.path.name for table in before if table not in kept]
        if left_out:
            found.notes.append(f"{shorten(left_out)} left out: {reason}")
    return official


def _read(
    table: Table, names: Mapping[str, str], folder: Path, files: ImageFiles, found: Findings, homes: set[Path]
) -> list[Annotated]:
    """The images of one json that are here, with their annotations. homes: the folders of the other json."""
    entries: dict[str, Annotated] = {}
    missing, known, elsewhere = list[str](), set[str](), 0
    words = set(re.split(r"[^a-z0-9]+", table.path.stem.lower()))
    split = [place for place in list_below(folder) if place.name.lower() in words]  # instances_val2017 and val2017/
    near = (*split, table.path.parent, folder, folder / "images")
    for image in table.content["images"]:
        key, name = _id(image["id"]), str(image["file_name"])
        fits = files.find(name, near, table.path)
        if len(fits) == 1 and fits[0].parent in (table.path.parent, folder):
            fits += _namesakes(fits[0], name, table.path, files, homes)
        if key in known:
            found.problems.append(f"{table.path}: two images have the id {key}; ids must be unique in a file")
        elif len(fits) == 1:
            elsewhere += not lies_as_written(fits[0], name)
            size = (image.get("height"), image.get("width"))
            stem = PurePosixPath(same_name(clean_path(name))).stem
            entries[key] = Annotated(image=fits[0], stem=stem, table=table.path, size=read_size(*size))
        elif fits:
            some_files = shorten([str(path.relative_to(folder)) for path in fits])
            found.problems.append(
                f"{table.path}: several files fit {name} ({some_files}); write its folder before it (./ for the json's)"
            )
        else:
            missing.append(name)
        known.add(key)
    if missing and not entries and homes:
        found.notes.append(
            f"{table.path.name} left out: none of its {len(missing)} images is here ({shorten(missing)})"
        )
    else:
        cure = f"is listed, but not in {folder} or its images/"
        found.problems += [f"{table.path}: {name} {cure}{files.say_foreign(name, table.path)}" for name in missing]
    if elsewhere:
        found.notes.append(note_elsewhere(elsewhere, table.path.name))
    unknown = []
    for annotation in table.content["annotations"]:
        key = _id(annotation["image_id"])
        category_id = annotation.get("category_id")
        label = "" if category_id is None else names.get(_id(category_id), _id(category_id))
        text, kind = _outline(annotation)
        if key in entries:
            entries[key].outlines += [(label, text)] if text else []
            entries[key].bare += [] if text else [(label, kind)]
        elif key not in known:
            unknown.append(key)
    if unknown:
        found.problems.append(
            f"{table.path}: annotations of images that it does not list (image_id {shorten(unknown)})"
        )
    return list(entries.values())


def _namesakes(image: Path, name: str, table: Path, files: ImageFiles, homes: set[Path]) -> list[Path]:
    """Other files that a bare name may mean as well as the one beside the json or at the top, which may be a preview;
    none of another part of the split, or with a json of their own.
    """
    if "/" in clean_path(name):
        return []
    apart = [home for home in homes if not table.is_relative_to(home)]
    fits = [path for path in files.find(name, [], table) if not any(path.is_relative_to(home) for home in apart)]
    return [path for path in likely_images(fits, files.root) if path != image]


def _add(table: Table, entries: Sequence[Annotated], images: dict[Path, Annotated], found: Findings) -> None:
    """Entries of one json to those of others. An image that both are about must be annotated alike."""
    alike, differing = list[str](), list[str]()
    for entry in entries:
        before = images.setdefault(entry.image, entry)
        if before is not entry:
            same = sorted(before.outlines) == sorted(entry.outlines)
            (alike if same else differing).append(entry.image.name)
    if alike:
        found.notes.append(f"{table.path.name} repeats {len(alike)} images, annotated alike; they are taken once")
    if differing:
        found.problems.append(
            f"{table.path}: {len(differing)} images are annotated differently in another json, or listed twice "
            f"({shorten(differing)}); keep the file that counts and move the other away"
        )


def _note_unlisted(folder: Path, tables: Sequence[Table], images: Mapping[Path, Annotated], found: Findings) -> None:
    places = {folder, folder / "images", *(table.path.parent for table in tables), *(path.parent for path in images)}
    there = {path for place in places if place.is_dir() for path in list_images(place)}
    unlisted = sorted(path.name for path in there - set(images))
    if unlisted:
        found.notes.append(f"{len(unlisted)} images are not listed and left out ({shorten(unlisted)})")


def _outline(annotation: Mapping[str, Any]) -> tuple[str, str]:
    """A segmentation as JSON, or empty and what there is instead."""
    shape = annotation.get("segmentation")
    if isinstance(shape, list) and shape and all(isinstance(number, int | float) for number in shape):
        shape = [shape]  # some tools leave out the outer list
    if isinstance(shape, list):
        polygons = [one for one in shape if not isinstance(one, list) or len(one) >= MIN_NUMBERS]
        if shape and any(shape) and not polygons:
            return "", "outlines of fewer than three points"
        shape = polygons
    if shape:
        return json.dumps(shape), ""
    kinds = {
        "keypoints": "keypoints",
        "lines": "lines",
        "caption": "captions",
        "segments_info": "panoptic",
        "bbox": "boxes",
    }
    return "", next((kind for key, kind in kinds.items() if annotation.get(key)), "nothing")


def _id(value: object) -> str:
    """1, "1" and 1.0 are one id."""
    text = str(value).strip()
    return text.removesuffix(".0") if isinstance(value, float) else text
