"""What a report rests on: trials, their curves, the champion; from a tracking store, from exported tables, or nothing.

The tables are those a report writes beside its page, so that a page can be made again without any store.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import runs, store
from analysis.schema import SCHEMA, tidy

NO_CURVES = ("run_id", "epoch", "val_dice")
TRIALS, CURVES = "trials.parquet", "curves.parquet"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    trials: pd.DataFrame  # of schema.SCHEMA
    curves: pd.DataFrame  # run_id and the columns of epochs.csv
    champion: store.Champion | None
    load_picture: Callable[[str], bytes]  # of a run's predictions
    server: str  # address of the tracking server; empty where it is not known

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
        load_picture=lambda run_id: b"",
        server="",
    )


def from_store(data_digest: str, server: str) -> Evidence:
    """The newest runs on these images; without a digest, on the images of the newest study."""
    trials = runs.load_trials(data_digest or runs.newest_data_digest())
    if data_digest and trials.empty:
        raise ValueError(
            f"data_digest={data_digest!r}: no finished trial has it; leave it out to take the newest study"
        )
    return Evidence(
        trials=trials,
        curves=runs.load_curves(trials),
        champion=store.load_champion(),
        load_picture=runs.load_predictions,
        server=server or store.tracking_server(),
    )


def from_tables(folder: Path, server: str) -> Evidence:
    """What an earlier report, perhaps of another machine, left in its tables/. There is no picture and no champion."""
    if not (folder / TRIALS).is_file():
        raise ValueError(f"tables={folder}: it has no {TRIALS}; it must be the tables/ folder beside a report")
    trials = pd.read_parquet(folder / TRIALS)
    if missing := [name for name in SCHEMA if name not in trials]:
        raise ValueError(f"tables={folder}: {TRIALS} lacks {', '.join(missing)}; write that report again")
    curves = folder / CURVES
    return Evidence(
        trials=trials[list(SCHEMA)].astype(SCHEMA),
        curves=pd.read_parquet(curves) if curves.is_file() else pd.DataFrame(columns=NO_CURVES),
        champion=None,
        load_picture=lambda run_id: b"",
        server=server,
    )
