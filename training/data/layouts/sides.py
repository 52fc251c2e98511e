"""Folders of images and the folders of their masks: images/ and masks/, Original/ and Ground Truth/, ISIC's _Input and
_GroundTruth; or both in one folder, told apart by the mask's ending."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.data.layouts.listing import list_all_below, list_below, list_folder, list_folders, list_images, same_name
from training.data.layouts.pairs import Findings, Layout
from training.data.layouts.stems import (
    KNOWN_ENDINGS,
    NO_IMAGES,
    NUMBERED,
    WORDS,
    further_masks,
    image_cores,
    mask_endings,
    mask_prefix,
    name_endings,
    pair_by_stem,
    pair_pages,
)
from training.study.words import shorten

IMAGE_FOLDERS = ("images", "image", "imgs", "img")
BY_HAND = ("1st_manual", "manual1", "manual")  # DRIVE's and HRF's, whose mask/ is the field of view
MASK_FOLDERS = (*BY_HAND, "masks", "mask", "labels", "label")
MASK_WORD = re.compile(r"mask|(?<!un)label|annot|truth|segment|target")
MASK_TOKENS = {"manual", "manual1", "gt", "gts", "y", "seg", "segs", "lbl", "lbls"}
SIDE_WORDS = re.compile(
    r"masks?|labels?|annot\w*|ground|truths?|segment\w*|targets?|images?|imgs?|inputs?|originals?|data|raw|pictures?"
    r"|photos?|frames?|gts?|[xy]|segs?|part\d+|task[\d-]*"
)
MAX_LEVELS = 3


def find_two_folders(data: Path, mask_suffix: str) -> Layout | None:
    """images/ and masks/, paired by stem; below them, the same folders on both sides. None where one holds no image."""
    images, masks = folder_named(data, IMAGE_FOLDERS), folder_named(data, MASK_FOLDERS)
    if images is None or masks is None:
        return None
    found, endings = Findings(), set[str]()
    below = {path.relative_to(side) for side in (images, masks) for path in list_below(side)}
    places = [
        tuple(list_images(side / place) if (side / place).is_dir() else [] for side in (images, masks))
        for place in (Path(), *sorted(below))
    ]
    if not any(left for left, _ in places) or not any(right for _, right in places):
        return None
    for left, right in places:
        endings |= pair_by_stem(_true_images(left, found), right, mask_suffix, found)
    others = [f"{path.name}/" for path in list_folders(data) if path not in (images, masks)]
    if others:
        found.notes.append(f"{', '.join(others)} left out")
    return found.layout(f"{images.name}/ and {masks.name}/, {name_endings(endings)}")


def find_sides(data: Path, mask_suffix: str) -> Layout | None:
    """images/ and masks/ one level lower, as in train/ and test/: all together, because a split is made here."""
    found = Findings()
    sides = {place: folder_named(place, IMAGE_FOLDERS) for place in list_folders(data)}
    places = [place for place, side in sides.items() if side and len(list_images(side)) > 1]  # else a folder per image
    by_hand = any(folder_named(place, BY_HAND) for place in places)
    for place in places:
        layout = find_two_folders(place, mask_suffix)
        if layout is None:
            found.notes.append(f"{place.name}/ left out: it has images, but no folder of masks")
        elif by_hand and not folder_named(place, BY_HAND):
            found.notes.append(
                f"{place.name}/ left out: others have masks drawn by hand, its masks are of another kind"
            )
        else:
            found.pairs += layout.pairs
            found.problems += layout.problems
            found.notes += layout.notes
    return found.layout("images/ and masks/ in several folders, taken together") if found.pairs else None


def find_siblings(data: Path, mask_suffix: str) -> Layout | None:
    """Folders whose names say mask, ground truth, annotation ..., each with the folder of images that its files fit.

    The folder with the most fitting names is taken, of several the one whose path is most alike. Raises ValueError
    where two folders fit equally well.
    """
    places = {place: files for place in [data, *list_all_below(data, MAX_LEVELS)] if (files := list_images(place))}
    masks = {place: files for place, files in places.items() if is_mask_folder(place.relative_to(data))}
    images = {place: _image_names(files) for place, files in places.items() if place not in masks}
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
    if not partners:
        return None
    found, endings = Findings(), set[str]()
    for place, sides in sorted(partners.items()):
        if len(sides) > 1:
            shown = shorten([f"{side.relative_to(data)}/" for side in sides])
            found.problems.append(
                f"{place}: several folders hold masks of its images ({shown}); keep the one that counts"
            )
        endings |= pair_by_stem(_true_images(list_images(place), found), masks[sides[0]], mask_suffix, found)
    used = {*partners, *(side for sides in partners.values() for side in sides)}
    others = [f"{place.relative_to(data)}/ ({len(files)})" for place, files in places.items() if place not in used]
    if others:
        found.notes.append(f"folders of images without a counterpart are left out: {shorten(others)}")
    first, side = next((place, sides[0]) for place, sides in sorted(partners.items()))
    more = f" and {len(partners) - 1} more such pairs" if len(partners) > 1 else ""
    return found.layout(f"{first.relative_to(data)}/ and {side.relative_to(data)}/{more}, {name_endings(endings)}")


def find_side_by_side(data: Path, mask_suffix: str) -> Layout | None:
    """Image and mask in one folder, told apart by the mask's ending; or in folders one level lower."""
    found, endings, alone = Findings(), set[str](), list[str]()
    known = (mask_suffix,) if mask_suffix else KNOWN_ENDINGS
    for folder in (data, *list_folders(data)):
        files = _true_images(list_images(folder), found)
        masks = [path for path in files if path.stem.endswith(known)]
        left_out = [path for path in files if path.stem.endswith(KNOWN_ENDINGS)]
        if not masks and not mask_suffix:
            masks = left_out = [path for path in files if re.search(r"[ _.-]$", mask_prefix(path.stem))]
        images = [path for path in files if path not in {*masks, *left_out}]
        further = further_masks([path for path in images if not NUMBERED.fullmatch(path.stem)], files)
        left_out = [*left_out, *(path for more in further.values() for path in more)]
        images = [path for path in images if path not in left_out]
        if masks and images:
            endings |= pair_by_stem(images, sorted({*masks, *left_out}), mask_suffix, found)
        else:
            alone += [str(path.relative_to(data)) for path in files]
    if not found.pairs and not found.problems:
        return None
    if alone:
        found.notes.append(
            f"{len(alone)} files left out: their folder has no pair of image and mask ({shorten(alone)})"
        )
    return found.layout(f"image and mask side by side, {name_endings(endings)}")


