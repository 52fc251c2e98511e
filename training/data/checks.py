"""What is wrong or odd about a data set that could be read: findings, each with what it means and what to do.

An error would make training wrong, and stops it; a warning is for a person to judge. Facts and a split in, findings
out.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from training.data.findings import ERROR, WARNING, Finding
from training.data.image_set import ImageSet
from training.data.split import Split, find_leaks

FEW_CLASSES = 4  # masks that all hold the same few values: classes more likely than objects
DARK = 64  # of 255: no pixel of any image is brighter
MOSTLY = 0.5  # foreground share of an image that is more foreground than background
CLEAR_CONTRAST = 0.5  # deviations between foreground and background that are no accident
TRAINS_BADLY_BELOW = 0.002  # foreground share of the set
MANY_SUBJECTS = 0.7  # subjects an image; above it names say little about who belongs together
NAME_RULES = (r"(.+\d)[A-Za-z]$", r"(.+\d)[_-]\d+$")  # the eye of patient_12L, the tile of slide_3_7


def find_problems(images: ImageSet, split: Split) -> list[Finding]:
    """Errors first."""
    checks = (
        _class_masks(images),
        _leaks(images, split),
        _duplicates(images),
        _same_masks(images),
        _inverted(images),
        _one_sided_contrast(images),
        _full_masks(images),
        _empty_masks(images),
        _dark(images),
        _rare_foreground(images),
        _unstated_groups(images),
    )
    found = [finding for finding in checks if finding]
    return sorted(found, key=lambda finding: finding.severity != ERROR)


def _class_masks(images: ImageSet) -> Finding | None:
    """Objects numbered 1, 2, ... and classes look alike; but the number of objects varies."""
    several = [k for k, facts in enumerate(images.facts) if facts.mask_kind == "objects" and facts.num_values > 2]
    counts = {images.facts[k].num_values for k in several}
    if len(several) < 2 or len(counts) > 1 or max(counts) > FEW_CLASSES:
        return None
    values = ", ".join(map(str, images.facts[several[0]].mask_values))
    return Finding(
        severity=ERROR,
        title=f"{len(several)} masks hold the same few values ({values})",
        meaning="These may be classes, or numbered objects. Say which: mask_values=1 (or 1,2) for classes, "
        "mask_threshold=0 for objects.",
        stems=_stems(images, several),
    )


def _leaks(images: ImageSet, split: Split) -> Finding | None:
    """Identical images that somebody put into different groups; or a split that is broken."""
    hashes = [facts.image_hash for facts in images.facts]
    across = _repeated(hashes, images.groups)
    leaks = set(find_leaks(split, hashes)) | set(find_leaks(split, images.groups))
    across += [k for k, facts in enumerate(images.facts) if {facts.image_hash, images.groups[k]} & leaks]
    if not across:
        return None
    return Finding(
        severity=ERROR,
        title=f"{len(set(across))} images would be on two sides of the split, or are in two groups though identical",
        meaning="A test image that was trained on proves nothing. Correct the groups, or remove the copies.",
        stems=_stems(images, sorted(set(across), key=lambda k: hashes[k])),
    )


def _duplicates(images: ImageSet) -> Finding | None:
    same = [k for _, k in _in_groups_of_several([facts.image_hash for facts in images.facts])]
    if not same:
        return None
    differing = len({(images.facts[k].image_hash, images.facts[k].mask_hash) for k in same}) > len(
        {images.facts[k].image_hash for k in same}
    )
    return Finding(
        severity=WARNING,
        title=f"{len(same)} images are identical to another" + (", but their masks differ" if differing else ""),
        meaning="Copies weigh double" + (" and contradict each other" if differing else "") + "; remove all but one. "
        "They stay on one side of the split.",
        stems=_stems(images, same),
    )


def _same_masks(images: ImageSet) -> Finding | None:
    """The same mask, of some complexity, for different images: a copy under a wrong name."""
    drawn = [facts.mask_hash if 0 < facts.foreground < 1 else f"none {k}" for k, facts in enumerate(images.facts)]
    same = [
        k for group in _groups_of_several(drawn) for k in group if len({images.facts[j].image_hash for j in group}) > 1
    ]
    if not same:
        return None
    return Finding(
        severity=WARNING,
        title=f"{len(same)} different images share a mask with another",
        meaning="A mask may have been saved under the wrong name; look at these pairs.",
        stems=_stems(images, same),
    )


def _inverted(images: ImageSet) -> Finding | None:
    shares = [facts.foreground for facts in images.facts if facts.foreground > 0]
    if np.mean([share > MOSTLY for share in shares]) < 0.9:
        return None
    return Finding(
        severity=WARNING,
        title=f"foreground is {100 * float(np.mean(shares)):.0f} % of the pixels: the masks may be inverted",
        meaning="If 0 marks what you look for, give mask_values=0.",
    )


def _one_sided_contrast(images: ImageSet) -> Finding | None:
    """Nearly all foreground is darker than its background (or brighter), and a few are clearly the other way."""
    contrast = np.array([facts.contrast for facts in images.facts])
    usual = np.sign(np.median(contrast))
    odd = np.flatnonzero(contrast * usual < -CLEAR_CONTRAST).tolist()
    if not odd or len(odd) > 0.05 * len(contrast):
        return None
    side = "brighter" if usual > 0 else "darker"
    return Finding(
        severity=WARNING,
        title=f"{_count(odd, 'suspicious pair')}: foreground is {side} than background elsewhere, and here the reverse",
        meaning="The mask may be inverted, shifted, or belong to another image; look at these pairs.",
        stems=_stems(images, odd),
    )


def _full_masks(images: ImageSet) -> Finding | None:
    full = [k for k, facts in enumerate(images.facts) if facts.foreground == 1]
    if not full:
        return None
    return Finding(
        severity=WARNING,
        title=f"{_count(full, 'mask')} with foreground everywhere",
        meaning="Rarely meant; look at these pairs.",
        stems=_stems(images, full),
    )


def _empty_masks(images: ImageSet) -> Finding | None:
    empty = [k for k, facts in enumerate(images.facts) if facts.foreground == 0]
    if not empty:
        return None
    return Finding(
        severity=WARNING,
        title=f"{_count(empty, 'mask')} without foreground",
        meaning="Right if these images show nothing; an empty prediction then scores a Dice of 1.",
        stems=_stems(images, empty),
    )


def _dark(images: ImageSet) -> Finding | None:
    brightest = max(facts.brightest for facts in images.facts)
    if brightest >= DARK:
        return None
    return Finding(
        severity=WARNING,
        title=f"no pixel of any image is brighter than {brightest} of 255",
        meaning="Too dark to show much; or files of 16 bits that hold fewer, and then most grey levels are lost: give "
        f"the value that stands for white, such as image_max={_next_power(int((brightest - 0.5) * 257))}.",
    )


def _rare_foreground(images: ImageSet) -> Finding | None:
    share = images.foreground_percent / 100
    if share >= TRAINS_BADLY_BELOW:
        return None
    return Finding(
        severity=WARNING,
        title=f"foreground is only {100 * share:.2f} % of the pixels",
        meaning="A network that predicts nothing is then nearly right by BCE; trials may collapse (they are marked).",
    )


def _unstated_groups(images: ImageSet) -> Finding | None:
    """Stems that differ in their last letter or number only, such as a patient's left and right eye."""
    if images.grouped:
        return None
    for rule in NAME_RULES:
        matches = [re.search(rule, stem) for stem in images.stems]
        subjects = [match[1] if match else stem for match, stem in zip(matches, images.stems, strict=True)]
        members = Counter(subjects)
        if 3 <= len(members) <= MANY_SUBJECTS * images.num_images:
            break
    else:
        return None
    largest = members.most_common(1)[0][0]
    return Finding(
        severity=WARNING,
        title=f"the names look like {len(members)} subjects, but every image is its own group",
        meaning="Images of one patient, slide or animal on two sides of a split make scores too good. If such as these "
        f"belong together, say so: group='{rule}', or the name of a column of index.csv.",
        stems=tuple(stem for stem, subject in zip(images.stems, subjects, strict=True) if subject == largest),
    )


def _repeated(labels: Sequence[str], groups: Sequence[str]) -> list[int]:
    """Members of equal label that are in different groups."""
    return [k for members in _groups_of_several(labels) for k in members if len({groups[j] for j in members}) > 1]


def _in_groups_of_several(labels: Sequence[str]) -> list[tuple[str, int]]:
    return [(labels[k], k) for members in _groups_of_several(labels) for k in members]


def _groups_of_several(labels: Sequence[str]) -> list[list[int]]:
    members = defaultdict(list)
    for index, label in enumerate(labels):
        members[label].append(index)
    return [indices for indices in members.values() if len(indices) > 1]


def _stems(images: ImageSet, indices: Iterable[int]) -> tuple[str, ...]:
    return tuple(images.stems[index] for index in indices)


def _count(found: Sequence[int], name: str) -> str:
    return f"{len(found)} {name}" + ("s" if len(found) != 1 else "")


def _next_power(value: int) -> int:
    return (1 << max(8, value.bit_length())) - 1
