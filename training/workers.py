"""The processes that run trials, each with the images on its device and one thread to a core.

A worker trains, keeps the best epoch's weights and writes its own MLflow run; what comes back is an Outcome. A trial
that fails is recorded with its reason and takes no other with it.
"""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any

import torch

from training import tracking
from training.batches import DeviceSet
from training.data.framing import assemble
from training.data.image_set import ImageSet
from training.data.images import Pixels
from training.data.split import Split
from training.engine import Diverged, evaluate, keep_memory, make_model, predict, set_deterministic, train
from training.metrics import dice_per_image
from training.pictures import Row, draw_predictions
from training.trial import Trial
from training.unet import UNet

MEASURED_BATCHES = 4
HANDED_ON = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID")  # a worker is forked from a server that may be older
SHOWN_IMAGES = 4  # of the validation set, in predictions.png


@dataclass(frozen=True, kw_only=True)
class Job:
    """A trial and where its run belongs."""

    trial: Trial
    name: str
    experiment_id: str
    parent: str
    tags: dict[str, str]
    split: Split


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a trial: its best validation Dice (nan when it diverged), or why it failed."""

    trial: Trial
    dice: float
    best_epoch: int
    seconds: float
    note: str = ""  # diverged or collapsed, in words
    failure: str = ""


@dataclass(frozen=True)
class Tick:
    """News from a worker: a trial's epoch is done."""

    trial: Trial
    epoch: int
    dice: float


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What one part of an image costs."""

    train_seconds: float
    val_seconds: float


class Pool:
    """Worker processes that share nothing but the images they were started with."""

    def __init__(self, images: ImageSet, device: torch.device, workers: int, deterministic: bool) -> None:
        context = multiprocessing.get_context("forkserver")
        self.ticks: Queue[Tick] = context.Queue()
        threads = max(1, (os.cpu_count() or 1) // workers)
        settings = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
        self._executor = ProcessPoolExecutor(
            workers,
            context,
            initializer=_start,
            initargs=(images, device, threads, deterministic, self.ticks, settings),
        )

    def run(self, jobs: Iterable[Job], on_tick: Callable[[Tick], None]) -> Iterator[Outcome]:
        """Outcomes in the order in which trials end. News arrives while one waits."""
        waiting: dict[Future[Outcome], Job] = {self._executor.submit(_run, job): job for job in jobs}
        while waiting:
            done, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            while not self.ticks.empty():
                on_tick(self.ticks.get())
            for future in done:
                job = waiting.pop(future)
                try:
                    yield future.result()
                except Exception as error:  # a worker that was killed, or could not reach the store
                    yield Outcome(trial=job.trial, dice=float("nan"), best_epoch=0, seconds=0, failure=repr(error))

    def measure(self, trials: Sequence[Trial], split: Split) -> list[Pace]:
        """What a part costs under each trial, measured in all workers at once as they will be."""
        return list(self._executor.map(_measure, trials, [split] * len(trials)))

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


def find_workers(text: str, device: torch.device) -> int:
    """auto: a process to a core, or one on a GPU. Raises ValueError for what is no number above 0."""
    if text == "auto":
        return 1 if device.type == "cuda" else max(1, os.cpu_count() or 1)
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"workers={text!r}; it must be auto or a whole number of at least 1")
    return int(text)


@dataclass(frozen=True)
class _Worker:
    images: ImageSet
    on_device: DeviceSet
    ticks: Any


_worker: _Worker


def _start(
    images: ImageSet, device: torch.device, threads: int, deterministic: bool, ticks: Any, settings: dict[str, str]
) -> None:
    global _worker  # noqa: PLW0603 - a process pool hands its initializer's work over in no other way
    os.environ.update(settings)
    keep_memory()
    set_deterministic(deterministic)
    torch.set_num_threads(threads)
    _worker = _Worker(images, DeviceSet.on(device, images), ticks)


def _run(job: Job) -> Outcome:
    client, _ = tracking.connect()
    run = tracking.TrialRun(client, job.experiment_id, job.name, job.trial, job.tags, job.parent)
    try:
        return _train(job, run)
    except Exception as error:
        run.fail(traceback.format_exc())
        reason = f"{type(error).__name__}: {error}"
        return Outcome(trial=job.trial, dice=float("nan"), best_epoch=0, seconds=0, failure=reason)


def _measure(trial: Trial, split: Split) -> Pace:
    """The second of two short epochs, and an evaluation."""
    images = _worker.on_device
    model = make_model(trial, images.images.shape[1], images.device)
    few = Split(train=split.train[: MEASURED_BATCHES * trial.batch_size], val=split.val[:1], test=())
    *_, last = train(model, trial.replace(epochs=2), images, few)
    start = time.perf_counter()
    evaluate(model, trial, images, few.train)
    val_seconds = (time.perf_counter() - start) / images.num_parts(few.train)
    spent = last.epoch_seconds - val_seconds * images.num_parts(few.val)
    return Pace(train_seconds=spent / images.num_parts(few.train), val_seconds=val_seconds)


def _train(job: Job, run: tracking.TrialRun) -> Outcome:
    trial, images, split = job.trial, _worker.on_device, job.split
    model = make_model(trial, images.images.shape[1], images.device)
    best_weights, diverged = {}, ""
    start = time.perf_counter()
    try:
        for epoch in train(model, trial, images, split):
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
