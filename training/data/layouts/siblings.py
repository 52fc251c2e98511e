"""Folders whose names say that they hold masks, each with the folder of images that its files fit; which folder of
masks counts where there are several; and masks that lie anywhere. Names are read, no picture is.
"""

import os
import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from training.data.layouts.listing import list_all_below, list_images, same_name, words_of
from training.data.layouts.pairs import Findings, Layout, ObjectFiles, Pair, UnknownLayoutError, mask_files
from training.data.layouts.stems import (
    image_names,
    mask_endings,
    mask_prefix,
    name_endings,
    pair_by_stem,
    pair_pages,
    true_images,
)
from training.study.words import shorten

MASK_WORD = re.compile(r"mask|(?<!un)label|annot|truth|segment|target")
MASK_TOKENS = {"manual", "manual1", "gt", "gts", "y", "seg", "segs", "lbl", "lbls", "ann", "anns"}
SIDE_WORDS = re.compile(
    r"masks?|labels?|annot\w*|anns?|ground|truths?|segment\w*|targets?|images?|imgs?|inputs?|originals?|data|raw|dir"
    r"|pictures?|photos?|frames?|gts?|[xy]|segs?|part\d+|task[\d-]*"
)
PREVIEW = re.compile(  # what a program made of images; pictures to look at
    r"pred\w*|outputs?|results?|overlays?|previews?|thumb\w*|vi[sz]\w*|heat\w*|prob\w*|weights?|borders?"
    r"|colou?rs?|colou?red|distances?"
)
NO_TRUTH = re.compile(rf"2nd|second|{PREVIEW.pattern}")  # and a second observer's, for comparison
MAX_LEVELS = 5


def find_siblings(data: Path, mask_suffix: str, chosen: Sequence[str] = ()) -> Layout | None:
    """Folders of masks, each with the folder of images that its files fit.

    The folder with the most fitting names is taken, of several the one whose path is most alike; masks that fit images
    of several folders, each of one, are shared among these.
    chosen: which folders hold the masks that count, by name or by path; of several the union counts; else those that
    are called so. Raises ValueError where two folders fit equally well, and UnknownLayoutError for chosen ones that are
    not there.
    """
    places = {place: files for place in [data, *list_all_below(data, MAX_LEVELS)] if (files := list_images(place))}
    kinds = (_chosen_masks(data, places, chosen),) if chosen else _called_masks(places)
    partners = next((fit for masks in kinds if (fit := _find_partners(data, places, masks, mask_suffix))), {})
    if not partners:
        return None
    found, endings, doubts = Findings(), set[str](), dict[Path, list[Path]]()
    for place, masks in sorted(partners.items()):
        sides = list(masks)
        if len(sides) > 1 and not chosen:
            doubts[place] = [side.relative_to(data) for side in sides]
            sides = sides[:1]
        images, parts = true_images(places[place], found), list[list[Pair]]()
        for side in sides:
            before = len(found.pairs)
            endings |= pair_by_stem(images, masks[side], mask_suffix, found)
            parts.append(found.pairs[before:])
            del found.pairs[before:]
        found.pairs += _join(parts)
    if doubts:
        found.problems.append(f"{next(iter(doubts))}: {ask_for_folder(*doubts.values())}")
    if chosen:
        found.notes.append(f"masks are those in {', '.join(chosen)}, as mask_folder says")
    used = {*partners, *(side for sides in partners.values() for side in sides)}
    others = [f"{place.relative_to(data)}/ ({len(files)})" for place, files in places.items() if place not in used]
    if others:
        found.notes.append(f"folders of images without a counterpart are left out: {shorten(others)}")
    first, side = next((place, next(iter(sides))) for place, sides in sorted(partners.items()))
    more = f" and {len(partners) - 1} more such pairs" if len(partners) > 1 else ""
    return found.layout(f"{first.relative_to(data)}/ and {side.relative_to(data)}/{more}, {name_endings(endings)}")


