"""A worker process: trains a trial, keeps the best epoch's weights, writes its MLflow run, and returns an Outcome.

A trial that fails is recorded with its reason; one that somebody else trains is left to them; one that was cut off goes
on from its checkpoint. training/execution/pool.py is the caller's side.
"""

import math
import os
import signal
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.command.machine import Machine, keep_memory, set_deterministic
from training.data.framing import assemble
from training.data.image_set import ImageSet
from training.data.images import Pixels
from training.data.own_size import ImageScore, mean_own_dice, score_image
from training.data.pictures import TRAIN_PICTURE, VAL_PICTURE, PredictionRow, draw_predictions
from training.data.split import Split
from training.execution.checkpoints import drop_checkpoint
from training.execution.jobs import COLLAPSED, FORWARDED_ENV, EpochDone, Job, Outcome, Timing
from training.network.applied import find_not_applied
from training.network.batches import DeviceSet
from training.network.checkpoint import TrialProgress, read_checkpoint, write_checkpoint
from training.network.engine import Diverged, Training, begin, evaluate, make_model, predict, train
from training.network.step import Step, compile_step, forward_pass
from training.network.unet import UNet
from training.study.trial import Trial
from training.tracking import store
from training.tracking.lease import Heartbeat, LeaseLost, claim, end_stale_runs, look_up, process_exists
from training.tracking.trial_run import TrialRun

MEASURED_BATCHES = 4
CHECKPOINT_SECONDS = "60"  # of training between two; UNET_STUDIES_CHECKPOINT_SECONDS says otherwise
WATCH_SECONDS = 1.0
SHOWN_IMAGES = 4  # of the validation and of the training images, in the pictures of predictions


@dataclass(frozen=True)
class _Worker:
    images: ImageSet
    on_device: DeviceSet
    ticks: Any
    step: Step
    checkpoint_seconds: float  # of training between two
    networks: dict[tuple[int, float], UNet] | None  # networks by width and dropout, when steps are compiled

    def make_model(self, trial: Trial) -> UNet:
        """The trial's network; a compiled step wants the same one again, with the trial's weights in it."""
        fresh = make_model(trial, self.images.channels, self.on_device.device)
        if self.networks is None:
            return fresh
        model = self.networks.setdefault((trial.width, trial.dropout), fresh)
        model.load_state_dict(fresh.state_dict())
        return model


_worker: _Worker


