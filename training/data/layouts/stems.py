"""Images and masks that belong together by their names: equal stems, or a stem and an ending such as _mask.

What fits no rule, or more than one, is a problem with the files' names. Nothing but names is read, and how many pages a
stack has.
"""

import re
from collections import defaultdict
from collections.abc import Container, Sequence
from pathlib import Path

from training.data.images import read_header
from training.data.layouts.listing import list_folder, same_name
from training.data.layouts.pairs import Findings, MaskFile, ObjectFiles, Pair, is_unread
from training.study.words import shorten

WORDS = (
    *("mask", "masks", "seg", "segmentation", "label", "labels", "gt", "groundtruth", "ground_truth", "annotation"),
    *("truth", "anno", "labelled", "labeled"),
)
OWN_ENDINGS = (
    *(mark + word for mark in "_-. " for low in WORDS for word in (low, low.capitalize(), low.upper())),
    *("_GroundTruth", "_manual1", "_1stHO", "_cp_masks", "_Simple Segmentation"),  # Cellpose's, ilastik's
)
SECOND_ENDINGS = ("_2ndHO", "_manual2")  # a second observer's, for comparison
KNOWN_ENDINGS = OWN_ENDINGS + SECOND_ENDINGS
# what a mask's ending stands in place of
IMAGE_ENDINGS = (
    *("_image", "_img", "_raw", "-volume", "_volume", "_training", "_test", "_sat", ".ome", "_0000", "_original"),
    *("_input", "-input", "_rgb", "_RGB", "_leftImg8bit"),
)
NO_IMAGES = ("_superpixels", "_viz")  # ISIC's beside the images, labelme's beside the mask
MASK_PREFIX = re.compile(r"(?:masks?|gt|seg|segmentation|labels?|annotation|truth|groundtruth)[ _.-]?", re.IGNORECASE)
IMAGE_PREFIX = re.compile(r"(?:images?|imgs?|pic|picture|photo|frame|input|raw)[ _.-]?", re.IGNORECASE)
NUMBERED = re.compile(r"(.+)([_. -]mask)[_-]?(\d+)", re.IGNORECASE)  # BUSI's a_mask_1, beside a_mask
OBJECT = re.compile(
    r"(.+?)(?:[_. -]mask[_-]?|[_. -])(\d+)", re.IGNORECASE
)  # a_mask_1 and a_1, without a_mask or a beside
OBJECTS = "_1, _2, ..."  # for people
CHANNELS_CURE = (
    "give a mask for each page; or, where pages are channels, save them as such (ImageJ: as a composite; tifffile: "
    "axes CYX, or YXC), and channels=0 takes the first"
)


def true_images(files: Sequence[Path], found: Findings) -> list[Path]:
    """Without files that are neither image nor mask, which are named."""
    others = [path.name for path in files if path.stem.endswith(NO_IMAGES)]
    if others:
        found.notes.append(f"{len(others)} files are neither images nor masks and left out ({shorten(others)})")
    return [path for path in files if not path.stem.endswith(NO_IMAGES)]


def mask_prefix(stem: str) -> str:
    """What a mask's name begins with, such as mask_; empty without."""
    match = MASK_PREFIX.match(stem)
    return match[0] if match and match.end() < len(stem) else ""


def mask_endings(stem: str, mask_suffix: str = "") -> list[str]:
    """What a mask's name may end in beyond its image's: nothing, or each known ending that it has."""
    if mask_suffix:
        return [mask_suffix] if stem.endswith(mask_suffix) else []
    known = OWN_ENDINGS if stem.endswith(OWN_ENDINGS) else ()
    return ["", *(ending for ending in known if stem.endswith(ending))]


def image_cores(image: Path) -> tuple[set[str], set[str]]:
    """What a mask of this image may be called, before its own ending: the image's name, or less than that."""
    stem = same_name(image.stem)
    shorter = {stem.removesuffix(ending) for ending in IMAGE_ENDINGS if stem.endswith(ending)}
    return {stem, same_name(image.name), stem + image.suffix.lower()}, shorter


def image_names(images: Sequence[Path]) -> set[str]:
    """Of all of these."""
    return {core for image in images for cores in image_cores(image) for core in cores}


