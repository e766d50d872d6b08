"""Small made-up networks, one for each kind of layer: for tests, and for trying a device out.

Their weights are random, and their currents near the thresholds, so that a wrong bit anywhere shows in the result.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pynq_snn.network import INPUT, NO_POOLING, Branch, MaxPooling, Pooling, TrainedLayer, TrainedNetwork

Shape = tuple[int, int, int]


class NetworkBuilder:
    """Builds a `TrainedNetwork` layer by layer with random weights whose currents are near their thresholds."""

    def __init__(self, seed: int, shape: Shape, *, input_kind: str = "pixels", **options: Any) -> None:
        self.random = np.random.default_rng(seed)
        self.shapes: list[Shape] = []
        self.input_shape = shape
        self.input_kind = input_kind
        self.layers: list[TrainedLayer] = []
        self.options = options

    def shape(self, source: int) -> Shape:
        """Return channels, height and width of a layer's output, or of the input."""
        return self.input_shape if source == INPUT else self.shapes[source]

    def branch(self, source: int, channels: int, kernel: int = 3, stride: int = 1, padding: int | None = None,
               before: int = 1, after: int = 1) -> tuple[Branch, Shape]:  # fmt: skip
        """Return a random branch and the shape of what it computes."""
        depth, height, width = self.shape(source)
        padding = kernel // 2 if padding is None else padding
        sizes = []
        for side in (height, width):
            side = (side - before) // before + 1
            side = (side + 2 * padding - kernel) // stride + 1
            sizes.append((side - after) // after + 1)
        weights = np.clip(self.random.normal(8, 40, (channels, depth, kernel, kernel)), -127, 127).astype(np.int8)
        scale = self.random.uniform(0.5, 1.5, channels) * 2 / (40 * math.sqrt(depth) * kernel)
        if source == INPUT and self.input_kind == "pixels":
            scale = scale * 1.5
        scale *= self.random.choice([-1, 1], channels, p=[0.2, 0.8])
        branch = Branch(source, weights, scale, stride, padding, _pool(before), _pool(after))
        return branch, (channels, sizes[0], sizes[1])

    def conv(self, channels: int, source: int | None = None, *, identity: int | None = None,
             second: tuple[int, int, int] | None = None, **geometry: int) -> int:  # fmt: skip
        """Add a convolution; `second` is (source, kernel, stride) of another branch. Returns its index."""
        source = len(self.layers) - 1 if source is None else source
        branch, shape = self.branch(source, channels, **geometry)
        branches = [branch]
        if second is not None:
            other, other_shape = self.branch(second[0], channels, second[1], second[2])
            assert other_shape == shape, (other_shape, shape)
            branches.append(other)
        return self._add(tuple(branches), shape, identity, step=0.25)

    def readout(self, classes: int, source: int | None = None, pool_all: bool = False) -> TrainedNetwork:
        """Add the last layer and return the network."""
        source = len(self.layers) - 1 if source is None else source
        depth, height, width = self.shape(source)
        window = (1, 1) if pool_all else (height, width)
        weights = np.clip(self.random.normal(0, 40, (classes, depth, *window)), -127, 127).astype(np.int8)
        pool = Pooling(height, width, height, width) if pool_all else NO_POOLING
        branch = Branch(source, weights, np.full(classes, 0.01), 1, 0, pool)
        self._add((branch,), (classes, 1, 1), None, step=None)
        return self.network()

    def max_pool(self, window: int, stride: int, padding: int = 0) -> int:
        """Add max pooling of the last layer. Returns its index."""
        source = len(self.layers) - 1
        depth, height, width = self.shape(source)
        size = [(side + 2 * padding - window) // stride + 1 for side in (height, width)]
        self.shapes.append((depth, size[0], size[1]))
        nothing = np.zeros(depth)
        self.layers.append(
            TrainedLayer(
                f"pool{source + 1}",
                (),
                None,
                nothing,
                nothing,
                0.0,
                self.shapes[-1],
                0,
                "max_pool",
                MaxPooling(window, stride, padding),
                source,
            )  # fmt: skip
        )
        return len(self.layers) - 1

    def _add(self, branches: tuple[Branch, ...], shape: Shape, identity: int | None, step: float | None) -> int:
        channels = shape[0]
        self.shapes.append(shape)
        self.layers.append(
            TrainedLayer(
                name=f"layer{len(self.layers)}",
                branches=branches,
                identity=identity,
                identity_scale=np.ones(channels),
                offset=self.random.normal(0.1, 0.3, channels),
                step=step,
                output_shape=shape,
                macs=1,
                kind="readout" if step is None else "convolution",
            )
        )
        return len(self.layers) - 1

    def network(self) -> TrainedNetwork:
        """Return what was built, with the options given to the builder."""
        depth = self.input_shape[0]
        settings: dict[str, Any] = {
            "timesteps": 8, "firing": "deferred", "hard_reset": False, "leak_shift": 0, "initial_potential": "half",
        }  # fmt: skip
        settings.update(self.options)
        return TrainedNetwork(
            name="test",
            path="test",
            layers=tuple(self.layers),
            input_kind=self.input_kind,
            input_shape=self.input_shape,
            mean=(125 / 255,) * depth,
            std=(64 / 255,) * depth,
            labels=tuple(str(i) for i in range(self.shapes[-1][0])),
            **settings,
        )


def _pool(window: int) -> Pooling:
    return NO_POOLING if window == 1 else Pooling(window, window, window, window)


def plain(**options: Any) -> TrainedNetwork:
    """Return a network of two convolutions."""
    builder = NetworkBuilder(1, (3, 7, 9), **options)
    builder.conv(40)
    builder.conv(33)
    return builder.readout(10)


def strided_and_pooled(**options: Any) -> TrainedNetwork:
    """Return a network with strides, averaging of currents, a 1x1 convolution, and global averaging."""
    builder = NetworkBuilder(2, (3, 13, 11), **options)
    builder.conv(34, after=2)
    builder.conv(8, stride=2)
    builder.conv(36, kernel=1, padding=0)
    return builder.readout(5, pool_all=True)


def pooled_spikes(**options: Any) -> TrainedNetwork:
    """Return a network with averaging of spikes, and kernels of even and odd size."""
    builder = NetworkBuilder(3, (1, 11, 9), **options)
    builder.conv(16, kernel=5, padding=2)
    builder.conv(20, before=2)
    builder.conv(7, kernel=2, padding=0)
    return builder.readout(3)


def residual(**options: Any) -> TrainedNetwork:
    """Return a network with an identity shortcut and a strided 1x1 shortcut."""
    builder = NetworkBuilder(4, (3, 9, 8), **options)
    stem = builder.conv(32)
    first = builder.conv(32)
    joined = builder.conv(32, first, identity=stem)
    middle = builder.conv(48, joined, stride=2)
    builder.conv(48, middle, second=(joined, 1, 2))
    return builder.readout(10, pool_all=True)


def max_pooled(**options: Any) -> TrainedNetwork:
    """Return a network with overlapping, padded max pooling."""
    builder = NetworkBuilder(5, (3, 9, 9), **options)
    builder.conv(40)
    builder.max_pool(3, 2, 1)
    builder.conv(12)
    return builder.readout(4)


def wide_kernel(**options: Any) -> TrainedNetwork:
    """Return a network with 7x7 kernels."""
    builder = NetworkBuilder(6, (3, 16, 15), **options)
    builder.conv(12, kernel=7, stride=2, padding=3)
    builder.conv(9, kernel=7, padding=3)
    return builder.readout(2)


def from_events(**options: Any) -> TrainedNetwork:
    """Return a network that reads address events."""
    builder = NetworkBuilder(7, (2, 8, 6), input_kind="events", **options)
    builder.conv(35)
    builder.conv(10, before=2)
    return builder.readout(11)


def single_places(**options: Any) -> TrainedNetwork:
    """Return a network with 3x3 kernels on maps of one place, where eight taps of nine meet padding only."""
    builder = NetworkBuilder(8, (3, 4, 4), **options)
    builder.conv(64, stride=2)
    builder.max_pool(2, 2)
    builder.conv(320)
    builder.conv(96)
    return builder.readout(6)


EXAMPLES = {
    function.__name__: function
    for function in (
        plain, strided_and_pooled, pooled_spikes, residual, max_pooled, wide_kernel, from_events, single_places
    )
}  # fmt: skip


def random_input(network: Any, seed: int, count: int) -> np.ndarray:
    """Return `count` random inputs: uint8 [N, H, W, C] pixels or bool [N, T, C, H, W] spikes."""
    random = np.random.default_rng(seed)
    depth, height, width = network.input_shape
    if network.input_kind == "pixels":
        return random.integers(0, 256, (count, height, width, depth), np.uint8)
    return random.random((count, network.timesteps, depth, height, width)) < 0.2