def start(images: ImageSet, machine: Machine, ticks: Any, settings: dict[str, str]) -> None:
    global _worker  # noqa: PLW0603 - a process pool hands its initializer's work over in no other way
    for name in FORWARDED_ENV:
        os.environ.pop(name, None)
    os.environ.update(settings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the runner stops its workers itself
    keep_memory()
    set_deterministic(machine.deterministic)
    torch.set_num_threads(machine.threads)
    step = compile_step(machine.device) if machine.compiled else forward_pass
    on_device = DeviceSet.on(machine.device, images)
    seconds = float(os.environ.get("UNET_STUDIES_CHECKPOINT_SECONDS", CHECKPOINT_SECONDS))
    _worker = _Worker(images, on_device, ticks, step, seconds, {} if machine.compiled else None)


def end_with(caller: str) -> None:
    """End this process once that one is gone: a worker that nobody waits for would train on, and wait for ever."""

    def watch() -> None:
        while process_exists(caller):
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run(job: Job) -> Outcome:
    client = store.connect()
    known = look_up(client, job.result_hash, job.in_place_of)
    end_stale_runs(client, known.dead)
    if known.finished or known.training:
        return Outcome.skip(job.trial)
    tags = job.tags | {"result_hash": job.result_hash}
    trial_run = TrialRun(client, job.experiment_id, job.name, job.trial, tags, job.parent)
    if not claim(client, job.result_hash, trial_run.run_id, job.in_place_of):
        trial_run.withdraw()
        return Outcome.skip(job.trial)
    try:
        with Heartbeat(client, trial_run.run_id) as heartbeat:
            return _train(job, trial_run, heartbeat)
    except LeaseLost:
        return Outcome.skip(job.trial)
    except Exception as error:
        trial_run.fail(traceback.format_exc())
        reason = f"{type(error).__name__}: {error}"
        return Outcome.fail(job.trial, reason)


def measure(trial: Trial, split: Split) -> Timing:
    """The second of two short epochs, and an evaluation."""
    images = _worker.on_device
    model = _worker.make_model(trial)
    few = Split(train=split.train[: MEASURED_BATCHES * trial.batch_size], val=split.val[:1], test=())
    *_, last = train(begin(model, trial.replace(epochs=2)), images, few, _worker.step)
    start = time.perf_counter()
    evaluate(model, trial, images, few.train)
    val_seconds = (time.perf_counter() - start) / images.num_tiles(few.train)
    spent = last.epoch_seconds - val_seconds * images.num_tiles(few.val)
    return Timing(train_seconds=spent / images.num_tiles(few.train), val_seconds=val_seconds)


def _train(job: Job, run: TrialRun, heartbeat: Heartbeat) -> Outcome:
    trial, images, split = job.trial, _worker.on_device, job.split
    training, progress = _begin(job, run)
    before, start = progress.seconds, time.perf_counter()
    saved, diverged = start, ""
    try:
        for epoch in train(training, images, split, _worker.step):
            heartbeat.check()
            run.log(epoch)
            _worker.ticks.put(EpochDone(trial, epoch.epoch, epoch.val_dice))
            if run.best is epoch:
                progress.best_weights = {name: value.clone() for name, value in training.model.state_dict().items()}
            progress.epochs, progress.seconds = run.epochs, before + time.perf_counter() - start
            if time.perf_counter() - saved > _worker.checkpoint_seconds:
                write_checkpoint(job.checkpoint, training, progress)
                saved = time.perf_counter()
    except Diverged as error:
        diverged, progress.seconds = str(error), before + time.perf_counter() - start
    try:
        outcome = _finish(job, run, training, progress, diverged)
    except Exception:
        if not diverged:
            write_checkpoint(job.checkpoint, training, progress)  # trained to its end: only what failed is done again
        raise
    drop_checkpoint(job.checkpoint)
    return outcome


def _begin(job: Job, run: TrialRun) -> tuple[Training, TrialProgress]:
    """A training at its beginning, or where a process that is gone left it."""
    training = begin(_worker.make_model(job.trial), job.trial)
    if not job.checkpoint.exists():
        return training, TrialProgress(epochs=[], best_weights={}, seconds=0.0)
    progress = read_checkpoint(job.checkpoint, training)
    for epoch in progress.epochs:
        run.log(epoch)
    run.client.set_tag(run.run_id, "resumed_after_epoch", str(training.done))
    return training, progress


def _finish(job: Job, run: TrialRun, training: Training, progress: TrialProgress, diverged: str) -> Outcome:
    """Everything that is kept of a trained trial."""
    trial, model = job.trial, training.model
    not_applied = find_not_applied(training, run.epochs, bool(diverged))
    last = {name: value.clone() for name, value in model.state_dict().items()}
    if progress.best_weights:
        model.load_state_dict(progress.best_weights)
    parts = {VAL_PICTURE: job.split.val, TRAIN_PICTURE: job.split.train}
    pictures = {
        name: draw_sheet(model, trial, _worker.images, _worker.on_device, choose_shown(_worker.images, part))
        for name, part in (() if job.judges else parts.items())
    }
    scores, judged = (
        score_images(model, trial, _worker.images, _worker.on_device, part) if run.epochs else []
        for part in (job.split.val, job.judges)
    )
    try:
        run.finish(model, pictures, progress.seconds, diverged, _worker.images.stems, scores, not_applied, judged)
    finally:
        model.load_state_dict(last)
    best_epoch = run.best.epoch if run.epochs else 0
    return Outcome(
        trial=trial,
        dice=math.nan if diverged else run.best.val_dice,
        own_dice=math.nan if diverged else mean_own_dice(scores),
        best_epoch=best_epoch,
        seconds=progress.seconds,
        empty_images=run.best.val_empty_images if run.epochs else 0,
        false_alarms=run.best.val_false_alarms if run.epochs else 0,
        note=diverged or (COLLAPSED if run.collapsed else ""),
        collapsed=run.collapsed,
    )


def choose_shown(images: ImageSet, part: tuple[int, ...]) -> tuple[int, ...]:
    """The first of a part's images, those that have foreground before the others."""
    return tuple(sorted(part, key=lambda index: images.facts[index].foreground == 0)[:SHOWN_IMAGES])


def score_images(
    model: UNet, trial: Trial, images: ImageSet, on_device: DeviceSet, indices: tuple[int, ...]
) -> list[ImageScore]:
    """The model on each of these images, at image_size and at the image's own size."""
    return [
        score_image(images, index, predict_tiles(model, trial, on_device, list(images.tiles(index))))
        for index in indices
    ]


def draw_sheet(model: UNet, trial: Trial, images: ImageSet, on_device: DeviceSet, shown: tuple[int, ...]) -> Pixels:
    """The model's predictions on some of the images, as a picture."""
    rows = []
    for index in shown:
        facts, probability = images.facts[index], predict_tiles(model, trial, on_device, list(images.tiles(index)))
        predicted = assemble(probability, images.frame, facts.height, facts.width)
        dice = score_image(images, index, probability).dice
        rows.append(PredictionRow(*images.assembled(index), predicted, dice))
    return draw_predictions(rows)


def predict_tiles(model: UNet, trial: Trial, on_device: DeviceSet, tiles: list[int]) -> NDArray[np.float32]:
    """(n, h, w) probabilities of the foreground."""
    return predict(model, on_device.images[tiles], trial.precision)[:, 0].cpu().numpy()
