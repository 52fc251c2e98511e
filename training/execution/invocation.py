"""One invocation of the runner: one study, or all of them in the report's order, each building on the ones before.

What a study proposes is trained in study_run.py; its winner is kept for the studies that build on it.
"""

import os
import signal
import time
from contextlib import nullcontext
from typing import NoReturn

from training.command.preparation import Prepared
from training.command.progress import Progress
from training.execution.jobs import Outcome
from training.execution.pool import Pool
from training.execution.ray_pool import RayPool
from training.execution.study_run import DiskFullError, Session, Workers, run_trials
from training.execution.summary import (
    NO_WINNER,
    describe_outcome,
    describe_study,
    describe_winner,
    find_undecided,
    find_winners,
)
from training.study.plan import describe, estimate_work, make_plan, trial_work
from training.study.studies import Baseline, Study, baseline_from_report, baseline_from_winners
from training.study.trial import Trial
from training.study.tuning import TUNE, Tuning
from training.tracking import mlflow_run, runs, store
from training.tracking.lease import Heartbeat
from training.tracking.retry import is_full, is_transient

INTERRUPTED = 130  # the exit status that shells give for Ctrl-C
STOPPING = (signal.SIGINT, signal.SIGTERM)
ONE_SIGNAL_SECONDS = 1.0  # `timeout` sends two at once, and means one


def run_studies(prepared: Prepared, module: str) -> int:
    """For `python -m module`: the studies that were asked for, in order. The exit status: 0 when every trial is there.

    Raises ValueError before any run exists.
    """
    studies, settings = prepared.studies, prepared.settings
    client, experiment_id = runs.connect()
    mlflow_run.own_run(client, module)
    winners: dict[str, list[Trial]] = {}
    if settings.baseline == "measured" and len(studies) == 1 and not prepared.further:
        winners = runs.load_winners(client, studies[0].needs, prepared.held_out)
    runs.describe_experiment(client, experiment_id)
    progress = Progress(total_work=_total_work(prepared))
    for line in [*prepared.text, f"runs go to {store.address()}"]:
        progress.say(line)
    if dead := runs.end_all_stale_runs(client):
        progress.say(f"{len(dead)} run(s) whose process is gone were ended; their trials are free again")
    session = Session(
        prepared=prepared, client=client, experiment_id=experiment_id, pool=_make_pool(prepared), progress=progress
    )
    # Whoever started us may ignore the first, as nohup and & do.
    before = {number: signal.signal(number, _interrupt) for number in STOPPING}
    try:
        missing = _run_further(session) if prepared.further else _run_studies(session, winners)
    except KeyboardInterrupt:
        session.pool.kill()
        runs.end_own_runs(client)
        progress.say("\nstopped; what is finished stays; resume with the same command")
        return INTERRUPTED
    except SystemExit:
        session.pool.close()
        runs.end_own_runs(client)
        raise
    except Exception as error:
        session.pool.kill()
        if not (stopped := _why_stopped(error)):
            raise
        progress.say(f"\nerror: {stopped}; what is finished stays; resume with the same command")
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
    session.pool.close()
    if missing:
        lines = "\n".join(f"  {line}" for line in missing)
        progress.say(f"\n{len(missing)} trial(s) are missing:\n{lines}\ntheir runs hold the reasons (tag `failure`)")
    return 1 if missing else 0


def _make_pool(prepared: Prepared) -> Workers:
    if prepared.executor == "ray":
        return RayPool(prepared.images, prepared.machine)
    return Pool(prepared.images, prepared.machine)


def _run_studies(session: Session, winners: dict[str, list[Trial]]) -> list[str]:
    """All that were asked for, in order; the trials that are missing in the end, and why, in words."""
    studies, settings, missing = session.prepared.studies, session.settings, []
    parent = _begin_main(session) if len(studies) > 1 else ""
    with Heartbeat(session.client, parent) if parent else nullcontext():
        for position, study in enumerate(studies, start=1):
            baseline = (
                baseline_from_winners(winners) if settings.baseline == "measured" else baseline_from_report(study)
            )
            where = f"{position}/{len(studies)}" if len(studies) > 1 else ""
            winners[study.name], failed = run_study(session, study, baseline, parent, where)
            missing += _describe_missing(study, failed, settings.seeds)
    if parent:
        runs.close_run(session.client, parent, failed=bool(missing))
    return missing


