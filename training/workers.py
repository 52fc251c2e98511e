"""A worker process: trains a trial, keeps the best epoch's weights, writes its MLflow run, and returns an Outcome.

A trial that fails is recorded with its reason. training/pool.py is the caller's side.
"""

import os
import time
import traceback
from dataclasses import dataclass
from typing import Any

import torch

from training import tracking
from training.batches import DeviceSet
from training.data.framing import assemble
from training.data.image_set import ImageSet
from training.data.images import Pixels
from training.data.split import Split
from training.engine import Diverged, evaluate, make_model, predict, train
from training.machine import Machine, keep_memory, set_deterministic
from training.metrics import dice_per_image
from training.pictures import Row, draw_predictions
from training.pool import Job, Outcome, Pace, Tick
from training.step import Step, compile_step, forward_pass
from training.trial import Trial
from training.trial_run import TrialRun
from training.unet import UNet

MEASURED_BATCHES = 4
SHOWN_IMAGES = 4  # of the validation set, in predictions.png


@dataclass(frozen=True)
class _Worker:
    images: ImageSet
    on_device: DeviceSet
    ticks: Any
    step: Step
    kept: dict[tuple[int, float], UNet] | None  # networks by width and dropout, when steps are compiled

    def make_model(self, trial: Trial) -> UNet:
        """The trial's network; a compiled step wants the same one again, with the trial's weights in it."""
        fresh = make_model(trial, self.images.channels, self.on_device.device)
        if self.kept is None:
            return fresh
        model = self.kept.setdefault((trial.width, trial.dropout), fresh)
        model.load_state_dict(fresh.state_dict())
        return model


_worker: _Worker


def start(images: ImageSet, machine: Machine, ticks: Any, settings: dict[str, str]) -> None:
    global _worker  # noqa: PLW0603 - a process pool hands its initializer's work over in no other way
    os.environ.update(settings)
    keep_memory()
    set_deterministic(machine.deterministic)
    torch.set_num_threads(machine.threads)
    step = compile_step(machine.device) if machine.compiled else forward_pass
    on_device = DeviceSet.on(machine.device, images)
    _worker = _Worker(images, on_device, ticks, step, {} if machine.compiled else None)


def run(job: Job) -> Outcome:
    client, _ = tracking.connect()
    trial_run = TrialRun(client, job.experiment_id, job.name, job.trial, job.tags, job.parent)
    try:
        return _train(job, trial_run)
    except Exception as error:
        trial_run.fail(traceback.format_exc())
        reason = f"{type(error).__name__}: {error}"
        return Outcome(trial=job.trial, dice=float("nan"), best_epoch=0, seconds=0, failure=reason)


def measure(trial: Trial, split: Split) -> Pace:
    """The second of two short epochs, and an evaluation."""
    images = _worker.on_device
    model = _worker.make_model(trial)
    few = Split(train=split.train[: MEASURED_BATCHES * trial.batch_size], val=split.val[:1], test=())
    *_, last = train(model, trial.replace(epochs=2), images, few, _worker.step)
    start = time.perf_counter()
    evaluate(model, trial, images, few.train)
    val_seconds = (time.perf_counter() - start) / images.num_parts(few.train)
    spent = last.epoch_seconds - val_seconds * images.num_parts(few.val)
    return Pace(train_seconds=spent / images.num_parts(few.train), val_seconds=val_seconds)


def _train(job: Job, run: TrialRun) -> Outcome:
    trial, images, split = job.trial, _worker.on_device, job.split
    model = _worker.make_model(trial)
    best_weights, diverged = {}, ""
    start = time.perf_counter()
    try:
        for epoch in train(model, trial, images, split, _worker.step):
            run.log(epoch)
            _worker.ticks.put(Tick(trial, epoch.epoch, epoch.val_dice))
            if run.best is epoch:
                best_weights = {name: value.clone() for name, value in model.state_dict().items()}
    except Diverged as error:
        diverged = str(error)
    seconds = time.perf_counter() - start
    if best_weights:
        model.load_state_dict(best_weights)
    shown = split.val[:SHOWN_IMAGES]
    run.finish(model, draw_sheet(model, trial, _worker.images, images, shown), seconds, diverged)
    dice = float("nan") if diverged else run.best.val_dice
    best_epoch = run.best.epoch if run.epochs else 0
    collapsed = run.epochs and run.epochs[-1].val_predicted_percent == 0
    note = diverged or ("predicts no foreground" if collapsed else "")
    return Outcome(trial=trial, dice=dice, best_epoch=best_epoch, seconds=seconds, note=note)


def draw_sheet(model: UNet, trial: Trial, images: ImageSet, on_device: DeviceSet, shown: tuple[int, ...]) -> Pixels:
    """The model's predictions on some of the images, as a picture."""
    _, counts = evaluate(model, trial, on_device, shown)
    rows = []
    for index, dice in zip(shown, dice_per_image(counts).tolist(), strict=True):
        parts, size = list(images.parts(index)), (images.facts[index].height, images.facts[index].width)
        probability = predict(model, on_device.images[parts], trial.precision)[:, 0].cpu().numpy()
        arrays = (images.images[parts], images.masks[parts], probability)
        image, mask, predicted = (assemble(array, images.frame, *size) for array in arrays)
        rows.append(Row(image, mask, predicted, dice))
    return draw_predictions(rows)
