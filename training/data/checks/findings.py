"""What one says of a data set: what was found in it, and each finding with what it means and what to do.

Text out. What is wrong or odd is decided in training/data/checks/checks.py.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from training.data.image_set import ImageSet
from training.data.mask_rule import show_value

ERROR, WARNING = "error", "warning"
SHOWN_STEMS = 5
SHOWN_SIZES = 4


@dataclass(frozen=True, kw_only=True)
class Finding:
    severity: str
    title: str
    meaning: str  # and the cure
    stems: tuple[str, ...] = ()


def refuse_errors(images: ImageSet, findings: Iterable[Finding]) -> None:
    """Raises ValueError when training on these images would be wrong."""
    errors = [f"\n  - {describe_finding(found)}" for found in findings if found.severity == ERROR]
    if errors:
        raise ValueError(f"data={images.path}: training on it would be wrong" + "".join(errors))


def describe_data(images: ImageSet, rule: str) -> list[str]:
    """What was found, a line each: layout, sizes, masks, notes."""
    sizes = Counter(f"{facts.width}x{facts.height}" for facts in images.facts)
    shown = ", ".join(f"{size} ({count})" for size, count in sizes.most_common(SHOWN_SIZES))
    more = f" and {len(sizes) - SHOWN_SIZES} other sizes" if len(sizes) > SHOWN_SIZES else ""
    tiles = f", {len(images.image_index)} tiles" if images.frame.fit == "tile" else ""
    frame = f"{images.frame.fit} to {images.frame.width}x{images.frame.height} pixels{tiles}"
    together = f", {len(set(images.groups))} groups" if len(set(images.groups)) < images.num_images else ""
    return [
        f"{images.name}: {images.layout}",
        f"{images.num_images} images{together}, {'grey' if images.channels == 1 else 'RGB'}, {shown}{more}; {frame}",
        f"masks: {describe_masks(images, rule)}; {images.foreground_percent:.1f} % foreground" + _ignored(images),
        *(f"note: {note}" for note in images.notes),
    ]


def describe_finding(found: Finding) -> str:
    return f"{found.severity}: {found.title}{_examples(found)}. {found.meaning}"


def describe_masks(images: ImageSet, rule: str) -> str:
    """How the masks became 0 and 1, in one line."""
    if rule:
        return rule
    kinds = Counter(facts.mask_kind for facts in images.facts)
    values = sorted({facts.mask_values[-1] for facts in images.facts if facts.mask_kind == "binary"})
    words = {
        "binary": f"0 is background, {' or '.join(show_value(value) for value in values[:4])} foreground",
        "full": "all foreground",
        "empty": "empty",
        "objects": "objects, whose union is foreground",
        "chosen": "foreground as the label map says",
    }
    return "; ".join(f"{words[kind]} ({count} mask{'s' * (count != 1)})" for kind, count in kinds.most_common())


def _ignored(images: ImageSet) -> str:
    fraction = sum(facts.ignored for facts in images.facts) / images.num_images
    return f", {100 * fraction:.1f} % of the pixels do not count" if fraction else ""


def stems_of(images: ImageSet, indices: Iterable[int]) -> tuple[str, ...]:
    return tuple(images.stems[index] for index in indices)


def _examples(found: Finding) -> str:
    shown = ", ".join(found.stems[:SHOWN_STEMS])
    more = f" and {len(found.stems) - SHOWN_STEMS} more" if len(found.stems) > SHOWN_STEMS else ""
    return f" ({shown}{more})" if found.stems else ""
