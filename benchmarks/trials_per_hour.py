"""Trials per hour: our engine beside PyTorch Lightning and a plain eager loop, on the same images, in one run.

`python -m benchmarks.trials_per_hour [--size 128] [--channels 1] [--epochs 3] [--seeds 6] [--systems ours,plain]`

One trial (switching loss, Adam, lr 0.001, batch 8) over several seeds. Each system is a process of its own, timed from
its start to its end. Ours is the real thing: worker processes that write real MLflow runs. The peers
(benchmarks/peers.py) train one trial after another with torch's default threads; only Lightning logs something.
"""

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import psutil
import torch
from scipy import stats

from training.command.entry import user_path
from training.command.machine import Machine, find_device, find_precision, find_workers
from training.data.image_set import ImageSet
from training.data.layouts.layouts import find_layout
from training.data.layouts.pairs import MaskFile
from training.data.reading import load_folder
from training.data.split import Split, make_split
from training.study.trial import Trial
from training.synthetic import write_folder

ROOT = Path(__file__).parents[1]
SYSTEMS = ("ours", "lightning", "plain")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one system did."""

    system: str
    seconds: float  # from the start of its process to its end
    dices: list[float]  # of each trial, best validation
    peak_bytes: int  # resident, of all its processes together

    @property
    def trials_per_hour(self) -> float:
        return 3600 * len(self.dices) / self.seconds


def main() -> None:
    options = _parse()
    if options.system:
        _train_ours(Path(options.system))
        return
    systems = find_systems(options.systems)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        data = options.data or scratch / "cells"
        if not options.data:
            write_folder(data, count=options.count, size=options.size, seed=0)
            if options.channels == 3:
                _stain(data / "images")
        images = load_folder(data, options.size)
        if images.frame.height != images.frame.width:
            raise SystemExit(
                f"data={data}: the images must be square, because the peers would stretch them and we do not"
            )
        split = make_split(images.groups, images.foreground, "fixed", 80)
        workload = _write_workload(options, data, images, split, scratch)
        measured = [_measure(system, workload, scratch / system) for system in systems]
    print(*describe(measured, images, split, options), sep="\n")


def find_systems(text: str) -> list[str]:
    """Those asked for that can run here; what is left out is said. Exits for an unknown one."""
    systems = text.split(",")
    if unknown := [system for system in systems if system not in SYSTEMS]:
        raise SystemExit(f"error: systems={text}: {', '.join(unknown)} is unknown; they are {','.join(SYSTEMS)}")
    if "lightning" in systems and not find_spec("lightning"):
        systems.remove("lightning")
        print("left out: lightning is not installed here (pip install -r requirements-benchmark.txt)", file=sys.stderr)
    return systems


def describe(measured: list[Measured], images: ImageSet, split: Split, options: argparse.Namespace) -> list[str]:
    """The table, the comparison of the scores, and where it was measured, in Markdown."""
    peers = [other.system for other in measured if other.system != "ours"]
    by_system = {one.system: one for one in measured}
    lines = [
        f"{options.epochs} epochs of {len(split.train)} images of {images.channels}x{options.size}x{options.size}, "
        f"{options.seeds} trials; {machine()}",
        "",
        "| system | trials per hour | " + "".join(f"ratio to {peer} | " for peer in peers) + "peak memory | val Dice |",
        "| --- | --- | " + "--- | " * len(peers) + "--- | --- |",
    ]
    for one in measured:
        ratios = "".join(f"{one.trials_per_hour / by_system[peer].trials_per_hour:.2f} | " for peer in peers)
        spread = f" ± {np.std(one.dices, ddof=1):.3f}" if len(one.dices) > 1 else ""
        dice = f"{np.mean(one.dices):.3f}{spread} (n={len(one.dices)})"
        lines.append(
            f"| {one.system} | {one.trials_per_hour:.0f} | {ratios}{one.peak_bytes / 2**30:.1f} GiB | {dice} |"
        )
    if "ours" in by_system and options.seeds > 1:
        lines += [""] + [compare(by_system["ours"], by_system[peer]) for peer in peers]
    return lines


def compare(ours: Measured, peer: Measured) -> str:
    """Welch's interval of the difference of the mean scores, in words."""
    interval = stats.ttest_ind(ours.dices, peer.dices, equal_var=False).confidence_interval(0.95)
    difference = np.mean(ours.dices) - np.mean(peer.dices)
    verdict = "within seed noise" if interval.low <= 0 <= interval.high else "more than seed noise"
    bounds = f"95 % {interval.low:+.3f} to {interval.high:+.3f}"
    return f"val Dice, ours less {peer.system}: {difference:+.3f} ({bounds}): {verdict}"


