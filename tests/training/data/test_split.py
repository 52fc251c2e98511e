"""Splits hold out for good, keep groups together, are stratified, and nest; and leaks are found."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.split import Split, find_leaks, join_identical, make_split, split_digest
from training.study.trial import FOLDS

GROUPS = tuple(f"image{k}" for k in range(40))
PATIENTS = tuple(f"patient{k // 4}" for k in range(40))
EVEN = (0.2,) * 40


def parts(split: Split) -> list[set[int]]:
    return [set(split.train), set(split.val), set(split.test)]


def test_fixed_holds_out_the_same_tenths_for_every_training_share() -> None:
    splits = [make_split(GROUPS, EVEN, "fixed", percent) for percent in (20, 40, 60, 80)]
    assert {split.val for split in splits} == {splits[0].val}
    assert {split.test for split in splits} == {splits[0].test}
    assert [len(split.train) for split in splits] == [8, 16, 24, 32]
    assert len(set.union(*parts(splits[-1]))) == sum(map(len, parts(splits[-1]))) == 40


@pytest.mark.parametrize("protocol", ["fixed", "report"])
def test_training_shares_are_nested(protocol: str) -> None:
    chain = [set(make_split(GROUPS, EVEN, protocol, percent).train) for percent in (20, 40, 60, 80)]
    assert all(small < large for small, large in pairwise(chain))


def test_report_validates_on_whatever_is_not_trained_on() -> None:
    split = make_split(GROUPS, EVEN, "report", 60)
    assert set(split.train) | set(split.val) == set(range(40))
    assert not set(split.train) & set(split.val)
    assert split.test == ()


def test_report_at_100_percent_validates_on_the_training_images() -> None:
    split = make_split(GROUPS, EVEN, "report", 100)
    assert set(split.val) == set(split.train) == set(range(40))


@pytest.mark.parametrize("fold", range(FOLDS))
def test_a_group_never_lies_on_two_sides(fold: int) -> None:
    split = make_split(PATIENTS, EVEN, "fixed", 80, fold)
    assert find_leaks(split, PATIENTS) == []
    assert len(set.union(*parts(split))) == sum(map(len, parts(split))) == 40


@given(st.lists(st.integers(1, 6), min_size=12, max_size=60), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_the_five_folds_hold_out_every_image_exactly_once(group_sizes: list[int], seed: int) -> None:
    groups = [f"g{k}" for k, size in enumerate(group_sizes) for _ in range(size)]
    shares = np.random.default_rng(seed).random(len(groups)).tolist()
    held: list[int] = []
    for fold in range(FOLDS):
        try:
            split = make_split(groups, shares, "fixed", 80, fold)
        except ValueError:  # a group so large that a tenth holds no middle of one
            return
        assert find_leaks(split, groups) == []
        held += [*split.val, *split.test]
    assert sorted(held) == list(range(len(groups)))


def test_each_side_has_little_and_much_foreground() -> None:
    shares = np.linspace(0, 0.5, 100) ** 2
    groups = tuple(f"image{k}" for k in range(100))
    for fold in range(FOLDS):
        split = make_split(groups, shares.tolist(), "fixed", 20, fold)
        for part in (split.train, split.val, split.test):
            fifths = {int(np.searchsorted(np.quantile(shares, [0.2, 0.4, 0.6, 0.8]), shares[k])) for k in part}
            assert fifths == {0, 1, 2, 3, 4}
            assert np.mean(shares[list(part)]) == pytest.approx(shares.mean(), rel=0.25)


def test_the_split_depends_on_no_order_of_the_files() -> None:
    shares = np.random.default_rng(0).random(40)
    order = np.random.default_rng(1).permutation(40)
    first = make_split(GROUPS, shares.tolist(), "fixed", 40)
    second = make_split([GROUPS[k] for k in order], shares[order].tolist(), "fixed", 40)
    assert {GROUPS[k] for k in first.test} == {GROUPS[order[k]] for k in second.test}
    assert {GROUPS[k] for k in first.train} == {GROUPS[order[k]] for k in second.train}


def test_too_few_images_are_refused_with_a_cure() -> None:
    with pytest.raises(ValueError, match=r"too few.*add images"):
        make_split(GROUPS[:3], EVEN[:3], "fixed", 80)


def test_a_leak_of_a_group_or_of_an_identical_image_is_found() -> None:
    split = Split(train=(0, 1), val=(2,), test=(3,))
    assert find_leaks(split, ("a", "b", "c", "a")) == ["a"]
    assert find_leaks(split, ("a", "a", "b", "c")) == []
    assert find_leaks(Split(train=(0, 1), val=(0, 1), test=()), ("a", "b")) == [], "the report's own 100 %"


def test_identical_images_become_one_group() -> None:
    assert join_identical(("a", "b", "c", "d"), ("x", "y", "x", "z")) == ("a", "b", "a", "d")
    assert len(set(join_identical(("a", "b", "a", "c"), ("x", "y", "y", "x")))) == 1, "and what each was with joins too"


def test_the_digest_of_a_split_names_who_is_where_and_no_order() -> None:
    split = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    assert split_digest(split) == split_digest({**split, "train": ["b", "a"]})
    assert split_digest(split) != split_digest({**split, "val": ["d"], "test": ["c"]})
