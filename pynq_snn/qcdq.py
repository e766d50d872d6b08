"""Writes QCDQ models (docs/onnx.md) node by node; what all converters share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from pynq_snn import __version__

OPSET, IR_VERSION = 13, 8
FloatArray = npt.NDArray[np.float64]


class QcdqGraph:
    """Collects nodes and initializers of a model all of whose thresholds are 1.

    Parameters
    ----------
    timesteps : int
    """

    def __init__(self, timesteps: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.names = {"input"}
        self.step = self.constant("step", np.array(1 / timesteps, np.float32))
        self.zero = self.constant("zero", np.array(0, np.uint8))
        self.limit = self.constant("timesteps", np.array(timesteps, np.uint8))

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """Add an initializer; return its name."""
        name = self._unused(name)
        self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def node(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        name = self._unused(name)
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def weights(self, name: str, values: npt.NDArray[np.int8], scale: FloatArray) -> str:
        """Return int8 weights behind DequantizeLinear; `scale` holds one number, or one per output channel."""
        scale = scale.reshape(-1) if len(scale) > 1 else scale.reshape(())
        inputs = [
            self.constant(f"{name}.weight", values),
            self.constant(f"{name}.scale", scale.astype(np.float32)),
            self.constant(f"{name}.zero", np.zeros(scale.shape, np.int8)),
        ]
        return self.node("DequantizeLinear", f"{name}.dequantized", *inputs, axis=0)

    def fire(self, name: str, tensor: str) -> str:
        """Return spike counts times 1 / T."""
        counts = self.node("QuantizeLinear", f"{name}.rounded", tensor, self.step, self.zero)
        clipped = self.node("Clip", f"{name}.count", counts, self.zero, self.limit)
        return self.node("DequantizeLinear", name, clipped, self.step, self.zero)

    def finished(
        self, output: str, input_shape: tuple[int, int, int], classes: int, metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """Return the checked model."""
        graph = helper.make_graph(
            self.nodes,
            metadata["name"],
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", *input_shape])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", classes])],
            self.initializers,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="pynq-snn convert",
            producer_version=__version__,
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _unused(self, name: str) -> str:
        """Return `name`, or a longer one where a file calls a node like a tensor that is there already."""
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name
