"""What may be spent on deciding, and what is spent of it."""

import json
import os
import time
from dataclasses import dataclass, field

import pandas as pd

from training.command.progress import duration


@dataclass(kw_only=True)
class Budget:
    """Hours of this command; or trials in all, those that were there before it, too."""

    hours: float
    trials: int  # 0: hours count
    started: float = field(default_factory=time.monotonic)
    there: int = 0  # trials in the store
    seconds: float = 0.0  # that those trials took
    waited: float = 0.0  # seconds, for trials that were not counted yet
    at_once: float = field(default_factory=lambda: float(os.cpu_count() or 1))  # trials, as measured in a round

    @property
    def total(self) -> float:
        return self.trials or self.hours * 3600

    @property
    def left(self) -> float:
        return self.total - (self.there if self.trials else time.monotonic() - self.started)

    @property
    def seconds_left(self) -> float | None:
        """None: trials count."""
        return None if self.trials else max(1.0, self.left)

    @property
    def words(self) -> str:
        if self.trials:
            return f"{self.there} of {self.trials} trials"
        return f"{duration(self.total - self.left)} of {duration(self.total)}"

    def count(self, kept_runs: pd.DataFrame) -> None:
        """Look at what the store holds."""
        seconds = sum(json.loads(metrics).get("seconds", 0.0) for metrics in kept_runs["metrics"])
        if self.waited and 0 < self.there < len(kept_runs) and seconds > self.seconds:  # reused ones took none
            self.at_once = (seconds - self.seconds) / self.waited
        self.there, self.seconds, self.waited = len(kept_runs), seconds, 0.0
