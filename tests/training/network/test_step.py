"""The compiled step: compiled once for many trials, and equal to the eager one.

torch's own counting backend stands in for inductor, whose kernels take a minute on a CPU: the program that is captured,
its gradient and its guards are the real ones. CUDA graphs are not among what is tried here.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.command.machine import find_compile
from training.study.trial import LOSSES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def done(discs: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.compiled_trials", str(discs)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    read: dict[str, Any] = json.loads(process.stdout)
    return read


@pytest.mark.thorough
def test_one_compilation_serves_every_trial_of_a_loss(done: dict[str, Any]) -> None:
    assert done["compilations"] == {"one loss": 1, "two losses": 2}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.thorough
def test_a_compiled_step_trains_as_the_eager_one_does(loss: str, done: dict[str, Any]) -> None:
    compiled, eager = done["trials"][loss]["compiled"], done["trials"][loss]["eager"]
    assert len(compiled) == 2
    assert np.allclose(compiled, eager, atol=1e-3)


def test_compilation_is_left_to_long_work_on_a_gpu() -> None:
    assert not find_compile("auto", torch.device("cpu"), steps=1e9)
    assert not find_compile("auto", torch.device("cuda"), steps=100)
    assert find_compile("true", torch.device("cpu"), steps=0)
