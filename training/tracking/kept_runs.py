"""Trained trials as rows of a file, and such rows as runs of a store again: what lets results travel without a store.

A row holds a run's factors, metrics and tags, so that a study on another machine finds the trial trained. Weights and
pictures do not travel.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from training.tracking.lease import LEASE, look_up
from training.tracking.mlflow_run import adopt
from training.tracking.provenance import provenance
from training.tracking.runs import PARENT, begin_run, end_run, run_from_mlflow

RUNS = "runs.parquet"  # of a folder of tables
COLUMNS = ("run_id", "name", "started", "ended", "params", "metrics", "tags")
RESTORED = "restored_from"  # tag: the run that trained it, in another store
NOT_KEPT = (LEASE, "process", "heartbeat", "artifacts", "resumed_after_epoch")  # of a process, or of files left behind
BATCH_METRICS = 900  # MLflow takes at most 1000 at once


def to_row(run: Run) -> dict[str, Any]:
    """A finished trial under COLUMNS: params, metrics and tags as JSON, times in milliseconds since 1970."""
    tags = {key: value for key, value in run.data.tags.items() if key not in NOT_KEPT and not key.startswith("mlflow.")}
    return {
        "run_id": tags.get(RESTORED, run.info.run_id),
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
    curves: Mapping[str, Sequence[Mapping[str, float]]],
) -> Iterator[bool]:
    """Write these trials into a store, below the run that `mlflow run` made for this, or one of their own.

    Whether each was written; else it is there already.

    curves: the epochs of a run, by its id, as its epochs.csv has them.
    """
    title, of_parent = f"restored from {name}", {"role": "restore", "tables": name}
    if parent := run_from_mlflow():
        adopt(client, parent, title, of_parent)
    else:
        parent = begin_run(client, experiment_id, title, of_parent)
    try:
        for row in rows:
            tags = json.loads(row["tags"])
            missing = look_up(client, tags["result_hash"]).finished is None
            if missing:
                _restore_run(client, experiment_id, row, tags, curves.get(row["run_id"], ()), parent)
            yield missing
    finally:
        if parent != run_from_mlflow():  # `mlflow run` ends its own run
            end_run(client, parent)


def _restore_run(
    client: MlflowClient,
    experiment_id: str,
    row: Mapping[str, Any],
    tags: Mapping[str, str],
    curve: Sequence[Mapping[str, float]],
    parent: str,
) -> None:
    """One trial. Finished only once all of it is there, so that one half written is no result."""
    marks = {**tags, RESTORED: row["run_id"], PARENT: parent, "mlflow.source.name": "training.restore"}
    marks |= {key: value for key, value in provenance().items() if key in ("process", "heartbeat")}
    run = client.create_run(experiment_id, int(row["started"]), marks, row["name"])
    run_id, ended = run.info.run_id, int(row["ended"])
    params = [Param(key, value) for key, value in json.loads(row["params"]).items()]
    stepped = [
        Metric(key, float(value), ended, int(epoch["epoch"]))
        for epoch in curve
        for key, value in epoch.items()
        if key != "epoch"
    ]
    known = {metric.key for metric in stepped}
    last = [Metric(key, value, ended, 0) for key, value in json.loads(row["metrics"]).items() if key not in known]
    client.log_batch(run_id, params=params)
    metrics = [*stepped, *last]
    for start in range(0, len(metrics), BATCH_METRICS):
        client.log_batch(run_id, metrics[start : start + BATCH_METRICS])
    if curve:
        client.log_text(run_id, _to_csv(curve), "epochs.csv")
    client.log_batch(run_id, tags=[RunTag("mlflow.note.content", f"restored from files: trained as {row['run_id']}")])
    client.set_terminated(run_id, "FINISHED", ended)


def _to_csv(curve: Sequence[Mapping[str, float]]) -> str:
    lines = [",".join(map(str, epoch.values())) for epoch in curve]
    return "\n".join([",".join(curve[0]), *lines]) + "\n"
