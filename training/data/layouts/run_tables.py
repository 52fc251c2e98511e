"""Masks as run lengths in a csv, Kaggle's way: one row per object, or one per image and class.

The texts are handed on as they are; in which order their pixels run is decided where they are drawn.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.data.layouts.categories import choose_labels
from training.data.layouts.listing import (
    ImageFiles,
    clean_path,
    list_below,
    list_csv,
    list_images,
    same_name,
    take_first,
)
from training.data.layouts.pairs import Findings, Layout, Pair, RunLengths
from training.data.layouts.tables import (
    CLASSED_IDS,
    NAME_COLUMNS,
    columns_of,
    first_of,
    note_encoding,
    read_size,
    read_table,
)
from training.study.words import pluralize, shorten

RUN_COLUMNS = (
    *("encodedpixels", "encoded_pixels", "rle", "rle_mask", "mask_rle", "annotation", "segmentation", "encoding"),
    *("rle_encoding", "rles"),
)
CLASS_COLUMNS = (
    *("classid", "class_id", "class", "class_name", "classname", "label", "label_id", "category", "category_id"),
    *("category_name", "cell_type"),
)
SIZE_COLUMNS = (("height", "width"), ("img_height", "img_width"), ("image_height", "image_width"))
NO_RUNS = ("", "nan", "-1", "none", "null")
NO_TRUTH = "sample_submission"  # Kaggle's: it shows the columns, its masks are made up


@dataclass(kw_only=True)
class Runs:
    """What a csv says of one image: a label and run lengths for each object."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    size: tuple[int, int] | None = None  # (height, width)


def find_run_table(folder: Path, found: Findings) -> Path | None:
    """A csv of run lengths in a folder, or one level lower."""
    runs = [path for path in list_csv(folder) if is_run_table(path) and NO_TRUTH not in path.name.lower()]
    return take_first(runs, found)


def is_run_table(path: Path) -> bool:
    columns = columns_of(path)
    if first_of(columns, RUN_COLUMNS) in ("", "annotation", "segmentation"):  # words that other tables use too
        return bool(first_of(columns, RUN_COLUMNS) and first_of(columns, NAME_COLUMNS))
    return True


def read_runs(path: Path) -> dict[str, Runs]:
    """Of each image id; no texts for an empty mask. Raises ValueError."""
    columns = columns_of(path)
    name, runs = first_of(columns, NAME_COLUMNS), first_of(columns, RUN_COLUMNS)
    if not name:
        raise ValueError(f"{path}: it has run lengths ({runs}) but no column of image ids; name one ImageId")
    kind = first_of(columns, CLASS_COLUMNS)
    height, width = next((pair for pair in SIZE_COLUMNS if set(pair) <= set(columns)), ("", ""))
    found: dict[str, Runs] = defaultdict(Runs)
    for number, row in enumerate(read_table(path), start=2):
        key, label = same_name(clean_path(row[name])), row[kind] if kind else ""
        if name in CLASSED_IDS:
            key, _, label = key.rpartition("_")
        entry = found[key]
        if row[runs].lower() not in NO_RUNS:
            entry.texts.append((label, row[runs]))
        size = read_size(row[height], row[width]) if height else None
        if size and entry.size and size != entry.size:
            raise ValueError(
                f"{path}, line {number}: {key} is {entry.size} and {size} pixels high and wide; correct one"
            )
        entry.size = size or entry.size
    if not found:
        raise ValueError(f"{path}: the csv has no rows; it must hold an image id and run lengths in each")
    return dict(found)


def find_by_runs(folder: Path, category: str) -> Layout | None:
    """Images in a folder, or up to two levels lower, whose masks are the run lengths of one csv."""
    found = Findings()
    table = find_run_table(folder, found)
    if table is None:
        return None
    images = [path for place in (folder, *list_below(folder)) for path in list_images(place)]
    if not images:
        return None
    note_encoding(table, found)
    runs = read_runs(table)
    labels = choose_runs(runs, category, found)
    placed: dict[Path, set[str]] = defaultdict(set)  # by ids that are paths
    files = ImageFiles(folder)
    for key in (key for key in runs if "/" in key):
        fits = files.find(key, (folder, table.parent))
        if len(fits) > 1:
            found.problems.append(f"{table}: several images fit {key} ({shorten([str(path) for path in fits])})")
        else:
            placed.update({path: placed[path] | {key} for path in fits})
    keys_of = {
        image: sorted(({same_name(image.stem), same_name(image.name)} | placed[image]) & set(runs)) for image in images
    }
    named = {image.parent for image in images if keys_of[image]}
    for image, keys in keys_of.items():
        left = [key for key in keys if key in runs]
        if left:
            mask = pick_runs(table, [runs.pop(key) for key in left], labels)
            found.pairs.append(Pair(stem=same_name(image.stem), image=image, mask=mask))
        elif image.parent in named or not named:
            found.problems.append(f"{image}: {table.name} has no row for this image; add one, empty for an empty mask")
    others = [str(image.relative_to(folder)) for image in images if named and image.parent not in named]
    if others:
        found.notes.append(
            f"{pluralize(len(others), 'image')} left out: {table.name} names none of their folder ({shorten(others)})"
        )
    note_unused_runs(found, table, runs)
    empty = [
        pair.stem for pair in found.pairs if category and isinstance(pair.mask, RunLengths) and not pair.mask.texts
    ]
    if empty:
        found.notes.append(f"{len(empty)} images have nothing of the chosen category: empty masks ({shorten(empty)})")
    return found.layout(f"images with run lengths in {table.name}")


def choose_runs(runs: Mapping[str, Runs], category: str, found: Findings) -> frozenset[str]:
    """The labels that are foreground."""
    counts = Counter(label for one in runs.values() for label, _ in one.texts)
    return choose_labels(counts, category, found)


def pick_runs(table: Path, runs: Sequence[Runs], labels: frozenset[str]) -> RunLengths:
    """One image's, of the labels that are foreground."""
    texts = tuple(text for one in runs for label, text in one.texts if label in labels)
    return RunLengths(table, texts, next((one.size for one in runs if one.size), None))


def note_unused_runs(found: Findings, table: Path, unused: Iterable[str]) -> None:
    names = sorted(unused)
    if names:
        found.notes.append(f"{table.name} names {len(names)} images that are not here ({shorten(names)})")
