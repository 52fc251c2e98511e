"""What a report rests on: trials, their curves and predictions, the champion, and where all that comes from.

It comes from a tracking store or from nothing; as files it is in `kept`.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.evidence import runs, store
from analysis.evidence.curve_scores import add_curve_scores
from analysis.evidence.failures import forget_old_scores, mark_collapsed
from analysis.evidence.provenance import provenance
from analysis.evidence.schema import tidy
from analysis.evidence.thumbnails import Thumbnails, make_thumbnails

NO_CURVES = ("run_id", "epoch", "val_dice")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    trials: pd.DataFrame  # of schema.SCHEMA
    curves: pd.DataFrame  # run_id and the columns of epochs.csv
    champion: store.Champion | None
    load_thumbnails: Callable[[str], Thumbnails | None]  # of a run's predictions
    server: str  # address of the tracking server; empty where it is not known
    provenance: Mapping[str, str]  # of the trials; empty without any

    def link(self, experiment_id: str, run_id: str) -> str:
        """A run's page in the MLflow UI; empty where that is not known."""
        known = self.server and isinstance(run_id, str) and isinstance(experiment_id, str)
        return f"{self.server.rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}" if known else ""


def nothing() -> Evidence:
    """Before anything is measured."""
    return Evidence(
        trials=tidy([]),
        curves=pd.DataFrame(columns=NO_CURVES),
        champion=None,
        load_thumbnails=lambda run_id: None,
        server="",
        provenance={},
    )


def from_store(data_digest: str, server: str) -> Evidence:
    """The newest runs on these images; without a digest, on the images of the newest study."""
    trials = runs.load_trials(data_digest or runs.newest_data_digest())
    if data_digest and trials.empty:
        raise ValueError(
            f"data_digest={data_digest!r}: no finished trial has it; leave it out to take the newest study"
        )
    champion = store.load_champion()
    if champion and len(trials) and champion.tags.get("data_digest") != trials["data_digest"].iloc[0]:
        champion = None  # of other images
    curves = runs.load_curves(trials)
    return Evidence(
        trials=add_curve_scores(mark_collapsed(forget_old_scores(trials, curves), curves), curves),
        curves=curves,
        champion=champion,
        load_thumbnails=functools.cache(lambda run_id: make_thumbnails(runs.load_predictions(run_id))),
        server=server or store.tracking_server(),
        provenance=provenance(trials, runs.count_images(trials)),
    )
