"""Writes kept trials back into a store, so that studies reuse them: `mlflow run . -e restore -P tables=FOLDER`.

The folder is what `mlflow run . -e report -P snapshot=FOLDER` or `mlflow run . -e table` wrote, as those in
analysis/measured/ are. Whatever the store holds already stays as it is, and the command may be repeated. Weights do not
travel: a promotion trains its trial again, and it must come to the kept score.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.command.entry import Parser, run_command, user_path
from training.command.progress import leave

if TYPE_CHECKING:
    import pandas as pd

MODULE = "training.restore"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every trial is there, 2 for a value that cannot be used."""
    return run_command(MODULE, run, arguments)


def run(arguments: Sequence[str]) -> int:
    """Raises ValueError for a folder that holds no trials."""
    options = parse(arguments)
    folder: Path = options.tables
    import pandas as pd  # it and MLflow take seconds to import
    from tqdm import tqdm

    from training.tracking import mlflow_run, runs
    from training.tracking.kept_runs import COLUMNS, RUNS, restore

    if not (folder / RUNS).is_file():
        raise ValueError(
            f"tables={folder}: it has no {RUNS}; it must be a folder that `mlflow run . -e report -P snapshot=FOLDER` "
            "(of version 0.3 or later) or `mlflow run . -e table` wrote"
        )
    kept = pd.read_parquet(folder / RUNS)
    if missing := [name for name in COLUMNS if name not in kept]:
        raise ValueError(f"tables={folder}: {RUNS} lacks {', '.join(missing)}; write the snapshot again")
    files = read_files(folder, kept)
    client, experiment_id = runs.connect()
    mlflow_run.own_run(client, MODULE)
    written = restore(client, experiment_id, folder.name, kept.to_dict("records"), files)  # type: ignore[arg-type]
    count = sum(tqdm(written, total=len(kept), unit="trial", desc="restoring"))
    others = "; the others are in the store already" if count < len(kept) else ""
    print(f"{count} of {len(kept)} trials were restored{others}")
    print("they belong to no study until one of these images reuses them: it trains only what is missing")
    return 0


def read_files(folder: Path, kept: "pd.DataFrame") -> "dict[str, dict[str, pd.DataFrame]]":
    """The files that runs had, by their names and by the ids of the runs: their epochs, and what judged a cell."""
    import pandas as pd

    from training.tracking.kept_runs import STORED_AS, each_epoch_once

    if (folder / "epochs.parquet").is_file():  # of a grid
        tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("epochs", "judge_images")}
    else:
        curves = pd.read_parquet(folder / "curves.parquet")
        trained = pd.read_parquet(folder / "trials.parquet").set_index("run_id")["trained_run_id"]
        ids = curves["run_id"].map(trained).fillna(curves["run_id"])  # who waits for a study is no row of trials
        if STORED_AS in kept:  # a run that was restored before is kept under the id that it had first
            ids = ids.map(dict(zip(kept[STORED_AS], kept["run_id"], strict=True))).fillna(ids)  # of older tables
        tables = {"epochs": each_epoch_once(curves.assign(run_id=ids))}
    return {
        f"{name}.csv": {
            str(run_id): rows.drop(columns="run_id").dropna(axis="columns", how="all")
            for run_id, rows in table.groupby("run_id")
        }
        for name, table in tables.items()
    }


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(MODULE, "Write kept trials back into the store, so that studies reuse them.")
    parser.add_argument("--tables", type=user_path, required=True, help="a folder that a report's snapshot wrote")
    return parser.parse(arguments)


if __name__ == "__main__":
    leave(main())
