"""Splits hold out for good, keep groups together and nest; batches are uint8 until they are normalized."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.data import DeviceSet, augment, equalize, make_split, normalize
from training.images import load_folder

GROUPS = tuple(f"image{k}" for k in range(40))
PATIENTS = tuple(f"patient{k // 4}" for k in range(40))


def test_fixed_holds_out_the_same_tenths_for_every_training_share() -> None:
    splits = [make_split(GROUPS, "fixed", percent) for percent in (20, 40, 60, 80)]
    assert {split.val for split in splits} == {splits[0].val}
    assert {split.test for split in splits} == {splits[0].test}
    assert [len(split.train) for split in splits] == [8, 16, 24, 32]
    parts = [set(splits[-1].train), set(splits[-1].val), set(splits[-1].test)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 40


@pytest.mark.parametrize("protocol", ["fixed", "report"])
def test_training_shares_are_nested(protocol: str) -> None:
    small, large = make_split(GROUPS, protocol, 20), make_split(GROUPS, protocol, 60)
    assert set(small.train) < set(large.train)


def test_report_validates_on_whatever_is_not_trained_on() -> None:
    split = make_split(GROUPS, "report", 60)
    assert set(split.train) | set(split.val) == set(range(40))
    assert not set(split.train) & set(split.val)
    assert split.test == ()


def test_report_at_100_percent_validates_on_the_training_images() -> None:
    split = make_split(GROUPS, "report", 100)
    assert set(split.val) == set(split.train) == set(range(40))


@pytest.mark.parametrize("fold", range(5))
def test_a_group_never_lies_on_two_sides(fold: int) -> None:
    split = make_split(PATIENTS, "fixed", 80, fold)
    sides = [{PATIENTS[k] for k in part} for part in (split.train, split.val, split.test)]
    assert len(set.union(*sides)) == sum(map(len, sides))


def test_folds_rotate_the_test_set() -> None:
    assert len({make_split(GROUPS, "fixed", 80, fold).test for fold in range(10)}) == 10


def test_too_few_images_are_refused_with_a_cure() -> None:
    with pytest.raises(ValueError, match=r"too few.*add images"):
        make_split(GROUPS[:3], "fixed", 80)


@pytest.fixture
def on_cpu(discs: Path) -> DeviceSet:
    return DeviceSet.on(torch.device("cpu"), load_folder(discs, 64))


def test_batches_cover_every_index_once_and_the_seed_fixes_their_order(on_cpu: DeviceSet) -> None:
    def epoch(seed: int) -> torch.Tensor:
        batches = on_cpu.batches(tuple(range(20)), 8, torch.Generator().manual_seed(seed))
        return torch.cat([images for images, _ in batches])

    assert torch.equal(epoch(1), epoch(1))
    assert not torch.equal(epoch(1), epoch(2))
    assert epoch(1).float().sum() == on_cpu.images.float().sum()


def test_normalize_maps_0_and_255_to_minus_2_and_2() -> None:
    assert normalize(torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)).flatten().tolist() == [-2, 2]


def test_augmentation_moves_image_and_mask_together_and_keeps_masks_binary(on_cpu: DeviceSet) -> None:
    masks = on_cpu.masks[:8]
    images, turned = augment(masks * 255, masks, torch.Generator().manual_seed(0))
    assert set(turned.unique().tolist()) == {0, 1}
    assert not torch.equal(turned, masks)
    assert ((images > 127) == (turned > 0)).float().mean() > 0.99


def test_augmentation_draws_from_its_generator_alone(on_cpu: DeviceSet) -> None:
    first, second = (augment(on_cpu.images, on_cpu.masks, torch.Generator().manual_seed(3))[0] for _ in range(2))
    assert torch.equal(first, second)


def test_rotations_stay_within_20_degrees() -> None:
    side = 65
    bar = torch.zeros(200, 1, side, side, dtype=torch.uint8)
    bar[:, :, side // 2, :] = 1
    _, turned = augment(bar * 255, bar, torch.Generator().manual_seed(0))
    column = turned[:, 0, :, side // 2 + 24]
    heights = np.abs(column.float().argmax(dim=1).numpy() - side // 2)
    assert heights.max() <= 24 * np.tan(np.deg2rad(20)) + 1
    assert heights.max() >= 24 * np.tan(np.deg2rad(15)), "and reach towards it"


def test_equalized_background_becomes_its_own_share() -> None:
    masks = torch.tensor([1, 0, 0, 0], dtype=torch.uint8).reshape(1, 1, 2, 2)
    assert equalize(masks).flatten().tolist() == [1, 0.75, 0.75, 0.75]