def find_scattered(data: Path, mask_suffix: str) -> Layout | None:
    """Masks wherever they lie, by their ending, each with the nearest image of its name without it: a/a.png and
    a/truth/a_lesion.png.
    """
    if not mask_suffix:
        return None
    files = [path for place in [data, *list_all_below(data, MAX_LEVELS)] for path in list_images(place)]
    masks = [path for path in files if same_name(path.stem).endswith(mask_suffix)]
    images: dict[str, list[Path]] = defaultdict(list)
    for path in sorted({*files}.difference(masks)):
        images[same_name(path.stem)].append(path)
    found, used = Findings(), dict[Path, Path]()
    for mask in masks:
        fitting = images[same_name(mask.stem).removesuffix(mask_suffix)]
        depths = {image: len(Path(os.path.commonpath([image, mask])).parts) for image in fitting}
        nearest = [image for image, depth in depths.items() if depth == max(depths.values())]
        if len(nearest) != 1:
            shown = shorten([str(path.relative_to(data)) for path in nearest])
            doubt = f"several images have its name ({shown}); keep one" if nearest else "there is no image of its name"
            found.problems.append(f"{mask}: {doubt}")
        elif nearest[0] in used:
            found.problems.append(f"{mask}: {used[nearest[0]].relative_to(data)} is a mask of its image, too; keep one")
        else:
            used[nearest[0]] = mask
            found.pairs += pair_pages(nearest[0], mask, [], found)
    return found.layout(f"images, and masks of their names that end in {mask_suffix}, wherever they lie")


def _called_masks(places: Collection[Path]) -> Iterator[set[Path]]:
    """The folders that are called masks: by their name, or one above it that not all share; where that leads nowhere,
    by their own name alone, since what is called segmentation may hold images and masks.
    """
    root = Path(os.path.commonpath(places)) if places else Path()
    yield {place for place in places if is_mask_folder(place.relative_to(root))}
    yield {place for place in places if is_mask_folder(Path(place.name))}


def _chosen_masks(data: Path, places: Collection[Path], chosen: Sequence[str]) -> set[Path]:
    """Raises UnknownLayoutError where one is missing."""
    masks = {place for place in places if _is_chosen(place, data, chosen)}
    missing = [name for name in chosen if not any(_is_chosen(place, data, [name]) for place in masks)]
    if missing:
        there = shorten([f"{place.relative_to(data)}/" for place in places if place != data]) or "none"
        raise UnknownLayoutError(
            f"mask_folder={','.join(chosen)}: no folder {missing[0]} holds images; there are {there}"
        )
    return masks


def _find_partners(
    data: Path, places: Mapping[Path, list[Path]], masks: Collection[Path], mask_suffix: str
) -> dict[Path, dict[Path, list[Path]]]:
    """Of each folder of images: folders of masks, and their files that are meant."""
    rest = [place for place in places if place not in masks]
    others = (left for called in _called_masks(places) if (left := [place for place in rest if place not in called]))
    images = {place: image_names(places[place]) for place in next(others, rest)}
    partners: dict[Path, dict[Path, list[Path]]] = defaultdict(dict)
    for place in (place for place in places if place in masks):
        files = places[place]
        names = _mask_names(files, mask_suffix)
        fitting = {other: fits for other, cores in images.items() if (fits := names & cores)}
        shares = _share(files, fitting, mask_suffix)
        scores = {other: (len(fits), *_likeness(place, other, data)) for other, fits in fitting.items()}
        highest = max(scores.values(), default=None)
        best = [other for other, score in scores.items() if score == highest]
        if len(best) > 1 and not shares:
            shown = shorten([f"{other.relative_to(data)}/" for other in best])
            raise ValueError(
                f"data={data}: the masks in {place.relative_to(data)}/ fit the images of several folders ({shown}); "
                "keep one of them, or give a csv with the columns image and mask"
            )
        for other in shares or best:
            partners[other][place] = shares[other] if shares else files
    return partners


