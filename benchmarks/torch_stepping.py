"""The same spiking network in PyTorch, layer by layer with all timesteps in one batch: what the kernel is measured by.

This is the faster of the usual two ways ("multi-step mode"); a loop over timesteps outside the layers reads all weights
T times. Sums are whole numbers below 2**24, so float32 convolutions are exact and the logits equal the kernel's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from pynq_snn.network import INPUT, NO_POOLING, Branch, Layer, MaxPooling, Network


class TorchNetwork:
    """A network whose layers step in PyTorch.

    Parameters
    ----------
    network : Network
        Of pixels, stepwise or deferred firing, soft reset, no leak, no average pooling.
    """

    def __init__(self, network: Network) -> None:
        plain = all(b.pool_before == b.pool_after == NO_POOLING for layer in network.layers for b in layer.branches)
        if network.hard_reset or network.leak_shift or network.input_kind != "pixels" or not plain:
            raise ValueError(f"{network.name}: this comparison steps soft-reset networks of pixels without averaging")
        self.network = network
        self.weights = {
            (number, branch.source): torch.from_numpy(branch.weights.astype(np.float32))
            for number, layer in enumerate(network.layers)
            for branch in layer.branches
        }
        self.vectors = [
            [
                torch.from_numpy(v.astype(np.float64))[:, None, None]
                for v in (x.initial, x.bias, x.threshold, x.shortcut)
            ]
            for x in network.layers
        ]

    @torch.inference_mode()
    def infer(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Return the logits of one picture uint8 [H, W, 3], int64 [classes]."""
        pixels = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))[None]
        spikes = {INPUT: pixels}
        for number, layer in enumerate(self.network.layers):
            if layer.max_pooling is not None:
                spikes[number] = _max_pool(layer.max_pooling, spikes[layer.max_pooling_source])
                continue
            current = self._current(number, layer, spikes)
            initial, bias, threshold, _ = self.vectors[number]
            if layer.kind == "readout":
                return (current.sum(dim=0) + initial).flatten().numpy().astype(np.int64)
            spikes[number] = self._fire(current, initial, bias, threshold)
        raise AssertionError("a network ends in a readout")

    def _current(self, number: int, layer: Layer, spikes: dict[int, torch.Tensor]) -> torch.Tensor:
        sums = [self._convolve(number, branch, spikes[branch.source]) for branch in layer.branches]
        current = sum(sums[1:], sums[0]).double() * float(1 << layer.fraction_bits)
        if layer.identity is not None:
            current = current + spikes[layer.identity] * self.vectors[number][3]
        return current

    def _convolve(self, number: int, branch: Branch, values: torch.Tensor) -> torch.Tensor:
        weight, padding = self.weights[number, branch.source], branch.padding
        if branch.source == INPUT and padding:
            mean = torch.tensor(self.network.mean_pixel, dtype=torch.float32)[:, None, None]
            values, padding = functional.pad(values - mean, [padding] * 4) + mean, 0
        return functional.conv2d(values, weight, stride=branch.stride, padding=padding)

    def _fire(
        self, current: torch.Tensor, initial: torch.Tensor, bias: torch.Tensor, threshold: torch.Tensor
    ) -> torch.Tensor:
        steps = self.network.timesteps
        if self.network.firing == "deferred":
            count = torch.clamp(torch.floor((initial + current.sum(dim=0)) / threshold), 0, steps)
            return (torch.arange(steps)[:, None, None, None] < count).float()
        potential, fired = initial, []
        for t in range(steps):
            potential = potential + current[t if len(current) > 1 else 0] + bias
            spike = potential >= threshold
            potential = potential - spike * threshold
            fired.append(spike)
        return torch.stack(fired).float()


def _max_pool(pooling: MaxPooling, spikes: torch.Tensor) -> torch.Tensor:
    running = functional.max_pool2d(spikes.cumsum(dim=0), pooling.window, pooling.stride, pooling.padding)
    return torch.diff(running, dim=0, prepend=torch.zeros_like(running[:1]))
