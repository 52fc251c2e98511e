"""Folders whose names say that they hold masks, each with the folder of images that its files fit; and which folder of
masks counts where there are several. Names are read, no picture is.
"""

import os
import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from training.data.layouts.listing import list_all_below, list_images, same_name, words_of
from training.data.layouts.pairs import Findings, Layout, ObjectFiles, Pair, mask_files
from training.data.layouts.stems import (
    image_cores,
    mask_endings,
    mask_prefix,
    name_endings,
    pair_by_stem,
    true_images,
)
from training.study.words import shorten

MASK_WORD = re.compile(r"mask|(?<!un)label|annot|truth|segment|target")
MASK_TOKENS = {"manual", "manual1", "gt", "gts", "y", "seg", "segs", "lbl", "lbls", "ann", "anns"}
SIDE_WORDS = re.compile(
    r"masks?|labels?|annot\w*|anns?|ground|truths?|segment\w*|targets?|images?|imgs?|inputs?|originals?|data|raw|dir"
    r"|pictures?|photos?|frames?|gts?|[xy]|segs?|part\d+|task[\d-]*"
)
NO_TRUTH = re.compile(  # a second observer's, for comparison; what a program made of images; pictures to look at
    r"2nd|second|pred\w*|outputs?|results?|overlays?|previews?|thumb\w*|vi[sz]\w*|heat\w*|prob\w*|weights?|borders?"
    r"|colou?rs?|colou?red"
)
MAX_LEVELS = 3


def find_siblings(data: Path, mask_suffix: str, chosen: Sequence[str] = ()) -> Layout | None:
    """Folders of masks, each with the folder of images that its files fit.

    The folder with the most fitting names is taken, of several the one whose path is most alike.
    chosen: which folders hold the masks that count, by name or by path; of several the union counts; else those that
    are called so. Raises ValueError where two folders fit equally well, and for chosen ones that are not there.
    """
    places = {place: files for place in [data, *list_all_below(data, MAX_LEVELS)] if (files := list_images(place))}
    masks = _choose_masks(data, places, chosen)
    partners = _find_partners(data, places, masks, mask_suffix)
    if not partners:
        return None
    found, endings = Findings(), set[str]()
    for place, sides in sorted(partners.items()):
        if len(sides) > 1 and not chosen:
            found.problems.append(f"{place}: {ask_for_folder([side.relative_to(data) for side in sides])}")
            sides = sides[:1]
        images, parts = true_images(places[place], found), list[list[Pair]]()
        for side in sides:
            before = len(found.pairs)
            endings |= pair_by_stem(images, masks[side], mask_suffix, found)
            parts.append(found.pairs[before:])
            del found.pairs[before:]
        found.pairs += _join(parts)
    if chosen:
        found.notes.append(f"masks are those in {', '.join(chosen)}, as mask_folder says")
    used = {*partners, *(side for sides in partners.values() for side in sides)}
    others = [f"{place.relative_to(data)}/ ({len(files)})" for place, files in places.items() if place not in used]
    if others:
        found.notes.append(f"folders of images without a counterpart are left out: {shorten(others)}")
    first, side = next((place, sides[0]) for place, sides in sorted(partners.items()))
    more = f" and {len(partners) - 1} more such pairs" if len(partners) > 1 else ""
    return found.layout(f"{first.relative_to(data)}/ and {side.relative_to(data)}/{more}, {name_endings(endings)}")


def _choose_masks(data: Path, places: dict[Path, list[Path]], chosen: Sequence[str]) -> dict[Path, list[Path]]:
    """The folders of masks: the chosen ones, else those that are called so. Raises ValueError where one is missing."""
    if not chosen:
        return {place: files for place, files in places.items() if is_mask_folder(place.relative_to(data))}
    masks = {place: files for place, files in places.items() if _is_chosen(place, data, chosen)}
    missing = [name for name in chosen if not any(_is_chosen(place, data, [name]) for place in masks)]
    if missing:
        there = shorten([f"{place.relative_to(data)}/" for place in places if place != data]) or "none"
        raise ValueError(f"mask_folder={','.join(chosen)}: no folder {missing[0]} holds images; there are {there}")
    return masks


def _find_partners(
    data: Path, places: dict[Path, list[Path]], masks: dict[Path, list[Path]], mask_suffix: str
) -> dict[Path, list[Path]]:
    """The folders of masks of each folder of images."""
    rest = {place: files for place, files in places.items() if place not in masks}
    not_called = {place: files for place, files in rest.items() if not is_mask_folder(place.relative_to(data))}
    images = {place: _image_names(files) for place, files in (not_called or rest).items()}
    partners: dict[Path, list[Path]] = defaultdict(list)
    for place, files in masks.items():
        names = _mask_names(files, mask_suffix)
        scores = {other: (len(names & cores), _likeness(place, other, data)) for other, cores in images.items()}
        best = max(scores.values(), default=(0, 0))
        fits = [other for other, score in scores.items() if score == best]
        if best[0] and len(fits) > 1:
            shown = shorten([f"{other.relative_to(data)}/" for other in fits])
            raise ValueError(
                f"data={data}: the masks in {place.relative_to(data)}/ fit the images of several folders ({shown}); "
                "keep one of them, or give a csv with the columns image and mask"
            )
        if best[0]:
            partners[fits[0]].append(place)
    return partners


