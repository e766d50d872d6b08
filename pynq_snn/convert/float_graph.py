"""From a float ONNX graph to layers of rectified neurons, with every batch normalisation folded into weights.

The walk is the importer's: the same operators mean the same, only that weights are real numbers and that a Relu, not a
quantiser, ends a layer. So what can be converted is what can be run, and errors read alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from pynq_snn.errors import ModelError
from pynq_snn.importer import Current, GraphWalk, Shape, Spikes, Value, Weights
from pynq_snn.network import MaxPooling, Pooling, TrainedLayer
from pynq_snn.onnx_reader import Graph, Node, parse_onnx, read_onnx

FloatArray = npt.NDArray[np.float64]

_SMOOTH = (
    "Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Selu", "Sigmoid", "Softplus",
    "Swish", "Tanh", "ThresholdedRelu",
)  # fmt: skip
_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger")


@dataclass(frozen=True)
class FloatBranch:
    """One weighted path into a layer, as `pynq_snn.network.Branch`, in real numbers.

    Attributes
    ----------
    weights : float64 [channels out, channels in, kernel height, kernel width]
    """

    source: int
    weights: FloatArray
    stride: int
    padding: int
    pool_before: Pooling
    pool_after: Pooling


@dataclass(frozen=True)
class FloatLayer:
    """A layer of rectified neurons, the readout, or max pooling.

    Attributes
    ----------
    identity_gain : float64 [channels]
        Factor on the identity shortcut; only read where there is one.
    bias : float64 [channels]
    fires : bool
        Whether a Relu ends it; the readout has none.
    ceiling : float
        Largest activation, of a Clip such as ReLU6; infinity for a Relu.
    flat : bool
        Whether it is a linear layer on a flattened map.
    """

    name: str
    branches: tuple[FloatBranch, ...]
    identity: int | None
    identity_gain: FloatArray
    bias: FloatArray
    fires: bool
    ceiling: float
    flat: bool
    output_shape: Shape
    max_pooling: MaxPooling | None = None
    max_pooling_source: int = -1

    @property
    def sources(self) -> tuple[int, ...]:
        """Indices of all layers that this one reads."""
        if self.max_pooling is not None:
            return (self.max_pooling_source,)
        return (*(branch.source for branch in self.branches), *(() if self.identity is None else (self.identity,)))


@dataclass(frozen=True)
class FloatNetwork:
    """A float network as a list of layers; the last one is the readout.

    Attributes
    ----------
    mean, std : tuple of float
        x = (pixel / 255 - mean) / std, one number per input channel.
    """

    name: str
    path: str
    layers: tuple[FloatLayer, ...]
    input_shape: Shape
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: tuple[str, ...]


def read_float_network(model: str | Path | Graph, metadata: Mapping[str, str]) -> FloatNetwork:
    """Read a float ONNX file.

    Parameters
    ----------
    model : str, Path or Graph
    metadata : mapping of str to str
        metadata_props (docs/onnx.md) that count instead of those in the file.

    Raises
    ------
    ModelError
        The file is damaged or holds something that has no spiking counterpart; the message names node and remedy.
    """
    graph = model if isinstance(model, Graph) else load_graph(model)
    return _FloatWalk(replace(graph, metadata={**graph.metadata, **metadata})).float_network()


def load_graph(path: str | Path) -> Graph:
    """Read an ONNX file, also one whose values lie in a second file, as PyTorch's exporter writes large networks.

    Raises
    ------
    ModelError
        The file, or the one that holds its values, is missing or damaged.
    """
    try:
        return read_onnx(path)
    except ModelError as error:
        if "external data" not in str(error):
            raise
    import onnx

    try:
        model = onnx.load(str(path))
        for tensor in model.graph.initializer:
            tensor.ClearField("data_location")
            tensor.ClearField("external_data")
        return parse_onnx(model.SerializeToString(), str(path))
    except ModelError:
        raise
    except Exception as error:  # onnx raises whatever a missing, short or foreign data file runs into
        reason = " ".join(str(error).split())
        raise ModelError(
            f"{path}: its external data cannot be read ({reason}); copy the data file beside it"
        ) from error


class _FloatWalk(GraphWalk):
    """Walks a float graph; `ceilings` and `flat` hold what a trained layer has no field for, by layer."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.ceilings: dict[int, float] = {}
        self.flat: dict[int, bool] = {}
        self.handlers.update({"Softmax": self._softmax, "LogSoftmax": self._softmax})
        for operator in _QUANTISED:
            self.handlers.pop(operator, None)

    def float_network(self) -> FloatNetwork:
        trained = self.run()
        layers = tuple(self._folded(index, layer) for index, layer in enumerate(trained.layers))
        if trained.input_kind != "pixels":
            raise self._graph_error("reads events; only networks that read pictures are converted from float")
        if len(layers) == 1:
            raise self._graph_error("has no Relu, so nothing in it would spike; put a Relu behind each hidden layer")
        return FloatNetwork(
            trained.name, trained.path, layers, trained.input_shape, trained.mean, trained.std, trained.labels
        )

    def _folded(self, index: int, layer: TrainedLayer) -> FloatLayer:
        """Multiply the gains of batch normalisation into the weights."""
        branches = tuple(
            FloatBranch(
                branch.source,
                branch.weights * branch.scale[:, None, None, None],
                branch.stride,
                branch.padding,
                branch.pool_before,
                branch.pool_after,
            )
            for branch in layer.branches
        )
        for array in (*(branch.weights for branch in branches), layer.offset):
            if not np.isfinite(array).all():
                raise ModelError(
                    f"{self.graph.path}: {layer.name}: weights times batch normalisation are not finite; "
                    "retrain or export the model again"
                )
        return FloatLayer(
            name=layer.name,
            branches=branches,
            identity=layer.identity,
            identity_gain=layer.identity_scale,
            bias=layer.offset,
            fires=layer.step is not None,
            ceiling=self.ceilings.get(index, math.inf),
            flat=self.flat.get(index, False),
            output_shape=layer.output_shape,
            max_pooling=layer.max_pooling,
            max_pooling_source=layer.max_pooling_source,
        )

    # --- what differs from a quantised graph --------------------------------------------------------------------------

    def _visit(self, node: Node) -> None:
        if node.operator in _SMOOTH:
            raise self._node_error(node, "is no rectifier, and spike counts are: retrain the network with Relu")
        if node.operator in _QUANTISED:
            raise self._node_error(
                node, "this network is quantised already; convert the float network that it was made from"
            )
        super()._visit(node)

    def _append(self, current: Current, step: float | None) -> int:
        index = super()._append(current, step)
        self.flat[index] = current.flat and current.kind == "linear"
        return index

    def _spikes(self, node: Node, index: int = 0) -> Spikes:
        value = self._input(node, index)
        if isinstance(value, Current):
            raise self._node_error(
                node, f"reads {value.name} without a Relu between; put one there, or merge the two operators into one"
            )
        return super()._spikes(node, index)

    def _weights(self, node: Node, index: int) -> Weights:
        values = self._constant(node, index, "its weight tensor")
        return Weights(cast(Any, values), np.ones(1), 0)

    def _relu(self, node: Node) -> Value:
        value = self._input(node, 0)
        return self._rectified(node, value, math.inf) if isinstance(value, Current) else super()._relu(node)

    def _clip(self, node: Node) -> Value:
        value = self._input(node, 0)
        if not isinstance(value, Current):
            return super()._clip(node)
        low, high = self._bound(node, 1, "min", -math.inf), self._bound(node, 2, "max", math.inf)
        if low != 0 or high <= 0:
            raise self._node_error(node, f"clips to [{low:g}, {high:g}]; spike counts start at 0, so use Clip(0, max)")
        return self._rectified(node, value, high)

    def _rectified(self, node: Node, current: Current, ceiling: float) -> Spikes:
        source = self._append(current, 1.0)
        self.ceilings[source] = ceiling
        if current.max_pooling is not None:
            return self._append_max_pool(node, source, current.shape, current.max_pooling)
        return Spikes(source, current.shape, flat=current.flat)

    def _softmax(self, node: Node) -> Value:
        value = self._input(node, 0)
        if node.outputs[0] != self.graph.outputs[0].name or not isinstance(value, Current):
            raise self._node_error(node, "is supported at the end only, where it does not change the order of classes")
        return value
