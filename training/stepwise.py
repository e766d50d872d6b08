"""The spiking network itself in the training loop, for stepwise firing.

A stepwise neuron fires as soon as it can, so what it fires depends on when its inputs arrive and not only on how many
they are; a network that was trained on counts loses accuracy by that. Here the forward pass simulates every timestep
without gradients, and the backward pass goes through the counts that came out, as if each had been computed from the
mean current (rate-based backpropagation, Yu et al., NeurIPS 2024).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from training.fused import flatten, integrate_and_fire, unflatten
from training.integer import has_integer_product, spike_current
from training.networks import BasicBlock, ConvUnit, ResNet18
from training.quantisers import SpikeCount


def fire(currents: torch.Tensor, neuron: SpikeCount) -> torch.Tensor:
    """Integrate and fire with soft reset from the neuron's initial potentials (docs/numerics.md, section 3).

    Parameters
    ----------
    currents : float32 [T, N, C, H, W]

    Returns
    -------
    spikes : uint8 of the same shape
        0 or 1.
    """
    threshold = neuron.positive_threshold.detach()
    timesteps, count, channels = currents.shape[:3]
    start = neuron.start.to(currents.device).expand(channels) * threshold
    maps = currents.flatten(0, 1)
    places = flatten(maps, torch.channels_last).reshape(timesteps, -1, channels)
    spikes = torch.stack(integrate_and_fire(places, start, threshold)).reshape(-1)
    return unflatten(spikes, maps.shape, torch.channels_last).unflatten(0, (timesteps, count))


def pool_running_counts(spikes: torch.Tensor) -> torch.Tensor:
    """Return the trains of the largest running counts in 2x2 places (docs/numerics.md, section 4).

    Parameters
    ----------
    spikes : uint8 [T, N, C, H, W]

    Returns
    -------
    pooled : uint8 [T, N, C, H / 2, W / 2]
    """
    counts = spikes.float().cumsum(0)
    largest = nn.functional.max_pool2d(counts.flatten(0, 1), 2).unflatten(0, counts.shape[:2])
    return torch.diff(largest, dim=0, prepend=torch.zeros_like(largest[:1])).to(torch.uint8)


@dataclass(frozen=True)
class Spikes:
    """What a layer passes on.

    Attributes
    ----------
    spikes : uint8 [T, N, C, H, W]
        0 or 1.
    threshold : float32 []
        What a spike stands for in the unit of the currents.
    """

    spikes: torch.Tensor
    threshold: torch.Tensor


class Simulation:
    """Runs a quantised network timestep by timestep; layer after layer, since nothing feeds back.

    Attributes
    ----------
    counts : dict of SpikeCount to float [N, C, H, W]
        Spikes of the last run behind each activation and its pooling.
    """

    def __init__(self, network: nn.Module, timesteps: int):
        self.network: Any = network
        self.timesteps = timesteps
        self.counts: dict[SpikeCount, torch.Tensor] = {}

    @torch.no_grad()
    def run(self, images: torch.Tensor) -> None:
        """Simulate all timesteps of normalised pictures, float [N, 3, H, W], under direct coding."""
        self.counts = {}
        if isinstance(self.network, ResNet18):
            self._resnet18(images)
        else:
            self._vgg11(images)

    def _vgg11(self, images: torch.Tensor) -> None:
        network = self.network
        values = self._fire(network.activations[0], self._still(network.units[0], images), network.units[0].pool)
        for unit, activation in zip(network.units[1:], network.activations[1:], strict=True):
            values = self._fire(activation, self._current(unit, values), unit.pool)

    def _resnet18(self, images: torch.Tensor) -> None:
        network = self.network
        values = self._fire(network.stem_activation, self._still(network.stem, images))
        for block in network.blocks:
            values = self._block(block, values)

    def _block(self, block: BasicBlock, values: Spikes) -> Spikes:
        activation1, activation2 = block.activation1, block.activation2
        inner = self._fire(activation1, self._current(block.unit1, values))  # type: ignore[arg-type]
        if isinstance(block.shortcut, ConvUnit):
            shortcut = self._current(block.shortcut, values)
        else:
            shortcut = values.spikes * values.threshold
        current = self._current(block.unit2, inner).add_(shortcut)
        return self._fire(activation2, current)  # type: ignore[arg-type]

    def _still(self, unit: ConvUnit, images: torch.Tensor) -> torch.Tensor:
        """Return the current of a picture, the same at every timestep."""
        current = unit.norm(unit.conv(images)).float()
        return current.expand(self.timesteps, *current.shape)

    def _current(self, unit: ConvUnit, values: Spikes) -> torch.Tensor:
        flat = values.spikes.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        if has_integer_product(unit, flat):
            current = spike_current(unit, flat, values.threshold)
        else:
            current = unit.norm(unit.conv(flat * values.threshold)).float()
        return current.unflatten(0, values.spikes.shape[:2])

    def _fire(self, neuron: SpikeCount, currents: torch.Tensor, pool: nn.Module | None = None) -> Spikes:
        """Return what a layer passes on."""
        spikes = fire(currents, neuron)
        if isinstance(pool, nn.MaxPool2d):
            spikes = pool_running_counts(spikes)
        self.counts[neuron] = spikes.sum(0, dtype=torch.uint8).float()
        return Spikes(spikes, neuron.positive_threshold.detach())


@contextmanager
def replayed(counts: dict[SpikeCount, torch.Tensor]) -> Iterator[None]:
    """Within, activations put out these counts instead of their own, with the gradient of their own."""
    for neuron, count in counts.items():
        neuron.replay = count
    try:
        yield
    finally:
        for neuron in counts:
            neuron.replay = None
