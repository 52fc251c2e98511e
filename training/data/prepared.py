"""Prepared image sets on disk: read once, framed once, then mapped into the memory of every process that needs them.

An entry is named by the content of what it was made from, so it can be stale in no way. The oldest entries go when all
together exceed MAX_BYTES. Knows arrays and facts; not where they came from.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil

from training.data.images import Pixels

MAX_BYTES = 20 * 2**30
MEMORY_FRACTION = 0.8  # of the free memory that a set may take
IMAGES, MASKS, FACTS = "images.npy", "masks.npy", "facts.json"
OWN_MASKS = "own_masks.npz"  # by index, a PNG each: masks at their images' own size


def cache_folder() -> Path:
    """Where entries lie: in XDG_CACHE_HOME, or ~/.cache. Raises ValueError when it cannot be written."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unet-studies"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder


def find_entry(key: str) -> Path | None:
    """The entry of this name, marked as used now; None when there is none."""
    entry = cache_folder() / key
    if not (entry / FACTS).is_file():
        return None
    os.utime(entry / FACTS)
    return entry


def check_memory(data: Path, shape: tuple[int, int, int, int], num_images: int) -> None:
    """Raises ValueError for a set of this shape (n, h, w, c), of so many images, that the free memory does not hold."""
    num_tiles, height, width, channels = shape
    needed, free = num_tiles * height * width * (channels + 1), psutil.virtual_memory().available
    if needed > MEMORY_FRACTION * free:
        pieces = f"{num_tiles} tiles" if num_tiles > num_images else "images"
        raise ValueError(
            f"data={data}: {num_images} images become {pieces} of {height}x{width} pixels and take "
            f"{needed / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB of memory are free; choose a smaller image_size, "
            "fit=resize, or fewer images"
        )


@contextmanager
def new_entry(key: str, shape: tuple[int, int, int, int]) -> Iterator[tuple[Path, Pixels, Pixels]]:
    """A folder to write into, with empty images (n, h, w, c) and masks (n, h, w) mapped from it.

    It becomes the entry when the block ends well, and vanishes when it does not. Raises ValueError for a full disk.
    """
    cache = cache_folder()
    free, needed = shutil.disk_usage(cache).free, int(np.prod(shape[:3])) * (shape[3] + 1)
    if needed > 0.95 * free:
        raise ValueError(
            f"{cache}: preparing the images takes {needed / 2**30:.1f} GiB of disk, but {free / 2**30:.1f} GiB are "
            "free; set XDG_CACHE_HOME to a larger disk, or choose a smaller image_size"
        )
    try:
        scratch = Path(tempfile.mkdtemp(prefix="unfinished-", dir=cache))
    except OSError as error:
        raise _unwritable(cache, error) from None
    try:
        images = np.lib.format.open_memmap(scratch / IMAGES, "w+", np.uint8, shape)
        masks = np.lib.format.open_memmap(scratch / MASKS, "w+", np.uint8, shape[:3])
        yield scratch, images, masks
        if not (cache / key).exists():  # another process may have been faster
            scratch.rename(cache / key)
        _drop_oldest(cache, keep=key)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def map_arrays(entry: Path) -> tuple[Pixels, Pixels]:
    """Images and masks, shared with every other process that maps them; a write stays in this process."""
    return np.load(entry / IMAGES, mmap_mode="c"), np.load(entry / MASKS, mmap_mode="c")


def write_own_masks(folder: Path, encoded: Sequence[Pixels]) -> None:
    np.savez(folder / OWN_MASKS, **{str(index): png for index, png in enumerate(encoded)})  # type: ignore[arg-type]


def read_own_masks(entry: Path) -> Mapping[str, Pixels]:
    """Each is read when it is asked for."""
    return cast("Mapping[str, Pixels]", np.load(entry / OWN_MASKS))


def write_facts(folder: Path, facts: Any) -> None:
    (folder / FACTS).write_text(json.dumps(facts))


def read_facts(entry: Path) -> Any:
    return json.loads((entry / FACTS).read_text())


def _drop_oldest(cache: Path, keep: str) -> None:
    entries = sorted(cache.glob(f"*/{FACTS}"), key=lambda path: path.stat().st_mtime)
    sizes = {path.parent: sum(file.stat().st_size for file in path.parent.iterdir()) for path in entries}
    total = sum(sizes.values())
    for folder, size in sizes.items():
        if total <= MAX_BYTES:
            return
        if folder.name != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size


def _unwritable(folder: Path, error: OSError) -> ValueError:
    return ValueError(f"{folder}: prepared images cannot be kept there ({error.strerror}); set XDG_CACHE_HOME")
