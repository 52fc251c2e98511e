"""Is this folder fit to train on? `python -m training.check_data --data FOLDER`: what was found, odd or wrong.

The same reading and the same checks as before a study. Writes index.html and contact_sheet.png; the status is 0 when
training would be right, 1 when it would be wrong, 2 when an option or the folder cannot be used at all.
"""

import argparse
import base64
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from training.command.entry import Parser, run_command, user_path, whole_number
from training.command.options import (
    FIT_HELP,
    SPLIT_HELP,
    TEST_PERCENT,
    VAL_PERCENT,
    add_reading,
    read_options,
    refuse_fold,
    split_source,
)
from training.command.progress import reading_progress
from training.data import checks
from training.data.checks.checks import find_problems
from training.data.checks.findings import ERROR, Finding, describe_data, describe_finding
from training.data.checks.foreground import is_judged
from training.data.checks.sheet import draw_sheet
from training.data.given_split import describe_origin, given_parts
from training.data.image_set import ImageSet, UnusableError
from training.data.read_options import ReadOptions
from training.data.reading import load_folder
from training.data.split import Split, held_out_percents, make_split
from training.study.settings import PRESETS
from training.study.words import pluralize

MODULE = "training.check_data"
PAGE, SHEET = "index.html", "contact_sheet.png"
PAGES = Path(checks.__file__).parent
IMAGE_SIZE = 256  # pixels, unless told otherwise
BINS = 20  # of the histogram of foreground shares


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Everything the page shows."""

    data: Path
    lines: list[str]  # what was found
    findings: list[Finding]
    images: ImageSet | None  # None when files could not be read
    split: Split | None

    @property
    def errors(self) -> list[Finding]:
        return [found for found in self.findings if found.severity == ERROR]

    @property
    def verdict(self) -> str:
        if self.errors:
            return f"not fit to train on: {pluralize(len(self.errors), 'error')}"
        small = ", but too small to judge by" if self.images and self.split and not self._judged else ""
        look = f"; to look at: {pluralize(len(self.findings), 'warning')}" if self.findings else ""
        return f"fit to train on{small}{look}"

    @property
    def _judged(self) -> bool:
        assert self.images
        assert self.split
        return is_judged(self.images, self.split.val) and is_judged(self.images, self.split.test)


def main(arguments: Sequence[str] | None = None) -> int:
    """0, 1 or 2, as said above."""
    return run_command(MODULE, check, arguments)


def check(arguments: Sequence[str]) -> int:
    """0 or 1; raises ValueError for what cannot be used at all."""
    options = parse(arguments)
    found = examine(options)
    write_page(found, options.out)
    for line in [*found.lines, *map(describe_finding, found.findings)]:
        print(line)
    print(f"{options.data} is {found.verdict}")
    print(f"look: {options.out / PAGE}")
    if "MLFLOW_RUN_ID" in os.environ:
        from training.tracking import runs

        runs.log_check(options.data, options.out, found.verdict)
    return 1 if found.errors else 0


def examine(options: argparse.Namespace) -> Examination:
    """Read the folder and check it. Raises ValueError for what is not understood at all."""
    reading = read_options(options)
    try:
        images = load_folder(options.data, options.image_size, options.fit, reading, reading_progress(sys.stdout))
    except UnusableError as error:
        wrong = [_unusable(problem) for problem in error.problems]
        shown = _load_tentatively(options, reading)
        lines = describe_data(shown, reading.rule.text) if shown else []
        return Examination(data=options.data, lines=lines, findings=wrong, images=shown, split=None)
    lines = describe_data(images, reading.rule.text)
    if options.image_size == IMAGE_SIZE:
        usual = ", ".join(f"{name} {preset.image_size}" for name, preset in PRESETS.items())
        lines.append(f"looked at with image_size={IMAGE_SIZE}; a study has that of its preset ({usual}), or its own")
    parts = given_parts(options.split, images)
    val_percent, test_percent = held_out_percents(parts, options.val_percent, options.test_percent)
    most = 100 - val_percent - test_percent
    try:
        split = make_split(
            images.groups, images.foreground, "fixed", most, options.fold, val_percent, test_percent, parts
        )
    except ValueError as error:
        few = Finding(severity=ERROR, title="too few images or groups", meaning=str(error))
        findings = [few, *find_problems(images, None)]
        return Examination(data=options.data, lines=lines, findings=findings, images=images, split=None)
    counts = f"split: {split.text} ({describe_origin(options.split, 'fixed', options.fold, images)})"
    findings = find_problems(images, split)
    return Examination(data=options.data, lines=[*lines, counts], findings=findings, images=images, split=split)


def _load_tentatively(options: argparse.Namespace, reading: ReadOptions) -> ImageSet | None:
    """What can be shown of a set about which something has to be asked first."""
    try:
        return load_folder(options.data, options.image_size, options.fit, reading, tentative=True)
    except ValueError:
        return None


def write_page(found: Examination, folder: Path) -> None:
    """index.html and, where images could be read, contact_sheet.png. Raises ValueError when it cannot write."""
    from jinja2 import Environment, FileSystemLoader

    sheet = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if found.images:
            odd = [stem for finding in found.findings for stem in finding.stems]
            picture = cv2.cvtColor(draw_sheet(found.images, odd), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(folder / SHEET), picture)
            _, small = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, 85])
            sheet = "data:image/webp;base64," + base64.b64encode(small.tobytes()).decode()
        environment = Environment(loader=FileSystemLoader(PAGES), autoescape=True)
        page = environment.get_template("page.html")
        (folder / PAGE).write_text(
            page.render(found=found, sheet=sheet, bars=_histogram(found.images), sides=_sides(found)), encoding="utf-8"
        )
    except OSError as error:
        raise ValueError(f"out={folder}: it cannot be written ({error.strerror}); choose another folder") from None


def _unusable(problem: str) -> Finding:
    return Finding(severity=ERROR, title=problem, meaning="Training stops here.")


def _histogram(images: ImageSet | None) -> list[float]:
    """How many images have a foreground share in each bin, the largest being 1."""
    counts = [0] * BINS
    for facts in images.facts if images else ():
        counts[min(BINS - 1, int(BINS * facts.foreground))] += 1
    return [count / max(1, *counts) for count in counts]


def _sides(found: Examination) -> list[str]:
    """Of each image: train, val or test; empty without a split."""
    sides = [""] * (found.images.num_images if found.images else 0)
    if found.split:
        for name in ("train", "val", "test"):
            for index in getattr(found.split, name):
                sides[index] = name
    return sides


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line. Raises ValueError with value, rule and cure."""
    parser = Parser(MODULE, (__doc__ or "").split("\n")[0])
    add_reading(parser)
    parser.add_argument("--image-size", type=whole_number, default=IMAGE_SIZE, help="pixels, as for a study")
    parser.add_argument("--fit", default="resize", help=FIT_HELP)
    parser.add_argument("--fold", type=whole_number, default=0, help="whose split to look at")
    parser.add_argument("--split", type=split_source, help=SPLIT_HELP)
    parser.add_argument("--val-percent", type=whole_number, default=VAL_PERCENT, help="of the images, as for a study")
    parser.add_argument("--test-percent", type=whole_number, default=TEST_PERCENT, help="of the images, as for a study")
    parser.add_argument("--out", type=user_path, default=Path("data_check"), help="the folder of the page")
    options = parser.parse(arguments)
    refuse_fold(options)
    if not 32 <= options.image_size <= 4096 or options.image_size % 16:
        raise ValueError(f"image_size={options.image_size}: it must be a multiple of 16 between 32 and 4096 pixels")
    return options


if __name__ == "__main__":
    sys.exit(main())
