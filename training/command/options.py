"""The command line of the runner: what a person may give, and what is said when it cannot be used.

Imports nothing heavy, so that --help answers at once.
"""

import argparse
import dataclasses
import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from training.command.entry import Parser, user_path, whole_number
from training.data.given_split import FOLDERS
from training.data.mask_rule import AUTO
from training.data.read_options import ReadOptions
from training.study.grid import GRID, NUM_CELLS
from training.study.intervals import MIN_UNITS
from training.study.live import LIVE
from training.study.plan import RUNNABLE
from training.study.search import SEARCHES
from training.study.settings import BASELINES, BUDGETS, PRESETS
from training.study.strategies import STRATEGIES
from training.study.trial import FOLDS, PRECISIONS, PROTOCOLS
from training.study.tuning import TUNE

ALL = "all"  # the report's strategy: every study in order, each building on the winners before it
VAL_PERCENT = TEST_PERCENT = 10  # of the images
EXECUTORS = ("processes", "ray")
FIT_HELP = "resize: the whole image, its long side image_size pixels; tile: cut into squares of image_size, uncrushed"
TAU_HELP = (
    "foreground share of a batch above which the switching loss leads with Dice; auto: the training masks' median"
)
SPLIT_HELP = (
    f"a csv with the columns stem and part (train, val, test); {FOLDERS}: as the folders train/, val/ and test/ say"
)
RATES_HELP = (
    "own: the rows that compare losses, optimizers or schedulers get learning rates of their own, searched at their "
    "study's epochs; shared: those of the study learning_rate, or the report's; auto: own with baseline=measured "
    f"and at least {MIN_UNITS} seeds, below which no verdict is decided"
)
OF_STUDIES = {  # options that some studies alone have a use for
    "strategy": (TUNE.name,),
    "trials": (TUNE.name, LIVE.name),
    "hours": (TUNE.name,),
    "cells": (GRID.name,),
    "repeats": (LIVE.name,),
}
DESCRIPTION = "Run one study, or all of them: every trial becomes an MLflow run."


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line of a study. Raises ValueError with value, rule and cure."""
    parser = Parser("training.runner", DESCRIPTION)
    parser.add_argument("study", help=f"{', '.join(RUNNABLE)}, or {ALL} of the report's in order")
    add_reading(parser)
    parser.add_argument("--preset", default="small", help="; ".join(f"{k}: {v.meant_for}" for k, v in PRESETS.items()))
    parser.add_argument(
        "--epochs", default="preset", help="of every trial; or a share of the report's, as 25%%; preset: its share"
    )
    parser.add_argument("--image-size", default="preset", help="pixels, a multiple of 16")
    parser.add_argument("--fit", default="resize", help=FIT_HELP)
    parser.add_argument("--seeds", type=whole_number, default=1, help="runs of every cell")
    parser.add_argument(
        "--baseline", "--carry", default="report", help=f"{' or '.join(BASELINES)}: whose fixed factors"
    )
    parser.add_argument(
        "--search", default="geometric", help=f"{' or '.join(SEARCHES)}: how a best decade of learning rates is refined"
    )
    parser.add_argument("--rates", default="auto", help=RATES_HELP)
    parser.add_argument(
        "--budget", default="epochs", help=f"{' or '.join(BUDGETS)}: what trials on little and on much data have alike"
    )
    parser.add_argument("--protocol", default="fixed", help=f"{' or '.join(PROTOCOLS)}: what validates and tests")
    parser.add_argument("--switching-tau", default="auto", help=TAU_HELP)
    parser.add_argument("--val-percent", type=whole_number, default=VAL_PERCENT, help="of the images (protocol=fixed)")
    parser.add_argument(
        "--test-percent", type=whole_number, default=TEST_PERCENT, help="of the images (protocol=fixed)"
    )
    parser.add_argument("--fold", type=whole_number, default=0, help=f"0 to {FOLDS - 1}: which fifth is held out from")
    parser.add_argument("--split", type=split_source, help=SPLIT_HELP)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--deterministic", default="false", help="true: the same bits every time, on a GPU too")
    parser.add_argument("--precision", default="auto", help=f"auto, {' or '.join(PRECISIONS)}")
    parser.add_argument("--workers", default="auto", help="processes; auto: one per core, or what fills a GPU")
    parser.add_argument(
        "--compile", default="auto", choices=("auto", "true", "false"), help="torch.compile; auto: long work on a GPU"
    )
    parser.add_argument(
        "--retries", type=whole_number, default=0, help="how often a trial that failed is trained again"
    )
    parser.add_argument(
        "--executor",
        default="processes",
        choices=EXECUTORS,
        help="ray: trials as tasks of a Ray cluster (docs/scale.md)",
    )
    parser.add_argument(
        "--strategy", default="tpe", help=f"of {TUNE.name}: {', '.join(STRATEGIES)}, or FILE.py:Class (docs/tuning.md)"
    )
    parser.add_argument(
        "--trials", type=whole_number, default=60, help=f"that {TUNE.name}, or a play of {LIVE.name}, may cost, in full"
    )
    parser.add_argument("--hours", type=float, default=math.inf, help=f"after which {TUNE.name} asks for nothing more")
    parser.add_argument("--cells", default=ALL, help=f"of {GRID.name}: the first so many of {NUM_CELLS}")
    parser.add_argument("--repeats", type=whole_number, default=6, help=f"of {LIVE.name}: how often each player plays")
    parser.add_argument(
        "--further", type=user_path, help="train the trials of this file alone: what -e decide asks for"
    )
    options = parser.parse(arguments)
    if options.retries < 0:
        raise ValueError(f"retries={options.retries} is out of range; it must be at least 0")
    refuse_fold(options)
    if options.study not in (*RUNNABLE, ALL):
        raise ValueError(f"study={options.study!r} is unknown; it must be one of {', '.join((*RUNNABLE, ALL))}")
    for name, studies in OF_STUDIES.items():
        if options.study not in studies and getattr(options, name) != parser.get_default(name):
            raise ValueError(
                f"{name}={getattr(options, name)}: study={options.study} has no use for it, it is an option of "
                f"{' and '.join(studies)}; leave it out"
            )
    if options.study != ALL and RUNNABLE[options.study].is_table and options.protocol != "fixed":
        raise ValueError(f"protocol={options.protocol}: it leaves no images to judge cells by; take protocol=fixed")
    return options


def split_source(text: str) -> Path:
    """A file; FOLDERS is that word alone, wherever the command was given."""
    return Path(FOLDERS) if text == FOLDERS else user_path(text)


def refuse_fold(options: argparse.Namespace) -> None:
    """Raises ValueError for a split that goes with no other choice of what is held out."""
    if options.split and (options.fold or getattr(options, "protocol", "fixed") != "fixed"):
        raise ValueError(
            f"split={options.split}: it says what tests, so it goes with protocol=fixed and fold=0 alone; leave out "
            f"{'fold' if options.fold else 'protocol'}"
        )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """The options that say how a folder is to be understood."""
    parser.add_argument(
        "--data", type=user_path, required=True, help="a folder of images and masks, or a csv of their paths"
    )
    parser.add_argument("--group", default=AUTO, help="what must stay together: a csv column, or a regex on the stem")
    parser.add_argument("--mask-folder", default=AUTO, help="whose masks count, as GT; with commas their union counts")
    parser.add_argument("--mask-suffix", default=AUTO, help="which mask counts where an image has several, as _seg")
    parser.add_argument("--mask-threshold", default=AUTO, help="foreground is above this value")
    parser.add_argument("--mask-values", default=AUTO, help="foreground is these values, as 1,3 or ff0000")
    parser.add_argument("--image-max", default=AUTO, help="the value that stands for white, as 4095 of a 12-bit camera")
    parser.add_argument("--channels", default=AUTO, help="which channels are read, as 0,2 (counted from 0); or mean")
    parser.add_argument("--orientation", default=AUTO, help="apply: masks fit pictures as seen; ignore: as stored")
    parser.add_argument("--ignore-value", default=AUTO, help="of masks: pixels that do not count, as 255")
    parser.add_argument("--rle-order", default=AUTO, help="columns or rows: how run lengths are counted")
    parser.add_argument("--category", default=AUTO, help="which class of annotations is foreground; all: any of them")


def given_data_options(options: argparse.Namespace) -> str:
    """What a person said of the folder and of its split, as words of a shell: name=value."""
    held_out = {"val_percent": VAL_PERCENT, "test_percent": TEST_PERCENT}
    usual = {field.name: field.default for field in dataclasses.fields(ReadOptions)} | held_out
    given = {name: getattr(options, name) for name, value in usual.items() if getattr(options, name) != value}
    if options.split:
        given["split"] = FOLDERS if options.split == Path(FOLDERS) else f"path/to/{options.split.name}"
    return shlex.join(f"{name}={value}" for name, value in given.items())


def read_options(options: argparse.Namespace) -> ReadOptions:
    """Raises ValueError for what cannot be used."""
    return ReadOptions(
        group=options.group,
        mask_folder=options.mask_folder,
        mask_suffix=options.mask_suffix,
        mask_threshold=options.mask_threshold,
        mask_values=options.mask_values,
        image_max=options.image_max,
        channels=options.channels,
        orientation=options.orientation,
        ignore_value=options.ignore_value,
        rle_order=options.rle_order,
        category=options.category,
    )
