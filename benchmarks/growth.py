"""What a large store costs: `python -m benchmarks.growth [--most 100000]`.

A trial's rows, as the runner logs them, are multiplied in a SQLite store to 100, 1,000, ... trials. At each size: the
file's size, the search for one trial (what every trial pays before it is trained), the search for dead runs (once a
study) and the analysis reading all. Then a million points of one metric are added, for what an epoch's metrics cost.
"""

import argparse
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mlflow.entities import Metric

from analysis.evidence.runs import load_trials
from training.study.studies import STUDIES
from training.study.trial import Trial
from training.tracking.lease import look_up
from training.tracking.runs import begin_run, connect, end_all_stale_runs, end_run
from training.tracking.trial_run import TrialRun

TABLES = ("runs", "params", "tags", "latest_metrics")
DIGEST = "many"
REPORTED = [study.name for study in STUDIES.values() if study.figure]

FIRST, FACTOR = 100, 10
POINTS = 1_000_000
REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100_000)
    most = parser.parse_args().most
    print(
        "| trials | file, MB | find a trial, ms | find dead runs, ms | read all, s |\n| --- | --- | --- | --- | --- |"
    )
    size = FIRST
    while size <= most:
        with tempfile.TemporaryDirectory() as name:
            print(measure(Path(name), size), flush=True)
            if size * FACTOR > most:
                print(f"\n{points_cost(Path(name) / 'mlflow.db'):.0f} bytes a point of a metric, its index included")
        size *= FACTOR


def measure(folder: Path, size: int) -> str:
    """A row of the table."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    for study in REPORTED:
        log_study(study)
    multiply(folder / "mlflow.db", size // len(REPORTED))
    spread_hashes(folder / "mlflow.db")
    client, _ = connect()
    find = seconds(lambda: look_up(client, f"{size // 2:016x}"))
    dead = seconds(lambda: end_all_stale_runs(client))
    start = time.perf_counter()
    read = len(load_trials(DIGEST))
    took = time.perf_counter() - start
    assert read == size
    megabytes = (folder / "mlflow.db").stat().st_size / 1e6
    return f"| {size:,} | {megabytes:,.1f} | {1e3 * find:.1f} | {1e3 * dead:.1f} | {took:.2f} |"


def log_study(study: str) -> None:
    """A study with one trial, as the runner logs them: its params, 7 summary metrics and 15 stepped ones, 24 tags."""
    client, experiment = connect()
    tags = {"study": study, "data_digest": DIGEST, "data": "many", "baseline": "report", "protocol": "fixed"}
    tags |= {"preset": "small", "section": "6", "device": "cpu", "split_digest": "0", "deterministic": "false"}
    parent = begin_run(client, experiment, study, tags | {"role": "study"})
    trial = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=20)
    run = TrialRun(client, experiment, study, trial, tags | {"row": "published"}, parent)
    names = ("train_loss", "train_dice", "val_loss", "val_dice", "val_global_dice", "val_soft_dice", "val_iou", "lr")
    best = ("best_val_dice", "best_val_loss", "best_train_dice", "best_train_loss", "best_epoch", "epochs_to_converge")
    client.log_batch(run.run_id, [Metric(name, 0.5, 0, 0) for name in (*names, *best, "seconds")])
    end_run(client, run.run_id)
    end_run(client, parent)


def multiply(database: Path, count: int) -> None:
    """So many of each study's trial, copies of its rows under new run ids, each with a seed and scores of its own."""
    rng = np.random.default_rng(0)
    with sqlite3.connect(database) as store:
        sources = store.execute("select run_uuid from tags where key = 'role' and value = 'trial'").fetchall()
        for table in TABLES:
            columns = [row[1] for row in store.execute(f"pragma table_info({table})")]
            copies = []
            for source in sources:
                query = f"select {', '.join(columns)} from {table} where run_uuid = ?"
                rows = store.execute(query, source).fetchall()
                for number in range(1, count):
                    for row in rows:
                        values = dict(zip(columns, row, strict=True)) | {"run_uuid": f"{source[0][:16]}{number:016x}"}
                        if table == "params" and values["key"] == "seed":
                            values["value"] = str(number)
                        if table == "latest_metrics" and values["key"] == "best_val_dice":
                            values["value"] = float(rng.random())
                        copies.append(tuple(values[name] for name in columns))
            marks = ", ".join("?" * len(columns))
            store.executemany(f"insert into {table} ({', '.join(columns)}) values ({marks})", copies)


def seconds(call: Callable[[], object]) -> float:
    """The median of a few calls, after one."""
    call()
    took = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def spread_hashes(database: Path) -> None:
    """A hash of its own for every trial, as they have in a real store."""
    with sqlite3.connect(database) as store:
        runs = store.execute("select run_uuid from tags where key = 'role' and value = 'trial'").fetchall()
        rows = [("result_hash", f"{number:016x}", run) for number, (run,) in enumerate(runs)]
        store.executemany("insert or replace into tags (key, value, run_uuid) values (?, ?, ?)", rows)


def points_cost(database: Path) -> float:
    """Bytes that a point of a metric takes in the file."""
    before = database.stat().st_size
    with sqlite3.connect(database) as store:
        runs = [run for (run,) in store.execute("select run_uuid from runs limit 100")]
        rows = (("val_dice", 0.5, 1_700_000_000_000 + k, runs[k % len(runs)], k, 0) for k in range(POINTS))
        store.executemany(
            "insert into metrics (key, value, timestamp, run_uuid, step, is_nan) values (?, ?, ?, ?, ?, ?)", rows
        )
    return (database.stat().st_size - before) / POINTS


if __name__ == "__main__":
    main()