def _run_further(session: Session) -> list[str]:
    """Further seeds of study runs that are there; what those found best stays as it is. The trials that are missing."""
    missing, further = [], session.prepared.further
    for parent, plan in further.plans().items() if further else ():
        session.progress.begin_study("", plan.study.name, "further seeds", plan.num_trials)
        outcomes = run_trials(session, plan, parent)
        missing += _describe_missing(plan.study, [one for one in outcomes if one.failure], seeds=2)
    return missing


def _describe_missing(study: Study, failed: list[Outcome], seeds: int) -> list[str]:
    return [f"{study.name}: {describe(one.trial, study.scientific, seeds)}: {describe_outcome(one)}" for one in failed]


def _total_work(prepared: Prepared) -> float:
    """Of all trials to come, in image passes."""
    if prepared.further:
        return sum(trial_work(one.trial) for one in prepared.further.trials)
    return sum(estimate_work(study, prepared.settings) for study in prepared.studies)


def _why_stopped(error: Exception) -> str:
    """In words, for what is no mistake of ours; else nothing."""
    if is_full(error) or isinstance(error, DiskFullError):
        return f"the disk is full ({str(error).splitlines()[0][:200]}); free some space"
    if is_transient(error):
        return f"the tracking store cannot be reached ({str(error).splitlines()[0][:200]})"
    if "must be in the 'active' state" in str(error):
        return f"a run or its experiment was deleted meanwhile ({str(error).splitlines()[0][:200]}); restore it"
    return ""


def _interrupt(number: int, frame: object) -> NoReturn:
    started = time.monotonic()

    def leave(number: int, frame: object) -> None:
        """Of a person who does not wait for the runs to be ended; whoever starts next ends them."""
        if time.monotonic() - started > ONE_SIGNAL_SECONDS:
            os._exit(INTERRUPTED)

    for one in STOPPING:
        signal.signal(one, leave)
    raise KeyboardInterrupt


def run_study(
    session: Session, study: Study, baseline: Baseline, parent: str, where: str
) -> tuple[list[Trial], list[Outcome]]:
    """Run one study to its end. Its winners, one for each of its searches, and the trials that failed."""
    tags = session.tags | {"role": "study", "study": study.name, "section": study.section}
    known: dict[Trial, float] = {}
    if study is TUNE:
        tags |= {"strategy": session.settings.strategy, "trials": str(session.settings.trials)}
        known = runs.load_finished(session.client, tags, session.settings.strategy)
    plan = make_plan(study, baseline, session.settings, known)
    session.progress.begin_study(where, study.name, study.question, plan.num_trials)
    for search in plan.searches:
        if isinstance(search, Tuning) and search.known:
            told = f"{len(search.known)} finished trial(s) of earlier studies"
            session.progress.say(f"  {told} are told to {search.strategy_name} first")
    for reason in plan.left_out:
        session.progress.say(f"  left out: {reason}")
    if parent:
        run_id = runs.begin_run(session.client, session.experiment_id, study.name, tags, parent)
    else:
        run_id = runs.open_run(session.client, session.experiment_id, study.name, tags)
    prepared = session.prepared
    runs.log_data(session.client, run_id, prepared.images, "training")
    runs.log_reading(session.client, run_id, prepared.images, prepared.reading, prepared.warnings, prepared.stems)
    with Heartbeat(session.client, run_id):
        outcomes = run_trials(session, plan, run_id)
    for search in plan.searches:
        if isinstance(search, Tuning):
            runs.log_best(session.client, run_id, search.best_so_far({one.trial: one.score for one in outcomes}))
    winners = find_winners(plan, outcomes)
    for trial in winners:
        session.progress.say(f"  winner: {describe_winner(plan, outcomes, trial)}")
    for what in find_undecided(plan, outcomes):
        session.progress.say(f"  no winner: {what}: {NO_WINNER}")
    markdown = describe_study(plan, outcomes, winners, session.settings.seeds)
    incumbent = plan.find_incumbent(outcome.trial for outcome in outcomes)
    runs.describe_study(session.client, run_id, markdown, winners, incumbent)
    failures = [outcome for outcome in outcomes if outcome.failure]
    runs.close_run(session.client, run_id, failed=bool(failures))
    if not winners:
        why = "its runs hold the reasons (tag `failure`)" if failures else f"{NO_WINNER}; more epochs may help"
        raise SystemExit(f"error: no trial of {study.name} could be judged: {why}")
    return winners, failures


def _begin_main(session: Session) -> str:
    """The run that holds the studies of `all`."""
    return runs.open_run(session.client, session.experiment_id, "all studies", session.tags | {"role": "main"})
