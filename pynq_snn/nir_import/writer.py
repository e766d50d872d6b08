"""From layers to a QCDQ model (docs/onnx.md): every threshold becomes 1, its value goes into the weights' scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from pynq_snn.metadata import properties
from pynq_snn.nir_import.layers import NirLayer, Window
from pynq_snn.nir_import.quantise import quantise, relative_error
from pynq_snn.qcdq import QcdqGraph


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
        return properties(
            self.name,
            self.timesteps,
            self.labels,
            self.input_shape[1:],
            input_kind="events",
            firing="stepwise",
            hard_reset=self.hard_reset,
            fires=self.fires,
            leak_shift=self.leak_shift,
            initial_potential="zero",
        )


class ModelWriter(QcdqGraph):
    """Writes one network.

    Attributes
    ----------
    weight_errors : dict of str to float
        By layer, what rounding to int8 changed, as a share of the weights' root mean square.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.timesteps)
        self.settings = settings
        self.weight_errors: dict[str, float] = {}

    def write(self, layers: Sequence[NirLayer]) -> onnx.ModelProto:
        """Return the checked model."""
        tensor = "input"
        for layer in layers:
            tensor = self._layer(layer, tensor)
        classes = len(layers[-1].bias)
        if layers[-1].neuron is not None:
            tensor = self._count(tensor, classes)
        elif layers[-1].weights.ndim == 4:
            tensor = self.node("Flatten", "scores", tensor)
        return self.finished(tensor, self.settings.input_shape, classes, self.settings.metadata())

    def _layer(self, layer: NirLayer, tensor: str) -> str:
        name = layer.name
        if layer.pool_before is not None:
            tensor = self._pool(f"{name}.pool_before", tensor, layer.pool_before)
        if layer.flatten:
            tensor = self.node("Flatten", f"{name}.flat", tensor)
        channels = len(layer.bias)
        gain = np.ones(channels) if layer.neuron is None else layer.neuron.gain / layer.neuron.threshold
        # Threshold and bias in the unit of the weights, which pooling divides
        companions = np.stack([np.zeros(channels) if layer.neuron is None else 1 / gain, layer.bias]) * layer.divisor
        values, steps = quantise(layer.weights, companions.T)
        self.weight_errors[name] = relative_error(layer.weights, values, steps)
        weights = self.weights(name, values, steps * gain)
        bias = self.constant(f"{name}.bias", (layer.bias * gain).astype(np.float32))
        if values.ndim == 4:
            geometry = {
                "kernel_shape": values.shape[2:],
                "strides": [layer.stride] * 2,
                "pads": [layer.padding] * 4,
            }
            tensor = self.node("Conv", name, tensor, weights, bias, **geometry)
        else:
            tensor = self.node("Gemm", name, tensor, weights, bias, transB=1)
        if layer.pool_after is not None:
            tensor = self._pool(f"{name}.pool_after", tensor, layer.pool_after)
        return tensor if layer.neuron is None else self.fire(layer.neuron.name, tensor)

    def _count(self, tensor: str, classes: int) -> str:
        """Return the number of spikes of each class over all timesteps: the score of a network that ends in neurons."""
        flat = self.node("Flatten", "scores.flat", tensor)
        weights = self.weights(
            "scores", np.eye(classes, dtype=np.int8), np.full(classes, float(self.settings.timesteps))
        )
        return self.node("Gemm", "scores", flat, weights, transB=1)

    def _pool(self, name: str, tensor: str, window: Window) -> str:
        return self.node("AveragePool", name, tensor, kernel_shape=window.size, strides=window.stride)
