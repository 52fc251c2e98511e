"""The csv that pairs images with masks by their paths, as people and programs write it."""

from collections import Counter
from pathlib import Path

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
    """A csv of paths, columns image and mask (and group); the csv itself, or the one in a folder."""
    found = Findings()
    tables = [data] if data.is_file() else list_tables(data, ".csv", ".tsv")
    table = take_first([path for path in tables if path_columns(path)], found)
    if table is None and data.is_file():
        raise ValueError(f"data={data}: {_why_no_paths(data)}")
    return _read_paths(table, table.parent, found) if table else None


def find_by_lower_paths(data: Path) -> Layout | None:
    """The same, of a csv one or two levels lower, as metadata.csv beside the images of train/."""
    found = Findings()
    tables = [path for place in list_below(data) for path in list_tables(place, ".csv", ".tsv")]
    table = take_first([path for path in tables if path_columns(path)], found)
    return _read_paths(table, data, found) if table else None


def _read_paths(table: Path, root: Path, found: Findings) -> Layout:
    """root: the folder whose files may be meant."""
    columns = columns_of(table)
    sides = path_columns(table)
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
