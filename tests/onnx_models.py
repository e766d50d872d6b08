"""Writes QCDQ ONNX files for tests, from `TrainedNetwork` objects or node by node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pynq_snn.metadata import properties
from pynq_snn.network import INPUT, NO_POOLING, Branch, Pooling, TrainedLayer, TrainedNetwork


class ModelWriter:
    """Collects nodes and initializers of one model."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.counter = 0

    def constant(self, value: np.ndarray) -> str:
        self.counter += 1
        name = f"constant{self.counter}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        self.counter += 1
        output = f"{operator.lower()}{self.counter}"
        name = attributes.pop("name", output)
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=name, **attributes))
        return output

    def weights(self, values: np.ndarray, scale: np.ndarray, axis: int = 0) -> str:
        """Return an int8 constant behind DequantizeLinear."""
        zero = self.constant(np.zeros(scale.shape, np.int8))
        return self.node(
            "DequantizeLinear", self.constant(values), self.constant(scale.astype(np.float32)), zero, axis=axis
        )

    def fire(self, current: str, step: float, timesteps: int) -> str:
        """Return spikes: QuantizeLinear, Clip, DequantizeLinear."""
        scale, zero = self.constant(np.array(step, np.float32)), self.constant(np.array(0, np.uint8))
        counts = self.node("QuantizeLinear", current, scale, zero)
        limit = self.constant(np.array(timesteps, np.uint8))
        return self.node("DequantizeLinear", self.node("Clip", counts, zero, limit), scale, zero)

    def model(
        self, output: str, input_shape: tuple[Any, ...], metadata: dict[str, str], classes: int = 0
    ) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "test",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, list(input_shape))],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", classes] if classes else None)],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        helper.set_model_props(model, metadata)
        return model


def metadata_of(trained: TrainedNetwork) -> dict[str, str]:
    return properties(
        trained.name,
        trained.timesteps,
        trained.labels,
        trained.input_shape[1:],
        input_kind=trained.input_kind,
        mean=trained.mean,
        std=trained.std,
        firing=trained.firing,
        hard_reset=trained.hard_reset,
        fires=trained.fires,
        leak_shift=trained.leak_shift,
        initial_potential=trained.initial_potential,
    )


def to_onnx(trained: TrainedNetwork) -> onnx.ModelProto:
    """Write a trained network as a QCDQ model."""
    writer = ModelWriter()
    tensors = {INPUT: "input"}
    for index, layer in enumerate(trained.layers):
        if layer.max_pooling is not None:
            pooling = layer.max_pooling
            tensors[index] = writer.node(
                "MaxPool", tensors[layer.max_pooling_source], kernel_shape=[pooling.window] * 2,
                strides=[pooling.stride] * 2, pads=[pooling.padding] * 4, name=layer.name,
            )  # fmt: skip
            continue
        current = _current(writer, layer, tensors)
        if layer.step is None:
            output = writer.node("Flatten", current)
            shape = ("N", *trained.input_shape)
            return writer.model(output, shape, metadata_of(trained), layer.output_shape[0])
        tensors[index] = writer.fire(current, layer.step, trained.timesteps)
    raise AssertionError("no readout")


def _current(writer: ModelWriter, layer: TrainedLayer, tensors: dict[int, str]) -> str:
    parts = []
    for number, branch in enumerate(layer.branches):
        offset = layer.offset if number == 0 else np.zeros(len(layer.offset))
        parts.append(_branch(writer, branch, tensors[branch.source], offset, layer.name + "b" * number))
    if layer.identity is not None:
        parts.append(tensors[layer.identity])
    return parts[0] if len(parts) == 1 else writer.node("Add", parts[1], parts[0])


def _branch(writer: ModelWriter, branch: Branch, source: str, offset: np.ndarray, name: str) -> str:
    if branch.pool_before != NO_POOLING:
        source = _average(writer, source, branch.pool_before)
    square = branch.weights.shape[2] == branch.weights.shape[3] <= 7
    if square:
        weights = writer.weights(branch.weights, np.abs(branch.scale))
        conv = writer.node("Conv", source, weights, strides=[branch.stride] * 2, pads=[branch.padding] * 4, name=name)
        channels = len(offset)
        normal = [
            np.sign(branch.scale), offset, np.zeros(channels), np.ones(channels),
        ]  # fmt: skip
        constants = [writer.constant(vector.astype(np.float32)) for vector in normal]
        current = writer.node("BatchNormalization", conv, *constants, epsilon=0.0)
    else:
        matrix = branch.weights.reshape(len(branch.weights), -1)
        signed = np.where(branch.scale < 0, -1, 1)[:, None] * matrix
        weights = writer.weights(signed.astype(np.int8), np.abs(branch.scale))
        bias = writer.constant(offset.astype(np.float32))
        return writer.node("Gemm", writer.node("Flatten", source), weights, bias, transB=1, name=name)
    return current if branch.pool_after == NO_POOLING else _average(writer, current, branch.pool_after)


def _average(writer: ModelWriter, source: str, pool: Pooling) -> str:
    return writer.node(
        "AveragePool", source, kernel_shape=[pool.height, pool.width], strides=[pool.stride_y, pool.stride_x]
    )


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path
