"""A dense evaluation of a `Network`, written from docs/numerics.md without the program format.

It knows convolutions and pooling, not taps, masks or descriptors, so it checks the compiler and all devices at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pynq_snn.layout import Coding
from pynq_snn.network import INPUT, Branch, Layer, Network, Pooling

Values = Any  # int64 arrays


def evaluate(network: Network, inputs: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return logits, int64 [classes], and each layer's spike counts, int64 [channels, height, width].

    Parameters
    ----------
    inputs : uint8 [H, W, C] pixels, or bool [T, C, H, W] spikes
    """
    steps: dict[int, Values] = {}  # of each source: [timesteps, C, H, W], or [1, C, H, W] numbers
    if network.input_kind == "pixels":
        steps[INPUT] = inputs.transpose(2, 0, 1)[None].astype(np.int64)
    else:
        steps[INPUT] = inputs.astype(np.int64)
    counts: list[np.ndarray] = []
    for index, layer in enumerate(network.layers):
        if layer.max_pooling is not None:
            fired = _max_pool(layer, steps[layer.max_pooling_source])
        else:
            current = _current(network, layer, steps)
            if layer.kind == "readout":
                return (current.sum(axis=0) + layer.initial[:, None, None])[:, 0, 0], counts
            fired = _fire(network, layer, current)
        counts.append(fired.sum(axis=0))
        binary = network.coding(index) == Coding.BINARY
        steps[index] = fired.sum(axis=0, keepdims=True) if binary else fired
    raise AssertionError("no readout")


def _current(network: Network, layer: Layer, steps: dict[int, Values]) -> Values:
    """Currents of each step in membrane units, int64 [steps, C, H, W]."""
    total: Values = 0
    for branch in layer.branches:
        pad = network.mean_pixel if branch.source == INPUT and network.input_kind == "pixels" else None
        total = total + np.stack([_branch(branch, step, pad) for step in steps[branch.source]])
    total = total << layer.fraction_bits
    if layer.identity is not None:
        total = total + steps[layer.identity] * layer.shortcut[:, None, None].astype(np.int64)
    return total


def _branch(branch: Branch, values: Values, pad: tuple[int, ...] | None) -> Values:
    values = _sum_pool(values, branch.pool_before)
    channels, height, width = values.shape
    margin = branch.padding
    padded = np.zeros((channels, height + 2 * margin, width + 2 * margin), np.int64)
    if pad is not None:
        padded += np.array(pad)[:, None, None]
    padded[:, margin : margin + height, margin : margin + width] = values
    kernel_height, kernel_width = branch.weights.shape[2:]
    rows = (padded.shape[1] - kernel_height) // branch.stride + 1
    columns = (padded.shape[2] - kernel_width) // branch.stride + 1
    out = np.zeros((len(branch.weights), rows, columns), np.int64)
    for y in range(rows):
        for x in range(columns):
            top, left = y * branch.stride, x * branch.stride
            window = padded[:, top : top + kernel_height, left : left + kernel_width]
            out[:, y, x] = (branch.weights.astype(np.int64) * window).sum(axis=(1, 2, 3))
    return _sum_pool(out, branch.pool_after)


def _sum_pool(values: Values, pool: Pooling) -> Values:
    rows = (values.shape[1] - pool.height) // pool.stride_y + 1
    columns = (values.shape[2] - pool.width) // pool.stride_x + 1
    out = np.zeros((len(values), rows, columns), np.int64)
    for y in range(rows):
        for x in range(columns):
            top, left = y * pool.stride_y, x * pool.stride_x
            out[:, y, x] = values[:, top : top + pool.height, left : left + pool.width].sum(axis=(1, 2))
    return out


def _max_pool(layer: Layer, steps: Values) -> Values:
    pooling = layer.max_pooling
    assert pooling is not None
    margin = pooling.padding
    running = steps.cumsum(axis=0)  # spikes up to each timestep; of numbers, the number
    padded = np.pad(running, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    _, rows, columns = layer.output_shape
    out = np.zeros((*steps.shape[:2], rows, columns), np.int64)
    for y in range(rows):
        for x in range(columns):
            top, left = y * pooling.stride, x * pooling.stride
            out[:, :, y, x] = padded[:, :, top : top + pooling.window, left : left + pooling.window].max(axis=(2, 3))
    return np.diff(out, axis=0, prepend=0)


def _fire(network: Network, layer: Layer, current: Values) -> Values:
    """Spikes, int64 [T, C, H, W]."""
    initial, bias, threshold = (
        vector[:, None, None].astype(np.int64) for vector in (layer.initial, layer.bias, layer.threshold)
    )
    potential = np.broadcast_to(initial, current.shape[1:]).copy()
    if network.firing == "deferred":
        potential = potential + current.sum(axis=0)
        count = np.clip(potential // threshold, 0, network.timesteps)
        return (np.arange(network.timesteps)[:, None, None, None] < count).astype(np.int64)
    spikes = []
    for t in range(network.timesteps):
        if network.leak_shift:
            potential = potential - (potential >> network.leak_shift)
        potential = potential + current[t if len(current) > 1 else 0] + bias
        fired = potential >= threshold
        potential = np.where(fired, 0 if network.hard_reset else potential - threshold, potential)
        spikes.append(fired.astype(np.int64))
    return np.stack(spikes)


def synaptic_operations(network: Network, bits: dict[int, np.ndarray]) -> int:
    """Count additions from the bits that travel, bool [planes, C, H, W] by source, without taps.

    Each set bit that a kernel position of an output place meets costs one addition for each output channel.
    """
    total = 0
    for layer in network.layers:
        for branch in layer.branches:
            ones = Branch(branch.source, np.ones((1, *branch.weights.shape[1:]), np.int8), np.ones(1), branch.stride,
                          branch.padding, branch.pool_before, branch.pool_after)  # fmt: skip
            met = sum(int(_branch(ones, plane.astype(np.int64), None).sum()) for plane in bits[branch.source])
            total += met * len(branch.weights)
        if layer.identity is not None:
            total += int(bits[layer.identity].sum())
    return total
