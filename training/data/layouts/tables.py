"""Tables of text as people save them: their encoding, separator and columns; and the csv that pairs images with masks.

Nothing is skipped because a spreadsheet wrote it: UTF-8 and UTF-16 with or without a mark, and Windows' cp1252.
"""

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.data.layouts.listing import (
    ImageFiles,
    clean_path,
    lies_as_written,
    list_below,
    list_images,
    list_tables,
    note_elsewhere,
    same_name,
    take_first,
)
from training.data.layouts.pairs import Findings, Layout, MaskFile, Pair
from training.study.words import shorten

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WINDOWS = "cp1252"
HEADER_BYTES = 1 << 16
CSV_BYTES = 1 << 30
csv.field_size_limit(CSV_BYTES)  # a mask is one field, and Python takes 128 kB by default

IMAGE_COLUMNS = (
    *("image", "image_path", "image_file", "image_filename", "image_file_name", "img", "img_path", "image_name"),
    *("filename", "file_name", "file_path"),
)
CLASSED_IDS = ("imageid_classid", "image_id_class_id", "image_label", "image_class")  # 0002cc93b.jpg_1
NAME_COLUMNS = ("stem", *IMAGE_COLUMNS, "file", "imageid", "image_id", "img_id", *CLASSED_IDS, "id", "name")
MASK_COLUMNS = (
    *("mask", "mask_path", "mask_file", "mask_filename", "mask_file_name", "mask_name"),
    *("label_path", "segmentation_path", "annotation_path"),
)
PART_COLUMNS = ("part", "split", "subset", "partition")  # train, val or test


def find_encoding(data: bytes) -> str:
    """Of the beginning of a text, or of all of it."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return encoding
    if data[1:200:2].count(0) > data[:200:2].count(0):
        return "utf-16-le"
    if b"\0" in data[:200]:
        return "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)  # a letter cut off at the end is no fault
    except UnicodeDecodeError:
        return WINDOWS
    return "utf-8"


def read_text(path: Path) -> str:
    """Raises ValueError for what is no text, OSError for what cannot be read."""
    data = path.read_bytes()
    text = data.decode(find_encoding(data))
    if "\0" in text:
        raise ValueError("it holds zero bytes, so it is no text")
    return text


def read_json(path: Path) -> Any:
    """Raises ValueError."""
    try:
        return json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: this is no json that can be read ({error})") from None


def read_size(height: object, width: object) -> tuple[int, int] | None:
    """(height, width) in pixels; None where a file does not say: no number and infinity say nothing."""
    try:
        size = int(float(str(height))), int(float(str(width)))
    except (ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a csv with commas, semicolons or tabs, column names in lower case. Raises ValueError."""
    try:
        header, separator, body = _split(read_text(path))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: this is no csv that can be read ({error})") from None
    rows = csv.DictReader(io.StringIO(body, newline=""), delimiter=separator)
    try:
        return [{(key or "").strip().lower(): (value or "").strip() for key, value in row.items()} for row in rows]
    except (csv.Error, AttributeError) as error:  # a row with more fields than columns holds a list
        raise ValueError(f"{path}: a row does not fit the columns {header!r} ({error})") from None


def columns_of(path: Path) -> list[str]:
    """The column names of a csv, in lower case; none where it is no text."""
    try:
        with path.open("rb") as file:
            data = file.read(HEADER_BYTES)
        text = codecs.getincrementaldecoder(find_encoding(data))("replace").decode(data)
        header, separator, _ = _split(text)
        fields = next(csv.reader([header], delimiter=separator), [])
    except (OSError, csv.Error):
        return []
    return [] if "\0" in text else [name.strip().lower() for name in fields]


def _split(text: str) -> tuple[str, str, str]:
    """Header, separator, and all lines from the header on. Excel may write sep=; into a line before it."""
    stated = re.match(r'"?sep=(.)"?\r?\n', text, re.IGNORECASE)
    body = text[stated.end() :] if stated else text
    header = re.split(r"\r?\n|\r", body, maxsplit=1)[0]
    return header, stated[1] if stated else max(",;\t", key=header.count), body


def note_encoding(path: Path, found: Findings) -> None:
    """Windows' encoding is a guess, so it is said."""
    if find_encoding(path.read_bytes()) == WINDOWS:
        found.notes.append(f"{path.name} is not UTF-8; it is read as {WINDOWS}")


def first_of(columns: Sequence[str], wanted: Sequence[str]) -> str:
    """The first wanted name that is among the columns; empty without one."""
    return next((name for name in wanted if name in columns), "")


def path_columns(columns: Sequence[str]) -> tuple[str, str] | None:
    """Those of a csv that name an image and its mask; None where one is missing."""
    image, mask = first_of(columns, IMAGE_COLUMNS), first_of(columns, MASK_COLUMNS)
    return (image, mask) if image and mask else None


