"""A full grid: every combination of a few values of each factor, with two seeds of each. It makes a table on which any
strategy can be replayed without training (docs/tuning.md).

A replay chooses a cell by the validation Dice of one seed and is judged by the other seed's Dice on images that had no
part in it. The test images are not these: they belong to promotions, and a table that lies open for everybody to choose
from would spend them. So a cell trains on JUDGE_PERCENT of all images less than the protocol has for training, and the
development images that are left judge. No epoch and no cell is chosen by them.
"""

import itertools
import math

import numpy as np

from training.study.search import DECADES
from training.study.studies import REPORT_OPTIMIZERS, Study
from training.study.trial import LOSSES, Trial

VALUES = {  # every path of the report's stages, and of any order of them, lies in it
    "loss": LOSSES,
    "optimizer": REPORT_OPTIMIZERS,
    "lr": DECADES,
    "scheduler": ("none", "step", "plateau"),
    "weight_decay": (0.0, 0.01),
    "dropout": (0.0, 0.2),
}
NUM_CELLS = math.prod(map(len, VALUES.values()))
SEEDS = (2000, 2001)  # that no study has: a trial that a study trained was not judged
JUDGE_PERCENT = 20  # of all images
GRID = Study(
    name="grid",
    section="",
    figure="",
    question="What does every cell of a full grid come to, twice?",
    scientific=tuple(VALUES),
    rows=lambda baseline: (),
    epochs=150,
    is_table=True,
)


def grid_trials(start: Trial, cells: str = "all") -> tuple[Trial, ...]:
    """Both seeds of the first `cells` cells, in an order drawn once: as far as it gets, it is a fair sample of all.

    Raises ValueError for what is no number of cells.
    """
    if cells != "all" and not (cells.isdecimal() and 1 <= int(cells) <= NUM_CELLS):
        raise ValueError(f"cells={cells!r} must be a whole number from 1 to {NUM_CELLS}, or all")
    combinations = list(itertools.product(*VALUES.values()))
    order = np.random.default_rng(0).permutation(NUM_CELLS)[: None if cells == "all" else int(cells)]
    return tuple(
        start.replace(**dict(zip(VALUES, combinations[index], strict=True)), seed=seed)
        for index in order
        for seed in SEEDS
    )
