"""Whether each part of a split has images with foreground: only those say how well foreground is found.

An ImageSet and a split in, findings out. What counts is what is trained on and scored: the masks at the size of their
frame, without the pixels that are OUTSIDE.
"""

from collections.abc import Iterable, Iterator

from training.data.findings import ERROR, WARNING, Finding
from training.data.image_set import ImageSet
from training.data.split import Split

MIN_IMAGES = 5  # with foreground, to judge by
SMALL = 256  # pixels of foreground, as scaled, that nearest sampling may miss altogether
PARTS = {"train": "training", "val": "validation", "test": "test"}
SCORED = ("val", "test")


def has_foreground(images: ImageSet, index: int) -> bool:
    """Whether any of an image's pixels is foreground, at the size it is trained at."""
    return any((images.masks[part] == 1).any() for part in images.parts(index))


def check_foreground(images: ImageSet, split: Split) -> list[Finding]:
    """An error for a part without any image that has foreground; a warning where few of the images scored have it, and
    for masks whose foreground is lost at this size. Nothing where all masks have foreground.
    """
    parts = {name: getattr(split, name) for name in PARTS if getattr(split, name)}
    lacking = [name for name, part in parts.items() if not _count(images, part, 1)]
    few = {name: _count(images, parts[name], MIN_IMAGES) for name in SCORED if name in parts and name not in lacking}
    empty = [k for k in range(images.num_images) if images.facts[k].foreground == 0]
    found = [_lacking(images, name, len(parts[name])) for name in lacking]
    if empty:
        found += [_few(name, number, len(parts[name])) for name, number in few.items() if number < MIN_IMAGES]
    lost = [k for k in _small(images) if not has_foreground(images, k)]
    return [*found, *([_lost(images, lost)] if lost else [])]


def _lacking(images: ImageSet, name: str, size: int) -> Finding:
    total = sum(facts.foreground > 0 for facts in images.facts)
    meaning = "Nothing could be learned" if name == "train" else "How well foreground is found could not be scored"
    cure = "" if name == "train" else f"raise {name}_percent, "
    return Finding(
        severity=ERROR,
        title=f"none of the {size} {PARTS[name]} images has foreground ({total} of all {images.num_images} have it)",
        meaning=f"{meaning}. Each part needs at least one such image: {cure}take another fold, or add images that have "
        "foreground.",
    )


def _few(name: str, number: int, size: int) -> Finding:
    return Finding(
        severity=WARNING,
        title=f"only {number} of the {size} {PARTS[name]} images {'has' if number == 1 else 'have'} foreground",
        meaning=f"Dice is a mean over these alone, and fewer than {MIN_IMAGES} say little. Raise {name}_percent, or "
        "add images that have foreground.",
    )


def _lost(images: ImageSet, lost: list[int]) -> Finding:
    frame = images.frame
    return Finding(
        severity=WARNING,
        title=f"{len(lost)} mask{'s' * (len(lost) != 1)} lose all foreground at {frame.image_size} pixels",
        meaning="Each is trained on and scored as if it had none. Raise image_size, or take fit=tile.",
        stems=tuple(images.stems[index] for index in lost),
    )


def _count(images: ImageSet, part: Iterable[int], enough: int) -> int:
    """How many of these images have foreground, counted no further than `enough`."""
    number = 0
    for index in part:
        if number == enough:
            break
        number += images.facts[index].foreground > 0 and has_foreground(images, index)
    return number


def _small(images: ImageSet) -> Iterator[int]:
    """Images that have foreground, but so little at the size of their frame that it may be lost."""
    if images.frame.fit == "tile":
        return  # every pixel is kept
    for index, facts in enumerate(images.facts):
        scale = images.frame.image_size / max(facts.height, facts.width)
        if scale < 1 and 0 < facts.foreground * facts.height * facts.width * scale**2 < SMALL:
            yield index
