"""Images on a device, and batches of them, made there.

The whole set lives on the device as uint8; batches are indexed, augmented and normalized there. Which images train is
decided elsewhere (training/data/split.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from training.data.framing import OUTSIDE
from training.data.image_set import ImageSet
from training.network.losses import Valid

EVALUATION_BATCH = 16  # images at once where nothing is learned
ROTATION_DEGREES = 20.0  # report, Section 7
FLIP_PROBABILITY = 0.5


@dataclass(frozen=True)
class DeviceSet:
    """An ImageSet on a device: the tiles of its images (n, c, h, w) and of its masks (n, 1, h, w), both uint8."""

    images: UInt8[Tensor, "n c h w"]
    masks: UInt8[Tensor, "n 1 h w"]
    image_index: Int64[Tensor, " n"]  # which image a tile is of
    tiles: tuple[range, ...]  # of each image
    padded: bool  # some pixels of some masks are OUTSIDE

    @classmethod
    def on(cls, device: torch.device, image_set: ImageSet) -> "DeviceSet":
        images = torch.from_numpy(image_set.images).permute(0, 3, 1, 2)
        masks = torch.from_numpy(image_set.masks)[:, None]
        return cls(
            images.to(device, memory_format=torch.channels_last),
            masks.to(device),
            torch.tensor(image_set.image_index, device=device),
            tuple(image_set.tiles(index) for index in range(image_set.num_images)),
            bool((masks == OUTSIDE).any()),
        )

    @property
    def device(self) -> torch.device:
        return self.images.device

    def num_tiles(self, indices: tuple[int, ...]) -> int:
        return sum(len(self.tiles[index]) for index in indices)

    def batches(
        self, indices: tuple[int, ...], batch_size: int, shuffle: torch.Generator | None
    ) -> Iterator[tuple[UInt8[Tensor, "b c h w"], UInt8[Tensor, "b 1 h w"], Int64[Tensor, " b"]]]:
        """Images, masks and image indices of the tiles of these images, in fresh random order when `shuffle` is given.

        The last batch may be smaller.
        """
        order = torch.tensor([tile for index in indices for tile in self.tiles[index]])
        if shuffle is not None:
            order = order[torch.randperm(len(order), generator=shuffle)]
        for batch in order.to(self.device).split(batch_size):
            yield self.images[batch], self.masks[batch], self.image_index[batch]


def normalize(images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """0..255 to about -2..2, the same for every set: nothing of the data is learned here, so nothing can leak."""
    return images.float().sub_(127.5).div_(63.75)


def augment(
    images: UInt8[Tensor, "n c h w"], masks: UInt8[Tensor, "n 1 h w"], generator: torch.Generator
) -> tuple[UInt8[Tensor, "n c h w"], UInt8[Tensor, "n 1 h w"]]:
    """The report's Section 7: rotation in +-20 degrees, horizontal and vertical flips with p = 0.5, each image its own.

    What a rotation uncovers is filled by reflection. Masks are sampled to the nearest pixel and keep their values.
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
    return turned.round_().to(torch.uint8, memory_format=torch.channels_last), turned_masks.to(torch.uint8)


def make_target(masks: UInt8[Tensor, "n 1 h w"], padded: bool) -> tuple[Float[Tensor, "n 1 h w"], Valid]:
    """What the logits aim at, 0 or 1; and which pixels count, None when no image is padded."""
    return (masks == 1).float(), (masks != OUTSIDE).float() if padded else None


def equalize(target: Float[Tensor, "n 1 h w"], valid: Valid = None) -> Float[Tensor, "n 1 h w"]:
    """Histogram-equalized masks: each value becomes the share of its image's pixels that are at most that value.

    So foreground stays 1 and background becomes its own share, often above 0.9: the report's Section 7 tried it, and
    "it produced very bad results (maybe because of lower range of targets)".
    """
    dims = (1, 2, 3)
    fraction = target.mean(dims, keepdim=True)
    if valid is not None:
        fraction = target.sum(dims, keepdim=True) / valid.sum(dims, keepdim=True).clamp(min=1)
    return torch.where(target > 0.5, target, (1 - fraction).expand_as(target))
