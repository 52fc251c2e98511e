"""Which images train, validate and test: decided once for a data set, by group, and the same for every trial.

Groups are laid on a ring, so shuffled that any arc of it holds little and much foreground as the whole does. Test and
validation sets are arcs at fixed places, training subsets grow from one end of what is left, and a fold turns the ring.
Nothing here knows pixels or torch.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from training.study.trial import FOLDS, PROTOCOLS

SPLIT_SEED = 0  # one split for all trials and studies
STRATA = 5  # fifths of the groups by foreground share
MIN_GROUPS = 10  # images that 10 % of can be held out
HELD_OUT = ("data_digest", "protocol", "split_digest")  # tags: the images, and which of them are held out


@dataclass(frozen=True, kw_only=True)
class Split:
    """Indices of images. Under `report`, validation may be the training images (at 100 %) and there is no test set."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]

    @property
    def text(self) -> str:
        """How many images each part has, in words."""
        return f"{len(self.train)} train, {len(self.val)} validate, {len(self.test)} test"


def make_split(
    groups: Sequence[str],
    foreground: Sequence[float],
    protocol: str,
    train_percent: int,
    fold: int = 0,
    val_percent: int = 10,
    test_percent: int = 10,
    parts: Sequence[str] = (),
) -> Split:
    """Split images by their groups, stratified by their foreground shares.

    fixed: a test and a validation set held out for good; nested training subsets of the rest. The held-out sets of the
    five folds are disjoint, and with 10 % and 10 % they cover every image once.
    parts: of each image, where a person fixed them (given_split.py); `fixed` then only takes from the training images
    what validates, where none does yet, and nested subsets of the others.
    report: train on train_percent, "use other for validation"; at 100 validate on the training images.
    train_percent is a share of all images in both. Raises ValueError when a part would be empty.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol={protocol!r} is unknown; it must be one of {', '.join(PROTOCOLS)}")
    num_images, ring = len(groups), _ring(groups, foreground)
    starts = np.cumsum([0, *map(len, ring)])[:-1]
    # where the middle of each group lies, in halves of an image (so all is whole numbers), seen from the fold's place
    middles = [int(2 * start + len(group)) for start, group in zip(starts, ring, strict=True)]
    turned = [(middle * FOLDS - 2 * num_images * fold) % (2 * num_images * FOLDS) for middle in middles]
    order = sorted(range(len(ring)), key=lambda k: turned[k])

    def arc(low: int, high: int) -> tuple[int, ...]:
        """The images from low to high percent of the ring."""
        unit = 2 * num_images * FOLDS
        return tuple(i for k in order if low * unit <= 100 * turned[k] < high * unit for i in ring[k])

    if parts:
        split = _given_split(parts, [ring[k] for k in order], train_percent, val_percent, test_percent)
    elif protocol == "report":
        train = arc(0, train_percent)
        split = Split(train=train, val=arc(train_percent, 100) or train, test=())
    else:
        held = test_percent + val_percent
        split = Split(test=arc(0, test_percent), val=arc(test_percent, held), train=arc(held, held + train_percent))
    if not split.train or not split.val or (protocol == "fixed" and not split.test):
        raise ValueError(
            f"{num_images} images in {len(ring)} groups are too few to hold out {test_percent} % for test and "
            f"{val_percent} % for validation and train on {train_percent} %; add images (at least {MIN_GROUPS} groups) "
            "or raise val_percent and test_percent"
        )
    return split


def _given_split(
    parts: Sequence[str], ring: Sequence[list[int]], train_percent: int, val_percent: int, test_percent: int
) -> Split:
    """The split that a person fixed. `ring`: the images of each group; training subsets are whole groups of it."""
    test, val = (tuple(index for index, part in enumerate(parts) if part == name) for name in ("test", "val"))
    train = [group for group in ([index for index in group if parts[index] == "train"] for group in ring) if group]
    if not val:
        val = _first_groups(train, len(parts) * val_percent / 100)
        train = [group for group in train if group[0] not in val]
    whole = train_percent >= 100 - val_percent - test_percent
    wanted = len(parts) if whole else len(parts) * train_percent / 100
    return Split(train=_first_groups(train, wanted), val=val, test=test)


def _first_groups(groups: Sequence[list[int]], count: float) -> tuple[int, ...]:
    """The images of the first groups, so many that their number is as near to `count` as whole groups allow; of one
    group at least.
    """
    sizes = np.cumsum([len(group) for group in groups])
    number = int(np.argmin(np.abs(sizes - count))) + 1 if len(groups) else 0
    return tuple(index for group in groups[:number] for index in group)


def held_out_percents(parts: Sequence[str], val_percent: int, test_percent: int) -> tuple[int, int]:
    """val_percent and test_percent as they are; where a person fixed the split, what it holds out, in whole percent of
    all images. `parts`: of each image, empty where nobody fixed it; one without val takes val_percent from training.
    """
    if not parts:
        return val_percent, test_percent
    val, test = (max(1, round(100 * list(parts).count(name) / len(parts))) for name in ("val", "test"))
    return val if "val" in parts else val_percent, test


def find_leaks(split: Split, labels: Sequence[str]) -> list[str]:
    """The labels (groups, or hashes of pixels) that lie on more than one side of a split."""
    sides = [{labels[index] for index in part} for part in (split.train, split.val, split.test)]
    if set(split.val) == set(split.train):  # protocol=report at 100 %, which says so
        sides = sides[1:]
    return sorted({label for k, side in enumerate(sides) for other in sides[:k] for label in side & other})


def join_identical(groups: Sequence[str], hashes: Sequence[str]) -> tuple[str, ...]:
    """Groups in which identical images are together: theirs become one, named by its first."""
    return join_copies(groups, _members(hashes).values())


def join_copies(groups: Sequence[str], copies: Iterable[Sequence[int]]) -> tuple[str, ...]:
    """Groups in which images that belong together (indices) are together: theirs become one, named by its first."""
    chains = [*_members(groups).values(), *copies]
    firsts = connect(len(groups), [link for chain in chains for link in itertools.pairwise(chain)])
    return tuple(groups[first] for first in firsts)


def connect(count: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """For each of `count` things, the first of all that links, directly or not, hold together with it."""
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for first, second in links:
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    return [root(index) for index in range(count)]


def split_digest(split: dict[str, list[str]]) -> str:
    """12 hexadecimal digits that name which stems train, validate and test."""
    return hashlib.sha256(json.dumps({part: sorted(stems) for part, stems in split.items()}).encode()).hexdigest()[:12]


def _ring(groups: Sequence[str], foreground: Sequence[float]) -> list[list[int]]:
    """The images of each group, in an order of which every stretch is like the whole.

    Systematic sampling: groups are ranked by foreground share and cut into strata; those of a stratum are shuffled and
    spread evenly over the ring, each stratum shifted by a random step. Groups without foreground are a stratum of their
    own, and the strata of the others large enough then that a tenth of the ring has its share of each.
    """
    members = _members(groups)
    names = sorted(members, key=lambda name: (_mean(foreground[i] for i in members[name]), name))
    generator = np.random.default_rng(SPLIT_SEED)
    places: dict[str, float] = {}
    empty = [name for name in names if not any(foreground[i] for i in members[name])]
    others = names[len(empty) :]
    strata = min(STRATA, len(others)) if not empty else min(STRATA, max(1, len(others) // MIN_GROUPS))
    ranked = np.array_split(np.array(others, dtype=object), strata)
    for stratum in [np.array(empty, dtype=object), *ranked] if empty else ranked:
        shift = generator.random()
        for place, k in enumerate(generator.permutation(len(stratum))):
            places[stratum[k]] = (place + shift) / len(stratum)
    return [members[name] for name in sorted(names, key=lambda name: (places[name], name))]


def _members(labels: Sequence[str]) -> dict[str, list[int]]:
    """The indices of each label, in order."""
    members: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    return members


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
