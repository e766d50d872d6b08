"""ONNX bytes that the onnx package would not write, and the onnx package's own view of a model to compare with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pynq_snn.onnx_reader import Graph, Node

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


def varint(value: int) -> bytes:
    value %= 1 << 64
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*octets, value])


def field(number: int, content: int | bytes | str, wire_type: int | None = None) -> bytes:
    """Return one protobuf field: a varint for an int, bytes with a length unless another wire type is named."""
    if isinstance(content, int):
        return varint(number << 3 | VARINT) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    if wire_type in (FIXED32, FIXED64):
        return varint(number << 3 | wire_type) + content
    return varint(number << 3 | LENGTH) + varint(len(content)) + content


def tensor(data_type: int, dims: list[int], *fields: bytes, name: str = "constant") -> bytes:
    return b"".join((*(field(1, size) for size in dims), field(2, data_type), field(8, name), *fields))


def model(*graph_fields: bytes, model_fields: bytes = b"", opset: int = 13) -> bytes:
    """Return a model whose graph hands `input` on as `output`, plus the given fields."""
    node = field(1, field(1, "input") + field(2, "output") + field(3, "copy") + field(4, "Identity"))
    graph = node + field(11, field(1, "input")) + field(12, field(1, "output")) + b"".join(graph_fields)
    return field(1, 8) + field(8, field(2, opset)) + field(7, graph) + model_fields


def small_model(nodes: list[onnx.NodeProto] | None = None, **changes: Any) -> onnx.ModelProto:
    """Return a model with one weight, one node with attributes of all kinds, and metadata."""
    attributes: dict[str, Any] = {
        "kernel": [3, 3],
        "group": 1,
        "scale": 0.5,
        "steps": [0.25, -1.0],
        "mode": "half",
        "words": ["a", "b"],
    }
    table = numpy_helper.from_array(np.arange(3, dtype=np.int64))
    conv = helper.make_node("Conv", ["input", "weight"], ["output"], name="conv1", table=table, **attributes)
    graph = helper.make_graph(
        [conv] if nodes is None else nodes,
        "small",
        changes.pop("inputs", [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, None, 8])]),
        changes.pop("outputs", [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)]),
        changes.pop("initializers", [numpy_helper.from_array(np.array([[1, -2], [3, 4]], np.int8), "weight")]),
    )
    opset = helper.make_opsetid("", changes.pop("opset", 13))
    built = helper.make_model(graph, opset_imports=[opset], producer_name="builder", producer_version="1.0", **changes)
    helper.set_model_props(built, {"timesteps": "8"})
    return built


def comparable(value: Any) -> Any:
    """Return something that is equal for equal values, NaN and the type of numbers included."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, (list, tuple)):
        return [comparable(item) for item in value]
    return value if isinstance(value, str) else (type(value), repr(value))


def comparable_nodes(graph: Graph) -> list[Any]:
    return [_comparable_node(node) for node in graph.nodes]


def comparable_initializers(graph: Graph) -> dict[str, Any]:
    return {name: comparable(values) for name, values in graph.initializers.items()}


def _comparable_node(node: Node) -> Any:
    attributes = {name: comparable(value) for name, value in node.attributes.items()}
    return node.name, node.operator, node.domain, node.inputs, node.outputs, attributes


def onnx_nodes(built: onnx.ModelProto) -> list[Any]:
    """Return what `comparable_nodes` should return, as the onnx package sees the model."""
    nodes = []
    for node in built.graph.node:
        domain = "" if node.domain == "ai.onnx" else node.domain
        if node.op_type != "Constant" or domain:
            attributes = {attribute.name: comparable(_onnx_attribute(attribute)) for attribute in node.attribute}
            nodes.append((node.name, node.op_type, domain, tuple(node.input), tuple(node.output), attributes))
    return nodes


def onnx_initializers(built: onnx.ModelProto) -> dict[str, Any]:
    """Return what `comparable_initializers` should return for a model without Constant nodes."""
    return {stored.name: comparable(onnx_array(stored)) for stored in built.graph.initializer}


def onnx_array(stored: onnx.TensorProto) -> np.ndarray:
    values = numpy_helper.to_array(stored)
    return values.astype(np.float32) if stored.data_type == TensorProto.BFLOAT16 else values


def onnx_shapes(infos: Iterable[onnx.ValueInfoProto]) -> list[Any]:
    """Return name and shape of each, with None for a negative size, which means an unknown one."""
    shapes = []
    for info in infos:
        declared = info.type.tensor_type
        sizes = tuple(d.dim_param or (d.dim_value if d.HasField("dim_value") else -1) for d in declared.shape.dim)
        shape = tuple(None if isinstance(size, int) and size < 0 else size for size in sizes)
        shapes.append((info.name, shape if declared.HasField("shape") else None))
    return shapes


def _onnx_attribute(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return onnx_array(value)
    return (
        _decoded(value)
        if isinstance(value, bytes)
        else [_decoded(item) for item in value]
        if _is_list(value)
        else value
    )


def _is_list(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes))


def _decoded(value: Any) -> Any:
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value
