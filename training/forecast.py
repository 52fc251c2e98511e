"""How long will it take? `python -m training.forecast STUDY --data FOLDER ...`, before anyone starts.

The same options as a study. A few steps of each optimizer are timed on this machine, on these images, with as many
workers as the study will have; no trial is run.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.command.entry import run_command
from training.command.options import parse
from training.command.preparation import Prepared, prepare
from training.command.progress import duration, leave
from training.execution.jobs import Timing
from training.study.plan import cost_in_trials, make_plan, trial_work
from training.study.settings import Settings
from training.study.studies import Study, baseline_from_report
from training.study.trial import Trial

MODULE = "training.forecast"
TRIAL_SECONDS = 0.7  # run, artifacts and metrics of one trial in MLflow: benchmarks/logging_overhead.py
START_SECONDS = 8.0  # imports, the database, workers


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What one study will take."""

    study: str
    trials: int
    trained: int  # of them, which the store holds already
    epochs: int  # of all others together
    seconds: float  # of all workers together


def main(arguments: Sequence[str] | None = None) -> int:
    """0; or 2 for a value that cannot be used."""
    return run_command(MODULE, plan, arguments)


def plan(arguments: Sequence[str]) -> int:
    """0; raises ValueError for what cannot be used."""
    prepared = prepare(parse(arguments))
    print(*prepared.text, sep="\n")
    timings = measure(prepared)
    from training.execution.already_trained import find_trained  # MLflow takes seconds to import: checks come first
    from training.tracking import runs

    trained = find_trained(prepared, runs.connect()[0])
    forecasts = [forecast(study, prepared, timings, trained.get(study.name, [])) for study in prepared.studies]
    lines = describe(forecasts, prepared)
    print(*lines, sep="\n")
    if "MLFLOW_RUN_ID" in os.environ:
        runs.log_note(f"plan {prepared.images.name}", "plan", "```" + "\n".join(lines) + "\n```", MODULE)
    return 0


def measure(prepared: Prepared) -> dict[tuple[str, int], Timing]:
    """Seconds a part takes under each optimizer and width that will be met, all workers being busy."""
    from training.execution.pool import Pool

    base = prepared.settings.base(epochs=1)
    met = (trial for study in prepared.studies for trial in _trials(study, prepared.settings))
    kinds = list(dict.fromkeys((trial.optimizer, trial.width) for trial in met))
    trials = [Trial(loss="switching", optimizer=name, lr=1e-3, width=width, **base) for name, width in kinds]
    pool = Pool(prepared.images, prepared.machine)
    try:
        return dict(zip(kinds, pool.measure(trials, prepared.split), strict=True))
    finally:
        pool.close()


def forecast(
    study: Study, prepared: Prepared, timings: Mapping[tuple[str, int], Timing], trained: Sequence[Trial]
) -> Forecast:
    """A study's trials and what those take that are not trained yet. What earlier studies will find is taken from the
    report meanwhile.
    """
    trials = _trials(study, prepared.settings)
    seconds = 0.0
    for trial in trials:
        timing, split = timings[trial.optimizer, trial.width], prepared.split_for(trial.train_percent)
        to_train, to_evaluate = (
            sum(len(prepared.images.tiles(index)) for index in part) for part in (split.train, split.val)
        )
        seconds += TRIAL_SECONDS + trial.epochs * (to_train * timing.train_seconds + to_evaluate * timing.val_seconds)
    left = max(0.0, 1 - sum(map(trial_work, trained)) / sum(map(trial_work, trials)))
    epochs = sum(trial.epochs for trial in trials) - sum(trial.epochs for trial in trained)
    return Forecast(study=study.name, trials=len(trials), trained=len(trained), epochs=epochs, seconds=left * seconds)


def describe(forecasts: Sequence[Forecast], prepared: Prepared) -> list[str]:
    """One line per study, and the sum."""
    workers = prepared.machine.workers
    lines = ["", f"{'study':<20}{'trials':>8}{'trained':>9}{'epochs':>9}  time"]
    for one in forecasts:
        time = duration(one.seconds / workers)
        lines.append(f"{one.study:<20}{one.trials:>8}{one.trained:>9}{one.epochs:>9}  {time}")
    trials, trained, epochs = (sum(getattr(one, name) for one in forecasts) for name in ("trials", "trained", "epochs"))
    seconds = START_SECONDS + sum(one.seconds for one in forecasts) / workers
    where = f"{duration(seconds)}, on {workers} worker(s), {prepared.machine.device}"
    lines.append(f"{'in all':<20}{trials:>8}{trained:>9}{epochs:>9}  {where}")
    if trained:
        lines.append("what is trained already is reused; epochs and time are of the others")
    return lines


def _trials(study: Study, settings: Settings) -> list[Trial]:
    """As many trials as the study will have; a search's later ones are unknown, and its first stand for them."""
    searches = make_plan(study, baseline_from_report(study), settings).searches
    return [search.start for search in searches for _ in range(cost_in_trials(search))]


if __name__ == "__main__":
    leave(main())
