"""From a command line to everything that must be right before the first run exists: settings, images, split, device.

Whatever a person gave wrongly raises ValueError here. Nothing is trained, and MLflow is not known.
"""

import argparse
import dataclasses
import functools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.command.forkserver import start_forkserver
from training.command.options import ALL, given_data_options, read_options
from training.command.progress import reading_progress
from training.command.switching import AUTO, SwitchingTau, find_tau, read_tau
from training.data.checks.checks import find_problems
from training.data.checks.findings import describe_data, describe_finding, refuse_errors
from training.data.checks.foreground import check_foreground, has_foreground
from training.data.given_split import describe_origin, given_parts
from training.data.image_set import ImageSet
from training.data.read_options import ReadOptions
from training.data.reading import detect_layout, load_detected
from training.data.split import HELD_OUT, Split, held_out_percents, make_split, split_digest
from training.study.further import FurtherSeeds
from training.study.further import read as read_further
from training.study.plan import RUNNABLE, estimate_work, find_train_percents, find_widest
from training.study.settings import Settings
from training.study.strategies import make_strategy
from training.study.studies import REPORT_STUDIES, STUDIES, Study
from training.study.trial import Trial
from training.study.tuning import TUNE

if TYPE_CHECKING:  # torch takes seconds to import, and --help does without
    from training.command.machine import Machine


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One invocation, checked and ready."""

    settings: Settings
    studies: list[Study]
    images: ImageSet
    reading: ReadOptions
    data_options: str  # what a person said of data and split: options.given_data_options
    split: Split  # with the largest training set; each trial trains on its share of it
    switching_tau: SwitchingTau
    warnings: list[str]
    machine: "Machine"
    retries: int  # of a trial that failed
    executor: str  # one of options.EXECUTORS
    further: FurtherSeeds | None  # in place of the studies' own trials
    split_origin: str  # what decided which images train, validate and test, in words
    parts: tuple[str, ...]  # of each image, where a person fixed them; else empty

    @property
    def stems(self) -> dict[str, list[str]]:
        """The images that train (at most), validate and test, by name."""
        parts = dataclasses.asdict(self.split).items()
        return {part: [self.images.stems[index] for index in indices] for part, indices in parts}

    @functools.cached_property
    def held_out(self) -> dict[str, str]:
        """The tags of HELD_OUT: alike where results compare."""
        values = (self.images.digest, self.settings.protocol, split_digest(self.stems))
        return dict(zip(HELD_OUT, values, strict=True))

    def split_for(self, train_percent: int) -> Split:
        return _split(self.images, self.settings, train_percent, self.parts)

    def judges_beside(self, split: Split) -> tuple[int, ...]:
        """The development images that neither train a trial of this split nor validate it."""
        trained = set(split.train)
        return tuple(index for index in self.split.train if index not in trained)

    @property
    def text(self) -> list[str]:
        """What a person should read before it starts."""
        return [
            *describe_data(self.images, self.reading.rule.text),
            *self.warnings,
            f"split: {self.split.text} ({self.split_origin})",
            self.switching_tau.text,
            f"{self.machine.workers} worker(s) on {self.machine.device}, {self.settings.precision}"
            + (", compiled" if self.machine.compiled else ""),
        ]


def make_settings(options: argparse.Namespace) -> Settings:
    """As far as they are known before torch and the masks are asked. Raises ValueError."""
    tau = read_tau(options.switching_tau, options.protocol)
    return Settings(
        preset=options.preset,
        epochs=options.epochs,
        image_size=options.image_size,
        fit=options.fit,
        seeds=options.seeds,
        baseline="measured" if options.study == ALL else options.baseline,
        search=options.search,
        rates=options.rates,
        budget=options.budget,
        protocol=options.protocol,
        switching_tau=tau.value,  # until the masks are there to be asked, where it is auto
        precision="fp32",  # until torch is there to be asked
        val_percent=options.val_percent,
        test_percent=options.test_percent,
        fold=options.fold,
        trials=options.trials,
        cells=options.cells,
        repeats=options.repeats,
        **({"strategy": options.strategy, "hours": options.hours} if options.study == TUNE.name else {}),
    )


def prepare(options: argparse.Namespace) -> Prepared:
    """Cheap checks first, then torch, then the images. Raises ValueError."""
    settings, tau = make_settings(options), read_tau(options.switching_tau, options.protocol)
    if options.study == TUNE.name:
        make_strategy(options.strategy, settings.plain_trial(TUNE.epochs), 1)  # raises for what is no strategy
    further = read_further(options.further) if options.further else None
    reading = read_options(options)
    found = detect_layout(options.data, reading)
    start_forkserver()
    from training.command.machine import (
        Machine,
        find_compile,
        find_deterministic,
        find_device,
        find_precision,
        find_workers,
    )
    from training.command.memory import check_memory

    device = find_device(options.device)
    settings = dataclasses.replace(settings, precision=find_precision(options.precision, device))
    studies = list(REPORT_STUDIES) if options.study == ALL else [RUNNABLE[options.study]]
    if further:
        studies = [STUDIES[name] for name in further.studies]
    trial = find_widest(studies, settings)
    workers = find_workers(options.workers, device, trial.batch_size * settings.pixels**2 * trial.width // Trial.width)
    deterministic = find_deterministic(options.deterministic)
    images = load_detected(found, settings.pixels, settings.fit, reading, reading_progress(sys.stdout))
    parts = given_parts(options.split, images)
    val_percent, test_percent = held_out_percents(parts, settings.val_percent, settings.test_percent)
    settings = dataclasses.replace(settings, val_percent=val_percent, test_percent=test_percent)
    split = _split(images, settings, settings.largest_train_percent, parts)
    findings = find_problems(images, split)
    for percent in sorted(find_train_percents(studies, settings)):
        smaller = dataclasses.replace(_split(images, settings, percent, parts), val=(), test=())
        findings += [one for one in check_foreground(images, smaller) if one not in findings]
    refuse_errors(images, findings)
    if tau.origin == AUTO:
        tau = find_tau(images, split.train)
        settings = dataclasses.replace(settings, switching_tau=tau.value)
    check_memory(images, trial, workers, device)
    passes = sum(estimate_work(study, settings) for study in studies) / 100 * len(images.image_index)
    compiled = find_compile(options.compile, device, passes / trial.batch_size / workers)
    prepared = Prepared(
        settings=settings,
        studies=studies,
        images=images,
        reading=reading,
        data_options=given_data_options(options),
        split=split,
        switching_tau=tau,
        warnings=[describe_finding(one) for one in findings],
        machine=Machine(device=device, workers=workers, deterministic=deterministic, compiled=compiled),
        retries=options.retries,
        executor=options.executor,
        further=further,
        split_origin=describe_origin(options.split, settings.protocol, settings.fold, images),
        parts=parts,
    )
    if studies[0].is_table:
        judges = prepared.judges_beside(prepared.split_for(trial.train_percent))
        if not any(has_foreground(images, index) for index in judges):
            raise ValueError(f"none of the {len(judges)} images that are to judge cells has foreground; add images")
    return prepared


def _split(images: ImageSet, settings: Settings, train_percent: int, parts: tuple[str, ...]) -> Split:
    held_out = (settings.val_percent, settings.test_percent)
    return make_split(
        images.groups, images.foreground, settings.protocol, train_percent, settings.fold, *held_out, parts
    )
