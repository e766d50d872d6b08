"""From a chain of NIR nodes to layers: weights, pooling and the neurons behind them, in real numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pynq_snn.nir_import.graph import Chain, Refused, Shape
from pynq_snn.nir_import.neurons import Dynamics, FloatArray, Neuron, read_neuron

REFUSED_KINDS = {
    "CubaLIF": "has a synaptic current that decays by itself; the accelerator's neurons have one state, use LIF",
    "CubaLI": "has a synaptic current that decays by itself; end the network with Linear, Affine, IF or LIF",
    "LI": "is a neuron that leaks but never spikes; end the network with Linear, Affine, IF or LIF",
    "I": "is a neuron that never spikes; end the network with Linear or Affine, whose outputs are summed over time",
    "Delay": "delays spikes; the accelerator has no delays, retrain without",
    "Conv1d": "convolves in one dimension; use Conv2d with maps of height 1 and a square kernel",
    "Scale": "scales spikes; multiply the weights behind it instead",
    "Threshold": "fires without a membrane potential; use IF or LIF",
}


@dataclass(frozen=True)
class Window:
    """Average pooling: window and stride in rows and columns."""

    size: tuple[int, int]
    stride: tuple[int, int]

    @property
    def places(self) -> int:
        """Places averaged."""
        return self.size[0] * self.size[1]


@dataclass(frozen=True)
class NirLayer:
    """A weighted node with the pooling around it and the neurons behind it.

    Attributes
    ----------
    weights : float64 [channels out, channels in, k, k] or [outputs, inputs]
        Factors of sum pooling included.
    bias : float64 [channels out]
    flatten : bool
        Whether the map is flattened before it.
    pool_before, pool_after : Window or None
        Average pooling of spikes before the weights, and of currents behind them.
    neuron : Neuron or None
        None for outputs that are summed over time.
    """

    name: str
    weights: FloatArray
    bias: FloatArray
    stride: int = 1
    padding: int = 0
    flatten: bool = False
    pool_before: Window | None = None
    pool_after: Window | None = None
    neuron: Neuron | None = None

    @property
    def divisor(self) -> int:
        """Places averaged by both poolings together."""
        windows = (self.pool_before, self.pool_after)
        return int(np.prod([window.places for window in windows if window is not None]))


def read_layers(chain: Chain, input_shape: Shape, dynamics: Dynamics) -> tuple[NirLayer, ...]:
    """Return the layers of a chain of nodes.

    Parameters
    ----------
    input_shape : tuple of int
        What the network reads, [C, H, W].

    Raises
    ------
    Refused
        A node that the accelerator cannot do, named with the reason.
    """
    return _Reader(chain, input_shape, dynamics).run()


class _Reader:
    """Walks the chain; `shape` is what the last node put out, [C, H, W], or [N] behind Flatten."""

    def __init__(self, chain: Chain, input_shape: Shape, dynamics: Dynamics) -> None:
        self.chain = chain
        self.dynamics = dynamics
        declared = chain.input_shape
        self.shape: Shape = declared if len(declared) == 1 else input_shape
        self.flatten = len(declared) == 1  # the file's vectors are flattened maps
        self.factor = 1.0  # of sum pooling, for the next weights
        self.pool: Window | None = None
        self.open: NirLayer | None = None  # weights whose neurons have not come yet
        self.layers: list[NirLayer] = []
        self.handlers: dict[str, Callable[[str, Any], None]] = {
            "Affine": self._linear,
            "AvgPool2d": self._average,
            "Conv2d": self._conv,
            "Flatten": self._flatten,
            "IF": self._neuron,
            "LIF": self._neuron,
            "Linear": self._linear,
            "SumPool2d": self._sum,
        }

    def run(self) -> tuple[NirLayer, ...]:
        for name, node in self.chain.nodes:
            kind = type(node).__name__
            if kind not in self.handlers:
                reason = REFUSED_KINDS.get(kind, f"is not supported; use {', '.join(sorted(self.handlers))}")
                raise Refused(f"{name}: {kind} {reason}")
            self.handlers[kind](name, node)
        if self.open is not None:
            if np.prod(self.shape[1:], initial=1) != 1:
                raise Refused(f"{self.open.name}: puts out {list(self.shape)}; the output must be one value per class")
            self._close(None)
        if not self.layers:
            raise Refused("has no weights; a network needs at least one Conv2d, Linear or Affine")
        if self.pool is not None or np.prod(self.shape[1:], initial=1) != 1:
            raise Refused(f"puts out {list(self.shape)}; the output must be one value per class, so end with Linear")
        if self.factor != 1:
            raise Refused("ends with a SumPool2d; end with Linear, Affine, IF or LIF")
        return tuple(self.layers)

    # --- weights ------------------------------------------------------------------------------------------------------

    def _begin(self, layer: NirLayer) -> None:
        if self.open is not None:
            raise Refused(f"{layer.name}: follows {self.open.name} without neurons between; put IF or LIF there")
        if not np.isfinite(layer.weights).all() or not np.isfinite(layer.bias).all():
            raise Refused(f"{layer.name}: its weights or its bias hold NaN or infinity; export the network again")
        self.open = replace(layer, weights=layer.weights * self.factor, pool_before=self.pool, flatten=self.flatten)
        self.factor, self.pool, self.flatten = 1.0, None, False

    def _conv(self, name: str, node: Any) -> None:
        weights, bias = _array(name, node, "weight"), _array(name, node, "bias").reshape(-1)
        if weights.ndim != 4 or weights.shape[2] != weights.shape[3]:
            raise Refused(f"{name}: kernel {list(weights.shape)} is not square; use [out, in, k, k]")
        if len(self.shape) != 3:
            raise Refused(f"{name}: reads a vector of {self.shape[0]}; put it before Flatten")
        groups = int(_array(name, node, "groups").reshape(-1)[0])
        if groups != 1:
            raise Refused(f"{name}: groups = {groups} is not supported; use a convolution without groups")
        if weights.shape[1] != self.shape[0]:
            raise Refused(f"{name}: expects {weights.shape[1]} input channels but gets {self.shape[0]}")
        if bias.size != weights.shape[0]:
            raise Refused(f"{name}: {bias.size} biases for {weights.shape[0]} output channels; export again")
        dilation = _pair(name, node, "dilation")
        if dilation != (1, 1):
            raise Refused(f"{name}: dilation = {dilation[0]}, {dilation[1]} is not supported; use 1")
        stride, kernel = _equal_pair(name, node, "stride"), weights.shape[2]
        padding = self._conv_padding(name, node, kernel, stride)
        self._begin(NirLayer(name, weights, bias, stride, padding))
        sides = [(side + 2 * padding - kernel) // stride + 1 for side in self.shape[1:]]
        if min(sides) < 1:
            raise Refused(f"{name}: kernel {kernel} is larger than its map of {self.shape[1]}x{self.shape[2]}")
        self.shape = (weights.shape[0], *sides)

    def _conv_padding(self, name: str, node: Any, kernel: int, stride: int) -> int:
        padding = node.padding
        if isinstance(padding, bytes):
            padding = padding.decode(errors="replace")
        if not isinstance(padding, str):
            return _equal_pair(name, node, "padding", least=0)
        if padding == "valid":
            return 0
        if padding == "same" and stride == 1 and kernel % 2:
            return kernel // 2
        raise Refused(
            f"{name}: padding = {padding!r} with kernel {kernel} and stride {stride} pads unevenly; use the same "
            "padding on all sides"
        )

    def _linear(self, name: str, node: Any) -> None:
        weights = _array(name, node, "weight")
        if weights.ndim != 2:
            raise Refused(f"{name}: weights {list(weights.shape)} are not a matrix; export without a batch")
        outputs, inputs = weights.shape
        bias = _array(name, node, "bias").reshape(-1) if hasattr(node, "bias") else np.zeros(outputs)
        if bias.size != outputs:
            raise Refused(f"{name}: {bias.size} biases for {outputs} outputs; export again")
        if len(self.shape) != 1:
            raise Refused(f"{name}: reads a map of {list(self.shape)}; put Flatten before it")
        if inputs != self.shape[0]:
            raise Refused(f"{name}: expects {inputs} inputs but gets {self.shape[0]}")
        self._begin(NirLayer(name, weights, bias))
        self.shape = (outputs,)

    # --- shape and pooling --------------------------------------------------------------------------------------------

    def _flatten(self, name: str, node: Any) -> None:
        rank = len(self.shape)
        start, end = (int(_array(name, node, key).reshape(-1)[0]) for key in ("start_dim", "end_dim"))
        if rank == 1:
            return
        if start % rank != 0 or end % rank != rank - 1:
            raise Refused(
                f"{name}: flattens dimensions {start} to {end} of {list(self.shape)}; flatten the whole map "
                "(start_dim = 0, without the batch)"
            )
        if self.open is not None:
            raise Refused(f"{name}: flattens {self.open.name} before its neurons; put Flatten behind IF or LIF")
        self.flatten = True
        self.shape = (int(np.prod(self.shape)),)

    def _average(self, name: str, node: Any) -> None:
        size, stride = _pair(name, node, "kernel_size"), _pair(name, node, "stride")
        padding = _pair(name, node, "padding", least=0)
        if padding != (0, 0):
            raise Refused(f"{name}: padding = {padding[0]}, {padding[1]} is not supported; pool without padding")
        if len(self.shape) != 3:
            raise Refused(f"{name}: pools a vector of {self.shape[0]}; put it before Flatten")
        sides = [(self.shape[axis + 1] - size[axis]) // stride[axis] + 1 for axis in (0, 1)]
        if min(sides) < 1:
            raise Refused(f"{name}: window {size[0]}x{size[1]} exceeds its map of {self.shape[1]}x{self.shape[2]}")
        window = Window(size, stride)
        taken = self.pool if self.open is None else self.open.pool_after
        if taken is not None:
            raise Refused(f"{name}: follows another pooling; use one with the combined window")
        if self.open is None:
            self.pool = window
        else:
            self.open = replace(self.open, pool_after=window)
        self.shape = (self.shape[0], *sides)

    def _sum(self, name: str, node: Any) -> None:
        """Sum pooling is average pooling times the places of the window."""
        self._average(name, node)
        if self.open is None:
            assert self.pool is not None
            self.factor *= self.pool.places
        else:
            assert self.open.pool_after is not None
            places = self.open.pool_after.places
            self.open = replace(self.open, weights=self.open.weights * places, bias=self.open.bias * places)

    # --- neurons ------------------------------------------------------------------------------------------------------

    def _neuron(self, name: str, node: Any) -> None:
        if self.open is None:
            raise Refused(f"{name}: its currents come from no Conv2d, Linear or Affine; put one before it")
        self._close(read_neuron(name, node, self.shape, self.dynamics))

    def _close(self, neuron: Neuron | None) -> None:
        assert self.open is not None
        self.layers.append(replace(self.open, neuron=neuron))
        self.open = None


def common_leak(layers: tuple[NirLayer, ...]) -> int:
    """Return the leak shift that all layers share; the accelerator's model files hold one for the network."""
    neurons = [layer.neuron for layer in layers if layer.neuron is not None]
    for neuron in neurons[1:]:
        if neuron.leak_shift != neurons[0].leak_shift:
            raise Refused(
                f"{neuron.name}: leaks {_leak_text(neuron)} but {neurons[0].name} {_leak_text(neurons[0])} in a "
                "timestep; a network has one leak, so train all layers with the same"
            )
    return neurons[0].leak_shift if neurons else 0


def _leak_text(neuron: Neuron) -> str:
    return f"1/{2**neuron.leak_shift}" if neuron.leak_shift else "nothing"


def _array(name: str, node: Any, key: str) -> FloatArray:
    try:
        return np.asarray(getattr(node, key), np.float64)
    except (AttributeError, TypeError, ValueError) as error:
        raise Refused(f"{name}: {key} is not an array of numbers; export the network again") from error


def _pair(name: str, node: Any, key: str, least: int = 1) -> tuple[int, int]:
    """Return (rows, columns) of an attribute that is one number or two."""
    values = _array(name, node, key).reshape(-1)
    if values.size == 1:
        values = np.repeat(values, 2)
    if values.size != 2 or not np.isfinite(values).all() or (values < least).any() or (values != np.rint(values)).any():
        raise Refused(f"{name}: {key} = {values.tolist()} is not a pair of whole numbers from {least}; export again")
    return int(values[0]), int(values[1])


def _equal_pair(name: str, node: Any, key: str, least: int = 1) -> int:
    rows, columns = _pair(name, node, key, least)
    if rows != columns:
        raise Refused(f"{name}: {key} = {rows}, {columns} differs between rows and columns; use the same for both")
    return rows
