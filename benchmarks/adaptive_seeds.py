"""What seeds where verdicts are open are worth, against the same seeds everywhere, by simulation.

`python -m benchmarks.adaptive_seeds [--worlds 4] [--first 6] [--everywhere 12]` makes worlds in which the truth is
known: CLAIMS claims, each that Adam beats SGD in the mean over so many cells, with effects and noise of their own;
seeds that nobody trained. Both players start from the same first pass. One adds seeds to every cell and looks once, in
the end; the other adds them where `analysis.deciding` sends them, until it has decided as many claims. Printed: the
trials that each took beyond the first pass, their ratio, and the share of false verdicts.
"""

import argparse
import functools
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.claims.contrasts import against_each
from analysis.claims.looks import FIRST
from analysis.claims.rules import all_of_them
from analysis.claims.verdicts import Assessment, Basis, Claim, among_all, assess, assess_all
from analysis.deciding.rounds import NUMBER, next_round, number_cells, open_claims, share_decided, wish
from analysis.evidence.schema import tidy
from training.study.trial import Trial

CLAIMS = 24
FIRST_SEEDS = 6
UNIFORM_SEEDS = 12  # of every cell, in the end, where seeds are added everywhere
EFFECT = 0.03  # Dice: sd of the true effects; a third are none at all
NOISES = (0.005, 0.05)  # Dice: the sd of a run lies between these, from claim to claim
CELLS = (1, 2, 4, 12)  # of each side, by turns
SEEDS = 60  # more than anyone will ask for


@dataclass(frozen=True)
class World:
    """Trials that nobody trained, and the truth about them."""

    table: pd.DataFrame  # with more seeds than anyone will ask for
    claims: tuple[Claim, ...]
    effects: Mapping[str, float]  # true, by claim


def make_world(rng: np.random.Generator) -> World:
    rows, claims, effects = list[dict[str, Any]](), list[Claim](), dict[str, float]()
    for number in range(CLAIMS):
        code, decay = (
            f"weight_decay.{number + 1}",
            round((number + 1) / (CLAIMS + 1), 3),
        )  # tells the claims' cells apart
        effects[code] = 0.0 if number % 3 == 0 else rng.normal(0, EFFECT)
        noise = np.exp(rng.uniform(*np.log(NOISES)))
        for setting in range(CELLS[number % len(CELLS)]):
            for optimizer, mean in (("adam", 0.7 + effects[code]), ("sgd", 0.7)):
                known: dict[str, Any] = {"optimizer": optimizer, "weight_decay": decay, "epochs": setting + 1}
                cell = vars(Trial(loss="bce", lr=1e-3, **known)) | {"study": "weight_decay"}
                scores = mean + rng.normal(0, noise, SEEDS)
                rows += [cell | {"seed": seed, "val_dice": score} for seed, score in enumerate(scores)]
        claims.append(Claim(code, "", "", functools.partial(_read, decay), all_of_them))
    table = tidy(pd.DataFrame(rows).assign(data_digest="made up", data="made up"))
    return World(table=number_cells(table), claims=tuple(claims), effects=effects)


def _read(decay: float, table: pd.DataFrame) -> Basis:
    rows = table[table["weight_decay"] == decay]
    return Basis(contrasts=against_each(rows, "optimizer", "adam", ["sgd"], ["epochs"]), rows=rows)


def uniform(world: World, seeds: int) -> tuple[dict[str, Assessment], int]:
    """The same seeds everywhere, looked at once in the end; verdicts, and how many trials that took."""
    table = world.table[world.table["seed"] < seeds]
    return assess_all(world.claims, table), len(table)


def adaptive(world: World, first: int, wanted: int, trials: int) -> tuple[dict[str, Assessment], int]:
    """Seeds where verdicts are open, until so many claims are decided, or within so many trials."""
    table = world.table[world.table["seed"] < first]
    each = {claim.code: assess(claim, table, goes_on=True) for claim in world.claims}
    while True:
        found = among_all(each)
        share = share_decided(found)
        wishes = [
            wish(claim, found[claim.code], table, first, share, len) for claim in open_claims(world.claims, found)
        ]
        chosen = next_round(wishes, trials - len(table), trials, len) if len(_decided(found)) < wanted else None
        if not chosen:
            return found, len(table)
        trained = world.table.merge(chosen.rows, on=[NUMBER, "seed"]).assign(**{FIRST: str(first)})
        table = pd.concat([table, trained], ignore_index=True)
        each |= {one.claim.code: assess(one.claim, table) for one in chosen.wishes}  # no two read the same cells


def is_right(world: World, code: str, found: Assessment) -> bool:
    """Supported where Adam is better; contradicted where it is worse, or the difference is not worth the name."""
    if found.verdict == "supported":
        return world.effects[code] > 0
    is_nil = found.shown is not None and found.low > -0.01 and found.high < 0.01
    return abs(world.effects[code]) < 0.01 if is_nil else world.effects[code] < 0


def play(seed: int, first: int, seeds: int) -> dict[str, float]:
    """One world: what both players decided, with how many trials beyond the first pass, and how often wrongly."""
    world = make_world(np.random.default_rng(seed))
    there = int((world.table["seed"] < first).sum())
    even, trials = uniform(world, seeds)
    counts: dict[str, float] = {}
    for name, (found, used) in (
        ("uniform", (even, trials)),
        ("adaptive", adaptive(world, first, len(_decided(even)), 2 * trials)),
    ):
        decided = _decided(found)
        counts[f"{name} trials"] = used - there
        counts[f"{name} decided"] = len(decided)
        counts[f"{name} false"] = sum(not is_right(world, code, one) for code, one in decided.items())
    return counts


def _decided(found: Mapping[str, Assessment]) -> dict[str, Assessment]:
    return {code: one for code, one in found.items() if one.verdict != "undecided"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=4, help="a world takes most of a minute")
    parser.add_argument("--first", type=int, default=FIRST_SEEDS, help="seeds of the first pass")
    parser.add_argument("--everywhere", type=int, default=UNIFORM_SEEDS, help="seeds of every cell, in the end")
    options = parser.parse_args()
    worlds, players = options.worlds, functools.partial(play, first=options.first, seeds=options.everywhere)
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        total = pd.DataFrame(list(workers.map(players, range(worlds)))).sum()
    print(f"{worlds} worlds of {CLAIMS} claims, a first pass of {options.first} seeds\n")
    print("| seeds | claims decided | trials beyond the first pass | false of the decided |")
    print("| --- | ---: | ---: | ---: |")
    for name in ("uniform", "adaptive"):
        decided, trials, false = (total[f"{name} {what}"] for what in ("decided", "trials", "false"))
        print(f"| {name} | {decided:.0f} | {trials:.0f} | {false / max(1, decided):.1%} |")
    pace = {name: total[f"{name} decided"] / total[f"{name} trials"] for name in ("uniform", "adaptive")}
    print(f"\nclaims decided per trial, adaptive / uniform: {pace['adaptive'] / pace['uniform']:.2f}")


if __name__ == "__main__":
    main()
