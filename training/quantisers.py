"""The quantised network in the training loop: what the accelerator will compute, with gradients.

An activation becomes a spike count: ``count = clip(round(x / v), 0, T)`` with ``v = V / T``, which is what an
integrate-and-fire neuron of threshold V and initial potential V / 2 emits in T timesteps under deferred firing
(QCFS, Bu et al., ICLR 2022, eq. 10). Weights become int8 with one scale per output channel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from training.fused import compiled, count_gradients, count_spikes, flatten, memory_format_of, round_rows, unflatten
from training.networks import BasicBlock, ConvUnit, ResNet18

INITIAL_THRESHOLD = 2.0  # batch-normalised inputs rarely pass 2; starting at 4 would leave half of the levels unused
SMALLEST_THRESHOLD = 1e-3
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
    firing_rate : float
        Share of timesteps with a spike in the last forward pass.
    start : float32 [] or [C]
        Potential before the first timestep as a share of the threshold; plays a part in stepwise firing only.
    replay : float [N, C, H, W] or None
        Counts to put out instead of those of the input; `training.stepwise` sets them.
    """

    def __init__(self, timesteps: int = 8):
        super().__init__()
        self.timesteps = timesteps
        self.threshold = nn.Parameter(torch.tensor(INITIAL_THRESHOLD))
        self.fan_out = 0.0
        self.synaptic_operations = torch.zeros(())
        self._rate = torch.zeros(())
        self.start = torch.tensor(0.5)
        self.replay: torch.Tensor | None = None

    @property
    def positive_threshold(self) -> torch.Tensor:
        """V as it is used, wherever training has taken the parameter: float32 []."""
        return self.threshold.abs().clamp_min(SMALLEST_THRESHOLD)

    @property
    def step(self) -> torch.Tensor:
        """What one spike count stands for: V / T, float32 []."""
        return self.positive_threshold / self.timesteps

    @property
    def firing_rate(self) -> float:
        return float(self._rate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, total = _CountFunction.apply(x, self.positive_threshold, self.timesteps, self.replay)
        self.synaptic_operations = total * (self.fan_out / len(y))
        self._rate = total.detach() / (y.numel() * self.timesteps)  # read when asked for: a GPU need not be waited for
        return y


def set_timesteps(network: nn.Module, timesteps: int) -> None:
    """Let every neuron fire in `timesteps`; thresholds stay, so a spike count stands for more or less."""
    for module in network.modules():
        if isinstance(module, SpikeCount):
            module.timesteps = timesteps


class _RoundFunction(torch.autograd.Function):
    """Rounding to int8 steps whose gradient passes straight through."""

    @staticmethod
    def forward(ctx, weight, scale):  # type: ignore[no-untyped-def,override]
        # Classes share a scale, so that the accelerator's integer scores can be compared as they are.
        order = memory_format_of(weight)
        rows = flatten(weight, order).reshape(len(weight) if weight.ndim == 4 else 1, -1)
        step = own_scale(rows) if scale is None else scale
        return unflatten(round_rows(rows, step[:, None], WEIGHT_LEVELS), weight.shape, order)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def,override]
        return gradient, None


class Int8Weight(nn.Module):
    """Parametrisation that puts a weight on int8 steps: a scale for each output channel, one for a classifier.

    Parameters
    ----------
    scale : callable or None
        Returns the scales, float32 [channels]; without one the largest weight of a channel decides.
    """

    def __init__(self, scale: Callable[[], torch.Tensor] | None = None):
        super().__init__()
        self.scale = scale

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return _RoundFunction.apply(weight, self.scale() if self.scale else None)

    def steps(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the scales by which a convolution's weight is rounded, float32 [channels]."""
        return self.scale() if self.scale else own_scale(weight)


def quantise_weights(network: nn.Module) -> None:
    """Put every convolution and linear weight of `network` on int8 steps, in place."""
    shared = SharedUnits(network).scales
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.utils.parametrize.register_parametrization(module, "weight", Int8Weight(shared.get(module)))


class SharedUnits:
    """Scales by which both branches of a residual block count in the same unit (docs/numerics.md, section 6).

    Attributes
    ----------
    scales : dict of Conv2d to callable
        For each convolution that has to share, what returns its scales: float [channels], of the present weights,
        thresholds and statistics of batch norm.
    """

    def __init__(self, network: nn.Module) -> None:
        self.scales: dict[nn.Module, Callable[[], torch.Tensor]] = {}
        if not isinstance(network, ResNet18):
            return
        source: Any = network.stem_activation
        blocks: Any = network.blocks
        for block in blocks:
            if isinstance(block.shortcut, ConvUnit):
                for number, unit in enumerate((block.unit2, block.shortcut)):
                    self.scales[unit.conv] = functools.partial(_scale_of_branch, block, source, number)
            source = block.activation2


def _scale_of_branch(block: BasicBlock, source: SpikeCount, number: int) -> torch.Tensor:
    return shared_scales(block, source)[number]


@torch.no_grad()
def shared_scales(block: BasicBlock, source: SpikeCount) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scales of a block's second convolution and of its 1x1 shortcut, float [channels] each.

    Each branch's unit is its gain times its scale times what a count of its input stands for; the larger of the two
    units serves both, so that all weights fit int8.

    Parameters
    ----------
    source : SpikeCount
        The activation that the block reads.
    """
    units: tuple[Any, Any] = (block.unit2, block.shortcut)
    steps: tuple[Any, Any] = (block.activation1.step, source.step)
    factors = [norm_gain(unit).abs() * step for unit, step in zip(units, steps, strict=True)]
    own = [own_scale(original_weight(unit.conv)) for unit in units]
    unit = torch.maximum(factors[0] * own[0], factors[1] * own[1])
    main, shortcut = (torch.where(f > 0, unit / f, scale) for f, scale in zip(factors, own, strict=True))
    return main, shortcut


def norm_gain(unit: ConvUnit) -> torch.Tensor:
    """Return the factor of a batch normalisation in evaluation mode, float [channels]."""
    variance: Any = unit.norm.running_var
    return unit.norm.weight / torch.sqrt(variance + unit.norm.eps)


def own_scale(weight: torch.Tensor) -> torch.Tensor:
    """Return the scale of each output channel that makes its largest weight 127, float [channels]."""
    return weight.abs().flatten(1).amax(1).clamp_min(1e-8) / WEIGHT_LEVELS


def original_weight(layer: Any) -> torch.Tensor:
    """Return a weight as it is trained, before rounding."""
    parametrised = nn.utils.parametrize.is_parametrized(layer, "weight")
    original: torch.Tensor = layer.parametrizations.weight.original if parametrised else layer.weight
    return original


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
    with compiled(False):  # one picture, perhaps on a CPU beside the GPU that trains: compiling would take a minute
        network.eval()(image)
    network.train(training)
    for handle in handles:
        handle.remove()
