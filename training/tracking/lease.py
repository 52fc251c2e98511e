"""Who trains a trial: its own run is its lease, so no two processes ever train the same one.

A run asks for its trial, and holds it once nobody else does; its process says every BEAT_SECONDS that it is alive. A
run whose process is gone is ended, whoever notices, and its trial is free again. Works on any store of MLflow, because
all it takes is that a run, once written, is found. Knows nothing of training.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import psutil

from training.tracking.provenance import now, this_place, this_process
from training.tracking.retry import is_transient
from training.tracking.store import search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LEASE, REQUESTED, HELD = "lease", "asked", "held"  # a tag and its values
BEAT_SECONDS = 20.0
STALE_SECONDS = 120.0  # without a beat, a process of another place is taken for dead; clocks must agree to a minute
CLOCK_SECONDS = 5.0  # by which a process's own start may seem to move when the clock is set
ASK_SECONDS = 0.2
PROCESS_DIED = "its process ended without a word: killed, out of memory, or the machine went down"


class LeaseLost(Exception):
    """Somebody took this run for dead, and its trial with it."""


@dataclass(frozen=True)
class TrialRuns:
    """What the store knows of a trial: runs that trained it."""

    finished: "Run | None"
    training: "list[Run]"
    dead: "list[Run]"  # RUNNING, but their process is gone
    failed: "list[Run]"


def look_up(client: "MlflowClient", result_hash: str, without: str = "") -> TrialRuns:
    """The runs of a trial, of whichever study, experiment and machine; not the one with the id `without`."""
    found = search_runs(client, f"tags.result_hash = '{result_hash}'", "start_time ASC")
    runs = [run for run in found if run.info.run_id != without]
    finished = [run for run in runs if run.info.status == "FINISHED"]
    running = [run for run in runs if run.info.status == "RUNNING"]
    training = [run for run in running if is_alive(run.data.tags)]
    dead = [run for run in running if run not in training]
    failed = [run for run in runs if run.info.status == "FAILED"]
    return TrialRuns(finished[0] if finished else None, training, dead, failed)


def claim(client: "MlflowClient", result_hash: str, run_id: str, without: str = "") -> bool:
    """Whether this run, which was created with the tag lease=asked, may train. If not, it has to go.

    Lamport's bakery, with run ids for tickets: of those that ask, the smallest waits until the others have gone or
    hold; the others go at once. A run that was not seen yet will see this one. A process trains one trial at a time:
    other runs of its own are what a lost answer of the store left behind.
    """
    while True:
        known = look_up(client, result_hash, without)
        others = [run for run in known.training if run.data.tags["process"] != this_process()]
        if known.finished or any(run.data.tags.get(LEASE) == HELD for run in others):
            return False
        if any(run.info.run_id < run_id for run in others):
            return False
        if not others:
            client.set_tag(run_id, LEASE, HELD)
            return True
        time.sleep(ASK_SECONDS)


def end_stale_runs(client: "MlflowClient", runs: "Iterable[Run]", status: str = "KILLED") -> list[str]:
    """End those of our runs that are RUNNING though their process is gone; the ids of these."""
    dead = [run for run in runs if run.info.status == "RUNNING" and not is_alive(run.data.tags)]
    for run in dead:
        client.set_tag(run.info.run_id, "failure", PROCESS_DIED)
        client.set_terminated(run.info.run_id, status)
    return [run.info.run_id for run in dead]


def is_alive(tags: Mapping[str, str]) -> bool:
    """Whether the process that writes a run is there: looked up where its number holds, else judged by its beat.

    An older version's name has no place; a machine that was started anew has another one: both are judged by the beat.
    """
    process = tags.get("process", "")
    if not process or "heartbeat" not in tags:
        return True  # not ours, so not ours to end
    if process.rpartition(":")[2] == this_place():
        return process_exists(process)
    beat = datetime.fromisoformat(tags["heartbeat"])
    return (datetime.now(UTC) - beat).total_seconds() < STALE_SECONDS


def process_exists(name: str) -> bool:
    """Whether a process of this place, named by provenance.this_process, runs. Another may have got its number."""
    _, pid, started, _ = name.split(":")
    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(started)) < CLOCK_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Heartbeat:
    """Beats for a run until it is left; `check` raises LeaseLost once the run was ended by somebody else."""

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._done, self._lost = threading.Event(), False
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def check(self) -> None:
        if self._lost:
            raise LeaseLost(self._run_id)

    def _beat(self) -> None:
        while not self._done.wait(BEAT_SECONDS):
            try:
                self._lost = self._client.get_run(self._run_id).info.status != "RUNNING"
                if self._lost:
                    return
                self._client.set_tag(self._run_id, "heartbeat", now())
            except Exception as error:
                if not is_transient(error):
                    raise