def _share(files: Sequence[Path], fitting: Mapping[Path, set[str]], mask_suffix: str) -> dict[Path, list[Path]]:
    """The files of a folder of masks by the folders of images they fit, where several are fitted, each file fits one of
    them, and no name is in two of them; else empty.
    """
    if len(fitting) < 2 or sum(map(len, fitting.values())) > len(set().union(*fitting.values())):
        return {}
    shares: dict[Path, list[Path]] = {place: [] for place in fitting}
    for path in files:
        names = _mask_names([path], mask_suffix)
        homes = [place for place, fits in fitting.items() if fits & names]
        if len(homes) != 1:
            return {}
        shares[homes[0]].append(path)
    return shares


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
    names = image_names(images)
    fits = (
        folder
        for folder, files in folders.items()
        if len(names & _mask_names(files, mask_suffix)) >= len(images) / 2 > 0
    )
    return {
        folder: is_mask_folder(Path(folder.name)) and not any(map(NO_TRUTH.fullmatch, words_of(folder.name)))
        for folder in fits
    }


def ask_for_folder(*doubts: Sequence[Path]) -> str:
    """A problem: several folders hold masks of the same images, in one place or in several. The cure names them by what
    tells them apart, so that it holds for all places.
    """
    places = doubts[0]
    shown = shorten([f"{place}/" for place in places])
    more = f", and so in {len(doubts) - 1} more places" if len(doubts) > 1 else ""
    common = [len(Path(os.path.commonpath(mine)).parts) for mine in doubts]
    names = [
        ["/".join(place.parts[start:]) or place.name for place in mine]
        for mine, start in zip(doubts, common, strict=True)
        if len(mine) == len(places)
    ]
    choices = [",".join(dict.fromkeys(mine)) for mine in zip(*names, strict=True)]
    return (
        f"several folders hold masks of the same images ({shown}{more}); say which counts, as "
        f"mask_folder={shlex.quote(choices[0])}, or whose union counts, as "
        f"mask_folder={shlex.quote(','.join(dict.fromkeys(choices[:2])))}"
    )


def is_mask_folder(place: Path) -> bool:
    """Whether a folder's name, or one above it in the data set, says that it holds masks."""
    parts = [words_of(part) for part in place.parts]
    return any(MASK_WORD.search("".join(words)) or MASK_TOKENS & set(words) for words in parts)


def is_preview(name: str) -> bool:
    """Whether a folder is called after pictures to look at, or what a program made of images."""
    return any(map(PREVIEW.fullmatch, words_of(name)))


def likely_images(paths: Sequence[Path], root: Path) -> list[Path]:
    """Without those in folders that are called after masks or previews, unless there are no others."""
    folders = [path.parent.relative_to(root) for path in paths]
    likely = [
        path
        for path, place in zip(paths, folders, strict=True)
        if not is_mask_folder(place) and not any(map(is_preview, place.parts))
    ]
    return likely or list(paths)


def _is_chosen(place: Path, data: Path, chosen: Sequence[str]) -> bool:
    """Whether it, or a folder above it, is one of these, whatever its case."""
    parts = [same_name(part).casefold() for part in place.relative_to(data).parts]
    wanted = [[same_name(part).casefold() for part in Path(name).parts] for name in chosen]
    return any(parts[start : start + len(names)] == names for names in wanted if names for start in range(len(parts)))


def _mask_names(files: Sequence[Path], mask_suffix: str) -> set[str]:
    """What the images of these masks may be called."""
    stems = [same_name(path.stem) for path in files]
    names = {stem.removesuffix(ending) for stem in stems for ending in mask_endings(stem, mask_suffix)}
    return names if mask_suffix else names | {stem.removeprefix(mask_prefix(stem)) for stem in stems}


def _likeness(masks: Path, images: Path, root: Path) -> tuple[bool, int, bool]:
    """How alike two paths are: whether the images' folder is not called previews; how many words both share; whether
    the images' has no further ones. Words such as images do not count.
    """
    left, right = ({w for part in path.relative_to(root).parts for w in words_of(part)} for path in (masks, images))
    left, right = ({word for word in words if not SIDE_WORDS.fullmatch(word)} for words in (left, right))
    return not is_preview(images.name), len(left & right), right <= left
