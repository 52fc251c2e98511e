"""Runs studies: `python -m training.runner STUDY --data FOLDER ...`, which is what `mlflow run . -e STUDY` calls.

Everything a person gave is checked before the first run exists. Then: propose, train, propose again, until the search
is done; the winner is kept for the studies that build on it.
"""

import argparse
import dataclasses
import math
import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from training.plan import CARRIES, PRESETS, PROTOCOLS, Plan, Settings, describe, estimate_work, make_plan
from training.progress import Progress, duration
from training.search import can_win, mean_score, winner
from training.studies import STUDIES, Carried, Study, carried_from_report, carried_from_winners
from training.trial import PRECISIONS, Trial

if TYPE_CHECKING:  # torch and MLflow take seconds to import, and --help needs neither
    from mlflow import MlflowClient

    from training.images import ImageSet
    from training.workers import Job, Outcome, Pool

ALL = "all"  # the report's strategy: every study in order, each taking over what the ones before it settled


@dataclass(frozen=True, kw_only=True)
class Session:
    """One invocation: what its studies share."""

    settings: Settings
    client: "MlflowClient"
    experiment_id: str
    images: "ImageSet"
    data_digest: str
    device: str
    pool: "Pool"
    progress: Progress

    @property
    def tags(self) -> dict[str, str]:
        return {
            "carry": self.settings.carry,
            "protocol": self.settings.protocol,
            "preset": self.settings.preset,
            "data": self.images.name,
            "data_digest": self.data_digest,
            "device": self.device,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every trial ran, 1 when some failed, 2 for a value that cannot be used; in that case no run is left."""
    try:
        return run(parse(arguments))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        _discard_run()
        return 2


def run(options: argparse.Namespace) -> int:
    """Check everything, then run the studies that were asked for. Raises ValueError before any run exists."""
    studies = list(STUDIES.values()) if options.study == ALL else [STUDIES[options.study]]
    carry = "measured" if options.study == ALL else options.carry
    _start_forkserver()
    from training import tracking
    from training.engine import find_device, find_precision
    from training.images import load_folder
    from training.workers import Pool, find_workers

    device = find_device(options.device)
    settings = Settings(
        preset=options.preset,
        epochs=options.epochs,
        image_size=options.image_size,
        seeds=options.seeds,
        carry=carry,
        protocol=options.protocol,
        precision=find_precision(options.precision, device),
        val_percent=options.val_percent,
        test_percent=options.test_percent,
        fold=options.fold,
    )
    workers = find_workers(options.workers, device)
    images = load_folder(Path(options.data), settings.pixels)
    digest = images.digest
    split = _split(images, settings)  # raises when the images are too few
    client, experiment_id = tracking.connect()
    winners: dict[str, list[Trial]] = {}
    if carry == "measured" and options.study != ALL:
        winners = tracking.load_winners(client, studies[0].needs, digest, settings.protocol)
    progress = Progress(total_work=sum(estimate_work(study, settings) for study in studies))
    progress.say(
        f"{images.name}: {len(images.images)} images, {images.channels} channel(s), {settings.pixels} pixels, "
        f"{images.foreground_percent:.1f} % foreground; {len(split['train'])} train, {len(split['val'])} validate, "
        f"{len(split['test'])} test (protocol={settings.protocol})"
    )
    progress.say(f"{workers} worker(s) on {device}, {settings.precision}; runs go to {tracking.uri()}")
    session = Session(
        settings=settings,
        client=client,
        experiment_id=experiment_id,
        images=images,
        data_digest=digest,
        device=str(device),
        pool=Pool(images, device, workers),
        progress=progress,
    )
    failed = 0
    try:
        parent = _begin_main(session) if options.study == ALL else ""
        for position, study in enumerate(studies, start=1):
            carried = carried_from_winners(winners) if carry == "measured" else carried_from_report(study)
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
    tracking.log_data(session.client, run_id, session.images, session.data_digest, "training")
    outcomes = _run_trials(session, plan, run_id)
    winners = _winners(plan, outcomes)
    for trial in winners:
        dice = mean_score([outcome.dice for outcome in outcomes if outcome.trial.replace(seed=0) == trial])
        session.progress.say(f"  winner: {describe(trial, study.scientific, 1)}  val Dice {dice:.3f}")
    markdown = _describe_study(plan, outcomes, winners, session.settings.seeds)
    tracking.describe_study(session.client, run_id, markdown, winners, _split(session.images, session.settings))
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
        jobs = [_job(session, plan, trial, parent) for trial in proposed]
        for outcome in session.pool.run(
            jobs,
            lambda tick: session.progress.epoch(tick.trial, tick.epoch, tick.dice, describe(tick.trial, names, seeds)),
        ):
            outcomes.append(outcome)
            results[outcome.trial] = outcome.dice
            session.progress.trial(outcome.trial, describe(outcome.trial, names, seeds), _result(outcome))


def _job(session: Session, plan: Plan, trial: Trial, parent: str) -> "Job":
    from training.workers import Job

    row = "beyond" if trial in plan.beyond else "printed"
    return Job(
        trial=trial,
        name=describe(trial, plan.study.scientific, session.settings.seeds),
        experiment_id=session.experiment_id,
        parent=parent,
        tags=session.tags | {"study": plan.study.name, "section": plan.study.section, "row": row},
        protocol=session.settings.protocol,
        val_percent=session.settings.val_percent,
        test_percent=session.settings.test_percent,
    )


def _winners(plan: Plan, outcomes: list["Outcome"]) -> list[Trial]:
    """The best trial of the study, or of each learning-rate search; seed 0 stands for all seeds."""
    groups: dict[tuple[str, ...], dict[Trial, float]] = {}
    for outcome in outcomes:
        trial = outcome.trial
        if not outcome.failure and can_win(trial):
            key = (trial.loss, trial.optimizer) if plan.study.search_lr else ()
            groups.setdefault(key, {})[trial] = outcome.dice
    return [winner(results) for results in groups.values()]


def _result(outcome: "Outcome") -> str:
    if outcome.failure:
        return f"FAILED ({outcome.failure.splitlines()[0][:80]})"
    if math.isnan(outcome.dice):
        return f"diverged ({outcome.note})"
    note = f" ({outcome.note})" if outcome.note else ""
    epochs = f"epoch {outcome.best_epoch} of {outcome.trial.epochs}"
    return f"val Dice {outcome.dice:.3f} in {epochs}, {duration(outcome.seconds)}{note}"


def _describe_study(plan: Plan, outcomes: list["Outcome"], winners: list[Trial], seeds: int) -> str:
    """The parent run's description in MLflow, in Markdown."""
    factors = [*plan.study.scientific, *(["seed"] if seeds > 1 else [])]
    lines = [f"**{plan.study.question}** (report, Section {plan.study.section}, Figure {plan.study.figure})", ""]
    lines += [f"- left out: {reason}" for reason in plan.left_out]
    lines += [f"- winner: {describe(trial, plan.study.scientific, 1)}" for trial in winners]
    lines += ["", "| " + " | ".join([*factors, "val Dice", "best epoch", "note"]) + " |"]
    lines += ["|" + " --- |" * (len(factors) + 3)]
    for outcome in outcomes:
        cells = [str(getattr(outcome.trial, factor)) for factor in factors]
        cells += [f"{outcome.dice:.4f}", str(outcome.best_epoch), outcome.failure.split(":")[0] or outcome.note]
        lines += ["| " + " | ".join(cells) + " |"]
    return "\n".join(lines)


def _begin_main(session: Session) -> str:
    """The run that holds the studies of `all`; made by `mlflow run`, or here."""
    from training import tracking

    tags = session.tags | {"role": "main"}
    run_id = tracking.run_from_mlflow()
    if run_id:
        tracking.adopt_run(session.client, run_id, "all studies", tags)
        return run_id
    return tracking.begin_run(session.client, session.experiment_id, "all studies", tags)


def _split(images: "ImageSet", settings: Settings) -> dict[str, list[str]]:
    """The stems that train (at most), validate and test."""
    from training.data import make_split

    room, fold = settings.largest_train_percent, settings.fold
    split = make_split(images.groups, settings.protocol, room, fold, settings.val_percent, settings.test_percent)
    return {part: [images.stems[i] for i in indices] for part, indices in dataclasses.asdict(split).items()}


def _start_forkserver() -> None:
    """Let the process that workers are forked from import torch while this one does."""
    multiprocessing.set_forkserver_preload(["training.workers"])
    forkserver.ensure_running()


def _discard_run() -> None:
    from training import tracking

    if tracking.run_from_mlflow():
        client, _ = tracking.connect()
        tracking.discard_run(client, tracking.run_from_mlflow())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line. Raises ValueError with value, rule and cure."""
    parser = _Parser(prog="python -m training.runner", description=__doc__)
    parser.add_argument("study", help=f"{', '.join(STUDIES)}, or {ALL} of them in the report's order")
    parser.add_argument("--data", required=True, help="a folder with images/ and masks/ of equal stems")
    parser.add_argument("--preset", default="small", help="; ".join(f"{k}: {v.meant_for}" for k, v in PRESETS.items()))
    parser.add_argument("--epochs", default="preset", help="of every trial; preset: the preset's share of the report's")
    parser.add_argument("--image-size", default="preset", help="pixels, a multiple of 16")
    parser.add_argument("--seeds", type=_whole, default=1, help="runs of every cell")
    parser.add_argument("--carry", default="report", help=f"{' or '.join(CARRIES)}: where fixed factors come from")
    parser.add_argument("--protocol", default="fixed", help=f"{' or '.join(PROTOCOLS)}: what validates and tests")
    parser.add_argument("--val-percent", type=_whole, default=10, help="of the images (protocol=fixed)")
    parser.add_argument("--test-percent", type=_whole, default=10, help="of the images (protocol=fixed)")
    parser.add_argument("--fold", type=_whole, default=0, help="rotation of the split, by a tenth each")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--precision", default="auto", help=f"auto, {' or '.join(PRECISIONS)}")
    parser.add_argument("--workers", default="auto", help="processes; auto: one a core, or one on a GPU")
    options, unknown = parser.parse_known_args(arguments)
    known = ", ".join(sorted(name for name in vars(options) if name != "study"))
    if unknown:
        given = " ".join(unknown).removeprefix("--").replace(" ", "=", 1)
        raise ValueError(f"{given}: there is no such parameter; the parameters are {known}")
    if options.study not in (*STUDIES, ALL):
        raise ValueError(f"study={options.study!r} is unknown; it must be one of {', '.join(STUDIES)}, {ALL}")
    return options


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


if __name__ == "__main__":
    sys.exit(main())
