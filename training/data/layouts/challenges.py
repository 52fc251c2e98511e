"""Layouts of public sets of cells, which others have copied: DSB-2018, TNBC, MoNuSeg, the Cell Tracking Challenge."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from training.data.layouts.listing import list_folders, list_images, list_tables
from training.data.layouts.pairs import Findings, Layout, MaskFile, ObjectFiles, Pair, Shapes
from training.data.layouts.run_tables import choose_runs, find_run_table, note_unused_runs, pick_runs, read_runs
from training.data.layouts.sides import choose_objects
from training.data.layouts.stems import pair_by_stem, pair_pages
from training.study.words import pluralize


def find_by_ids(data: Path, category: str) -> Layout | None:
    """DSB-2018: <id>/images/<file> and <id>/masks/*, one file an object; or the masks in a csv of run lengths."""
    below = list_folders(data)
    ids = [path for path in below if (path / "images").is_dir()]
    ids += [path for place in below if place not in ids for path in list_folders(place) if (path / "images").is_dir()]
    ids = [path for path in ids if (path / "masks").is_dir() or len(ids) > 1]
    if not any(len(list_images(path / "images")) == 1 for path in ids):
        return None
    found = Findings()
    table = find_run_table(data, found)
    if not table and not any((path / "masks").is_dir() for path in ids):
        return None
    runs = read_runs(table) if table else {}
    labels = choose_runs(runs, category, found) if table else frozenset()
    written, with_masks = 0, {path.parent for path in ids if (path / "masks").is_dir() or path.name in runs}
    bare = Counter(path.parent.name for path in ids if path.parent not in with_masks)
    if bare:
        shown = ", ".join(f"{name}/: {count}" for name, count in bare.items())
        found.notes.append(f"{pluralize(bare.total(), 'image')} without masks left out ({shown})")
    objects = {str(path): list_images(path / "masks") for path in ids if (path / "masks").is_dir()}
    chosen = choose_objects(objects, "" if table else category, found)
    for folder in (path for path in ids if path.parent in with_masks):
        images = list_images(folder / "images")
        masks = objects.get(str(folder))
        if len(images) != 1:
            found.problems.append(f"{folder}/images: it holds {len(images)} images; it must hold one")
        elif masks:
            runs.pop(folder.name, None)
            found.pairs.append(Pair(stem=images[0].stem, image=images[0], mask=ObjectFiles(chosen[str(folder)])))
        elif table and folder.name in runs:
            mask = pick_runs(table, [runs.pop(folder.name)], labels)
            found.pairs.append(Pair(stem=images[0].stem, image=images[0], mask=mask))
            written += 1
        else:
            found.problems.append(f"{folder}: it has no masks, and no csv of run lengths names it")
    if table:
        note_unused_runs(found, table, runs)
    name = f"DSB-2018: one folder per image, one file per object ({pluralize(len(found.pairs) - written, 'image')})"
    return found.layout(name + (f", and run lengths in {table.name} ({written})" if table and written else ""))


def find_slides(data: Path) -> Layout | None:
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


def find_by_tracking(data: Path) -> Layout | None:
    """Cell Tracking Challenge: 01/t000.tif beside 01_GT/SEG/man_seg000.tif (or 01_ST/SEG/, where people drew none);
    man_seg_000_005.tif is of plane 5. Most frames have no mask, and TRA/ holds marks, no masks.
    """
    found, sequences, bare = Findings(), 0, 0
    for place in (data, *list_folders(data)):
        for sequence in (path for path in list_folders(place) if path.name.isdecimal()):
            truths = (place / f"{sequence.name}_{kind}" / "SEG" for kind in ("GT", "ST"))
            truth = next((path for path in truths if path.is_dir()), None)
            if not truth:
                continue
            frames = {path.stem.removeprefix("t"): path for path in list_images(sequence)}
            before, drawn = len(found.pairs), set[str]()
            for mask in list_images(truth):
                match = re.fullmatch(r"man_seg_?(\d+)(?:_(\d+))?", mask.stem)
                frame = frames.get(match[1]) if match else None
                if not match or not frame:
                    found.problems.append(f"{mask}: there is no frame in {sequence.name}/ that it is of")
                    continue
                drawn.add(match[1])
                if match[2]:
                    plane = Pair(stem=f"{frame.stem}_{match[2]}", image=frame, mask=MaskFile(mask), page=int(match[2]))
                    found.pairs.append(plane)
                else:
                    found.pairs += pair_pages(frame, mask, [], found)
            found.pairs[before:] = [replace(pair, stem=f"{sequence.name}_{pair.stem}") for pair in found.pairs[before:]]
            sequences, bare = sequences + 1, bare + len(frames.keys() - drawn)
    if bare:
        found.notes.append(f"{pluralize(bare, 'frame')} without a mask left out")
    if sequences:
        found.notes.append(
            "frames of one sequence look alike and lie on both sides of the split; of five sequences or more (here: "
            rf"{sequences}) group='(\d+)_' keeps each together"
        )
    name = "Cell Tracking Challenge: frames t*, masks man_seg*"
    return found.layout(name) if found.pairs or found.problems else None


def find_by_aperio(data: Path) -> Layout | None:
    """A folder of images beside Annotations/; or several such, one level lower."""
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


def read_aperio(path: Path) -> Shapes:
    """The outlines of an Aperio ImageScope xml, each a polygon. Raises ValueError."""
    try:
        root = ElementTree.parse(path).getroot()
        if root.tag != "Annotations":  # Pascal VOC's files lie in a folder of the same name
            raise ValueError(f"its root is <{root.tag}>, not <Annotations>; boxes of Pascal VOC are no masks")
        polygons = [
            [float(vertex.attrib[side]) for vertex in region.iter("Vertex") for side in "XY"]
            for region in root.iter("Region")
        ]
    except (ElementTree.ParseError, KeyError, ValueError, OSError) as error:
        raise ValueError(f"{path}: this is no Aperio xml that can be read ({error})") from None
    return Shapes(path, tuple(json.dumps([polygon]) for polygon in polygons if len(polygon) >= 6))
