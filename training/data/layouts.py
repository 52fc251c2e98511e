"""Which image of a folder belongs to which mask: the layouts that people use, recognized by looking.

Names are read here, pixels are not. What a layout leaves in doubt is a problem, said with the names of the files;
what a person should know is a note.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from training.data.annotations import (
    columns_of,
    find_by_coco,
    find_by_paths,
    find_by_runs,
    find_run_table,
    note_unused_runs,
    read_aperio,
    read_runs,
    read_table,
)
from training.data.pairs import (
    SUFFIXES,
    Findings,
    Layout,
    ObjectFiles,
    Pair,
    RunLengths,
    list_folder,
    list_folders,
    list_images,
    list_tables,
    some,
)
from training.data.stems import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    find_side_by_side,
    find_sides,
    find_two_folders,
    pair_by_stem,
)

MOST_FOLDERS = 3  # before a stem that repeats
NAME_COLUMNS = ("stem", "image", "file", "filename", "file_name", "imageid", "image_id", "id")

KNOWN = (
    "images/ and masks/ with equal stems (or masks ending in _mask, _seg, ...); a.png beside a_mask.png; DSB-2018's "
    "<id>/images and <id>/masks; TNBC's Slide_01 and GT_01; MoNuSeg's images beside Annotations; a csv of run lengths; "
    "COCO json; or a csv with the columns image and mask"
)


def find_layout(data: Path, mask_suffix: str = "") -> Layout:
    """What is in a folder, or in a csv of paths. mask_suffix: the ending that counts, "" for the known ones.

    Raises ValueError when nothing is recognized.
    """
    if data.is_symlink() and not data.exists():
        raise ValueError(f"data={data}: this symbolic link leads nowhere")
    if not data.exists():
        raise ValueError(f"data={data}: there is no such folder; give one with images and masks: {KNOWN}")
    if data.is_file():
        layout = find_by_paths(data)
    else:
        finders: tuple[Callable[[Path], Layout | None], ...] = (
            find_by_paths,
            lambda folder: find_two_folders(folder, mask_suffix),
            lambda folder: find_sides(folder, mask_suffix),
            _one_folder_an_image,
            _slides,
            _aperio,
            find_by_coco,
            find_by_runs,
            lambda folder: find_side_by_side(folder, mask_suffix),
        )
        layout = next((found for finder in finders if (found := finder(data))), None)
    if layout is None or not (layout.pairs or layout.problems):
        raise ValueError(f"data={data}: {_why_nothing(data)}; the layouts known here are {KNOWN}")
    return _with_unique_stems(layout, data if data.is_dir() else data.parent)


def find_groups(data: Path, pairs: Sequence[Pair], group: str) -> tuple[str, ...]:
    """The group of each pair: a column of the csv, or what a regular expression finds in the stem.

    group: "" for what the layout states, else each image is its own. Raises ValueError, with the cure.
    """
    if not group:
        return tuple(pair.group or pair.stem for pair in pairs)
    column = _group_column(data, group)
    if column:
        places = [(str(pair.image.with_suffix("")), pair.stem, pair.image.stem) for pair in pairs]
        groups = [next((column[name] for name in names if name in column), "") for names in places]
        rule = f"column {group} of the csv"
    else:
        try:
            matches = [re.search(group, pair.stem) for pair in pairs]
        except re.error as error:
            raise ValueError(
                f"group={group!r} is neither a column of the csv nor a regular expression ({error}); give one such as "
                r"group='Image_(\d+)'"
            ) from None
        groups = [(match[1] if match.re.groups else match[0]) or "" if match else "" for match in matches]
        rule = "expression"
    without = [pair.stem for pair, found in zip(pairs, groups, strict=True) if not found]
    if without:
        raise ValueError(f"group={group!r}: the {rule} says nothing of {some(without)}; every image needs a group")
    if len(set(groups)) == 1:
        raise ValueError(f"group={group!r}: all {len(pairs)} images fall into one group, so none can be held out")
    return tuple(groups)


def _group_column(data: Path, name: str) -> dict[str, str]:
    """stem, or path without suffix -> value of a column of the csv of paths, or of index.csv; empty without it."""
    tables = [data] if data.is_file() else list_tables(data, ".csv")
    tables = [table for table in tables if name.lower() in columns_of(table)]
    if not tables:
        return {}
    keys = [next((key for key in NAME_COLUMNS if key in columns_of(table)), "") for table in tables]
    table, key = next((pair for pair in zip(tables, keys, strict=True) if pair[1]), (tables[0], ""))
    if not key:
        raise ValueError(f"{table}: it has a column {name}, but none that names the images; call that stem or image")
    column: dict[str, str] = {}
    for row in read_table(table):
        stem, value = _without_suffix(row[key]), row[name.lower()]
        if column.setdefault(stem, value) != value:
            raise ValueError(f"{table}: {row[key]} is {name} {column[stem]} and {value}; name an image once")
        column[str(table.parent / stem)] = value
    return column


def _one_folder_an_image(data: Path) -> Layout | None:
    """DSB-2018: <id>/images/<file> and <id>/masks/*, one file an object; or the masks in a csv of run lengths."""
    below = list_folders(data)
    ids = [path for path in below if (path / "images").is_dir()]
    ids += [path for place in below if place not in ids for path in list_folders(place) if (path / "images").is_dir()]
    ids = [path for path in ids if (path / "masks").is_dir() or len(ids) > 1]
    if not ids:
        return None
    found = Findings()
    table = find_run_table(data, found)
    runs = read_runs(table) if table else {}
    written = 0
    for folder in ids:
        images = list_images(folder / "images")
        masks = list_images(folder / "masks") if (folder / "masks").is_dir() else []
        if len(images) != 1:
            found.problems.append(f"{folder}/images: it holds {len(images)} images; it must hold one")
        elif masks:
            found.pairs.append(Pair(stem=images[0].stem, image=images[0], mask=ObjectFiles(tuple(masks))))
        elif table and folder.name in runs:
            found.pairs.append(
                Pair(stem=images[0].stem, image=images[0], mask=RunLengths(table, runs.pop(folder.name)))
            )
            written += 1
        else:
            found.problems.append(f"{folder}: it has no masks, and no csv of run lengths names it")
    if table:
        note_unused_runs(found, table, runs)
    name = f"DSB-2018: a folder an image, a file an object ({len(found.pairs) - written} images)"
    return found.layout(name + (f", and run lengths in {table.name} ({written})" if table and written else ""))


def _slides(data: Path) -> Layout | None:
    """TNBC: Slide_01/ beside GT_01/, equal names; a slide is a group."""
    found = Findings()
    for place in (data, *list_folders(data)):
        names = [path.name for path in list_folders(place) if re.fullmatch(r"(Slide|GT)_\d+", path.name)]
        for number in sorted({name.split("_")[1] for name in names}):
            sides = [f"{side}_{number}" for side in ("Slide", "GT")]
            images, masks = (list_images(place / side) if side in names else [] for side in sides)
            before = len(found.pairs)
            pair_by_stem(images, masks, "", found)
            found.pairs[before:] = [replace(pair, group=sides[0]) for pair in found.pairs[before:]]
    return found.layout("TNBC: Slide_* and GT_*, a slide a group") if found.pairs or found.problems else None


def _aperio(data: Path) -> Layout | None:
    """MoNuSeg: a folder of images beside Annotations/, an xml of outlines an image."""
    found = Findings()
    for place in (data, *list_folders(data)):
        folders = [path for path in list_folders(place) if path.name.lower() == "annotations"]
        tables = {path.stem: path for folder in folders for path in list_tables(folder, ".xml")}
        images: dict[str, Path] = {}
        for image in (path for folder in list_folders(place) if tables for path in list_images(folder)):
            if image.stem in images:
                found.problems.append(f"{image}: {images[image.stem]} has the same stem; stems must be unique")
            elif image.stem in tables:
                images[image.stem] = image
                found.pairs.append(Pair(stem=image.stem, image=image, mask=read_aperio(tables[image.stem])))
            else:
                found.problems.append(f"{image}: Annotations/ has no {image.stem}.xml")
        without = [path for stem, path in tables.items() if stem not in images]
        found.problems += [f"{path}: there is no image of the same stem" for path in without]
    name = "MoNuSeg: images, and their outlines in Annotations/*.xml"
    return found.layout(name) if found.pairs or found.problems else None


def _with_unique_stems(layout: Layout, root: Path) -> Layout:
    """Stems that repeat get as many of their folders before them as tell them apart."""
    for depth in range(MOST_FOLDERS + 1):
        pairs = [replace(pair, stem=_longer_stem(pair, root, depth)) for pair in layout.pairs]
        if len({pair.stem for pair in pairs}) == len(pairs):
            return replace(layout, pairs=tuple(sorted(pairs, key=lambda pair: pair.stem)))
    twice = [stem for stem, count in Counter(pair.stem for pair in layout.pairs).items() if count > 1]
    problems = [f"{stem}: several images have this name; stems must be unique" for stem in twice]
    return replace(layout, problems=(*layout.problems, *problems))


def _longer_stem(pair: Pair, root: Path, depth: int) -> str:
    """With folders before it: neither those that all call images, nor the data set's, which may be moved."""
    place = pair.image.parent
    parts = place.relative_to(root).parts if place.is_relative_to(root) else place.parts
    folders = [name for name in parts if name.lower() not in IMAGE_FOLDERS]
    return "/".join([*folders[max(0, len(folders) - depth) :], pair.stem])


def _why_nothing(data: Path) -> str:
    """What is missing, as far as one can tell."""
    names = {path.name.lower() for path in list_folder(data)}
    if not names:
        return "the folder is empty"
    if names & set(IMAGE_FOLDERS) and not names & set(MASK_FOLDERS):
        return "it has a folder of images, but none of masks"
    if names & set(MASK_FOLDERS) and not names & set(IMAGE_FOLDERS):
        return "it has a folder of masks, but no folder images/"
    return "no image with a mask was found"


def _without_suffix(name: str) -> str:
    path = Path(name)
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else name
