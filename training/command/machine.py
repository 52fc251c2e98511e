"""What this machine offers, and how it is used: device, precision, worker processes, compilation, memory.

Each choice is `auto` or what a person asked for; what cannot be had raises ValueError with value, rule and cure.
"""

import ctypes
import os
import sys
from dataclasses import dataclass

import torch

PIXELS_IN_FLIGHT = 2.1e6  # of all batches in flight: as many keep a GPU busy while the host prepares the next launches
MAX_WORKERS_ON_GPU = 8  # worker processes that `auto` starts there: each takes memory for a context of its own
MIN_STEPS_TO_COMPILE = 100_000  # steps of a worker; estimated: a step saves 1.5 ms, compiling takes a minute or two


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What was found, or asked for."""

    device: torch.device
    workers: int  # processes, each of which trains one trial at a time
    deterministic: bool = False
    compiled: bool = False  # the training step goes through torch.compile

    @property
    def threads(self) -> int:
        """Of each worker."""
        return max(1, (os.cpu_count() or 1) // self.workers)


def find_device(name: str) -> torch.device:
    """auto: CUDA where there is one, else the CPU."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={name!r} is unknown; it must be auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda, but torch finds no CUDA device; use device=cpu, or check the driver")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def find_precision(name: str, device: torch.device) -> str:
    """auto: bf16 where the processor computes in it, else fp32."""
    if name not in ("auto", "fp32", "bf16"):
        raise ValueError(f"precision={name!r} is unknown; it must be auto, fp32 or bf16")
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported() else "fp32"


def find_workers(name: str, device: torch.device, batch_pixels: int) -> int:
    """auto: one process per core; on a GPU as many as fill it with batches of so many pixels."""
    cores = os.cpu_count() or 1
    if name == "auto":
        on_gpu = max(1, min(round(PIXELS_IN_FLIGHT / batch_pixels), MAX_WORKERS_ON_GPU, cores))
        return on_gpu if device.type == "cuda" else cores
    if not name.isdigit() or int(name) < 1:
        raise ValueError(f"workers={name!r}; it must be auto or a whole number of at least 1")
    return int(name)


def find_compile(name: str, device: torch.device, steps: float) -> bool:
    """auto: on a GPU that torch can compile for, when a worker has that many steps ahead. On a CPU it does not pay."""
    if name == "auto":
        return device.type == "cuda" and has_triton() and steps >= MIN_STEPS_TO_COMPILE
    return name == "true"


def has_triton() -> bool:
    from torch.utils._triton import has_triton

    return bool(has_triton())


def find_deterministic(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"deterministic={text!r} is unknown; it must be true or false")
    return text == "true"


def set_deterministic(deterministic: bool) -> None:
    """The same trial, seed, device and number of threads then give the same epochs, bit for bit. Call it first.

    On the CPU they do so anyway. On a GPU it costs speed: cuDNN may then try no algorithms, and some sums are ordered.
    """
    if deterministic:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read when CUDA starts
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # we read none
    torch.backends.cudnn.benchmark = not deterministic


def keep_memory() -> None:
    """Ask glibc to keep freed pages: faulting them in again costs a third of an fp32 step. Call it first."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 256 << 20)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
                libc.mallopt(option, value)
