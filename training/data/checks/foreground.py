"""Whether each part of a split has images with foreground: only those say how well foreground is found.

An ImageSet and a split in, findings out. What counts is what is trained on and scored: the masks at the size of their
frame, without the pixels that are OUTSIDE.
"""

from collections.abc import Iterable, Iterator, Sequence

from training.data.checks.findings import ERROR, WARNING, Finding
from training.data.image_set import ImageSet
from training.data.split import Split
from training.study.words import pluralize

MIN_IMAGES = 5  # with foreground, to judge by
SMALL = 256  # pixels of foreground, as scaled, that nearest sampling may miss altogether
PARTS = {"train": "training", "val": "validation", "test": "test"}


def has_foreground(images: ImageSet, index: int) -> bool:
    """Whether any of an image's pixels is foreground, at the size it is trained at."""
    return images.facts[index].foreground > 0 and any((images.masks[tile] == 1).any() for tile in images.tiles(index))


def check_foreground(images: ImageSet, split: Split) -> list[Finding]:
    """An error for a part without any image that has foreground; a warning where few of the images scored have it, and
    for masks whose foreground is lost at this size.
    """
    parts = {name: getattr(split, name) for name in PARTS if getattr(split, name)}
    lacking = [name for name, part in parts.items() if not any(has_foreground(images, k) for k in part)]
    found = [_lacking(images, name, len(parts[name])) for name in lacking]
    if split.val and (few := _too_few(images, split)):
        found.append(few)
    lost = [k for k in _small(images) if not has_foreground(images, k)]
    return [*found, *([_lost(images, lost)] if lost else [])]


def is_judged(images: ImageSet, indices: Sequence[int]) -> bool:
    """Whether a validation or test set is large enough to say anything."""
    return _count(images, indices) >= MIN_IMAGES


def _too_few(images: ImageSet, split: Split) -> Finding | None:
    """A validation or test set that decides nothing; protocol=report has no test set."""
    parts = {"validation": split.val, "test": split.test} if split.test else {"validation": split.val}
    few = [
        f"the {name} set has {pluralize(_count(images, indices), 'image')} with foreground"
        for name, indices in parts.items()
        if not is_judged(images, indices)
    ]
    if not few:
        return None
    return Finding(
        severity=WARNING,
        title=f"TOO LITTLE TO JUDGE BY: {' and '.join(few)}",
        meaning=f"With fewer than {MIN_IMAGES}, a score says more about these images than about what was trained, and "
        "no winner can be trusted. Add images, or give val_percent and test_percent a larger share.",
    )


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


def _count(images: ImageSet, indices: Iterable[int]) -> int:
    return sum(has_foreground(images, index) for index in indices)


def _lost(images: ImageSet, lost: list[int]) -> Finding:
    frame = images.frame
    return Finding(
        severity=WARNING,
        title=f"no foreground is left of {pluralize(len(lost), 'mask')} at {frame.image_size} pixels",
        meaning="Each is trained on and scored as if it had none. Raise image_size, or take fit=tile.",
        stems=tuple(images.stems[index] for index in lost),
    )


def _small(images: ImageSet) -> Iterator[int]:
    """Images that have foreground, but so little at the size of their frame that it may be lost."""
    if images.frame.fit == "tile":
        return  # every pixel is kept
    for index, facts in enumerate(images.facts):
        scale = images.frame.image_size / max(facts.height, facts.width)
        if scale < 1 and 0 < facts.foreground * facts.height * facts.width * scale**2 < SMALL:
            yield index
