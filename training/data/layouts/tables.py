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

from training.data.layouts.listing import words_of
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
    *("filename", "file_name", "file_path", "images", "imgs", "image_url", "input", "input_path", "picture", "photo"),
    *("path", "filepath", "file"),
)
CLASSED_IDS = ("imageid_classid", "image_id_class_id", "image_label", "image_class")  # 0002cc93b.jpg_1
NAME_COLUMNS = ("stem", *IMAGE_COLUMNS, "imageid", "image_id", "img_id", *CLASSED_IDS, "id", "name")
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


def column_name(text: str) -> str:
    """As columns compare: File Name, fileName and file-name are file_name."""
    return "_".join(words_of(text))


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a csv (commas, semicolons, tabs or bars) by column_name, but for empty ones. Raises ValueError."""
    try:
        header, separator, body = _split(read_text(path))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: this is no csv that can be read ({error})") from None
    rows = []
    try:
        for row in csv.DictReader(io.StringIO(body, newline=""), delimiter=separator):
            if any(row.pop(None, ())):
                raise csv.Error("it has more fields")
            cells = {column_name(key): (value or "").strip() for key, value in row.items()}
            rows += [cells] if any(cells.values()) else []
    except csv.Error as error:
        raise ValueError(f"{path}: a row does not fit the columns {header!r} ({error})") from None
    return rows


def columns_of(path: Path) -> list[str]:
    """The columns of a csv by column_name; none where it is no text."""
    return [column_name(name) for name in next(iter(_first_lines(path)), [])]


def first_row(path: Path) -> dict[str, str]:
    """What the first row of a csv holds, as far as it is short; empty without one."""
    header, *rows = _first_lines(path) or [[]]
    return dict(zip(map(column_name, header), rows[0] if rows else [], strict=False))


def _first_lines(path: Path) -> list[list[str]]:
    try:
        with path.open("rb") as file:
            data = file.read(HEADER_BYTES)
        text = codecs.getincrementaldecoder(find_encoding(data))("replace").decode(data)
        _, separator, body = _split(text)
        return (
            [] if "\0" in text else list(csv.reader(re.split(r"\r?\n|\r", body, maxsplit=2)[:2], delimiter=separator))
        )
    except (OSError, csv.Error):
        return []


def _split(text: str) -> tuple[str, str, str]:
    """Header, separator, and all lines from the header on. Excel may write sep=; into a line before it, others
    remarks after #; numpy writes # before the header itself.
    """
    stated = re.match(r'"?sep=(.)"?\r?\n', text, re.IGNORECASE)
    body = text[stated.end() :] if stated else text
    while body.startswith("#"):
        header, rest = [*re.split(r"\r?\n|\r", body, maxsplit=1), ""][:2]
        separator = _separator_of(rest)
        is_header = separator in header and header.count(separator) == _line_of(rest).count(separator)
        body = body[1:].lstrip() if is_header or not rest else rest
    return _line_of(body), stated[1] if stated else _separator_of(body), body


def _line_of(text: str) -> str:
    return re.split(r"\r?\n|\r", text, maxsplit=1)[0]


def _separator_of(text: str) -> str:
    return max(",;\t|", key=_line_of(text).count)


def note_encoding(path: Path, found: Findings) -> None:
    """Windows' encoding is a guess, so it is said."""
    if find_encoding(path.read_bytes()) == WINDOWS:
        found.notes.append(f"{path.name} is not UTF-8; it is read as {WINDOWS}")


def first_of(columns: Sequence[str], wanted: Sequence[str]) -> str:
    """The first wanted name that is among the columns; empty without one."""
    return next((name for name in wanted if name in columns), "")
