"""Which result is which: trials of one hash give the same numbers, so the second need not be trained.

The hash covers all factors, the images as they were read, who trains and validates, and what computes: this program's
RESULTS_VERSION, and the minor versions of torch and segmentation-models-pytorch.
"""

import hashlib
from collections.abc import Mapping

from training.data.split import HELD_OUT
from training.study.trial import Trial
from training.tracking.provenance import version

RESULTS_VERSION = 2  # raise it by hand when a change moves the golden numbers (tests/golden.py); then trials train anew
COMPUTES = ("torch", "segmentation-models-pytorch")  # packages whose numbers these are


def result_hash(trial: Trial, held_out: Mapping[str, str]) -> str:
    """16 hexadecimal digits; `held_out`: tags, as those of Prepared.held_out.

    Device, workers and compilation are left out: they change numbers within seed noise.
    """
    parts = (trial.to_json(), *(held_out[tag] for tag in HELD_OUT), results_version())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def results_version() -> str:
    """Such as `1 torch 2.11 segmentation-models-pytorch 0.5`."""
    return " ".join([str(RESULTS_VERSION), *(f"{name} {minor(version(name))}" for name in COMPUTES)])


def minor(full: str) -> str:
    """Of a version such as 2.11.0+cpu: 2.11."""
    return ".".join(full.split(".")[:2])
