"""Masks that are written down in a table: run-length csv, COCO json, Aperio xml, and a csv of paths.

Each function turns a table into pairs and says what does not fit. No pixel is read here.
"""

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from training.data.pairs import (
    Findings,
    Layout,
    MaskFile,
    Pair,
    RunLengths,
    Shapes,
    list_below,
    list_folders,
    list_images,
    list_tables,
    some,
    take_first,
)

Row = Mapping[str, str]

ID_COLUMNS = ("imageid", "image_id", "id", "img_id", "img", "image")
RUN_COLUMNS = ("encodedpixels", "rle", "rle_mask", "annotation")
NO_RUNS = ("", "nan", "-1")
NO_TRUTH = "sample_submission"  # Kaggle's: it shows the columns, its masks are made up
CSV_BYTES = 1 << 30
csv.field_size_limit(CSV_BYTES)  # a mask is one field, and Python takes 128 kB by default


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a csv with commas, semicolons or tabs, column names in lower case. Raises ValueError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: this is no csv that can be read ({error})") from None
    header = text.split("\n", 1)[0]
    separator = max(",;\t", key=header.count)
    rows = csv.DictReader(text.splitlines(), delimiter=separator)
    try:
        return [{(key or "").strip().lower(): (value or "").strip() for key, value in row.items()} for row in rows]
    except (csv.Error, AttributeError) as error:  # a row with more fields than columns holds a list
        raise ValueError(f"{path}: a row does not fit the columns {header!r} ({error})") from None


