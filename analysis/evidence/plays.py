"""The plays of `live` as a table: what they asked for and chose, and what that came to. Trainings in, rows out."""

from collections.abc import Hashable, Mapping
from dataclasses import fields
from typing import Any

import pandas as pd

from training.study.live import ROLES, find_plays
from training.study.trial import Trial
from training.study.winning import score_of

PLAY_COLUMNS = {  # before those of a training
    "player": "who played",
    "repeat": "which of its plays, from 0",
    "trials": "its budget, in full trials",
    "number": "of the training within its play, from 1, in the order in which it was asked for",
    "role": f"{ROLES[0]}; or {ROLES[1]}: the choice, trained once more, whose `judge_dice` is what the play came to",
    "chosen": "the one training that the play chose, by `own_val_dice`",
}


def tabulate_plays(trainings: pd.DataFrame, trials: int) -> tuple[pd.DataFrame, int]:
    """Finished plays with this budget, one row per training of them; and how many plays have only begun.

    trainings: rows of `live` with the same settings, each trial once.
    """
    rows = {trial_of(row): row for row in trainings.to_dict("records")}
    results = {
        trial: score_of(row["own_val_dice"], collapsed=row["collapsed"], diverged=row["diverged"])
        for trial, row in rows.items()
    }
    finished, unfinished = find_plays(results, trials) if results else ([], 0)
    found: list[dict[Hashable, Any]] = []
    for play in finished:
        choice, judge = play.tuning.choose(results), play.judge(results)
        found += [
            {"player": play.player, "repeat": play.repeat, "trials": trials, "number": number}
            | {"role": ROLES[trial == judge], "chosen": trial == choice}
            | rows[trial]
            for number, trial in enumerate([*dict.fromkeys(play.tuning.asked), judge], start=1)
        ]
    return pd.DataFrame(found, columns=[*PLAY_COLUMNS, *trainings.columns]), unfinished


def trial_of(row: Mapping[Hashable, Any]) -> Trial:
    """Of a row of a table, which holds whole numbers as floats."""
    return Trial(**{field.name: field.type(row[field.name]) for field in fields(Trial)})  # type: ignore[operator]
