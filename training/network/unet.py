"""The quarter-width U-Net: a plain double-convolution encoder under smp's decoder and head.

Ronneberger et al. 2015 with the channels divided by four (16-32-64-128-256), as in the report's Section 9, batch
normalization, 'same' padding and nearest upsampling. Built on smp's SegmentationModel, so that its predict, save,
load and export work. Nothing here knows what the network is trained on.
"""

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from segmentation_models_pytorch.base import SegmentationHead, SegmentationModel
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

LEVELS = 5
STRIDE = 2 ** (LEVELS - 1)  # image sides must be a multiple of this


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each with batch normalization and ReLU, then dropout (of single values, as Keras does)."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )


class Encoder(nn.Module):
    """[image, f0 .. f4] with f_k at 1 / 2**k of the image's side.

    The image comes first because smp's decoder drops its first feature: so f0, at full resolution, is kept as a skip.
    """

    def __init__(self, in_channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.out_channels = [in_channels, *(width * 2**level for level in range(LEVELS))]
        self.output_stride = STRIDE
        self.blocks = nn.ModuleList(
            DoubleConv(before, after, dropout)
            for before, after in zip(self.out_channels[:-1], self.out_channels[1:], strict=True)
        )

    def forward(self, image: Float[Tensor, "n c h w"]) -> list[Tensor]:
        features = [image]
        feature = image
        for level, block in enumerate(self.blocks):
            feature = block(feature if level == 0 else nn.functional.max_pool2d(feature, 2))
            features.append(feature)
        return features


class UNet(SegmentationModel):
    """Logits of the foreground, at the image's own size. Image sides must be multiples of 16.

    1,964,097 parameters for 3 channels at width 16; width 64 is the full baseline.
    """

    def __init__(self, in_channels: int, width: int = 16, dropout: float = 0.0) -> None:
        super().__init__()
        if in_channels not in (1, 3):
            raise ValueError(f"in_channels={in_channels}; it must be 1 (grey) or 3 (RGB)")
        self.encoder = Encoder(in_channels, width, dropout)
        self.decoder = UnetDecoder(
            encoder_channels=self.encoder.out_channels,
            decoder_channels=[width * 2**level for level in reversed(range(LEVELS - 1))],
            n_blocks=LEVELS - 1,
            interpolation_mode="nearest",  # smp's default; the gradient of bilinear is costly, and random on CUDA
        )
        for block in self.decoder.blocks:
            block.attention2 = nn.Dropout(dropout)  # smp's hook at the end of a block; otherwise an identity
        self.segmentation_head = SegmentationHead(in_channels=width, out_channels=1, kernel_size=1)
        self.classification_head = None
        self.initialize()

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
        logits: Tensor = super().forward(x)
        return logits

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> "UNet":
        """Load what save_pretrained wrote: config.json and model.safetensors. No pickle is read."""
        with contextlib.redirect_stdout(io.StringIO()):  # huggingface_hub prints where it loads from
            return super(SegmentationModel, cls).from_pretrained(*args, **kwargs)


def save_model(model: UNet, folder: Path) -> None:
    """config.json and model.safetensors. The model card that smp adds names a licence that is not ours."""
    model.save_pretrained(folder)
    (folder / "README.md").unlink()


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def fold_batchnorm(model: UNet) -> UNet:
    """A copy in eval mode with every batch normalization folded into the convolution before it."""
    folded = UNet(**model._hub_mixin_config).eval()
    folded.load_state_dict(model.state_dict())
    for module in list(folded.modules()):
        if isinstance(module, nn.Sequential):
            _fold_pairs(module)
    return folded


def _fold_pairs(sequence: nn.Sequential) -> None:
    for index in range(len(sequence) - 1):
        conv, norm = sequence[index], sequence[index + 1]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            sequence[index] = torch.nn.utils.fuse_conv_bn_eval(conv, norm)
            sequence[index + 1] = nn.Identity()
