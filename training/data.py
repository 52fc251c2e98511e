"""Which images train, validate and test; and batches of them, made on the device.

A split is a pure function of the groups and the protocol, so every trial of a study shares it. The whole set lives on
the device as uint8; batches are indexed, augmented and normalized there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from training.images import ImageSet
from training.plan import PROTOCOLS

SPLIT_SEED = 0  # one split for all trials and studies; `fold` rotates it
ROTATION_DEGREES = 20.0  # report, Section 7
FLIP_PROBABILITY = 0.5


@dataclass(frozen=True, kw_only=True)
class Split:
    """Indices into an ImageSet. Under `report`, validation may overlap training (at 100 %) and there is no test set."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]


def make_split(
    groups: tuple[str, ...],
    protocol: str,
    train_percent: int,
    fold: int = 0,
    val_percent: int = 10,
    test_percent: int = 10,
) -> Split:
    """Split by groups.

    fixed: a test and a validation set held out for good; nested training subsets of the rest.
    report: train on train_percent, "use other for validation"; at 100 validate on the training images.
    train_percent is a share of all images in both. Raises ValueError when a part would be empty.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol={protocol!r} is unknown; it must be one of {', '.join(PROTOCOLS)}")
    order = _group_order(groups, fold)
    num_images = len(groups)
    if protocol == "report":
        train, rest = _take(order, num_images * train_percent / 100)
        split = Split(train=_flat(train), val=_flat(rest or train), test=())
    else:
        test, rest = _take(order, num_images * test_percent / 100)
        val, rest = _take(rest, num_images * val_percent / 100)
        train, _ = _take(rest, num_images * train_percent / 100)
        split = Split(train=_flat(train), val=_flat(val), test=_flat(test))
    if not split.train or not split.val or (protocol == "fixed" and not split.test):
        raise ValueError(
            f"{num_images} images in {len(set(groups))} groups are too few to hold out {test_percent} % for test and "
            f"{val_percent} % for validation and train on {train_percent} %; add images (at least 10)"
        )
    return split


def _group_order(groups: tuple[str, ...], fold: int) -> list[list[int]]:
    """The images of each group, the groups shuffled once and rotated by a tenth a fold."""
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    shuffled = [list(members.values())[k] for k in np.random.default_rng(SPLIT_SEED).permutation(len(members))]
    shift = round(len(shuffled) * fold / 10) % len(shuffled)
    return shuffled[shift:] + shuffled[:shift]


def _take(order: list[list[int]], num_images: float) -> tuple[list[list[int]], list[list[int]]]:
    """Whole groups from the front until num_images (rounded) are reached; and the rest."""
    taken, count = 0, 0
    while taken < len(order) and count < round(num_images):
        count += len(order[taken])
        taken += 1
    return order[:taken], order[taken:]


def _flat(groups: list[list[int]]) -> tuple[int, ...]:
    return tuple(index for group in groups for index in group)


@dataclass(frozen=True)
class DeviceSet:
    """An ImageSet on a device: images (n, c, h, w) and masks (n, 1, h, w), both uint8."""

    images: UInt8[Tensor, "n c h w"]
    masks: UInt8[Tensor, "n 1 h w"]

    @classmethod
    def on(cls, device: torch.device, image_set: ImageSet) -> "DeviceSet":
        images = torch.from_numpy(image_set.images).permute(0, 3, 1, 2)
        masks = torch.from_numpy(image_set.masks)[:, None]
        return cls(images.to(device, memory_format=torch.channels_last), masks.to(device))

    @property
    def device(self) -> torch.device:
        return self.images.device

    def batches(
        self, indices: tuple[int, ...], batch_size: int, shuffle: torch.Generator | None
    ) -> Iterator[tuple[UInt8[Tensor, "b c h w"], UInt8[Tensor, "b 1 h w"]]]:
        """Batches of indices, in a fresh random order when `shuffle` is given. The last batch may be smaller."""
        order = torch.tensor(indices)
        if shuffle is not None:
            order = order[torch.randperm(len(order), generator=shuffle)]
        for batch in order.to(self.device).split(batch_size):
            yield self.images[batch], self.masks[batch]


def normalize(images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """0..255 to about -2..2, the same for every set: nothing of the data is learned here, so nothing can leak."""
    return images.float().sub_(127.5).div_(63.75)


def augment(
    images: UInt8[Tensor, "n c h w"], masks: UInt8[Tensor, "n 1 h w"], generator: torch.Generator
) -> tuple[UInt8[Tensor, "n c h w"], UInt8[Tensor, "n 1 h w"]]:
    """The report's Section 7: rotation in +-20 degrees, horizontal and vertical flips with p = 0.5, each image its own.

    What a rotation uncovers is filled by reflection. Masks are sampled to the nearest pixel and stay 0 or 1.
    """
    n = len(images)
    draws = torch.rand(3, n, generator=generator)
    angle = torch.deg2rad((2 * draws[0] - 1) * ROTATION_DEGREES)
    flip_x, flip_y = 1 - 2 * (draws[1:] < FLIP_PROBABILITY).float()
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = torch.cos(angle) * flip_x, -torch.sin(angle) * flip_x
    theta[:, 1, 0], theta[:, 1, 1] = torch.sin(angle) * flip_y, torch.cos(angle) * flip_y
    grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    options: dict[str, Any] = {"padding_mode": "reflection", "align_corners": False}
    turned = F.grid_sample(images.float(), grid, mode="bilinear", **options)
    turned_masks = F.grid_sample(masks.float(), grid, mode="nearest", **options)
    return turned.round_().to(torch.uint8), turned_masks.to(torch.uint8)


def equalize(masks: UInt8[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 h w"]:
    """Histogram-equalized masks: each value becomes the share of its image's pixels that are at most that value.

    So foreground stays 1 and background becomes its own share, often above 0.9: the report's Section 7 tried it, and
    "it produced very bad results (maybe because of lower range of targets)".
    """
    target = masks.float()
    background = 1 - target.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(target > 0.5, target, background.expand_as(target))
