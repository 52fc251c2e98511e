"""What lies in a data set and is not read: counted and named, so that nothing is missed in silence.

And what to say where nothing was recognized at all.
"""

import itertools
import re
import shlex
from collections import Counter
from pathlib import Path
from statistics import fmean

from training.data.layouts.annotations.imagej import ROI, ZIP, holds_selections
from training.data.layouts.archive import is_archive
from training.data.layouts.listing import (
    PART_WORDS,
    ImageFiles,
    count_litter,
    list_all_below,
    list_below,
    list_csv,
    list_folder,
    list_images,
    list_tables,
    same_name,
    words_of,
)
from training.data.layouts.pairs import SUFFIXES, Layout, MaskFile, ObjectFiles, is_unread
from training.data.layouts.path_tables import path_columns
from training.data.layouts.run_tables import NO_TRUTH, is_run_table
from training.data.layouts.siblings import MAX_LEVELS, is_mask_folder, is_preview
from training.data.layouts.sides import IMAGE_FOLDERS, MASK_FOLDERS, folder_named
from training.data.layouts.stems import image_names
from training.data.layouts.tables import columns_of
from training.study.words import SHOWN_NAMES, shorten

PICTURES = {"image", "images", "img", "imgs", "picture", "pictures", "photo", "photos", "frame", "frames"}


def name_left_out(data: Path, layout: Layout) -> list[str]:
    """What lies beside that is not read: other suffixes, tables of masks, litter."""
    masks = [pair.mask for pair in layout.pairs]
    files = [mask.path for mask in masks if isinstance(mask, MaskFile)]
    files += [path for mask in masks if isinstance(mask, ObjectFiles) for path in mask.paths]
    folders = sorted({path.parent for path in (*files, *(pair.image for pair in layout.pairs))})
    used = {mask.path for mask in masks if not isinstance(mask, ObjectFiles)}
    there = [path for folder in folders for path in list_folder(folder)]
    unread = Counter(path.suffix.lower() for path in there if is_unread(path) and path not in used)
    notes = []
    if unread:
        total = unread.total() + sum(path.suffix.lower() in SUFFIXES for path in there)
        place = f"{folders[0].name}/" if len(folders) == 1 else f"{len(folders)} folders"
        kinds = ", ".join(unread)
        notes.append(f"{unread.total()} of {total} files in {place} have a suffix that is not read ({kinds}): left out")
    said = " ".join((layout.name, *layout.notes, *layout.problems))
    tables = [
        path
        for path in list_tables(data, ".csv", ".tsv", ".json", ROI, ZIP)
        if path not in used and path.name not in said
    ]
    unused = [path.name for path in tables if _holds_masks(path)]
    if unused:
        notes.append(f"{shorten(unused)} left out: masks are taken from elsewhere in the folder")
    bare = {
        path: columns_of(path)
        for path in list_csv(data)
        if path not in used and path.name not in unused and path.name not in said and NO_TRUTH not in path.name.lower()
    }
    tables_without = [
        f"{path.relative_to(data)}: {', '.join(columns)}"
        for path, columns in bare.items()
        if "stem" not in columns  # a table that was made for `group` or `split`
    ]
    if tables_without:
        shown = shorten(tables_without)
        notes.append(f"no masks are taken from {shown}; group= may name a column beside one of images' names")
    others = [path for path in ImageFiles(data).paths if path.parent not in folders]
    named = {path.parent for path in others if path.name in said}
    remarks = " ".join((*layout.notes, *layout.problems))  # the name of a layout says images/, which others are called
    named |= {
        path.parent for path in others if any(f"{part}/" in remarks for part in path.relative_to(data).parts[:-1])
    }
    silent = Counter(f"{path.parent.relative_to(data)}/" for path in others if path.parent not in named)
    if silent and layout.pairs:
        shown = shorten([f"{place}: {count}" for place, count in silent.items()])
        notes.append(f"{silent.total()} images in other folders are left out ({shown})")
    litter = count_litter(data)
    return [*notes, litter] if litter else notes


def _holds_masks(table: Path) -> bool:
    """Whether it looks like annotations; of a json the beginning tells."""
    if NO_TRUTH in table.name.lower():
        return False
    if table.suffix.lower() in (ROI, ZIP):
        return holds_selections(table)
    if table.suffix.lower() != ".json":
        return is_run_table(table) or path_columns(table) is not None
    with table.open("rb") as file:
        head = file.read(1 << 20).replace(b"\0", b"")
    return any(key in head for key in (b'"annotations"', b'"shapes"', b'"images"', b'"regions"', b'"objects"'))


def say_why_nothing(data: Path) -> str:
    """What is missing, as far as one can tell; and archives, which may hold it."""
    found = list_folder(data)
    if not found:
        return "the folder is empty"
    archives = [path for place in (data, *list_below(data)) for path in list_folder(place) if is_archive(path)]
    if not archives:
        return _say_what_lacks(data)
    shown = shorten([str(path.relative_to(data)) for path in archives])
    cure = "unpack them into one folder, and give that; or give the one that holds all"
    if len(archives) == 1:
        cure = f"give it as data={archives[0]}"
    lacks = "" if archives == found else f"{_say_what_lacks(data)}; "
    return f"{lacks}it holds archives ({shown}); {cure}"