def find_folder_each(data: Path) -> Layout | None:
    """A folder an image, with the mask beside it: image.png and mask.png; img.png and label.png, as labelme exports."""
    found = Findings()
    for place in (data, *list_folders(data)):
        for folder in list_folders(place):
            files = _true_images(list_images(folder), found)
            masks = [path for path in files if path.stem.lower() in WORDS]
            images = [path for path in files if path not in masks]
            if len(masks) == len(images) == 1:
                pages = pair_pages(images[0], masks[0], [], found)
                name = folder.name.removesuffix("_json")
                found.pairs += [replace(pair, stem=f"{name}{pair.stem.removeprefix(images[0].stem)}") for pair in pages]
            elif masks:
                found.problems.append(
                    f"{folder}: it holds {len(images)} images and {len(masks)} masks; it must hold one of each"
                )
    return found.layout("a folder an image, with its mask") if found.pairs else None


def find_two_stacks(data: Path) -> Layout | None:
    """images.tif and masks.tif: one page per image. None where they are not there."""
    files = {path.stem.lower(): path for path in list_images(data)}
    image = next((files[name] for name in IMAGE_FOLDERS if name in files), None)
    mask = next((files[name] for name in MASK_FOLDERS if name in files), None)
    if image is None or mask is None:
        return None
    found = Findings()
    found.pairs += pair_pages(image, mask, [], found)
    return found.layout(f"the pages of {image.name} and {mask.name}")


def find_unnamed_sides(data: Path) -> list[str]:
    """Two folders whose images have the same names, and nothing says which are the masks; else empty."""
    names = {place: _image_names(files) for place in list_folders(data) if (files := list_images(place))}
    pairs = [(a, b) for a in names for b in names if a < b and len(names[a] & names[b]) > len(names[a]) / 2]
    return [f"{place.name}/" for place in pairs[0]] if pairs else []


def is_mask_folder(place: Path) -> bool:
    """Whether a folder's name, or one above it in the data set, says that it holds masks."""
    parts = [words_of(part) for part in place.parts]
    return any(MASK_WORD.search("".join(words)) or MASK_TOKENS & set(words) for words in parts)


def folder_named(data: Path, names: Sequence[str]) -> Path | None:
    """The folder, or link to one, of the first of these names, whatever its case."""
    folders = {path.name.lower(): path for path in list_folder(data) if path.is_dir() or path.is_symlink()}
    return next((folders[name] for name in names if name in folders), None)


def _true_images(files: Sequence[Path], found: Findings) -> list[Path]:
    others = [path.name for path in files if path.stem.endswith(NO_IMAGES)]
    if others:
        found.notes.append(f"{len(others)} files are neither images nor masks and left out ({shorten(others)})")
    return [path for path in files if not path.stem.endswith(NO_IMAGES)]


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


def words_of(name: str) -> list[str]:
    """ISBI2016_Part1_GroundTruth -> isbi2016, part1, ground, truth."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", same_name(name))
    return [word.lower() for word in re.split(r"[^\w]+|_+", apart) if word]
