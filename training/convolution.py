"""Convolutions of small maps as matrix products.

With 4x4 outputs a picture or fewer and 512 channels, oneDNN's bfloat16 convolutions with their gradients took two to
seven times as long on a CPU with AMX (batches of 128) as copying the windows of the input into the rows of a matrix and
multiplying. Larger maps stay with oneDNN: their copies, nine times the input, cost more.
"""

from __future__ import annotations

import torch
from torch import nn

LARGEST_MAP = 16  # output places a picture


class Convolution(nn.Conv2d):
    """Convolution without bias that keeps the size of a map, or divides it by its stride."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1):
        super().__init__(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = (-(-size // self.stride[0]) for size in x.shape[2:])
        if x.device.type == "cpu" and x.dtype == torch.bfloat16 and height * width <= LARGEST_MAP:
            y: torch.Tensor = _ProductFunction.apply(x, self.weight.to(x.dtype), self.stride[0])
            return y
        return super().forward(x)


class _ProductFunction(torch.autograd.Function):
    """Keeps the windows for the gradient of the weight: copying them again costs more than their memory."""

    @staticmethod
    def forward(ctx, x, weight, stride):  # type: ignore[no-untyped-def,override]
        windows = windows_of(x, weight.shape[2], stride)
        ctx.save_for_backward(windows, x, weight)
        ctx.stride = stride
        return _maps(windows @ _rows(weight).t(), x, stride)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def,override]
        windows, x, weight = ctx.saved_tensors
        to_x = _to_input(gradient, x, weight, ctx.stride) if ctx.needs_input_grad[0] else None
        # A product whose first operand lies transposed takes twice as long.
        to_rows = _rows(gradient).reshape(-1, len(weight)).t().contiguous() @ windows
        return to_x, _kernels(to_rows, weight.shape), None


def windows_of(x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """Return what each output sees, [N * H * W, kernel * kernel * C], of [N, C, H, W] with a margin of zeros."""
    margin = kernel // 2
    padded = nn.functional.pad(x.permute(0, 2, 3, 1), (0, 0, margin, margin, margin, margin))
    windows = padded.unfold(1, kernel, stride).unfold(2, kernel, stride)
    return windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, kernel * kernel * x.shape[1])


def _to_input(gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
    if stride == 1:  # the gradient convolved with the kernels upside down
        turned = weight.flip(2, 3).permute(2, 3, 0, 1).reshape(-1, weight.shape[1])
        return _maps(windows_of(gradient, weight.shape[2], 1) @ turned, x, 1)
    margin = [weight.shape[2] // 2] * 2
    return torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [stride] * 2, margin, [1, 1], False, [0, 0], 1, [True, False, False]
    )[0]


def _rows(x: torch.Tensor) -> torch.Tensor:
    """Return [N, C, H, W] as [N, H * W * C]."""
    return x.permute(0, 2, 3, 1).reshape(len(x), -1)


def _kernels(rows: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Undo `_rows`."""
    count, channels, height, width = shape
    return rows.reshape(count, height, width, channels).permute(0, 3, 1, 2)


def _maps(places: torch.Tensor, x: torch.Tensor, stride: int) -> torch.Tensor:
    """Return [N * H * W, C] as [N, C, H, W] for an input `x`."""
    height, width = (-(-size // stride) for size in x.shape[2:])
    return places.reshape(len(x), height, width, -1).permute(0, 3, 1, 2)
