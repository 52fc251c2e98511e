"""Images per second, latency and CPU time of the endpoint, beside what people use instead: one run, the same images.

`python -m benchmarks.serving [--seconds 5] [--clients 1,8,32] [--systems ...] [--scratch FOLDER]`. Makes a champion for
512 x 512 RGB images first (minutes; --scratch keeps it for the next time). All services run at once, idle but for the
one that is asked; they are asked in turn, so that whatever else the machine does falls on all of them.
"""

import argparse
import contextlib
import itertools
import os
import platform
import re
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np

from benchmarks.serving_systems import BARE, SIZE, System, prepare, running
from training.command.entry import user_path
from training.synthetic import make_image

SYSTEMS = "ours_int8,ours_bf16,ours_fp32,plain,mlflow"
REFERENCE = "plain"
FORMATS = {"png": [cv2.IMWRITE_PNG_COMPRESSION, 6], "jpeg": [cv2.IMWRITE_JPEG_QUALITY, 90]}
IMAGES = 8  # different ones
MIN_REQUESTS = 1  # request of each client, however slow the service
PACKAGES = ("bentoml", "openvino", "torch", "fastapi", "uvicorn", "mlflow", "opencv-python")


@dataclass
class Load:
    """What was seen of a service under one load."""

    seconds: float = 0.0  # of the clock
    cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)  # seconds, of every request
    around: list[float] = field(default_factory=list)  # of them, what the service did not spend on its own work

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Of an image, over all cores."""
        return 1000 * self.cpu / len(self.latencies)

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.latencies, percent)) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load, in each round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clients", default="1,8,32", help="how many ask at once")
    parser.add_argument("--systems", default=SYSTEMS)
    parser.add_argument("--scratch", type=user_path, help="a folder to keep the champion in")
    options = parser.parse_args()
    names, clients = options.systems.split(","), [int(count) for count in options.clients.split(",")]
    with contextlib.ExitStack() as stack:
        scratch = (options.scratch or Path(stack.enter_context(tempfile.TemporaryDirectory()))).resolve()
        prepare(scratch)
        systems = [stack.enter_context(running(name, scratch, free_port())) for name in names]
        files = {suffix: make_files(suffix) for suffix in FORMATS}
        agreement = compare(systems, files["png"])
        loads: dict[tuple[str, int, str], Load] = {}
        for _, suffix, count in itertools.product(range(options.rounds), FORMATS, clients):
            for system in systems:
                if system.name == "mlflow" and suffix != "png":
                    continue  # it takes no files
                load = loads.setdefault((suffix, count, system.name), Load())
                measure(system, files[suffix], count, options.seconds, load)
                print(f"{suffix} {count} {system.name}: {load.rate:.1f}/s", file=sys.stderr, flush=True)
        memory = {system.name: system.usage()[1] for system in systems}
        bare = stack.enter_context(running(BARE, scratch, free_port()))
        round_trips = {suffix: Load() for suffix in FORMATS}
        for suffix, load in round_trips.items():
            measure(bare, files[suffix], 1, options.seconds, load)
    report(loads, agreement, memory, round_trips)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def make_files(suffix: str) -> list[bytes]:
    rng = np.random.default_rng(1)
    images = [cv2.applyColorMap(make_image(rng, SIZE)[0], cv2.COLORMAP_PINK) for _ in range(IMAGES)]
    return [cv2.imencode(f".{suffix}", image, FORMATS[suffix])[1].tobytes() for image in images]


def compare(systems: list[System], files: list[bytes]) -> dict[str, float]:
    """Dice of each system's masks with the first plain one's, pixels pooled. It warms them all, too."""
    masks = {}
    for system in systems:
        connection = system.connect()
        bodies = [system.body(file) for file in files]
        masks[system.name] = np.stack([system.mask(system.ask(connection, body)[0]) for body in bodies])
        connection.close()
    reference = masks.get(REFERENCE, next(iter(masks.values())))
    return {name: 2 * (mask & reference).sum() / (mask.sum() + reference.sum()) for name, mask in masks.items()}


def measure(system: System, files: list[bytes], clients: int, seconds: float, load: Load) -> None:
    """Each client asks again as soon as it was answered."""
    bodies = [system.body(file) for file in files]
    lock, failed = threading.Lock(), []
    cpu, begin = system.usage()[0], time.perf_counter()

    def ask(client: int) -> None:
        try:
            connection = system.connect()
            for number in itertools.count(client):
                start = time.perf_counter()
                if start - begin > seconds and number >= client + MIN_REQUESTS:
                    break
                _, timing = system.ask(connection, bodies[number % len(bodies)])
                took = time.perf_counter() - start
                answering = sum(float(found) for found in re.findall(r"dur=([\d.]+)", timing)) / 1000
                with lock:
                    load.latencies.append(took)
                    load.around.append(took - answering)
            connection.close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    load.seconds += time.perf_counter() - begin
    load.cpu += system.usage()[0] - cpu


def report(
    loads: dict[tuple[str, int, str], Load],
    agreement: dict[str, float],
    memory: dict[str, float],
    round_trips: dict[str, Load],
) -> None:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    print(
        "| images | clients | service | n | images/s | ratio | CPU ms an image | ratio | p50 ms | p99 ms | p99 / p50 |"
    )
    print("| --- " * 11 + "|")
    for (suffix, clients, name), load in loads.items():
        reference = loads.get((suffix, clients, REFERENCE))
        faster = f"{load.rate / reference.rate:.2f}" if reference else "-"
        cheaper = f"{reference.cpu_ms / load.cpu_ms:.2f}" if reference else "-"
        p50, p99 = load.percentile(50), load.percentile(99)
        kind = "tensor, JSON" if name == "mlflow" else suffix
        work = f"{len(load.latencies)} | {load.rate:.1f} | {faster} | {load.cpu_ms:.0f} | {cheaper}"
        print(f"| {kind} | {clients} | {name} | {work} | {p50:.0f} | {p99:.0f} | {p99 / p50:.2f} |")
    print(f"\nratio: how many times as good as {REFERENCE}. Dice of the masks with its own, and MiB resident:")
    for name, dice in agreement.items():
        print(f"- {name}: {dice:.5f}, {memory[name]:.0f} MiB")
    for (suffix, clients, name), load in loads.items():
        if clients == 1 and name.startswith("ours"):
            around = float(np.median(load.around)) * 1000
            round_trip = round_trips[suffix].percentile(50)
            print(
                f"- {name}, {suffix}: {around:.2f} ms of a request (median) are not decoding, network and encoding; "
                f"the round trip is {round_trip:.2f} ms of it (of the same bytes, to an empty uvicorn app)"
            )


if __name__ == "__main__":
    main()
