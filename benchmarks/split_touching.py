"""What split=true is worth: true masks with their objects run together, and how many objects are found again.

`python -m benchmarks.split_touching --data FOLDER`: the folder is stage1_train of the Data Science Bowl 2018, whose
images have one file per object (docs/data.md). Printed: F1 of objects at IoU above 0.5, with and without, by kind.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from serving.endpoint.objects import split_touching
from serving.promotion.contours import number_objects, object_f1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    folders = sorted(path for path in parser.parse_args().data.iterdir() if (path / "masks").is_dir())
    scores: dict[str, list[tuple[float, float, int, int, int]]] = {}
    for folder in tqdm(folders, unit="image"):
        truth = read_objects(folder / "masks")
        mask = (truth > 0).astype(np.uint8)
        image = cv2.imread(str(next((folder / "images").iterdir())), cv2.IMREAD_COLOR)
        assert image is not None
        is_grey = np.ptp(image, axis=2).max() == 0
        kind = "stained tissue" if not is_grey else "fluorescence" if image.mean() < 128 else "brightfield"
        together, apart = (number_objects(one) for one in (mask, split_touching(mask)))
        counts = int(truth.max()), int(together.max()), int(apart.max())
        scores.setdefault(kind, []).append((object_f1(together, truth), object_f1(apart, truth), *counts))
    print(
        "| images | n | true objects | connected parts | F1 | after split | F1 |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    for kind, known in scores.items():
        before, after, true, parts, pieces = np.array(known).T
        print(
            f"| {kind} | {len(known)} | {true.sum():.0f} | {parts.sum():.0f} | {before.mean():.3f} "
            f"| {pieces.sum():.0f} | {after.mean():.3f} |"
        )


def read_objects(folder: Path) -> NDArray[np.int32]:
    """(h, w) of 0 and the number of each object; where files overlap, the last."""
    found: NDArray[np.int32] | None = None
    for number, path in enumerate(sorted(folder.glob("*.png")), start=1):
        one = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert one is not None
        found = np.zeros(one.shape, np.int32) if found is None else found
        found[one > 0] = number
    assert found is not None
    return found


if __name__ == "__main__":
    main()
