"""An image of 100 megapixels through the promoted model: seconds, and the most memory that the process held.

`python -m benchmarks.large_image --model FOLDER [--side 10000] [--fit tile,resize] [--outputs mask,...]`. FOLDER is a
model in the BentoML store, such as mlruns/bentoml/models/unet/TAG. Each line is a process of its own: its peak is the
operating system's. With fit=tile the model is asked as if it had been trained so, in tiles of 256.
"""

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from serving.endpoint.answers import Request, ServerTiming, Serving, card_of
from serving.endpoint.fields import JobOutput, Options
from serving.inference.network import FACTS
from serving.inference.segmenter import Segmenter
from training.command.entry import user_path
from training.data.framing import Frame

TILE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=user_path, required=True)
    parser.add_argument("--side", type=int, default=10_000, help="pixels")
    parser.add_argument("--fit", default="resize,tile")
    parser.add_argument("--outputs", default="mask,overlay,probability,geojson")
    parser.add_argument("--one", action="store_true", help="this process is one line of the table")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(dataclasses.asdict(run(options.model, options.side, options.fit, options.outputs))))
        return
    print(f"{options.side} x {options.side} pixels, RGB, {os.cpu_count()} cores\n")
    print("| fit | output | seconds | peak memory, GiB | of it before the image | answer, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for fit in options.fit.split(","):
        for output in options.outputs.split(","):
            size = ["--side", str(options.side)]
            arguments = ["--one", "--model", options.model, *size, "--fit", fit, "--outputs", output]
            found = subprocess.run(
                [sys.executable, "-m", "benchmarks.large_image", *arguments], check=True, capture_output=True, text=True
            )
            one = Usage(**json.loads(found.stdout.splitlines()[-1]))
            numbers = f"{one.seconds:.1f} | {one.peak:.2f} | {one.before:.2f} | {one.megabytes:.1f}"
            print(f"| {fit} | {output} | {numbers} |", flush=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    seconds: float
    peak: float  # GiB
    before: float
    megabytes: float  # of the answer


def run(folder: Path, side: int, fit: str, output: JobOutput) -> Usage:
    segmenter = load(folder, fit)
    segmenter.warm_up()
    file = make_file(side)
    before = peak()
    request = Request(Serving(segmenter, card_of(folder, segmenter)), output, Options(min_size=200))
    begin = time.perf_counter()
    content = request.answer(file, "image", "benchmark", ServerTiming()).content
    return Usage(seconds=time.perf_counter() - begin, peak=peak(), before=before, megabytes=len(content) / 1e6)


def load(folder: Path, fit: str) -> Segmenter:
    """The model as it is, or as if it had been trained on tiles."""
    if fit != "tile":
        return Segmenter(folder)
    with tempfile.TemporaryDirectory() as name:
        copied = shutil.copytree(folder, Path(name) / "model")
        facts = json.loads((copied / FACTS).read_text())
        frame = Frame(fit="tile", image_size=TILE, height=TILE, width=TILE)
        (copied / FACTS).write_text(json.dumps(facts | {"frame": dataclasses.asdict(frame)}))
        return Segmenter(copied)


def make_file(side: int) -> bytes:
    """A JPEG of discs on a noisy ground; made in another process, so that making it is no part of the peak."""
    code = f"import sys; from benchmarks.large_image import draw; sys.stdout.buffer.write(draw({side}))"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout


def draw(side: int) -> bytes:
    rng = np.random.default_rng(0)
    piece = rng.normal(60, 12, (500, 500, 3)).clip(0, 255).astype(np.uint8)
    for _ in range(60):
        cv2.circle(piece, rng.integers(0, 500, 2).tolist(), int(rng.integers(8, 20)), (190, 150, 170), -1)
    repeats = -(-side // 500)
    return cv2.imencode(".jpg", np.tile(piece, (repeats, repeats, 1))[:side, :side])[1].tobytes()


def peak() -> float:
    """GiB. As Linux counts it for this program alone; getrusage would count the one that started it, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


if __name__ == "__main__":
    main()