def _join(parts: Sequence[Sequence[Pair]]) -> list[Pair]:
    """One pair per image, with the union of its masks; an image that lacks one of them is named before."""
    first, *further = parts
    if not further:
        return list(first)
    masks: dict[tuple[Path, int], list[Path]] = defaultdict(list)
    for pair in (pair for part in parts for pair in part):
        masks[pair.image, pair.page] += mask_files(pair.mask)
    return [replace(pair, mask=ObjectFiles(tuple(masks[pair.image, pair.page]))) for pair in first]


def find_rivals(folders: Mapping[Path, Sequence[Path]], images: Sequence[Path], mask_suffix: str) -> dict[Path, bool]:
    """Folders (by their files) that hold one for at least half of these images, and whether their names say masks."""
    names = _image_names(images)
    fits = (
        folder
        for folder, files in folders.items()
        if len(names & _mask_names(files, mask_suffix)) >= len(images) / 2 > 0
    )
    return {
        folder: is_mask_folder(Path(folder.name)) and not any(map(NO_TRUTH.fullmatch, words_of(folder.name)))
        for folder in fits
    }


def ask_for_folder(places: Sequence[Path]) -> str:
    """A problem: several folders hold masks of the same images. The cure names them by what tells them apart, so that
    it holds for all places where folders are called so.
    """
    shown = shorten([f"{place}/" for place in places])
    common = len(Path(os.path.commonpath(places)).parts)
    names = ["/".join(place.parts[common:]) or place.name for place in places]
    return (
        f"several folders hold masks of the same images ({shown}); say which counts, as "
        f"mask_folder={shlex.quote(names[0])}, or whose union counts, as mask_folder={shlex.quote(','.join(names[:2]))}"
    )


def find_unnamed_sides(data: Path) -> list[str]:
    """Two folders whose images have the same names, and nothing says which are the masks; else empty."""
    names = {place: _image_names(files) for place in list_all_below(data, MAX_LEVELS) if (files := list_images(place))}
    pairs = [(a, b) for a in names for b in names if a < b and len(names[a] & names[b]) > len(names[a]) / 2]
    return [f"{place.relative_to(data)}/" for place in pairs[0]] if pairs else []


def is_mask_folder(place: Path) -> bool:
    """Whether a folder's name, or one above it in the data set, says that it holds masks."""
    parts = [words_of(part) for part in place.parts]
    return any(MASK_WORD.search("".join(words)) or MASK_TOKENS & set(words) for words in parts)


def likely_images(paths: Sequence[Path], root: Path) -> list[Path]:
    """Without those in folders that are called after masks or previews, unless there are no others."""
    folders = [path.parent.relative_to(root) for path in paths]
    likely = [
        path
        for path, place in zip(paths, folders, strict=True)
        if not is_mask_folder(place)
        and not any(NO_TRUTH.fullmatch(word) for part in place.parts for word in words_of(part))
    ]
    return likely or list(paths)


def _is_chosen(place: Path, data: Path, chosen: Sequence[str]) -> bool:
    """Whether it, or a folder above it, is one of these, whatever its case."""
    parts = [same_name(part).casefold() for part in place.relative_to(data).parts]
    wanted = [[same_name(part).casefold() for part in Path(name).parts] for name in chosen]
    return any(parts[start : start + len(names)] == names for names in wanted if names for start in range(len(parts)))


def _image_names(files: Sequence[Path]) -> set[str]:
    return {core for path in files for cores in image_cores(path) for core in cores}


def _mask_names(files: Sequence[Path], mask_suffix: str) -> set[str]:
    """What the images of these masks may be called."""
    stems = [same_name(path.stem) for path in files]
    names = {stem.removesuffix(ending) for stem in stems for ending in mask_endings(stem, mask_suffix)}
    return names if mask_suffix else names | {stem.removeprefix(mask_prefix(stem)) for stem in stems}


def _likeness(one: Path, other: Path, root: Path) -> int:
    """How many words two paths share, less those that only one of them has; words such as images do not count."""
    left, right = ({w for part in path.relative_to(root).parts for w in words_of(part)} for path in (one, other))
    left, right = ({word for word in words if not SIDE_WORDS.fullmatch(word)} for words in (left, right))
    return 2 * len(left & right) - len(left ^ right)
