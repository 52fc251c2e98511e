"""Made-up fluorescence images of cells with their exact masks, so that all of this runs before real data is at hand.

They are drawn so that no threshold finds the cells: light is uneven, some cells are dim, and much that is not a cell
(specks, debris, streaks, blobs out of focus) is brighter. What tells a cell is local: a rim, grains, a dark nucleus.
Lengths are shares of the image's side. Nothing here knows networks, trials or how a data folder is read.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.command.entry import Parser, run_command, user_path, whole_number

SIZES = (32, 1024)  # pixels
MODULE = "training.synthetic"
MAX_COUNT = 1000  # file names hold three digits, so that their order is the images' order

CELL_RADIUS = (0.060, 0.095)  # 8 to 12 pixels of 128
FOREGROUND = (0.06, 0.125)  # cells are added until they cover a share drawn from here
DIM_SHARE = 0.3  # of the cells
TOUCHING_SHARE = 0.5

README = """Synthetic images, drawn by a program, not taken under a microscope. Cells are white in masks/. Made with:
python -m training.synthetic --out FOLDER --count {count} --size {size} --seed {seed}
"""

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]
Cell = tuple[float, float, float]  # x, y and mean radius, in shares of the side


def make_image(rng: np.random.Generator, size: int) -> tuple[Pixels, Pixels]:
    """One grey image and its mask of 0 and 255, both (size, size) uint8."""
    _within("size", size, *SIZES)
    cells, mask = _draw_cells(rng, size)
    sharp = cells + _draw_specks(rng, size, mask) + _draw_streaks(rng, size)
    sharp = _blur(sharp, rng.uniform(0.003, 0.006) * size)  # the lens
    haze = _draw_blobs(rng, size) + 0.12 * _clouds(rng, size, 0.12)
    light = _draw_light(rng, size)
    stray = 0.22 * (light - 0.5)  # as strong from corner to corner as a dim cell: no threshold suits the whole image
    photons = np.clip(light * (0.16 + 0.75 * sharp + 0.5 * haze) + stray, 0, None)
    noise = rng.standard_normal((size, size), np.float32) * (0.015 + 0.05 * np.sqrt(photons))
    return np.clip(255 * (0.06 + 0.8 * photons + noise), 0, 255).astype(np.uint8), mask


def write_folder(out: Path, count: int, size: int, seed: int) -> None:
    """Write out/images, out/masks and out/README.txt. Image k is the same whatever the count.

    Raises ValueError for a number out of range and for a folder that already holds something.
    """
    _within("count", count, 1, MAX_COUNT)
    _within("size", size, *SIZES)
    _within("seed", seed, 0, 2**32 - 1)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ValueError(f"out={out} exists and is not an empty folder; choose a new or empty one, or delete this one")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as scratch:  # stopped half way, it leaves no half of a data set
        Path(scratch, "images").mkdir()
        Path(scratch, "masks").mkdir()
        for index in range(count):
            image, mask = make_image(np.random.default_rng([seed, index]), size)
            for part, pixels in (("images", image), ("masks", mask)):
                Path(scratch, part, f"cell_{index:03d}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        Path(scratch, "README.txt").write_text(README.format(count=count, size=size, seed=seed))
        for name in ("README.txt", "masks", "images"):
            Path(scratch, name).rename(out / name)


def _draw_cells(rng: np.random.Generator, size: int) -> tuple[Plane, Pixels]:
    glow, mask = np.zeros((size, size), np.float32), np.zeros((size, size), np.uint8)
    grains = 1 + 0.35 * _clouds(rng, size, 0.012)
    cells: list[Cell] = []
    fraction = rng.uniform(*FOREGROUND)
    while mask.mean() < 255 * fraction:
        cells.append(_place(rng, cells))
        depth = _depth(rng, size, *cells[-1])
        inside = depth > 0
        mask[inside] = 255
        rim = np.exp(-(((depth - 0.14) / 0.12) ** 2))
        nucleus = np.exp(-(np.clip((1 - depth) / rng.uniform(0.4, 0.5), 0, None) ** 4))
        brightness = rng.uniform(0.35, 0.5) if rng.random() < DIM_SHARE else rng.uniform(0.6, 1.0)
        body = brightness * (0.7 * grains + 0.5 * rim - 0.5 * nucleus)
        glow = np.where(inside, np.maximum(glow * 0.3, body), glow)
    return glow, mask


def _place(rng: np.random.Generator, cells: list[Cell]) -> Cell:
    """Where the next cell goes: against an earlier one or anywhere, but on top of none (as well as 50 draws allow)."""
    radius = rng.uniform(*CELL_RADIUS)
    for _ in range(50):
        x, y = rng.uniform(0, 1, 2)
        if cells and rng.random() < TOUCHING_SHARE:
            x0, y0, radius0 = cells[rng.integers(len(cells))]
            angle, apart = rng.uniform(0, 2 * math.pi), radius + radius0
            x, y = x0 + apart * math.cos(angle), y0 + apart * math.sin(angle)
        far = all(math.hypot(x - x0, y - y0) > 0.95 * (radius + radius0) for x0, y0, radius0 in cells)
        if far and 0 < x < 1 and 0 < y < 1:
            break
    return x, y, radius


def _depth(rng: np.random.Generator, size: int, x: float, y: float, radius: float) -> Plane:
    """1 at the middle of a wobbly ellipse, 0 on its outline, negative outside."""
    side = ((np.arange(size) + 0.5) / size).astype(np.float32)
    dx, dy = side[None, :] - np.float32(x), side[:, None] - np.float32(y)
    turn, stretch = rng.uniform(0, math.pi), rng.uniform(1.0, 1.25)
    u = (dx * math.cos(turn) + dy * math.sin(turn)) / stretch
    v = (dy * math.cos(turn) - dx * math.sin(turn)) * stretch
    angle = np.arctan2(v, u)
    outline = np.full_like(angle, radius)
    for waves in (2, 3, 4):
        outline += radius * rng.uniform(0, 0.07) * np.cos(waves * angle + rng.uniform(0, 2 * math.pi))
    return np.asarray(1 - np.hypot(u, v) / outline, np.float32)


def _draw_blobs(rng: np.random.Generator, size: int) -> Plane:
    """Cells far out of focus: as large and as bright as cells, but without an edge."""
    haze = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(2, 6)):
        depth = _depth(rng, size, rng.random(), rng.random(), rng.uniform(0.08, 0.16))
        haze += rng.uniform(0.35, 0.9) * np.exp(-2.2 * (1 - depth) ** 2)
    return haze


def _draw_specks(rng: np.random.Generator, size: int, mask: Pixels) -> Plane:
    """Bright points anywhere, and larger smooth crumbs of debris, which keep off the cells."""
    glow = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(8, 20)):
        center = [round(position * size * 16) for position in rng.uniform(0, 1, 2)]
        radius, brightness = rng.uniform(0.006, 0.012), rng.uniform(0.6, 1.3)
        cv2.circle(glow, center, max(8, round(radius * size * 16)), brightness, cv2.FILLED, cv2.LINE_8, 4)
    glow = _blur(glow, 0.005 * size)
    for _ in range(rng.integers(3, 8)):
        depth = _depth(rng, size, rng.random(), rng.random(), rng.uniform(0.02, 0.035))
        if not mask[depth > -0.5].any():
            glow += rng.uniform(0.6, 1.2) * np.clip(3 * depth, 0, 1)
    return glow


def _draw_streaks(rng: np.random.Generator, size: int) -> Plane:
    """Fibres: thin bright arcs."""
    canvas = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(1, 4)):
        start, bend = rng.uniform(0, 1, 2), rng.uniform(-3, 3)
        length, heading = rng.uniform(0.3, 0.9), rng.uniform(0, 2 * math.pi)
        turns = heading + bend * np.linspace(0, length, 32)
        points = start + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], axis=1) * length / 32, axis=0)
        line = np.zeros((size, size), np.uint8)
        thickness = max(1, round(rng.uniform(0.006, 0.014) * size))
        cv2.polylines(line, [np.round(points * size * 16).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, 4)
        canvas += rng.uniform(0.4, 0.9) / 255 * line
    return canvas


def _draw_light(rng: np.random.Generator, size: int) -> Plane:
    """Illumination of mean 0.8: strongest where the lamp points, often off the middle, and a third of that far away."""
    side = np.linspace(0, 1, size, dtype=np.float32)
    x, y = rng.uniform(-0.1, 1.1, 2)
    squared_distance = (side[None, :] - x) ** 2 + (side[:, None] - y) ** 2
    light = 0.4 + 0.9 * np.exp(-1.6 * squared_distance)
    return np.asarray(0.8 * light / light.mean(), np.float32)  # the camera sets its exposure


def _clouds(rng: np.random.Generator, size: int, scale: float) -> Plane:
    """Smooth noise of mean 0 and standard deviation 1; scale is the blur, a share of the side."""
    noise = _blur(rng.standard_normal((size, size), np.float32), scale * size)
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


def _blur(plane: Plane, pixels: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), pixels, borderType=cv2.BORDER_REFLECT), np.float32)


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}={value} is out of range; choose a whole number between {low} and {high}")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the folder is written, 2 for a value that cannot be used."""
    return run_command(MODULE, synthesize, arguments)


def synthesize(arguments: Sequence[str]) -> int:
    """0; raises ValueError for what cannot be used."""
    options = parse(arguments)
    try:
        write_folder(**vars(options))
    except OSError as error:
        raise ValueError(f"out={options.out} cannot be written ({error}); choose a folder you may write to") from None
    side = f"{options.size}x{options.size} pixels"
    print(f"{options.out}: wrote {options.count} synthetic images of {side} and their masks, seed {options.seed}")
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(MODULE, (__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=user_path, required=True, help="a new or an empty folder")
    parser.add_argument("--count", type=whole_number, default=96, help=f"images, at most {MAX_COUNT} (default: 96)")
    parser.add_argument("--size", type=whole_number, default=128, help="pixels, the side of an image (default: 128)")
    parser.add_argument("--seed", type=whole_number, default=0, help="the same seed draws the same images (default: 0)")
    return parser.parse(arguments)


if __name__ == "__main__":
    sys.exit(main())
