"""Which part of a split the folders of a data set are called after, as in train/, val/ and test/."""

from collections.abc import Sequence
from pathlib import Path

from training.data.layouts.pairs import Pair
from training.data.layouts.siblings import words_of

FOLDERS = "folders"  # split: as the folders are called
TRAIN, VAL, TEST = PARTS = ("train", "val", "test")
WORDS = {
    **dict.fromkeys(("train", "training", "tr"), TRAIN),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), VAL),
    **dict.fromkeys(("test", "testing", "ts"), TEST),
}


def find_parts(data: Path, pairs: Sequence[Pair]) -> tuple[str, ...]:
    """train, val or test of each pair, by the folders of its image; "" where none, or more than one, is called so."""
    root = data if data.is_dir() else data.parent
    return tuple(_part_of(root, pair.image) for pair in pairs)


def _part_of(root: Path, image: Path) -> str:
    places = image.parent.relative_to(root).parts if image.is_relative_to(root) else ()
    called = [{WORDS[word] for word in words_of(place) if word in WORDS} for place in places]
    first = next(filter(None, called), {""})
    return first.pop() if len(first) == 1 else ""
