"""Which constants of a quantised graph hold which channels, so that a map's channels can change places.

The rows of the weights that make a map, with their scales, biases and batch normalisation, and the columns of the
weights that read it, belong together. So do the channels of maps that are added, pooled, or share a constant: they are
one group, with one order. Channels of the input and the classes of the output are what they are and stay in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pynq_snn.convert.channel_order import Order
from pynq_snn.convert.rewriting import read_potentials, write_potentials
from pynq_snn.errors import ModelError
from pynq_snn.importer import Counts, Current, GraphWalk, Spikes, Weights
from pynq_snn.network import INPUT, TrainedNetwork
from pynq_snn.onnx_reader import Array, Graph, Node

if TYPE_CHECKING:
    import onnx

_KEEP_CHANNELS = (
    "AveragePool", "Clip", "DequantizeLinear", "Dropout", "Flatten", "GlobalAveragePool", "Identity", "MaxPool",
    "QuantizeLinear", "ReduceMean", "Relu", "Reshape",
)  # fmt: skip
_KEEP_CONSTANTS = ("Clip", "DequantizeLinear", "Dropout", "Identity", "QuantizeLinear")


class ChannelTies:
    """Groups of channels of a quantised graph that can only change places together.

    Parameters
    ----------
    graph : Graph

    Attributes
    ----------
    network : TrainedNetwork
        What the graph holds.

    Raises
    ------
    ModelError
        The graph cannot be imported, or has an operator between whose effect on channels is not known.
    """

    def __init__(self, graph: Graph) -> None:
        walk = GraphWalk(graph)
        self.network: TrainedNetwork = walk.run()
        self._graph, self._values = graph, walk.values
        self._makers = {name: node for node in graph.nodes for name in node.outputs}
        self._sizes: list[int] = []  # channels of each group
        self._parents: list[int] = []  # of each group, the one that it was tied to, or itself
        self._fixed: set[int] = set()
        self._maps: dict[str, int] = {graph.inputs[0].name: self._new(self.network.input_shape[0])}
        self._axes: dict[str, dict[int, int]] = {}  # of each constant, the group along an axis
        for node in graph.nodes:
            if isinstance(self._values[node.outputs[0]], (Current, Counts, Spikes)):
                self._maps[node.outputs[0]] = self._visit(node)
        self._fixed |= {self._maps[graph.inputs[0].name], self._maps[graph.outputs[0].name]}

    # --- what is known afterwards -------------------------------------------------------------------------------------

    def free_groups(self) -> dict[int, list[int]]:
        """Return the groups whose channels may change places, and the layers whose maps they are and that are read."""
        fixed = {self._root(group) for group in self._fixed}
        groups: dict[int, set[int]] = {}
        for name, group in self._maps.items():
            value = self._values[name]
            if isinstance(value, Spikes) and value.source != INPUT and self._root(group) not in fixed:
                groups.setdefault(self._root(group), set()).add(value.source)
        return {group: sorted(layers) for group, layers in sorted(groups.items())}

    def reorder(self, model: onnx.ModelProto, orders: Mapping[int, Order]) -> None:
        """Write a model's constants and initial potentials in another order; everything else stays as it is.

        Parameters
        ----------
        model : ModelProto
            The one whose graph this is; it is changed.
        orders : mapping of int to int64 [channels]
            By group, the channel that comes to each position.

        Raises
        ------
        ModelError
            A constant is kept in a form that cannot be written back.
        """
        from onnx import numpy_helper

        self._reorder_potentials(model, orders)
        tensors = _tensors(model)
        for name, axes in self._axes.items():
            moved = {axis: orders[self._root(group)] for axis, group in axes.items() if self._root(group) in orders}
            if not moved:
                continue
            if name not in tensors:
                raise ModelError(
                    f"{self._graph.path}: constant {name} is a list in an attribute, whose order cannot be changed; "
                    "save it as an initializer"
                )
            values = numpy_helper.to_array(tensors[name])
            for axis, order in moved.items():
                places = values.shape[axis] // len(order)  # of a flattened map, side by side for each channel
                positions = order[:, None] * places + np.arange(places)
                values = np.take(values, positions.reshape(-1), axis)
            doc_string = tensors[name].doc_string
            tensors[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensors[name].name))
            if doc_string:
                tensors[name].doc_string = doc_string

    def _reorder_potentials(self, model: onnx.ModelProto, orders: Mapping[int, Order]) -> None:
        potentials = read_potentials(model)
        if not potentials:
            return
        order_of = {layer: orders[group] for group, layers in self.free_groups().items() for layer in layers}
        for index, layer in enumerate(self.network.layers):
            if layer.max_pooling is not None and index in order_of:
                order_of.setdefault(layer.max_pooling_source, order_of[index])
        firing = [index for index, layer in enumerate(self.network.layers) if layer.has_neurons]
        for values, index in zip(potentials, firing, strict=True):
            if index in order_of:
                values[:] = [values[channel] for channel in order_of[index]]
        write_potentials(model, potentials)

    # --- groups -------------------------------------------------------------------------------------------------------

    def _new(self, channels: int) -> int:
        self._sizes.append(channels)
        self._parents.append(len(self._parents))
        return len(self._parents) - 1

    def _root(self, group: int) -> int:
        while self._parents[group] != group:
            group = self._parents[group]
        return group

    def _tie(self, first: int, second: int) -> None:
        """Let two groups have one order; none at all where their channels stand for different numbers of places."""
        if self._sizes[first] != self._sizes[second]:
            self._fixed |= {first, second}
            return
        roots = sorted((self._root(first), self._root(second)))
        self._parents[roots[1]] = roots[0]

    # --- nodes --------------------------------------------------------------------------------------------------------

    def _error(self, node: Node, text: str) -> ModelError:
        return ModelError(f"{self._graph.path}: {node.operator} {node.label}: {text}")

    def _visit(self, node: Node) -> int:
        """Return the group of what a node computes from maps."""
        if node.operator in _KEEP_CHANNELS:
            return self._maps[node.inputs[0]]
        if node.operator == "Conv":
            return self._weighted(node, into=0, out_of=1)
        if node.operator in ("Gemm", "MatMul"):
            into = 0 if node.attributes.get("transB", 0) else 1
            return self._weighted(node, into=into, out_of=1 - into)
        if node.operator == "BatchNormalization":
            for name in node.inputs[1:5]:
                self._vector(node, name, self._maps[node.inputs[0]])
            return self._maps[node.inputs[0]]
        if node.operator == "Add":
            return self._add(node)
        known = ", ".join(sorted((*_KEEP_CHANNELS, "Add", "BatchNormalization", "Conv", "Gemm", "MatMul")))
        raise self._error(node, f"what it does to channels is not known, so their order has to stay; known are {known}")

    def _weighted(self, node: Node, into: int, out_of: int) -> int:
        weights = node.inputs[1]
        group = self._new(self._constant(weights).shape[into])
        self._demand(node, weights, out_of, self._maps[node.inputs[0]])
        self._demand(node, weights, into, group)
        if len(node.inputs) > 2 and node.inputs[2]:
            self._vector(node, node.inputs[2], group)
        return group

    def _add(self, node: Node) -> int:
        maps = [name for name in node.inputs if name in self._maps]
        if len(maps) == 2:
            self._tie(*(self._maps[name] for name in maps))
        else:
            (constant,) = (name for name in node.inputs if name not in self._maps)
            self._vector(node, constant, self._maps[maps[0]])
        return self._maps[maps[0]]

    # --- constants ----------------------------------------------------------------------------------------------------

    def _constant(self, name: str) -> Array:
        value = self._values[name]
        array = value.values if isinstance(value, Weights) else value
        assert isinstance(array, np.ndarray)  # the importer has made sure
        return array

    def _vector(self, node: Node, name: str, group: int) -> None:
        """Note a constant with one value for each channel of a group, or one for all of them."""
        shape = self._constant(name).shape
        sides = [axis for axis, side in enumerate(shape) if side > 1]
        if sides:
            self._demand(node, name, sides[0], group)

    def _demand(self, reader: Node, name: str, axis: int, group: int) -> None:
        """Note that a constant, or what it is computed from, has the channels of a group along an axis."""
        if name in self._graph.initializers:
            axes = self._axes.setdefault(name, {})
            self._tie(axes.setdefault(axis, group), group)
            return
        maker = self._makers[name]
        if maker.operator not in _KEEP_CONSTANTS:
            raise self._error(
                maker,
                f"computes a constant of {reader.operator} {reader.label}, whose order cannot be changed; "
                "fold constants before",
            )
        self._demand(reader, maker.inputs[0], axis, group)
        if maker.operator in ("DequantizeLinear", "QuantizeLinear"):
            self._demand_scales(maker, axis, group)

    def _demand_scales(self, quantiser: Node, axis: int, group: int) -> None:
        """Note scale and zero point of a quantiser that has one for each channel of a group."""
        scaled = quantiser.attributes.get("axis", 1)
        assert isinstance(scaled, int)  # the importer has made sure
        if scaled % max(self._constant(quantiser.inputs[0]).ndim, 1) != axis:
            return
        for name in quantiser.inputs[1:3]:
            if name:
                self._vector(quantiser, name, group)


def _tensors(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Return a model's constants, by name, where they can be written."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                tensors[node.output[0]] = attribute.t
    return tensors
