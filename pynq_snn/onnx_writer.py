"""Writes quantised networks as ONNX files (docs/onnx.md) from numpy arrays, without the package onnx.

The board has no wheel of onnx; with this, a network that was trained or made by hand anywhere becomes the file that
`pynq-snn` runs. Only what a QCDQ file needs is here: fields and their numbers are those of onnx.proto3.

Examples
--------
>>> writer = QcdqWriter("mine", (1, 28, 28), timesteps=8, labels=("no", "yes"))       # doctest: +SKIP
>>> writer.linear("hidden", weights, scale, bias).fire(threshold=1.0)                 # doctest: +SKIP
>>> writer.linear("scores", more_weights, more_scale, more_bias).save("mine.onnx")    # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn import __version__, layout
from pynq_snn.errors import ModelError
from pynq_snn.metadata import properties

OPSET, IR_VERSION = 13, 8
_ELEMENT_TYPES = {"float32": 1, "uint8": 2, "int8": 3}
_ATTRIBUTE_INT, _ATTRIBUTE_INTS = 2, 7
_VARINT, _BYTES = 0, 2  # wire types of protobuf


class QcdqWriter:
    """A network under construction, layer after layer.

    Parameters
    ----------
    name : str
    input_shape : (channels, height, width)
    timesteps : int
        T that activations are quantised to.
    labels : sequence of str
        Names of the classes.
    input_kind : {"pixels", "events"}
    mean, std : float
        Normalisation of pixels, x = (pixel / 255 - mean) / std. Means that are whole pixel values need no rounding.
    firing : {"deferred", "stepwise"}
        Firing order to use by default.
    leak_shift : int
        k: each timestep the potential loses its 2^k-th part; 0 for no leak. A leak needs stepwise firing.
    """

    def __init__(
        self,
        name: str,
        input_shape: tuple[int, int, int],
        *,
        timesteps: int,
        labels: Sequence[str],
        input_kind: str = "pixels",
        mean: float = 0.0,
        std: float = 1.0,
        firing: str = "deferred",
        leak_shift: int = 0,
    ) -> None:
        if not 1 <= timesteps <= layout.MAX_TIMESTEPS:
            raise ModelError(f"timesteps={timesteps} is out of range; use 1 to {layout.MAX_TIMESTEPS}")
        self.name, self.timesteps, self.labels = name, timesteps, tuple(labels)
        self.input_shape = input_shape
        channels = input_shape[0] if input_kind == "pixels" else 0
        self._metadata = properties(
            name,
            timesteps,
            self.labels,
            input_shape[1:],
            input_kind=input_kind,
            mean=[mean] * channels,
            std=[std] * channels,
            firing=firing,
            leak_shift=leak_shift,
        )
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._tensor = "input"
        self._is_flat = False

    def convolution(
        self,
        name: str,
        weights: npt.NDArray[np.int8],
        scale: npt.NDArray[Any],
        bias: npt.NDArray[Any] | None = None,
        *,
        stride: int = 1,
        padding: int = 0,
    ) -> QcdqWriter:
        """Add a convolution.

        Parameters
        ----------
        weights : int8 [channels out, channels in, kernel, kernel]
        scale : float [channels out]
            Real value of one step of the weights.
        bias : float [channels out], optional
        """
        parts = self._weighted(name, weights, 4, scale, bias)
        attributes = {
            "kernel_shape": list(weights.shape[2:]),
            "strides": [stride] * 2,
            "pads": [padding] * 4,
        }
        return self._node("Conv", name, parts, **attributes)

    def linear(
        self,
        name: str,
        weights: npt.NDArray[np.int8],
        scale: npt.NDArray[Any],
        bias: npt.NDArray[Any] | None = None,
    ) -> QcdqWriter:
        """Add a fully connected layer: int8 [outputs, inputs], float [outputs], float [outputs]."""
        if not self._is_flat:
            self._node("Flatten", f"{name}.flat", [])
            self._is_flat = True
        return self._node("Gemm", name, self._weighted(name, weights, 2, scale, bias), transB=1)

    def fire(self, threshold: float) -> QcdqWriter:
        """End a layer with spiking neurons of a threshold: counts of 0 to T, each worth threshold / T."""
        step = self._constant("step", np.array(threshold / self.timesteps, np.float32))
        zero = self._constant("zero", np.array(0, np.uint8))
        limit = self._constant("limit", np.array(self.timesteps, np.uint8))
        number = len(self._nodes)
        self._node("QuantizeLinear", f"rounded{number}", [step, zero])
        self._node("Clip", f"counts{number}", [zero, limit])
        return self._node("DequantizeLinear", f"spikes{number}", [step, zero])

    def max_pool(self, window: int) -> QcdqWriter:
        """Add max pooling with windows side by side."""
        return self._node("MaxPool", f"pool{len(self._nodes)}", [], kernel_shape=[window] * 2, strides=[window] * 2)

    def average_pool(self, window: int) -> QcdqWriter:
        """Add average pooling with windows side by side."""
        return self._node("AveragePool", f"pool{len(self._nodes)}", [], kernel_shape=[window] * 2, strides=[window] * 2)

    def global_pool(self) -> QcdqWriter:
        """Add the average over all places."""
        return self._node("GlobalAveragePool", f"pool{len(self._nodes)}", [])

    def to_bytes(self) -> bytes:
        """Return the file; the last layer must be one without `fire`, whose outputs are the class scores."""
        graph = (
            b"".join(_field(1, node) for node in self._nodes)
            + _field(2, self.name)
            + b"".join(_field(5, constant) for constant in self._constants)
            + _field(11, _value("input", self.input_shape))
            + _field(12, _value(self._tensor, (len(self.labels),)))
        )
        properties = b"".join(_field(14, _field(1, key) + _field(2, value)) for key, value in self._metadata.items())
        return (
            _field(1, IR_VERSION)
            + _field(2, "pynq-snn")
            + _field(3, __version__)
            + _field(7, graph)
            + _field(8, _field(1, "") + _field(2, OPSET))
            + properties
        )

    def save(self, path: str | Path) -> Path:
        """Write the file and read it back as a network, so that what is wrong with it shows here.

        Raises
        ------
        ModelError
            The layers do not fit each other, or the accelerator cannot run them.
        """
        from pynq_snn.network import Network

        path = Path(path)
        path.write_bytes(self.to_bytes())
        Network.from_onnx(path)
        return path

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _weighted(
        self, name: str, weights: npt.NDArray[np.int8], axes: int, scale: npt.NDArray[Any],
        bias: npt.NDArray[Any] | None,
    ) -> list[str]:  # fmt: skip
        """Return the names of a layer's dequantised weights and bias."""
        if weights.dtype != np.int8 or weights.ndim != axes:
            raise ModelError(
                f"{name}: weights are {weights.dtype} {list(weights.shape)}; give int8 with {axes} axes, outputs first"
            )
        outputs = len(weights)
        for what, values in (("scale", scale), ("bias", bias)):
            if values is not None and np.shape(values) != (outputs,):
                raise ModelError(
                    f"{name}: {what} is {list(np.shape(values))}; give one value for each of {outputs} outputs"
                )
        parts = [
            self._constant(f"{name}.weight", weights),
            self._constant(f"{name}.scale", np.asarray(scale, np.float32)),
            self._constant(f"{name}.zero", np.zeros(outputs, np.int8)),
        ]
        result = f"{name}.dequantised"
        self._nodes.append(_node("DequantizeLinear", result, parts, {"axis": 0}))
        offset = np.zeros(outputs) if bias is None else bias
        return [result, self._constant(f"{name}.bias", np.asarray(offset, np.float32))]

    def _constant(self, name: str, value: npt.NDArray[Any]) -> str:
        unique = f"{name}.{len(self._constants)}"
        dims = b"".join(_field(1, side) for side in value.shape)
        data = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<")).tobytes()
        self._constants.append(dims + _field(2, _ELEMENT_TYPES[value.dtype.name]) + _field(8, unique) + _field(9, data))
        return unique

    def _node(self, operator: str, name: str, inputs: list[str], **attributes: int | list[int]) -> QcdqWriter:
        self._nodes.append(_node(operator, name, [self._tensor, *inputs], attributes))
        self._tensor = name
        return self


def _node(operator: str, name: str, inputs: list[str], attributes: dict[str, Any]) -> bytes:
    """Return a node whose only output is called as itself."""
    fields = b"".join(_field(1, each) for each in inputs) + _field(2, name) + _field(3, name) + _field(4, operator)
    return fields + b"".join(_field(5, _attribute(key, value)) for key, value in attributes.items())


def _attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, _ATTRIBUTE_INT)
    return _field(1, name) + b"".join(_field(8, each) for each in value) + _field(20, _ATTRIBUTE_INTS)


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    """Return the description of a float tensor [N, *shape]."""
    dims = _field(1, _field(2, "N")) + b"".join(_field(1, _field(1, side)) for side in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, _ELEMENT_TYPES["float32"]) + _field(2, dims)))


def _field(number: int, value: int | str | bytes) -> bytes:
    """Return one field of a protobuf message."""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    """Return a whole number from 0 on, seven bits a byte, the lowest first."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])
