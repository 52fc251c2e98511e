"""COCO's run lengths, plain or compressed, decoded: pixels of background and of foreground in turn.

COCO's own library trusts compressed ones: where they end too early it reads whatever lies in memory, and others end the
process.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def decode_counts(counts: str | list[int], size: tuple[int, int], path: Path, by_rows: bool) -> NDArray[np.uint8]:
    """(h, w) of 0 and 1: pixels of background and of foreground in turn. Raises ValueError."""
    height, width = size
    runs = (_decompressed(counts, path) if isinstance(counts, str) else counts) or [height * width]
    if min(runs) < 0 or sum(runs) != height * width:
        negative = ", one of them below 0" if min(runs) < 0 else ""
        raise _unsound(
            path, counts, f"add up to {sum(runs)} pixels{negative}, but {height}x{width} has {height * width}"
        )
    turns = np.arange(len(runs), dtype=np.uint8) % 2
    flat = np.repeat(turns, runs)
    return flat.reshape(height, width) if by_rows else np.ascontiguousarray(flat.reshape(width, height).T)


def _decompressed(counts: str, path: Path) -> list[int]:
    """Five bits of a number per character, the lowest first; from the fourth number on, what it differs by from the one
    before the last (rleFrString in pycocotools' maskApi.c). Raises ValueError.
    """
    runs, number, bits = list[int](), 0, 0
    for code in (ord(character) - ord("0") for character in counts):
        if not 0 <= code < 64:
            raise _unsound(path, counts, f"hold {chr(code + ord('0'))!r}, which is no part of a number")
        number |= (code & 31) << bits
        bits += 5
        if code < 32:  # the last part, whose highest bit is the sign
            runs.append(number - (code >> 4 << bits) + (runs[-2] if len(runs) > 2 else 0))
            number, bits = 0, 0
    if bits:
        raise _unsound(path, counts, "end within a number")
    return runs


def _unsound(path: Path, counts: str | list[int], wrong: str) -> ValueError:
    return ValueError(
        f"{path}: run lengths of a segmentation ({str(counts)[:40]!r}) {wrong}; export the annotations again"
    )
