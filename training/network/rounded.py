"""bf16 on a processor that does not compute in it: convolutions round what bf16 would round, and compute in fp32.

There torch multiplies bf16 numbers one by one, which takes several times as long as fp32. Products of bf16 numbers are
exact in fp32 and are summed in it, as processors with bf16 do: so trials go on here that began on those.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

HAS_BF16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # this processor; asked once, outside of what is compiled


def has_no_bf16(device: torch.device) -> bool:
    return device.type == "cpu" and not HAS_BF16


class RoundedConvolutions(TorchFunctionMode):
    """Within it, every 2-d convolution rounds its input, weight and output to bf16, and so their gradients."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = _conv2d if func is functional.conv2d else func
        return call(*args, **(kwargs or {}))


def _conv2d(image: Tensor, weight: Tensor, bias: Tensor | None, *settings: Any) -> Tensor:
    """As nn.Conv2d calls it, with stride, padding, dilation and groups."""
    rounded = (None if one is None else one.bfloat16() for one in (image, weight, bias))
    return cast("Tensor", _Convolution.apply(*rounded, *settings))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.has_bias, ctx.settings = bias is not None, (stride, padding, dilation, groups)
        wide = None if bias is None else bias.float()
        with torch.autocast(image.device.type, enabled=False):
            output = functional.conv2d(image.float(), weight.float(), wide, stride, padding, dilation, groups)
        return output.bfloat16()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight = ctx.saved_tensors
        *shape, groups = ctx.settings
        sizes, wanted = [weight.shape[0]] if ctx.has_bias else None, [ctx.needs_input_grad[0], True, ctx.has_bias]
        not_transposed = False, [0, 0]
        found = torch.ops.aten.convolution_backward(
            gradient.float(), image.float(), weight.float(), sizes, *shape, *not_transposed, groups, wanted
        )
        return *(None if one is None else one.bfloat16() for one in found), *(None for _ in ctx.settings)
