"""The finished runs that may be promoted, the best first: of the best cell (training/study/winning.py) the best run.

Reads runs through the client it is given. Which images they were trained on is checked by who asks.
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from training.study.intervals import MIN_UNITS
from training.study.settings import SEARCH_ROW
from training.study.winning import Repeats, find_consistent, rank_cells, score_by_tags
from training.study.words import pluralize
from training.tracking.store import search_runs
from training.tracking.tags import REUSED

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

JUDGED = (  # finished, validated on images it never saw, and trained on the masks as they are
    "status = 'FINISHED' and tags.role = 'trial' and tags.protocol = 'fixed' and params.augment != 'both' "
    "and params.train_percent != '100' and params.equalize_masks = 'False'"
)
PAGE = 200  # runs asked for at once
REPEATED = ("seed", "fold")  # what tells the runs of a cell apart


def find_runs(client: "MlflowClient", data: str) -> Iterator["Run"]:
    """Best first."""
    plain = re.fullmatch(r"[\w. -]+", data)  # no filter of MLflow takes any quote, so other names are compared here
    query = f"{JUDGED} and tags.data = '{data}'" if plain else JUDGED
    for run in search_runs(client, query, "metrics.best_val_dice DESC", PAGE):
        reused = REUSED in run.data.tags  # then the run that trained it is there, too
        searched = run.data.tags.get("row") == SEARCH_ROW  # it only found a row's learning rate
        if run.data.tags["data"] == data and not reused and not searched:
            yield run


def judged_dice(run: "Run") -> float:
    """The best epoch's validation Dice: at the images' own size, or at image_size where an earlier version trained."""
    metrics = run.data.metrics
    return float(metrics.get("own_val_dice", metrics.get("best_val_dice", 0.0)))


def comparable(runs: Iterable["Run"]) -> list["Run"]:
    """Where some runs are scored at the images' own size, those alone, and those that have no score."""
    known = list(runs)
    if not any("own_val_dice" in run.data.metrics for run in known):
        return known
    return [run for run in known if "own_val_dice" in run.data.metrics or "best_val_dice" not in run.data.metrics]


def leaves_out_empty_images(run: "Run") -> bool:
    """Whether the run's Dice is a mean over images with foreground; earlier ones counted two empty masks as 1."""
    metrics = run.data.metrics
    return metrics.get("val_empty_images", 0) == 0 or "val_false_alarms" in metrics


def cell_of(run: "Run") -> Hashable:
    """What runs that differ by nothing but seed and fold share."""
    factors = {name: value for name, value in run.data.params.items() if name not in REPEATED}
    if run.data.tags.get("switching_tau_origin") == "auto":
        factors["switching_tau"] = "auto"  # each fold's training masks have a median of their own
    return run.data.tags.get("data_digest", ""), *sorted(factors.items())


def rank_runs(runs: Iterable["Run"]) -> list["Run"]:
    """Those that can be promoted: the runs of the best cell first, and of a cell the best run first.

    On each set of images (data_digest) the cells of the largest training fraction compete, failed runs counted.
    """
    judged = list(runs)
    ranked: dict[Hashable, float] = {}
    for digest in dict.fromkeys(run.data.tags.get("data_digest", "") for run in judged):
        own = [run for run in judged if run.data.tags.get("data_digest", "") == digest]
        ranked |= rank_cells((cell_of(run), float(run.data.params["train_percent"]), score(run)) for run in own)
    able = [run for run in judged if score(run) > 0 and cell_of(run) in ranked]
    return sorted(able, key=lambda run: (ranked[cell_of(run)], score(run)), reverse=True)


def most_consistent(ranked: Sequence["Run"], judged: Sequence["Run"]) -> "Run":
    """The best run of the most consistent cell (training/study/winning.py).

    ranked: runs on the same images, the winner first; judged: all runs, failed ones too. Raises ValueError, with the
    cure, where the winner has too few seeds.
    """
    cells: dict[Hashable, dict[Hashable, float]] = {cell_of(run): {} for run in ranked}
    for run in judged:
        repeat = tuple(run.data.params.get(name, "") for name in REPEATED)
        if cell_of(run) in cells:
            cells[cell_of(run)].setdefault(repeat, score(run))
    repeats: dict[Hashable, Repeats] = dict(cells)
    found = find_consistent(repeats, cell_of(ranked[0]))
    if found is None:
        count = len(cells[cell_of(ranked[0])])
        raise ValueError(
            f"choose=consistent: the winning configuration has {pluralize(count, 'seed')}, and how much a Dice "
            f"varies over seeds takes {MIN_UNITS} at least; run the studies again with seeds={MIN_UNITS}, or use "
            "choose=winner"
        )
    return next(run for run in ranked if cell_of(run) == found)


def score(run: "Run") -> float:
    """Its `judged_dice`; 0 where it predicts nothing in the end, nan where it diverged."""
    return score_by_tags(judged_dice(run), run.data.tags)
