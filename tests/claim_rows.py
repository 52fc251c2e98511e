"""Rows of made-up measured tables, from which a claim is checked."""

from typing import Any

import numpy as np

from analysis.claims.claims import ALL_CLAIMS
from analysis.claims.verdicts import Assessment, assess
from analysis.evidence.schema import tidy

SEED_NOISE = 1e-4  # share of a score
SCORES = (
    *("val_dice", "train_dice", "val_loss", "val_dice_roughness", "fall_from_best"),
    *("epochs_to_converge", "epochs_to_target"),
)


def row(study: str, val_dice: float, **fields: Any) -> dict[str, Any]:
    """One row of a made-up measured table."""
    usual = {"loss": "switching", "optimizer": "adam", "lr": 1e-3, "scheduler": "plateau", "train_percent": 80}
    usual |= {"weight_decay": 0.01, "dropout": 0.0, "augment": "none", "equalize_masks": False, "fold": 0, "seed": 0}
    return usual | {"source": "measured", "study": study, "val_dice": val_dice, "train_dice": val_dice} | fields


def six(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows from six seeds, which hardly differ."""
    rng = np.random.default_rng(0)
    return [
        fields
        | {name: fields[name] * (1 + rng.normal(0, SEED_NOISE)) for name in SCORES if fields.get(name)}
        | {"seed": seed}
        for fields in rows
        for seed in range(6)
    ]


def found(code: str, rows: list[dict[str, Any]]) -> Assessment:
    """What a claim comes to on rows."""
    (claim,) = (claim for claim in ALL_CLAIMS if claim.code == code)
    return assess(claim, tidy(rows))
