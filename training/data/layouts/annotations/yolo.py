"""YOLO's text files, one an image: a class and a polygon a line, in fractions of the image's width and height.

The image's header is read for its size; its pixels are not.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from training.data.layouts.categories import Annotated, make_pairs
from training.data.layouts.listing import list_all_below, list_images, list_tables, same_name
from training.data.layouts.pairs import FRACTIONS, Findings, Layout
from training.data.layouts.tables import read_text
from training.study.words import pluralize, shorten

LABELS, IMAGES = "labels", "images"
NAME_FILES = ("classes.txt", "obj.names", "predefined_classes.txt", "_darknet.labels")
BOX_NUMBERS = (4, 5)  # centre and size, and a detector's confidence
MIN_NUMBERS = 6  # three points
MAX_FRACTION = 1.5  # outlines may leave the image a little; numbers beyond this are no fractions
LINE = re.compile(r"\d+(\.0+)?(\s+-?[\d.]+(e[+-]?\d+)?){4,}\s*", re.IGNORECASE)


def find_by_yolo(folder: Path, category: str) -> Layout | None:
    """Texts in labels/ beside images/, in any order of train/ and labels/; or each beside its image."""
    places = [folder, *list_all_below(folder, 3)]
    texts = {path for place in places for path in list_tables(place, ".txt") if _is_labels(path, folder)}
    if not texts:
        return None
    found, images, used, background, alone = Findings(), list[Annotated](), set[Path](), list[str](), list[str]()
    homes = {path.parent for path in texts}
    text_of = {image: _text_of(image, folder) for place in places for image in list_images(place)}
    beside = sum(text.parent == image.parent for image, text in text_of.items() if text.parent in homes)
    if beside and len(texts) <= beside / 2:  # numbers of another kind, beside images and masks
        return None
    for image, text in text_of.items():
        if text.parent not in homes:
            alone.append(str(image.relative_to(folder)))
            continue
        one = Annotated(image=image, stem=same_name(image.stem), table=text)
        if text.is_file():
            used.add(text)
            _read(one, found)
        else:
            background.append(image.name)
        images.append(one)
    found.problems += [f"{path}: there is no image of the same stem" for path in sorted(texts - used)]
    content = _read_yaml(places)
    names = _read_names(content, places)
    if "kpt_shape" in content:
        found.problems.append(
            f"{folder}: data.yaml states keypoints (kpt_shape: {content['kpt_shape']}), so its rows are boxes and "
            "points, no outlines; export the outlines as YOLO segmentation, or as COCO"
        )
    for one in images:
        one.outlines = [(names.get(label, label), text) for label, text in one.outlines]
        one.bare = [(names.get(label, label), kind) for label, kind in one.bare]
    make_pairs(images, category, found, list(names.values()), names)
    if background:
        found.notes.append(
            f"{pluralize(len(background), 'image')} without a text file, which means background ({shorten(background)})"
        )
    if alone:
        found.notes.append(
            f"{pluralize(len(alone), 'image')} left out: no labels belong to their folder ({shorten(alone)})"
        )
    return found.layout("YOLO: outlines in one text per image")


def _is_labels(path: Path, root: Path) -> bool:
    """Whether its first line is a class and numbers; an empty text in labels/ is background."""
    if path.name.lower() in NAME_FILES:
        return False
    with path.open("rb") as file:
        lines = file.read(1 << 16).decode("utf-8-sig", "replace").split("\n")
    first = next((line.strip() for line in lines if line.strip()), "")
    return bool(LINE.fullmatch(first)) or (not first and LABELS in str(path.relative_to(root).parent).lower())


def _text_of(image: Path, root: Path) -> Path:
    """Where its outlines are: the last images/ of its path becomes labels/; without one, beside it."""
    parts = list(image.relative_to(root).parts)
    last = max((k for k, part in enumerate(parts[:-1]) if part.lower() == IMAGES), default=None)
    if last is not None:
        home = root.joinpath(*parts[:last])
        labels = [path for path in home.iterdir() if path.name.lower() == LABELS and path.is_dir()]
        if labels:
            return labels[0].joinpath(*parts[last + 1 :]).with_suffix(".txt")
    return image.with_suffix(".txt")


def _read(one: Annotated, found: Findings) -> None:
    """The lines of one text, as polygons in fractions of the image, as they stand there."""
    lines = [line.split() for line in read_text(one.table).splitlines() if line.strip()]
    try:
        rows = [(_label(label), [float(number) for number in numbers]) for label, *numbers in lines]
        one.size = FRACTIONS
    except ValueError as error:
        found.problems.append(
            str(error) if str(one.image) in str(error) else f"{one.table}: a line is no outline ({error})"
        )
        return
    for label, numbers in rows:
        if len(numbers) in BOX_NUMBERS:
            one.bare.append((label, "boxes"))
        elif len(numbers) < MIN_NUMBERS or len(numbers) % 2:
            found.problems.append(
                f"{one.table}: a line has {len(numbers)} numbers; an outline has pairs, three or more"
            )
        elif max(map(abs, numbers)) > MAX_FRACTION:
            found.problems.append(
                f"{one.table}: a coordinate is {max(numbers, key=abs):g}; YOLO's are fractions of width and height"
            )
        else:
            one.outlines.append((label, json.dumps([numbers])))


def _label(text: str) -> str:
    return str(int(float(text)))


def _read_yaml(places: Sequence[Path]) -> dict[str, Any]:
    """Of data.yaml; empty without one that states names or keypoints."""
    for path in (path for place in places for path in list_tables(place, ".yaml", ".yml")):
        try:
            content = yaml.safe_load(read_text(path))
        except (yaml.YAMLError, ValueError, OSError) as error:
            raise ValueError(f"{path}: this is no yaml that can be read ({error})") from None
        if isinstance(content, dict) and content.keys() & {"names", "kpt_shape"}:
            return content
    return {}


def _read_names(content: Mapping[str, Any], places: Sequence[Path]) -> dict[str, str]:
    """Class id -> name, of data.yaml or classes.txt; empty without either."""
    names = content.get("names")
    if names:
        return {str(key): str(name) for key, name in (names.items() if isinstance(names, dict) else enumerate(names))}
    for path in (path for place in places for path in list_tables(place, ".txt", ".names", ".labels")):
        if path.name.lower() in NAME_FILES:
            lines = [name.strip() for name in read_text(path).splitlines()]
            return {str(key): name for key, name in enumerate(lines) if name}
    return {}
