"""Work that takes minutes: handed in, watched, fetched or cancelled. One thread, a short table, the rest on disk.

BentoML's own tasks tell no progress and cannot be cancelled between two tiles. Knows neither HTTP nor images; what is
in the table is lost when the server stops.
"""

import logging
import queue
import secrets
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MAX_JOBS = 16  # waiting, running and done together
KEPT_SECONDS = 3600.0  # a result

State = Literal["waiting", "running", "done", "failed"]
OnProgress = Callable[[int, int], None]
Work = Callable[[bytes, OnProgress], tuple[bytes, str]]  # takes the image; gives the result and its media type


class Cancelled(Exception):
    """Raised between two tiles of a job that nobody wants any more."""


class TableFullError(Exception):
    """As many jobs wait or run as there may be."""


class JobFailed(Exception):
    """Raised by work that cannot be done, with the reason for who asked."""


@dataclass
class ImageJob:
    id: str
    work: Work
    path: Path  # of the image; once it is done, of the result
    state: State = "waiting"
    done: int = 0
    total: int = 0
    detail: str | None = None  # why it failed
    media_type: str = ""
    ended: float = 0.0
    cancelled: bool = False


class Jobs:
    """May be used from several threads."""

    def __init__(self) -> None:
        self._table: dict[str, ImageJob] = {}
        self._waiting: queue.Queue[ImageJob] = queue.Queue()
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def submit(self, image: bytes, work: Work) -> ImageJob:
        """Raises TableFullError when no finished job can make room."""
        with self._lock:
            self._expire()
            if len(self._table) >= MAX_JOBS:
                finished = [job for job in self._table.values() if job.ended]
                if not finished:
                    raise TableFullError(
                        f"{len(self._table)} jobs wait or run; at most {MAX_JOBS} may: try again later"
                    )
                self._forget(min(finished, key=lambda job: job.ended))
            if self._folder is None:  # only a server that is given jobs needs a folder and a thread
                self._folder = tempfile.TemporaryDirectory(prefix="segment-jobs-")
                threading.Thread(target=self._run, daemon=True).start()
            name = secrets.token_urlsafe(16)  # not to be guessed: who knows it may fetch the result
            job = self._table[name] = ImageJob(name, work, Path(self._folder.name) / name)
            job.path.write_bytes(image)
        self._waiting.put(job)
        return job

    def find(self, name: str) -> ImageJob | None:
        with self._lock:
            self._expire()
            return self._table.get(name)

    def cancel(self, job: ImageJob) -> None:
        """Forget it, and its result. What runs stops after the present tile."""
        with self._lock:
            self._forget(job)

    def _run(self) -> None:
        while True:
            job = self._waiting.get()
            state: State = "failed"
            try:
                watch = self._watch(job)
                watch(0, 0)
                job.state = "running"
                content, media_type = job.work(job.path.read_bytes(), watch)
                watch(job.done, job.total)
                job.path.write_bytes(content)
                state, job.media_type = "done", media_type
                del content
            except Cancelled:
                pass
            except JobFailed as error:
                job.detail = str(error)
            except Exception as error:  # the thread must live on: others wait
                logging.exception("a job failed")
                job.detail = f"{type(error).__name__}; the server's log says more"
            with self._lock:
                job.ended, job.state = time.monotonic(), state
                if state != "done" or job.cancelled:
                    job.path.unlink(missing_ok=True)

    def _watch(self, job: ImageJob) -> OnProgress:
        def progress(done: int, total: int) -> None:
            job.done, job.total = done, total
            if job.cancelled:
                raise Cancelled

        return progress

    def _expire(self) -> None:
        for job in [one for one in self._table.values() if one.ended and time.monotonic() - one.ended > KEPT_SECONDS]:
            self._forget(job)

    def _forget(self, job: ImageJob) -> None:
        self._table.pop(job.id, None)
        job.cancelled = True
        if job.state != "running":  # what runs stops after the present tile, and unlinks then
            job.path.unlink(missing_ok=True)
