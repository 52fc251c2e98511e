"""Trained trials as rows of a file, and such rows as runs of a store again: what lets results travel without a store.

A row holds a run's factors, metrics and tags, so that a study on another machine finds the trial trained. Weights and
pictures do not travel.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run

from training.tracking.lease import LEASE, look_up
from training.tracking.provenance import provenance
from training.tracking.runs import BATCH_METRICS, close_run, open_run
from training.tracking.store import search_runs
from training.tracking.tags import PARENT, RESTORED, REUSED

RUNS = "runs.parquet"  # of a folder of tables
EPOCHS = "epochs.csv"  # of a run
COLUMNS = ("run_id", "name", "started", "ended", "params", "metrics", "tags")
STORED_AS = "stored_as"  # column: the id of the run in the store that these tables were read from
NOT_KEPT = (LEASE, "process", "heartbeat", "artifacts", "resumed_after_epoch")  # of a process, or of files left behind


def each_epoch_once(curves: pd.DataFrame) -> pd.DataFrame:
    """Of kept tables: each study has a copy that shares the trial, and so has each folder."""
    return curves.drop_duplicates(["run_id", "epoch"], ignore_index=True)


def to_row(run: Run) -> dict[str, Any]:
    """A finished trial under COLUMNS and STORED_AS: params, metrics and tags as JSON, times in ms since 1970."""
    tags = {key: value for key, value in run.data.tags.items() if key not in NOT_KEPT and not key.startswith("mlflow.")}
    return {
        "run_id": tags.get(RESTORED, run.info.run_id),
        STORED_AS: run.info.run_id,
        "name": run.info.run_name,
        "started": run.info.start_time,
        "ended": run.info.end_time,
        "params": json.dumps(run.data.params, sort_keys=True),
        "metrics": json.dumps(run.data.metrics, sort_keys=True),
        "tags": json.dumps(tags, sort_keys=True),
    }


def restore(
    client: MlflowClient,
    experiment_id: str,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    files: Mapping[str, Mapping[str, pd.DataFrame]],
) -> Iterator[bool]:
    """Write these trials into a store, below the run that `mlflow run` made for this, or one of their own.

    Whether each was written; else it is there already.

    files: tables that runs had, by name and then by the run's id; those of EPOCHS become curves, too.
    """
    parent = open_run(client, experiment_id, f"restored from {name}", {"role": "restore", "tables": name})
    try:
        for row in rows:
            tags = json.loads(row["tags"])
            missing = look_up(client, tags["result_hash"]).finished is None
            if missing:
                own = {name: tables[row["run_id"]] for name, tables in files.items() if row["run_id"] in tables}
                _restore_run(client, experiment_id, row, tags, own, parent)
            yield missing
    finally:
        close_run(client, parent)


def is_restored(run: Run) -> bool:
    """Whether a run has scores alone, and nobody trained its trial again."""
    return RESTORED in run.data.tags and REUSED not in run.data.tags


def find_reusing(client: MlflowClient, run_id: str) -> list[Run]:
    """The runs of studies that took over what this run had trained, the newest first."""
    return list(search_runs(client, f"tags.{REUSED} = '{run_id}'", "start_time DESC"))


def replace_restored(client: MlflowClient, restored: Run, trained: str) -> None:
    """Whoever reused the restored run reuses the one that trained its trial again, and it does so itself."""
    for run in [*find_reusing(client, restored.info.run_id), restored]:
        client.set_tag(run.info.run_id, REUSED, trained)
    client.delete_tag(restored.info.run_id, "result_hash")


def _restore_run(
    client: MlflowClient,
    experiment_id: str,
    row: Mapping[str, Any],
    tags: Mapping[str, str],
    files: Mapping[str, pd.DataFrame],
    parent: str,
) -> None:
    """One trial. Finished only once all of it is there, so that one half written is no result."""
    marks = {**tags, RESTORED: row["run_id"], PARENT: parent, "mlflow.source.name": "training.restore"}
    marks["mlflow.note.content"] = f"restored from files: trained as {row['run_id']}"
    marks |= {key: value for key, value in provenance().items() if key in ("process", "heartbeat")}
    run = client.create_run(experiment_id, int(row["started"]), marks, row["name"])
    run_id, ended = run.info.run_id, int(row["ended"])
    params = [Param(key, value) for key, value in json.loads(row["params"]).items()]
    stepped = [
        Metric(str(key), float(value), ended, int(epoch["epoch"]))
        for epoch in (files[EPOCHS].to_dict("records") if EPOCHS in files else [])
        for key, value in epoch.items()
        if key != "epoch"
    ]
    known = {metric.key for metric in stepped}
    last = [Metric(key, value, ended, 0) for key, value in json.loads(row["metrics"]).items() if key not in known]
    client.log_batch(run_id, params=params)
    metrics = [*stepped, *last]
    for start in range(0, len(metrics), BATCH_METRICS):
        client.log_batch(run_id, metrics[start : start + BATCH_METRICS])
    for name, table in files.items():
        client.log_text(run_id, table.to_csv(index=False), name)
    client.set_terminated(run_id, "FINISHED", ended)
