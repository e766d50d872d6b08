"""The quantised network in the training loop: what the accelerator will compute, with gradients.

An activation becomes a spike count: ``count = clip(round(x / v), 0, T)`` with ``v = V / T``, which is what an
integrate-and-fire neuron of threshold V and initial potential V / 2 emits in T timesteps under deferred firing
(QCFS, Bu et al., ICLR 2022, eq. 10). Weights become int8 with one scale per output channel.
"""

from __future__ import annotations

import torch
from torch import nn

INITIAL_THRESHOLD = 2.0  # batch-normalised inputs rarely pass 2; starting at 4 would leave half of the levels unused
WEIGHT_LEVELS = 127


class _CountFunction(torch.autograd.Function):
    """One fused step in the dtype of the input: separate float32 operations cost twice the memory traffic."""

    @staticmethod
    def forward(ctx, x, threshold, timesteps, replay):  # type: ignore[no-untyped-def,override]
        step = threshold / timesteps
        scaled = x / step.to(x.dtype)
        value = scaled.round().clamp_(0, timesteps) if replay is None else replay.to(x.dtype)
        ctx.save_for_backward(scaled, value, threshold)
        ctx.timesteps = timesteps
        return value * step.to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def,override]
        scaled, value, threshold = ctx.saved_tensors
        timesteps = ctx.timesteps
        inside = (scaled > -0.5) & (scaled < timesteps + 0.5)
        # LSQ (Esser et al., ICLR 2020, eq. 3): d value*step / d step = value - scaled inside, value outside. Its
        # gradient scale is left out: it stops thresholds of convolutions from moving at all in a few epochs.
        slope = torch.where(inside, value - scaled, value)
        to_threshold = (gradient * slope).sum(dtype=torch.float32) / timesteps
        return gradient * inside, to_threshold.reshape(threshold.shape), None, None


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
        y = _CountFunction.apply(x, threshold, self.timesteps, self.replay)
        counts = y.sum(dtype=torch.float32) * (self.timesteps / threshold.detach()) / len(y)
        self.synaptic_operations = counts * self.fan_out
        self.firing_rate = float(counts.detach()) / (y[0].numel() * self.timesteps)
        return y


def weight_scale(weight: torch.Tensor) -> torch.Tensor:
    """Scale by which the largest magnitude becomes 127: float32 [C, 1, 1, 1] for kernels, one for a classifier.

    Classes share a scale, so that the accelerator's integer scores can be compared as they are.
    """
    magnitudes = weight.detach().abs()
    peak = magnitudes.amax((1, 2, 3), keepdim=True) if weight.ndim == 4 else magnitudes.amax()
    return peak.clamp_min(1e-8) / WEIGHT_LEVELS


class Int8Weight(nn.Module):
    """Parametrisation that rounds a weight to int8 steps; the gradient passes straight through."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        scale = weight_scale(weight)
        quantised = (weight / scale).round().clamp(-WEIGHT_LEVELS, WEIGHT_LEVELS) * scale
        return weight + (quantised - weight).detach()


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
