"""Tables of text as people save them: their encoding, separator and columns.

Nothing is skipped because a spreadsheet wrote it: UTF-8 and UTF-16 with or without a mark, and Windows' cp1252.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.data.layouts.pairs import Findings

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
