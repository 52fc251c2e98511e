"""MLflow runs read into the tidy table, with their epochs and pictures. Which rows are better is not known here."""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from analysis.evidence.pooling import POOLING_TAGS, Pool, pool
from analysis.evidence.schema import (
    EARLIER,
    EARLIER_VALUES,
    FACTORS,
    FLAGS,
    RATE_AT_EDGE,
    SUMMARY,
    TAGS,
    modernize,
    tidy,
)
from analysis.evidence.store import fetch
from analysis.evidence.thumbnails import PARTS
from training.data.pictures import TRAIN_PICTURE, VAL_PICTURE
from training.study.plan import RUNNABLE
from training.study.search import is_at_edge
from training.study.settings import SEARCH_ROW
from training.study.studies import COMBINATION, STUDIES
from training.tracking.kept_runs import EPOCHS, each_epoch_once, to_row
from training.tracking.store import connect, search_runs
from training.tracking.tags import PARENT, RESTORED, REUSED

PAGE = 1000  # runs a request
MAX_CONCURRENT = 8  # requests; a server answers each from another of its workers
TABLES = [study.name for study in RUNNABLE.values() if study.is_table]  # whose trials are cells, which no page shows
STUDY_RUNS = " and ".join(["tags.role = 'study'", *(f"tags.study != '{name}'" for name in TABLES)])
PICTURES = dict(zip(PARTS, (VAL_PICTURE, TRAIN_PICTURE), strict=True))
PARAMS, METRICS = tuple(FACTORS), tuple(SUMMARY.values())
KEPT_TAGS = (*TAGS, *EARLIER, *FLAGS, *POOLING_TAGS, PARENT, REUSED, "role")
SEARCHED_FOR = ("parent_run_id", *COMBINATION)  # what the trials of a search for a learning rate have in common
RENAMED = {metric: column for column, metric in SUMMARY.items()} | {PARENT: "parent_run_id", REUSED: "trained_run_id"}


def newest_data_digest(name: str = "") -> str:
    """The images of the newest study run, or of the newest on images of that name; empty when there is none."""
    found = (run.data.tags for run in search_runs(connect(), STUDY_RUNS, page=PAGE if name else 1))
    return next((str(tags.get("data_digest", "")) for tags in found if name in ("", tags.get("data"))), "")


def known_data() -> dict[str, str]:
    """The images that studies were run on, the newest first: digest, name."""
    found = (run.data.tags for run in search_runs(connect(), STUDY_RUNS, page=PAGE))
    return {tags["data_digest"]: tags.get("data", "") for tags in found if tags.get("data_digest")}


def load_trials(*data_digests: str) -> pd.DataFrame:
    """The finished trials on these images that are shown together: study by study, and of each the oldest first."""
    return load_pool(data_digests).trials


@dataclass(frozen=True, kw_only=True)
class Loaded(Pool):
    """And of each study run, by its id, every finished trial: those that only searched for a row's rate, too."""

    children: Mapping[str, Sequence[Run]]


def load_pool(data_digests: Sequence[str]) -> Loaded:
    """The same, and in words which study runs do not count though nothing stands in for them."""
    client = connect()
    parents: dict[tuple[str, str], list[str]] = {(name, data): [] for name in STUDIES for data in data_digests}
    for run in search_runs(client, STUDY_RUNS, page=PAGE):
        data = run.data.tags.get("data_digest", "")  # a person's text: no filter of MLflow takes any quote
        study = EARLIER_VALUES["study"].get(run.data.tags["study"], run.data.tags["study"])
        if (study, data) in parents:  # what `tune` tried is no row of a study: tuned.py
            parents[study, data].append(run.info.run_id)
    newest_first = [parent for runs in parents.values() for parent in runs]
    with ThreadPoolExecutor(MAX_CONCURRENT) as pool_of_threads:
        found = pool_of_threads.map(functools.partial(trials_of, client), newest_first)
        children = dict(zip(newest_first, found, strict=True))
    trained = [run for runs in children.values() for run in runs]
    table = pd.DataFrame([_row(run) for run in trained if not _is_search(run)])
    typed = mark_edges(_typed(table), tabulate(run for run in trained if _is_search(run)))
    extra = table[[name for name in (*POOLING_TAGS, "start_time") if name in table]]
    pooled = pool(typed.join(extra))
    if pooled.trials.empty:
        return Loaded(trials=typed, notes=pooled.notes, children=children)
    places = {place: order for order, place in enumerate(parents)}
    ranked = pooled.trials.assign(
        place=[places[place] for place in zip(pooled.trials["study"], pooled.trials["data_digest"], strict=True)]
    ).sort_values(["place", "start_time"], kind="stable")
    trials = ranked[list(typed.columns)].reset_index(drop=True)
    return Loaded(trials=trials, notes=pooled.notes, children=children)


