"""Seeds are added while verdicts are open: every look is paid for, and no cell's further seeds change what is asked."""

import itertools
from functools import partial

import numpy as np
import pandas as pd
import pytest

from analysis.claims.claims import ALL_CLAIMS
from analysis.claims.contrasts import Contrast, against_each, detectable, examine, p_values
from analysis.claims.looks import FIRST, count_looks, first_look, schedule, share_of, up_to
from analysis.claims.rules import all_of_them
from analysis.claims.verdicts import ERROR, Basis, Claim, assess, read_rows
from analysis.evidence.schema import tidy
from benchmarks.error_rates import design, equal
from training.study.trial import Trial

FIRST_SEEDS = 3


def read(table: pd.DataFrame, smallest: float) -> Basis:
    found = against_each(table, "optimizer", "adam", ["sgd"], smallest=smallest)
    return Basis(contrasts=found, rows=table, missing="nothing")


def adam_beats_sgd(smallest: float = 0.01) -> Claim:
    return Claim("optimizers.9", "", "", partial(read, smallest=smallest), all_of_them)


def made_up(adam: np.ndarray, sgd: np.ndarray, first: int = FIRST_SEEDS) -> pd.DataFrame:
    """Two cells; from seed `first` on they were added."""
    rows = [
        vars(Trial(loss="bce", optimizer=name, lr=1e-3, epochs=10, seed=seed))
        | {"val_dice": dice, FIRST: str(first) if seed >= first else np.nan}
        for name, scores in (("adam", adam), ("sgd", sgd))
        for seed, dice in enumerate(scores)
    ]
    return tidy(pd.DataFrame(rows).assign(study="optimizers", data_digest="made up", data="made up"))


def test_the_looks_spend_no_more_than_the_error() -> None:
    shares = [share_of(look) for look in range(1, 60)]
    assert sum(shares) == pytest.approx(1.0)
    assert list(itertools.islice(schedule(6), 5)) == [6, 9, 14, 21, 32]


def test_without_effect_5_percent_are_decided_falsely_however_often_one_looks() -> None:
    """Stopped as soon as it decides; without payment it would be far more."""
    rng, samples, looks = np.random.default_rng(0), 1000, [3, 5, 8, 12, 18]
    paid = unpaid = covered = 0
    for units in rng.normal(0, 0.02, (samples, looks[-1])):
        contrasts = [Contrast(words="", per_unit=pd.Series(units[:seeds]), smallest=0.0) for seeds in looks]
        found = [examine(one, share_of(look)) for look, one in enumerate(contrasts, start=1)]
        is_decided = [2 * min(one.p_for, one.p_against) / share_of(look) <= 0.05 for look, one in enumerate(found, 1)]
        stopped = found[is_decided.index(True)] if any(is_decided) else found[-1]
        paid += any(is_decided)
        covered += stopped.low <= 0 <= stopped.high
        unpaid += any(2 * min(one.p_for, one.p_against) <= 0.05 for one in found)
    error = 3 * (0.05 * 0.95 / samples) ** 0.5
    assert paid / samples <= 0.05 + error
    assert covered / samples >= 0.95 - error
    assert unpaid / samples > 0.1


@pytest.mark.parametrize(("seeds", "looks"), [(5, 2), (8, 3), (18, 5)])
def test_what_is_said_to_be_detectable_is_seen_in_4_of_5_at_that_look_and_a_little_more_often_in_all(
    seeds: int, looks: int
) -> None:
    effect = detectable(0.02, seeds, share_of(looks))
    drawn = np.random.default_rng(0).normal(effect, 0.02, (20_000, seeds))
    about = Contrast(words="", per_unit=pd.Series(dtype=float), smallest=0.0)
    taken = enumerate(up_to(seeds, FIRST_SEEDS), start=1)
    seen = [2 * p_values(about, drawn[:, :units])[0] / share_of(number) <= ERROR for number, units in taken]
    assert len(seen) == looks
    assert seen[-1].mean() == pytest.approx(0.8, abs=0.01)
    assert 0.8 < np.any(seen, axis=0).mean() < 0.85


def test_a_look_is_one_where_all_cells_have_the_seeds() -> None:
    adam, sgd = np.full(9, 0.8), np.full(9, 0.7)
    for there, looks in ((3, [3]), (4, [3]), (5, [3, 5]), (7, [3, 5]), (9, [3, 5, 8])):
        table = made_up(adam, sgd[:there])
        claim = adam_beats_sgd()
        assert list(count_looks(table, read_rows(claim, first_look(table))).values()) == [looks]
        assert assess(claim, table).looks == len(looks)


def test_a_claim_that_is_decided_stays_so_and_shows_the_look_that_did() -> None:
    rng = np.random.default_rng(0)
    adam, sgd = 0.8 + rng.normal(0, 0.001, 8), 0.7 + rng.normal(0, 0.001, 8)
    adam[5:] = 0.3  # later seeds of a shared row
    found = assess(adam_beats_sgd(), made_up(adam, sgd))
    assert (found.verdict, found.looks) == ("supported", 3)
    assert found.units in (3, 5)
    assert found.low > 0
    assert "3 looks" in found.sure


def test_where_no_seed_was_added_nothing_is_paid() -> None:
    rng = np.random.default_rng(0)
    adam, sgd = 0.72 + rng.normal(0, 0.02, 6), 0.7 + rng.normal(0, 0.02, 6)
    plain = assess(adam_beats_sgd(), made_up(adam, sgd, first=6))
    assert plain.looks == 1
    assert plain.p < assess(adam_beats_sgd(), made_up(adam, sgd, first=5)).p


def test_where_seeds_will_be_added_the_first_look_is_paid_for() -> None:
    rng = np.random.default_rng(0)
    table = made_up(0.71 + rng.normal(0, 0.02, 6), 0.7 + rng.normal(0, 0.02, 6), first=6)
    plain, first = (assess(adam_beats_sgd(), table, goes_on=goes_on) for goes_on in (False, True))
    assert first.p == pytest.approx(min(1.0, plain.p / share_of(1)))
    assert first.low < plain.low


@pytest.mark.parametrize("claim", ALL_CLAIMS, ids=lambda claim: claim.code)
def test_a_claim_rests_on_no_row_that_it_does_not_name(claim: Claim) -> None:
    """What gets further seeds is what it names: if it read others, too, it would wait for them in vain."""
    table = equal(design(3), np.random.default_rng(0))
    named = read_rows(claim, table)
    if named.empty:
        assert assess(claim, table).verdict == "untested"
        return
    alone, whole = assess(claim, named), assess(claim, table)
    assert (alone.effect, alone.p, alone.units) == pytest.approx((whole.effect, whole.p, whole.units))
