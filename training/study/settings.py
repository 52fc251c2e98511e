"""What a person chooses for a whole study: presets, epochs, seeds, whose learning rates. Values, checked here.

Nothing here knows a study; what its rows become under these settings: plan.py.
"""

import math
from dataclasses import dataclass
from typing import Any

from training.study.intervals import MIN_UNITS
from training.study.search import SEARCHES
from training.study.trial import PROTOCOLS, Trial

BASELINES = ("report", "measured")
BUDGETS = ("epochs", "steps")  # what trials on little and on much data have alike
RATES = ("auto", "shared", "own")  # whose learning rates the rows take that compare losses, optimizers or schedulers
RATE_SEED = 1000  # of the searches for a row's own learning rate: no cell has it, so what chose the rate judges nothing
SEARCH_ROW = "search"  # the tag `row` of these searches; of a study's rows it is `published` or `extra`

# protocol=report: the report's sources are Keras', and at lr 1e-4 its SGD and AdaGrad learn as little (Fig. 2) as with
# these. Defaults of tf.keras 2.3, 2020: https://www.tensorflow.org/versions/r2.3/api_docs/python/tf/keras/optimizers
KERAS = {
    "sgd_momentum": 0.0,
    "adagrad_accumulator": 0.1,
    "rmsprop_alpha": 0.9,
    "adadelta_rho": 0.95,
    "adadelta_eps": 1e-7,
}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How much of the report's effort to spend."""

    epoch_share: float  # of the report's epochs, at least 1
    image_size: int  # pixels
    refine: bool  # learning-rate searches: 9 trials, or only the 4 decades
    meant_for: str


PRESETS = {
    "demo": Preset(epoch_share=0.03, image_size=64, refine=False, meant_for="minutes on two CPU cores"),
    "small": Preset(epoch_share=0.1, image_size=128, refine=True, meant_for="hours on two CPU cores"),
    "report": Preset(epoch_share=1.0, image_size=256, refine=True, meant_for="the report's epochs, on a GPU"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user chooses for a whole study. `preset` in epochs or image_size means: what the preset says."""

    preset: str
    epochs: str  # a whole number for every trial; a share of the report's, as 25%; or "preset"
    image_size: str  # pixels, or "preset"
    fit: str
    seeds: int
    baseline: str
    search: str
    rates: str
    budget: str
    protocol: str
    switching_tau: float
    precision: str
    val_percent: int
    test_percent: int
    fold: int
    strategy: str = ""  # of `tune`
    trials: int = 0  # that `tune`, or a play of `live`, may cost, in full trials
    hours: float = math.inf  # that `tune` may take
    cells: str = "all"  # of `grid`: how many
    repeats: int = 0  # of `live`: how often each player plays

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("preset", self.preset, tuple(PRESETS)),
            ("baseline", self.baseline, BASELINES),
            ("search", self.search, tuple(SEARCHES)),
            ("rates", self.rates, RATES),
            ("budget", self.budget, BUDGETS),
            ("protocol", self.protocol, PROTOCOLS),
        ):
            if value not in allowed:
                raise ValueError(f"{name}={value!r} is unknown; it must be one of {', '.join(allowed)}")
        if not 1 <= self.seeds <= RATE_SEED:
            raise ValueError(f"seeds={self.seeds} is out of range; it must be between 1 and {RATE_SEED}")
        if self.val_percent < 1 or self.test_percent < 1 or self.val_percent + self.test_percent > 90:
            raise ValueError(
                f"val_percent={self.val_percent} and test_percent={self.test_percent} leave too little; "
                "each must be at least 1, and together at most 90"
            )
        if self.strategy and (self.trials < 1 or not self.hours > 0 or self.seeds != 1):
            raise ValueError(
                f"trials={self.trials}, hours={self.hours:g} and seeds={self.seeds}: trials must be at least 1, hours "
                "above 0 and seeds 1, because tune trains one seed of a configuration; a study repeats what it found"
            )
        self.plain_trial(epochs=1)  # raises for what Trial does not take

    @property
    def pixels(self) -> int:
        return PRESETS[self.preset].image_size if self.image_size == "preset" else _whole("image_size", self.image_size)

    @property
    def rates_in_use(self) -> str:
        """shared: those that the study learning_rate found, or the report's; own: searched for each row anew."""
        return usual_rates(self.baseline, self.seeds) if self.rates == "auto" else self.rates

    @property
    def largest_train_percent(self) -> int:
        """The share of all images the protocol leaves for training."""
        return 100 if self.protocol == "report" else 100 - self.val_percent - self.test_percent

    def base(self, epochs: int) -> dict[str, Any]:
        """The factors every trial starts from; epochs are those the report gives its row."""
        return {
            "epochs": self._scale(epochs),
            "image_size": self.pixels,
            "fit": self.fit,
            "train_percent": min(Trial.train_percent, self.largest_train_percent),
            "switching_tau": self.switching_tau,
            "precision": self.precision,
            "fold": self.fold,
            **(KERAS if self.protocol == "report" else {}),
        }

    def plain_trial(self, epochs: int) -> Trial:
        """The trial that knows of nothing but these settings; epochs are those the report gives its row."""
        return Trial(loss="bce", optimizer="adam", lr=1e-3, **self.base(epochs))

    def _scale(self, epochs: int) -> int:
        if self.epochs == "preset":
            return scale_epochs(epochs, PRESETS[self.preset].epoch_share)
        if self.epochs.endswith("%"):
            return scale_epochs(epochs, _percent(self.epochs) / 100)
        return _whole("epochs", self.epochs)


def scale_epochs(epochs: int, share: float) -> int:
    """So much of the report's epochs, at least 1."""
    return max(1, round(epochs * share))


def usual_rates(baseline: str, seeds: int) -> str:
    """rates=auto: the report's where all else is the report's, too, and no searches where nothing can be decided."""
    return "own" if baseline == "measured" and seeds >= MIN_UNITS else "shared"


def _percent(value: str) -> int:
    number = value.removesuffix("%")
    if not number.isdecimal() or int(number) < 1:
        raise ValueError(f"epochs={value!r}: a share of the report's epochs is a whole percentage from 1%, as 25%")
    return int(number)


def _whole(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        share = ", a share of the report's, as 25%," if name == "epochs" else ""
        raise ValueError(f"{name}={value!r} is no whole number; give one{share} or `preset` for the preset's") from None
