"""Which image of a folder belongs to which mask: the layouts that people use, recognized by looking.

Names are read here, pixels are not. What a layout leaves in doubt is a problem, said with the names of the files;
what a person should know is a note. What was found stands in pairs.py.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from training.data.layouts.annotations.coco import is_coco, pair_by_coco
from training.data.layouts.annotations.cvat import find_by_cvat
from training.data.layouts.annotations.image_json import (
    GEOJSON,
    HEAVY,
    is_geojson,
    is_labelme,
    pair_by_geojson,
    pair_by_labelme,
)
from training.data.layouts.annotations.imagej import find_by_rois
from training.data.layouts.annotations.label_maps import find_by_voc
from training.data.layouts.annotations.supervisely import is_supervisely, pair_by_supervisely
from training.data.layouts.annotations.via import is_via, pair_by_via
from training.data.layouts.annotations.yolo import find_by_yolo
from training.data.layouts.challenges import find_by_aperio, find_by_ids, find_by_tracking, find_slides
from training.data.layouts.groups import find_groups, find_subject_columns, group_copies, group_stacks
from training.data.layouts.left_out import name_left_out, say_why_nothing
from training.data.layouts.listing import list_below, list_tables, lone_folders
from training.data.layouts.pairs import Layout, Pair, UnknownLayoutError
from training.data.layouts.path_tables import find_by_lower_paths, find_by_paths
from training.data.layouts.run_tables import find_by_runs
from training.data.layouts.siblings import find_scattered, find_siblings
from training.data.layouts.sides import (
    IMAGE_FOLDERS,
    find_equal_stems,
    find_folder_each,
    find_object_folders,
    find_side_by_side,
    find_sides,
    find_two_folders,
    find_two_stacks,
)
from training.data.layouts.tables import read_json
from training.study.words import pluralize, shorten

__all__ = ["KNOWN", "UnknownLayoutError", "find_folder", "find_groups", "find_layout"]

MAX_FOLDERS = 3  # before a stem that repeats
Finder = Callable[[Path], Layout | None]

KNOWN = (
    "images/ and masks/ (or Original/ and Ground Truth/, _Input and _GroundTruth, ...) with equal stems or masks that "
    "end in _mask, _seg, ...; a.png beside a_mask.png; a.jpg beside a.png; image.png and mask.png, a folder each; "
    "DSB-2018's <id>/images and <id>/masks; TNBC's Slide_01 and GT_01; MoNuSeg's images beside Annotations; the Cell "
    "Tracking Challenge's 01 and 01_GT; Pascal VOC's SegmentationClass; a csv of run lengths; COCO, VIA, LabelMe "
    "or Supervisely json; CVAT's xml; GeoJSON; YOLO's outlines in txt; ImageJ's RoiSet.zip; or a csv with the columns "
    "image and mask"
)


def find_folder(data: Path, mask_suffix: str = "", category: str = "", mask_folder: str = "") -> tuple[Path, Layout]:
    """As find_layout, and where: a folder that holds nothing but another is as good as that one."""
    try:
        return data, find_layout(data, mask_suffix, category, mask_folder)
    except UnknownLayoutError:
        for place in lone_folders(data):
            with suppress(UnknownLayoutError):
                return place, find_layout(place, mask_suffix, category, mask_folder)
        raise


def find_layout(data: Path, mask_suffix: str = "", category: str = "", mask_folder: str = "") -> Layout:
    """What is in a folder, or in a csv of paths.

    mask_suffix: the ending that counts, "" for the known ones. category: which class of annotations is foreground, by
    name or id; "all" for any; "" where there is one class. mask_folder: which folders hold the masks that count, with
    commas; "" for those that are called so.
    Raises UnknownLayoutError, and ValueError for a category that the annotations do not have.
    """
    if data.is_symlink() and not data.exists():
        raise ValueError(f"data={data}: this symbolic link leads nowhere")
    if not data.exists():
        raise ValueError(f"data={data}: there is no such folder; give one with images and masks: {KNOWN}")
    finders: tuple[tuple[Finder, str], ...] = (  # and the option that it heeds
        (find_by_paths, ""),
        (lambda folder: find_by_voc(folder, category), "category"),
        (lambda folder: find_object_folders(folder, category), "category"),
        (lambda folder: find_two_folders(folder, mask_suffix), "mask_suffix"),
        (lambda folder: find_sides(folder, mask_suffix), "mask_suffix"),
        (lambda folder: find_by_ids(folder, category), "category"),
        (find_slides, ""),
        (find_by_tracking, ""),
        (find_by_aperio, ""),
        (lambda folder: find_by_cvat(folder, category), "category"),
        (lambda folder: _by_json(folder, category), "category"),
        (lambda folder: find_by_yolo(folder, category), "category"),
        (lambda folder: find_by_runs(folder, category), "category"),
        (find_two_stacks, ""),
        (lambda folder: find_side_by_side(folder, mask_suffix), "mask_suffix"),
        (find_folder_each, ""),
        (lambda folder: find_siblings(folder, mask_suffix), "mask_suffix"),
        (lambda folder: find_scattered(folder, mask_suffix), "mask_suffix"),
        (lambda folder: find_by_rois(folder, category), "category"),
        (find_by_lower_paths, ""),
        (find_equal_stems, ""),
    )
    chosen = [name.strip().strip("/\\").replace("\\", "/") for name in mask_folder.split(",") if name.strip()]
    if chosen:
        finders = ((lambda folder: find_siblings(folder, mask_suffix, chosen), "mask_suffix"),)
    usable = finders[:1] if data.is_file() else finders
    found = ((finder(data), option) for finder, option in usable)
    layout, heeded = next((one for one in found if one[0] and (one[0].pairs or one[0].problems)), (None, ""))
    if layout is None:
        raise UnknownLayoutError(f"data={data}: {say_why_nothing(data)}; the layouts known here are {KNOWN}")
    if layout.pairs:
        _require_heeded(layout, heeded, mask_suffix, category)
    layout = group_copies(group_stacks(_with_unique_stems(layout, data if data.is_dir() else data.parent)))
    notes = (*layout.notes, *name_left_out(data, layout)) if data.is_dir() else layout.notes
    return replace(layout, notes=notes, subject_columns=find_subject_columns(data))


def _require_heeded(layout: Layout, heeded: str, mask_suffix: str, category: str) -> None:
    """Raises ValueError for an option that says nothing about this layout: none is passed over in silence."""
    if category and heeded != "category":
        raise ValueError(
            f"category={category!r}: {layout.name} states no classes; leave category out (mask_values says which "
            "values of a mask are foreground)"
        )
    if mask_suffix and heeded != "mask_suffix":
        raise ValueError(
            f"mask_suffix={mask_suffix!r}: in {layout.name} masks are not found by the endings of their names; leave "
            "mask_suffix out"
        )


def _by_json(folder: Path, category: str) -> Layout | None:
    """COCO's format, VIA's, LabelMe's, Supervisely's, or GeoJSON; a note names json that is none of them."""
    coco, via, labelme, supervisely, geojson, others = {}, {}, {}, {}, {}, list[str]()
    for path in (path for place in (folder, *list_below(folder)) for path in list_tables(place, ".json", GEOJSON)):
        content = read_json(path)
        if is_coco(content):
            coco[path] = content
        elif is_via(content):
            via[path] = content
        elif is_labelme(content):
            content.pop(HEAVY, None)
            labelme[path] = content
        elif is_supervisely(content):
            supervisely[path] = content
        elif is_geojson(content):
            geojson[path] = content
        else:
            others.append(path.name)
    readers = (
        (coco, "COCO", pair_by_coco),
        (via, "VIA", pair_by_via),
        (labelme, "LabelMe", pair_by_labelme),
        (supervisely, "Supervisely", pair_by_supervisely),
        (geojson, "GeoJSON", pair_by_geojson),
    )
    known = [(contents, name, read) for contents, name, read in readers if contents]
    if not known:
        return None
    (contents, name, read), *unused = known
    layout = read(folder, contents, category)
    notes = [f"{len(others)} json without outlines left out ({shorten(others)})"] if others else []
    notes += [
        f"{pluralize(len(more), 'file')} of {kind} left out ({shorten([path.name for path in more])}): {name} is read"
        for more, kind, _ in unused
    ]
    return replace(layout, notes=(*layout.notes, *notes))


def _with_unique_stems(layout: Layout, root: Path) -> Layout:
    """Stems that repeat get as many of their folders before them as tell them apart."""
    for depth in range(MAX_FOLDERS + 1):
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
