"""What a person sees while studies run: which study, which trial of how many, the Dice now, the time left.

On a terminal the last line is rewritten at every epoch; in a log there is one line per finished trial. Not
tqdm: a log gets either nothing or one endless line of it, and the time left here weighs trials by what they cost.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NoReturn, TextIO

from training.study.plan import trial_work
from training.study.trial import Trial

PACE = 50  # finished trials that the time left is judged by: the machine may have had other work before
MIN_IMAGES_SHOWN = 500  # fewer are read in a moment


@dataclass
class Progress:
    """Work is counted in image passes, so trials of different length weigh what they cost."""

    total_work: float  # of all studies to come
    out: TextIO = field(default_factory=lambda: sys.stdout)
    done_work: float = 0.0
    paces: deque[tuple[float, float]] = field(default_factory=lambda: deque([(time.monotonic(), 0.0)], PACE))
    running: dict[Trial, int] = field(default_factory=dict)  # epochs done
    title: str = ""
    num_trials: int = 0
    finished: int = 0

    def begin_study(self, position: str, name: str, question: str, num_trials: int) -> None:
        self.title, self.num_trials, self.finished = f"{position} {name}".strip(), num_trials, 0
        self.say(f"\n{self.title}: {question} ({num_trials} trials)")

    def epoch(self, trial: Trial, number: int, dice: float, name: str) -> None:
        self.running[trial] = number
        if self.out.isatty():
            text = f"  {self.title}: trial {self.finished + 1} of {self.num_trials}, {name}, "
            text += f"epoch {number} of {trial.epochs}, val Dice {dice:.3f}, {self.left()}"
            self.out.write("\r\x1b[K" + text[:118])
            self.out.flush()

    def trial(self, trial: Trial, name: str, result: str) -> None:
        self.running.pop(trial, None)
        self.done_work += trial_work(trial)
        self.finished += 1
        self.paces.append((time.monotonic(), self.done_work))
        self.say(f"  {self.finished:3d}/{self.num_trials}  {name:<52} {result}  {self.left()}")

    def skip(self, trials: Iterable[Trial]) -> None:
        """Trials that cost no time."""
        for trial in trials:
            self.total_work -= trial_work(trial)
            self.finished += 1

    def say(self, text: str) -> None:
        self.out.write(("\r\x1b[K" if self.out.isatty() else "") + text + "\n")
        self.out.flush()

    def left(self) -> str:
        """The time left, judged by the pace of late."""
        running = sum(trial_work(trial) * number / trial.epochs for trial, number in self.running.items())
        start, before = self.paces[0]
        done = self.done_work + running
        if done <= before:
            return "time left unknown"
        seconds = (time.monotonic() - start) * max(0.0, self.total_work - done) / (done - before)
        return f"about {duration(seconds)} left"


def reading_progress(out: TextIO) -> Callable[[int, int], None]:
    """Told (images read, images in all): one rewritten line on a terminal, a line every tenth in a log."""

    def show(done: int, total: int) -> None:
        if out.isatty():
            out.write(f"\r\x1b[Kreading images: {done} of {total}" + ("\n" if done == total else ""))
            out.flush()
        elif total >= MIN_IMAGES_SHOWN and done * 10 // total > (done - 1) * 10 // total:
            out.write(f"reading images: {done} of {total}\n")
            out.flush()

    return show


def duration(seconds: float) -> str:
    """At most two units, as a person would say it."""
    minutes, hours = round(seconds / 60), round(seconds / 3600, 1)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{hours} h"


def leave(status: int) -> NoReturn:
    """End the process at once: torch and MLflow take two seconds to take themselves apart."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
