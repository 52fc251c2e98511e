"""images/ and masks/, in one place or in several; image and mask in one folder, told apart by the mask's ending."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from training.data.layouts.categories import choose_labels
from training.data.layouts.listing import (
    list_all_below,
    list_below,
    list_folder,
    list_folders,
    list_images,
    list_images_below,
    same_name,
)
from training.data.layouts.pairs import Findings, Layout, ObjectFiles, Pair
from training.data.layouts.siblings import ask_for_folder, find_rivals
from training.data.layouts.stems import (
    KNOWN_ENDINGS,
    NUMBERED,
    WORDS,
    further_masks,
    mask_prefix,
    name_endings,
    pair_by_stem,
    pair_pages,
    true_images,
)
from training.study.words import shorten

IMAGE_FOLDERS = ("images", "image", "imgs", "img")
JPEG = (".jpg", ".jpeg")
BY_HAND = ("1st_manual", "manual1", "manual")  # DRIVE's and HRF's, whose mask/ is the field of view
MASK_FOLDERS = (*BY_HAND, "masks", "mask", "labels", "label")

OBJECT_NAME = re.compile(
    r"(?:\d*[\W_]+|\d+)?([^\W\d_]+(?:[\W_]+[^\W\d_]+)*)[\W_]*\d*"
)  # an object's word, and its number


def find_two_folders(data: Path, mask_suffix: str) -> Layout | None:
    """images/ and masks/, paired by stem; below them, the same folders on both sides. None where none of these holds
    images on both sides.
    """
    images, masks = folder_named(data, IMAGE_FOLDERS), folder_named(data, MASK_FOLDERS)
    if images is None or masks is None:
        return None
    found, endings = Findings(), set[str]()
    below = {path.relative_to(side) for side in (images, masks) for path in list_below(side)}
    places = [
        tuple(list_images(side / place) if (side / place).is_dir() else [] for side in (images, masks))
        for place in (Path(), *sorted(below))
    ]
    if not any(left and right for left, right in places):
        return None
    for left, right in places:
        endings |= pair_by_stem(true_images(left, found), right, mask_suffix, found)
    _say_rivals(data, images, masks, mask_suffix, found)
    return found.layout(f"{images.name}/ and {masks.name}/, {name_endings(endings)}")


def choose_objects(
    folders: Mapping[str, Sequence[Path]], category: str, found: Findings
) -> dict[str, tuple[Path, ...]]:
    """The files of each folder (by its image's name) that count: all of them, unless their names say classes.

    They do where two words or more, as nucleus and vessel, come back in folders and are most of the names: numbers and
    codes name objects. Then one class is chosen, as of annotations.
    """
    words = {name: [_word_of(path, Path(name).name) for path in paths] for name, paths in folders.items()}
    returning = {word for word, count in Counter(w for mine in words.values() for w in set(mine)).items() if count > 1}
    counts = Counter(word for mine in words.values() for word in mine)
    classes = returning - {""}
    if len(classes) < 2 or 2 * sum(counts[word] for word in classes) <= counts.total():
        if category:
            raise ValueError(f"category={category!r}: the files of objects here state no classes; leave category out")
        return {name: tuple(paths) for name, paths in folders.items()}
    chosen = choose_labels(dict(counts.most_common()), category, found)
    picked = {
        name: tuple(path for path, word in zip(paths, words[name], strict=True) if word in chosen)
        for name, paths in folders.items()
    }
    empty = [name for name, paths in picked.items() if not paths]
    if empty:
        found.notes.append(f"{len(empty)} images have no file of the chosen category: empty masks ({shorten(empty)})")
    return picked


def _word_of(path: Path, image: str) -> str:
    """nucleus of nucleus_1.png or of a_nucleus.png, an image called a; empty for numbers and codes."""
    match = OBJECT_NAME.fullmatch(same_name(path.stem).removeprefix(image))
    return match[1].casefold() if match else ""


def find_object_folders(data: Path, category: str) -> Layout | None:
    """images/a.png and masks/a/, one file per object or per class; in one place, or one level lower as in train/."""
    found, shown = Findings(), list[str]()
    for place in (data, *list_folders(data)):
        images, masks = folder_named(place, IMAGE_FOLDERS), folder_named(place, MASK_FOLDERS)
        if images and masks and _pair_objects(images, masks, category, found):
            shown.append(f"{images.name}/ and {masks.name}/")
    return found.layout(f"{shown[0]}, a folder per image, one file per object") if shown else None


def _pair_objects(images: Path, masks: Path, category: str, found: Findings) -> bool:
    """Whether each folder is called after an image, and holds masks; then these are paired."""
    objects = {same_name(path.name): list_images(path) for path in list_folders(masks)}
    files = {same_name(path.stem): path for path in true_images(list_images(images), found)}
    if list_images(masks) or not objects or not objects.keys() <= files.keys() or not all(objects.values()):
        return False
    chosen = choose_objects(objects, category, found)
    found.pairs += [Pair(stem=stem, image=files[stem], mask=ObjectFiles(paths)) for stem, paths in chosen.items()]
    found.problems += [
        f"{path}: there is no folder {masks.name}/{stem}/ of its objects; add it, or take the image out"
        for stem, path in files.items()
        if stem not in objects
    ]
    return True


def _say_rivals(data: Path, images: Path, masks: Path, mask_suffix: str, found: Findings) -> None:
    """Name the folders beside them; it is a problem where one may hold the masks that count as well."""
    others = {path: list_images_below(path) for path in list_folders(data) if path not in (images, masks)}
    surely = masks.name.lower() in BY_HAND
    rivals = {} if surely else find_rivals(others, list_images_below(images), mask_suffix)
    asked = [path for path, says_masks in rivals.items() if says_masks]
    if asked:
        found.problems.append(f"{images}: {ask_for_folder([Path(path.name) for path in (masks, *asked)])}")
    left_out = {path: files for path, files in others.items() if path not in asked}
    shown = [f"{path.name}/ ({len(files)})" if files else f"{path.name}/" for path, files in left_out.items()]
    if shown:
        takes = next((f"; mask_folder={path.name} takes masks from there" for path in rivals if path in left_out), "")
        found.notes.append(f"{', '.join(shown)} left out{takes}")


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


def find_side_by_side(data: Path, mask_suffix: str) -> Layout | None:
    """Image and mask in one folder, told apart by the mask's ending; or in folders one level lower."""
    found, endings, alone = Findings(), set[str](), list[str]()
    known = (mask_suffix,) if mask_suffix else KNOWN_ENDINGS
    for folder in (data, *list_folders(data)):
        files = true_images(list_images(folder), found)
        masks = [
            path for path in files if path.stem.endswith(known) or (not mask_suffix and NUMBERED.fullmatch(path.stem))
        ]
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


def find_equal_stems(data: Path) -> Layout | None:
    """a.jpg and a.png in one folder: a photo, and its mask, which a jpg would blur. None where another folder holds
    files of these names, too, so that the photos may be previews.
    """
    folders = {place: files for place in (data, *list_all_below(data, 3)) if (files := list_images(place))}
    kinds: dict[Path, dict[str, list[Path]]] = {}
    for place, files in folders.items():
        by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(files, key=lambda path: path.suffix.lower() not in JPEG):
            by_stem[same_name(path.stem)].append(path)
        both = [_is_photo_with_mask(files) for files in by_stem.values()]
        if 2 * sum(both) > len(both):
            kinds[place] = by_stem
    known = {stem for by_stem in kinds.values() for stem in by_stem}
    others = {same_name(path.stem) for place, files in folders.items() if place not in kinds for path in files}
    if not kinds or known & others:
        return None
    found = Findings()
    for stem, files in ((stem, files) for by_stem in kinds.values() for stem, files in by_stem.items()):
        if _is_photo_with_mask(files):
            found.pairs += pair_pages(files[0], files[1], [], found)
        else:
            names = shorten([path.name for path in files])
            found.problems.append(
                f"{files[0].parent}/{stem}: others are a jpg and its mask, here is {names}; correct it"
            )
    return found.layout("photos in jpg, each beside its mask of the same name")


def _is_photo_with_mask(files: Sequence[Path]) -> bool:
    """Files of one stem, those in jpg first."""
    return [path.suffix.lower() in JPEG for path in files] == [True, False]


def find_folder_each(data: Path) -> Layout | None:
    """A folder an image, with the mask beside it: image.png and mask.png; img.png and label.png, as labelme exports."""
    found = Findings()
    for place in (data, *list_folders(data)):
        for folder in list_folders(place):
            files = true_images(list_images(folder), found)
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


def folder_named(data: Path, names: Sequence[str]) -> Path | None:
    """The folder, or link to one, of the first of these names, whatever its case."""
    folders = {path.name.lower(): path for path in list_folder(data) if path.is_dir() or path.is_symlink()}
    return next((folders[name] for name in names if name in folders), None)
