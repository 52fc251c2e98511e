"""Images and masks that belong together by their names: equal stems, or a stem and an ending such as _mask.

What fits no rule, or more than one, is a problem with the files' names. Nothing but names is read, and how many pages a
stack has.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from training.data.pairs import (
    SUFFIXES,
    Findings,
    Layout,
    MaskFile,
    Pair,
    list_below,
    list_folder,
    list_folders,
    list_images,
    some,
)

IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = ("1st_manual", "masks", "mask", "labels", "label")  # DRIVE's mask/ holds the field of view, no truth
OWN_ENDINGS = (
    *("_mask", "_masks", "_seg", "_segmentation", "_label", "_labels", "_gt", "_manual1", "_1stHO"),
    *("_Mask", "_Segmentation", "_GT", "-mask", "-labels", "-seg"),
)
SECOND_ENDINGS = ("_2ndHO", "_manual2")  # a second observer's, for comparison
KNOWN_ENDINGS = OWN_ENDINGS + SECOND_ENDINGS
# what a mask's ending stands in place of
IMAGE_ENDINGS = ("", "_image", "_img", "_raw", "-volume", "_volume", "_training", "_test")


def find_two_folders(data: Path, mask_suffix: str) -> Layout | None:
    """images/ and masks/, paired by stem; below them, the same folders on both sides."""
    images, masks = _folder_named(data, IMAGE_FOLDERS), _folder_named(data, MASK_FOLDERS)
    if images is None or masks is None:
        return None
    found, endings = Findings(), set[str]()
    below = {path.relative_to(side) for side in (images, masks) for path in list_below(side)}
    for place in (Path(), *sorted(below)):
        left, right = (list_images(side / place) if (side / place).is_dir() else [] for side in (images, masks))
        endings |= pair_by_stem(left, right, mask_suffix, found)
    others = [f"{path.name}/" for path in list_folder(data) if path.is_dir() and path not in (images, masks)]
    if others:
        found.notes.append(f"{', '.join(others)} left out")
    if not found.pairs and not found.problems:
        raise ValueError(
            f"data={data}: {images.name}/ holds no image ({', '.join(SUFFIXES)}), or {masks.name}/ no mask"
        )
    return found.layout(f"{images.name}/ and {masks.name}/, {_name_endings(endings)}")


def find_sides(data: Path, mask_suffix: str) -> Layout | None:
    """images/ and masks/ one level lower, as in train/ and test/: all together, because a split is made here."""
    found = Findings()
    for place in list_folders(data):
        images = _folder_named(place, IMAGE_FOLDERS)
        if images is None or len(list_images(images)) < 2:  # a folder an image is another layout
            continue
        layout = find_two_folders(place, mask_suffix)
        if layout is None:
            found.notes.append(f"{place.name}/ left out: it has images, but no folder of masks")
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
        files = list_images(folder)
        masks = [path for path in files if path.stem.endswith(known)]
        left_out = [path for path in files if path.stem.endswith(KNOWN_ENDINGS)]
        images = [path for path in files if path not in masks and path not in left_out]
        if masks and images:
            endings |= pair_by_stem(images, sorted({*masks, *left_out}), mask_suffix, found)
        else:
            alone += [str(path.relative_to(data)) for path in files]
    if not found.pairs and not found.problems:
        return None
    if alone:
        found.notes.append(f"{len(alone)} files left out: their folder has no pair of image and mask ({some(alone)})")
    return found.layout(f"image and mask side by side, {_name_endings(endings)}")


def pair_by_stem(images: Sequence[Path], masks: Sequence[Path], mask_suffix: str, found: Findings) -> set[str]:
    """Pair by stem. Returns the endings that the masks had; says what does not fit."""
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in masks:
        by_stem[path.stem].append(path)
    endings, used, seen = set[str](), set[Path](), dict[str, Path]()
    for image in images:
        if image.stem in seen:
            found.problems.append(f"{image}: {seen[image.stem].name} has the same stem; stems must be unique")
            continue
        seen[image.stem] = image
        cores = [image.stem.removesuffix(ending) for ending in IMAGE_ENDINGS if image.stem.endswith(ending)]
        fitting = [
            (ending, path)
            for ending in ((mask_suffix,) if mask_suffix else ("", *OWN_ENDINGS))
            for core in cores
            for path in by_stem.get(core + ending, ())
            if path != image
        ]
        if len(fitting) == 1:
            endings.add(fitting[0][0])
            used.add(fitting[0][1])
            found.pairs += _pages(image, fitting[0][1], found)
        elif fitting:
            names = some([path.name for _, path in fitting])
            used |= {path for _, path in fitting}
            found.problems.append(f"{image}: it has several masks ({names}); say which counts, as mask_suffix=_seg")
        else:
            cure = "of the same stem; add it, or say how masks end, as mask_suffix=_seg"
            rule = f"that ends in {mask_suffix} (mask_suffix)" if mask_suffix else cure
            found.problems.append(f"{image}: there is no mask {rule}")
    rest = [path for path in masks if path not in used]
    known = KNOWN_ENDINGS if mask_suffix else SECOND_ENDINGS
    others = [path.name for path in rest if path.stem.endswith(known) or (mask_suffix and path.stem in seen)]
    if others:
        found.notes.append(f"{len(others)} other masks are left out ({some(others)})")
    found.problems += [f"{path}: there is no image of the same stem" for path in rest if path.name not in others]
    return endings


def _pages(image: Path, mask: Path, found: Findings) -> list[Pair]:
    """One pair, or as many as a stack has pages."""
    pages, mask_pages = count_pages(image), count_pages(mask)
    if pages == mask_pages == 1:
        return [Pair(stem=image.stem, image=image, mask=MaskFile(mask))]
    if pages != mask_pages:
        found.problems.append(f"{image}: the stack has {pages} pages, but {mask.name} has {mask_pages}")
        return []
    return [
        Pair(stem=f"{image.stem}_{page:03d}", image=image, mask=MaskFile(mask, page), page=page, group="")
        for page in range(pages)
    ]


def count_pages(path: Path) -> int:
    """Of a TIFF; 1 for every other file, and for one that cannot be opened, of which decoding will tell."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return 1
    try:
        with Image.open(path) as file:
            return int(getattr(file, "n_frames", 1))
    except (OSError, ValueError, SyntaxError):
        return 1


def _folder_named(data: Path, names: Sequence[str]) -> Path | None:
    """The folder, or link to one, of the first of these names, whatever its case."""
    folders = {path.name.lower(): path for path in list_folder(data) if path.is_dir() or path.is_symlink()}
    return next((folders[name] for name in names if name in folders), None)


def _name_endings(endings: set[str]) -> str:
    shown = sorted(endings - {""})
    return f"masks end in {', '.join(shown)}" if shown else "equal stems"
