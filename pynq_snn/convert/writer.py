"""Writes a converted network as a QCDQ model (docs/onnx.md)."""

from __future__ import annotations

import numpy as np
import onnx

from pynq_snn.convert.float_graph import FloatBranch, FloatNetwork
from pynq_snn.convert.quantisation import Conversion, SpikingLayer
from pynq_snn.metadata import properties
from pynq_snn.network import INPUT, NO_POOLING, Pooling
from pynq_snn.qcdq import QcdqGraph


def write_model(network: FloatNetwork, conversion: Conversion, labels: tuple[str, ...]) -> onnx.ModelProto:
    """Return the checked model of a converted network; its thresholds are all 1."""
    metadata = properties(
        network.name, conversion.timesteps, labels, network.input_shape[1:], mean=network.mean, std=network.std
    )
    return _NetworkWriter(conversion.timesteps).model(network, conversion, metadata)


class _NetworkWriter(QcdqGraph):
    def model(self, network: FloatNetwork, conversion: Conversion, metadata: dict[str, str]) -> onnx.ModelProto:
        tensors = {INPUT: "input"}
        for index, converted in enumerate(conversion.layers):
            tensors[index] = self._layer(converted, tensors)
        last = conversion.layers[-1]
        output = tensors[len(conversion.layers) - 1]
        if not last.layer.flat:
            output = self.node("Flatten", "scores", output)
        return self.finished(output, network.input_shape, last.layer.output_shape[0], metadata)

    def _layer(self, converted: SpikingLayer, tensors: dict[int, str]) -> str:
        layer = converted.layer
        if layer.max_pooling is not None:
            pooling = layer.max_pooling
            return self.node(
                "MaxPool", layer.name, tensors[layer.max_pooling_source], kernel_shape=[pooling.window] * 2,
                strides=[pooling.stride] * 2, pads=[pooling.padding] * 4,
            )  # fmt: skip
        shortcut = layer.identity is not None
        parts = []
        for number, branch in enumerate(layer.branches):
            bias = converted.bias if number == 0 and not shortcut else None
            parts.append(self._branch(converted, number, branch, tensors[branch.source], bias))
        tensor = parts[0] if len(parts) == 1 else self.node("Add", f"{layer.name}.sum", *parts)
        if layer.identity is not None:
            tensor = self.node("Add", f"{layer.name}.sum", tensor, tensors[layer.identity])
            tensor = self._normalised(layer.name, tensor, converted)
        return self.fire(f"{layer.name}.spikes", tensor) if layer.fires else tensor

    def _normalised(self, name: str, tensor: str, converted: SpikingLayer) -> str:
        """Return a sum with an identity shortcut in the layer's unit: the shortcut has no weights to scale it."""
        channels = len(converted.bias)
        vectors = (converted.identity_gain, converted.bias, np.zeros(channels), np.ones(channels))
        constants = [
            self.constant(f"{name}.{part}", vector.astype(np.float32))
            for part, vector in zip(("gain", "offset", "mean", "variance"), vectors, strict=True)
        ]
        return self.node("BatchNormalization", f"{name}.scaled", tensor, *constants, epsilon=0.0)

    def _branch(
        self, converted: SpikingLayer, number: int, branch: FloatBranch, source: str, bias: np.ndarray | None
    ) -> str:
        layer, values, scale = converted.layer, converted.weights[number], converted.scales[number]
        name = layer.name if number == 0 else f"{layer.name}.{number}"
        if layer.identity is not None:  # `_normalised` multiplies by the gain again
            scale = scale / np.abs(converted.identity_gain)
            values = np.where(converted.identity_gain[:, None, None, None] < 0, -values, values)
        if not layer.fires:
            scale = scale[:1]
        source = self._pool(f"{name}.pool_before", source, branch.pool_before)
        if layer.flat:
            flat = self.node("Flatten", f"{name}.flat", source)
            weights = self.weights(name, values.reshape(len(values), -1), scale)
            return self.node("Gemm", name, flat, weights, *self._bias(name, bias), transB=1)
        tensor = self.node(
            "Conv", name, source, self.weights(name, values, scale), *self._bias(name, bias),
            kernel_shape=values.shape[2:], strides=[branch.stride] * 2, pads=[branch.padding] * 4,
        )  # fmt: skip
        return self._pool(f"{name}.pool_after", tensor, branch.pool_after)

    def _bias(self, name: str, bias: np.ndarray | None) -> list[str]:
        return [] if bias is None else [self.constant(f"{name}.bias", bias.astype(np.float32))]

    def _pool(self, name: str, tensor: str, pooling: Pooling) -> str:
        if pooling == NO_POOLING:
            return tensor
        return self.node(
            "AveragePool", name, tensor, kernel_shape=[pooling.height, pooling.width],
            strides=[pooling.stride_y, pooling.stride_x],
        )  # fmt: skip
