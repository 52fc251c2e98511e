"""From a study and a baseline to its searches: the trials of every row, and the rows a protocol has no room for.

Pure: no data is read and nothing is run.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from training.study.grid import GRID, JUDGE_PERCENT, grid_trials
from training.study.live import LIVE, make_plays
from training.study.search import DECADES, DecadeSearch, Grid, Search, TunedGrid
from training.study.settings import PRESETS, RATE_SEED, SEARCH_ROW, Settings
from training.study.studies import COMBINATION, STUDIES, Baseline, Row, Study, baseline_from_report
from training.study.trial import Trial
from training.study.tuning import TUNE, Tuning
from training.study.winning import Results

EVALUATION_COST = 0.35  # of a training image's; for estimates of the time left only
RUNNABLE: Mapping[str, Study] = {**STUDIES, TUNE.name: TUNE, GRID.name: GRID, LIVE.name: LIVE}
WIDTH_COST = 1.5  # the power of the width that a step takes, likewise; between memory traffic (1) and arithmetic (2)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study made ready: the searches for its rows' own rates, its rows, and what was left out, and why."""

    study: Study
    rates: list[DecadeSearch]
    cells: list[tuple[Row, Search]]
    left_out: list[str]
    settled: Mapping[str, Any]  # what earlier studies fixed of the factors that this one fixes anew; empty: nothing

    @property
    def searches(self) -> list[Search]:
        return [*self.rates, *(search for _, search in self.cells)]

    @property
    def num_trials(self) -> int:
        return sum(search.num_trials for search in self.searches)

    def propose(self, results: Results) -> list[Trial]:
        """What all searches want to run next, each trial once; none when the study is done."""
        return list(dict.fromkeys(trial for search in self.searches for trial in search.propose(results)))

    def row_of(self, trial: Trial) -> str:
        """Whether the trial is of a `published` row, of an `extra` one, or only of a search for a row's rate."""
        if any(rate.holds(trial) for rate in self.rates):
            return SEARCH_ROW
        extra = next((row.extra for row, search in self.cells if search.holds(trial)), False)
        return "extra" if extra else "published"

    def find_incumbent(self, trials: Iterable[Trial]) -> Trial | None:
        """The trial that repeats what was settled, at the largest training fraction, where alone cells compete."""
        same = [
            trial
            for trial in trials
            if self.settled
            and trial.seed == 0
            and all(getattr(trial, factor) == value for factor, value in self.settled.items())
        ]
        return max(same, key=lambda trial: trial.train_percent, default=None)


def make_plan(study: Study, baseline: Baseline, settings: Settings, known: Results = MappingProxyType({})) -> Plan:
    """The study's searches under these settings, from a baseline.

    known: results of earlier studies on the same images, which `tune` is told first.
    """
    if study is TUNE:
        start = _start(study, Row({"loss": baseline.loss, "optimizer": baseline.optimizer, "lr": DECADES[0]}), settings)
        tuning = Tuning(start, settings.strategy, settings.trials, known, settings.hours)
        return Plan(study=study, rates=[], cells=[(Row({}, extra=True), tuning)], left_out=[], settled={})
    room = settings.largest_train_percent
    if study.is_table:
        start = settings.plain_trial(study.epochs).replace(train_percent=room - JUDGE_PERCENT)
        searches: Sequence[Search] = (
            [Grid(grid_trials(start, settings.cells))]
            if study is GRID
            else make_plays(start, settings.trials, settings.repeats)
        )
        cells = [(Row({}, extra=True), search) for search in searches]
        return Plan(study=study, rates=[], cells=cells, left_out=[], settled={})
    rows = list(study.rows(baseline))
    fitting = [row for row in rows if row.factors.get("train_percent", 0) <= room]  # the others take what there is
    is_own = settings.rates_in_use == "own"
    kept = [row for row in fitting if (row.tuned and is_own) or not math.isnan(row.factors.get("lr", 0))]
    cells = _cells(study, kept, settings)
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
    settles = bool(study.fixes) and not study.search_lr
    settled = {name: getattr(baseline, name) for name in study.scientific if settles and hasattr(baseline, name)}
    rates = list(dict.fromkeys(search.rate for _, search in cells if isinstance(search, TunedGrid)))
    return Plan(study=study, rates=rates, cells=cells, left_out=reasons, settled=settled)


