"""A split that somebody else fixed, as a benchmark does: a csv with the columns stem and part."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from training.data.layouts.tables import read_table

TRAIN, VAL, TEST = PARTS = ("train", "val", "test")
SHOWN = 5  # names of a message


def read_parts(path: Path, stems: Sequence[str]) -> tuple[str, ...]:
    """The part of each image, in the order of `stems`.

    Every image of the folder must be in the file, once, and no other; some must train and some test. Raises ValueError.
    """
    rows = read_table(path)
    if not rows or not {"stem", "part"} <= set(rows[0]):
        raise ValueError(
            f"split={path}: it must be a csv with the columns stem and part, one row per image; it has "
            f"{', '.join(rows[0]) if rows else 'no rows'}"
        )
    known = {row["stem"]: row["part"].lower() for row in rows}
    for what, wrong in (
        (f"a part other than {', '.join(PARTS)}", [row["stem"] for row in rows if row["part"].lower() not in PARTS]),
        ("more than one row", [stem for stem, count in Counter(row["stem"] for row in rows).items() if count > 1]),
        ("a row, but no image in the folder", sorted(known.keys() - set(stems))),
        ("no row", sorted(set(stems) - known.keys())),
    ):
        if wrong:
            more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            raise ValueError(f"split={path}: {', '.join(wrong[:SHOWN])}{more}: {what}; correct the file")
    parts = tuple(known[stem] for stem in stems)
    if missing := [part for part in (TRAIN, TEST) if part not in parts]:
        raise ValueError(f"split={path}: no image has the part {missing[0]}; some must train and some test")
    return parts
