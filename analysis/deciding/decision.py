"""Rounds: what is there is looked at, what is open gets seeds, those are trained, and what is there is looked at again.

Nothing is remembered but what the store holds, and in ROUNDS the round that is being trained: whoever starts again
finishes it first.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.claims.claims import check_claims
from analysis.claims.verdicts import Assessments, Claim
from analysis.deciding.budget import Budget
from analysis.deciding.decision_run import Describe
from analysis.deciding.rounds import (
    NUMBER,
    Round,
    Wish,
    find_restored,
    next_round,
    number_cells,
    open_claims,
    seconds_of_cells,
    share_decided,
    wish,
)
from analysis.deciding.runner import call_runner
from analysis.deciding.words import describe_end, describe_round
from analysis.evidence import runs
from analysis.evidence.evidence import from_store
from training.study.further import Further
from training.study.further import write as write_further
from training.study.trial import Trial
from training.study.words import pluralize
from training.tracking.kept_runs import STORED_AS

ROUNDS = Path("mlruns/rounds")
FIELDS: dict[str, Any] = {name: one.type for name, one in Trial.__dataclass_fields__.items()}


@dataclass(kw_only=True)
class Decision:
    """The rounds after the first pass."""

    data: str  # name of the images
    folds: list[int]
    seeds: int  # of the first pass
    arguments: list[str]  # of the runner
    claims: list[Claim]  # that are to be decided
    budget: Budget
    describe: Describe
    lines: list[str] = field(default_factory=list)
    asked: set[tuple[str, int]] = field(default_factory=set)  # claim and seeds; who asks again, its trials failed
    digest: str = ""
    elsewhere: set[str] = field(default_factory=set)  # runs that were restored: another machine trained them

    def run(self) -> int:
        """Round after round, until none is worth it or the budget is used up. The exit status."""
        self.digest = runs.newest_data_digest(self.data)
        if not self.digest:
            raise ValueError(f"data={self.data}: no study run of these images is in the store")
        if any(self.round_of(fold).is_file() for fold in self.folds):
            self.say("a round that was stopped is finished first")
            if status := self.train():
                return status
        if status := self.reuse_restored():
            return status
        while True:
            table, found = self.look()
            chosen, wishes = self.choose(table, found)
            if not chosen:
                self.say(*describe_end(self.claims, found, wishes, self.budget))
                return 0
            self.say(*describe_round(self.claims, found, chosen, self.budget))
            self.keep(to_further(chosen.rows, table))
            if status := self.train():
                return status
            self.asked |= {(one.claim.code, one.outlook.seeds[0]) for one in chosen.wishes}

    def reuse_restored(self) -> int:
        """Seeds that an earlier run added and `-e restore` brought come first: they need no training."""
        table = self.of_these_folds(runs.load_trials(self.digest))
        restored = runs.tabulate(runs.load_restored([self.digest]))
        rows = find_restored(table, restored, self.seeds)
        if rows.empty:
            return 0
        self.say(f"{pluralize(len(rows), 'restored trial')} of these studies come first: they need no training")
        self.keep(to_further(rows, table))
        return self.train()

    def look(self) -> tuple[pd.DataFrame, Assessments]:
        """What is there, and what it decides, among all claims as on the page."""
        table = self.load()
        return table, check_claims(table, goes_on=True)

    def load(self) -> pd.DataFrame:
        found = from_store(self.digest, "")
        self.budget.count(found.kept_runs)
        is_restored = found.kept_runs["run_id"] != found.kept_runs[STORED_AS]
        self.elsewhere = set(found.kept_runs.loc[is_restored, STORED_AS])
        return self.of_these_folds(found.trials)

    def of_these_folds(self, trials: pd.DataFrame) -> pd.DataFrame:
        return number_cells(trials[trials["fold"].isin(self.folds)])

    def choose(self, table: pd.DataFrame, found: Assessments) -> tuple[Round | None, list[Wish]]:
        seconds = seconds_of_cells(table, self.elsewhere)

        def cost(rows: pd.DataFrame) -> float:
            if self.budget.trials:
                return float(len(rows))
            return float(rows[NUMBER].map(seconds).sum()) / self.budget.at_once

        share = share_decided(found)
        wishes = [
            wish(claim, found[claim.code], table, self.seeds, share, cost) for claim in open_claims(self.claims, found)
        ]
        able = [one for one in wishes if (one.claim.code, *one.outlook.seeds[:1]) not in self.asked]
        return next_round(able, self.budget.left, self.budget.total, cost), wishes

    def round_of(self, fold: int) -> Path:
        """Where a round's trials on a fold are kept until they are trained."""
        return ROUNDS / f"{self.digest}-{fold}.json"

    def keep(self, trials: list[Further]) -> None:
        ROUNDS.mkdir(parents=True, exist_ok=True)
        for fold in self.folds:
            if own := [one for one in trials if one.trial.fold == fold]:
                write_further(self.round_of(fold), self.seeds, own)

    def train(self) -> int:
        """The trials of a round that are kept; the exit status of the runner, where that ends everything."""
        started = time.monotonic()
        for fold in self.folds:
            kept = self.round_of(fold)
            if not kept.is_file():
                continue
            status = call_runner(
                [*self.arguments, "--fold", str(fold), "--further", str(kept)], self.budget.seconds_left
            )
            if status not in (0, 1):
                return status
            kept.unlink()
        self.budget.waited = time.monotonic() - started
        return 0

    def say(self, *lines: str) -> None:
        """On the screen, and in the run's description."""
        print("", *lines, sep="\n", flush=True)
        self.lines += [*lines, ""]
        self.describe("\n".join(f"{line}  " for line in self.lines))


def to_further(rows: pd.DataFrame, table: pd.DataFrame) -> list[Further]:
    """Numbers of cells and seeds as trials, each of the newest study run that holds its cell."""
    cells = table.drop_duplicates(NUMBER, keep="last").set_index(NUMBER).to_dict("index")
    return [
        Further(
            study=cells[number]["study"],
            parent=cells[number]["parent_run_id"],
            is_extra=cells[number]["row"] == "extra",
            trial=Trial(**{name: kind((cells[number] | {"seed": seed})[name]) for name, kind in FIELDS.items()}),
        )
        for number, seed in rows.itertuples(index=False)
    ]