def columns_of(path: Path) -> list[str]:
    """The column names of a csv, in lower case; none where it is no text."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline(10_000)
    except (OSError, UnicodeDecodeError):
        return []
    return [name.strip().strip('"').lower() for name in re.split("[,;\t]", header)]


def find_run_table(folder: Path, found: Findings) -> Path | None:
    """A csv of run lengths in a folder, or one level lower."""
    tables = [path for place in (folder, *list_folders(folder)) for path in list_tables(place, ".csv")]
    runs = [path for path in tables if _first(columns_of(path), RUN_COLUMNS) and NO_TRUTH not in path.name.lower()]
    return take_first(runs, found)


def read_runs(path: Path) -> dict[str, tuple[str, ...]]:
    """The run lengths of each image id; none for an empty mask. Raises ValueError."""
    columns = columns_of(path)
    name, runs = _first(columns, ID_COLUMNS), _first(columns, RUN_COLUMNS)
    if not name:
        raise ValueError(f"{path}: it has run lengths ({runs}) but no column of image ids; name one ImageId")
    found: dict[str, list[str]] = defaultdict(list)
    for row in read_table(path):
        texts = found[row[name]]
        if row[runs].lower() not in NO_RUNS:
            texts.append(row[runs])
    if not found:
        raise ValueError(f"{path}: the csv has no rows; it must hold an image id and run lengths in each")
    return {image: tuple(texts) for image, texts in found.items()}


def find_by_runs(folder: Path) -> Layout | None:
    """Images in a folder, or up to two levels lower, whose masks are the run lengths of one csv."""
    found = Findings()
    table = find_run_table(folder, found)
    if table is None:
        return None
    images = [path for place in (folder, *list_below(folder)) for path in list_images(place)]
    if not images:
        return None
    runs = read_runs(table)
    for image in images:
        keys = sorted({image.stem, image.name} & set(runs))
        if not keys:
            found.problems.append(f"{image}: {table.name} has no row for this image; add one, empty for an empty mask")
        else:
            found.pairs.append(Pair(stem=image.stem, image=image, mask=RunLengths(table, sum(map(runs.pop, keys), ()))))
    note_unused_runs(found, table, runs)
    return found.layout(f"images with run lengths in {table.name}")


def note_unused_runs(found: Findings, table: Path, unused: Iterable[str]) -> None:
    names = sorted(unused)
    if names:
        found.notes.append(f"{table.name} names {len(names)} images that are not here ({some(names)})")


def find_by_coco(folder: Path) -> Layout | None:
    """COCO's format: a json in the folder, or in annotations/, with images and annotations."""
    tables = [path for place in (folder, folder / "annotations") for path in list_tables(place, ".json")]
    for table in tables:
        try:
            content = json.loads(table.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{table}: this is no json that can be read ({error})") from None
        if isinstance(content, dict) and {"images", "annotations"} <= set(content):
            try:
                return _coco_pairs(folder, table, content, [other for other in tables if other != table])
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{table}: this is not COCO's format; an entry lacks {error}") from None
    return None


def _coco_pairs(folder: Path, table: Path, content: dict[str, Any], others: list[Path]) -> Layout:
    found = Findings()
    take_first([table, *others], found)
    shapes: dict[Any, list[str]] = {image["id"]: [] for image in content["images"]}
    unknown = []
    for annotation in content["annotations"]:
        shape = annotation["segmentation"]
        if annotation["image_id"] in shapes:
            shapes[annotation["image_id"]].append(json.dumps(shape))
        else:
            unknown.append(str(annotation["image_id"]))
    if unknown:
        found.problems.append(f"{table}: annotations of images that it does not list (image_id {some(unknown)})")
    places = (folder, folder / "images", table.parent)
    for image in content["images"]:
        path = next((place / image["file_name"] for place in places if (place / image["file_name"]).is_file()), None)
        if path is None:
            found.problems.append(f"{table}: {image['file_name']} is listed, but not in {folder} or its images/")
        else:
            mask = Shapes(table, tuple(shapes[image["id"]]))
            found.pairs.append(Pair(stem=Path(image["file_name"]).stem, image=path, mask=mask))
    without = [pair.stem for pair in found.pairs if isinstance(pair.mask, Shapes) and not pair.mask.segmentations]
    if without:
        found.notes.append(f"{len(without)} images have no annotation, so their masks are empty ({some(without)})")
    listed = {pair.image for pair in found.pairs}
    unlisted = [
        path.name for place in set(places) if place.is_dir() for path in list_images(place) if path not in listed
    ]
    if unlisted:
        found.notes.append(f"{len(unlisted)} images are not listed and left out ({some(sorted(unlisted))})")
    names = [str(category.get("name")) for category in content.get("categories", [])]
    if len(names) > 1:
        found.notes.append(f"all {len(names)} categories are foreground ({some(names)})")
    return found.layout(f"COCO annotations in {table.name}")


def read_aperio(path: Path) -> Shapes:
    """The outlines of an Aperio ImageScope xml (MoNuSeg), each a polygon. Raises ValueError."""
    try:
        root = ElementTree.parse(path).getroot()
        if root.tag != "Annotations":  # Pascal VOC's files lie in a folder of the same name
            raise ValueError(f"its root is <{root.tag}>, not <Annotations>")
        polygons = [
            [float(vertex.attrib[side]) for vertex in region.iter("Vertex") for side in "XY"]
            for region in root.iter("Region")
        ]
    except (ElementTree.ParseError, KeyError, ValueError, OSError) as error:
        raise ValueError(f"{path}: this is no Aperio xml that can be read ({error})") from None
    return Shapes(path, tuple(json.dumps([polygon]) for polygon in polygons if len(polygon) >= 6))


def find_by_paths(data: Path) -> Layout | None:
    """A csv of paths, columns image and mask (and group); the csv itself, or the one in a folder."""
    found, seen = Findings(), Counter[Path]()
    tables = [data] if data.is_file() else list_tables(data, ".csv")
    table = take_first([path for path in tables if {"image", "mask"} <= set(columns_of(path))], found)
    if table is None and data.is_file():
        raise ValueError(f"data={data}: a csv of paths needs the columns image and mask; it has {columns_of(data)}")
    if table is None:
        return None
    for number, row in enumerate(read_table(table), start=2):
        where = f"{table}, line {number}"
        if not row["image"] or not row["mask"]:
            found.problems.append(f"{where}: image and mask must both be given")
            continue
        image, mask = table.parent / row["image"], table.parent / row["mask"]
        missing = [str(path) for path in (image, mask) if not path.is_file()]
        seen[image] += 1
        if missing:
            found.problems.append(f"{where}: {', '.join(missing)} does not exist; paths start at the csv's folder")
        elif seen[image] > 1:
            found.problems.append(f"{where}: {image} is named a second time; an image has one mask")
        else:
            given = Path(row["image"])
            stem = given.stem if given.is_absolute() else str(given.with_suffix(""))
            found.pairs.append(Pair(stem=stem, image=image, mask=MaskFile(mask), group=row.get("group", "")))
    if not found.pairs and not found.problems:
        raise ValueError(f"{table}: the csv has no rows; each must name an image and a mask")
    return found.layout(f"paths in {table.name}")


def _first(columns: list[str], wanted: tuple[str, ...]) -> str:
    return next((name for name in wanted if name in columns), "")
