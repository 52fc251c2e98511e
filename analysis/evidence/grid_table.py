"""The cells of `grid` as a table: read from a store while it grows, or from the files it was kept in.

Parquet files with a card: a row per trained cell and seed, per epoch of it, and per image that judged it; and the same
of the plays of `live`. Another holds the runs themselves, so that both go on elsewhere after `mlflow run . -e restore`.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Run

from analysis.evidence.files import to_parquet, write
from analysis.evidence.plays import PLAY_COLUMNS, tabulate_plays
from analysis.evidence.runs import load_csv, load_curves, tabulate
from analysis.evidence.schema import FACTORS
from training.study.grid import GRID, JUDGE_PERCENT, NUM_CELLS, SEEDS, VALUES
from training.study.live import LIVE, ROLES
from training.tracking.kept_runs import RUNS, to_row
from training.tracking.store import check, connect, search_runs

CELLS, EPOCHS, IMAGES, CARD = "cells.parquet", "epochs.parquet", "judge_images.parquet", "README.md"
PLAYS = "plays.parquet"
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
    "run_id": "the key of the other files",
}


@dataclass(frozen=True, kw_only=True)
class GridTable:
    cells: pd.DataFrame  # all factors of Trial, then COLUMNS
    epochs: pd.DataFrame  # of cells and plays: run_id, epoch, val_dice and the other columns of epochs.csv
    images: pd.DataFrame  # likewise: run_id, image, own_dice and the other columns of judge_images.csv
    kept_runs: pd.DataFrame = field(default_factory=pd.DataFrame)  # as training/tracking/kept_runs.py reads them
    plays: pd.DataFrame = field(default_factory=pd.DataFrame)  # PLAY_COLUMNS, then those of cells; finished ones
    unfinished: int = 0  # plays that are left out; files do not say
    unlike: int = 0  # trainings on the same images that are left out, since the last had other settings; likewise

    @property
    def share(self) -> float:
        """Of the whole grid, the part that is there with both seeds."""
        return float((self.cells.groupby(list(VALUES)).size() == len(SEEDS)).sum() / NUM_CELLS)


def load(data: str) -> GridTable:
    """What is trained so far on images of this name, with the settings, images and split of the last cell; and of
    plays, with those and the budget of the last one.

    Plays may be there before any cell. Raises ValueError where there are neither.
    """
    check()
    found = search_runs(connect(), "tags.role = 'cell' and attributes.status = 'FINISHED'", "start_time ASC", page=1000)
    runs = [run for run in found if run.data.tags["data"] == data]  # a filter of MLflow takes no quote in a name
    trained, played = ([run for run in runs if run.data.tags["study"] == name] for name in (GRID.name, LIVE.name))
    if not runs:
        raise ValueError(f"data={data}: no cell is trained on images of this name; `mlflow run . -e grid -P data=...`")
    alike, unlike = zip(*(_alike(part) for part in (trained, played) if part), strict=True)
    both, num_cells = pd.concat(alike, ignore_index=True), len(alike[0]) if trained else 0
    rows = {run.info.run_id: to_row(run) for run in runs}
    kept = pd.DataFrame([rows[run_id] for run_id in both["run_id"]])
    first_ids = dict(zip(both["run_id"], kept["run_id"], strict=True))  # who was restored has the id it had first
    both, epochs, images = (
        found.assign(run_id=found["run_id"].map(first_ids))
        for found in (both[[*FACTORS, *COLUMNS]], load_curves(both), load_csv(both, "judge_images.csv"))
    )
    budget = int(played[-1].data.tags["trials"]) if played else 0
    plays, unfinished = tabulate_plays(both.iloc[num_cells:], budget)
    return GridTable(
        cells=both.iloc[:num_cells],
        epochs=epochs,
        images=images,
        kept_runs=kept,
        plays=plays,
        unfinished=unfinished,
        unlike=sum(unlike),
    )


def _alike(runs: list[Run]) -> tuple[pd.DataFrame, int]:
    """Rows of the runs with the settings, images and split of the last, each trial once, cell by cell; how many have
    others.
    """
    last = runs[-1].data.tags
    rows = tabulate(
        run for run in runs if all(run.data.tags[tag] == last[tag] for tag in ("data_digest", "split_digest"))
    )
    settings = [name for name in FACTORS if name not in REPEATED]
    same = (rows[settings] == rows[settings].iloc[-1]).all(axis="columns")
    return rows[same].drop_duplicates(list(REPEATED)).sort_values(list(REPEATED)), len(runs) - int(same.sum())


def read(folder: Path) -> GridTable:
    """What `keep` wrote. Raises ValueError for a folder that holds no such table."""
    if missing := [name for name in (CELLS, EPOCHS, IMAGES) if not (folder / name).is_file()]:
        raise ValueError(
            f"table={folder}: it has no {missing[0]}; it must be a folder that `mlflow run . -e table` wrote"
        )
    cells, epochs, images = (pd.read_parquet(folder / name) for name in (CELLS, EPOCHS, IMAGES))
    kept, plays = (  # what an earlier version wrote has neither
        pd.read_parquet(folder / name) if (folder / name).is_file() else pd.DataFrame() for name in (RUNS, PLAYS)
    )
    return GridTable(cells=cells, epochs=epochs, images=images, kept_runs=kept, plays=plays)


def keep(table: GridTable, folder: Path) -> None:
    """The table as files, with its card; plays where there are some."""
    files = {CELLS: table.cells, EPOCHS: table.epochs, IMAGES: table.images, RUNS: table.kept_runs}
    for name, rows in files.items():
        write(folder / name, to_parquet(rows))
    if table.plays.empty:
        (folder / PLAYS).unlink(missing_ok=True)
    else:
        write(folder / PLAYS, to_parquet(table.plays))
    write(folder / CARD, card(table, folder.name))


def card(table: GridTable, name: str) -> str:
    """What is in it, how it was made, how it is read, and under which licence: Markdown."""
    cells = table.cells
    trained = pd.concat([cells, table.plays])
    first = {name: _whole(value) for name, value in trained.iloc[0].items()}
    fixed = json.dumps({factor: first[factor] for factor in FACTORS if factor not in REPEATED}, default=bool)
    varied = "\n".join(f"| `{factor}` | {', '.join(map(str, values))} |" for factor, values in VALUES.items())
    columns = "\n".join(f"| `{column}` | {words} |" for column, words in COLUMNS.items())
    plays = "" if table.plays.empty else _card_of_plays(table)
    names = ("epochs", "image_size", "precision")
    settings = " ".join(f"-P {name}={first[name]}" for name in names)
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

{plays}`{EPOCHS}` has a row per epoch of each training: `run_id`, `epoch`, `val_dice` and what else was measured then.
`{IMAGES}` has a row per image that judged one, with `own_dice`, missing where the image has no foreground.
`{RUNS}` is for `mlflow run . -e restore -P tables={name}`, after which `grid` and `live` go on where this table ends.

The images that judge are {JUDGE_PERCENT} % of all: development images that neither train nor validate, and no test
images. Choose by `own_val_dice` of one seed and judge by `judge_dice` of the other.

Made with `mlflow run . -e grid -P data=FOLDER {settings}`, {trained["started"].min()} to
{trained["started"].max()} UTC, on {_named(trained["device"])}, torch {_named(trained["torch"])}, commit
{_named(trained["git_commit"])}.

Licence: Apache-2.0, as the project. The images are not in it.
"""


def _whole(value: Any) -> Any:
    """A whole number as one: columns hold floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _named(values: pd.Series) -> str:
    return ", ".join(map(str, values.unique()))


def _card_of_plays(table: GridTable) -> str:
    """What was played live, as a part of the card: Markdown, with an empty line at its end."""
    plays = table.plays[table.plays["role"] == ROLES[1]]
    counts = ", ".join(f"{count} of {player}" for player, count in plays.groupby("player", sort=False).size().items())
    columns = "\n".join(f"| `{column}` | {words} |" for column, words in PLAY_COLUMNS.items())
    left_out = f"\n{table.unfinished} more had only begun and are left out." if table.unfinished else ""
    return f"""`{PLAYS}` has plays of `mlflow run . -e live` with {plays["trials"].iloc[0]} trials each:
{counts}.{left_out}

A row is a training of a play, with the columns of `{CELLS}` and

| column | what it is |
| --- | --- |
{columns}

"""
