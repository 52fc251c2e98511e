"""The worker processes as their caller sees them: jobs go in, outcomes and news of epochs come out.

Each process has the images on its device and one thread per core (workers.py is its side). A process that
dies takes its own trial with it, and no other.
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from typing import Any

from training.command.forkserver import start_forkserver
from training.command.machine import Machine
from training.data.image_set import ImageSet
from training.data.split import Split
from training.execution.jobs import FORWARDED_ENV, EpochDone, Job, Outcome, Timing
from training.study.trial import Trial
from training.tracking.provenance import this_process


class Slot:
    """One worker process and the line on which its news arrives. Nothing of it is shared with another."""

    def __init__(self, images: ImageSet, machine: Machine) -> None:
        context = start_forkserver()
        self.ticks: SimpleQueue[EpochDone] = context.SimpleQueue()
        self.trial: Trial | None = None
        settings = {name: os.environ[name] for name in FORWARDED_ENV if name in os.environ}
        self.executor = ProcessPoolExecutor(
            1, context, initializer=_start, initargs=(this_process(), images, machine, self.ticks, settings)
        )

    def train(self, job: Job) -> "Future[Outcome]":
        self.trial = job.trial
        return self.executor.submit(_train, job)

    def poll(self) -> Iterator[EpochDone]:
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

    def run(self, jobs: Iterable[Job], on_epoch: Callable[[EpochDone], None]) -> Iterator[Outcome]:
        """Outcomes in the order in which trials end. News arrives while one waits."""
        waiting, idle = deque(jobs), list(range(len(self.slots)))
        busy: dict[Future[Outcome], tuple[Job, int]] = {}
        while waiting or busy:
            while waiting and idle:
                job, number = waiting.popleft(), idle.pop()
                busy[self.slots[number].train(job)] = job, number
            done, _ = wait(busy, timeout=0.2, return_when=FIRST_COMPLETED)
            for slot in self.slots:
                for done_epoch in slot.poll():
                    on_epoch(done_epoch)
            for future in done:
                job, number = busy.pop(future)
                outcome = _read(future, job)
                if outcome.failure:  # the process may be gone, or its GPU context be spoilt
                    self.slots[number].executor.shutdown(wait=False)
                    self.slots[number] = Slot(self.images, self.machine)
                idle.append(number)
                yield outcome

    def measure(self, trials: Sequence[Trial], split: Split) -> list[Timing]:
        """What a tile costs under each trial, measured in all workers at once as they will be."""
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
    return Outcome.fail(job.trial, failure)


def _start(caller: str, *arguments: Any) -> None:
    from training.execution import workers  # the worker's side takes seconds to import, and a pool does without

    workers.end_with(caller)
    workers.start(*arguments)


def _train(job: Job) -> Outcome:
    from training.execution import workers

    return workers.run(job)


def _measure(trial: Trial, split: Split) -> Timing:
    from training.execution import workers

    return workers.measure(trial, split)
