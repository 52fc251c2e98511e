"""What the caller of workers and the workers say to each other: jobs, outcomes, news of epochs. Values only."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from training.data.split import Split
from training.study.trial import Trial
from training.study.winning import score_of

COLLAPSED = "predicts no foreground"  # in words
FORWARDED_ENV = (  # a worker is forked from a server that may be older
    *("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID"),
    *("UNET_STUDIES_CHECKPOINT_SECONDS", "UNET_STUDIES_RETRY_SECONDS"),
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A trial and where its run belongs."""

    trial: Trial
    name: str
    experiment_id: str
    parent: str
    tags: dict[str, str]
    result_hash: str  # training/execution/identity.py
    split: Split
    checkpoint: Path  # where the trial is kept while it trains
    judges: tuple[int, ...] = ()  # of a cell of a table: images that it is scored on, and nothing is chosen by
    in_place_of: str = ""  # the run that has its scores, but no weights


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a trial: its best validation Dice (nan when it diverged), or why it failed."""

    trial: Trial
    dice: float  # at image_size
    own_dice: float  # of that epoch, at the images' own size
    best_epoch: int
    seconds: float
    empty_images: int = 0  # validation images without foreground, which `dice` leaves out
    false_alarms: int = 0  # of these, the images in which any is predicted
    note: str = ""  # diverged or collapsed, in words
    collapsed: bool = False  # it predicts no foreground, or none that is right: it never wins
    failure: str = ""
    skipped: bool = False  # another process trains it, or has

    @classmethod
    def fail(cls, trial: Trial, reason: str) -> Self:
        return cls(trial=trial, dice=math.nan, own_dice=math.nan, best_epoch=0, seconds=0, failure=reason)

    @classmethod
    def skip(cls, trial: Trial) -> Self:
        """Another process trains it, or has: nothing was done here."""
        return cls(trial=trial, dice=math.nan, own_dice=math.nan, best_epoch=0, seconds=0, skipped=True)

    @property
    def score(self) -> float:
        """What searches judge by: the Dice at the images' own size, 0 of a trial that collapsed, nan if it diverged."""
        return score_of(self.own_dice, collapsed=self.collapsed, diverged=math.isnan(self.dice))


@dataclass(frozen=True)
class EpochDone:
    """A worker's news: an epoch of a trial is done."""

    trial: Trial
    epoch: int
    dice: float


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one tile costs."""

    train_seconds: float
    val_seconds: float
