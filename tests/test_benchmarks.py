"""The comparison with what people use is fair, and its table can be read."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.peers import Pairs, dice_of
from training.data.reading import load_folder
from training.network.batches import DeviceSet, make_target, normalize
from training.network.metrics import count, dice_per_image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def test_a_peer_sees_the_same_pixels_and_masks_as_our_engine(discs: Path) -> None:
    images = load_folder(discs, 64)
    ours = DeviceSet.on(torch.device("cpu"), images)
    files = [tuple(str(discs / part / f"{stem}.png") for part in ("images", "masks")) for stem in images.stems]
    for index, (image, mask) in enumerate(Pairs(files, 64, 1)):  # type: ignore[arg-type]
        assert torch.equal(image, normalize(ours.images[index : index + 1])[0])
        assert torch.equal(mask, make_target(ours.masks[index : index + 1], padded=False)[0][0])


def test_a_peer_s_dice_is_ours() -> None:
    logits = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    masks = (logits.roll(1) > 0.3).to(torch.uint8)
    logits[0], masks[0] = -1, 0
    assert torch.allclose(dice_of(logits, masks.float()), dice_per_image(count(logits, masks)), equal_nan=True)


@pytest.mark.parametrize("system", ["plain", "lightning"])
@pytest.mark.thorough
def test_the_table_has_a_ratio_against_the_named_peer_of_the_same_run(system: str) -> None:
    if system == "lightning" and not importlib.util.find_spec("lightning"):
        pytest.skip("PyTorch Lightning is not installed (requirements-benchmark.txt): this peer was not tried")
    command = [sys.executable, "-m", "benchmarks.trials_per_hour", "--size", "32", "--count", "12", "--epochs", "1"]
    done = subprocess.run(
        [*command, "--seeds", "2", "--systems", f"ours,{system}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [
        re.findall(r"[^|]+", line) for line in done.stdout.splitlines() if line.startswith(("| ours", f"| {system}"))
    ]
    speeds = [float(row[1]) for row in rows]
    ratios = [float(row[2]) for row in rows]
    assert ratios[1] == 1.0
    assert ratios[0] == pytest.approx(speeds[0] / speeds[1], abs=0.01)
    assert f"ratio to {system}" in done.stdout
    assert re.search(
        rf"val Dice, ours less {system}: [+-]0\.\d+ \(95 % .*\): (within|more than) seed noise", done.stdout
    )
    assert np.isfinite(ratios).all()
