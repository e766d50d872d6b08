"""From a quantised ONNX graph to a `TrainedNetwork`: what each operator means to a spiking accelerator.

The graph is walked once in topological order. Every tensor is one of four things: weights, spikes of a layer, a
current that is being summed before a layer fires, or spike counts between QuantizeLinear and DequantizeLinear. Each
operator has one method that says what it makes of them, and refuses what the accelerator cannot do by naming the
node, the operator, the attribute, and the remedy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn import layout
from pynq_snn.errors import ModelError
from pynq_snn.metadata import Metadata
from pynq_snn.network import (
    INPUT,
    NO_POOLING,
    Branch,
    FloatArray,
    MaxPooling,
    Pooling,
    TrainedLayer,
    TrainedNetwork,
)
from pynq_snn.onnx_reader import Graph, Node, read_onnx

MAX_KERNEL = 7
MAX_CONV_STRIDE = 2
STEP_TOLERANCE = 1e-6  # relative difference below which two float32 scales are the same number

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Weights:
    """int8 constant on its way through DequantizeLinear; `scale` runs along `axis`."""

    values: npt.NDArray[np.int8]
    scale: FloatArray
    axis: int


@dataclass(frozen=True)
class Spikes:
    """Spikes of a source, [channels, height, width], perhaps averaged over a window, perhaps flattened."""

    source: int
    shape: Shape  # after pooling
    pooling: Pooling = NO_POOLING
    flat: bool = False


@dataclass(frozen=True)
class Current:
    """A sum of branches that no neuron has integrated yet."""

    name: str
    kind: str
    branches: tuple[Branch, ...]
    shape: Shape  # after pooling
    offset: FloatArray
    macs: int
    identity: int | None = None
    identity_scale: FloatArray = field(default_factory=lambda: np.zeros(0))
    clip_limit: float = math.inf  # of a float Clip before the quantiser
    max_pooling: MaxPooling | None = None  # found before the activation; commutes with it
    flat: bool = False


@dataclass(frozen=True)
class Counts:
    """Spike counts between QuantizeLinear and DequantizeLinear; `limit` is set by Clip."""

    current: Current
    step: float
    limit: int | None = None


@dataclass(frozen=True)
class Sizes:
    """Sizes of a tensor, on their way from Shape to Reshape; None stands for the batch."""

    values: tuple[int | None, ...]


Constant = npt.NDArray[Any]
Value = Weights | Spikes | Current | Counts | Sizes | Constant


def import_network(model: str | Path | Graph) -> TrainedNetwork:
    """Read a QCDQ ONNX file as a spiking network.

    Parameters
    ----------
    model : str, Path or Graph
        Path of an ONNX file, or a graph that was read from one.

    Raises
    ------
    ModelError
        The file is damaged or holds something that the accelerator cannot do; the message names node and remedy.
    """
    graph = model if isinstance(model, Graph) else read_onnx(model)
    return GraphWalk(graph).run()


class GraphWalk:
    """Walks a graph once; the walk over float networks (`pynq_snn.convert`) overrides what differs there."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.metadata = Metadata(graph, lambda: _levels(graph))
        self.values: dict[str, Value] = dict(graph.initializers)
        self.layers: list[TrainedLayer] = []
        self.handlers: dict[str, Callable[[Node], Value]] = {
            "Add": self._add,
            "AveragePool": self._average_pool,
            "BatchNormalization": self._batch_normalization,
            "Clip": self._clip,
            "Concat": self._concat,
            "Conv": self._conv,
            "DequantizeLinear": self._dequantize,
            "Dropout": self._pass_through,
            "Flatten": self._flatten,
            "Gather": self._gather,
            "Gemm": self._gemm,
            "GlobalAveragePool": self._global_average_pool,
            "Identity": self._pass_through,
            "MatMul": self._matmul,
            "MaxPool": self._max_pool,
            "QuantizeLinear": self._quantize,
            "ReduceMean": self._reduce_mean,
            "Relu": self._relu,
            "Reshape": self._reshape,
            "Shape": self._shape,
            "Unsqueeze": self._unsqueeze,
        }

    # --- the walk -----------------------------------------------------------------------------------------------------

    def run(self) -> TrainedNetwork:
        """Return the network that the graph describes."""
        graph = self.graph
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise self._graph_error(
                f"has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; a network needs one of each"
            )
        input_shape = self._input_shape()
        self.values[graph.inputs[0].name] = Spikes(INPUT, input_shape)
        for node in graph.nodes:
            self._visit(node)
        self._finish()
        data = self.metadata
        data.check_input(input_shape[0])
        return TrainedNetwork(
            name=data.name,
            path=graph.path,
            layers=data.with_potentials(self.layers),
            input_kind=data.input_kind,
            input_shape=input_shape,
            mean=data.mean,
            std=data.std,
            timesteps=data.timesteps,
            firing=data.firing,
            hard_reset=data.hard_reset,
            leak_shift=data.leak_shift,
            initial_potential=data.initial_potential,
            labels=self._labels(),
            fires=data.fires,
        )

    def _visit(self, node: Node) -> None:
        handler = self.handlers.get(node.operator)
        if handler is None or node.domain not in ("", "ai.onnx"):
            known = ", ".join(sorted(self.handlers))
            operator = f"{node.domain}.{node.operator}" if node.domain else node.operator
            raise self._node_error(node, f"operator {operator} is not supported; use {known}")
        if len(node.outputs) < 1 or any(name for name in node.outputs[1:]):
            raise self._node_error(node, f"has {len(node.outputs)} outputs; only the first output can be used")
        self.values[node.outputs[0]] = handler(node)

    def _finish(self) -> None:
        name = self.graph.outputs[0].name
        last = self.values.get(name)
        if not isinstance(last, Current):
            raise self._graph_error(
                f"output {name} is not a sum of weighted spikes; end the network with Gemm, MatMul or Conv, unquantised"
            )
        if last.shape[1:] != (1, 1):
            raise self._graph_error(
                f"output {name} still has {last.shape[1]}x{last.shape[2]} places; end with GlobalAveragePool or Flatten"
            )
        if last.max_pooling is not None:
            raise self._graph_error(f"output {name} comes from MaxPool without an activation; remove the MaxPool")
        self._append(last, step=None)
        used = {source for layer in self.layers for source in layer.sources}
        for index, layer in enumerate(self.layers[:-1]):
            if index not in used:
                raise self._graph_error(
                    f"layer {layer.name} leads nowhere: its spikes do not reach output {name}; remove it"
                )

    def _append(self, current: Current, step: float | None) -> int:
        """Add the layer that integrates `current`; return its index."""
        self.layers.append(
            TrainedLayer(
                name=current.name,
                branches=current.branches,
                identity=current.identity,
                identity_scale=current.identity_scale,
                offset=current.offset,
                step=step,
                output_shape=current.shape,
                macs=current.macs,
                kind="readout" if step is None else current.kind,
            )
        )
        return len(self.layers) - 1

    def _append_max_pool(self, node: Node, source: int, shape: Shape, pooling: MaxPooling) -> Spikes:
        size = [(side + 2 * pooling.padding - pooling.window) // pooling.stride + 1 for side in (shape[1], shape[2])]
        if min(size) < 1:
            raise self._node_error(node, f"window {pooling.window} is larger than the map of {shape[1]}x{shape[2]}")
        output_shape = (shape[0], size[0], size[1])
        nothing = np.zeros(shape[0])
        self.layers.append(
            TrainedLayer(node.label, (), None, nothing, nothing, 0.0, output_shape, 0, "max_pool", pooling, source)
        )
        return Spikes(len(self.layers) - 1, output_shape)

    # --- errors and look-ups ------------------------------------------------------------------------------------------

    def _graph_error(self, text: str) -> ModelError:
        return ModelError(f"{self.graph.path}: the graph {text}")

    def _node_error(self, node: Node, text: str) -> ModelError:
        return ModelError(f"{self.graph.path}: {node.operator} {node.label}: {text}")

    def _input(self, node: Node, index: int) -> Value:
        if index >= len(node.inputs) or not node.inputs[index]:
            raise self._node_error(node, f"input {index} is missing")
        return self.values[node.inputs[index]]

    def _has_input(self, node: Node, index: int) -> bool:
        return index < len(node.inputs) and bool(node.inputs[index])

    def _spikes(self, node: Node, index: int = 0) -> Spikes:
        value = self._input(node, index)
        if isinstance(value, Spikes):
            return value
        if isinstance(value, Current):
            raise self._node_error(
                node,
                f"reads the unquantised output of {value.name}; put QuantizeLinear, Clip, DequantizeLinear between",
            )
        if isinstance(value, Counts):
            raise self._node_error(node, "reads spike counts before DequantizeLinear; move it behind DequantizeLinear")
        if isinstance(value, Sizes):
            raise self._node_error(node, "computes with the sizes of a tensor; only Reshape may use them")
        raise self._node_error(node, f"input {index} is a constant; expected spikes")

    def _constant(self, node: Node, index: int, what: str) -> FloatArray:
        """Return a constant input as float64; NaN and infinity are refused."""
        value = self._input(node, index)
        if isinstance(value, Weights):
            shape = [1] * value.values.ndim
            if value.scale.size > 1:
                shape[value.axis] = value.scale.size
            value = value.values * value.scale.reshape(shape)
        if not isinstance(value, np.ndarray):
            raise self._node_error(node, f"{what} is computed at run time; it must be a constant")
        if value.dtype.kind not in "fiub":
            raise self._node_error(node, f"{what} is of type {value.dtype}; expected numbers")
        values = value.astype(np.float64)
        if not np.isfinite(values).all():
            raise self._node_error(node, f"{what} holds NaN or infinity; retrain or export the model again")
        return values

    def _weights(self, node: Node, index: int) -> Weights:
        value = self._input(node, index)
        if isinstance(value, Weights):
            return value
        if isinstance(value, np.ndarray):
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise self._node_error(node, "its weights hold NaN or infinity; retrain or export the model again")
            raise self._node_error(
                node,
                f"its weights are {value.dtype}, not int8 through DequantizeLinear; quantise the network (QCDQ) first",
            )
        raise self._node_error(node, "its weights are computed at run time; they must be constants")

    # --- quantisers ---------------------------------------------------------------------------------------------------

    def _scale_and_zero_point(self, node: Node) -> FloatArray:
        """Return the scale, float64 [1] or [channels]; refuse zero points other than 0."""
        scale = self._constant(node, 1, "its scale").reshape(-1)
        if scale.size == 0 or (scale <= 0).any():
            worst = float(scale.min()) if scale.size else 0.0
            raise self._node_error(node, f"scale {worst:g} is not positive; export the model again")
        if self._has_input(node, 2) and self._constant(node, 2, "its zero point").any():
            raise self._node_error(node, "its zero point is not 0; quantise symmetrically (spike counts start at 0)")
        return scale

    def _axis(self, node: Node, rank: int, default: int = 1) -> int:
        axis = self._integer(node, "axis", default)
        if not -rank <= axis < rank:
            raise self._node_error(node, f"axis={axis} is out of range for {rank} dimensions")
        return axis % rank

    def _dequantize(self, node: Node) -> Value:
        value = self._input(node, 0)
        scale = self._scale_and_zero_point(node)
        if isinstance(value, Counts):
            return self._fire(node, value, scale)
        if isinstance(value, np.ndarray):
            return self._dequantize_constant(node, value, scale)
        raise self._node_error(node, "reads something that QuantizeLinear did not make")

    def _dequantize_constant(self, node: Node, value: Constant, scale: FloatArray) -> Value:
        axis = self._axis(node, value.ndim) if value.ndim and scale.size > 1 else 0
        if scale.size > 1 and scale.size != value.shape[axis]:
            raise self._node_error(node, f"{scale.size} scales do not match axis {axis} of weights {list(value.shape)}")
        if value.dtype == np.int8:
            return Weights(value, scale, axis)
        if value.dtype == np.int32:
            shape = [1] * value.ndim
            if scale.size > 1:
                shape[axis] = scale.size
            return value * (scale.reshape(shape) if value.ndim else scale[0])
        raise self._node_error(node, f"its constant is {value.dtype}; weights must be int8 and biases int32")

    def _fire(self, node: Node, counts: Counts, scale: FloatArray) -> Spikes:
        trained = self.metadata.timesteps
        if scale.size != 1 or not math.isclose(scale[0], counts.step, rel_tol=STEP_TOLERANCE):
            raise self._node_error(
                node,
                f"scale {scale[0]:g} differs from its QuantizeLinear's {counts.step:g}; both must be the threshold / T",
            )
        if counts.limit != trained:
            found = "no Clip" if counts.limit is None else f"Clip to {counts.limit}"
            raise self._node_error(
                node,
                f"{found} between QuantizeLinear and DequantizeLinear; expected Clip(0, {trained}), the timesteps T",
            )
        source = self._append(counts.current, counts.step)
        spikes = Spikes(source, counts.current.shape, flat=counts.current.flat)
        if counts.current.max_pooling is None:
            return spikes
        return self._append_max_pool(node, source, spikes.shape, counts.current.max_pooling)

    def _quantize(self, node: Node) -> Value:
        value = self._input(node, 0)
        scale = self._scale_and_zero_point(node)
        if isinstance(value, np.ndarray):
            return self._quantize_constant(node, value, scale)
        if isinstance(value, Spikes):
            what = "the network's input" if value.source == INPUT else "spikes that are quantised already"
            raise self._node_error(
                node, f"quantises {what}; remove it (the core takes 8-bit pixels and spikes as they are)"
            )
        if not isinstance(value, Current):
            raise self._node_error(node, "quantises spike counts again; remove it")
        if scale.size != 1:
            raise self._node_error(
                node, f"has {scale.size} scales; a layer has one threshold, so use one scale for all channels"
            )
        if self._has_input(node, 2):
            zero_point = self._input(node, 2)
            if isinstance(zero_point, np.ndarray) and zero_point.dtype != np.uint8:
                raise self._node_error(node, f"quantises activations to {zero_point.dtype}; use uint8 (spike counts)")
        largest = value.clip_limit / scale[0]
        if largest < self.metadata.timesteps * (1 - STEP_TOLERANCE):
            raise self._node_error(
                node,
                f"a Clip before it stops at {largest:.3g} steps; it must let all {self.metadata.timesteps} levels pass",
            )
        return Counts(value, float(scale[0]))

    def _quantize_constant(self, node: Node, value: Constant, scale: FloatArray) -> Constant:
        """Weights that a file still quantises at run time (Brevitas writes these) become int8 here."""
        real = self._constant(node, 0, "its input")
        axis = self._axis(node, real.ndim) if real.ndim else 0
        shape = [1] * real.ndim
        if scale.size > 1:
            if scale.size != real.shape[axis]:
                raise self._node_error(node, f"{scale.size} scales do not match axis {axis} of {list(real.shape)}")
            shape[axis] = scale.size
        zero_point = self._input(node, 2) if self._has_input(node, 2) else np.zeros(1, np.uint8)
        if not isinstance(zero_point, np.ndarray) or zero_point.dtype != np.int8:
            raise self._node_error(node, "quantises weights to another type than int8; use an int8 zero point")
        # Division in float32 and rounding half to even are what onnxruntime does
        quotient = real.astype(np.float32) / scale.reshape(shape).astype(np.float32)
        return np.clip(np.rint(quotient), -128, 127).astype(np.int8)

    def _clip(self, node: Node) -> Value:
        value = self._input(node, 0)
        low = self._bound(node, 1, "min", -math.inf)
        high = self._bound(node, 2, "max", math.inf)
        if isinstance(value, np.ndarray):
            limits = np.iinfo(value.dtype) if value.dtype.kind in "iu" else np.finfo(value.dtype)
            return np.clip(value, max(low, float(limits.min)), min(high, float(limits.max))).astype(value.dtype)
        if isinstance(value, Counts):
            if low > 0:
                raise self._node_error(node, f"min={low:g} cuts off low spike counts; use 0")
            if not 1 <= high <= 255 or high != int(high):
                raise self._node_error(node, f"max={high:g} is not a number of timesteps; use T")
            limit = int(high) if value.limit is None else min(value.limit, int(high))
            return replace(value, limit=limit)
        if isinstance(value, Current):
            if low > 0:
                raise self._node_error(node, f"min={low:g} is above 0; activations of spiking neurons start at 0")
            return replace(value, clip_limit=min(value.clip_limit, high))
        raise self._node_error(node, "clips spikes or weights that are quantised already; remove it")

    def _bound(self, node: Node, index: int, name: str, default: float) -> float:
        if not self._has_input(node, index):
            attribute = node.attributes.get(name, default)
            return float(attribute) if isinstance(attribute, (int, float)) else default
        bound = self._constant(node, index, name)
        if bound.size != 1:
            raise self._node_error(node, f"{name} has {bound.size} values; expected one")
        return float(bound.reshape(-1)[0])

    # --- weighted operators -------------------------------------------------------------------------------------------

    def _conv(self, node: Node) -> Current:
        spikes, weights = self._spikes(node), self._weights(node, 1)
        values = weights.values
        if values.ndim != 4:
            raise self._node_error(
                node, f"weights {list(values.shape)} are not two-dimensional kernels [out, in, k, k]"
            )
        self._check_conv(node, values.shape)
        if spikes.flat:
            raise self._node_error(node, "reads a flattened map; convolutions come before Flatten")
        stride, padding = self._integers(node, "strides", [1, 1])[0], self._padding(node)
        channels, height, width = spikes.shape
        if values.shape[1] != channels:
            raise self._node_error(node, f"expects {values.shape[1]} input channels but gets {channels}")
        kernel = values.shape[2]
        size = [(side + 2 * padding - kernel) // stride + 1 for side in (height, width)]
        if min(size) < 1:
            raise self._node_error(node, f"kernel {kernel} is larger than its map of {height}x{width}")
        if spikes.pooling.height > spikes.pooling.stride_y and padding:
            raise self._node_error(
                node, "padding behind an overlapping AveragePool is not supported; use stride = window"
            )
        scale = self._channel_scale(node, weights, 0, values.shape[0])
        branch = Branch(spikes.source, values, scale, stride, padding, spikes.pooling)
        shape = (values.shape[0], size[0], size[1])
        macs = values.size * size[0] * size[1]
        return Current(node.label, "convolution", (branch,), shape, self._bias(node, 2, values.shape[0]), macs)

    def _check_conv(self, node: Node, shape: tuple[int, ...]) -> None:
        group = self._integer(node, "group", 1)
        if group != 1:
            raise self._node_error(node, f"group={group} is not supported; use a convolution without groups")
        if any(value != 1 for value in self._integers(node, "dilations", [1, 1])):
            raise self._node_error(node, f"dilations={node.attributes['dilations']!r} are not supported; use 1")
        if shape[2] != shape[3] or not 1 <= shape[2] <= MAX_KERNEL:
            raise self._node_error(
                node, f"kernel {shape[2]}x{shape[3]} is not supported; use a square one up to {MAX_KERNEL}"
            )
        if list(self._integers(node, "kernel_shape", list(shape[2:]))) != list(shape[2:]):
            raise self._node_error(
                node, f"kernel_shape={node.attributes['kernel_shape']!r} differs from weights {list(shape)}"
            )
        strides = self._integers(node, "strides", [1, 1])
        if len(strides) != 2 or strides[0] != strides[1] or not 1 <= strides[0] <= MAX_CONV_STRIDE:
            raise self._node_error(
                node, f"strides={list(strides)} are not supported; use 1 or 2, equal in both directions"
            )

    def _gemm(self, node: Node) -> Current:
        for name, expected in (("alpha", 1.0), ("beta", 1.0), ("transA", 0)):
            value = node.attributes.get(name, expected)
            if value != expected:
                raise self._node_error(node, f"{name}={value!r} is not supported; use {expected}")
        return self._linear(node, transposed=bool(self._integer(node, "transB", 0)), bias_index=2)

    def _matmul(self, node: Node) -> Current:
        return self._linear(node, transposed=False, bias_index=None)

    def _linear(self, node: Node, transposed: bool, bias_index: int | None) -> Current:
        spikes, weights = self._spikes(node), self._weights(node, 1)
        if weights.values.ndim != 2:
            raise self._node_error(node, f"weights {list(weights.values.shape)} are not a matrix")
        values = weights.values if transposed else weights.values.T
        channels, height, width = spikes.shape
        if not spikes.flat and (height, width) != (1, 1):
            raise self._node_error(node, f"reads a map of {height}x{width} places; put Flatten before it")
        if values.shape[1] != channels * height * width:
            raise self._node_error(
                node,
                f"expects {values.shape[1]} inputs but gets {channels}x{height}x{width} = {channels * height * width}",
            )
        outputs = values.shape[0]
        kernels = np.ascontiguousarray(values.reshape(outputs, channels, height, width))
        scale = self._channel_scale(node, weights, 0 if transposed else 1, outputs)
        branch = Branch(spikes.source, kernels, scale, 1, 0, spikes.pooling)
        bias = np.zeros(outputs) if bias_index is None else self._bias(node, bias_index, outputs)
        return Current(node.label, "linear", (branch,), (outputs, 1, 1), bias, values.size, flat=True)

    def _channel_scale(self, node: Node, weights: Weights, axis: int, channels: int) -> FloatArray:
        """Return one scale per output channel, float64 [channels]."""
        if weights.scale.size == 1:
            return np.full(channels, weights.scale[0])
        if weights.axis != axis:
            raise self._node_error(
                node,
                f"its weights are scaled along axis {weights.axis}; use one scale per output channel (axis {axis})",
            )
        return weights.scale

    def _bias(self, node: Node, index: int, channels: int) -> FloatArray:
        if not self._has_input(node, index):
            return np.zeros(channels)
        bias = self._constant(node, index, "its bias")
        if bias.size not in (1, channels):
            raise self._node_error(node, f"bias of {bias.size} values does not match {channels} output channels")
        return np.broadcast_to(bias.reshape(-1), (channels,)).copy()

    def _batch_normalization(self, node: Node) -> Current:
        current = self._input(node, 0)
        if not isinstance(current, Current):
            raise self._node_error(
                node, "does not follow a Conv, Gemm or MatMul; only there can it be folded into weights"
            )
        if self._integer(node, "training_mode", 0):
            raise self._node_error(node, "training_mode=1; export the network in evaluation mode")
        self._check_before_activation(node, current)
        names = ("its scale", "its bias", "its mean", "its variance")
        gamma, beta, mean, variance = (self._constant(node, i + 1, name).reshape(-1) for i, name in enumerate(names))
        channels = current.shape[0]
        if {gamma.size, beta.size, mean.size, variance.size} != {channels}:
            raise self._node_error(node, f"its parameters do not have {channels} channels")
        epsilon = node.attributes.get("epsilon", 1e-5)
        spread = variance + float(epsilon if isinstance(epsilon, (int, float)) else 1e-5)
        if (spread <= 0).any():
            raise self._node_error(node, f"variance {float(variance.min()):g} is negative; export the model again")
        gain = gamma / np.sqrt(spread)
        return replace(
            current,
            branches=tuple(replace(branch, scale=branch.scale * gain) for branch in current.branches),
            identity_scale=current.identity_scale * gain if current.identity is not None else current.identity_scale,
            offset=(current.offset - mean) * gain + beta,
        )

    def _add(self, node: Node) -> Current:
        first, second = self._input(node, 0), self._input(node, 1)
        if isinstance(first, (np.ndarray, Weights)):
            first, second = second, first
        if isinstance(first, Current) and isinstance(second, (np.ndarray, Weights)):
            index = 1 if isinstance(self._input(node, 1), (np.ndarray, Weights)) else 0
            return self._add_constant(node, first, index)
        if isinstance(first, Spikes) and isinstance(second, Current):
            first, second = second, first
        if not isinstance(first, Current) or not isinstance(second, (Current, Spikes)):
            raise self._node_error(node, "adds spikes to spikes; one side must be a Conv, Gemm or MatMul")
        if first.shape != second.shape:
            raise self._node_error(node, f"adds shapes {list(first.shape)} and {list(second.shape)}; they must agree")
        if isinstance(second, Current):
            return self._add_currents(node, first, second)
        return self._add_identity(node, first, second)

    def _add_constant(self, node: Node, current: Current, index: int) -> Current:
        constant = self._constant(node, index, "the constant it adds")
        channels = current.shape[0]
        # [C], [C, 1, 1] and [1, C, 1, 1] are biases of a map; [C] and [1, C] of a flat vector
        squeezed = constant.reshape(-1)
        trailing = constant.shape[-1:] == (channels,) and not current.flat and current.shape[1:] != (1, 1)
        if squeezed.size not in (1, channels) or (trailing and channels > 1):
            raise self._node_error(node, f"adds a constant of shape {list(constant.shape)}; expected one per channel")
        self._check_before_activation(node, current)
        return replace(current, offset=current.offset + squeezed)

    def _add_currents(self, node: Node, first: Current, second: Current) -> Current:
        for side in (first, second):
            self._check_before_activation(node, side)
            if side.identity is not None or len(side.branches) != 1:
                raise self._node_error(
                    node, "adds more than two branches; the accelerator sums two, or one and a shortcut"
                )
        return replace(
            first,
            branches=first.branches + second.branches,
            offset=first.offset + second.offset,
            macs=first.macs + second.macs,
        )

    def _add_identity(self, node: Node, current: Current, spikes: Spikes) -> Current:
        self._check_before_activation(node, current)
        if current.identity is not None or len(current.branches) != 1:
            raise self._node_error(node, "adds more than two branches; the accelerator sums two, or one and a shortcut")
        if spikes.pooling != NO_POOLING:
            raise self._node_error(node, "adds a shortcut through AveragePool; use a strided 1x1 convolution instead")
        if spikes.flat != current.flat and spikes.shape[1:] != (1, 1):
            raise self._node_error(node, "adds a flattened map to one that is not")
        return replace(current, identity=spikes.source, identity_scale=np.ones(current.shape[0]))

    def _check_before_activation(self, node: Node, current: Current) -> None:
        """Refuse to sum or average what a Relu, Clip or MaxPool has already bent."""
        if current.max_pooling is not None or current.clip_limit != math.inf:
            raise self._node_error(
                node,
                f"comes after a MaxPool, Relu or Clip of {current.name} without a quantiser between; put it first",
            )

    # --- shape and pooling --------------------------------------------------------------------------------------------

    def _average_pool(self, node: Node) -> Value:
        window = self._window(node)
        if self._padding(node):
            raise self._node_error(node, f"pads={node.attributes['pads']!r} are not supported; pool without padding")
        return self._averaged(node, self._input(node, 0), Pooling(window[0], window[1], window[2], window[3]))

    def _global_average_pool(self, node: Node) -> Value:
        value = self._input(node, 0)
        if not isinstance(value, (Spikes, Current)):
            raise self._node_error(node, "pools a constant or spike counts; put it behind DequantizeLinear")
        _, height, width = value.shape
        return self._averaged(node, value, Pooling(height, width, height, width))

    def _reduce_mean(self, node: Node) -> Value:
        axes = node.attributes.get("axes")
        if self._has_input(node, 1):
            axes = [int(axis) for axis in self._constant(node, 1, "its axes").reshape(-1)]
        found = sorted(int(axis) % 4 for axis in axes) if isinstance(axes, (list, tuple)) else axes
        if found != [2, 3]:
            raise self._node_error(node, f"axes={axes!r} are not supported; average over height and width, [2, 3]")
        value = self._global_average_pool(node)
        flat = not self._integer(node, "keepdims", 1)
        return replace(value, flat=flat) if isinstance(value, (Spikes, Current)) else value

    def _averaged(self, node: Node, value: Value, pooling: Pooling) -> Value:
        if not isinstance(value, (Spikes, Current)):
            raise self._node_error(node, "pools a constant or spike counts; put it behind DequantizeLinear")
        channels, height, width = value.shape
        if pooling.height > height or pooling.width > width:
            raise self._node_error(node, f"window {pooling.height}x{pooling.width} exceeds its map of {height}x{width}")
        if value.flat:
            raise self._node_error(node, "pools a flattened map; put it before Flatten")
        shape = (
            channels,
            (height - pooling.height) // pooling.stride_y + 1,
            (width - pooling.width) // pooling.stride_x + 1,
        )
        if isinstance(value, Spikes):
            if value.pooling != NO_POOLING:
                raise self._node_error(node, "follows another AveragePool; use one with the combined window")
            if value.source == INPUT and self.metadata.input_kind == "pixels":
                raise self._node_error(node, "averages pixels; scale the pictures down before the network instead")
            return replace(value, shape=shape, pooling=pooling)
        if value.identity is not None or any(b.pool_after != NO_POOLING for b in value.branches):
            raise self._node_error(node, "averages a sum with a shortcut or an average; put it before Add")
        self._check_before_activation(node, value)
        branches = tuple(replace(branch, pool_after=pooling) for branch in value.branches)
        return replace(value, shape=shape, branches=branches)

    def _max_pool(self, node: Node) -> Value:
        height, width, stride_y, stride_x = self._window(node)
        if height != width or stride_y != stride_x:
            raise self._node_error(node, f"window {height}x{width} is not supported; use a square window and stride")
        pooling = MaxPooling(height, stride_y, self._padding(node))
        value = self._input(node, 0)
        if isinstance(value, Spikes):
            if value.pooling != NO_POOLING or value.flat or value.source == INPUT:
                raise self._node_error(
                    node, "pools something else than the spikes of a layer; put it behind an activation"
                )
            return self._append_max_pool(node, value.source, value.shape, pooling)
        if isinstance(value, Current):
            if value.max_pooling is not None or value.flat:
                raise self._node_error(node, "follows another MaxPool without an activation between; use one of them")
            return replace(value, max_pooling=pooling)  # the activation is monotonic, so it may come first
        raise self._node_error(node, "pools spike counts; put it behind DequantizeLinear")

    def _window(self, node: Node) -> tuple[int, int, int, int]:
        """Return window and stride, (height, width, rows, columns)."""
        window = self._integers(node, "kernel_shape", [])
        strides = self._integers(node, "strides", [1, 1])
        if len(window) != 2 or len(strides) != 2 or min(*window, *strides) < 1:
            raise self._node_error(
                node, f"kernel_shape={list(window)}, strides={list(strides)}: expected two of each, above 0"
            )
        if self._integer(node, "ceil_mode", 0):
            raise self._node_error(node, "ceil_mode=1 is not supported; use floor")
        if any(value != 1 for value in self._integers(node, "dilations", [1, 1])):
            raise self._node_error(node, "dilations are not supported; use 1")
        return window[0], window[1], strides[0], strides[1]

    def _flatten(self, node: Node) -> Value:
        axis = self._integer(node, "axis", 1)
        if axis not in (1, -3):
            raise self._node_error(node, f"axis={axis} is not supported; use 1")
        return self._flattened(node)

    def _reshape(self, node: Node) -> Value:
        sizes = self._input(node, 1)
        if isinstance(sizes, Sizes):
            target = [-2 if side is None else side for side in sizes.values]  # -2: the batch, and so none that is given
        else:
            target = [int(side) for side in self._constant(node, 1, "its shape").reshape(-1)]
        value = self._input(node, 0)
        if not isinstance(value, (Spikes, Current)):
            raise self._node_error(node, "reshapes weights or spike counts; export constants in their final shape")
        size = math.prod(value.shape)
        if len(target) != 2 or target[1] not in (-1, size) or (target[1] == -1 and target[0] == -1):
            raise self._node_error(node, f"shape {target} is not supported; only flattening to [N, {size}] is")
        return self._flattened(node)

    # Exporters of ``x.view(x.size(0), -1)`` compute the shape with these four
    def _shape(self, node: Node) -> Value:
        value = self._input(node, 0)
        if not isinstance(value, (Spikes, Current)) or node.attributes.keys() & {"start", "end"}:
            raise self._node_error(node, "is supported for whole shapes of maps only; export with fixed shapes")
        return Sizes((None, math.prod(value.shape)) if value.flat else (None, *value.shape))

    def _gather(self, node: Node) -> Value:
        sizes = self._input(node, 0)
        indices = self._constant(node, 1, "its index")
        if not isinstance(sizes, Sizes) or indices.size != 1 or self._integer(node, "axis", 0) != 0:
            raise self._node_error(node, "is supported for one size of a Shape only; remove it")
        index = int(indices.reshape(-1)[0])
        if not -len(sizes.values) <= index < len(sizes.values):
            raise self._node_error(node, f"index {index} is out of range for {len(sizes.values)} dimensions")
        return Sizes((sizes.values[index],))

    def _unsqueeze(self, node: Node) -> Value:
        sizes = self._input(node, 0)
        if not isinstance(sizes, Sizes) or len(sizes.values) != 1:
            raise self._node_error(node, "is supported for one size of a Shape only; remove it")
        return sizes

    def _concat(self, node: Node) -> Value:
        joined: list[int | None] = []
        for index in range(len(node.inputs)):
            value = self._input(node, index)
            if isinstance(value, Sizes):
                joined += value.values
            elif isinstance(value, np.ndarray) and value.dtype.kind == "i":
                joined += [int(side) for side in value.reshape(-1)]
            else:
                raise self._node_error(node, "is supported for sizes only; a layer cannot read two maps side by side")
        return Sizes(tuple(joined))

    def _flattened(self, node: Node) -> Value:
        value = self._input(node, 0)
        if isinstance(value, Spikes):
            return replace(value, flat=True)
        if isinstance(value, Current) and (value.shape[1:] == (1, 1) and value.max_pooling is None):
            return replace(value, flat=True)
        raise self._node_error(node, "flattens a map before its activation; put Flatten behind DequantizeLinear")

    def _relu(self, node: Node) -> Value:
        value = self._input(node, 0)
        if isinstance(value, Current):
            return replace(value, clip_limit=min(value.clip_limit, 1e300))  # marks it; spike counts start at 0 anyway
        if isinstance(value, Spikes) and value.source != INPUT:
            return value
        raise self._node_error(node, "does not follow a Conv, Gemm, MatMul or Add")

    def _pass_through(self, node: Node) -> Value:
        return self._input(node, 0)

    # --- attributes ---------------------------------------------------------------------------------------------------

    def _integer(self, node: Node, name: str, default: int) -> int:
        value = node.attributes.get(name, default)
        if not isinstance(value, int):
            raise self._node_error(node, f"{name}={value!r} is not an integer")
        return value

    def _integers(self, node: Node, name: str, default: list[int]) -> list[int]:
        value = node.attributes.get(name, default)
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, int) for item in value):
            raise self._node_error(node, f"{name}={value!r} is not a list of integers")
        return [int(item) for item in value]

    def _padding(self, node: Node) -> int:
        automatic = node.attributes.get("auto_pad", "NOTSET")
        automatic = automatic.decode() if isinstance(automatic, bytes) else automatic
        if automatic not in ("NOTSET", "VALID", ""):
            raise self._node_error(node, f"auto_pad={automatic} is not supported; write the pads out")
        pads = self._integers(node, "pads", [0, 0, 0, 0])
        if len(pads) != 4 or len(set(pads)) != 1 or pads[0] < 0:
            raise self._node_error(node, f"pads={pads} are not supported; use the same padding on all sides")
        if pads[0] > MAX_KERNEL:
            raise self._node_error(node, f"pads={pads} exceed the largest kernel, {MAX_KERNEL}")
        return pads[0]

    # --- input and labels ---------------------------------------------------------------------------------------------

    def _input_shape(self) -> Shape:
        info = self.graph.inputs[0]
        shape = tuple(info.shape or ())
        size = self.metadata.input_size
        if len(shape) != 4:
            raise self._graph_error(f"input {info.name} has shape {list(shape)}; expected [N, channels, height, width]")
        sides = list(shape[1:])
        if size is not None:
            sides[1:] = [
                given if isinstance(side, int) and side > 0 else given
                for side, given in zip(sides[1:], size, strict=True)
            ]
            declared = shape[2:]
            if any(
                isinstance(side, int) and side > 0 and side != given for side, given in zip(declared, size, strict=True)
            ):
                raise self._graph_error(
                    f"input {info.name} is {list(declared)} but metadata input_size is {list(size)}"
                )
        if not all(isinstance(side, int) and side > 0 for side in sides):
            raise self._graph_error(
                f"input {info.name} has shape {list(shape)}; fix channels, height and width, or set metadata input_size"
            )
        channels, height, width = (int(side) for side in sides)  # type: ignore[arg-type]
        if channels > layout.MAX_CHANNELS or max(height, width) > layout.MAX_SIDE:
            raise self._graph_error(
                f"input {info.name} is {channels}x{height}x{width}; the accelerator takes up to "
                f"{layout.MAX_CHANNELS} channels and {layout.MAX_SIDE}x{layout.MAX_SIDE}"
            )
        return channels, height, width

    def _labels(self) -> tuple[str, ...]:
        classes = self.layers[-1].output_shape[0]
        labels = self.metadata.labels
        if not labels:
            return tuple(str(index) for index in range(classes))
        if len(labels) != classes:
            raise self._graph_error(f"has {classes} outputs but metadata labels names {len(labels)}")
        return labels


