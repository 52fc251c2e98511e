"""The report's published tables as tidy rows, with what each figure fixes filled in. Files in, rows out; no MLflow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

FOLDER = Path(__file__).parents[1] / "published"
COLLAPSED = 1e-3  # Dice below which a run predicts nothing; the report publishes 5e-10 for such runs

_PLAIN = {"scheduler": "none", "weight_decay": 0.0, "dropout": 0.0}  # Sections 2 and 3, before they are studied
_ALL = {"augment": "none", "equalize_masks": False, "width": 16, "baseline": "report", "protocol": "report"}


@dataclass(frozen=True)
class Source:
    """One published table: its file and the factors that its section fixes for all rows."""

    study: str
    figure: str
    file: str
    fixed: dict[str, Any]


SOURCES = (
    Source("learning_rate", "1", "fig01_best_learning_rates.csv", _PLAIN),
    Source("optimizers", "2", "fig02_constant_learning_rate.csv", _PLAIN),
    Source("training_data", "4", "fig04_train_fraction.csv", _PLAIN),
    Source("schedulers", "6", "fig06_schedulers.csv", _PLAIN | {"train_percent": 80}),  # Fig. 11 repeats it at 80 %
    Source("schedulers_by_data", "11", "fig11_scheduler_by_fraction.csv", _PLAIN),
    Source("weight_decay", "13", "fig13_weight_decay.csv", {"dropout": 0.0}),
    Source("dropout", "16", "fig16_dropout.csv", {}),
    Source("losses", "19", "fig19_losses.csv", {"dropout": 0.0}),
)


def read_published() -> list[dict[str, Any]]:
    """One row per published row; a column of the table wins over what its section fixes."""
    rows: list[dict[str, Any]] = []
    for source in SOURCES:
        table = pd.read_csv(FOLDER / source.file).rename(columns={"learning_rate": "lr"})
        for row in table.to_dict("records"):
            known = {"source": "published", "study": source.study, "figure": source.figure, "row": "published"}
            collapsed = row.get("val_dice", 1.0) < COLLAPSED
            flags = {"collapsed": collapsed, "diverged": False}
            rows.append({**_ALL, **source.fixed, **known, **{str(name): value for name, value in row.items()}, **flags})
    return rows


def read_notes() -> pd.DataFrame:
    """What is odd about the published numbers: figure, note."""
    return pd.read_csv(FOLDER / "notes.csv", dtype="str")
