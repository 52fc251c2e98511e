"""The contact sheet of a data set: images with their masks outlined, the odd ones first.

An ImageSet in, a picture out.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from training.data.framing import OUTSIDE
from training.data.image_set import ImageSet
from training.data.images import Pixels, to_channels
from training.data.pictures import TRUTH_RGB, outline

CELL = 176  # pixels, the box an image is scaled into
CAPTION = 34
GAP = 8
COLUMNS = 8
MAX_CELLS = 48
ODD_RGB = (204, 51, 17)  # the frame of an image that a finding names
IGNORED_RGB = (150, 150, 150)  # pixels that do not count
TEXT_RGB = (60, 60, 60)


def choose(images: ImageSet, odd: Sequence[str]) -> list[int]:
    """At most MAX_CELLS images: half of them odd ones at most, the others evenly from little to much foreground."""
    index_of = {stem: index for index, stem in enumerate(images.stems)}
    flagged = [index_of[stem] for stem in dict.fromkeys(odd)][: MAX_CELLS // 2]
    others = sorted(set(range(images.num_images)) - set(flagged), key=lambda k: images.facts[k].foreground)
    room = min(MAX_CELLS - len(flagged), len(others))
    return flagged + [others[k] for k in np.linspace(0, len(others) - 1, room).round().astype(int)]


def draw_sheet(images: ImageSet, odd: Sequence[str]) -> Pixels:
    """(h, w, 3) RGB: one cell per image, its mask tinted and outlined, its name, size and foreground share below it."""
    chosen = choose(images, odd)
    cells = [_cell(images, index, images.stems[index] in odd) for index in chosen]
    columns = min(COLUMNS, len(cells))
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % columns)
    rows = [np.concatenate(cells[k : k + columns], axis=1) for k in range(0, len(cells), columns)]
    return np.concatenate(rows)


def _cell(images: ImageSet, index: int, odd: bool) -> Pixels:
    facts, (image, mask) = images.facts[index], images.assembled(index)
    scale = CELL / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=smooth).reshape(size[1], size[0], -1).astype(np.uint8)
    small_mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    cell = np.full((CELL + CAPTION + GAP, CELL + GAP, 3), 255, np.uint8)
    top, left = GAP // 2 + (CELL - size[1]) // 2, GAP // 2 + (CELL - size[0]) // 2
    shown = outline(to_channels(small, 3), (small_mask == 1).astype(np.uint8), TRUTH_RGB)
    shown[small_mask == OUTSIDE] = IGNORED_RGB
    cell[top : top + size[1], left : left + size[0]] = shown
    if odd:
        cv2.rectangle(cell, (left - 2, top - 2), (left + size[0] + 1, top + size[1] + 1), ODD_RGB, 2)
    lines = (_short(images.stems[index]), f"{facts.width}x{facts.height}  {100 * facts.foreground:.1f} %")
    for line, text in enumerate(lines):
        place = (GAP // 2, CELL + GAP // 2 + 13 + 15 * line)
        cv2.putText(cell, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, ODD_RGB if odd else TEXT_RGB, 1, cv2.LINE_AA)
    return cell


def _short(stem: str) -> str:
    ascii_only = stem.encode("ascii", "replace").decode()  # OpenCV draws no other letters
    return ascii_only if len(ascii_only) <= 25 else f"{ascii_only[:14]}..{ascii_only[-9:]}"