def _levels(graph: Graph) -> int | None:
    """Return T of a file that does not say it: the largest count that its Clips let pass; None where it has neither.

    Files of Brevitas have a Clip behind each QuantizeLinear, those of onnxruntime have none and use all of 8 bits.
    """
    readers = {name: node for node in graph.nodes for name in node.inputs[:1]}
    constants = {*graph.initializers, *(info.name for info in graph.inputs)}  # those of the input are refused later
    first: tuple[Node, int] | None = None
    for node in graph.nodes:
        if node.operator != "QuantizeLinear" or node.inputs[0] in constants:
            continue
        clip = readers.get(node.outputs[0])
        bound = graph.initializers.get(clip.inputs[2]) if clip is not None and len(clip.inputs) > 2 else None
        where = f"{graph.path}: QuantizeLinear {node.label}:"
        if clip is None or clip.operator != "Clip" or bound is None or bound.size != 1:
            raise ModelError(
                f"{where} keeps 256 levels, which do not map onto 1 to {layout.MAX_TIMESTEPS} spikes; quantise to "
                "5 bits or fewer with a Clip behind it, or give pynq-snn convert the float network"
            )
        levels = int(bound.reshape(-1)[0])
        if not 1 <= levels <= layout.MAX_TIMESTEPS:
            raise ModelError(
                f"{where} keeps {levels} levels, which do not map onto 1 to {layout.MAX_TIMESTEPS} spikes; "
                "quantise to 5 bits or fewer, or give pynq-snn convert the float network"
            )
        if first is not None and levels != first[1]:
            raise ModelError(
                f"{where} has {levels} levels but {first[0].label} has {first[1]}; all layers share one T, so use "
                "the same bit width for all activations"
            )
        first = first or (node, levels)
    return first[1] if first is not None else None
