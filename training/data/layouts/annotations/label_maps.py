"""Masks of classes in colours: Pascal VOC's SegmentationClass/, as CVAT and others export it, with labelmap.txt.

A label map says which colour is which class; without one the colours are left for mask_values.
"""

from dataclasses import dataclass
from pathlib import Path

from training.data.layouts.categories import choose_labels
from training.data.layouts.listing import ImageFiles, list_all_below, list_below, list_images, list_tables, same_name
from training.data.layouts.pairs import Findings, Layout, MaskFile, Pair
from training.data.layouts.tables import read_text
from training.study.words import pluralize, shorten

CLASSES, OBJECTS = ("segmentationclass", "segmentationclasspng"), "segmentationobject"
LABEL_MAP = "labelmap.txt"
VOID = 0xE0E0C0  # VOC's colour of outlines and of what is too hard to tell
BACKGROUND_NAMES = ("background", "_background_", "bg")
VOID_NAMES = ("void", "ignore", "ignored", "__ignore__")


@dataclass(frozen=True, kw_only=True)
class LabelMap:
    """Colours by name of class, as labels: 0xRRGGBB, or the level of a grey; what counts as neither stands apart."""

    classes: dict[str, int]
    ignored: tuple[int, ...]


def find_by_voc(folder: Path, category: str) -> Layout | None:
    """JPEGImages/ and SegmentationClass/, paired by stem; images without a mask are left out."""
    places = [path for path in [folder, *list_all_below(folder, 3)] if path.name.lower() in CLASSES]
    homes = [path for path in places if any(list_images(place) for place in (path, *list_below(path)))]
    if not homes:
        return None
    found = Findings()
    for home in homes:
        maps = [path for place in (home.parent, folder) for path in list_tables(place, ".txt")]
        table = next((path for path in maps if path.name.lower() == LABEL_MAP), None)
        labels = read_label_map(table) if table else LabelMap(classes={}, ignored=(VOID,))
        chosen = _choose(labels, table, category, found)
        values = tuple(dict.fromkeys(labels.classes[name] for name in labels.classes if name in chosen))
        _pair(home, values, labels.ignored, found)
    objects = [path for path in list_all_below(folder, 3) if path.name.lower() == OBJECTS]
    if objects:
        found.notes.append(f"{objects[0].name}/ left out: it numbers objects, {homes[0].name}/ says what they are")
    return found.layout(f"Pascal VOC: images, and masks of classes in {homes[0].name}/")


def read_label_map(path: Path) -> LabelMap:
    """Lines name:r,g,b:parts:actions. Raises ValueError."""
    classes: dict[str, int] = {}
    ignored = {VOID}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        try:
            red, green, blue = (int(text) for text in rest.split(":")[0].split(","))
        except ValueError:
            raise ValueError(f"{path}, line {number}: {line[:60]!r} is not name:red,green,blue:parts:actions") from None
        value = red if red == green == blue else (red << 16) | (green << 8) | blue
        if name.strip().lower() in VOID_NAMES:
            ignored.add(value)
        elif name.strip().lower() not in BACKGROUND_NAMES:
            classes[name.strip()] = value
    if not classes:
        raise ValueError(f"{path}: it names no class but the background")
    return LabelMap(classes=classes, ignored=tuple(sorted(ignored - set(classes.values()))))


def _choose(labels: LabelMap, table: Path | None, category: str, found: Findings) -> frozenset[str]:
    if table is None:
        if category:
            raise ValueError(
                f"category={category!r}: no {LABEL_MAP} says which colour is which class; give colours, as "
                "mask_values=800000"
            )
        return frozenset()
    return choose_labels(dict.fromkeys(labels.classes, None), category, found)


def _pair(home: Path, values: tuple[int, ...], ignored: tuple[int, ...], found: Findings) -> None:
    masks = [path for place in (home, *list_below(home)) for path in list_images(place)]
    segmented = [path for path in list_all_below(home.parent, 1) if path.name.lower().startswith("segmentation")]
    images: dict[str, Path] = {}
    for path in ImageFiles(home.parent).paths:
        if not any(path.is_relative_to(place) for place in segmented):
            before = images.setdefault(same_name(path.stem), path)
            if before != path:
                found.problems.append(f"{path}: {before} has the same stem; stems must be unique")
    for mask in masks:
        image = images.pop(same_name(mask.stem), None)
        if image is None:
            found.problems.append(f"{mask}: there is no image of the same stem")
        else:
            source = MaskFile(mask, values=values, ignored=ignored)
            found.pairs.append(Pair(stem=same_name(image.stem), image=image, mask=source))
    if images:
        names = shorten(sorted(path.name for path in images.values()))
        found.notes.append(f"{pluralize(len(images), 'image')} left out: {home.name}/ has no mask of them ({names})")