def estimate_work(study: Study, settings: Settings) -> float:
    """Image passes of all the study's trials, in percent of the data set; the baseline does not change it."""
    searches = make_plan(study, baseline_from_report(study), settings).searches
    return sum(cost_in_trials(search) * trial_work(search.start) for search in searches)


def cost_in_trials(search: Search) -> int:
    """How many trials like its first it costs: as many as it takes, but where short ones count with their share."""
    return search.trials if isinstance(search, Tuning) else search.num_trials


def trial_work(trial: Trial) -> float:
    """Image passes of one trial, in percent of the data set; a wider network's count for more."""
    passes = trial.epochs * (trial.train_percent + 10 * EVALUATION_COST)
    return passes * (trial.width / Trial.width) ** WIDTH_COST


def find_widest(studies: Iterable[Study], settings: Settings) -> Trial:
    """The trial that takes the most memory."""
    plans = (make_plan(study, baseline_from_report(study), settings) for study in studies)
    return max((search.start for plan in plans for search in plan.searches), key=lambda trial: trial.width)


def find_train_percents(studies: Iterable[Study], settings: Settings) -> set[int]:
    """How much these studies train on."""
    plans = (make_plan(study, baseline_from_report(study), settings) for study in studies)
    return {search.start.train_percent for plan in plans for search in plan.searches}


def describe(trial: Trial, factors: tuple[str, ...], seeds: int) -> str:
    """A trial's name: what varies in its study."""
    names = [*factors, "seed"] if seeds > 1 else list(factors)
    return " ".join(f"{name}={getattr(trial, name)}" for name in names)


def _cells(study: Study, rows: list[Row], settings: Settings) -> list[tuple[Row, Search]]:
    """Each row with its trials: every seed of the cell, or the search for its learning rate.

    A row's own rate is searched with its loss, optimizer and scheduler, at the study's epochs and on the most data;
    rows that differ in nothing of these share it.
    """
    seeds, refine = tuple(range(settings.seeds)), PRESETS[settings.preset].refine
    starts = [_start(study, row, settings) for row in rows]
    cells: list[tuple[Row, Search]] = []
    for row, start in zip(rows, starts, strict=True):
        if study.search_lr:
            cells.append((row, DecadeSearch(start, seeds, settings.search, refine)))
        elif row.tuned and settings.rates_in_use == "own":
            alike = [one for one in starts if _combination(one) == _combination(start)]
            most_data = max(alike, key=lambda trial: trial.train_percent).replace(lr=DECADES[0], seed=RATE_SEED)
            rate = DecadeSearch(most_data, (RATE_SEED,), settings.search, refine)
            cells.append((row, TunedGrid(start, seeds, rate)))
        else:
            cells.append((row, Grid(tuple(start.replace(seed=seed) for seed in seeds))))
    return cells


def _combination(trial: Trial) -> tuple[str, ...]:
    return tuple(getattr(trial, name) for name in COMBINATION)


def _start(study: Study, row: Row, settings: Settings) -> Trial:
    """The row's trial of seed 0; of a learning rate that is still to be found, the first one tried."""
    alike = settings.budget == "steps" or "epochs" in study.scientific  # then a row's own epochs are no budget
    base = settings.base(study.epochs if alike else row.factors.get("epochs", study.epochs))
    if "epochs" in study.scientific:  # a multiple of the study's, whatever a preset or a person makes of those
        base["epochs"] = base["epochs"] * row.factors["epochs"] // study.epochs
    factors = {name: value for name, value in row.factors.items() if name != "epochs"}
    if math.isnan(factors["lr"]):
        factors["lr"] = DECADES[0]
    if settings.budget == "steps":
        percent = factors.get("train_percent", base["train_percent"])
        base["epochs"] = round(base["epochs"] * settings.largest_train_percent / percent)
    return Trial(**{**base, **factors})
