"""Runs studies: `python -m training.runner STUDY --data FOLDER ...`, which is what `mlflow run . -e STUDY` calls.

Everything a person gave is checked before the first run exists. Then: propose, train, propose again, until the search
is done; the winner is kept for the studies that build on it.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.data.split import split_digest
from training.options import ALL, parse
from training.plan import Plan, Settings, describe, estimate_work, make_plan, trial_work
from training.preparation import Prepared, prepare
from training.progress import Progress, leave
from training.search import mean_score
from training.studies import Carried, Study, carried_from_report, carried_from_winners
from training.summary import describe_outcome, describe_study, find_winners
from training.trial import Trial

if TYPE_CHECKING:  # torch and MLflow take seconds to import, and --help needs neither
    from mlflow import MlflowClient

    from training.pool import Job, Outcome, Pool


@dataclass(frozen=True, kw_only=True)
class Session:
    """One invocation: what its studies share."""

    prepared: Prepared
    client: "MlflowClient"
    experiment_id: str
    pool: "Pool"
    progress: Progress

    @property
    def settings(self) -> Settings:
        return self.prepared.settings

    @property
    def tags(self) -> dict[str, str]:
        return {
            "carry": self.settings.carry,
            "protocol": self.settings.protocol,
            "preset": self.settings.preset,
            "data": self.prepared.images.name,
            "data_digest": self.prepared.images.digest,
            "split_digest": split_digest(self.prepared.stems),
            "device": str(self.prepared.machine.device),
            "deterministic": str(self.prepared.machine.deterministic).lower(),
            "compiled": str(self.prepared.machine.compiled).lower(),
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every trial ran, 1 when some failed, 2 for a value that cannot be used; in that case no run is left."""
    try:
        return run(parse(sys.argv[1:] if arguments is None else arguments))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        if "MLFLOW_RUN_ID" in os.environ:
            from training import tracking

            print(tracking.discard_run(), file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    """Check everything, then run the studies that were asked for. Raises ValueError before any run exists."""
    prepared = prepare(options)
    from training import tracking
    from training.pool import Pool

    studies, settings = prepared.studies, prepared.settings
    client, experiment_id = tracking.connect()
    winners: dict[str, list[Trial]] = {}
    if settings.carry == "measured" and options.study != ALL:
        digest = prepared.images.digest
        winners = tracking.load_winners(client, studies[0].needs, digest, settings.protocol)
    tracking.describe_experiment(client, experiment_id)
    progress = Progress(total_work=sum(estimate_work(study, settings) for study in studies))
    for line in [*prepared.text, f"runs go to {tracking.uri()}"]:
        progress.say(line)
    session = Session(
        prepared=prepared,
        client=client,
        experiment_id=experiment_id,
        pool=Pool(prepared.images, prepared.machine),
        progress=progress,
    )
    failed = 0
    try:
        parent = _begin_main(session) if options.study == ALL else ""
        for position, study in enumerate(studies, start=1):
            carried = carried_from_winners(winners) if settings.carry == "measured" else carried_from_report(study)
            where = f"{position}/{len(studies)}" if len(studies) > 1 else ""
            best, failures = run_study(session, study, carried, parent, where)
            winners[study.name] = best
            failed += failures
        if parent and parent != tracking.run_from_mlflow():
            tracking.end_run(client, parent)
    finally:
        session.pool.close()
    if failed:
        progress.say(f"\n{failed} trial(s) failed; their runs hold the reason (tag `failure`)")
    return 1 if failed else 0


def run_study(session: Session, study: Study, carried: Carried, parent: str, where: str) -> tuple[list[Trial], int]:
    """Run one study to its end. Its winners, one for each of its searches, and the number of failed trials."""
    from training import tracking

    plan = make_plan(study, carried, session.settings)
    session.progress.begin_study(where, study.name, study.question, plan.num_trials)
    for reason in plan.left_out:
        session.progress.say(f"  left out: {reason}")
    tags = session.tags | {"role": "study", "study": study.name, "section": study.section}
    run_id = tracking.run_from_mlflow() if not parent else ""
    if run_id:
        tracking.adopt_run(session.client, run_id, study.name, tags)
    else:
        run_id = tracking.begin_run(session.client, session.experiment_id, study.name, tags, parent)
    prepared = session.prepared
    tracking.log_data(session.client, run_id, prepared.images, "training")
    tracking.log_reading(session.client, run_id, prepared)
    outcomes = _run_trials(session, plan, run_id)
    winners = find_winners(plan, outcomes)
    for trial in winners:
        dice = mean_score([outcome.dice for outcome in outcomes if outcome.trial.replace(seed=0) == trial])
        session.progress.say(f"  winner: {describe(trial, study.scientific, 1)}  val Dice {dice:.3f}")
    markdown = describe_study(plan, outcomes, winners, session.settings.seeds)
    tracking.describe_study(session.client, run_id, markdown, winners)
    failures = sum(bool(outcome.failure) for outcome in outcomes)
    if run_id != tracking.run_from_mlflow():  # `mlflow run` ends its own run, by our exit status
        tracking.end_run(session.client, run_id, failed=failures > 0)
    if not winners:
        raise SystemExit(f"error: no trial of {study.name} could be judged; its runs hold the reasons (tag `failure`)")
    return winners, failures


def _run_trials(session: Session, plan: Plan, parent: str) -> list["Outcome"]:
    """Propose and train until no search proposes any more. Independent searches keep all workers busy together."""
    outcomes: list[Outcome] = []
    results: dict[Trial, float] = {}
    names = plan.study.scientific
    seeds = session.settings.seeds
    while True:
        proposed = dict.fromkeys(trial for search in plan.searches for trial in search.propose(results))
        if not proposed:
            return outcomes
        longest_first = sorted(proposed, key=trial_work, reverse=True)  # so that no worker waits long at the end
        jobs = [_job(session, plan, trial, parent) for trial in longest_first]
        for outcome in session.pool.run(
            jobs,
            lambda tick: session.progress.epoch(tick.trial, tick.epoch, tick.dice, describe(tick.trial, names, seeds)),
        ):
            outcomes.append(outcome)
            results[outcome.trial] = outcome.dice
            session.progress.trial(outcome.trial, describe(outcome.trial, names, seeds), describe_outcome(outcome))


def _job(session: Session, plan: Plan, trial: Trial, parent: str) -> "Job":
    from training.pool import Job

    row = "beyond" if trial in plan.beyond else "printed"
    return Job(
        trial=trial,
        name=describe(trial, plan.study.scientific, session.settings.seeds),
        experiment_id=session.experiment_id,
        parent=parent,
        tags=session.tags | {"study": plan.study.name, "section": plan.study.section, "row": row},
        split=session.prepared.split_for(trial.train_percent),
    )


def _begin_main(session: Session) -> str:
    """The run that holds the studies of `all`; made by `mlflow run`, or here."""
    from training import tracking

    tags = session.tags | {"role": "main"}
    run_id = tracking.run_from_mlflow()
    if run_id:
        tracking.adopt_run(session.client, run_id, "all studies", tags)
        return run_id
    return tracking.begin_run(session.client, session.experiment_id, "all studies", tags)


if __name__ == "__main__":
    leave(main())
