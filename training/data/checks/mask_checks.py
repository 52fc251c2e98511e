"""What is wrong or odd about the values of masks: classes or objects, numbers that disagree, full and empty masks.

Facts in, findings out; each check looks at all masks together, because one alone seems right.
"""

from collections import defaultdict
from collections.abc import Callable

from training.data.checks.findings import ERROR, WARNING, Finding, stems_of
from training.data.image_set import ImageFacts, ImageSet
from training.data.mask_rule import IGNORE_LABEL, show_value
from training.study.words import pluralize, shorten

MAX_CLASSES = 4  # values of masks: so few may be classes where the counts vary, too
MIN_SAME = 3  # masks with one count of more values, which is no accident
FULL_SCALE = (255, 65535)  # what 8 and 16 bits call white: the same foreground
TRAINS_BADLY_BELOW = 0.002  # foreground share of the set
LINES_HOLES = 0.6  # share of a mask's foreground that lines holes: above it, an outline; vessels have 0.5 at most
MIN_ODD = 2  # masks that were drawn otherwise than is usual, which is no accident
MAX_FRAMED = 0.5  # foreground share above which foreground reaches all borders by itself
HIDES_MUCH = 0.5  # share of the pixels that do not count


def mask_problems(images: ImageSet) -> list[Finding]:
    checks: tuple[Callable[[ImageSet], Finding | None], ...] = (
        _class_masks,
        _few_numbers,
        _mixed_values,
        _emptied,
        _full_masks,
        _empty_masks,
        _ignored,
        _rare_foreground,
        _outlines,
        _frames,
    )
    return [finding for check in checks if (finding := check(images))]


def _class_masks(images: ImageSet) -> Finding | None:
    """Objects numbered 1, 2, ... and classes look alike; but the number of objects varies."""
    found = [k for k, facts in enumerate(images.facts) if facts.mask_kind == "objects" and facts.num_values > 2]
    counts = {images.facts[k].num_values for k in found}
    if len(found) < 2 or len(counts) > 1:
        return None
    count, values = counts.pop(), images.facts[found[0]].mask_values
    of_one_object = any(facts.mask_kind == "binary" for facts in images.facts)
    if count > MAX_CLASSES and (len(found) < MIN_SAME or of_one_object):
        return None
    shown = ", ".join(map(str, values)) + (f", ... {count - 1}" if count > len(values) else "")
    return Finding(
        severity=ERROR,
        title=f"{len(found)} masks hold the same {'few ' * (count <= MAX_CLASSES)}values ({shown})",
        meaning="These may be classes, or numbered objects. Say which: mask_values=1 (or 1,2) for classes, "
        "mask_threshold=0 for objects.",
        stems=stems_of(images, found),
    )


def _few_numbers(images: ImageSet) -> Finding | None:
    """As above, where the counts vary: a few objects in each image, or a few classes of which some are missing."""
    found = [k for k, facts in enumerate(images.facts) if facts.mask_kind == "objects" and facts.num_values > 2]
    counts = {images.facts[k].num_values for k in found}
    if not found or max(counts) > MAX_CLASSES or (len(counts) == 1 and len(found) > 1):
        return None
    return Finding(
        severity=WARNING,
        title=f"no mask holds a number above {max(counts) - 1}: read as numbered objects, all of them foreground",
        meaning="If the numbers are classes, say which are foreground: mask_values=1. If they are objects: "
        "mask_threshold=0.",
        stems=stems_of(images, found),
    )


def _mixed_values(images: ImageSet) -> Finding | None:
    """Masks of two values, whose foreground is another number in some: classes, or a label that does not count."""
    stems: dict[int, list[str]] = defaultdict(list)
    for stem, facts in zip(images.stems, images.facts, strict=True):
        if facts.mask_kind in ("binary", "full"):
            stems[facts.mask_values[-1]].append(stem)
    objects = any(facts.mask_kind == "objects" and facts.num_values > 2 for facts in images.facts)
    values = sorted(stems)
    if set(values) <= ({1} if objects else set(FULL_SCALE)) or (len(values) < 2 and not objects):
        return None
    held = "; ".join(f"{show_value(value)} in {len(stems[value])} ({shorten(stems[value])})" for value in values[:4])
    ignore = (
        f", or ignore_value={IGNORE_LABEL} if {IGNORE_LABEL} means: does not count" if IGNORE_LABEL in values else ""
    )
    fewest = min(values, key=lambda value: len(stems[value]))
    return Finding(
        severity=ERROR,
        title=f"masks of this set hold different values beside 0: {held}",
        meaning=f"Say what is foreground: mask_threshold=0 for all of them, mask_values={show_value(values[0])} for one"
        f"{ignore}.",
        stems=tuple(stems[fewest]),
    )