def machine() -> str:
    """Where this was measured."""
    device = find_device("auto")
    command = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{os.cpu_count()} CPU cores"
    versions = f"torch {torch.__version__}, Python {platform.python_version()}, commit {commit}"
    return f"{where}, ours in {find_precision('auto', device)}, {versions}"


def _stain(folder: Path) -> None:
    """Grey images become colour ones, in place."""
    for path in folder.iterdir():
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert grey is not None
        cv2.imwrite(str(path), cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO))


def _write_workload(options: argparse.Namespace, data: Path, images: ImageSet, split: Split, scratch: Path) -> Path:
    files = {}
    for pair in find_layout(data).pairs:
        assert isinstance(pair.mask, MaskFile), "the peers know images/ and masks/ only"
        files[pair.stem] = str(pair.image.resolve()), str(pair.mask.path.resolve())
    base = Trial(loss="switching", optimizer="adam", lr=1e-3, epochs=options.epochs, image_size=options.size)
    trials = [dataclasses.asdict(base.replace(seed=seed)) for seed in range(options.seeds)]
    workload = {"trials": trials, "size": options.size, "channels": images.channels}
    for part, indices in (("train", split.train), ("val", split.val)):
        workload[part] = [files[images.stems[index]] for index in indices]
    path = scratch / "workload.json"
    path.write_text(json.dumps(workload))
    (scratch / "data.txt").write_text(str(data.resolve()))
    return path


def _measure(system: str, workload: Path, folder: Path) -> Measured:
    """Run one system in a process of its own, in an empty folder; its memory is looked at twice a second."""
    folder.mkdir()
    module = ["benchmarks.trials_per_hour", "--system"] if system == "ours" else ["benchmarks.peers", system]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment = {**inherited, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    print(f"{system} ...", file=sys.stderr, flush=True)
    start, peak = time.perf_counter(), 0
    with (folder / "out.txt").open("w+") as out, (folder / "errors.txt").open("w+") as errors:
        command = [sys.executable, "-m", *module, str(workload)]
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=out, stderr=errors)
        while process.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(0.5)
        seconds = time.perf_counter() - start
        out.seek(0), errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{system} failed:\n{errors.read()[-3000:]}")
        dices = [json.loads(line)["dice"] for line in out.read().splitlines() if line.startswith("{")]
    return Measured(system=system, seconds=seconds, dices=dices, peak_bytes=peak)


def _resident(process: psutil.Process) -> int:
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            info = one.memory_full_info()
            total += getattr(info, "pss", info.rss)  # Linux knows by how many processes a page is shared
        except psutil.Error:
            continue
    return total


def _train_ours(workload_path: Path) -> None:
    """As a study does: workers with the images on their device, a run in MLflow for each trial."""
    from benchmarks.peers import Workload
    from training.execution.jobs import Job
    from training.execution.pool import Pool
    from training.tracking.runs import begin_run, connect, end_run

    workload, data = Workload.read(workload_path), Path((workload_path.parent / "data.txt").read_text())
    images = load_folder(data, workload.size)
    split = make_split(images.groups, images.foreground, "fixed", 80)
    device = find_device("auto")
    client, experiment = connect()
    batch_pixels = workload.trials[0].batch_size * workload.size**2
    pool = Pool(images, Machine(device=device, workers=find_workers("auto", device, batch_pixels)))
    trials = [trial.replace(precision=find_precision("auto", device)) for trial in workload.trials]
    parent = begin_run(client, experiment, "benchmark", {"role": "benchmark"})
    jobs = [
        Job(
            trial=trial,
            name=f"seed={trial.seed}",
            experiment_id=experiment,
            parent=parent,
            tags={},
            result_hash=trial.digest,
            split=split,
            checkpoint=workload_path.with_name(f"{trial.digest}.safetensors"),
        )
        for trial in trials
    ]
    for outcome in pool.run(jobs, lambda epoch_done: None):
        print(json.dumps({"dice": outcome.dice, "seconds": outcome.seconds}), flush=True)
    end_run(client, parent)
    pool.close()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=user_path, help="images/ and masks/, all square; left out: synthetic cells")
    parser.add_argument("--count", type=int, default=100, help="synthetic images")
    parser.add_argument("--channels", type=int, default=1, choices=(1, 3), help="of synthetic images")
    parser.add_argument("--size", type=int, default=128, help="pixels")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=6, help="trials")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--system", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
