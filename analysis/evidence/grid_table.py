"""The cells of `grid` as a table: read from a store while it grows, or from the files it was kept in.

Three parquet files with a card: a row per trained cell and seed, per epoch of it, and per image that judged it. A
fourth holds the runs themselves, so that the grid goes on elsewhere after `mlflow run . -e restore`.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from analysis.evidence.files import to_parquet, write
from analysis.evidence.runs import load_csv, load_curves, tabulate
from analysis.evidence.schema import FACTORS
from analysis.evidence.store import connect
from training.study.grid import JUDGE_PERCENT, NUM_CELLS, SEEDS, VALUES
from training.tracking.kept_runs import RUNS, to_row
from training.tracking.store import search_runs

CELLS, EPOCHS, IMAGES, CARD = "cells.parquet", "epochs.parquet", "judge_images.parquet", "README.md"
REPEATED = (*VALUES, "seed")  # what the cells of one table may differ in
COLUMNS = {
    "val_dice": "validation Dice of the best epoch, mean over the images that have foreground, at image_size",
    "own_val_dice": "the same at the images' own size: choose by this",
    "judge_dice": "the same weights on images that neither train nor validate: judge by this",
    "train_dice": "training Dice of that epoch",
    "val_loss": "validation loss of that epoch",
    "best_epoch": "that epoch, from 1; none is chosen by the images that judge",
    "seconds": "of training, on one of the workers",
    "collapsed": "predicts nothing in the end, or nothing right in any epoch",
    "diverged": "the loss was no finite number; scores are those until then, or missing",
    "data": "the folder",
    "data_digest": "of the images as they were read",
    "device": "cpu, or the GPU",
    "torch": "its version",
    "git_commit": "of this project",
    "started": "UTC",
    "run_id": "the key of the other two files",
}


@dataclass(frozen=True, kw_only=True)
class GridTable:
    cells: pd.DataFrame  # all factors of Trial, then COLUMNS
    epochs: pd.DataFrame  # run_id, epoch, val_dice and the other columns of epochs.csv
    images: pd.DataFrame  # run_id, image, own_dice and the other columns of judge_images.csv
    kept_runs: pd.DataFrame = field(default_factory=pd.DataFrame)  # as training/tracking/kept_runs.py reads them

    @property
    def share(self) -> float:
        """Of the whole grid, the part that is there with both seeds."""
        return float((self.cells.groupby(list(VALUES)).size() == len(SEEDS)).sum() / NUM_CELLS)


def load(data: str) -> GridTable:
    """What is trained so far on images of this name, with the settings, images and split of the last cell.

    Raises ValueError where there is none.
    """
    found = search_runs(connect(), "tags.role = 'cell' and attributes.status = 'FINISHED'", "start_time ASC", page=1000)
    runs = [run for run in found if run.data.tags["data"] == data]  # a filter of MLflow takes no quote in a name
    if not runs:
        raise ValueError(f"data={data}: no cell is trained on images of this name; `mlflow run . -e grid -P data=...`")
    last = runs[-1].data.tags
    alike = [run for run in runs if all(run.data.tags[tag] == last[tag] for tag in ("data_digest", "split_digest"))]
    cells = tabulate(alike)
    settings = [name for name in FACTORS if name not in REPEATED]
    same = (cells[settings] == cells[settings].iloc[-1]).all(axis="columns")
    cells = cells[same].drop_duplicates([*VALUES, "seed"]).reset_index(drop=True)
    rows = {run.info.run_id: to_row(run) for run in alike}
    kept = pd.DataFrame([rows[run_id] for run_id in cells["run_id"]])
    trained = dict(zip(cells["run_id"], kept["run_id"], strict=True))  # who was restored has the id it had first
    cells, epochs, images = (
        found.assign(run_id=found["run_id"].map(trained))
        for found in (cells[[*FACTORS, *COLUMNS]], load_curves(cells), load_csv(cells, "judge_images.csv"))
    )
    return GridTable(cells=cells, epochs=epochs, images=images, kept_runs=kept)


def read(folder: Path) -> GridTable:
    """What `keep` wrote. Raises ValueError for a folder that holds no such table."""
    if missing := [name for name in (CELLS, EPOCHS, IMAGES) if not (folder / name).is_file()]:
        raise ValueError(
            f"table={folder}: it has no {missing[0]}; it must be a folder that `mlflow run . -e table` wrote"
        )
    cells, epochs, images = (pd.read_parquet(folder / name) for name in (CELLS, EPOCHS, IMAGES))
    kept = pd.read_parquet(folder / RUNS) if (folder / RUNS).is_file() else pd.DataFrame()
    return GridTable(cells=cells, epochs=epochs, images=images, kept_runs=kept)


def keep(table: GridTable, folder: Path) -> None:
    """The table as files, with its card."""
    files = {CELLS: table.cells, EPOCHS: table.epochs, IMAGES: table.images, RUNS: table.kept_runs}
    for name, rows in files.items():
        write(folder / name, to_parquet(rows))
    write(folder / CARD, card(table, folder.name))


def card(table: GridTable, name: str) -> str:
    """What is in it, how it was made, how it is read, and under which licence: Markdown."""
    cells, first = table.cells, table.cells.iloc[0]
    fixed = json.dumps({factor: first[factor] for factor in FACTORS if factor not in REPEATED}, default=bool)
    varied = "\n".join(f"| `{factor}` | {', '.join(map(str, values))} |" for factor, values in VALUES.items())
    columns = "\n".join(f"| `{column}` | {words} |" for column, words in COLUMNS.items())
    settings = f"-P epochs={first['epochs']:.0f} -P image_size={first['image_size']:.0f}"
    return f"""# {name}: a full grid of U-Net trainings

{len(cells)} trainings of a small U-Net on {first["data"]} (digest {first["data_digest"]}): {table.share:.1%} of a grid
of {NUM_CELLS} cells, with {len(SEEDS)} seeds of each. The order is drawn once, so a part is a fair sample.

```python
import pandas as pd

cells = pd.read_parquet("{name}/{CELLS}")
print(cells.groupby(["optimizer", "lr"]).own_val_dice.max().unstack())
```

| factor | values |
| --- | --- |
{varied}
| `seed` | {", ".join(map(str, SEEDS))} |

All else is the same for all: `{fixed}`.

`{CELLS}` has a row per training: the factors (what they are: `training/study/trial.py`), and

| column | what it is |
| --- | --- |
{columns}

`{EPOCHS}` has a row per epoch of each, with `run_id`, `epoch`, `val_dice` and what else was measured then.
`{IMAGES}` has a row per image that judged it, with `own_dice`, missing where the image has no foreground.
`{RUNS}` is for `mlflow run . -e restore -P tables={name}`, after which the grid goes on where this table ends.

The images that judge are {JUDGE_PERCENT} % of all: development images that neither train nor validate, and no test
images. Choose by `own_val_dice` of one seed and judge by `judge_dice` of the other.

Made with `mlflow run . -e grid -P data=FOLDER {settings}`, {first["started"]} to {cells["started"].max()} UTC, on
{", ".join(sorted(set(cells["device"])))}, commit {first["git_commit"]}, torch {first["torch"]}.

Licence: Apache-2.0, as the project. The images are not in it.
"""
