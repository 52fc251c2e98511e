"""Trials as tasks of a Ray cluster: pool.py's jobs and outcomes, on as many machines as there are.

RAY_ADDRESS names the cluster; without it Ray starts on this machine alone. What a task does is workers.py, as
in a process of our own. A task whose process or node dies is given to another, which finds the trial free again
(training/tracking/lease.py). The store must be one that every node reaches. docs/scale.md says how to start it.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from training import ROOT
from training.command.machine import Machine
from training.data.image_set import ImageSet
from training.execution.jobs import FORWARDED_ENV, EpochDone, Job, Outcome

OTHER_TRIES = 3  # of a task whose process died
CURE = "ray is not installed: pip install -r requirements-ray.txt"


class RayPool:
    """Raises ValueError when Ray is not there, or the store is a file of this machine."""

    def __init__(self, images: ImageSet, machine: Machine) -> None:
        uri = os.environ.get("MLFLOW_TRACKING_URI", "")
        if not uri.startswith(("http", "postgresql")):
            raise ValueError(
                f"executor=ray: MLFLOW_TRACKING_URI={uri!r} is a file of this machine, and every node must reach the "
                "store; start `mlflow server` and set MLFLOW_TRACKING_URI to its address (docs/scale.md)"
            )
        try:
            import ray
        except ImportError:
            raise ValueError(f"executor=ray: {CURE}") from None
        self._ray = ray
        settings = {name: os.environ[name] for name in FORWARDED_ENV if name in os.environ}
        path = {"PYTHONPATH": str(ROOT)}
        ray.init(
            address=os.environ.get("RAY_ADDRESS"),
            runtime_env={"env_vars": path},
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if "RAY_ADDRESS" not in os.environ else None,
        )
        arrays = (np.asarray(images.images), np.asarray(images.masks), dict(images.own_masks))
        self._shared = ray.put((images, *arrays, machine, settings))
        on_gpu = machine.device.type == "cuda"
        needs = {"num_cpus": 1, "num_gpus": 1 / machine.workers} if on_gpu else {"num_cpus": machine.threads}
        self._task = ray.remote(max_retries=OTHER_TRIES, **needs)(_train)
        self._running: dict[Any, Job] = {}

    def run(self, jobs: Iterable[Job], on_epoch: Callable[[EpochDone], None]) -> Iterator[Outcome]:  # noqa: ARG002
        """Outcomes in the order in which trials end. There is no news of epochs: they are in the store."""
        self._running = {self._task.remote(self._shared, job): job for job in jobs}
        while self._running:
            (done,), _ = self._ray.wait(list(self._running), num_returns=1)
            job = self._running.pop(done)
            try:
                yield self._ray.get(done)
            except self._ray.exceptions.RayError as error:
                failure = f"{type(error).__name__}: {str(error).splitlines()[0]}"
                yield Outcome.fail(job.trial, failure)

    def close(self) -> None:
        self._ray.shutdown()

    def kill(self) -> None:
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._ray.shutdown()


class _Silent:
    """Where a worker's news goes: nowhere."""

    def put(self, epoch_done: EpochDone) -> None:
        pass


_started = False


def _train(shared: tuple[Any, ...], job: Job) -> Outcome:
    """In a Ray worker, which takes one task after another and prepares itself for the first."""
    global _started  # noqa: PLW0603 - Ray has no initializer of a worker
    from training.execution import workers

    if not _started:
        images, pixels, masks, own_masks, machine, settings = shared
        images.attach(np.array(pixels), np.array(masks), own_masks)
        workers.start(images, machine, _Silent(), settings)
        _started = True
    return workers.run(job)
