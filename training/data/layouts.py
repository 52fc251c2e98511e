"""Which image of a folder belongs to which mask: the layouts that people use, recognized by looking.

Names are read here, pixels are not. What a layout leaves in doubt is a problem, said with the names of the files;
what a person should know is a note. What was found stands in pairs.py.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from training.data.archive import ARCHIVES
from training.data.challenges import find_by_aperio, find_by_ids, find_slides
from training.data.coco import is_coco, pair_by_coco
from training.data.groups import find_groups, find_subject_columns, group_copies
from training.data.label_maps import find_by_voc
from training.data.labelme import HEAVY, is_labelme, pair_by_labelme
from training.data.listing import (
    ImageFiles,
    count_litter,
    list_below,
    list_folder,
    list_images,
    list_tables,
)
from training.data.pairs import SHOWN_NAMES, SUFFIXES, Layout, MaskFile, ObjectFiles, Pair, some
from training.data.run_tables import NO_TRUTH, find_by_runs, is_run_table
from training.data.sides import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    find_siblings,
    find_side_by_side,
    find_sides,
    find_two_folders,
    find_unnamed_sides,
    folder_named,
)
from training.data.stems import is_unread
from training.data.tables import columns_of, find_by_paths, read_json
from training.data.yolo import find_by_yolo

__all__ = ["KNOWN", "find_groups", "find_layout"]

MOST_FOLDERS = 3  # before a stem that repeats
Finder = Callable[[Path], Layout | None]

KNOWN = (
    "images/ and masks/ (or Original/ and Ground Truth/, _Input and _GroundTruth, ...) with equal stems or masks that "
    "end in _mask, _seg, ...; a.png beside a_mask.png; DSB-2018's <id>/images and <id>/masks; TNBC's Slide_01 and "
    "GT_01; MoNuSeg's images beside Annotations; Pascal VOC's SegmentationClass; a csv of run lengths; COCO or "
    "LabelMe json; YOLO's outlines in txt; or a csv with the columns image and mask"
)


def find_layout(data: Path, mask_suffix: str = "", category: str = "") -> Layout:
    """What is in a folder, or in a csv of paths.

    mask_suffix: the ending that counts, "" for the known ones. category: which class of annotations is foreground, by
    name or id; "all" for any; "" where there is one class. Raises ValueError when nothing is recognized, and for a
    category that the annotations do not have.
    """
    if data.is_symlink() and not data.exists():
        raise ValueError(f"data={data}: this symbolic link leads nowhere")
    if not data.exists():
        raise ValueError(f"data={data}: there is no such folder; give one with images and masks: {KNOWN}")
    finders: tuple[Finder, ...] = (
        _classless(find_by_paths, category),
        lambda folder: find_by_voc(folder, category),
        _classless(lambda folder: find_two_folders(folder, mask_suffix), category),
        _classless(lambda folder: find_sides(folder, mask_suffix), category),
        lambda folder: find_by_ids(folder, category),
        _classless(find_slides, category),
        _classless(find_by_aperio, category),
        lambda folder: _by_json(folder, category),
        lambda folder: find_by_yolo(folder, category),
        lambda folder: find_by_runs(folder, category),
        _classless(lambda folder: find_side_by_side(folder, mask_suffix), category),
        _classless(lambda folder: find_siblings(folder, mask_suffix), category),
    )
    layout = next((found for finder in finders[: 1 if data.is_file() else None] if (found := finder(data))), None)
    if layout is None or not (layout.pairs or layout.problems):
        raise ValueError(f"data={data}: {_why_nothing(data)}; the layouts known here are {KNOWN}")
    layout = group_copies(_with_unique_stems(layout, data if data.is_dir() else data.parent))
    notes = (*layout.notes, *_left_out(data, layout)) if data.is_dir() else layout.notes
    return replace(layout, notes=notes, subject_columns=find_subject_columns(data))


def _classless(finder: Finder, category: str) -> Finder:
    """A finder of masks that state no classes: a category is refused when it finds something."""

    def find(data: Path) -> Layout | None:
        layout = finder(data)
        if layout and layout.pairs and category:
            raise ValueError(
                f"category={category!r}: {layout.name} states no classes; leave category out (mask_values says which "
                "values of a mask are foreground)"
            )
        return layout

    return find


def _by_json(folder: Path, category: str) -> Layout | None:
    """COCO's format, or LabelMe's; a note names json that is neither."""
    coco, labelme, others = {}, {}, list[str]()
    for path in (path for place in (folder, *list_below(folder)) for path in list_tables(place, ".json")):
        content = read_json(path)
        if is_coco(content):
            coco[path] = content
        elif is_labelme(content):
            content.pop(HEAVY, None)
            labelme[path] = content
        else:
            others.append(path.name)
    if not coco and not labelme:
        return None
    layout = pair_by_coco(folder, coco, category) if coco else pair_by_labelme(folder, labelme, category)
    notes = [f"{len(others)} json without outlines left out ({some(others)})"] if others else []
    if coco and labelme:
        notes.append(
            f"{len(labelme)} json of LabelMe left out ({some([path.name for path in labelme])}): COCO's is read"
        )
    return replace(layout, notes=(*layout.notes, *notes))


def _left_out(data: Path, layout: Layout) -> list[str]:
    """What lies beside that is not read: other suffixes, tables of masks, litter."""
    masks = [pair.mask for pair in layout.pairs]
    files = [mask.path for mask in masks if isinstance(mask, MaskFile)]
    files += [path for mask in masks if isinstance(mask, ObjectFiles) for path in mask.paths]
    folders = sorted({path.parent for path in (*files, *(pair.image for pair in layout.pairs))})
    there = [path for folder in folders for path in list_folder(folder)]
    unread = Counter(path.suffix.lower() for path in there if is_unread(path))
    notes = []
    if unread:
        total = unread.total() + sum(path.suffix.lower() in SUFFIXES for path in there)
        place = f"{folders[0].name}/" if len(folders) == 1 else f"{len(folders)} folders"
        kinds = ", ".join(unread)
        notes.append(f"{unread.total()} of {total} files in {place} have a suffix that is not read ({kinds}): left out")
    used = {mask.path for mask in masks if not isinstance(mask, ObjectFiles)}
    said = " ".join((layout.name, *layout.notes, *layout.problems))
    tables = [path for path in list_tables(data, ".csv", ".tsv", ".json") if path not in used and path.name not in said]
    unused = [path.name for path in tables if _holds_masks(path)]
    if unused:
        notes.append(f"{some(unused)} left out: masks are taken from elsewhere in the folder")
    others = [path for path in ImageFiles(data).paths if path.parent not in folders]
    told = {path.parent for path in others if path.name in said}
    told |= {path.parent for path in others if any(f"{part}/" in said for part in path.relative_to(data).parts[:-1])}
    silent = Counter(f"{path.parent.relative_to(data)}/" for path in others if path.parent not in told)
    if silent:
        shown = some([f"{place}: {count}" for place, count in silent.items()])
        notes.append(f"{silent.total()} images in other folders are left out ({shown})")
    litter = count_litter(data)
    return [*notes, litter] if litter else notes


def _holds_masks(table: Path) -> bool:
    """Whether it looks like annotations; of a json the beginning tells."""
    if NO_TRUTH in table.name.lower():
        return False
    if table.suffix.lower() != ".json":
        return is_run_table(table) or {"image", "mask"} <= set(columns_of(table))
    with table.open("rb") as file:
        head = file.read(1 << 20).replace(b"\0", b"")
    return b'"annotations"' in head or b'"shapes"' in head or b'"images"' in head


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
    found = list_folder(data)
    names = {path.name.lower() for path in found}
    if not names:
        return "the folder is empty"
    archives = [path.name for path in found if path.name.lower().endswith(ARCHIVES)]
    if archives and len(archives) == len(found):
        return f"it holds archives ({some(archives)}); unpack them into one folder"
    unread = Counter(
        path.suffix.lower() for place in (data, *list_below(data)) for path in list_folder(place) if is_unread(path)
    )
    if unread and not any(list_images(place) for place in (data, *list_below(data))):
        kinds = ", ".join(f"{suffix}: {count}" for suffix, count in unread.most_common(SHOWN_NAMES))
        return f"no suffix here is read ({', '.join(SUFFIXES)}), but there are others ({kinds}); save them as png"
    sides = [side for side in (folder_named(data, IMAGE_FOLDERS), folder_named(data, MASK_FOLDERS)) if side]
    if len(sides) == 2:
        return f"{sides[0].name}/ holds no image ({', '.join(SUFFIXES)}), or {sides[1].name}/ no mask"
    tables = [path for place in (data, *list_below(data)) for path in list_tables(place, ".json")]
    if tables:
        return (
            f"{some([path.name for path in tables])} is neither COCO's json nor LabelMe's; export the outlines as COCO"
        )
    unnamed = find_unnamed_sides(data)
    if unnamed:
        return (
            f"{' and '.join(unnamed)} hold images of the same names, but neither is called masks/; rename the folder "
            "of masks, or give a csv with the columns image and mask"
        )
    if names & set(IMAGE_FOLDERS) and not names & set(MASK_FOLDERS):
        return "it has a folder of images, but none of masks"
    if names & set(MASK_FOLDERS) and not names & set(IMAGE_FOLDERS):
        return "it has a folder of masks, but no folder images/"
    return "no image with a mask was found"
