"""The images of a set once more, each at its own size: for scores that are to be of what a person gets, not of frames.

Read from the same files in the same way as the set was, one at a time. What became another file since is refused.
"""

from dataclasses import dataclass

from training.data.image_set import ImageSet, UnusableError
from training.data.images import Pixels
from training.data.layouts.pairs import Pair
from training.data.read_options import ReadOptions
from training.data.reading import decide_set, detect_layout
from training.data.samples import PairReader
from training.data.survey import survey


@dataclass(frozen=True, kw_only=True)
class Originals:
    """The files of an ImageSet, and how they are read; no pixels."""

    images: ImageSet
    pairs: tuple[Pair, ...]
    reader: PairReader

    def read(self, index: int) -> tuple[Pixels, Pixels]:
        """An image (h, w, c) and its mask (h, w) of 0, 1 and OUTSIDE, at its own size; index is the set's.

        Raises ValueError when they are not the pixels that the set was made of.
        """
        image, mask, seen = self.reader.read(self.pairs[index])
        known = self.images.facts[index]
        if (seen.image_hash, seen.mask_hash) != (known.image_hash, known.mask_hash):
            raise ValueError(
                f"{self.pairs[index].image}: the image or its mask is not the one that was read before; start "
                "again and leave the files alone meanwhile"
            )
        return image, mask


def find_originals(images: ImageSet, reading: ReadOptions) -> Originals:
    """`reading`: what the set was loaded with. Raises ValueError where its folder is not what it was."""
    layout = detect_layout(images.path, reading).layout
    if tuple(pair.stem for pair in layout.pairs) != images.stems:
        raise ValueError(f"data={images.path}: its files changed since they were read; start again")
    seen = survey(layout)
    if seen.problems:
        raise UnusableError(images.path, seen.problems)
    decisions = decide_set(images.path, layout.pairs, seen.headers, reading, tentative=False)
    return Originals(
        images=images, pairs=layout.pairs, reader=PairReader(headers=seen.headers, reading=reading, decisions=decisions)
    )
