"""The worker processes as their caller sees them: jobs go in, outcomes and news of epochs come out.

Each process has the images on its device and one thread to a core (training/workers.py is its side). A process that
dies takes its own trial with it, and no other.
"""

import itertools
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from training.data.image_set import ImageSet
from training.data.split import Split
from training.machine import Machine
from training.provenance import this_process
from training.trial import Trial

COLLAPSED = "predicts no foreground"  # in words
HANDED_ON = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID")  # a worker is forked from a server that may be older


@dataclass(frozen=True, kw_only=True)
class Job:
    """A trial and where its run belongs."""

    trial: Trial
    name: str
    experiment_id: str
    parent: str
    tags: dict[str, str]
    trial_hash: str  # training/identity.py
    split: Split
    checkpoint: Path  # where the trial is kept while it trains


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a trial: its best validation Dice (nan when it diverged), or why it failed."""

    trial: Trial
    dice: float
    best_epoch: int
    seconds: float
    empty_images: int = 0  # validation images without foreground, which `dice` leaves out
    false_alarms: int = 0  # of these, the images in which any is predicted
    note: str = ""  # diverged or collapsed, in words
    collapsed: bool = False  # it predicts no foreground, or none that is right: it never wins
    failure: str = ""
    elsewhere: bool = False  # another process trains it, or has: nothing was done here

    @property
    def score(self) -> float:
        """What searches judge by: the Dice, 0 for a trial that collapsed, nan for one that diverged."""
        return 0.0 if self.collapsed else self.dice


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


class Slot:
    """One worker process and the line on which its news arrives. Nothing of it is shared with another."""

    def __init__(self, images: ImageSet, machine: Machine) -> None:
        context = multiprocessing.get_context("forkserver")
        self.ticks: SimpleQueue[Tick] = context.SimpleQueue()
        self.trial: Trial | None = None
        settings = {name: os.environ[name] for name in HANDED_ON if name in os.environ}
        self.executor = ProcessPoolExecutor(
            1, context, initializer=_start, initargs=(this_process(), images, machine, self.ticks, settings)
        )

    def train(self, job: Job) -> "Future[Outcome]":
        self.trial = job.trial
        return self.executor.submit(_train, job)

    def news(self) -> Iterator[Tick]:
        while not self.ticks.empty():
            yield self.ticks.get()

    def kill(self) -> None:
        """At once, whatever it does; what it had saved of its trial stays."""
        for process in list(self.executor._processes.values()):
            process.kill()
            process.join()


class Pool:
    """Worker processes that share nothing but the images they were started with.

    A process that dies takes its own trial with it, and no other; the next trial gets a new process.
    """

    def __init__(self, images: ImageSet, machine: Machine) -> None:
        self.images, self.machine = images, machine
        self.slots = [Slot(images, machine) for _ in range(machine.workers)]

    def run(self, jobs: Iterable[Job], on_tick: Callable[[Tick], None]) -> Iterator[Outcome]:
        """Outcomes in the order in which trials end. News arrives while one waits."""
        waiting, idle = deque(jobs), list(range(len(self.slots)))
        busy: dict[Future[Outcome], tuple[Job, int]] = {}
        while waiting or busy:
            while waiting and idle:
                job, number = waiting.popleft(), idle.pop()
                busy[self.slots[number].train(job)] = job, number
            done, _ = wait(busy, timeout=0.2, return_when=FIRST_COMPLETED)
            for slot in self.slots:
                for tick in slot.news():
                    on_tick(tick)
            for future in done:
                job, number = busy.pop(future)
                outcome = _read(future, job)
                if outcome.failure:  # the process may be gone, or its GPU context be spoilt
                    self.slots[number].executor.shutdown(wait=False)
                    self.slots[number] = Slot(self.images, self.machine)
                idle.append(number)
                yield outcome

    def measure(self, trials: Sequence[Trial], split: Split) -> list[Pace]:
        """What a part costs under each trial, measured in all workers at once as they will be."""
        turns = zip(trials, itertools.cycle(self.slots))
        futures = [slot.executor.submit(_measure, trial, split) for trial, slot in turns]
        return [future.result() for future in futures]

    def close(self) -> None:
        for slot in self.slots:
            slot.executor.shutdown(wait=True, cancel_futures=True)

    def kill(self) -> None:
        for slot in self.slots:
            slot.kill()


def _read(future: Future[Outcome], job: Job) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        failure = "its process died: killed, or out of memory"
    except Exception as error:  # it could not reach the store
        failure = f"{type(error).__name__}: {error}"
    return Outcome(trial=job.trial, dice=float("nan"), best_epoch=0, seconds=0, failure=failure)


def _start(caller: str, *arguments: Any) -> None:
    from training import workers  # the worker's side takes seconds to import, and a pool does without

    workers.end_with(caller)
    workers.start(*arguments)


def _train(job: Job) -> Outcome:
    from training import workers

    return workers.run(job)


def _measure(trial: Trial, split: Split) -> Pace:
    from training import workers

    return workers.measure(trial, split)
