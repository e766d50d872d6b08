"""Writes QCDQ models (docs/onnx.md) node by node; what training and all converters share."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from pynq_snn import __version__

OPSET, IR_VERSION = 13, 8
FloatArray = npt.NDArray[np.float64]


class QcdqGraph:
    """Collects nodes and initializers of a model.

    Parameters
    ----------
    timesteps : int
    producer : str
        What writes the model.
    """

    def __init__(self, timesteps: int, producer: str = "pynq-snn convert") -> None:
        self.timesteps = timesteps
        self.producer = producer
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.names = {"input"}

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

    @cached_property
    def unit_step(self) -> str:
        """What a spike of a neuron with threshold 1 is worth, 1 / T."""
        return self.constant("step", np.array(1 / self.timesteps, np.float32))

    @cached_property
    def _count_limits(self) -> tuple[str, str]:
        """The least and the largest spike count."""
        zero, limit = np.array(0, np.uint8), np.array(self.timesteps, np.uint8)
        return self.constant("zero", zero), self.constant("timesteps", limit)

    def fire(self, name: str, tensor: str, step: str | None = None) -> str:
        """Return spike counts times `step`, the name of a constant; without one, thresholds are 1."""
        step = step or self.unit_step
        zero, limit = self._count_limits
        counts = self.node("QuantizeLinear", f"{name}.rounded", tensor, step, zero)
        clipped = self.node("Clip", f"{name}.count", counts, zero, limit)
        return self.node("DequantizeLinear", name, clipped, step, zero)

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
            producer_name=self.producer,
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