def find_by_paths(data: Path) -> Layout | None:
    """A csv of paths, columns image and mask (and group); the csv itself, or the one in a folder."""
    found = Findings()
    tables = [data] if data.is_file() else list_tables(data, ".csv", ".tsv")
    table = take_first([path for path in tables if path_columns(columns_of(path))], found)
    if table is None and data.is_file():
        raise ValueError(f"data={data}: {_why_no_paths(data)}")
    return _read_paths(table, table.parent, found) if table else None


def find_by_lower_paths(data: Path) -> Layout | None:
    """The same, of a csv one or two levels lower, as metadata.csv beside the images of train/."""
    found = Findings()
    tables = [path for place in list_below(data) for path in list_tables(place, ".csv", ".tsv")]
    table = take_first([path for path in tables if path_columns(columns_of(path))], found)
    return _read_paths(table, data, found) if table else None


def _read_paths(table: Path, root: Path, found: Findings) -> Layout:
    """root: the folder whose files may be meant."""
    columns = columns_of(table)
    sides = path_columns(columns)
    assert sides
    note_encoding(table, found)
    files, elsewhere, listed, seen = ImageFiles(root), 0, set[Path](), Counter[Path]()
    for number, row in enumerate(read_table(table), start=2):
        where = f"{table}, line {number}"
        if not row[sides[0]] or not row[sides[1]]:
            found.problems.append(f"{where}: {' and '.join(sides)} must both be given")
            continue
        fits = [files.find(row[side], [table.parent, root], table) for side in sides]
        if fits[0] and fits[0] == fits[1]:  # one of them is not there, and was found by its name alone
            if row[sides[0]] == row[sides[1]]:
                found.problems.append(f"{where}: {row[sides[0]]} is named as image and as mask; name the mask's file")
                continue
            fits[not lies_as_written(fits[0][0], row[sides[1]])] = []
        missing = [str(table.parent / row[side]) for side, fit in zip(sides, fits, strict=True) if not fit]
        unclear = [fit for fit in fits if len(fit) > 1]
        listed.update(path for fit in fits for path in fit)
        if missing:
            foreign = next((row[side] for side, fit in zip(sides, fits, strict=True) if not fit), "")
            found.problems.append(
                f"{where}: {', '.join(missing)} does not exist; paths start at the csv's folder"
                f"{files.say_foreign(foreign, table)}"
            )
            continue
        if unclear:
            names = shorten([str(path.relative_to(root)) for path in unclear[0]])
            found.problems.append(f"{where}: several files fit ({names}); write the path from the csv's folder")
            continue
        (image,), (mask,) = fits
        given = row[sides[0]]
        elsewhere += not (lies_as_written(image, given) and lies_as_written(mask, row[sides[1]]))
        seen[image] += 1
        if seen[image] > 1:
            found.problems.append(f"{where}: {image} is named a second time; an image has one mask")
        else:
            stem = _stem(image, table.parent, given)
            found.pairs.append(Pair(stem=stem, image=image, mask=MaskFile(mask), group=row.get("group", "")))
    if elsewhere:
        found.notes.append(note_elsewhere(elsewhere, table.name))
    if not found.pairs and not found.problems:
        raise ValueError(f"{table}: the csv has no rows; each must name an image and a mask")
    _note_unlisted(table, listed, found)
    part = first_of(columns, PART_COLUMNS)
    if part:
        found.notes.append(f"column {part} of {table.name} is not used; split={table.name} (with its path) keeps it")
    return found.layout(f"paths in {table.name}")


def _note_unlisted(table: Path, listed: set[Path], found: Findings) -> None:
    known = {path.resolve() for path in listed}
    places = sorted({pair.image.parent.resolve() for pair in found.pairs})
    names = [path.name for place in places for path in list_images(place) if path.resolve() not in known]
    if names:
        found.notes.append(
            f"{table.name} does not list {len(names)} of the image files in the folders of its images; they are left "
            f"out ({shorten(names)})"
        )


def _stem(image: Path, folder: Path, given: str) -> str:
    """The path as the csv writes it, without its suffix; a name alone where that path is absolute."""
    path = Path(clean_path(given))
    if not path.is_absolute() and (folder / path).is_file():
        return same_name(str(path.with_suffix("")))
    if path.is_absolute() or not image.is_relative_to(folder):
        return same_name(image.stem)
    return same_name(str(image.relative_to(folder).with_suffix("")))


def _why_no_paths(data: Path) -> str:
    columns = columns_of(data)
    if data.suffix.lower() not in (".csv", ".tsv", ".txt") or not columns:
        return "this is no csv; give a folder of images and masks, a zip, or a csv with the columns image and mask"
    return f"a csv of paths needs the columns image and mask; it has {columns}"
