"""The trials of one study: those that somebody trained already are reused, those that are missing are trained.

Whatever stopped a study, the same command resumes it: nothing is remembered but what the store holds. Two
processes may run the same study at once; each trains what the other does not.
"""

import functools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from training.command.preparation import Prepared
from training.command.progress import Progress
from training.execution.checkpoints import checkpoint_of, drop_checkpoint
from training.execution.computed_otherwise import find_computed_otherwise
from training.execution.identity import result_hash, results_version
from training.execution.jobs import COLLAPSED, EpochDone, Job, Outcome
from training.execution.summary import describe_outcome
from training.study.live import LIVE
from training.study.plan import Plan, describe, trial_work
from training.study.settings import SEARCH_ROW, Settings
from training.study.trial import Trial
from training.tracking import runs
from training.tracking.lease import TrialRuns, end_stale_runs, look_up
from training.tracking.retry import is_full
from training.tracking.tags import PARENT

if TYPE_CHECKING:  # what is asked of MLflow is asked through training/tracking
    from mlflow import MlflowClient
    from mlflow.entities import Run

POLL_SECONDS = 2.0  # after a trial that another process trains


class DiskFullError(Exception):
    """Nothing more can be written; what was written is whole."""


class Workers(Protocol):
    """What trains: processes of this machine (pool.py), or tasks of a Ray cluster (ray_pool.py)."""

    def run(self, jobs: Iterable[Job], on_epoch: Callable[[EpochDone], None]) -> Iterator[Outcome]: ...

    def close(self) -> None: ...

    def kill(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Session:
    """One invocation: what its studies share."""

    prepared: Prepared
    client: "MlflowClient"
    experiment_id: str
    pool: Workers
    progress: Progress

    @property
    def settings(self) -> Settings:
        return self.prepared.settings

    @functools.cached_property
    def tags(self) -> dict[str, str]:
        further = self.prepared.further
        added = {"first_seeds": str(further.first_seeds)} if further else {}
        return added | {
            **self.prepared.held_out,
            "baseline": self.settings.baseline,
            "preset": self.settings.preset,
            "search": self.settings.search,
            "rates": self.settings.rates_in_use,
            "budget": self.settings.budget,
            "switching_tau_origin": self.prepared.switching_tau.origin,
            "val_percent": str(self.settings.val_percent),
            "test_percent": str(self.settings.test_percent),
            "data": self.prepared.images.name,
            "split": "file" if self.prepared.parts else "protocol",
            "data_options": self.prepared.data_options,
            "results_version": results_version(),
            "device": str(self.prepared.machine.device),
            "deterministic": str(self.prepared.machine.deterministic).lower(),
            "compiled": str(self.prepared.machine.compiled).lower(),
        }

    def hash_of(self, trial: Trial) -> str:
        return result_hash(trial, self.prepared.held_out)


def run_trials(session: Session, plan: Plan, parent: str) -> list[Outcome]:
    """Propose and train until no search proposes any more. Independent searches keep all workers busy together."""
    outcomes: dict[Trial, Outcome] = {}
    failures: Counter[Trial] = Counter()
    first, waits = True, False
    while True:
        proposed = plan.propose({trial: outcome.score for trial, outcome in outcomes.items()})
        if not proposed:
            return list(outcomes.values())
        known = {trial: look_up(session.client, session.hash_of(trial)) for trial in proposed}
        there = _settled(session, plan, parent, known)
        outcomes |= there
        missing = [trial for trial in proposed if trial not in there]
        if missing and first:
            for line in find_computed_otherwise(session.client, session.tags, missing):
                session.progress.say(f"  {line}")
        first, trained = False, 0
        for outcome in _train(session, plan, parent, missing):
            trial = outcome.trial
            if outcome.skipped:
                continue
            trained += 1
            if outcome.failure:
                if _note_failure(session, outcome):
                    continue  # the next look at the store finds it
                failures[trial] += 1
                if failures[trial] <= session.prepared.retries:
                    continue
            outcomes[trial] = outcome
            session.progress.trial(trial, _name(session, plan, trial), describe_outcome(outcome))
        if missing and not trained:
            if not waits:
                session.progress.say(f"  waiting for {len(missing)} trial(s) that another process trains")
            waits = True
            time.sleep(POLL_SECONDS)


def _settled(session: Session, plan: Plan, parent: str, known: dict[Trial, TrialRuns]) -> dict[Trial, Outcome]:
    """Outcomes of the trials that need no training: trained before, or failed as often as they may."""
    there: dict[Trial, Outcome] = {}
    reused = 0
    for trial, found in known.items():
        end_stale_runs(session.client, found.dead)
        if found.finished:
            drop_checkpoint(checkpoint_of(session.hash_of(trial)))  # its process may have died before it could
            there[trial] = outcome_of(trial, found.finished)
            if found.finished.data.tags.get(PARENT) == parent:  # trained here, by a process that died after it
                continue
            reused += 1
            if plan.study.is_table:
                continue  # a table is read cell by cell, whatever run they were trained below
            name = _name(session, plan, trial)
            tags = _tags(session, plan, trial)
            runs.log_reused(session.client, session.experiment_id, name, found.finished, tags, parent)
        elif len(found.failed) > session.prepared.retries:
            reason = found.failed[-1].data.tags.get("failure", "").strip().splitlines() or ["for no known reason"]
            cure = f"failed before, retries={len(found.failed)} trains it again"
            there[trial] = outcome_of(trial, found.failed[-1], f"{cure}: {reason[-1]}")
    session.progress.skip(there)
    if reused:
        session.progress.say(f"  {reused} trial(s) were trained before and are reused")
    for trial, outcome in there.items():
        if outcome.failure:
            session.progress.say(f"  {_name(session, plan, trial)}  {describe_outcome(outcome)}")
    return there


def _train(session: Session, plan: Plan, parent: str, trials: list[Trial]) -> Iterator[Outcome]:
    names, seeds = plan.study.scientific, _seeds(session, plan)
    longest_first = sorted(trials, key=trial_work, reverse=True)  # so that no worker waits long at the end
    jobs = [_job(session, plan, trial, parent) for trial in longest_first]
    return session.pool.run(
        jobs, lambda tick: session.progress.epoch(tick.trial, tick.epoch, tick.dice, describe(tick.trial, names, seeds))
    )


def _note_failure(session: Session, outcome: Outcome) -> bool:
    """End the run of a worker that died. Whether its trial was done all the same: then nothing failed.

    Raises DiskFullError where no other trial could be written either.
    """
    if is_full(Exception(outcome.failure)):
        raise DiskFullError(outcome.failure)
    known = look_up(session.client, session.hash_of(outcome.trial))
    end_stale_runs(session.client, known.dead, "FAILED")
    return known.finished is not None


def outcome_of(trial: Trial, run: "Run", failure: str = "") -> Outcome:
    """What a run says that trained this trial; failure: why it did not, in words."""
    metrics, tags = run.data.metrics, run.data.tags
    collapsed = tags.get("collapsed") == "true"
    note = COLLAPSED if collapsed else ""
    diverged = tags.get("diverged") == "true" or failure
    return Outcome(
        trial=trial,
        dice=math.nan if diverged else metrics["best_val_dice"],
        own_dice=math.nan if diverged else metrics["own_val_dice"],
        best_epoch=int(metrics.get("best_epoch", 0)),
        seconds=metrics.get("seconds", 0.0),
        empty_images=int(metrics.get("val_empty_images", 0)),
        false_alarms=int(metrics.get("best_val_false_alarms", 0)),
        note=tags.get("failure", note) if not failure else "",
        collapsed=collapsed,
        failure=failure,
    )


def _job(session: Session, plan: Plan, trial: Trial, parent: str) -> Job:
    digest, split = session.hash_of(trial), session.prepared.split_for(trial.train_percent)
    return Job(
        trial=trial,
        name=_name(session, plan, trial),
        experiment_id=session.experiment_id,
        parent=parent,
        tags=_tags(session, plan, trial),
        result_hash=digest,
        split=split,
        checkpoint=checkpoint_of(digest),
        judges=session.prepared.judges_beside(split) if plan.study.is_table else (),
    )


def _tags(session: Session, plan: Plan, trial: Trial) -> dict[str, str]:
    study = {"study": plan.study.name, "section": plan.study.section, "row": plan.row_of(trial)}
    if plan.study.is_table:
        study |= {"role": "cell"}
    if plan.study is LIVE:
        study |= {"trials": str(session.settings.trials)}  # by which its plays are told from unfinished ones
    return session.tags | study


def _name(session: Session, plan: Plan, trial: Trial) -> str:
    if plan.row_of(trial) == SEARCH_ROW:
        return describe(trial, ("loss", "optimizer", "scheduler", "lr"), seeds=1)
    return describe(trial, plan.study.scientific, _seeds(session, plan))


def _seeds(session: Session, plan: Plan) -> int:
    """How many seeds of a cell there are; a table brings its own, whatever a person asked for."""
    return 2 if plan.study.is_table else session.settings.seeds
