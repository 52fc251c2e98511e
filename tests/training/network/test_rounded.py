"""bf16 where the processor has none: the numbers of bf16, at nearly the pace of fp32 (no timing here)."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.network.rounded import RoundedConvolutions
from training.network.step import forward
from training.network.unet import UNet

ULP = 2.0**-7  # relative: the step from one bf16 number to the next


def made_up(*shape: int) -> Tensor:
    """Numbers that bf16 has."""
    return torch.randn(shape).bfloat16().float()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("settings", [{"padding": 1}, {"stride": 2, "groups": 2}, {"dilation": 2}])
def test_outputs_and_gradients_are_the_exact_ones_rounded(bias: bool, settings: dict[str, int]) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3, bias=bias, **settings)
    for one in layer.parameters():
        one.data = made_up(*one.shape)
    image = made_up(2, 4, 9, 11).requires_grad_()
    with RoundedConvolutions():
        found = layer(image)
    assert found.dtype == torch.bfloat16
    gradient = made_up(*found.shape)
    found.backward(gradient.bfloat16())
    rounded = [found, image.grad, *(one.grad for one in layer.parameters())]

    layer.zero_grad()
    exact, there = layer.double(), image.detach().double().requires_grad_()
    result = exact(there)
    result.backward(gradient.double())
    expected = [result, there.grad, *(one.grad for one in exact.parameters())]
    for one, other in zip(rounded, expected, strict=True):
        assert torch.allclose(one.double(), other, rtol=ULP, atol=1e-6)


def test_the_first_layer_s_image_needs_no_gradient() -> None:
    layer = nn.Conv2d(3, 4, 3)
    with RoundedConvolutions():
        layer(made_up(1, 3, 5, 5)).float().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_nothing_else_is_changed() -> None:
    image = torch.rand(1, 3, 4, 4)
    with RoundedConvolutions():
        assert torch.equal(functional.max_pool2d(image, 2), nn.MaxPool2d(2)(image))
    assert functional.conv2d(image, torch.rand(1, 3, 1, 1)).dtype == torch.float32, "nor afterwards"


def test_a_net_computes_what_torch_s_own_bf16_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, batch = UNet(3, width=4), torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    logits = {}
    for emulated in (True, False):
        monkeypatch.setattr("training.network.step.has_no_bf16", lambda device, chosen=emulated: chosen)
        logits[emulated] = forward(model, batch, "bf16").detach()
    exact = forward(model, batch, "fp32").detach()
    off = {emulated: float((found - exact).abs().mean()) for emulated, found in logits.items()}
    assert 0 < off[True] < 2 * off[False]
    assert (logits[True] - logits[False]).abs().mean() < 2 * off[False]
