"""Whether a TIFF's LZW stream refers only to what its table holds. imagecodecs does not check, and a damaged one ends
the process (2026.3.6: the first code after a Clear). Bytes in, a verdict out.

How wide a code is follows from its place after the last Clear alone, so a whole run of them is read at once (TIFF 6.0,
Section 13).
"""

import numpy as np

CLEAR, END, FIRST = 256, 257, 258  # codes; the first that the table grows by
LONGEST = 4096 - FIRST  # codes of a run: then the table is full, and a Clear must come
CHANGES = (511, 1023, 2047)  # table sizes at which codes get a bit wider, one earlier than they must

_PLACES = np.arange(LONGEST + 1)
_WIDTHS = 9 + np.searchsorted(np.array(CHANGES) - FIRST, _PLACES, side="left")  # of the codes after a Clear
_STARTS = np.concatenate([[0], np.cumsum(_WIDTHS)[:-1]])  # in bits


def is_sound(data: bytes) -> bool:
    """Whether every code, up to the End or the last byte, is one that its table holds; most significant bit first."""
    padded = np.frombuffer(data + bytes(4), np.uint8)
    bits, place = 8 * len(data), 9
    if bits < place or int(padded[0]) << 1 | int(padded[1]) >> 7 != CLEAR:
        return False
    while place + 9 <= bits:
        starts = place + _STARTS
        inside = starts + _WIDTHS <= bits
        starts, widths = starts[inside], _WIDTHS[inside]
        first = starts >> 3
        high, middle, low = (padded[first + k].astype(np.uint32) for k in range(3))
        word = high << 16 | middle << 8 | low
        codes = (word >> (24 - (starts & 7) - widths).astype(np.uint32)) & ((1 << widths) - 1).astype(np.uint32)
        ends = np.flatnonzero((codes == CLEAR) | (codes == END))
        count = int(ends[0]) if len(ends) else len(codes)
        run = codes[:count]
        if (run >= np.where(_PLACES[:count] > 0, FIRST + _PLACES[:count], CLEAR)).any():
            return False
        if not len(ends):
            return len(codes) <= LONGEST
        if codes[count] == END:
            return True
        place = int(starts[count] + widths[count])
    return True
