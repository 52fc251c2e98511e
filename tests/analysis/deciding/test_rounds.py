"""Seeds go where they decide most for what they cost, and nowhere where they decide nothing."""

import numpy as np
import pandas as pd
import pytest

from analysis.claims.verdicts import ERROR, assess, assess_all
from analysis.deciding.budget import Budget
from analysis.deciding.outlook import foresee
from analysis.deciding.rounds import (
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
from benchmarks import adaptive_seeds
from benchmarks.adaptive_seeds import FIRST_SEEDS, UNIFORM_SEEDS, World, make_world, play


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(np.random.default_rng(1))


@pytest.fixture(scope="module")
def wishes(world: World) -> list[Wish]:
    table = world.table[world.table["seed"] < FIRST_SEEDS]
    found = assess_all(world.claims, table)
    share = share_decided(found)
    return [
        wish(claim, found[claim.code], table, FIRST_SEEDS, share, len) for claim in open_claims(world.claims, found)
    ]


def test_a_chance_grows_with_the_seeds_and_needs_those_that_are_named(wishes: list[Wish]) -> None:
    assert wishes
    for one in wishes:
        assert list(one.outlook.chances) == sorted(one.outlook.chances)
        assert one.outlook.seeds[0] > FIRST_SEEDS
        needed = one.outlook.needed
        likely = [seeds for seeds, chance in zip(one.outlook.seeds, one.outlook.chances, strict=True) if chance >= 0.8]
        assert needed == (likely[0] if likely else None)


def test_a_round_that_trained_nothing_says_nothing_of_the_pace() -> None:
    budget, kept = (
        Budget(hours=8, trials=0),
        pd.DataFrame({"metrics": [f'{{"seconds": {s}}}' for s in (0.1, 0.2, 0.3)]}),
    )
    budget.count(kept)
    before, budget.waited = budget.at_once, 100.0
    budget.count(kept.iloc[::-1])  # whose sum is another one, by a rounding
    assert budget.at_once == before
    budget.waited = 10.0
    budget.count(pd.concat([kept, pd.DataFrame({"metrics": ['{"seconds": 40}']})]))
    assert budget.at_once == pytest.approx(4)


def test_what_another_machine_trained_is_budgeted_by_the_pace_of_this_one() -> None:
    rows = [(0, "a", 10.0), (0, "b", 30.0), (0, "own", 40.0), (1, "c", 100.0), (2, "mine", 7.0)]
    table = pd.DataFrame(rows, columns=["cell", "trained_run_id", "seconds"])
    assert dict(seconds_of_cells(table, ["a", "b", "c"])) == {0: 40.0, 1: 200.0, 2: 7.0}
    assert dict(seconds_of_cells(table, [])) == {0: pytest.approx(80 / 3), 1: 100.0, 2: 7.0}
    assert dict(seconds_of_cells(table[table["cell"] == 1], ["c"])) == {1: 100.0}  # nothing here to compare with


@pytest.mark.slow
@pytest.mark.thorough
def test_what_is_foreseen_comes_true_about_as_often() -> None:
    """Of claims whose chance at the next look is given, the share that the seeds that are there really decide."""
    hoped, came = 0.0, 0
    for seed in range(3):
        other = make_world(np.random.default_rng(seed))
        table = other.table[other.table["seed"] < FIRST_SEEDS]
        found = assess_all(other.claims, table)
        later = other.table[other.table["seed"] < 14].assign(
            first_seeds=lambda rows: rows["seed"].map(lambda one: str(FIRST_SEEDS) if one >= FIRST_SEEDS else np.nan)
        )
        for claim in open_claims(other.claims, found):
            outlook = foresee(claim, found[claim.code], FIRST_SEEDS, 1.0, np.random.default_rng(0))
            hoped += outlook.chances[outlook.seeds.index(14)]
            came += assess(claim, later).p <= ERROR
    assert came == pytest.approx(hoped, rel=0.35)


@pytest.mark.slow
@pytest.mark.thorough
def test_seeds_where_verdicts_are_open_decide_twice_as_many_claims_a_trial_as_seeds_everywhere() -> None:
    """In three worlds whose truth is known, together; and what is decided is wrong in 5 % at most."""
    worlds = pd.DataFrame([play(seed, FIRST_SEEDS, UNIFORM_SEEDS) for seed in range(3)]).sum()
    pace = {who: worlds[f"{who} decided"] / worlds[f"{who} trials"] for who in ("uniform", "adaptive")}
    assert pace["adaptive"] >= 2 * pace["uniform"]
    assert worlds["adaptive decided"] >= 0.9 * worlds["uniform decided"]
    assert worlds["adaptive false"] <= 0.05 * worlds["adaptive decided"]


def test_a_round_takes_what_promises_most_and_asks_for_each_trial_once(wishes: list[Wish]) -> None:
    chosen = next_round(wishes, 1000, 1000, len)
    assert isinstance(chosen, Round)
    promises = [one.promise for one in chosen.wishes]
    assert promises == sorted(promises, reverse=True)
    assert promises[0] == max(one.promise for one in wishes)
    assert not chosen.rows.duplicated().any()
    asked = {tuple(row) for one in chosen.wishes for row in one.missing[0].to_numpy()}
    assert {tuple(row) for row in chosen.rows.to_numpy()} == asked


def test_what_no_budget_decides_gets_no_seeds(wishes: list[Wish]) -> None:
    assert next_round(wishes, 1, 1000, len) is None
    cheap = next_round(wishes, 12, 1000, len)
    assert cheap is None or len(cheap.rows) <= 12


def test_seeds_that_are_there_are_not_asked_for_again(world: World) -> None:
    claim = world.claims[1]
    table = world.table[world.table["seed"] < FIRST_SEEDS]
    found = assess_all(world.claims, table)[claim.code]
    more = world.table[(world.table["seed"] == FIRST_SEEDS) & (world.table["weight_decay"] == 0.08)]
    fewer = wish(claim, found, pd.concat([table, more]), FIRST_SEEDS, 1.0, len)
    whole = wish(claim, found, table, FIRST_SEEDS, 1.0, len)
    assert len(whole.missing[0]) - len(fewer.missing[0]) == len(more) > 0


def test_restored_seeds_are_those_of_cells_that_are_there_and_were_not_reused(world: World) -> None:
    table = world.table[world.table["seed"] < FIRST_SEEDS]
    cell = world.table["cell"] == world.table["cell"].iloc[0]
    more = world.table[cell & (world.table["seed"] <= FIRST_SEEDS + 1)].assign(study="another one that has this cell")
    other = more.assign(sgd_momentum=0.123)
    found = find_restored(table, pd.concat([more, other]), FIRST_SEEDS)
    assert set(found["seed"]) == {FIRST_SEEDS, FIRST_SEEDS + 1}
    assert set(found["cell"]) == {world.table["cell"].iloc[0]}
    reused = pd.concat([table, world.table[cell & (world.table["seed"] == FIRST_SEEDS)]])
    assert list(find_restored(reused, more, FIRST_SEEDS)["seed"]) == [FIRST_SEEDS + 1]


def test_on_two_folds_every_seed_is_asked_for_on_both_and_counts_twice(world: World) -> None:
    claim = world.claims[1]
    one = world.table[world.table["seed"] < FIRST_SEEDS]
    both = number_cells(pd.concat([one, one.assign(fold=1)], ignore_index=True))
    single = wish(claim, assess_all(world.claims, one)[claim.code], one, FIRST_SEEDS, 1.0, len)
    double = wish(claim, assess_all(world.claims, both)[claim.code], both, FIRST_SEEDS, 1.0, len)
    assert double.outlook.seeds == single.outlook.seeds
    assert [len(rows) for rows in double.missing] == [2 * len(rows) for rows in single.missing]
    assert sum(double.outlook.chances) > sum(single.outlook.chances)


def test_cells_are_numbered_by_all_that_differs_but_the_seed(world: World) -> None:
    numbered = number_cells(world.table)
    assert numbered.groupby("cell")["seed"].nunique().eq(adaptive_seeds.SEEDS).all()
    assert len(numbered.groupby("cell")) * adaptive_seeds.SEEDS == len(numbered)