def _emptied(images: ImageSet) -> Finding | None:
    """Masks of two values that the threshold leaves without foreground: 0 and 1 beside 0 and 255."""
    found = [
        k
        for k, facts in enumerate(images.facts)
        if facts.mask_kind == "above" and facts.foreground == 0 and facts.num_values == 2
    ]
    if not found:
        return None
    values = sorted({value for k in found for value in images.facts[k].mask_values})
    return Finding(
        severity=ERROR,
        title=f"{pluralize(len(found), 'mask')} of two values ({', '.join(map(show_value, values))}) have none above "
        "mask_threshold",
        meaning="They are of another scale than the others, so what they mark would be lost. Save all masks alike.",
        stems=stems_of(images, found),
    )


def _full_masks(images: ImageSet) -> Finding | None:
    full = [k for k, facts in enumerate(images.facts) if facts.foreground == 1]
    if not full:
        return None
    return Finding(
        severity=WARNING,
        title=f"{pluralize(len(full), 'mask')} with foreground everywhere",
        meaning="Rarely meant; look at these pairs.",
        stems=stems_of(images, full),
    )


def _empty_masks(images: ImageSet) -> Finding | None:
    empty = [k for k, facts in enumerate(images.facts) if facts.foreground == 0]
    if not empty:
        return None
    return Finding(
        severity=WARNING,
        title=f"{pluralize(len(empty), 'mask')} without foreground",
        meaning="Right if these images show nothing. Dice is the mean over images with foreground; how often something "
        "is predicted in the others is counted beside it, as false alarms.",
        stems=stems_of(images, empty),
    )


def _ignored(images: ImageSet) -> Finding | None:
    hidden = [k for k, facts in enumerate(images.facts) if facts.ignored > HIDES_MUCH]
    if not hidden:
        return None
    return Finding(
        severity=WARNING,
        title=f"in {pluralize(len(hidden), 'mask')} most pixels do not count",
        meaning="Is ignore_value the right one? Look at these pairs.",
        stems=stems_of(images, hidden),
    )


def _rare_foreground(images: ImageSet) -> Finding | None:
    fraction = images.foreground_percent / 100
    if fraction >= TRAINS_BADLY_BELOW:
        return None
    return Finding(
        severity=WARNING,
        title=f"foreground is only {100 * fraction:.2f} % of the pixels",
        meaning="A network that predicts nothing is then nearly right by BCE; trials may collapse (they are marked).",
    )


def _outlines(images: ImageSet) -> Finding | None:
    """What is meant is mostly what lines go around, and a net would learn the lines."""
    found = [k for k, facts in enumerate(images.facts) if facts.lining > LINES_HOLES and not _has_frame(facts)]
    if len(found) < MIN_ODD:
        return None
    return Finding(
        severity=WARNING,
        title=f"{pluralize(len(found), 'mask')} of {images.num_images} are closed lines, with background inside",
        meaning="If the insides are meant, fill them and save the masks again (in ImageJ: Process, Binary, Fill "
        "Holes). If the lines themselves are, as with membranes, in all masks, all is well.",
        stems=stems_of(images, found),
    )


def _frames(images: ImageSet) -> Finding | None:
    """Lines around the picture, which a program may have drawn to show its edge."""
    found = [k for k, facts in enumerate(images.facts) if _has_frame(facts)]
    if len(found) < MIN_ODD:
        return None
    return Finding(
        severity=WARNING,
        title=f"{len(found)} masks of {images.num_images} are foreground all along the edge of the picture",
        meaning="A frame that was drawn around them would be learnt and scored as foreground. Remove it, or cut images "
        "and masks. If it is what you look for, all is well.",
        stems=stems_of(images, found),
    )


def _has_frame(facts: ImageFacts) -> bool:
    return facts.border == 1 and facts.foreground < MAX_FRAMED
