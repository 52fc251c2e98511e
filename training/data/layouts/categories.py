"""Which class of annotated objects is foreground, and what becomes of annotations that outline nothing.

Whatever states classes comes here, COCO first. One class is taken; of several one must be chosen, or all confirmed.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from training.data.images import read_header
from training.data.layouts.listing import list_images, same_name
from training.data.layouts.pairs import FRACTIONS, Findings, Pair, Shapes
from training.study.words import pluralize, shorten

Ring = list[list[float]]  # points (x, y) of an outline or of a hole in it

ALL = "all"
MIN_RECTANGLES = 5  # outlines; fewer may happen to be rectangles
RIGHT = 0.05  # cosine of an angle that counts as right: within 3 degrees
MAX_BARE = 0.5  # of the annotations may lack an outline before the masks count as incomplete


@dataclass(kw_only=True)
class Annotated:
    """One image with its annotations, before a class is chosen."""

    image: Path
    stem: str
    table: Path  # the file that holds the annotations
    size: tuple[int, int] | None = None  # (height, width) they were drawn at
    outlines: list[tuple[str, str]] = field(default_factory=list)  # a label, and a COCO segmentation as JSON
    bare: list[tuple[str, str]] = field(default_factory=list)  # a label, and what there is instead of an outline
    corners: bool = False  # as Shapes.corners


def choose_labels(
    counts: Mapping[str, int | None], category: str, found: Findings, ids: Mapping[str, str] | None = None
) -> frozenset[str]:
    """Which labels are foreground; cell and Cell are one, and it is said. counts, category and ids: as in _choose."""
    first: dict[str, str] = {}
    merged: dict[str, int | None] = {}
    for label, count in counts.items():
        name = first.setdefault(label.casefold(), label)
        before = merged.get(name, 0)
        merged[name] = None if before is None or count is None else before + count
        if name != label:
            found.notes.append(f"categories {name} and {label} are taken as one")
    known = {key: first.get(label.casefold(), label) for key, label in (ids or {}).items()}
    chosen = _choose(merged, category, found, known)
    return frozenset(label for label in counts if first[label.casefold()] in chosen)


def _choose(counts: Mapping[str, int | None], category: str, found: Findings, ids: Mapping[str, str]) -> frozenset[str]:
    """Which labels are foreground. counts: annotations of each label, 0 for one that is only listed, None where
    pixels would have to tell; ids: id -> label.

    category: a label as it is written, else whatever its case, an id, several with commas, "all", or "" where there is
    one. Several and no choice is a problem. Raises ValueError, with what there is, for a category that is unknown.
    """
    used = {label: count for label, count in counts.items() if count != 0}
    there = _show(used)
    if not category:
        if len(used) > 1:
            cure = f"category={max(used, key=lambda label: used[label] or 0)}, or category={ALL} for any of them"
            found.problems.append(
                f"annotations are of {len(used)} categories ({there}); say which is foreground: {cure}"
            )
        return frozenset(used)
    if not set(counts) - {""}:
        raise ValueError(f"category={category!r}: the annotations here state no classes; leave category out")
    chosen = _match(counts, category, ids)
    if not chosen and category.casefold() == ALL:
        found.notes.append(f"foreground is any of {len(used)} categories ({there}), as category={ALL} says")
        return frozenset(used)
    if not chosen & set(used):
        raise ValueError(f"category={category!r}: no annotation with an outline is of it; there are {there or 'none'}")
    left_out = {label: count for label, count in used.items() if label not in chosen}
    rest = f"; {_show(left_out)} left out" if left_out else ""
    mine = _show({label: used[label] for label in used if label in chosen})
    found.notes.append(f"foreground is {mine}, as category={category} says{rest}")
    return chosen


def _match(counts: Mapping[str, int | None], category: str, ids: Mapping[str, str]) -> frozenset[str]:
    """The labels of this name, or of this id; or of each of several names."""
    name = category.strip()
    if name in counts:
        return frozenset({name})
    named = frozenset(label for label in counts if label.casefold() == name.casefold())
    if named:
        return named
    if name in ids:
        return frozenset({ids[name]})
    parts = [_match(counts, part, ids) for part in category.split(",")] if "," in category else []
    return frozenset().union(*parts) if parts and all(parts) else frozenset()


def make_pairs(
    images: Sequence[Annotated],
    category: str,
    found: Findings,
    listed: Sequence[str] = (),
    ids: Mapping[str, str] | None = None,
) -> None:
    """Add a pair for each image whose outlines of the chosen class are known; say what is left out. listed: labels."""
    counts = Counter(dict.fromkeys(listed, 0))
    counts.update(label for image in images for label, _ in image.outlines)
    chosen = choose_labels(counts, category, found, ids)
    unknown, partly, empty = list[str](), list[str](), list[str]()
    for image in images:
        mine = tuple(text for label, text in image.outlines if label in chosen)
        lacks = any(label in chosen or not chosen for label, _ in image.bare)
        if lacks and not mine:
            unknown.append(image.stem)
            continue
        if lacks:
            partly.append(image.stem)
        if not mine:
            empty.append(image.stem)
        mask = Shapes(image.table, mine, image.size, image.corners)
        found.pairs.append(Pair(stem=image.stem, image=image.image, mask=mask))
    _say_bare(images, chosen, unknown, partly, found)
    drawn = [replace(image, outlines=[one for one in image.outlines if one[0] in chosen]) for image in images]
    if sum(len(image.outlines) for image in drawn) >= MIN_RECTANGLES and all(map(_only_rectangles, drawn)):
        found.problems.append(
            "every outline of the set is a rectangle, as of boxes (of YOLO-OBB, too); outline the objects, or give "
            "masks where rectangles are meant"
        )
    if empty:
        what = "no annotation of the chosen category" if category else "no annotation"
        found.notes.append(f"{len(empty)} images have {what}, so their masks are empty ({shorten(empty)})")


def _only_rectangles(one: Annotated) -> bool:
    """Whether each outline has four corners, all of them right angles in pixels of the image, which RIGHT tells."""
    shapes = [json.loads(text) for _, text in one.outlines]
    if any(not isinstance(shape, list) or len(shape) != 1 for shape in shapes):
        return False
    size = (1, 1)
    if shapes and one.size == FRACTIONS:
        header = read_header(one.image.read_bytes(), str(one.image))
        size = header.width, header.height
    return all(_is_rectangle(numbers, size) for (numbers,) in shapes)


def _is_rectangle(numbers: Sequence[float], size: tuple[int, int]) -> bool:
    try:
        points = np.reshape(numbers, (-1, 2)).astype(float) * size
    except ValueError:  # no numbers, of which drawing will tell
        return False
    points = points[:-1] if len(points) == 5 and (points[0] == points[-1]).all() else points
    sides = np.roll(points, -1, axis=0) - points
    lengths = np.hypot(*sides.T)
    if len(points) != 4 or not lengths.all():
        return False
    cosines = (sides * np.roll(sides, -1, axis=0)).sum(axis=1) / (lengths * np.roll(lengths, -1))
    return bool((np.abs(cosines) < RIGHT).all())


def keyhole(rings: Sequence[Ring]) -> list[float]:
    """One polygon of COCO's: to each hole and back on the same way, which the fill by crossings cancels."""
    start = rings[0][0]
    points = [point for ring in rings for point in (*ring, ring[0], start)]
    return [number for point in points for number in point]


