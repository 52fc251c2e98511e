"""How long the analysis needs for many runs: `python -m benchmarks.loading [--runs 10000]`.

Logs a trial into a fresh SQLite store, multiplies its rows in the database until there are so many runs, then reads
them with `load_trials`, beside `mlflow.search_runs`, which a user would call. Curves and pictures, a file a run each,
are not part of it.
"""

import argparse
import os
import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np

TABLES = ("runs", "params", "tags", "latest_metrics")
DIGEST = "many"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    count = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{name}/mlflow.db"
        log_study()
        multiply(Path(name) / "mlflow.db", count)
        import mlflow

        from analysis.runs import load_trials

        start = time.perf_counter()
        trials = load_trials(DIGEST)
        ours = time.perf_counter() - start
        start = time.perf_counter()
        found = mlflow.search_runs(search_all_experiments=True, max_results=50_000)
        theirs = time.perf_counter() - start
    print(f"{len(trials)} trials, {len(found)} runs; SQLite; MLflow {mlflow.__version__}; {os.cpu_count()} CPU cores\n")
    print("| what | seconds | mlflow.search_runs / this |\n| --- | --- | --- |")
    print(f"| mlflow.search_runs | {theirs:.1f} | 1.0 |")
    print(f"| load_trials | {ours:.1f} | {theirs / ours:.1f} |")


def log_study() -> None:
    """One study with one trial, as the runner logs them: 21 params, 7 summary metrics and 15 stepped ones, 24 tags."""
    from mlflow.entities import Metric

    from training import tracking
    from training.trial import Trial
    from training.trial_run import TrialRun

    client, experiment = tracking.connect()
    tags = {"study": "losses", "data_digest": DIGEST, "data": "many", "carry": "report", "protocol": "fixed"}
    tags |= {"preset": "small", "section": "6", "device": "cpu", "split_digest": "0", "deterministic": "false"}
    parent = tracking.begin_run(client, experiment, "losses", tags | {"role": "study"})
    trial = Trial(loss="bce", optimizer="adam", lr=1e-3, epochs=20)
    run = TrialRun(client, experiment, "losses", trial, tags | {"row": "printed"}, parent)
    names = ("train_loss", "train_dice", "val_loss", "val_dice", "val_global_dice", "val_soft_dice", "val_iou", "lr")
    best = ("best_val_dice", "best_val_loss", "best_train_dice", "best_train_loss", "best_epoch", "epochs_to_converge")
    client.log_batch(run.run_id, [Metric(name, 0.5, 0, 0) for name in (*names, *best, "seconds")])
    tracking.end_run(client, run.run_id)
    tracking.end_run(client, parent)


def multiply(database: Path, count: int) -> None:
    """Copies of the trial's rows under new run ids, each with a seed and scores of its own."""
    rng = np.random.default_rng(0)
    with sqlite3.connect(database) as store:
        (source,) = store.execute("select run_uuid from tags where key = 'role' and value = 'trial'").fetchone()
        for table in TABLES:
            columns = [row[1] for row in store.execute(f"pragma table_info({table})")]
            rows = store.execute(f"select {', '.join(columns)} from {table} where run_uuid = ?", (source,)).fetchall()
            copies = []
            for number in range(1, count):
                for row in rows:
                    values = dict(zip(columns, row, strict=True)) | {"run_uuid": f"{number:032x}"}
                    if table == "params" and values["key"] == "seed":
                        values["value"] = str(number)
                    if table == "latest_metrics" and values["key"] == "best_val_dice":
                        values["value"] = float(rng.random())
                    copies.append(tuple(values[name] for name in columns))
            marks = ", ".join("?" * len(columns))
            store.executemany(f"insert into {table} ({', '.join(columns)}) values ({marks})", copies)


if __name__ == "__main__":
    main()
