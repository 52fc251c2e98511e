"""Batches are uint8 until they are normalized, tiles know whose they are, and augmentation moves masks along."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.data.framing import OUTSIDE
from training.data.reading import load_folder
from training.network.batches import DeviceSet, augment, equalize, make_target, normalize


@pytest.fixture
def on_cpu(discs: Path) -> DeviceSet:
    return DeviceSet.on(torch.device("cpu"), load_folder(discs, 64))


def test_batches_cover_every_index_once_and_the_seed_fixes_their_order(on_cpu: DeviceSet) -> None:
    def epoch(seed: int) -> torch.Tensor:
        batches = on_cpu.batches(tuple(range(20)), 8, torch.Generator().manual_seed(seed))
        return torch.cat([images for images, _, _ in batches])

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


def test_augmentation_keeps_marks_of_what_lies_outside(on_cpu: DeviceSet) -> None:
    masks = on_cpu.masks[:8].clone()
    masks[..., :8] = OUTSIDE
    _, turned = augment(on_cpu.images[:8], masks, torch.Generator().manual_seed(0))
    assert set(turned.unique().tolist()) == {0, 1, OUTSIDE}


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
    target = torch.tensor([1.0, 0, 0, 0]).reshape(1, 1, 2, 2)
    assert equalize(target).flatten().tolist() == [1, 0.75, 0.75, 0.75]
    valid = torch.tensor([1.0, 1, 0, 0]).reshape(1, 1, 2, 2)
    assert equalize(target, valid).flatten().tolist()[:2] == [1, 0.5], "of what lies inside the image"


def test_what_lies_outside_an_image_is_no_target_and_does_not_count() -> None:
    masks = torch.tensor([0, 1, OUTSIDE], dtype=torch.uint8).reshape(1, 1, 1, 3)
    target, valid = make_target(masks, padded=True)
    assert target.flatten().tolist() == [0, 1, 0]
    assert valid is not None
    assert valid.flatten().tolist() == [1, 1, 0]
    assert make_target(masks[..., :2], padded=False)[1] is None


def test_an_image_brings_all_its_tiles(discs: Path) -> None:
    tiled = DeviceSet.on(torch.device("cpu"), load_folder(discs, 32, "tile"))
    assert len(tiled.images) == 20 * 4
    batches = list(tiled.batches((7, 3), 3, None))
    assert torch.cat([image_index for _, _, image_index in batches]).tolist() == [7] * 4 + [3] * 4
    assert [len(images) for images, _, _ in batches] == [3, 3, 2]
