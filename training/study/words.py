"""Counts and lists of names, as sentences have them. Values in, words out."""

from collections.abc import Sequence

SHOWN_NAMES = 5
LONG_NAME = 40  # letters


def pluralize(count: int, noun: str) -> str:
    """`1 run`, `2 runs`; of a noun such as `row of it` the first word is counted, as `2 rows of it`."""
    first, _, rest = noun.partition(" of ")
    return f"{count} {first}{'s' * (count != 1)}{' of ' * bool(rest)}{rest}"


def shorten(names: Sequence[str]) -> str:
    """The first few names, long ones cut, and how many more there are."""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    shown = [name if len(name) <= LONG_NAME else f"{name[: LONG_NAME - 3]}..." for name in names[:SHOWN_NAMES]]
    return ", ".join(shown) + more


COMPARED_WITH = {  # a champion, by the names that promotion writes and a report reads
    "otsu": "Otsu's threshold",
    "incumbent": "what its study started from",
    "runner_up": "the next best configuration",
    "winner": "the winning configuration",
    "full_width": "the full width",
}
