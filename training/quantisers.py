"""The quantised network in the training loop: what the accelerator will compute, with gradients.

An activation becomes a spike count: ``count = clip(round(x / v), 0, T)`` with ``v = V / T``, which is what an
integrate-and-fire neuron of threshold V and initial potential V / 2 emits in T timesteps under deferred firing
(QCFS, Bu et al., ICLR 2022, eq. 10). Weights become int8 with one scale per output channel.
"""

from __future__ import annotations

import torch
from torch import nn

from training.fused import count_gradients, count_spikes, flatten, memory_format_of, round_rows, unflatten

INITIAL_THRESHOLD = 2.0  # batch-normalised inputs rarely pass 2; starting at 4 would leave half of the levels unused
WEIGHT_LEVELS = 127


class _CountFunction(torch.autograd.Function):
    """`fused.count_spikes` on tensors of any shape; saves nothing but its inputs."""

    @staticmethod
    def forward(ctx, x, threshold, timesteps, replay):  # type: ignore[no-untyped-def,override]
        order = memory_format_of(x)
        flat, counts = flatten(x, order), None if replay is None else flatten(replay, order)
        ctx.save_for_backward(flat, threshold, counts)
        ctx.timesteps, ctx.order = timesteps, order
        y, total = count_spikes(flat, threshold, timesteps, counts)
        return unflatten(y, x.shape, order), total

    @staticmethod
    def backward(ctx, to_output, to_total):  # type: ignore[no-untyped-def,override]
        x, threshold, counts = ctx.saved_tensors
        to_y = flatten(to_output, ctx.order)
        to_x, to_threshold = count_gradients(x, threshold, ctx.timesteps, counts, to_y, to_total)
        return unflatten(to_x, to_output.shape, ctx.order), to_threshold, None, None


class SpikeCount(nn.Module):
    """T-level clipped activation with a learnable threshold.

    Attributes
    ----------
    threshold : float32 []
        V; one spike over T timesteps stands for V / T.
    fan_out : float
        Additions that one spike causes downstream; set by `training.networks` users, weighs `synaptic_operations`.
    synaptic_operations : float32 []
        Differentiable mean additions per image of the last forward pass.
    replay : float [N, C, H, W] or None
        Counts to put out instead of those of the input; `training.stepwise` sets them.
    """

    def __init__(self, timesteps: int = 8):
        super().__init__()
        self.timesteps = timesteps
        self.threshold = nn.Parameter(torch.tensor(INITIAL_THRESHOLD))
        self.fan_out = 0.0
        self.synaptic_operations = torch.zeros(())
        self.firing_rate = 0.0
        self.replay: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        threshold = self.threshold.abs().clamp_min(1e-3)
        y, total = _CountFunction.apply(x, threshold, self.timesteps, self.replay)
        self.synaptic_operations = total * (self.fan_out / len(y))
        self.firing_rate = float(total.detach()) / (y.numel() * self.timesteps)
        return y


class _RoundFunction(torch.autograd.Function):
    """Rounding to int8 steps whose gradient passes straight through."""

    @staticmethod
    def forward(ctx, weight):  # type: ignore[no-untyped-def,override]
        # Classes share a scale, so that the accelerator's integer scores can be compared as they are.
        order = memory_format_of(weight)
        rows = flatten(weight, order).reshape(len(weight) if weight.ndim == 4 else 1, -1)
        return unflatten(round_rows(rows, WEIGHT_LEVELS), weight.shape, order)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def,override]
        return gradient


class Int8Weight(nn.Module):
    """Parametrisation that puts a weight on int8 steps: a scale for each output channel, one for a classifier."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return _RoundFunction.apply(weight)


def quantise_weights(network: nn.Module) -> None:
    """Put every convolution and linear weight of `network` on int8 steps, in place."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.utils.parametrize.register_parametrization(module, "weight", Int8Weight())


@torch.no_grad()
def set_fan_outs(network: nn.Module, image: torch.Tensor) -> None:
    """Measure how many additions a spike of each activation causes, and store it as its `fan_out`.

    Works on any wiring: every convolution and linear layer is asked for its multiply-accumulates, which are then
    shared evenly over the elements of the tensor that it reads, and credited to the activation that made it. A
    classifier behind a flattening or averaging is not credited to anyone: it costs 10 additions a spike, convolutions
    thousands.

    Parameters
    ----------
    image : float32 [1, C, H, W]
    """
    maker: dict[int, SpikeCount] = {}
    alive: list[torch.Tensor] = []  # keeps ids unique while they serve as keys

    def remember(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(module, SpikeCount):
            module.fan_out = 0.0
            maker[id(output)] = module
            alive.append(output)
            return
        source = maker.get(id(inputs[0]))
        if source is not None:
            per_output = module.weight[0].numel()  # type: ignore[union-attr,operator,index]
            source.fan_out += output.numel() * per_output / inputs[0].numel()

    kinds = (SpikeCount, nn.Conv2d, nn.Linear)
    handles = [m.register_forward_hook(remember) for m in network.modules() if isinstance(m, kinds)]
    training = network.training
    network.eval()(image)
    network.train(training)
    for handle in handles:
        handle.remove()
