"""MLflow runs read into the tidy table, with their epochs and pictures. Which rows are better, this file does not know.

MLflow's own search builds objects of each run's sixty params, metrics and tags, which is most of the time it takes.
So a database is asked for the columns alone, and a server's answer is read as plain JSON. A test holds that both give
the same table.
"""

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.evidence.schema import FACTORS, FLAGS, SUMMARY, TAGS, tidy
from analysis.evidence.store import connect, fetch
from training.study.studies import STUDIES

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from sqlalchemy import Engine, Select

PAGE = 1000  # runs a request to a server
AT_ONCE = 8  # requests; a server answers each from another of its workers
SEARCH = "/api/2.0/mlflow/runs/search"
PARENT, REUSED = "mlflow.parentRunId", "reused_from"
PARAMS, METRICS = tuple(FACTORS), tuple(SUMMARY.values())
KEPT_TAGS = (*TAGS, *FLAGS, PARENT, REUSED, "role")
RENAMED = {metric: column for column, metric in SUMMARY.items()} | {PARENT: "parent_run_id", REUSED: "trained_run_id"}

Read = Callable[[str], pd.DataFrame]


def newest_data_digest() -> str:
    """The images of the newest study run; empty when no study was run yet."""
    client = connect()
    newest = client.search_runs(_experiments(client), "tags.role = 'study'", max_results=1)
    return str(newest[0].data.tags.get("data_digest", "")) if newest else ""


def load_trials(data_digest: str) -> pd.DataFrame:
    """The finished trials on these images, of the newest run of each study that has any; the oldest trial first."""
    client = connect()
    parents: dict[str, list[str]] = {name: [] for name in STUDIES}
    for run in _search(client, "tags.role = 'study'"):  # the newest first
        if run.data.tags.get("data_digest") == data_digest:  # a person's text: no filter of MLflow takes any quote
            parents[run.data.tags["study"]].append(run.info.run_id)
    read = _reader(client)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        studies = list(pool.map(functools.partial(_newest, read), parents.values()))
    return _typed(pd.concat(studies, ignore_index=True))


def load_curves(trials: pd.DataFrame) -> pd.DataFrame:
    """Every epoch of these trials: run_id and the columns of epochs.csv. A trial without epochs has no rows."""
    client = connect()

    def read(run_ids: tuple[str, str]) -> pd.DataFrame | None:
        run_id, trained = run_ids
        path = fetch(client, trained, "epochs.csv")
        return pd.read_csv(path).assign(run_id=run_id) if path else None

    known = trials.dropna(subset="run_id")
    with ThreadPoolExecutor(AT_ONCE) as pool:
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


def _experiments(client: "MlflowClient") -> list[str]:
    return [experiment.experiment_id for experiment in client.search_experiments()]


def _search(client: "MlflowClient", query: str) -> Iterator["Run"]:
    experiments, token = _experiments(client), None
    while True:
        page = client.search_runs(experiments, query, max_results=PAGE, order_by=["start_time DESC"], page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _newest(read: Read, parents: Sequence[str]) -> pd.DataFrame:
    """The trials of the first of these study runs that has any."""
    for parent in parents:
        if len(found := read(parent)):
            return found
    return pd.DataFrame()


def _reader(client: "MlflowClient") -> Read:
    """How to read a study run's finished trials from this store, all as text, under MLflow's names."""
    from mlflow.store.db.db_types import DATABASE_ENGINES

    uri = str(client.tracking_uri)
    if uri.startswith(tuple(DATABASE_ENGINES)):
        from sqlalchemy import NullPool, create_engine

        return functools.partial(_from_database, create_engine(uri, poolclass=NullPool))
    return functools.partial(_from_server, uri, _experiments(client))


def _from_database(engine: "Engine", parent: str) -> pd.DataFrame:
    """Four queries, by the models of MLflow's own tables."""
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlParam, SqlRun, SqlTag
    from sqlalchemy import select

    children: Select[tuple[str]] = select(SqlTag.run_uuid).where(SqlTag.key == PARENT, SqlTag.value == parent)
    counts = (SqlRun.run_uuid.in_(children), SqlRun.status == "FINISHED", SqlRun.lifecycle_stage == "active")
    query: Select[Any] = select(SqlRun.run_uuid, SqlRun.experiment_id, SqlRun.start_time).where(*counts)
    query = query.order_by(SqlRun.start_time, SqlRun.run_uuid)
    table = pd.read_sql(query, engine, index_col="run_uuid")
    wanted: tuple[tuple[Any, Sequence[str]], ...] = (
        (SqlParam, PARAMS),
        (SqlLatestMetric, METRICS),
        (SqlTag, KEPT_TAGS),
    )
    for model, names in wanted:
        query = select(model.run_uuid, model.key, model.value)
        query = query.where(model.run_uuid.in_(children), model.key.in_(names))
        if model is SqlLatestMetric:
            query = query.where(model.is_nan.is_(False))  # MLflow keeps nan as 0
        values = pd.read_sql(query, engine)
        table = table.join(values.pivot(index="run_uuid", columns="key", values="value"))  # noqa: PD010, no aggregation
    table = table.rename_axis("run_id").reset_index()
    return table[table["role"] == "trial"] if len(table) else table


def _from_server(uri: str, experiments: Sequence[str], parent: str) -> pd.DataFrame:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request, verify_rest_response

    query = f"tags.role = 'trial' and tags.`{PARENT}` = '{parent}' and attributes.status = 'FINISHED'"
    asked: dict[str, Any] = {"experiment_ids": experiments, "filter": query, "order_by": ["start_time ASC"]}
    asked["max_results"] = PAGE
    rows: list[dict[str, Any]] = []
    while True:
        answer = http_request(get_default_host_creds(uri), SEARCH, "POST", json=asked)
        page = verify_rest_response(answer, SEARCH).json()
        rows += map(_row, page.get("runs", []))
        if not page.get("next_page_token"):
            return pd.DataFrame(rows)
        asked["page_token"] = page["next_page_token"]


def _row(run: dict[str, Any]) -> dict[str, Any]:
    info, data = run["info"], run["data"]
    row = {"run_id": info["run_id"], "experiment_id": info["experiment_id"], "start_time": info["start_time"]}
    for part, names in (("params", PARAMS), ("metrics", METRICS), ("tags", KEPT_TAGS)):
        row |= {pair["key"]: pair["value"] for pair in data.get(part, []) if pair["key"] in names}
    return row


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    if table.empty:
        return tidy([])
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
