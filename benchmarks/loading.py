"""How long the analysis needs for many runs: `python -m benchmarks.loading [--runs 10000] [--server]`.

Logs a study with a trial into a fresh SQLite store for each of the ten studies, multiplies the trials' rows in the
database until there are so many, then reads them with `load_trials`, beside `mlflow.search_runs`, which a user would
call. With --server a real `mlflow server`, on the same machine, stands between. Curves and pictures, a file a run each,
are not part of it.
"""

import argparse
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.study.studies import STUDIES

TABLES = ("runs", "params", "tags", "latest_metrics")
DIGEST = "many"
REPORTED = [study.name for study in STUDIES.values() if study.figure]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--server", action="store_true", help="read through an MLflow server")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{name}/mlflow.db"
        for study in REPORTED:
            log_study(study)
        multiply(Path(name) / "mlflow.db", options.runs // len(REPORTED))
        with mlflow_server(name) if options.server else contextlib.nullcontext():
            ours, theirs, versions = measure(options.runs)
    store = "SQLite behind `mlflow server`" if options.server else "SQLite"
    print(f"{options.runs} trials; {store}; {versions}; {os.cpu_count()} CPU cores\n")
    print("| what | seconds | mlflow.search_runs / this |\n| --- | --- | --- |")
    print(f"| mlflow.search_runs | {theirs:.1f} | 1.0 |")
    print(f"| load_trials | {ours:.1f} | {theirs / ours:.1f} |")


def measure(count: int) -> tuple[float, float, str]:
    """Seconds of ours and of mlflow.search_runs, each for all runs; and which MLflow that was."""
    import mlflow

    from analysis.evidence.runs import load_trials
    from analysis.evidence.store import connect

    connect().search_experiments()  # what a process does once is not counted, on either side
    start = time.perf_counter()
    trials = load_trials(DIGEST)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    found = mlflow.search_runs(search_all_experiments=True, max_results=50_000)
    theirs = time.perf_counter() - start
    assert (len(trials), len(found)) == (count, count + len(REPORTED))
    return ours, theirs, f"MLflow {mlflow.__version__}"


def log_study(study: str) -> None:
    """A study with one trial, as the runner logs them: its params, 7 summary metrics and 15 stepped ones, 24 tags."""
    from mlflow.entities import Metric

    from training.study.trial import Trial
    from training.tracking import runs as tracking
    from training.tracking.trial_run import TrialRun

    client, experiment = tracking.connect()
    tags = {"study": study, "data_digest": DIGEST, "data": "many", "carry": "report", "protocol": "fixed"}
    tags |= {"preset": "small", "section": "6", "device": "cpu", "split_digest": "0", "deterministic": "false"}
    parent = tracking.begin_run(client, experiment, study, tags | {"role": "study"})
    trial = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=20)
    run = TrialRun(client, experiment, study, trial, tags | {"row": "printed"}, parent)
    names = ("train_loss", "train_dice", "val_loss", "val_dice", "val_global_dice", "val_soft_dice", "val_iou", "lr")
    best = ("best_val_dice", "best_val_loss", "best_train_dice", "best_train_loss", "best_epoch", "epochs_to_converge")
    client.log_batch(run.run_id, [Metric(name, 0.5, 0, 0) for name in (*names, *best, "seconds")])
    tracking.end_run(client, run.run_id)
    tracking.end_run(client, parent)


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


@contextlib.contextmanager
def mlflow_server(folder: str) -> Iterator[None]:
    """A server with its usual workers over the store; MLFLOW_TRACKING_URI is its address from now on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "mlflow", "server", "--port", address.rsplit(":", maxsplit=1)[-1]]
    command += ["--backend-store-uri", os.environ["MLFLOW_TRACKING_URI"], "--artifacts-destination", folder]
    with (Path(folder) / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health"):
                break
            time.sleep(0.1)
        time.sleep(10)  # its other workers start one after the other
        os.environ["MLFLOW_TRACKING_URI"] = address
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


if __name__ == "__main__":
    main()
