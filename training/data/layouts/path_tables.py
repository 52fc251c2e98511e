"""The csv that pairs images with masks by their paths, as people and programs write it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from training.data.layouts.listing import (
    ImageFiles,
    clean_path,
    lies_as_written,
    list_below,
    list_images,
    list_tables,
    note_elsewhere,
    parts_named,
    same_name,
)
from training.data.layouts.pairs import SUFFIXES, Findings, Layout, MaskFile, Pair
from training.data.layouts.tables import (
    IMAGE_COLUMNS,
    PART_COLUMNS,
    columns_of,
    first_of,
    first_row,
    note_encoding,
    read_table,
)
from training.study.words import shorten

MASK_COLUMNS = (
    *("mask", "mask_path", "mask_file", "mask_filename", "mask_file_name", "mask_name", "masks", "mask_url"),
    *("label_path", "label_file", "segmentation_path", "annotation_path", "target_path", "seg_path", "gt_path"),
)
LABEL_COLUMNS = ("label", "labels", "target", "gt", "ground_truth", "truth", "segmentation", "annotation", "seg")
# which may hold names of classes as well, or run lengths


def path_columns(table: Path) -> tuple[str, str] | None:
    """Those of a csv that name an image and its mask; None where one is missing."""
    columns = columns_of(table)
    image, mask = first_of(columns, IMAGE_COLUMNS), first_of(columns, MASK_COLUMNS)
    if image and not mask:
        mask = first_of([name for name, text in first_row(table).items() if is_image_name(text)], LABEL_COLUMNS)
    return (image, mask) if image and mask else None


def is_image_name(text: str) -> bool:
    return text.strip().lower().endswith(SUFFIXES)


def find_by_paths(data: Path) -> Layout | None:
    """A csv of paths, columns image and mask (and group); the csv itself, or those in a folder."""
    tables = [data] if data.is_file() else list_tables(data, ".csv", ".tsv")
    usable = [path for path in tables if path_columns(path)]
    if not usable and data.is_file():
        raise ValueError(f"data={data}: {_why_no_paths(data)}")
    return _read_tables(usable, data.parent if data.is_file() else data)


def find_by_lower_paths(data: Path) -> Layout | None:
    """The same, of csv files one or two levels lower, as metadata.csv beside the images of train/."""
    tables = [path for place in list_below(data) for path in list_tables(place, ".csv", ".tsv")]
    return _read_tables([path for path in tables if path_columns(path)], data)


def _read_tables(tables: Sequence[Path], root: Path) -> Layout | None:
    """All of them together; None where there is none. root: the folder whose files may be meant."""
    found, files, listed = Findings(), ImageFiles(root), set[Path]()
    pairs: dict[Path, Pair] = {}
    for table in tables:
        _read_rows(table, files, pairs, listed, found, alone=len(tables) == 1)
    found.pairs += pairs.values()
    if tables and not found.pairs and not found.problems:
        raise ValueError(f"{tables[0]}: the csv has no rows; each must name an image and a mask")
    names = shorten([str(table.relative_to(root)) if len(tables) > 1 else table.name for table in tables])
    _note_unlisted(names, listed, found)
    for table in tables:
        if part := first_of(columns_of(table), PART_COLUMNS):
            found.notes.append(
                f"column {part} of {table.name} is not used; split={table.name} (with its path) keeps it"
            )
    return found.layout(f"paths in {names}") if tables else None


def _read_rows(
    table: Path, files: ImageFiles, pairs: dict[Path, Pair], listed: set[Path], found: Findings, alone: bool
) -> None:
    """Add the pairs of one csv, and the files that it lists; an image that is there already must have the same mask."""
    sides = path_columns(table)
    assert sides
    note_encoding(table, found)
    part = _one_of(parts_named(table.relative_to(files.root).parts))
    problems, elsewhere, repeated, here = list[str](), 0, 0, False
    for number, row in enumerate(read_table(table), start=2):
        fits, problem = _find_files(row, sides, table, files)
        listed.update(path for fit in fits for path in fit)
        here |= any(fits[:1])
        if problem:
            problems.append(f"{table}, line {number}: {problem}")
            continue
        (image,), (mask,) = fits
        given = row[sides[0]]
        elsewhere += not (lies_as_written(image, given) and lies_as_written(mask, row[sides[1]]))
        pair = Pair(
            stem=_stem(image, table.parent, given),
            image=image,
            mask=MaskFile(mask),
            group=row.get("group", ""),
            part=part,
        )
        first = pairs.setdefault(image, pair)
        if first.mask != pair.mask or first.group != pair.group:
            other = "mask" if first.mask != pair.mask else "group"
            problems.append(
                f"{table}, line {number}: {image} is named a second time, with another {other}; keep one of the rows"
            )
        elif first is not pair:
            repeated += 1
            pairs[image] = replace(first, part=_one_of({first.part, part} - {""}))
    if problems and not here and not alone:
        found.notes.append(f"{table.name} left out: none of its {len(problems)} images is here")
    else:
        found.problems += problems
    if repeated:
        found.notes.append(f"{table.name} repeats {repeated} images, with the same masks; they are taken once")
    if elsewhere:
        found.notes.append(note_elsewhere(elsewhere, table.name))


def _one_of(parts: set[str]) -> str:
    return parts.pop() if len(parts) == 1 else ""


def _find_files(
    row: Mapping[str, str], sides: tuple[str, str], table: Path, files: ImageFiles
) -> tuple[list[list[Path]], str]:
    """The files that may be the image and the mask of a row, and what is wrong where not one alone may be each."""
    image, mask = (row[side] for side in sides)
    if not image or not mask:
        return [], f"{' and '.join(sides)} must both be given"
    fits = [files.find(name, [table.parent, files.root], table) for name in (image, mask)]
    if fits[0] and fits[0] == fits[1]:  # one of them is not there, and was found by its name alone
        if image == mask:
            return fits, f"{image} is named as image and as mask; name the mask's file"
        fits[not lies_as_written(fits[0][0], mask)] = []
    missing = [name for name, fit in zip((image, mask), fits, strict=True) if not fit]
    if missing:
        shown = ", ".join(str(table.parent / name) for name in missing)
        return fits, f"{shown} does not exist; paths start at the csv's folder{files.say_foreign(missing[0], table)}"
    unclear = [fit for fit in fits if len(fit) > 1]
    if unclear:
        names = shorten([str(path.relative_to(files.root)) for path in unclear[0]])
        return fits, f"several files fit ({names}); write the path from the csv's folder"
    return fits, ""


def _note_unlisted(tables: str, listed: set[Path], found: Findings) -> None:
    known = {path.resolve() for path in listed}
    places = sorted({pair.image.parent.resolve() for pair in found.pairs})
    names = [path.name for place in places for path in list_images(place) if path.resolve() not in known]
    if names:
        found.notes.append(
            f"{tables} does not list {len(names)} of the image files in the folders of its images; they are left "
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
