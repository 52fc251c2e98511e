"""The golden numbers of training: every `Epoch` of a few small trials, in tests/golden.json.

`python tests/golden.py` writes them anew, once RESULTS_VERSION is raised (minutes). Images, split and trials are made
by whole numbers alone, so that only the training can change the epochs.

A ReLU that is on or off by a rounding error changes a gradient by far more than the error, so processors that round
differently soon disagree. So each trial gets a seed, the one it had or the first, under which its epochs stay what they
are when all weights are moved by their last bits, and in which something is predicted.
"""

import dataclasses
import itertools
import json
import math
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from training.data.reading import load_folder
from training.data.split import Split, make_split
from training.execution.identity import RESULTS_VERSION
from training.network.batches import DeviceSet
from training.network.engine import Epoch, begin, make_model, train
from training.study.trial import AUGMENTS, LOSSES, OPTIMIZERS, SCHEDULERS, Trial

PATH = Path(__file__).with_name("golden.json")
COUNT, SIDE = 20, 32  # images, pixels
CPU = torch.device("cpu")
BASE = Trial(
    loss="switching", optimizer="adam", lr=5e-3, epochs=2, image_size=32, width=2, batch_size=4, train_percent=40
)
LR = {"adagrad": 0.01, "sgd": 0.02, "adadelta": 1.0, "rmsprop": 1e-3}
WANTED = {
    **{f"loss={loss}": BASE.replace(loss=loss) for loss in LOSSES},
    **{f"optimizer={name}": BASE.replace(optimizer=name, lr=LR.get(name, BASE.lr)) for name in OPTIMIZERS},
    **{f"scheduler={name}": BASE.replace(scheduler=name, epochs=3) for name in SCHEDULERS},
    # three epochs of patience take five without a lower loss; a rate this low leaves them stable to the last bits
    "scheduler=plateau": BASE.replace(scheduler="plateau", epochs=6, lr=1e-5),
    **{f"augment={name}": BASE.replace(augment=name) for name in AUGMENTS},
    "weight_decay=0.1": BASE.replace(weight_decay=0.1),
    "weight_decay=0.1 optimizer=adamw": BASE.replace(weight_decay=0.1, optimizer="adamw"),
    "dropout=0.3": BASE.replace(dropout=0.3),
    "equalize_masks": BASE.replace(equalize_masks=True),
    "wide": BASE,  # padded to squares
    "wide fit=tile": BASE.replace(fit="tile"),
    "train_percent=80 fold=2": BASE.replace(train_percent=80, fold=2),
}
BITS, DRAWS, STABLE = 2e-7, 12, 1e-5  # of the weights; how often; relative, of every number


def write_images(folder: Path, width: int) -> None:
    """Discs on grounds of many shades, one per image; the last four images show none."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index in range(COUNT):
        y, x = np.mgrid[:SIDE, :width]
        ground = 10 + index * 53 % 97 + (x * (index * 3 % 7) + y * (index * 5 % 7)) // 4
        ground += (x * 7 + y * 13 + index * 31 + x * y) % 23
        row, column, radius = 10 + index * 5 % 13, 10 + index * 7 % 13, 5 + index % 5
        disc = ((y - row) ** 2 + (x - column) ** 2 <= radius**2) & (index < COUNT - 4)
        image = (ground + 60 * disc).clip(0, 255)
        cv2.imwrite(str(folder / "images" / f"{index:02d}.png"), image.astype(np.uint8))
        cv2.imwrite(str(folder / "masks" / f"{index:02d}.png"), (255 * disc).astype(np.uint8))


def write_folders(folder: Path) -> Path:
    write_images(folder / "square", SIDE)
    write_images(folder / "wide", SIDE * 3 // 2)
    return folder


def load(folder: Path, name: str, trial: Trial) -> tuple[DeviceSet, Split]:
    images = load_folder(folder / ("wide" if name.startswith("wide") else "square"), trial.image_size, trial.fit)
    split = make_split(images.stems, images.foreground, "fixed", trial.train_percent, trial.fold)
    return DeviceSet.on(CPU, images), split


def to_numbers(epoch: Epoch) -> dict[str, float]:
    return {name: value for name, value in dataclasses.asdict(epoch).items() if name != "epoch_seconds"}


def run(data: tuple[DeviceSet, Split], trial: Trial, moved: int = 0) -> list[dict[str, float]]:
    """The epochs of a trial; its weights moved by their last bits before the first, `moved` says how."""
    model = make_model(trial, 1, CPU)
    if moved:
        generator = torch.Generator().manual_seed(moved)
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(1 + BITS * torch.randn(weights.shape, generator=generator))
    return [to_numbers(epoch) for epoch in train(begin(model, trial), *data)]


def is_worth(data: tuple[DeviceSet, Split], trial: Trial) -> bool:
    """Whether something is predicted, a schedule changes the rate, and the last bits of the weights change nothing."""
    epochs = run(data, trial)
    if not all(epoch["val_dice"] > 0.05 for epoch in epochs):
        return False
    if trial.scheduler != "none" and len({epoch["lr"] for epoch in epochs}) == 1:
        return False
    return all(is_same(epochs, run(data, trial, moved)) for moved in range(1, DRAWS + 1))


def is_same(epochs: list[dict[str, float]], others: list[dict[str, float]]) -> bool:
    pairs = [(epoch[name], other[name]) for epoch, other in zip(epochs, others, strict=True) for name in epoch]
    return all(math.isclose(*pair, rel_tol=STABLE) for pair in pairs)


def main() -> int:
    before = json.loads(PATH.read_text()) if PATH.is_file() else {"results_version": 0, "trials": {}}
    if before["results_version"] == RESULTS_VERSION:
        print(
            f"RESULTS_VERSION={RESULTS_VERSION} has its golden numbers; raise it first (training/execution/identity.py)"
        )
        return 2
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_folders(Path(scratch) / "golden")
        for name, wanted in WANTED.items():
            data = load(folder, name, wanted)
            had = [before["trials"][name]["trial"]["seed"]] if name in before["trials"] else []
            trials = (wanted.replace(seed=seed) for seed in itertools.chain(had, itertools.count()))
            trial = next(trial for trial in trials if is_worth(data, trial))
            found[name] = {"trial": dataclasses.asdict(trial), "epochs": run(data, trial)}
            print(f"{name}: seed {trial.seed}", flush=True)
    PATH.write_text(json.dumps({"results_version": RESULTS_VERSION, "trials": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