def pair_by_stem(images: Sequence[Path], masks: Sequence[Path], mask_suffix: str, found: Findings) -> set[str]:
    """Pair by stem. Returns the endings that the masks had; says what does not fit."""
    objects = {} if mask_suffix else object_masks(images, masks)
    further = further_masks(images, masks) | objects
    masks = sorted({*masks}.difference(*further.values()))
    by_core: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    by_bare: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for path in masks:
        stem = same_name(path.stem)
        if path in objects and (match := OBJECT.fullmatch(stem)):
            by_core[match[1]].append((OBJECTS, path))
            continue
        for ending in mask_endings(stem, mask_suffix):
            by_core[stem.removesuffix(ending)].append((ending, path))
        if not mask_suffix and (prefix := mask_prefix(stem)):
            by_bare[stem.removeprefix(prefix)].append((f"{prefix}*", path))
    unread = _find_unread([*images, *masks])
    endings, used, seen, lacking = set[str](), dict[Path, Path](), dict[str, Path](), list[Path]()
    for image in images:
        stem = same_name(image.stem)
        if stem in seen:
            found.problems.append(f"{image}: {seen[stem].name} has the same stem; stems must be unique")
            continue
        seen[stem] = image
        fitting = _fit(image, by_core, by_bare)
        if len(fitting) == 1:
            ending, mask = fitting[0]
            if mask in used:
                found.problems.append(f"{image}: its mask {mask.name} fits {used[mask].name} too; rename one of them")
                continue
            endings.add(ending)
            used[mask] = image
            found.pairs += pair_pages(image, mask, [] if mask_suffix else further.get(mask, []), found)
        elif fitting:
            names = shorten([path.name for _, path in fitting])
            used |= {path: image for _, path in fitting}
            found.problems.append(f"{image}: it has several masks ({names}); say which counts, as mask_suffix=_seg")
        else:
            lacking.append(image)
    rest = [path for path in masks if path not in used]
    for image in lacking:
        stem = same_name(image.stem)
        ending = next((ending for path in masks if (ending := _further_ending(stem, path))), "_seg")
        hint = f"say how masks end, as mask_suffix={ending}" if rest else "take the image out"
        rule = f"that ends in {mask_suffix} (mask_suffix)" if mask_suffix else f"of the same stem; add it, or {hint}"
        found.problems.append(f"{image}: there is no mask {rule}{unread.get(stem, '')}")
    noted = further if mask_suffix else used
    _note_further([path for mask in noted if mask not in objects for path in further.get(mask, [])], mask_suffix, found)
    if objects:
        shown = shorten([path.name for mask, rest in objects.items() for path in (mask, *rest)])
        found.notes.append(f"numbered masks are one file per object of an image, and their union counts ({shown})")
    known = KNOWN_ENDINGS if mask_suffix else SECOND_ENDINGS
    cores = image_names(images)
    others = [
        path.name
        for path in rest
        if path.stem.endswith(known)
        or (mask_suffix and _is_of_another_ending(same_name(path.stem), mask_suffix, cores))
    ]
    if others:
        found.notes.append(f"{len(others)} other masks are left out ({shorten(others)})")
    found.problems += [
        f"{path}: there is no image of the same stem{unread.get(same_name(path.stem), '')}"
        for path in rest
        if path.name not in others
    ]
    return endings


def _further_ending(image: str, mask: Path) -> str:
    """What a mask's name adds to an image's: words, since numbers may be those of objects, or of another image (a1 is
    not that of a10_mask).
    """
    stem = same_name(mask.stem)
    ending = stem.removeprefix(image)
    return "" if ending == stem or ending[:1].isalnum() or not re.search("[^\\W\\d_]", ending) else ending


def _is_of_another_ending(stem: str, mask_suffix: str, images: Container[str]) -> bool:
    """Whether it is some image's by its beginning, and does not end as the masks that count do."""
    return not stem.endswith(mask_suffix) and any(stem[:end] in images for end in range(len(stem), 0, -1))


def further_masks(images: Sequence[Path], masks: Sequence[Path]) -> dict[Path, list[Path]]:
    """a_mask.png -> a_mask_1.png, ...: more masks of one image, unless an image has such a name or number too."""
    stems = {same_name(path.stem) for path in images}
    first = {(path.parent, same_name(path.stem)): path for path in masks}
    further: dict[Path, list[Path]] = defaultdict(list)
    for path in masks:
        match = NUMBERED.fullmatch(same_name(path.stem))
        mask = first.get((path.parent, match[1] + match[2])) if match else None
        if match and mask and not {match[0], f"{match[1]}_{match[3]}", f"{match[1]}{match[3]}"} & stems:
            further[mask].append(path)
    return further


