"""MLflow runs read into the tidy table, with their epochs and pictures. Which rows are better is not known here."""

import functools
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from analysis.evidence.pooling import POOLING_TAGS, Pool, pool
from analysis.evidence.schema import EARLIER, EARLIER_VALUES, FACTORS, FLAGS, SUMMARY, TAGS, modernize, tidy
from analysis.evidence.store import connect, fetch
from analysis.evidence.thumbnails import PARTS
from training.data.pictures import TRAIN_PICTURE, VAL_PICTURE
from training.study.studies import STUDIES
from training.tracking.kept_runs import to_row
from training.tracking.store import search_runs

PAGE = 1000  # runs a request
MAX_CONCURRENT = 8  # requests; a server answers each from another of its workers
STUDY_RUNS = "tags.role = 'study'"
PICTURES = dict(zip(PARTS, (VAL_PICTURE, TRAIN_PICTURE), strict=True))
PARENT, REUSED = "mlflow.parentRunId", "reused_from"
PARAMS, METRICS = tuple(FACTORS), tuple(SUMMARY.values())
KEPT_TAGS = (*TAGS, *EARLIER, *FLAGS, *POOLING_TAGS, PARENT, REUSED, "role")
RENAMED = {metric: column for column, metric in SUMMARY.items()} | {PARENT: "parent_run_id", REUSED: "trained_run_id"}


def newest_data_digest() -> str:
    """The images of the newest study run; empty when no study was run yet."""
    newest = next(search_runs(connect(), STUDY_RUNS, page=1), None)
    return str(newest.data.tags.get("data_digest", "")) if newest else ""


def known_data() -> dict[str, str]:
    """The images that studies were run on, the newest first: digest, name."""
    found = (run.data.tags for run in search_runs(connect(), STUDY_RUNS, page=PAGE))
    return {tags["data_digest"]: tags.get("data", "") for tags in found if tags.get("data_digest")}


def load_trials(*data_digests: str) -> pd.DataFrame:
    """The finished trials on these images that are shown together: study by study, and of each the oldest first."""
    return load_pool(data_digests).trials


def load_pool(data_digests: Sequence[str]) -> Pool:
    """The same, and in words which study runs do not count though nothing stands in for them."""
    client = connect()
    parents: dict[tuple[str, str], list[str]] = {(name, data): [] for name in STUDIES for data in data_digests}
    for run in search_runs(client, STUDY_RUNS, page=PAGE):
        data = run.data.tags.get("data_digest", "")  # a person's text: no filter of MLflow takes any quote
        if data in data_digests:
            study = run.data.tags["study"]
            parents[EARLIER_VALUES["study"].get(study, study), data].append(run.info.run_id)
    newest_first = [parent for runs in parents.values() for parent in runs]
    with ThreadPoolExecutor(MAX_CONCURRENT) as pool_of_threads:
        found = list(pool_of_threads.map(functools.partial(_trials_of, client), newest_first))
    table = pd.DataFrame([row for rows in found for row in rows])
    typed = _typed(table)
    extra = table[[name for name in (*POOLING_TAGS, "start_time") if name in table]]
    pooled = pool(typed.join(extra))
    if pooled.trials.empty:
        return Pool(trials=typed, notes=pooled.notes)
    places = {place: order for order, place in enumerate(parents)}
    ranked = pooled.trials.assign(
        place=[places[place] for place in zip(pooled.trials["study"], pooled.trials["data_digest"], strict=True)]
    ).sort_values(["place", "start_time"], kind="stable")
    return Pool(trials=ranked[list(typed.columns)].reset_index(drop=True), notes=pooled.notes)


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


def load_kept_runs(trials: pd.DataFrame) -> pd.DataFrame:
    """Of the study runs that these trials are of: every trial that was trained, those of rate searches, too."""
    client, found = connect(), dict[str, dict[str, Any]]()
    for parent in trials["parent_run_id"].dropna().unique():
        for run in search_runs(client, _children(parent), "start_time ASC", PAGE):
            trained = run.data.tags.get(REUSED, run.info.run_id)
            if trained not in found:
                found[trained] = to_row(run if trained == run.info.run_id else client.get_run(trained))
    return pd.DataFrame(found.values())


def load_predictions(run_id: str, part: str) -> bytes:
    """The picture (PNG) of a run's predictions on a part of PARTS; empty where it has none."""
    path = fetch(connect(), run_id, PICTURES[part])
    return path.read_bytes() if path else b""


def count_images(trials: pd.DataFrame) -> int:
    """How many images the newest study had, all parts together; 0 where it did not say."""
    if trials.empty or not (path := fetch(connect(), str(trials["parent_run_id"].iloc[-1]), "data.json")):
        return 0
    return len(json.loads(path.read_text())["groups"])


def _trials_of(client: MlflowClient, parent: str) -> list[dict[str, Any]]:
    """The finished trials of a study run, under MLflow's names; what only searched for a row's rate is no row."""
    found = search_runs(client, _children(parent), "start_time ASC", PAGE)
    return [_row(run) for run in found if run.data.tags.get("row") != "search"]


def _children(parent: str) -> str:
    return f"tags.role = 'trial' and tags.`{PARENT}` = '{parent}' and attributes.status = 'FINISHED'"


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
