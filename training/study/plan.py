"""From a study and a user's settings to searches: presets, epochs, seeds, and the rows a protocol has no room for.

Pure: no data is read and nothing is run. Values a person gave are checked here, before any run exists.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from training.study.search import SEARCHES, Search
from training.study.studies import Baseline, Row, Study, baseline_from_report
from training.study.trial import PROTOCOLS, Trial

BASELINES = ("report", "measured")
BUDGETS = ("epochs", "steps")  # what trials on little and on much data have alike
EVALUATION_COST = 0.35  # of a training image's; for estimates of the time left only
WIDTH_COST = 1.5  # the power of the width that a step takes, likewise; between memory traffic (1) and arithmetic (2)

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
    epochs: str  # a whole number for every trial, or "preset"
    image_size: str  # pixels, or "preset"
    fit: str
    seeds: int
    baseline: str
    search: str
    budget: str
    protocol: str
    switching_tau: float
    precision: str
    val_percent: int
    test_percent: int
    fold: int

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("preset", self.preset, tuple(PRESETS)),
            ("baseline", self.baseline, BASELINES),
            ("search", self.search, tuple(SEARCHES)),
            ("budget", self.budget, BUDGETS),
            ("protocol", self.protocol, PROTOCOLS),
        ):
            if value not in allowed:
                raise ValueError(f"{name}={value!r} is unknown; it must be one of {', '.join(allowed)}")
        if self.seeds < 1:
            raise ValueError(f"seeds={self.seeds} is out of range; it must be at least 1")
        if self.val_percent < 1 or self.test_percent < 1 or self.val_percent + self.test_percent > 90:
            raise ValueError(
                f"val_percent={self.val_percent} and test_percent={self.test_percent} leave too little; "
                "each must be at least 1, and together at most 90"
            )
        self.base(epochs=1)  # raises for what Trial does not take

    @property
    def pixels(self) -> int:
        return PRESETS[self.preset].image_size if self.image_size == "preset" else _whole("image_size", self.image_size)

    @property
    def largest_train_percent(self) -> int:
        """The share of all images the protocol leaves for training."""
        return 100 if self.protocol == "report" else 100 - self.val_percent - self.test_percent

    def base(self, epochs: int) -> dict[str, Any]:
        """The factors every trial starts from; epochs are those the report gives its row."""
        share = PRESETS[self.preset].epoch_share
        scaled = max(1, round(epochs * share)) if self.epochs == "preset" else _whole("epochs", self.epochs)
        base: dict[str, Any] = {
            "epochs": scaled,
            "image_size": self.pixels,
            "fit": self.fit,
            "train_percent": min(Trial.train_percent, self.largest_train_percent),
            "switching_tau": self.switching_tau,
            "precision": self.precision,
            "fold": self.fold,
            **(KERAS if self.protocol == "report" else {}),
        }
        Trial(loss="bce", optimizer="adam", lr=1e-3, **base)
        return base


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study made ready: its searches, which of their trials lie beyond the report, and what was left out, and why."""

    study: Study
    searches: list[Search]
    extra: frozenset[Trial]
    left_out: list[str]
    incumbent: Trial | None  # the trial that repeats what was settled before, where the study settles anything

    @property
    def num_trials(self) -> int:
        return sum(search.num_trials for search in self.searches)


def make_plan(study: Study, baseline: Baseline, settings: Settings) -> Plan:
    """The study's searches under these settings, from a baseline."""
    room = settings.largest_train_percent
    rows = list(study.rows(baseline))
    fitting = [row for row in rows if row.factors.get("train_percent", 0) <= room]  # the others take what there is
    kept = [row for row in fitting if not math.isnan(row.factors.get("lr", 0))]
    searches = [_search(study, row, settings) for row in kept]
    extra = [trial for row, search in zip(kept, searches, strict=True) if row.extra for trial in search.propose({})]
    left_out = sorted({row.factors["train_percent"] for row in rows if row not in fitting})
    unsearched = sorted({f"{row.factors['optimizer']}" for row in fitting if row not in kept})
    reasons = [
        f"train_percent={percent}: protocol=fixed holds out {100 - room} % of the images, so {room} is all there is; "
        "protocol=report has it (and then validates on training images)"
        for percent in left_out
    ]
    reasons += [
        f"optimizer={name}: the study learning_rate found no learning rate with which it predicts any foreground; more "
        "epochs may find one, and baseline=report takes the report's"
        for name in unsearched
    ]
    incumbent = _find_incumbent(study, baseline, searches)
    return Plan(study=study, searches=searches, extra=frozenset(extra), left_out=reasons, incumbent=incumbent)


def _find_incumbent(study: Study, baseline: Baseline, searches: list[Search]) -> Trial | None:
    """At the largest training fraction, where alone cells compete."""
    if study.search_lr or not study.fixes:
        return None
    settled = {factor: getattr(baseline, factor) for factor in study.scientific if hasattr(baseline, factor)}
    trials = [trial for search in searches for trial in search.propose({}) if trial.seed == 0]
    same = [trial for trial in trials if all(getattr(trial, factor) == value for factor, value in settled.items())]
    return max(same, key=lambda trial: trial.train_percent, default=None)


def estimate_work(study: Study, settings: Settings) -> float:
    """Image passes of all the study's trials, in percent of the data set; the baseline does not change it."""
    plan = make_plan(study, baseline_from_report(study), settings)
    return sum(search.num_trials * trial_work(search.propose({})[0]) for search in plan.searches)


def trial_work(trial: Trial) -> float:
    """Image passes of one trial, in percent of the data set; a wider network's count for more."""
    passes = trial.epochs * (trial.train_percent + 10 * EVALUATION_COST)
    return passes * (trial.width / Trial.width) ** WIDTH_COST


def find_widest(studies: Iterable[Study], settings: Settings) -> Trial:
    """The trial that takes the most memory."""
    plans = (make_plan(study, baseline_from_report(study), settings) for study in studies)
    return max((search.propose({})[0] for plan in plans for search in plan.searches), key=lambda trial: trial.width)


def find_train_percents(studies: Iterable[Study], settings: Settings) -> set[int]:
    """How much these studies train on."""
    plans = (make_plan(study, baseline_from_report(study), settings) for study in studies)
    return {search.propose({})[0].train_percent for plan in plans for search in plan.searches}


def describe(trial: Trial, factors: tuple[str, ...], seeds: int) -> str:
    """A trial's name: what varies in its study."""
    names = [*factors, "seed"] if seeds > 1 else list(factors)
    return " ".join(f"{name}={getattr(trial, name)}" for name in names)


def _search(study: Study, row: Row, settings: Settings) -> Search:
    alike = settings.budget == "steps" or "epochs" in study.scientific  # then a row's own epochs are no budget
    base = settings.base(study.epochs if alike else row.factors.get("epochs", study.epochs))
    if "epochs" in study.scientific:  # a multiple of the study's, whatever a preset or a person makes of those
        base["epochs"] = base["epochs"] * row.factors["epochs"] // study.epochs
    factors = {name: value for name, value in row.factors.items() if name != "epochs"}
    if settings.budget == "steps":
        percent = factors.get("train_percent", base["train_percent"])
        base["epochs"] = round(base["epochs"] * settings.largest_train_percent / percent)
    refine = PRESETS[settings.preset].refine
    return study.search(Row(factors), base, seeds=settings.seeds, search=settings.search, refine=refine)


def _whole(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"{name}={value!r} is no whole number; give one, or `preset` for the preset's") from None
