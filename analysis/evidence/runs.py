"""MLflow runs read into the tidy table, with their epochs and pictures. Which rows are better is not known here."""

import functools
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from analysis.evidence.schema import EARLIER, EARLIER_VALUES, FACTORS, FLAGS, SUMMARY, TAGS, modernize, tidy
from analysis.evidence.store import connect, fetch
from training.study.studies import STUDIES
from training.tracking.store import search_runs

PAGE = 1000  # runs a request
MAX_CONCURRENT = 8  # requests; a server answers each from another of its workers
PARENT, REUSED = "mlflow.parentRunId", "reused_from"
PARAMS, METRICS = tuple(FACTORS), tuple(SUMMARY.values())
KEPT_TAGS = (*TAGS, *EARLIER, *FLAGS, PARENT, REUSED, "role")
RENAMED = {metric: column for column, metric in SUMMARY.items()} | {PARENT: "parent_run_id", REUSED: "trained_run_id"}


def newest_data_digest() -> str:
    """The images of the newest study run; empty when no study was run yet."""
    newest = next(search_runs(connect(), "tags.role = 'study'", page=1), None)
    return str(newest.data.tags.get("data_digest", "")) if newest else ""


def load_trials(data_digest: str) -> pd.DataFrame:
    """The finished trials on these images, of the newest run of each study that has any; the oldest trial first."""
    client = connect()
    parents: dict[str, list[str]] = {name: [] for name in STUDIES}
    for run in search_runs(client, "tags.role = 'study'", page=PAGE):
        if run.data.tags.get("data_digest") == data_digest:  # a person's text: no filter of MLflow takes any quote
            study = run.data.tags["study"]
            parents[EARLIER_VALUES["study"].get(study, study)].append(run.info.run_id)
    with ThreadPoolExecutor(MAX_CONCURRENT) as pool:
        studies = list(pool.map(functools.partial(_newest, client), parents.values()))
    return _typed(pd.DataFrame([row for rows in studies for row in rows]))


def load_curves(trials: pd.DataFrame) -> pd.DataFrame:
    """Every epoch of these trials: run_id and the columns of epochs.csv. A trial without epochs has no rows."""
    client = connect()

    def read(run_ids: tuple[str, str]) -> pd.DataFrame | None:
        run_id, trained = run_ids
        path = fetch(client, trained, "epochs.csv")
        return pd.read_csv(path).assign(run_id=run_id) if path else None

    known = trials.dropna(subset="run_id")
    with ThreadPoolExecutor(MAX_CONCURRENT) as pool:
        found = list(pool.map(read, zip(known["run_id"], known["trained_run_id"], strict=True)))
    curves = [curve for curve in found if curve is not None]
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=["run_id", "epoch", "val_dice"])


def load_predictions(run_id: str) -> bytes:
    """The picture (PNG) of a run's predictions; empty where it has none."""
    path = fetch(connect(), run_id, "predictions.png")
    return path.read_bytes() if path else b""


def count_images(trials: pd.DataFrame) -> int:
    """How many images the newest study had, all parts together; 0 where it did not say."""
    if trials.empty or not (path := fetch(connect(), str(trials["parent_run_id"].iloc[-1]), "data.json")):
        return 0
    return len(json.loads(path.read_text())["groups"])


def _newest(client: MlflowClient, parents: Sequence[str]) -> list[dict[str, Any]]:
    """The trials of the first of these study runs that has any, under MLflow's names."""
    for parent in parents:
        query = f"tags.role = 'trial' and tags.`{PARENT}` = '{parent}' and attributes.status = 'FINISHED'"
        if found := [_row(run) for run in search_runs(client, query, "start_time ASC", PAGE)]:
            return found
    return []


def _row(run: Run) -> dict[str, Any]:
    row = {"run_id": run.info.run_id, "experiment_id": run.info.experiment_id, "start_time": run.info.start_time}
    row |= {name: run.data.params[name] for name in PARAMS if name in run.data.params}
    row |= {name: run.data.metrics[name] for name in METRICS if name in run.data.metrics}
    return row | {name: run.data.tags[name] for name in KEPT_TAGS if name in run.data.tags}


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    if table.empty:
        return tidy([])
    table = modernize(table)
    for factor, dtype in FACTORS.items():
        lacking = table[table[factor].isna()] if factor in table else table
        if len(lacking):
            raise ValueError(
                f"run {lacking['run_id'].iloc[0]}: param {factor!r} is missing; a trial has all of Trial's fields: "
                "repeat its study or delete the run"
            )
        if dtype == "bool":
            table[factor] = table[factor] == "True"
    for flag in FLAGS:
        table[flag] = table[flag] == "true" if flag in table else False
    started = pd.to_datetime(table["start_time"].astype("int64"), unit="ms").dt.strftime("%Y-%m-%dT%H:%M:%S")
    figure = table["study"].map({study.name: study.figure for study in STUDIES.values()})
    table["experiment_id"] = table["experiment_id"].astype(str)
    return tidy(table.rename(columns=RENAMED).assign(source="measured", figure=figure, started=started))