def annotate(
    images: dict[Path, Annotated], table: Path, fits: Sequence[Path], unfit: str, found: Findings
) -> Annotated | None:
    """The new record of the image that a file of annotations is about, where one alone fits and no other file is about
    it; else None, and a problem. unfit: what to say further where not one alone fits.
    """
    if len(fits) != 1:
        names = shorten([str(fit) for fit in fits])
        why = f"several images fit ({names}); move those away that it is not about" if fits else "there is no image"
        found.problems.append(f"{table}: {why}{unfit}")
        return None
    (image,) = fits
    if image in images:
        found.problems.append(f"{table}: {images[image].table} is about {image.name} too; keep one of the two")
        return None
    images[image] = Annotated(image=image, stem=same_name(image.stem), table=table)
    return images[image]


def name_images_without(images: Mapping[Path, Annotated], what: str, found: Findings) -> None:
    """Say which images beside annotated ones have no file of annotations."""
    places = sorted({image.parent for image in images})
    without = [path.name for place in places for path in list_images(place) if path not in images]
    if without:
        found.notes.append(f"{pluralize(len(without), 'image')} left out: they have no {what} ({shorten(without)})")


def _say_bare(
    images: Sequence[Annotated], chosen: frozenset[str], unknown: list[str], partly: list[str], found: Findings
) -> None:
    bare = [(label, kind) for image in images for label, kind in image.bare]
    if not bare:
        return
    kinds = ", ".join(f"{kind}: {count}" for kind, count in Counter(kind for _, kind in bare).most_common())
    concern = [label for label, _ in bare if label in chosen or not chosen]
    drawn = sum(label in chosen for image in images for label, _ in image.outlines)
    text = f"{pluralize(len(bare), 'annotation')} without outline left out ({kinds})"
    if partly:
        text += f"; the masks of {pluralize(len(partly), 'image')} lack these objects ({shorten(partly)})"
    found.notes.append(text)
    if unknown:
        found.notes.append(
            f"{pluralize(len(unknown), 'image')} left out: nothing but annotations without outline ({shorten(unknown)})"
        )
    if len(concern) > MAX_BARE * (len(concern) + drawn):
        found.problems.append(
            f"{len(concern)} of {len(concern) + drawn} annotations have no outline ({kinds}), so most objects would be "
            "missing from the masks; outline them, or take these annotations out of the file if they are no objects"
        )


def _show(counts: Mapping[str, int | None]) -> str:
    shown = [(label or "no class", count) for label, count in counts.items()]
    return ", ".join(label if count is None else f"{label}: {count}" for label, count in shown)
