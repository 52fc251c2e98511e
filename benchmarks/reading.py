"""How long a large folder takes to load: for the first time, again, and beside a plain loop of cv2.imread.

`python -m benchmarks.reading [--data FOLDER] [--count 1000]`. Without a folder, synthetic images are made.
The plain loop reads and resizes every image and mask one after another, and checks nothing.
"""

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import cv2

from training.command.entry import user_path
from training.data.layouts.layouts import find_layout
from training.data.layouts.pairs import MaskFile
from training.data.reading import load_folder
from training.synthetic import write_folder

IMAGE_SIZE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=user_path, help="a folder of images and masks; left out: synthetic ones")
    parser.add_argument("--count", type=int, default=1000, help="synthetic images")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = name
        folder = options.data or Path(name) / "cells"
        if not options.data:
            write_folder(folder, count=options.count, size=IMAGE_SIZE, seed=0)
        plain = _seconds(lambda: _read_plainly(folder))  # first, so that the file cache is warm for all
        first = _seconds(lambda: load_folder(folder, IMAGE_SIZE))
        second = _seconds(lambda: load_folder(folder, IMAGE_SIZE))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {IMAGE_SIZE} pixels")
    print("| what | seconds | plain loop / this |")
    print("| --- | --- | --- |")
    for what, seconds in (("plain cv2.imread loop, no checks", plain), ("first load", first), ("second", second)):
        print(f"| {what} | {seconds:.1f} | {plain / seconds:.1f} |")


def _read_plainly(folder: Path) -> list[tuple[cv2.typing.MatLike, cv2.typing.MatLike]]:
    read = []
    for pair in find_layout(folder).pairs:
        assert isinstance(pair.mask, MaskFile), "the plain loop knows images/ and masks/ only"
        image, mask = cv2.imread(str(pair.image)), cv2.imread(str(pair.mask.path), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert mask is not None
        size = (IMAGE_SIZE, IMAGE_SIZE)
        read.append((cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.resize(mask, size)))
    return read


def _seconds(work: object) -> float:
    assert callable(work)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
