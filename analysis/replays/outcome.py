"""What a tournament came to: rows for its claims, curves, and one line per player. Replays in, tables out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims.verdicts import Assessment, assess_all
from analysis.evidence.schema import tidy
from analysis.replays.board import Board
from analysis.replays.expectations import CLAIMS, STUDY
from analysis.replays.replay import NONE, Played
from training.study.intervals import mean_interval

BASELINE = "random"  # the player whose score is 0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One player, in the mean over its replays."""

    player: str
    replays: int
    dice: float  # of what it chose at the end, on the images that judge
    score: float  # 0: random search, 1: the best cell
    low: float  # its 95 % interval: Student's t over the images that judge
    high: float
    after_one_pass: float  # the same score; nan where the budget is less than that
    in_seconds: float
    decided: float  # comparisons a replay
    wrong: float  # the share of these with another sign than the whole table; nan where none was decided


@dataclass(frozen=True, kw_only=True)
class Outcome:
    trials: int  # the budget, in full trials
    way: float  # Dice of the best cell less that of random search: what a score of 1 is worth
    replays: pd.DataFrame  # one row per replay: player, chooser, decided, wrong, chosen
    curves: pd.DataFrame  # index: full trials spent; column: player; Dice of the choice on the images that judge
    standings: tuple[Standing, ...]  # the best first
    assessments: dict[str, Assessment]  # of CLAIMS, by code


def find_outcome(board: Board, played: Sequence[Played], trials: int) -> Outcome:
    """`played`: with replays of BASELINE among them."""
    by_player: dict[str, list[Played]] = {}
    for one in played:
        by_player.setdefault(one.player, []).append(one)
    rows = _judged_rows(board, by_player, trials)
    counted = [
        {"player": one.player, "at": "comparisons", "chooser": board.seeds[one.chooser], "seed": number}
        | {"decided": one.decided, "wrong": one.wrong / one.decided if one.decided else np.nan}
        for replays in by_player.values()
        for number, one in enumerate(replays)
    ]
    table = pd.concat([rows, pd.DataFrame(counted)], ignore_index=True)
    curves = {
        name: [judge(board, replays, [one.choices[k] for one in replays]).mean() for k in range(trials)]
        for name, replays in by_player.items()
    }
    standings = (_standing(name, replays, table) for name, replays in by_player.items())
    return Outcome(
        trials=trials,
        way=board.best - float(curves[BASELINE][-1]),
        replays=pd.DataFrame([{**vars(one), "chosen": one.choices[-1]} for one in played]).drop(columns="choices"),
        curves=pd.DataFrame(curves, index=pd.RangeIndex(1, trials + 1)),
        standings=tuple(sorted(standings, key=lambda one: -one.score)),
        assessments=assess_all(CLAIMS, as_claims_read_it(board, table)),
    )


def as_claims_read_it(board: Board, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the tidy table, with what a tournament adds to it."""
    added = ["player", "at", "chooser", "score", "decided", "wrong"]
    known = rows.assign(study=STUDY, source="measured", data=board.data, data_digest=board.digest, fold=0)
    table = tidy(known.drop(columns=added))
    return table.join(known[added])


def _judged_rows(board: Board, by_player: dict[str, list[Played]], trials: int) -> pd.DataFrame:
    """One row per player, part of its budget (`at`), seed that chose and image that judged it."""
    parts = {"pass": board.one_pass, "epochs": trials} if board.one_pass <= trials else {"epochs": trials}
    rows = []
    for at in (*parts, "seconds"):
        dice = {
            (name, chooser): judge(
                board, some, [one.choices[parts[at] - 1] if at in parts else one.in_seconds for one in some]
            )
            for name, replays in by_player.items()
            for chooser in range(len(board.seeds))
            if (some := [one for one in replays if one.chooser == chooser])
        }
        zero = {chooser: values for (name, chooser), values in dice.items() if name == BASELINE}
        way = board.best - float(np.mean([values.mean() for values in zero.values()]))
        for (name, chooser), judged in dice.items():
            values = _by_image(judged)
            scores = (values - _by_image(zero[chooser])) / way if way > 0 else np.full(len(values), np.nan)
            rows += [
                {
                    "player": name,
                    "at": at,
                    "chooser": board.seeds[chooser],
                    "seed": image,
                    "val_dice": one,
                    "score": score,
                }
                for image, (one, score) in enumerate(zip(values, scores, strict=True))
            ]
    return pd.DataFrame(rows)


def judge(board: Board, replays: Sequence[Played], chosen: Sequence[int]) -> np.ndarray:
    """(replays, images): the Dice of what each chose, by the training that did not choose.

    Who has no trial in full yet would take any cell: the mean of all; nan where none of them has.
    """
    anything = (
        board.judged.mean(axis=0) if any(cell != NONE for cell in chosen) else np.full(board.judged.shape[1:], np.nan)
    )
    return np.array(
        [
            anything[1 - one.chooser] if cell == NONE else board.judged[cell, 1 - one.chooser]
            for one, cell in zip(replays, chosen, strict=True)
        ]
    )


def _by_image(judged: np.ndarray) -> np.ndarray:
    """(images): each image judges replays of its own, every so-many-th, so that what images say is independent, and how
    far replays differ is in how far images do. nan of an image that is left without any.
    """
    images = judged.shape[1]
    return np.array([judged[image::images, image].mean() if image < len(judged) else np.nan for image in range(images)])


def _standing(name: str, replays: Sequence[Played], table: pd.DataFrame) -> Standing:
    own = table[table["player"] == name]
    by_image = {at: rows.groupby("seed")[["score", "val_dice"]].mean() for at, rows in own.groupby("at")}
    low, high = mean_interval(by_image["epochs"]["score"])
    decided = sum(one.decided for one in replays)
    return Standing(
        player=name,
        replays=len(replays),
        dice=float(by_image["epochs"]["val_dice"].mean()),
        score=float(by_image["epochs"]["score"].mean()),
        low=low,
        high=high,
        after_one_pass=float(by_image["pass"]["score"].mean()) if "pass" in by_image else np.nan,
        in_seconds=float(by_image["seconds"]["score"].mean()),
        decided=decided / len(replays),
        wrong=sum(one.wrong for one in replays) / decided if decided else np.nan,
    )