def object_masks(images: Sequence[Path], masks: Sequence[Path]) -> dict[Path, list[Path]]:
    """a_1.png -> a_2.png, ...: one file per object of an image a, where no mask is called a or a_mask, and no image so;
    empty where each image has as many.
    """
    stems, others = {same_name(path.stem) for path in images}, {same_name(path.stem) for path in masks}
    objects: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in masks:
        match = OBJECT.fullmatch(same_name(path.stem))
        core = match[1] if match else ""
        taken = {core, *(core + ending for ending in OWN_ENDINGS)} & others
        if match and core in stems and not taken and not {match[0], f"{core}_{match[2]}", core + match[2]} & stems:
            objects[path.parent, core].append(path)
    counts = {len(paths) for paths in objects.values()}
    alike = counts <= {1} or (len(counts) == 1 < len(objects))  # as many for each image: readers, perhaps, or classes
    return {} if alike else {first: rest for first, *rest in objects.values()}


def _note_further(paths: Sequence[Path], mask_suffix: str, found: Findings) -> None:
    names = shorten([path.name for path in paths])
    if paths and mask_suffix:
        found.notes.append(f"further masks of an image are left out, as mask_suffix={mask_suffix} says ({names})")
    elif paths:
        found.notes.append(
            f"where an image has several numbered masks, their union counts ({names}); mask_suffix=_mask takes the "
            "first alone"
        )


def _fit(
    image: Path, by_core: dict[str, list[tuple[str, Path]]], by_bare: dict[str, list[tuple[str, Path]]]
) -> list[tuple[str, Path]]:
    """Masks of an image, each with what its name adds: an ending first, a beginning where there is none."""
    whole, shorter = image_cores(image)
    start = IMAGE_PREFIX.match(same_name(image.stem))
    bare = {same_name(image.stem)[start.end() :]} - {""} if start else set()
    for cores, masks in ((whole, by_core), (shorter, by_core), (whole | shorter | bare, by_bare), (bare, by_core)):
        fits = dict.fromkeys(fit for core in sorted(cores) for fit in masks.get(core, ()) if fit[1] != image)
        if fits:
            return list(fits)
    return []


def _find_unread(paths: Sequence[Path]) -> dict[str, str]:
    """stem -> what to say of a file of this stem that is left out for its suffix."""
    folders = sorted({path.parent for path in paths})
    files = [path for folder in folders for path in list_folder(folder) if is_unread(path)]
    return {same_name(path.stem): f"; {path.name} has a suffix that is not read, save it as png" for path in files}


def pair_pages(image: Path, mask: Path, further: Sequence[Path], found: Findings) -> list[Pair]:
    """One pair, or as many as a stack has pages. further: more masks of the image, to be joined."""
    stem = same_name(image.stem)
    pages, mask_pages = count_pages(image), count_pages(mask)
    if pages == mask_pages == 1:
        source = ObjectFiles((mask, *further)) if further else MaskFile(mask)
        return [Pair(stem=stem, image=image, mask=source)]
    if further:
        found.problems.append(f"{image}: a stack has one mask, but there is {further[0].name} too; keep one of them")
        return []
    if pages != mask_pages:
        cure = CHANNELS_CURE if mask_pages == 1 else "they must have as many"
        found.problems.append(f"{image}: the stack has {pages} pages, but {mask.name} has {mask_pages}; {cure}")
        return []
    return [Pair(stem=f"{stem}_{page:03d}", image=image, mask=MaskFile(mask, page), page=page) for page in range(pages)]


def count_pages(path: Path) -> int:
    """Of a TIFF, where channels stored as pages do not count; 1 for every other file, and for one that cannot be read,
    of which decoding will tell."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return 1
    try:
        return read_header(path.read_bytes(), str(path)).pages
    except (OSError, ValueError):
        return 1


def name_endings(endings: set[str]) -> str:
    """For people."""
    ends = [ending for ending in sorted(endings) if ending and not ending.endswith("*")]
    starts = [ending.removesuffix("*") for ending in sorted(endings) if ending.endswith("*") and ending != "*"]
    said = [f"masks {verb} {', '.join(names)}" for verb, names in (("end in", ends), ("begin with", starts)) if names]
    return " or ".join(said) or "equal stems"
