"""What a report rests on: trials, their curves and predictions, the champion, and where all that comes from.

It comes from a tracking store or from nothing; as files it is in `snapshot`.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.evidence import runs, store
from analysis.evidence.curve_scores import add_curve_scores
from analysis.evidence.failures import forget_old_scores, mark_collapsed
from analysis.evidence.provenance import provenance, provenance_by_set
from analysis.evidence.schema import tidy
from analysis.evidence.thumbnails import Thumbnails, make_thumbnails
from analysis.evidence.tuned import Tuned, load_tuned
from training.study.words import shorten
from training.tracking.store import UI_MODE, check

NO_CURVES = ("run_id", "epoch", "val_dice")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    trials: pd.DataFrame  # of schema.SCHEMA
    curves: pd.DataFrame  # run_id and the columns of epochs.csv
    kept_runs: pd.DataFrame  # what a store needs to know the trials again (training/tracking/kept_runs.py)
    champion: store.Champion | None
    load_thumbnails: Callable[[str, str], Thumbnails | None]  # of a run's predictions on a part of PARTS
    server: str  # address of the tracking server; empty where it is not known
    provenance: Mapping[str, str]  # of the trials; empty without any
    sets: tuple[Mapping[str, str], ...] = ()  # the provenance of each data set, in the order they were named
    tuned: tuple[Tuned, ...] = ()  # what `tune` found, the best first
    other_champions: tuple[store.Champion, ...] = ()  # of sets after the first, where several folders are shown

    def link(self, experiment_id: str, run_id: str) -> str:
        """A run's page in the MLflow UI; empty where that is not known."""
        known = self.server and isinstance(run_id, str) and isinstance(experiment_id, str)
        return f"{self.server.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}?{UI_MODE}" if known else ""


def nothing() -> Evidence:
    """Before anything is measured."""
    return Evidence(
        trials=tidy([]),
        curves=pd.DataFrame(columns=NO_CURVES),
        kept_runs=pd.DataFrame(),
        champion=None,
        load_thumbnails=lambda run_id, part: None,
        server="",
        provenance={},
    )


def from_store(data_digests: str, server: str) -> Evidence:
    """What is shown of these images (digests, separated by commas); without any, of those of the newest study."""
    check()
    digests = list(dict.fromkeys(digest.strip() for digest in data_digests.split(",") if digest.strip()))
    shown = digests or [runs.newest_data_digest()]
    found, tuned = runs.load_pool(shown), load_tuned(shown)
    trials, waiting = found.trials, runs.load_waiting(found, shown)
    for digest in digests:
        if not (trials["data_digest"] == digest).any() and not tuned:
            raise ValueError(_unknown(digest))
    champion = store.load_champion()
    if champion and len(trials) and champion.tags.get("data_digest") not in set(trials["data_digest"]):
        champion = None  # of other images
    kept_runs = runs.load_kept_runs(found, waiting)  # before the curves: where their files lie is known then
    curves = runs.load_curves(trials, waiting)
    images = {digest: runs.count_images(rows) for digest, rows in trials.groupby("data_digest", sort=False)}
    return Evidence(
        trials=add_curve_scores(mark_collapsed(forget_old_scores(trials, curves), curves), curves),
        curves=curves,
        kept_runs=kept_runs,
        champion=champion,
        load_thumbnails=functools.cache(lambda run_id, part: make_thumbnails(runs.load_predictions(run_id, part))),
        server=server or store.tracking_server(),
        provenance=provenance(trials, images, found.notes),
        sets=provenance_by_set(trials, images),
        tuned=tuned,
    )


def _unknown(digest: str) -> str:
    known = [f"{one} ({name})" if name else one for one, name in runs.known_data().items()]
    there = f"; studies were run on {shorten(known)}" if known else ""
    return (
        f"data_digest={digest!r}: no finished trial has it{there}; give one of these, several with commas, or leave it "
        "out to take the newest study"
    )