def _say_what_lacks(data: Path) -> str:
    names = {path.name.lower() for path in list_folder(data)}
    places = (data, *list_below(data))
    unread = Counter(path.suffix.lower() for place in places for path in list_folder(place) if is_unread(path))
    if unread and not any(list_images(place) for place in places):
        kinds = ", ".join(f"{suffix}: {count}" for suffix, count in unread.most_common(SHOWN_NAMES))
        return f"no suffix here is read ({', '.join(SUFFIXES)}), but there are others ({kinds}); save them as png"
    sides = [side for side in (folder_named(data, IMAGE_FOLDERS), folder_named(data, MASK_FOLDERS)) if side]
    if len(sides) == 2:
        others = f"; other suffixes there: {', '.join(unread)}" if unread else ""
        return f"{sides[0].name}/ holds no image ({', '.join(SUFFIXES)}), or {sides[1].name}/ no mask{others}"
    tables = [path.name for place in places for path in list_tables(place, ".json", ".geojson")]
    if tables:
        return (
            f"{shorten(tables)} is not json of COCO, VIA, LabelMe, Supervisely or GeoJSON; export the outlines as COCO"
        )
    foreign = [path.name for place in places for path in list_tables(place, ".xml")]
    if foreign:
        return f"{shorten(foreign)}: outlines in this xml are not read; export them as COCO, or masks as png"
    alike, ending = _find_unknown_ending(data)
    if alike:
        return (
            f"{alike[0]} has the names of {alike[1]} and an ending that is not known; say how masks end, as "
            f"mask_suffix={shlex.quote(ending)}"
        )
    unnamed, side = _find_unnamed_sides(data)
    if unnamed:
        return (
            f"{' and '.join(unnamed)} hold images of the same names, but neither is called masks/; say which holds "
            f"masks, as mask_folder={shlex.quote(side)}"
        )
    if names & set(IMAGE_FOLDERS) and not names & set(MASK_FOLDERS):
        return "it has a folder of images, but none of masks"
    if names & set(MASK_FOLDERS) and not names & set(IMAGE_FOLDERS):
        return "it has a folder of masks, but no folder images/"
    lists = [path for path in list_tables(data, ".csv", ".tsv") if NO_TRUTH not in path.name.lower()]
    if lists:
        columns = ", ".join(columns_of(lists[0])) or "none"
        return f"{lists[0].name} has the columns {columns}; a csv that lists the files needs the columns image and mask"
    endings = _find_endings(data)
    if endings:
        shown = ", ".join(f"{ending}: {count}" for ending, count in endings[:SHOWN_NAMES])
        return (
            f"names are those of others and an ending ({shown}); if that means masks, say so, as "
            f"mask_suffix={shlex.quote(endings[0][0])}"
        )
    return "no image with a mask was found"


def _find_endings(data: Path) -> list[tuple[str, int]]:
    """What names of images have beyond names of others, the most frequent first: words, since numbers tell images
    apart, and none that means a preview.
    """
    files = [path for place in (data, *list_all_below(data, MAX_LEVELS)) for path in list_images(place)]
    stems = [same_name(path.stem) for path in files]
    known = set(stems)
    endings = Counter(
        stem[end:]
        for stem in stems
        for end in range(1, len(stem))
        if stem[:end] in known and not stem[end].isalnum() and re.search(r"[^\W\d_]", stem[end:])
    )
    return [(ending, count) for ending, count in endings.most_common() if count > 1 and not is_preview(ending)]


def _find_unknown_ending(data: Path) -> tuple[list[str], str]:
    """A folder that is called masks, one of images, and what all names of the first have more at their end; else
    empty.
    """
    places = {place: files for place in list_all_below(data, MAX_LEVELS) if (files := list_images(place))}
    masks = [place for place in places if is_mask_folder(place.relative_to(data))]
    for side, other in itertools.product(masks, places):
        cores = image_names(places[other]) if other not in masks else set[str]()
        stems = [same_name(path.stem) for path in places[side]]
        endings = {stems[0][end:] for end in range(1, len(stems[0])) if stems[0][:end] in cores}
        for ending in sorted(endings, key=len):
            if all(stem.endswith(ending) and stem.removesuffix(ending) in cores for stem in stems):
                return [f"{place.relative_to(data)}/" for place in (side, other)], ending
    return [], ""


def _find_unnamed_sides(data: Path) -> tuple[list[str], str]:
    """Two folders of images of the same names, of which nothing says which are the masks, and what to give as
    mask_folder: all that are called like the one of smaller files that is not called pictures. Else empty.
    """
    stems = {
        place: {same_name(path.stem) for path in files}
        for place in list_all_below(data, MAX_LEVELS)
        if (files := list_images(place)) and not any(map(is_preview, place.relative_to(data).parts))
    }
    for one, other in itertools.combinations(stems, 2):
        sides = [place for place in (one, other) if not PICTURES & set(_role(place, data))]
        if sides and 2 * len(stems[one] & stems[other]) > len(stems[one]) and _role(one, data) != _role(other, data):
            masks = min(sides, key=_size)
            alike = [place.relative_to(data) for place in stems if _role(place, data) == _role(masks, data)]
            names = dict.fromkeys(side.parts[0] if one.name == other.name else side.name for side in alike)
            return [f"{place.relative_to(data)}/" for place in (one, other)], ",".join(names)
    return [], ""


def _role(place: Path, data: Path) -> tuple[str, ...]:
    """What a folder is beside others: its path without numbers, and without words such as train."""
    words = (word.rstrip("0123456789") for part in place.relative_to(data).parts for word in words_of(part))
    return tuple(word for word in words if word and word not in PART_WORDS)


def _size(place: Path) -> float:
    """Bytes of a file, on average."""
    return fmean(path.stat().st_size for path in list_images(place))
