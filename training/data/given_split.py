"""A split that somebody else fixed, as a benchmark does: a csv of stem and part, or folders train/, val/ and test/."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from training.data.image_set import ImageSet
from training.data.layouts.groups import image_stem
from training.data.layouts.listing import PART_WORDS, PARTS, TEST, TRAIN, parts_named
from training.data.layouts.pairs import Pair
from training.data.layouts.tables import NAME_COLUMNS, PART_COLUMNS, first_of, read_table
from training.study.words import shorten

FOLDERS = "folders"  # split: as the folders are called


def given_parts(split: Path | None, images: ImageSet) -> tuple[str, ...]:
    """The part of each image: train, val or test; empty where nobody gave a split. Raises ValueError."""
    if split is None:
        return ()
    if split == Path(FOLDERS):
        return check_folders(images.folder_parts, images.stems)
    return read_parts(split, images.stems)


def describe_origin(split: Path | None, protocol: str, fold: int, images: ImageSet) -> str:
    """What decided which images train, validate and test, and what else could."""
    return f"split={split.name}" if split else f"protocol={protocol}, fold={fold}{hint(images)}"


def hint(images: ImageSet) -> str:
    """What a person would want to know whose folders or tables are called after the parts of a split; else empty."""
    parts = set(images.folder_parts)
    if not {TRAIN, TEST} <= parts <= set(PARTS):
        return ""
    names = ", ".join(part for part in PARTS if part in parts)
    return f"; split={FOLDERS} keeps {names}, as folders or tables are called"


def check_folders(parts: Sequence[str], stems: Sequence[str]) -> tuple[str, ...]:
    """The same parts. Raises ValueError where a folder does not say which it is, or none trains, or tests."""
    unsaid = [stem for stem, part in zip(stems, parts, strict=True) if not part]
    if unsaid:
        raise ValueError(
            f"split={FOLDERS}: {shorten(unsaid)}: no folder of theirs is called train, val or test; rename folders, "
            "or give a csv with the columns stem and part"
        )
    return _require_both(parts, FOLDERS)


def read_parts(path: Path, stems: Sequence[str]) -> tuple[str, ...]:
    """The part of each image, in the order of `stems`.

    Every image of the folder must be in the file, once, and no other; some must train and some test. Raises ValueError.
    """
    rows = read_table(path)
    columns = list(rows[0]) if rows else []
    name, part = first_of(columns, NAME_COLUMNS), first_of(columns, PART_COLUMNS)
    if not name or not part:
        raise ValueError(
            f"split={path}: it must be a csv with the columns stem and part, one row per image; it has "
            f"{', '.join(columns) or 'no rows'}"
        )
    said = [(image_stem(row[name], name), PART_WORDS.get(row[part].lower(), "")) for row in rows]
    known = dict(said)
    for what, wrong in (
        (f"a part other than {', '.join(PARTS)}", [stem for stem, called in said if not called]),
        ("more than one row", [stem for stem, count in Counter(stem for stem, _ in said).items() if count > 1]),
        ("a row, but no image in the folder", sorted(known.keys() - set(stems))),
        ("no row", sorted(set(stems) - known.keys())),
    ):
        if wrong:
            raise ValueError(f"split={path}: {shorten(wrong)}: {what}; correct the file")
    return _require_both([known[stem] for stem in stems], str(path))


def _require_both(parts: Sequence[str], split: str) -> tuple[str, ...]:
    if missing := [part for part in (TRAIN, TEST) if part not in parts]:
        raise ValueError(f"split={split}: no image has the part {missing[0]}; some must train and some test")
    return tuple(parts)


def find_parts(data: Path, pairs: Sequence[Pair]) -> tuple[str, ...]:
    """train, val or test of each pair, by its table or its image's folders; "" where none, or several, is called so."""
    root = data if data.is_dir() else data.parent
    return tuple(pair.part or _part_of(root, pair.image) for pair in pairs)


def _part_of(root: Path, image: Path) -> str:
    places = image.parent.relative_to(root).parts if image.is_relative_to(root) else ()
    called = [parts_named([place]) for place in places]
    first = next(filter(None, called), {""})
    return first.pop() if len(first) == 1 else ""
