"""What the exported decoder computes before an upsampling is what the trained one computes after it."""

import pytest
import torch
from torch.nn import functional as F

from serving.promotion.export import ExportedModel
from serving.promotion.upsampling import PADDING, STRIDE, sum_weights
from training.network.batches import normalize
from training.network.unet import UNet

pytestmark = pytest.mark.slow


def test_a_convolution_of_a_doubled_picture_is_one_transposed_convolution() -> None:
    generator = torch.Generator().manual_seed(0)
    picture, weight = torch.randn(2, 3, 5, 7, generator=generator), torch.randn(4, 3, 3, 3, generator=generator)
    after = F.conv2d(F.interpolate(picture, scale_factor=2, mode="nearest"), weight, padding=1)
    before = F.conv_transpose2d(picture, sum_weights(weight), stride=STRIDE, padding=PADDING)
    assert torch.allclose(before, after, atol=1e-5)


def test_every_tap_reaches_both_copies_of_a_pixel() -> None:
    """One tap at a time: a kernel of ones in the middle, or at a corner."""
    for row, column in ((0, 0), (1, 1), (2, 0)):
        weight = torch.zeros(1, 1, 3, 3)
        weight[0, 0, row, column] = 1
        summed = sum_weights(weight)[0, 0]
        assert summed.sum() == 4
        assert summed[2 - row : 4 - row, 2 - column : 4 - column].sum() == 4


@pytest.mark.parametrize(("channels", "width"), [(1, 4), (3, 16)])
@torch.inference_mode()
def test_the_exported_network_says_what_the_trained_one_says(channels: int, width: int) -> None:
    torch.manual_seed(0)
    model = UNet(channels, width)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    model.eval()
    pixels = torch.randint(0, 256, (2, channels, 48, 80), dtype=torch.uint8)
    expected = model(normalize(pixels)).sigmoid()
    assert torch.allclose(ExportedModel(model).eval()(pixels.float()), expected, atol=1e-5)
    assert expected.std() > 1e-3
