"""What a study will take is known before it starts; the estimate holds against a real process."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import training.command.memory
from training.command.memory import TRAIN_BYTES, check_memory, estimate_need
from training.data.reading import load_folder
from training.study.trial import Trial

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
TRIAL = Trial(loss="switching", optimizer="adam", lr=1e-3, epochs=1, image_size=64)
PEAK = """
import psutil, torch
from training.network.engine import make_model
from training.network.losses import make_loss
from training.command.machine import keep_memory
from training.network.step import forward
from training.network.optim import make_optimizer
from training.study.trial import Trial
keep_memory()
torch.set_num_threads(1)
trial = Trial(loss="switching", optimizer="adam", lr=1e-3, epochs=1)
model = make_model(trial, 1, torch.device("cpu"))
optimizer, loss_of = make_optimizer(trial, model.parameters()), make_loss(trial)
def step(side):
    images = torch.randint(0, 255, (8, 1, side, side), dtype=torch.uint8)
    loss = loss_of(forward(model, images, "fp32"), (images > 128).float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
step(16)
before = psutil.Process().memory_info().rss
step(192)
step(192)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss knows our parent's, too
print((int(peak.split()[1]) * 1024 - before) / (8 * 192 * 192))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc: the estimate was not tried here")
@pytest.mark.thorough
def test_the_estimate_of_a_training_step_holds_within_a_quarter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAK], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) == pytest.approx(TRAIN_BYTES["fp32"], rel=0.25)


def test_workers_share_the_images_on_the_cpu_and_copy_them_to_the_gpu(discs: Path) -> None:
    images = load_folder(discs, 64)
    one, two = (estimate_need(images, TRIAL, workers, CPU) for workers in (1, 2))
    assert one.images == two.images == 20 * 64 * 64 * 2
    assert two.network == 2 * one.network == 2 * 64 * 64 * TRAIN_BYTES["fp32"] * 8
    assert estimate_need(images, TRIAL, 2, torch.device("cuda")).images == 2 * one.images


def test_a_study_that_does_not_fit_is_refused_with_the_number_and_the_cure(
    discs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = load_folder(discs, 64)
    check_memory(images, TRIAL, 1, CPU)
    with pytest.raises(ValueError, match=r"900 worker\(s\) take about [\d.]+ GiB .* choose workers=899 or less"):
        check_memory(images, TRIAL, 900, CPU)
    monkeypatch.setattr(training.command.memory, "SHARE", 0.0)
    with pytest.raises(ValueError, match=r"GiB of memory are free; choose a smaller image_size, or fit=resize"):
        check_memory(images, TRIAL, 1, CPU)
