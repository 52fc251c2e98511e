"""A folder of images and masks, read and checked; and how one image becomes the network's input.

The same `resize` serves training and serving, because a difference between them would be silent. Pixels are uint8
from end to end; nothing here knows torch, trials or MLflow. Later layouts of folders have their place here.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MASK_ENDINGS = ("", "_mask", "_seg", "_1stHO")  # an image `a` has the mask `a`, `a_mask`, ...
LAYOUT = "a data folder holds images/ and masks/ with files of equal stem, such as images/a.png and masks/a.png"

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Images with their masks, all of one size.

    images (n, h, w, c) uint8, c = 1 (grey) or 3 (RGB); masks (n, h, w) uint8, 0 background and 1 foreground.
    """

    name: str
    path: Path
    stems: tuple[str, ...]
    groups: tuple[str, ...]  # images of one group never lie on two sides of a split; one group an image by default
    images: Pixels
    masks: Pixels

    @property
    def channels(self) -> int:
        return int(self.images.shape[3])

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that name these pixels in this order."""
        digest = hashlib.sha256("\n".join(self.stems).encode())
        digest.update(self.images.tobytes())
        digest.update(self.masks.tobytes())
        return digest.hexdigest()[:16]

    @property
    def foreground_percent(self) -> float:
        return float(100 * self.masks.mean())


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """The (image, mask) files of a folder, ordered by name. Raises ValueError when one of them has no partner."""
    if not folder.is_dir():
        raise ValueError(f"data={folder}: there is no such folder; {LAYOUT}")
    for part in ("images", "masks"):
        if not (folder / part).is_dir():
            raise ValueError(f"data={folder}: it has no folder {part}/; {LAYOUT}")
    masks = _by_stem(folder / "masks")
    images = _by_stem(folder / "images")
    if not images:
        raise ValueError(f"data={folder}: images/ holds no image ({', '.join(SUFFIXES)}); {LAYOUT}")
    pairs = [
        (path, next((masks[stem + end] for end in MASK_ENDINGS if stem + end in masks), None))
        for stem, path in images.items()
    ]
    without = [image.name for image, mask in pairs if mask is None]
    if without:
        raise ValueError(f"data={folder}: {_some(without)} in images/ without a mask of the same stem in masks/")
    found = [(image, mask) for image, mask in pairs if mask is not None]
    unused = {path.name for path in masks.values()} - {mask.name for _, mask in found}
    if unused:
        raise ValueError(
            f"data={folder}: {_some(sorted(unused))} in masks/ without an image of the same stem in images/"
        )
    return found


def load_folder(
    folder: Path,
    image_size: int,
    *,
    group: Callable[[str], str] = str,
    on_image: Callable[[int, int], None] | None = None,
) -> ImageSet:
    """Read a folder of images and masks, resized to image_size x image_size pixels.

    group: names the group of a stem. on_image: told (images read, images in all) after each.
    Raises ValueError, naming the file, for a pair that cannot be trained on.
    """
    pairs = find_pairs(folder)
    images, masks = [], []
    for index, (image_path, mask_path) in enumerate(pairs, start=1):
        image, mask = read_image(image_path), read_mask(mask_path)
        if image.shape[:2] != mask.shape:
            (h, w), (mh, mw) = image.shape[:2], mask.shape
            raise ValueError(f"{image_path}: image is {h}x{w} but its mask is {mh}x{mw}; they must have the same size")
        images.append(resize(image, image_size))
        masks.append(resize_mask(mask, image_size))
        if on_image:
            on_image(index, len(pairs))
    channels = max(image.shape[2] for image in images)
    stems = tuple(image_path.stem for image_path, _ in pairs)
    if not any(mask.any() for mask in masks):
        raise ValueError(f"data={folder}: every mask is empty; at least one needs foreground (any value above 0)")
    return ImageSet(
        name=folder.resolve().name,
        path=folder,
        stems=stems,
        groups=tuple(group(stem) for stem in stems),
        images=np.stack([to_channels(image, channels) for image in images]),
        masks=np.stack(masks),
    )


def read_image(path: Path) -> Pixels:
    """(h, w, c) uint8, c = 1 when every pixel is grey, else 3 (RGB). Raises ValueError for what is no image."""
    return decode_image(path.read_bytes(), str(path))


def decode_image(data: bytes, name: str) -> Pixels:
    """As read_image, from the bytes of a file; name is what an error calls it."""
    pixels = _decode(data, name, cv2.IMREAD_COLOR_RGB)
    grey = np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 1], pixels[..., 2])
    return pixels[..., :1] if grey else pixels


def read_mask(path: Path) -> Pixels:
    """(h, w) uint8 of 0 and 1. A mask has one or two values; the lower of two, or a single 0, is background."""
    pixels = _decode(path.read_bytes(), str(path), cv2.IMREAD_GRAYSCALE)
    values = np.unique(pixels)
    if len(values) > 2 or (len(values) == 2 and values[0] != 0):
        shown = ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")
        raise ValueError(f"{path}: a mask must hold 0 and one other value, but this one holds {shown}; make it binary")
    return (pixels > 0).astype(np.uint8)


def resize(image: Pixels, size: int) -> Pixels:
    """(h, w, c) -> (size, size, c): the whole image, stretched; area-averaged when it shrinks."""
    shrinks = size < max(image.shape[:2])
    resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized.astype(np.uint8).reshape(size, size, image.shape[2])


def resize_mask(mask: Pixels, size: int) -> Pixels:
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)


def to_channels(image: Pixels, channels: int) -> Pixels:
    """Grey to RGB by repetition, RGB to grey by luma, or unchanged."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8)[..., None]


def otsu_mask(image: Pixels, dark: bool) -> Pixels:
    """(h, w, c) -> (h, w) of 0 and 1 by Otsu's threshold on the luma: the floor a trained network must beat."""
    grey = np.ascontiguousarray(to_channels(image, 1)[..., 0])
    kind = cv2.THRESH_BINARY_INV if dark else cv2.THRESH_BINARY
    return cv2.threshold(grey, 0, 1, kind + cv2.THRESH_OTSU)[1].astype(np.uint8)


def _decode(data: bytes, name: str, flags: int) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if pixels is None:
        raise ValueError(f"{name}: this is no image that can be read; give a whole {', '.join(SUFFIXES)} file")
    return pixels.astype(np.uint8)


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            if path.stem in found:
                raise ValueError(f"{path}: {found[path.stem].name} has the same stem; stems must be unique in a folder")
            found[path.stem] = path
    return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
