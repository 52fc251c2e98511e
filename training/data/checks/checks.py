"""What is wrong or odd about a data set that could be read: findings, each with what it means and what to do.

An error would make training wrong, and stops it; a warning is for a person to judge. Facts and a split in, findings
out.
"""

import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence

from training.data.checks.findings import ERROR, WARNING, Finding, stems_of
from training.data.checks.fit_checks import fit_problems
from training.data.checks.foreground import check_foreground
from training.data.checks.mask_checks import mask_problems
from training.data.checks.pairing import pairing_problems
from training.data.checks.subjects import find_subjects
from training.data.image_set import ImageSet
from training.data.split import Split, find_leaks
from training.study.words import pluralize

DARK = 64  # of 255: no pixel of any image is brighter
COPY_WORDS = {"copy": "saved anew", "turned": "flipped or turned", "crop": "cropped or overlapping"}
SAME_MASK = 0.5  # of the images: above it the mask says nothing of a picture


def find_problems(images: ImageSet, split: Split | None) -> list[Finding]:
    """Errors first. split: None where none can be made."""
    checks = (
        _leaks(images, split) if split else None,
        _duplicates(images),
        _copies(images),
        _crops_not_searched(images),
        _same_masks(images),
        _transparent(images),
        _dark(images),
        _unused_subjects(images) or _unstated_groups(images),
    )
    told_by_pixels = [*fit_problems(images), *pairing_problems(images)]
    found = [*mask_problems(images), *told_by_pixels, *(finding for finding in checks if finding)]
    found += check_foreground(images, split) if split else []
    return sorted(found, key=lambda finding: finding.severity != ERROR)


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
        stems=stems_of(images, sorted(set(across), key=lambda k: hashes[k])),
    )


def _duplicates(images: ImageSet) -> Finding | None:
    same = [k for members in _groups_of_several([facts.image_hash for facts in images.facts]) for k in members]
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
        stems=stems_of(images, same),
    )


def _copies(images: ImageSet) -> Finding | None:
    """The same picture again, turned, cropped or saved anew; identical ones are told by `_duplicates`."""
    found = [one for one in images.copies if len({images.facts[k].image_hash for k in one.images}) > 1]
    if not found:
        return None
    several_groups = [one for one in found if len({images.groups[k] for k in one.images}) > 1]
    kinds = [kind for kind in COPY_WORDS if any(kind in one.kinds for one in found)]
    many = sum(len(one.images) for one in found)
    title = f"{many} images are copies of {len(found)} pictures ({', '.join(COPY_WORDS[kind] for kind in kinds)})"
    if several_groups:
        return Finding(
            severity=ERROR,
            title=f"{title}, and {pluralize(len(several_groups), 'picture')} of them lie in different groups",
            meaning="A test image whose copy was trained on proves nothing. Correct `group`, or leave it out: then "
            "copies stay together by themselves.",
            stems=stems_of(images, (k for one in several_groups for k in one.images)),
        )
    return Finding(
        severity=WARNING,
        title=title,
        meaning="They stay on one side of the split, so nothing is tested on what it was trained on; but there are "
        f"only {images.num_images - many + len(found)} different pictures. Remove the copies: training can augment by "
        "itself.",
        stems=stems_of(images, (k for one in found for k in one.images)),
    )


def _crops_not_searched(images: ImageSet) -> Finding | None:
    if images.crops_searched:
        return None
    return Finding(
        severity=WARNING,
        title=f"{images.num_images} images are too many to look for crops of one another",
        meaning="Flips, turns and saved copies were looked for. If pictures overlap, say which belong together: group.",
    )


def _same_masks(images: ImageSet) -> Finding | None:
    """The same mask, of some complexity, for different images: a copy under a wrong name."""
    drawn = [facts.mask_hash if 0 < facts.foreground < 1 else f"none {k}" for k, facts in enumerate(images.facts)]
    same = [
        k for group in _groups_of_several(drawn) for k in group if len({images.facts[j].image_hash for j in group}) > 1
    ]
    if not same:
        return None
    most = Counter(drawn).most_common(1)[0][1]
    if most >= max(3, SAME_MASK * images.num_images):
        return Finding(
            severity=WARNING,
            title=f"{most} of {images.num_images} images have one and the same mask",
            meaning="So it says nothing of a picture, as a camera's field of view does. If another folder holds the "
            "masks that are meant, say so: mask_folder=NAME.",
            stems=stems_of(images, same),
        )
    return Finding(
        severity=WARNING,
        title=f"{len(same)} different images share a mask with another",
        meaning="A mask may have been saved under the wrong name; look at these pairs.",
        stems=stems_of(images, same),
    )


def _transparent(images: ImageSet) -> Finding | None:
    """A fourth channel that says something, and is not read."""
    found = [k for k, facts in enumerate(images.facts) if facts.transparent]
    if not found:
        return None
    return Finding(
        severity=WARNING,
        title=f"{pluralize(len(found), 'image')} with transparent pixels, whose transparency is dropped",
        meaning="Hidden pixels are read as they are stored. If the fourth channel is data of its own, choose: "
        "channels=0,1,3 for example.",
        stems=stems_of(images, found),
    )


def _dark(images: ImageSet) -> Finding | None:
    brightest = max(facts.brightest for facts in images.facts)
    if brightest >= DARK:
        return None
    return Finding(
        severity=WARNING,
        title=f"no pixel of any image is brighter than {brightest} of 255",
        meaning="Too dark to show much: was white another value when these were saved? Save them again by it.",
    )


def _unused_subjects(images: ImageSet) -> Finding | None:
    """A csv says who belongs together, and `group` does not use it."""
    if images.grouped or not images.subject_columns:
        return None
    columns = ", ".join(images.subject_columns)
    return Finding(
        severity=WARNING,
        title=f"the csv has a column that may say which images belong together ({columns}), and it is not used",
        meaning="Images of one patient, slide or animal on two sides of a split make scores too good. Say so: "
        f"group={shlex.quote(images.subject_columns[0])}.",
    )


def _unstated_groups(images: ImageSet) -> Finding | None:
    """Names that say who belongs together, such as slices of a patient, or a left and a right eye."""
    found = None if images.grouped else find_subjects(images.stems, images.paths)
    if found is None:
        return None
    members = Counter(found.subjects)
    largest = members.most_common(1)[0][0]
    return Finding(
        severity=WARNING,
        title=f"the names look like {len(members)} subjects, but every image is its own group",
        meaning="Images of one patient, slide or animal on two sides of a split make scores too good. If such as these "
        f"belong together, say so: group='{found.rule}', or the name of a column of a csv.",
        stems=tuple(stem for stem, subject in zip(images.stems, found.subjects, strict=True) if subject == largest),
    )


def _repeated(labels: Sequence[str], groups: Sequence[str]) -> list[int]:
    """Members of equal label that are in different groups."""
    return [k for members in _groups_of_several(labels) for k in members if len({groups[j] for j in members}) > 1]


def _groups_of_several(labels: Sequence[str]) -> list[list[int]]:
    members = defaultdict(list)
    for index, label in enumerate(labels):
        members[label].append(index)
    return [indices for indices in members.values() if len(indices) > 1]
