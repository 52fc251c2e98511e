"""One image and its mask, read at their own size, with what is worth knowing of them.

Files in, arrays and facts out.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.data.decisions.agreement import look_at
from training.data.decisions.decisions import Decisions
from training.data.decisions.set_of_pairs import in_parallel
from training.data.framing import OUTSIDE
from training.data.image_set import ImageFacts
from training.data.images import AUTO_CHANNELS, Header, Pixels, decode_image, has_transparency, to_channels
from training.data.layouts.pairs import Pair
from training.data.mask_rule import MaskPlacing, MaskRule
from training.data.masks import read_mask
from training.data.read_options import ReadOptions
from training.data.survey import reason

LINE_WIDTH = 3  # pixels, of an outline that was drawn
MAX_INSIDE = 0.5  # share of the pixels of such lines that have no background beside them


@dataclass(frozen=True, kw_only=True)
class PairReader:
    """How every pair of a set is read: what its files say, what a person said, what the whole set decided."""

    headers: Mapping[Path, Header]
    reading: ReadOptions
    decisions: Decisions

    def read(self, pair: Pair) -> tuple[Pixels, Pixels, ImageFacts]:
        """As `read_pair`."""
        header, said = self.headers[pair.image], self.reading
        stated = 0 if self.decisions.overrides_stated else header.max_value
        image_max = said.max_value or stated or self.decisions.range_max
        return read_pair(pair, header, said.rule, self.decisions.placing, image_max, said.channels)

    def try_to_read(self, pair: Pair) -> tuple[Pixels, Pixels, ImageFacts] | str:
        """The same, or what is wrong."""
        try:
            return self.read(pair)
        except (ValueError, OSError) as error:
            return reason(pair.image, error)

    def find_damaged(self, pairs: Sequence[Pair]) -> list[str]:
        """What is wrong with these."""
        return [found for found in in_parallel(self.try_to_read, pairs) if isinstance(found, str)]


def read_pair(
    pair: Pair, header: Header, rule: MaskRule, placing: MaskPlacing, image_max: float, channels: str
) -> tuple[Pixels, Pixels, ImageFacts]:
    """An image, its mask of 0, 1 and OUTSIDE, and what is worth knowing of them. Raises ValueError or OSError.

    header: of the image's file; image_max: what stands for white, 0 for what the file says.
    """
    data, name = pair.image.read_bytes(), str(pair.image)
    image = decode_image(data, name, pair.page, image_max, channels)
    size = image.shape[0], image.shape[1]
    mask, mask_facts = read_mask(pair.mask, size, rule, Path.read_bytes, header.orientation, placing)
    look = look_at(image, mask)
    facts = ImageFacts(
        height=size[0],
        width=size[1],
        channels=image.shape[2],
        brightest=int(image.max()),
        transparent=channels == AUTO_CHANNELS and has_transparency(data, name, pair.page),
        image_hash=_hash(image),
        mask_hash=_hash(mask),
        mask_kind=mask_facts.kind,
        mask_values=mask_facts.values,
        num_values=mask_facts.num_values,
        named_values=mask_facts.named,
        foreground=_foreground(mask),
        ignored=float((mask == OUTSIDE).mean()),
        border=_border(mask),
        lining=_lining(mask),
        contrast=_contrast(image, mask),
        correlations=look.correlations,
        turned=look.turned,
    )
    return image, mask, facts


def _foreground(mask: Pixels) -> float:
    """The share of foreground among the pixels that count; 0 where none does."""
    counted = int((mask != OUTSIDE).sum())
    return int((mask == 1).sum()) / counted if counted else 0.0


def _border(mask: Pixels) -> float:
    """The share of foreground among the outermost pixels."""
    edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return float((edge == 1).mean())


def _lining(mask: Pixels) -> float:
    """The share of the foreground within LINE_WIDTH of a hole; 0 where most of it is inside of something."""
    foreground = (mask == 1).astype(np.uint8)
    count = cv2.countNonZero(foreground)
    if not count or cv2.countNonZero(cv2.erode(foreground, np.ones((3, 3), np.uint8))) > MAX_INSIDE * count:
        return 0.0
    holes = cv2.copyMakeBorder(1 - foreground, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(holes, None, (0, 0), 0)
    reach = cv2.dilate(holes[1:-1, 1:-1], np.ones((2 * LINE_WIDTH + 1, 2 * LINE_WIDTH + 1), np.uint8))
    return cv2.countNonZero(reach & foreground) / count


def _contrast(image: Pixels, mask: Pixels) -> float:
    luma = np.ascontiguousarray(to_channels(image, 1)[..., 0])
    std = float(cv2.meanStdDev(luma)[1][0, 0])
    foreground, background = (mask == 1).astype(np.uint8), (mask == 0).astype(np.uint8)
    if not foreground.any() or not background.any() or std == 0:
        return 0.0
    return (cv2.mean(luma, foreground)[0] - cv2.mean(luma, background)[0]) / std


def _hash(pixels: Pixels) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:16]
