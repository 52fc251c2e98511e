"""A made-up table of a cheap surface in place of trained cells: for the logic of replays alone."""

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd

from analysis.evidence.grid_table import COLUMNS, GridTable
from analysis.evidence.plays import tabulate_plays
from training.study.grid import SEEDS, grid_trials
from training.study.live import make_plays
from training.study.trial import Trial

Row = dict[str, Any]
EPOCHS = 9
IMAGES = 12
START = Trial(loss="bce", optimizer="adam", lr=1e-4, epochs=EPOCHS, train_percent=60, image_size=64)


def dice(trial: Trial) -> float:
    """A rate of its own for each optimizer; BCE, the plateau and no dropout are better; no decay or it is the same."""
    best = {"sgd": -1.0, "adadelta": -1.0, "adagrad": -2.0}.get(trial.optimizer, -3.0)
    score = 0.8 - 0.15 * abs(math.log10(trial.lr) - best) + 0.05 * (trial.loss == "bce")
    return score + 0.03 * (trial.scheduler == "plateau") - 0.02 * (trial.dropout > 0)


def make_table(cells: str = "all", noise: float = 0.01, plays: tuple[int, int] = (0, 0)) -> GridTable:
    """Every image is as hard as its number says; a rate of 0.1 makes Adam diverge. `plays`: the budget of each in
    trials, and how often each player plays live.
    """
    rng = np.random.default_rng(0)
    trained = [_train(rng, trial, noise) for trial in grid_trials(START, cells)]
    assert {row["seed"] for row, _, _ in trained} == set(SEEDS)
    num_cells, results = len(trained), dict[Trial, float]()
    searches = make_plays(START, *plays) if any(plays) else []
    while asked := [trial for play in searches for trial in play.propose(results)]:
        trained += (added := [_train(rng, trial, noise) for trial in asked])
        results |= {trial: row["own_val_dice"] for trial, (row, _, _) in zip(asked, added, strict=True)}
    rows = pd.DataFrame([row for row, _, _ in trained])
    played, unfinished = tabulate_plays(rows.iloc[num_cells:], plays[0])
    return GridTable(
        cells=rows.iloc[:num_cells],
        epochs=pd.DataFrame([epoch for _, epochs, _ in trained for epoch in epochs]),
        images=pd.DataFrame([image for _, _, images in trained for image in images]),
        plays=played,
        unfinished=unfinished,
    )


def _train(rng: np.random.Generator, trial: Trial, noise: float) -> tuple[Row, list[Row], list[Row]]:
    """A row of each file for one training: its own, those of its epochs, and those of the images that judge it."""
    run_id, score = f"run {trial.digest}", dice(trial) + rng.normal(0, noise)
    failed = trial.optimizer == "adam" and trial.lr == 0.1
    judged = score + rng.normal(0, noise) - np.linspace(0, 0.2, IMAGES) + rng.normal(0, 0.02, IMAGES)
    row = (
        dataclasses.asdict(trial)
        | dict.fromkeys(COLUMNS, "made up")
        | {"run_id": run_id, "own_val_dice": math.nan if failed else score, "val_dice": score}
        | {"judge_dice": judged.mean(), "seconds": 10.0 + 5 * (trial.optimizer == "adam"), "best_epoch": EPOCHS}
        | {"collapsed": False, "diverged": failed, "data": "made_up", "data_digest": "0123456789abcdef"}
    )
    learned = score * (1 - 0.5 ** np.arange(1, EPOCHS + 1))
    epochs = [{"run_id": run_id, "epoch": k + 1, "val_dice": learned[k]} for k in range(EPOCHS)]
    return row, epochs, [{"run_id": run_id, "image": f"{k:02d}", "own_dice": judged[k]} for k in range(IMAGES)]
