"""Trains trials through the compiled step and the eager one, and prints what came out: see test_step.py.

A process of its own, because the tests check the shapes of all arguments by a hook that torch.compile cannot look into.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch._dynamo.testing import CompileCounterWithBackend

from training.data.image_set import ImageSet
from training.data.reading import load_folder
from training.data.split import make_split
from training.network.batches import DeviceSet
from training.network.engine import begin, make_model, train
from training.network.step import Step, compile_step, forward_pass
from training.network.unet import UNet
from training.study.trial import LOSSES, OPTIMIZERS, Trial

CPU = torch.device("cpu")
TRIAL = Trial(loss="switching", optimizer="adam", lr=1e-3, epochs=2, image_size=32)
SPLIT = make_split(tuple(map(str, range(20))), (0.1,) * 20, "fixed", 80)


def run(trial: Trial, images: DeviceSet, step: Step, model: UNet) -> list[list[float]]:
    model.load_state_dict(make_model(trial, 1, CPU).state_dict())
    epochs = train(begin(model, trial), images, SPLIT, step)
    return [[epoch.train_loss, epoch.val_loss, epoch.train_dice, epoch.val_dice] for epoch in epochs]


def count_compilations(images: DeviceSet, counter: Any, step: Step, model: UNet) -> dict[str, int]:
    """Over trials of all optimizers, seeds and augmentations; then over another loss, too."""
    for seed, optimizer in enumerate(OPTIMIZERS):
        trial = TRIAL.replace(seed=seed, optimizer=optimizer, lr=10.0 ** -(seed + 2), scheduler="step", epochs=1)
        run(trial, images, step, model)
        run(trial.replace(augment="both", train_percent=40, weight_decay=0.01), images, step, model)
    one_loss = counter.frame_count
    run(TRIAL.replace(loss="dice", epochs=1), images, step, model)
    return {"one loss": one_loss, "two losses": counter.frame_count}


def compare(images: DeviceSet, compiled: Step, model: UNet) -> dict[str, dict[str, list[list[float]]]]:
    """Every loss, both ways."""
    outcomes = {}
    for loss in LOSSES:
        trial = TRIAL.replace(loss=loss, equalize_masks=loss == "bce")
        steps = {"compiled": compiled, "eager": forward_pass}
        outcomes[loss] = {name: run(trial, images, step, model) for name, step in steps.items()}
    return outcomes


def main(data: Path) -> None:
    images: ImageSet = load_folder(data, 32)
    on_cpu = DeviceSet.on(CPU, images)
    counter = CompileCounterWithBackend("aot_eager")
    step, model = compile_step(CPU, counter), make_model(TRIAL, 1, CPU)  # a worker's, for all its trials
    counts = count_compilations(on_cpu, counter, step, model)
    print(json.dumps({"compilations": counts, "trials": compare(on_cpu, step, model)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
