"""The decoder of the exported network with a quarter less work: the same numbers, computed before the upsampling.

A 3x3 convolution of a picture doubled to the nearest pixel sees each pixel four times over. Summing its weights first
(the sub-pixel convolution of arXiv:1609.07009) makes it a transposed convolution of 4x4 with stride 2 on the small
picture: 4 products a value in place of 9. The skip keeps its 3x3 convolution; the two are added. For export only.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.network.unet import UNet

KERNEL, STRIDE, PADDING = 4, 2, 1


class DoubledBlock(nn.Module):
    """smp's decoder block, its batch normalization folded, for an image that is doubled exactly."""

    def __init__(self, block: Any, channels: int) -> None:
        """`channels` of the block's first convolution belong to the doubled picture, the others to the skip."""
        super().__init__()
        conv = block.conv1[0]
        weight = conv.weight.detach()
        doubled = weight[:, :channels]
        self.up = nn.ConvTranspose2d(channels, len(weight), KERNEL, STRIDE, PADDING, bias=False)
        self.skip = nn.Conv2d(weight.shape[1] - channels, len(weight), 3, padding=1)
        self.up.weight = nn.Parameter(sum_weights(doubled))
        self.skip.weight = nn.Parameter(weight[:, channels:].clone())
        self.skip.bias = nn.Parameter(conv.bias.detach().clone())
        self.rest = nn.Sequential(*list(block.conv1)[1:], block.conv2)

    def forward(
        self,
        feature_map: Tensor,
        target_height: int,  # noqa: ARG002 - twice the feature map's, as is the width
        target_width: int,  # noqa: ARG002
        skip_connection: Tensor,
    ) -> Tensor:
        out: Tensor = self.rest(self.up(feature_map) + self.skip(skip_connection))
        return out


def sum_weights(weight: Float[Tensor, "o c 3 3"]) -> Float[Tensor, "c o 4 4"]:
    """Of a 3x3 convolution after doubling, those of the transposed convolution that does both.

    Tap t of the convolution reaches taps 3 - t and 2 - t of the other: the two copies of a pixel, one further on.
    """
    summed = weight.new_zeros(*weight.shape[:2], KERNEL, KERNEL)
    for row in range(3):
        for column in range(3):
            rows, columns = slice(2 - row, 4 - row), slice(2 - column, 4 - column)
            summed[:, :, rows, columns] += weight[:, :, row, column, None, None]
    return summed.transpose(0, 1).contiguous()


@torch.no_grad()
def compute_before_upsampling(model: UNet) -> UNet:
    """The folded network, its decoder changed in place. Image sides must be multiples of 16, as everywhere."""
    channels = model.encoder.out_channels[-1]
    blocks = []
    old: Any = model.decoder.blocks
    for block in old:
        blocks.append(DoubledBlock(block, channels))
        channels = block.conv2[0].out_channels
    model.decoder.blocks = nn.ModuleList(blocks)
    return model
