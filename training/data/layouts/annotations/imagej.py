"""Selections of ImageJ and Fiji: a RoiSet.zip an image, or files of .roi beside it. roifile reads them."""

import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from training.data.layouts.annotations.image_json import find_annotated
from training.data.layouts.categories import (
    Annotated,
    annotate,
    keyhole,
    make_pairs,
    name_images_without,
)
from training.data.layouts.listing import ImageFiles, list_below, list_tables, same_name
from training.data.layouts.pairs import Findings, Layout
from training.data.layouts.stems import count_pages

ROI, ZIP = ".roi", ".zip"
SET = re.compile(r"[ _.-]*(?:roi[ _-]?set|rois?)[ _.-]*", re.IGNORECASE)  # what a set's name says beside its image's
MAX_BYTES = 1 << 24  # of one selection
MAX_SELECTIONS = 100_000  # of a set


def find_by_rois(folder: Path, category: str) -> Layout | None:
    """Each set and its image: of its name beside it or elsewhere, else the only image beside it; a group of selections
    is a class.
    """
    sets = _find_sets(folder)
    if not sets:
        return None
    found, files = Findings(), ImageFiles(folder)
    images: dict[Path, Annotated] = {}
    for path, selections in sets.items():
        fits = _images_of(path, files)
        if len(fits) == 1 and count_pages(fits[0]) > 1:
            found.problems.append(f"{fits[0]}: selections in a stack are not read; save each slice with its own")
            continue
        unfit = "" if fits else " of its name; call it as its image, as a_RoiSet.zip for a.tif"
        one = annotate(images, path, fits, unfit, found)
        if not one:
            continue
        one.corners = True
        for selection in selections:
            label = f"group {selection.group}" if selection.group else ""
            outline = _outline(selection)
            one.outlines += [(label, json.dumps([outline]))] if outline else []
            one.bare += [] if outline else [(label, selection.roitype.name.lower())]
    make_pairs(list(images.values()), category, found)
    name_images_without(images, "selections", found)
    return found.layout("ImageJ: a set of selections an image")


def holds_selections(path: Path) -> bool:
    """Whether a file is a selection, or a zip of some."""
    if path.suffix.lower() == ROI:
        return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.lower().endswith(ROI) for name in archive.namelist())


def _find_sets(folder: Path) -> Mapping[Path, list[Any]]:
    """Selections by the zip, or the folder, that holds them; by their own file where an image has its name."""
    sets: dict[Path, list[Any]] = {}
    for place in (folder, *list_below(folder)):
        for path in list_tables(place, ZIP):
            if holds_selections(path):
                sets[path] = list(_read_zip(path))
        singles = list_tables(place, ROI)
        named = {same_name(path.stem) for path in place.iterdir() if path.suffix.lower() != ROI}
        for path in singles:
            own = same_name(path.stem) in named
            sets.setdefault(path if own else place, []).append(_read(path.read_bytes(), str(path)))
    return sets


def _images_of(path: Path, files: ImageFiles) -> list[Path]:
    name = SET.sub("", path.stem)
    fits = find_annotated(files, path, name) or files.by_stem.get(same_name(name), [])
    place = path if path.is_dir() else path.parent
    beside = [image for image in files.paths if image.parent == place]
    return fits or (beside if len(beside) == 1 else [])


def _read_zip(path: Path) -> Iterable[Any]:
    """Raises ValueError for a set that is damaged."""
    with zipfile.ZipFile(path) as archive:
        members = [one for one in archive.infolist() if one.filename.lower().endswith(ROI)]
        if len(members) > MAX_SELECTIONS or any(one.file_size > MAX_BYTES for one in members):
            raise ValueError(f"{path}: it holds more than {MAX_SELECTIONS} selections, or one of more than 16 MB")
        for one in members:
            try:
                content = archive.read(one)
            except Exception as error:  # zipfile and zlib raise whatever they stumble on
                raise ValueError(f"{path}: {one.filename} is damaged ({error}); save the set again") from None
            yield _read(content, f"{path}: {one.filename}")


def _read(content: bytes, name: str) -> Any:
    from roifile import ImagejRoi

    try:
        return ImagejRoi.frombytes(content)
    except Exception as error:  # roifile raises whatever it stumbles on
        raise ValueError(f"{name}: this is no selection of ImageJ that can be read ({error}); save it again") from None


def _outline(selection: Any) -> list[float] | None:
    """One polygon of COCO's, holes included; None for what has no area, as lines, points and texts."""
    from roifile import ROI_SUBTYPE, ROI_TYPE

    areas = (ROI_TYPE.POLYGON, ROI_TYPE.RECT, ROI_TYPE.OVAL, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED)
    if selection.roitype not in areas or selection.subtype in (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.IMAGE):
        return None
    try:
        rings = [ring.tolist() for ring in selection.coordinates(multi=True) if len(ring) > 2]
    except NotImplementedError:  # curves
        return None
    return keyhole(rings) if rings else None
