"""Does a study fit into memory? Met before it starts, with the number and the cure, and not by a crash in the night.

The figures were measured on a CPU (peak resident memory of a worker, by size, batch, width and precision, which they
follow within 5 %); what they mean for a GPU is an estimate that no GPU has confirmed.
"""

from dataclasses import dataclass

import psutil
import torch

from training.data.image_set import ImageSet
from training.network.batches import EVALUATION_BATCH
from training.study.trial import Trial

WORKER_BYTES = 850e6  # a process that has imported torch and MLflow; on a GPU, its context
TRAIN_BYTES = {"fp32": 1900, "bf16": 1100}  # of a pixel of a batch, at width 16: what the backward pass keeps
EVALUATE_BYTES = {"fp32": 700, "bf16": 370}  # of a pixel of an evaluation batch
SHARE = 0.9  # of the free memory that a study may take
WIDTH = 16


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes, of all workers together."""

    images: float  # on the GPU: a copy for each worker; on the CPU: one, mapped by all
    network: float
    processes: float

    @property
    def total(self) -> float:
        return self.images + self.network + self.processes

    def __str__(self) -> str:
        parts = {"images": self.images, "network and its gradients": self.network, "processes": self.processes}
        return " + ".join(f"{size / 2**30:.1f} GiB {name}" for name, size in parts.items())


def estimate_need(images: ImageSet, trial: Trial, workers: int, device: torch.device) -> Need:
    """What a study of trials such as this one takes."""
    pixels = images.frame.height * images.frame.width * trial.width / WIDTH
    batch = max(TRAIN_BYTES[trial.precision] * trial.batch_size, EVALUATE_BYTES[trial.precision] * EVALUATION_BATCH)
    size = len(images.image_index) * images.frame.height * images.frame.width * (images.channels + 1)
    copies = workers if device.type == "cuda" else 1
    return Need(images=size * copies, network=pixels * batch * workers, processes=WORKER_BYTES * workers)


def check_memory(images: ImageSet, trial: Trial, workers: int, device: torch.device) -> None:
    """Raises ValueError when a study of trials such as this one would not fit."""
    on_gpu = device.type == "cuda"
    free = torch.cuda.mem_get_info(device)[0] if on_gpu else psutil.virtual_memory().available
    need = estimate_need(images, trial, workers, device)
    if need.total > SHARE * free:
        where = "the GPU" if on_gpu else "memory"
        fewer = f"workers={workers - 1} or less, " if workers > 1 else ""
        raise ValueError(
            f"data={images.path}: {workers} worker(s) take about {need.total / 2**30:.1f} GiB ({need}), but "
            f"{free / 2**30:.1f} GiB of {where} are free; choose {fewer}a smaller image_size, or fit=resize"
            + (", or device=cpu" if on_gpu else "")
        )
