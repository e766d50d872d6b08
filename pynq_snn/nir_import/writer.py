"""From layers to a QCDQ model (docs/onnx.md): every threshold becomes 1, its value goes into the weights' scales."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from pynq_snn import __version__
from pynq_snn.nir_import.layers import NirLayer, Window
from pynq_snn.nir_import.quantise import quantise, relative_error

OPSET, IR_VERSION = 13, 8
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """What a model's metadata says about the whole network; see docs/onnx.md."""

    name: str
    timesteps: int
    input_shape: tuple[int, int, int]
    labels: tuple[str, ...]
    hard_reset: bool
    fires: str
    leak_shift: int

    def metadata(self) -> dict[str, str]:
        """Return the model's metadata_props."""
        return {
            "name": self.name,
            "timesteps": str(self.timesteps),
            "firing": "stepwise",
            "labels": json.dumps(self.labels),
            "input_size": json.dumps(self.input_shape[1:]),
            "input": "events",
            "reset": "hard" if self.hard_reset else "soft",
            "fires": self.fires,
            "leak_shift": str(self.leak_shift),
            "initial_potential": "zero",
        }


class ModelWriter:
    """Writes one network.

    Attributes
    ----------
    weight_errors : dict of str to float
        By layer, what rounding to int8 changed, as a share of the weights' root mean square.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.names = {"input"}
        self.weight_errors: dict[str, float] = {}

    def write(self, layers: Sequence[NirLayer]) -> onnx.ModelProto:
        """Return the checked model."""
        self.step = self._constant("step", np.array(1 / self.settings.timesteps, np.float32))
        self.zero = self._constant("zero", np.array(0, np.uint8))
        self.limit = self._constant("timesteps", np.array(self.settings.timesteps, np.uint8))
        tensor = "input"
        for layer in layers:
            tensor = self._layer(layer, tensor)
        classes = len(layers[-1].bias)
        if layers[-1].neuron is not None:
            tensor = self._count(tensor, classes)
        elif layers[-1].weights.ndim == 4:
            tensor = self._node("Flatten", "scores", tensor)
        graph = helper.make_graph(
            self.nodes,
            self.settings.name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", *self.settings.input_shape])],
            [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, ["N", classes])],
            self.initializers,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="pynq-snn convert",
            producer_version=__version__,
        )
        helper.set_model_props(model, self.settings.metadata())
        onnx.checker.check_model(model, full_check=True)
        return model

    def _layer(self, layer: NirLayer, tensor: str) -> str:
        name = layer.name
        if layer.pool_before is not None:
            tensor = self._pool(f"{name}.pool_before", tensor, layer.pool_before)
        if layer.flatten:
            tensor = self._node("Flatten", f"{name}.flat", tensor)
        channels = len(layer.bias)
        gain = np.ones(channels) if layer.neuron is None else layer.neuron.gain / layer.neuron.threshold
        # Threshold and bias in the unit of the weights, which pooling divides
        companions = np.stack([np.zeros(channels) if layer.neuron is None else 1 / gain, layer.bias]) * layer.divisor
        values, steps = quantise(layer.weights, companions.T)
        self.weight_errors[name] = relative_error(layer.weights, values, steps)
        weights = self._weights(name, values, steps * gain)
        bias = self._constant(f"{name}.bias", (layer.bias * gain).astype(np.float32))
        if values.ndim == 4:
            geometry = {
                "kernel_shape": values.shape[2:],
                "strides": [layer.stride] * 2,
                "pads": [layer.padding] * 4,
            }
            tensor = self._node("Conv", name, tensor, weights, bias, **geometry)
        else:
            tensor = self._node("Gemm", name, tensor, weights, bias, transB=1)
        if layer.pool_after is not None:
            tensor = self._pool(f"{name}.pool_after", tensor, layer.pool_after)
        return tensor if layer.neuron is None else self._fire(layer.neuron.name, tensor)

    def _weights(self, name: str, values: npt.NDArray[np.int8], scale: FloatArray) -> str:
        inputs = [
            self._constant(f"{name}.weight", values),
            self._constant(f"{name}.scale", scale.astype(np.float32)),
            self._constant(f"{name}.zero", np.zeros(len(scale), np.int8)),
        ]
        return self._node("DequantizeLinear", f"{name}.dequantized", *inputs, axis=0)

    def _fire(self, name: str, tensor: str) -> str:
        counts = self._node("QuantizeLinear", f"{name}.rounded", tensor, self.step, self.zero)
        clipped = self._node("Clip", f"{name}.count", counts, self.zero, self.limit)
        return self._node("DequantizeLinear", name, clipped, self.step, self.zero)

    def _count(self, tensor: str, classes: int) -> str:
        """Return the number of spikes of each class over all timesteps: the score of a network that ends in neurons."""
        flat = self._node("Flatten", "scores.flat", tensor)
        weights = self._weights(
            "scores", np.eye(classes, dtype=np.int8), np.full(classes, float(self.settings.timesteps))
        )
        return self._node("Gemm", "scores", flat, weights, transB=1)

    def _pool(self, name: str, tensor: str, window: Window) -> str:
        return self._node("AveragePool", name, tensor, kernel_shape=window.size, strides=window.stride)

    def _constant(self, name: str, value: npt.NDArray[Any]) -> str:
        name = self._unused(name)
        self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def _node(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        name = self._unused(name)
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def _unused(self, name: str) -> str:
        """Return `name`, or a longer one where the file calls a node like a tensor that is there already."""
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name