def load_restored(data_digests: Sequence[str]) -> list[Run]:
    """Trials of studies on these images that were restored from files, whoever has reused them."""
    query = f"tags.role = 'trial' and tags.{RESTORED} != '' and attributes.status = 'FINISHED'"
    return [
        run
        for run in search_runs(connect(), query, "start_time ASC", PAGE)
        if run.data.tags["data_digest"] in data_digests and run.data.tags["study"] in STUDIES
        if REUSED not in run.data.tags
    ]


def load_waiting(loaded: Loaded, data_digests: Sequence[str]) -> list[Run]:
    """Those of them that no study has reused yet."""
    reused = {run.data.tags.get(REUSED) for trials in loaded.children.values() for run in trials}
    return [run for run in load_restored(data_digests) if run.info.run_id not in reused]


def load_curves(trials: pd.DataFrame, waiting: Sequence[Run] = ()) -> pd.DataFrame:
    """Every epoch of these trials: run_id and the columns of epochs.csv. A trial without epochs has no rows."""
    ids = [run.info.run_id for run in waiting]
    rows = pd.DataFrame({"run_id": ids, "trained_run_id": ids}, dtype="str")
    curves = load_csv(pd.concat([trials[list(rows)], rows]), EPOCHS)
    return each_epoch_once(curves) if len(curves) else pd.DataFrame(columns=["run_id", "epoch", "val_dice"])


def load_csv(trials: pd.DataFrame, name: str) -> pd.DataFrame:
    """A file that trials wrote, one below the other: run_id and its columns. Who wrote none has no rows."""
    client = connect()

    def read(run_ids: tuple[str, str]) -> pd.DataFrame | None:
        run_id, trained = run_ids
        path = fetch(client, trained, name)
        return pd.read_csv(path).assign(run_id=run_id) if path else None

    known = trials.dropna(subset="run_id")
    with ThreadPoolExecutor(MAX_CONCURRENT) as pool:
        found = list(pool.map(read, zip(known["run_id"], known["trained_run_id"], strict=True)))
    files = [rows for rows in found if rows is not None]
    return pd.concat(files, ignore_index=True) if files else pd.DataFrame(columns=["run_id"])


def load_kept_runs(loaded: Loaded, waiting: Sequence[Run] = ()) -> pd.DataFrame:
    """Every trial that was trained for the study runs that are shown, or that have searched for rates alone so far;
    and who waits for a study.
    """
    shown = set(loaded.trials["parent_run_id"].dropna())
    begun = {parent for parent, trials in loaded.children.items() if all(map(_is_search, trials))}
    children = [run for parent, trials in loaded.children.items() if parent in shown | begun for run in trials]
    trained = {run.info.run_id: run for run in [*children, *waiting] if REUSED not in run.data.tags}
    reused = {run.data.tags[REUSED]: None for run in children if REUSED in run.data.tags}
    elsewhere = [run_id for run_id in reused if run_id not in trained]
    client = connect()
    for start in range(0, len(elsewhere), PAGE):
        names = ", ".join(f"'{run_id}'" for run_id in elsewhere[start : start + PAGE])
        trained |= {run.info.run_id: run for run in search_runs(client, f"attributes.run_id IN ({names})", page=PAGE)}
    return pd.DataFrame([to_row(run) for run in trained.values()])


def load_predictions(run_id: str, part: str) -> bytes:
    """The picture (PNG) of a run's predictions on a part of PARTS; empty where it has none."""
    path = fetch(connect(), run_id, PICTURES[part])
    return path.read_bytes() if path else b""


def trials_of(client: MlflowClient, parent: str) -> list[Run]:
    """The finished trials of a study run."""
    query = f"tags.role = 'trial' and tags.`{PARENT}` = '{parent}' and attributes.status = 'FINISHED'"
    return list(search_runs(client, query, "start_time ASC", PAGE))


def count_images(trials: pd.DataFrame) -> int:
    """How many images the newest study had, all parts together; 0 where it did not say."""
    if trials.empty or not (path := fetch(connect(), str(trials["parent_run_id"].iloc[-1]), "data.json")):
        return 0
    return len(json.loads(path.read_text())["groups"])


def tabulate(runs: Iterable[Run]) -> pd.DataFrame:
    """Finished trials as rows of the tidy table."""
    return _typed(pd.DataFrame([_row(run) for run in runs]))


def mark_edges(trials: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """Says which trials have a rate that the search for it, among `searches`, found at the edge of what it tried."""
    tried = {searched: set(rates) for searched, rates in searches.groupby(list(SEARCHED_FOR))["lr"]}
    rows = zip(*(trials[name] for name in (*SEARCHED_FOR, "lr")), strict=True)
    at_edge = [lr in (rates := tried.get(tuple(searched), set())) and is_at_edge(lr, rates) for *searched, lr in rows]
    return trials.assign(**{RATE_AT_EDGE: at_edge})


def _is_search(run: Run) -> bool:
    """Whether a trial only searched for a row's learning rate."""
    return run.data.tags.get("row") == SEARCH_ROW


def _row(run: Run) -> dict[str, Any]:
    """Under MLflow's names."""
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
