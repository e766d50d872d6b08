"""The ONNX reader: equal to the onnx package on sound files, a one-line ModelError on all others."""

from __future__ import annotations

import math
import os
import re
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper, numpy_helper

from pynq_snn import onnx_reader
from pynq_snn.errors import ModelError
from pynq_snn.onnx_reader import Graph, Node, parse_onnx, read_onnx

from . import onnx_builders as build
from .onnx_builders import FIXED32, FIXED64, field

SETTINGS = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])

# element type, type of the stored bits, typed field
ELEMENTS = [
    ("FLOAT", "<u4", "float_data"),
    ("DOUBLE", "<u8", "double_data"),
    ("FLOAT16", "<u2", "int32_data"),
    ("BFLOAT16", "<u2", "int32_data"),
    ("INT8", "<i1", "int32_data"),
    ("INT16", "<i2", "int32_data"),
    ("INT32", "<i4", "int32_data"),
    ("INT64", "<i8", "int64_data"),
    ("UINT8", "<u1", "int32_data"),
    ("UINT16", "<u2", "int32_data"),
    ("UINT32", "<u4", "uint64_data"),
    ("UINT64", "<u8", "uint64_data"),
    ("BOOL", "<u1", "int32_data"),
]
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
FLAG = build.tensor(TensorProto.BOOL, [1], field(9, b"\x01"), name="flag")


def refusal(data: bytes) -> str:
    """Return the message with which the reader refuses a file."""
    with pytest.raises(ModelError) as caught:
        parse_onnx(data, "net.onnx")
    message = str(caught.value)
    assert message.startswith("net.onnx: ") and message.isprintable()
    return message


def read(built: onnx.ModelProto) -> Graph:
    return parse_onnx(built.SerializeToString(), "net.onnx")


def read_tensor(stored: onnx.TensorProto) -> np.ndarray:
    stored.name = "constant"
    return parse_onnx(build.model(field(5, stored.SerializeToString()))).initializers["constant"]


# --- tensors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("element", "bits", "typed_field"), ELEMENTS)
@pytest.mark.parametrize("typed", [False, True], ids=["raw", "typed"])
@SETTINGS
@given(data=st.data())
def test_tensor_equals_onnx(element: str, bits: str, typed_field: str, typed: bool, data: st.DataObject) -> None:
    values = st.integers(0, 1) if element == "BOOL" else None
    stored_bits = data.draw(arrays.arrays(np.dtype(bits), SHAPES, elements=values))
    stored = TensorProto(data_type=TensorProto.DataType.Value(element), dims=stored_bits.shape)
    if typed:
        as_float = {"float_data": "<f4", "double_data": "<f8"}.get(typed_field, bits)
        getattr(stored, typed_field).extend(stored_bits.view(as_float).ravel().tolist())
    else:
        stored.raw_data = stored_bits.tobytes()
    expected, result = build.onnx_array(stored), read_tensor(stored)
    assert result.dtype == expected.dtype and result.shape == expected.shape
    np.testing.assert_array_equal(result, expected)
    assert result.flags.aligned and not result.flags.writeable


@pytest.mark.parametrize("values", [[0, 1, -1, 127, 128, 2**31 - 1, -(2**31)], list(range(-40_000, 40_000, 3))])
def test_packed_varints_of_all_lengths_and_across_chunks(values: list[int]) -> None:
    wide = [value << 31 for value in values]
    for element, numbers in ((TensorProto.INT32, values), (TensorProto.INT64, wide)):
        stored = helper.make_tensor("constant", element, [len(numbers)], numbers)
        assert read_tensor(stored).tolist() == numbers


@pytest.mark.parametrize(
    ("data_type", "number", "wire_type", "pieces", "expected"),
    [
        (TensorProto.FLOAT, 4, FIXED32, [struct.pack("<f", value) for value in (1.5, -2.0, 0.25)], [1.5, -2.0, 0.25]),
        (TensorProto.DOUBLE, 10, FIXED64, [struct.pack("<d", value) for value in (1.5, -2.0, 0.25)], [1.5, -2.0, 0.25]),
        (TensorProto.INT8, 5, build.VARINT, [build.varint(value) for value in (5, -128, 127)], [5, -128, 127]),
        (TensorProto.INT64, 7, build.VARINT, [build.varint(value) for value in (5, -1, 2**40)], [5, -1, 2**40]),
        (
            TensorProto.UINT64,
            11,
            build.VARINT,
            [build.varint(value) for value in (5, 2**64 - 1, 300)],
            [5, 2**64 - 1, 300],
        ),
    ],
)
def test_numbers_packed_unpacked_and_in_several_pieces(
    data_type: int, number: int, wire_type: int, pieces: list[bytes], expected: list[Any]
) -> None:
    def unpacked(piece: bytes) -> bytes:
        return build.varint(number << 3 | wire_type) + piece

    first, second, third = pieces
    for fields in (
        field(number, first + second + third),
        unpacked(first) + unpacked(second) + unpacked(third),
        field(number, first + second) + unpacked(third),
        unpacked(first) + field(number, second + third),
        field(number, b"") + field(number, first) + field(number, second + third),
    ):
        data = build.model(field(5, build.tensor(data_type, [3], fields)))
        assert parse_onnx(data).initializers["constant"].tolist() == expected
        assert onnx_array_of(data).tolist() == expected


def onnx_array_of(data: bytes) -> np.ndarray:
    return build.onnx_array(onnx.load_model_from_string(data).graph.initializer[0])


def test_packed_dims_are_read() -> None:
    stored = field(1, build.varint(2) + build.varint(3)) + build.tensor(TensorProto.INT8, [], field(9, bytes(6)))
    assert parse_onnx(build.model(field(5, stored))).initializers["constant"].shape == (2, 3)


def test_negative_int32_in_five_bytes_is_read_as_protobuf_does() -> None:
    data = build.model(field(5, build.tensor(TensorProto.INT32, [1], field(5, build.varint(2**32 - 7)))))
    assert parse_onnx(data).initializers["constant"].tolist() == [-7] == onnx_array_of(data).tolist()


@pytest.mark.parametrize("odd_bytes", range(4))
def test_large_tensors_share_the_files_memory_and_others_are_aligned(odd_bytes: int) -> None:
    weights = numpy_helper.from_array(np.ones((64, 64), np.int8), "weight" + "x" * odd_bytes)
    scales = numpy_helper.from_array(np.arange(64, dtype=np.float32), "scale")
    data = build.model(field(5, weights.SerializeToString()), field(5, scales.SerializeToString()))
    graph = parse_onnx(data)
    assert np.shares_memory(graph.initializers[weights.name], np.frombuffer(data, np.uint8))
    assert graph.initializers["scale"].flags.aligned
    assert graph.initializers["scale"].tolist() == list(range(64))


def test_nan_and_infinity_are_read() -> None:
    values = np.array([math.nan, math.inf, -math.inf], np.float32)
    np.testing.assert_array_equal(read_tensor(numpy_helper.from_array(values)), values)


REFUSED_TENSORS = {
    "too few bytes": (
        build.tensor(1, [3], field(9, bytes(8))),
        r"has 8 bytes of values but shape \[3\] of FLOAT needs 12",
    ),
    "too many bytes": (
        build.tensor(3, [], field(9, bytes(2))),
        r"has 2 bytes of values but shape \[\] of INT8 needs 1",
    ),
    "no values": (build.tensor(3, [2]), "has 0 bytes of values"),
    "too few numbers": (build.tensor(3, [3], field(5, b"\1\2")), r"has 2 values but shape \[3\] needs 3"),
    "two payloads": (build.tensor(3, [1], field(9, b"\1"), field(5, b"\1")), "in int32_data and in raw_data"),
    "wrong payload": (build.tensor(3, [1], field(7, b"\1")), "INT8 values in int64_data, expected int32_data"),
    "text payload": (build.tensor(3, [1], field(6, "a")), "INT8 values in string_data"),
    "int8 range": (build.tensor(3, [2], field(5, b"\1" + build.varint(300))), "value 300 is not possible for INT8"),
    "uint8 range": (build.tensor(2, [1], field(5, build.varint(-1))), "value -1 is not possible for UINT8"),
    "uint32 range": (
        build.tensor(12, [1], field(11, build.varint(2**32))),
        "value 4294967296 is not possible for UINT32",
    ),
    "float16 range": (build.tensor(10, [1], field(5, build.varint(65536))), "value 65536 is not possible for FLOAT16"),
    "bool range": (build.tensor(9, [1], field(9, b"\2")), "value 2 is not possible for BOOL"),
    "packed varint cut": (build.tensor(3, [1], field(5, b"\1\x80")), "last number of field int32_data is cut short"),
    "packed float cut": (build.tensor(1, [1], field(4, b"\1\2\3")), "last number of field float_data is cut short"),
    "packed varint too long": (build.tensor(7, [1], field(7, b"\xff" * 10 + b"\1")), "more than 64 bits"),
    "packed varint too large": (build.tensor(7, [1], field(7, b"\xff" * 9 + b"\2")), "more than 64 bits"),
    "packed varint endless": (build.tensor(7, [1], field(7, b"\x80" * 70_000 + b"\1")), "more than 64 bits"),
    "negative dim": (build.tensor(3, [-1], field(9, b"\1")), r"shape \[-1\] has a negative size"),
    "3 GB": (build.tensor(3, [3, 1024, 1024, 1024], field(9, b"\1")), "more than a file can hold"),
    "huge and empty": (build.tensor(3, [0, 2**62, 2**62]), "more than a file can hold"),
    "rank": (build.tensor(3, [1] * 33, field(9, b"\1")), "has 33 dimensions, more than 32"),
    "segment": (build.tensor(3, [1], field(9, b"\1"), field(3, b"")), "segment of a larger tensor"),
    "external": (build.tensor(3, [1], field(14, 1)), "external data.*save_as_external_data=False"),
    "location": (build.tensor(3, [1], field(14, 7)), "data_location 7 is not known"),
    "undefined": (build.tensor(0, []), "element type UNDEFINED is not supported; convert it to one of BFLOAT16, BOOL"),
    "unknown": (build.tensor(99, []), r"element type unknown \(99\)"),
    "no name": (build.tensor(3, [1], field(9, b"\1"), name=""), "initializer number 0 has no name"),
    "no utf-8": (build.tensor(3, [1], field(9, b"\1")) + field(8, b"\xff"), "name of a tensor .* is not UTF-8"),
}


@pytest.mark.parametrize("case", REFUSED_TENSORS)
def test_impossible_tensors_are_refused(case: str) -> None:
    stored, expected = REFUSED_TENSORS[case]
    assert re.search(expected, refusal(build.model(field(5, stored))))


@pytest.mark.parametrize("name", ["STRING", "COMPLEX64", "FLOAT8E4M3FN", "FLOAT8E5M2", "UINT4", "INT4", "FLOAT4E2M1"])
def test_unsupported_element_types_are_refused_by_name(name: str) -> None:
    stored = build.tensor(TensorProto.DataType.Value(name), [1], field(9, b"\0"))
    message = refusal(build.model(field(5, stored)))
    assert f"tensor 'constant': element type {name} is not supported" in message


def test_every_element_type_of_onnx_is_known_by_name() -> None:
    for name, code in TensorProto.DataType.items():
        data = build.model(field(5, build.tensor(code, [5])))
        assert re.search(rf"\b{name}\b", refusal(data))


# --- nodes and attributes ---------------------------------------------------------------------------------------------

NUMBERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(width=32, allow_nan=False)
WORDS = st.text(st.characters(codec="utf-8"), max_size=5)
NAMES = st.text("abcxyz_/.0123456789é", min_size=1, max_size=8)
DTYPES: list[np.dtype[Any]] = [np.dtype(np.int8), np.dtype(np.float32), np.dtype(np.bool_)]
TENSORS: st.SearchStrategy[np.ndarray] = arrays.arrays(st.sampled_from(DTYPES), SHAPES)
ATTRIBUTES = {
    "FLOAT": FLOATS,
    "INT": NUMBERS,
    "STRING": WORDS,
    "FLOATS": st.lists(FLOATS, max_size=4),
    "INTS": st.lists(NUMBERS, max_size=4),
    "STRINGS": st.lists(WORDS, max_size=4),
    "TENSOR": TENSORS.map(numpy_helper.from_array),
}


@st.composite
def attribute_protos(draw: st.DrawFn, name: str) -> onnx.AttributeProto:
    kind = draw(st.sampled_from(sorted(ATTRIBUTES)))
    code = getattr(onnx.AttributeProto, kind)
    return helper.make_attribute(name, draw(ATTRIBUTES[kind]), attr_type=code)


@st.composite
def models(draw: st.DrawFn) -> onnx.ModelProto:
    initializers = [
        numpy_helper.from_array(draw(TENSORS), f"weight{index}") for index in range(draw(st.integers(0, 3)))
    ]
    known = ["", "input", *(stored.name for stored in initializers)]
    nodes = []
    for index in range(draw(st.integers(1, 6))):
        inputs = draw(st.lists(st.sampled_from(known), max_size=4))
        outputs = [f"t{index}", *draw(st.sampled_from([[], [f"u{index}"], ["", f"u{index}"]]))]
        name, domain = draw(st.sampled_from(["", f"node{index}"])), draw(st.sampled_from(["", "ai.onnx", "com.acme"]))
        node = helper.make_node(draw(NAMES), inputs, outputs, name=name, domain=domain)
        node.attribute.extend(draw(attribute_protos(name)) for name in draw(st.lists(NAMES, unique=True, max_size=3)))
        nodes.append(node)
        known += filter(None, outputs)
    output = helper.make_tensor_value_info(draw(st.sampled_from(known[1:])), TensorProto.FLOAT, None)
    built = build.small_model(nodes, initializers=initializers, outputs=[output], opset=draw(st.integers(9, 25)))
    built.graph.name = draw(WORDS)
    return built


@SETTINGS
@given(built=models())
def test_graph_equals_onnx(built: onnx.ModelProto) -> None:
    graph = read(built)
    assert build.comparable_nodes(graph) == build.onnx_nodes(built)
    assert build.comparable_initializers(graph) == build.onnx_initializers(built)
    assert graph.name == built.graph.name
    assert graph.opset == built.opset_import[0].version
    assert [info.name for info in graph.outputs] == [info.name for info in built.graph.output]


@SETTINGS
@given(built=models(), data=st.data())
def test_nodes_in_any_order_are_sorted(built: onnx.ModelProto, data: st.DataObject) -> None:
    shuffled = onnx.ModelProto.FromString(built.SerializeToString())
    del shuffled.graph.node[:]
    shuffled.graph.node.extend(data.draw(st.permutations(list(built.graph.node))))
    graph = read(shuffled)
    ready = {"", "input", *graph.initializers}
    for node in graph.nodes:
        assert ready.issuperset(node.inputs)
        ready.update(node.outputs)
    nodes = build.comparable_nodes(graph)
    assert len(nodes) == len(built.graph.node) and all(node in nodes for node in build.onnx_nodes(built))


def test_sorting_keeps_the_order_of_independent_nodes() -> None:
    last = helper.make_node("Sum", ["a", "b", "c"], ["output"])
    copies = [helper.make_node("Identity", ["input"], [name]) for name in "cab"]
    graph = read(build.small_model([last, *copies], initializers=[]))
    assert [node.outputs for node in graph.nodes] == [("c",), ("a",), ("b",), ("output",)]


def test_model_fields() -> None:
    graph = parse_onnx(build.small_model().SerializeToString(), "net.onnx")
    assert graph.metadata == {"timesteps": "8"}
    assert graph.producer == "builder 1.0"
    assert (graph.opset, graph.name, graph.path) == (13, "small", "net.onnx")
    (info,) = graph.inputs
    assert (info.name, info.dtype, info.shape) == ("input", np.dtype(np.float32), ("N", 3, None, 8))
    assert graph.outputs[0].shape is None


@pytest.mark.parametrize(
    ("declared", "dtype", "shape"),
    [
        (helper.make_tensor_type_proto(TensorProto.UINT8, [1, -1]), np.dtype(np.uint8), (1, None)),
        (helper.make_tensor_type_proto(TensorProto.BOOL, []), np.dtype(np.bool_), ()),
        (helper.make_tensor_type_proto(TensorProto.BFLOAT16, [2]), None, (2,)),
        (helper.make_tensor_type_proto(TensorProto.STRING, None), None, None),
        (helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [2])), None, None),
        (onnx.TypeProto(), None, None),
    ],
)
def test_declared_types(declared: onnx.TypeProto, dtype: Any, shape: Any) -> None:
    inputs = [onnx.ValueInfoProto(name="input", type=declared)]
    (info,) = read(build.small_model(inputs=inputs)).inputs
    assert (info.dtype, info.shape) == (dtype, shape)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (field(1, b"") + field(4, b""), "graph input 'second': is declared as a tensor and a sequence"),
        (field(1, field(2, field(1, field(1, 3) + field(2, "N")))), "'second': one of its dimensions has both"),
        (field(1, b"") + field(1, b""), "field tensor is there a second time"),
    ],
)
def test_impossible_declared_types_are_refused(declared: bytes, expected: str) -> None:
    assert expected in refusal(build.model(field(11, field(1, "second") + field(2, declared))))


def test_inputs_with_an_initializer_are_constants() -> None:
    built = build.small_model()
    built.graph.input.append(helper.make_tensor_value_info("weight", TensorProto.INT8, [2, 2]))
    assert [info.name for info in read(built).inputs] == ["input"]


@pytest.mark.parametrize(
    ("name", "outputs", "label"),
    [
        ("conv1", ("y",), "conv1"),
        ("", ("y",), "Conv -> y"),
        ("", ("", "y"), "Conv -> y"),
        ("a\nb", ("y",), "a\\nb"),
        ("x" * 1000, ("y",), "x" * 120 + "..."),
    ],
)
def test_label(name: str, outputs: tuple[str, ...], label: str) -> None:
    assert Node(name, "Conv", "", ("x",), outputs, {}).label == label


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ({"value": numpy_helper.from_array(np.array([1, 2], np.int8))}, np.array([1, 2], np.int8)),
        ({"value_float": 0.1}, np.array(0.1, np.float32)),
        ({"value_int": -(2**63)}, np.array(-(2**63), np.int64)),
        ({"value_floats": [0.1, 2.0]}, np.array([0.1, 2.0], np.float32)),
        ({"value_ints": [1, -1]}, np.array([1, -1], np.int64)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_constant_nodes_become_initializers(attribute: dict[str, Any], expected: np.ndarray) -> None:
    constant = helper.make_node("Constant", [], ["c"], **attribute)
    graph = read(build.small_model([constant, helper.make_node("Add", ["input", "c"], ["output"])], initializers=[]))
    assert [node.operator for node in graph.nodes] == ["Add"]
    assert build.comparable(graph.initializers["c"]) == build.comparable(expected)
    assert not graph.initializers["c"].flags.writeable


@pytest.mark.parametrize(
    ("inputs", "attributes", "expected"),
    [
        ([], {}, "has 0 inputs, 1 outputs and 0 attributes"),
        (["input"], {"value_int": 1}, "has 1 inputs, 1 outputs and 1 attributes"),
        ([], {"value_int": 1, "value_float": 1.0}, "2 attributes"),
        (
            [],
            {"value_string": "a"},
            "'value_string' is not a supported kind of constant; use one of value, value_float",
        ),
        ([], {"value_float": "a"}, "'value_float' is not a supported"),
        ([], {"value_int": [1]}, "'value_int' is not a supported"),
        ([], {"value_ints": 1}, "'value_ints' is not a supported"),
        ([], {"value": 1}, "'value' is not a supported"),
    ],
)
def test_impossible_constant_nodes_are_refused(inputs: list[str], attributes: dict[str, Any], expected: str) -> None:
    constant = helper.make_node("Constant", inputs, ["c"], **attributes)
    copy = helper.make_node("Identity", ["input"], ["output"])
    message = refusal(build.small_model([constant, copy]).SerializeToString())
    assert "node 'Constant -> c' (Constant)" in message and expected in message


def test_strings_that_are_not_utf8_stay_bytes() -> None:
    node = helper.make_node("Tokenizer", ["input"], ["output"], word=b"\xff\xfe")
    assert read(build.small_model([node])).nodes[0].attributes == {"word": b"\xff\xfe"}


@pytest.mark.parametrize("count", [0, 1, 50, 5000])
def test_lists_of_integers_of_any_length(count: int) -> None:
    values = [(-3) ** (index % 39) for index in range(count)]
    node = helper.make_node("Any", ["input"], ["output"])
    node.attribute.append(helper.make_attribute("values", values, attr_type=onnx.AttributeProto.INTS))
    assert read(build.small_model([node])).nodes[0].attributes == {"values": values}


def test_attributes_left_out_have_their_zero() -> None:
    """Writers of the third protobuf syntax leave out zeros."""
    attributes = [field(5, field(1, f"a{code}") + field(20, code)) for code in (1, 2, 3, 6, 7, 8)]
    node = field(1, "input") + field(2, "spare") + field(4, "Any") + b"".join(attributes)
    (_, read_node) = parse_onnx(build.model(field(1, node))).nodes
    assert read_node.attributes == {"a1": 0.0, "a2": 0, "a3": "", "a6": [], "a7": [], "a8": []}


REFUSED_ATTRIBUTES = {
    "no name": (field(20, 2) + field(3, 1), "has an attribute without a name"),
    "no type": (field(1, "a") + field(3, 1), "attribute type UNDEFINED is not supported"),
    "unknown type": (field(1, "a") + field(20, 77), r"attribute type unknown \(77\)"),
    "two values": (field(1, "a") + field(20, 2) + field(3, 1) + field(8, 1), "type INT but has a value in ints"),
    "other value": (field(1, "a") + field(20, 1) + field(3, 1), "type FLOAT but has a value in i;"),
    "tensors": (field(1, "a") + field(20, 9), "attribute type TENSORS is not supported"),
    "sparse tensor": (field(1, "a") + field(20, 11) + field(22, b""), "attribute type SPARSE_TENSOR is not supported"),
    "type": (field(1, "a") + field(20, 13) + field(14, b""), "attribute type TYPE_PROTO is not supported"),
    "empty tensor": (field(1, "a") + field(20, 4), "element type UNDEFINED is not supported"),
    "two tensors": (field(1, "a") + field(20, 4) + 2 * field(5, FLAG), "field t is there a second time"),
    "reference": (field(1, "a") + field(20, 2) + field(21, "b"), "refers to a function's parameter"),
    "strings": (field(1, "a") + field(20, 8) + field(9, b"\xff"), "a string at byte .* is not UTF-8"),
    "wire type": (
        field(1, "a") + field(20, 2) + field(3, "x"),
        "field i at byte .* is bytes with a length, expected a varint",
    ),
    "twice": (field(1, "a") + field(20, 2) + field(3, 1), "attribute 'a' is there twice"),
}


@pytest.mark.parametrize("case", REFUSED_ATTRIBUTES)
def test_impossible_attributes_are_refused_with_the_node(case: str) -> None:
    attribute, expected = REFUSED_ATTRIBUTES[case]
    node = field(1, "input") + field(2, "spare") + field(3, "odd") + field(4, "Any")
    node += field(5, attribute) * (2 if case == "twice" else 1)
    message = refusal(build.model(field(1, node)))
    assert re.search(f"node 'odd' \\(Any\\): .*{expected}", message)


def nested_graph(depth: int) -> bytes:
    graph = b""
    for _ in range(depth):
        attribute = field(1, "then_branch") + field(20, 5) + field(6, graph)
        graph = field(1, field(2, "spare") + field(3, "branch") + field(4, "If") + field(5, attribute))
    return graph


@pytest.mark.parametrize("depth", [1, 3000])
def test_nested_graphs_are_refused_with_the_node(depth: int) -> None:
    message = refusal(build.model(nested_graph(depth)))
    assert "node 'branch' (If): attribute 'then_branch': holds a nested graph" in message


def test_lists_of_nested_graphs_are_refused() -> None:
    node = field(2, "spare") + field(3, "branch") + field(4, "Odd") + field(5, field(1, "a") + field(11, b""))
    assert "holds a nested graph" in refusal(build.model(field(1, node)))


def test_deeply_nested_types_are_skipped() -> None:
    declared = b""
    for _ in range(5000):
        declared = field(4, field(1, declared))
    graph = parse_onnx(build.model(field(11, field(1, "second") + field(2, declared))))
    assert graph.inputs[1].dtype is None


# --- graphs -----------------------------------------------------------------------------------------------------------


def chain(*links: tuple[str, str]) -> list[onnx.NodeProto]:
    return [helper.make_node("Relu", [source], [target], name=f"to_{target}") for source, target in links]


def changed(change: Callable[[onnx.ModelProto], Any]) -> onnx.ModelProto:
    built = build.small_model()
    change(built)
    return built


REFUSED_GRAPHS = {
    "cycle": (
        build.small_model(chain(("input", "output"), ("c", "a"), ("a", "b"), ("b", "c"), ("c", "d"))),
        "cycle, 'to_a' -> 'to_b' -> 'to_c' -> 'to_a';",
    ),
    "cycle of one": (build.small_model(chain(("input", "output"), ("a", "a"))), "cycle, 'to_a' -> 'to_a';"),
    "long cycle": (
        build.small_model(chain(("input", "output"), *((f"t{i}", f"t{(i + 1) % 12}") for i in range(12)))),
        "-> 'to_t6' -> 'to_t7' -> 'to_t8' -> ... (12 nodes);",
    ),
    "input from nowhere": (
        build.small_model(chain(("input", "a"), ("ghost", "output"))),
        "node 'to_output' (Relu): its input 'ghost' comes from nowhere",
    ),
    "output from nowhere": (build.small_model(chain(("input", "a"))), "graph output 'output' comes from nowhere"),
    "two nodes, one name": (
        build.small_model(chain(("input", "output"), ("input", "output"))),
        "tensor 'output' comes from two places, node 'to_output' and node 'to_output'",
    ),
    "node makes input": (build.small_model(chain(("input", "input"))), "a graph input and node 'to_input'"),
    "node makes initializer": (build.small_model(chain(("input", "weight"))), "an initializer and node 'to_weight'"),
    "two inputs": (changed(lambda m: m.graph.input.append(m.graph.input[0])), "a graph input and a graph input"),
    "two initializers": (
        changed(lambda m: m.graph.initializer.append(m.graph.initializer[0])),
        "there are two initializers 'weight'",
    ),
    "no inputs": (build.small_model(inputs=[]), "its graph has no inputs other than constants"),
    "only constant inputs": (
        changed(lambda m: setattr(m.graph.input[0], "name", "weight")),
        "its graph has no inputs other than constants",
    ),
    "no outputs": (build.small_model(outputs=[]), "its graph has no outputs"),
    "nameless input": (changed(lambda m: setattr(m.graph.input[0], "name", "")), "a graph input has no name"),
    "node without outputs": (
        changed(lambda m: m.graph.node[0].ClearField("output")),
        "node number 0: Conv has no outputs",
    ),
    "node without operator": (
        changed(lambda m: m.graph.node[0].ClearField("op_type")),
        "node number 0: has no operator",
    ),
    "sparse": (changed(lambda m: m.graph.sparse_initializer.add()), "sparse initializers, which are not supported"),
    "function": (changed(lambda m: m.functions.add(name="f")), "local functions, which are not supported; inline them"),
    "training": (changed(lambda m: m.training_info.add()), "training information, which is not supported"),
    "no graph": (changed(lambda m: m.ClearField("graph")), "holds no graph"),
    "no opset": (changed(lambda m: m.ClearField("opset_import")), "names no opset"),
    "only other opsets": (changed(lambda m: setattr(m.opset_import[0], "domain", "com.acme")), "names no opset"),
    "old opset": (build.small_model(opset=8), "opset 8 is not supported, only 9 to 25; convert it"),
    "new opset": (build.small_model(opset=26), "opset 26 is not supported"),
    "negative opset": (build.small_model(opset=-1), "opset -1 is not supported"),
    "two opsets": (
        changed(lambda m: m.opset_import.add(domain="ai.onnx", version=14)),
        "imports opset 13 and also 14",
    ),
    "metadata twice": (
        changed(lambda m: m.metadata_props.add(key="timesteps", value="4")),
        "metadata 'timesteps' is there twice",
    ),
}


@pytest.mark.parametrize("case", REFUSED_GRAPHS)
def test_impossible_graphs_are_refused(case: str) -> None:
    built, expected = REFUSED_GRAPHS[case]
    assert expected in refusal(built.SerializeToString())


def test_parts_that_reach_no_output_are_kept() -> None:
    graph = read(build.small_model(chain(("input", "output"), ("input", "a"), ("a", "b"))))
    assert [node.label for node in graph.nodes] == ["to_output", "to_a", "to_b"]


def test_quantization_annotations_other_domains_and_the_long_default_domain_are_accepted() -> None:
    built = build.small_model()
    built.graph.quantization_annotation.add(tensor_name="weight")
    built.opset_import[0].domain = "ai.onnx"
    built.opset_import.add(domain="com.acme", version=99)
    assert read(built).opset == 13


def test_long_chains_need_no_recursion() -> None:
    nodes = chain(("input", "t0"), *((f"t{i}", f"t{i + 1}") for i in range(3000)), ("t3000", "output"))
    assert len(read(build.small_model(nodes[::-1])).nodes) == 3002


# --- protobuf ---------------------------------------------------------------------------------------------------------

REFUSED_WIRE = {
    "group": (b"\x1b\x1c", "is a group, which ONNX does not use"),
    "end of group": (b"\x1c", "is the end of a group"),
    "wire type 6": (b"\x1e", "of unknown wire type 6"),
    "field number 0": (b"\x00\x01", "field number 0 at byte"),
    "field number 2**29": (build.varint(1 << 32) + b"\x01", "field number 536870912 at byte"),
    "3 GB": (b"\x3a" + build.varint(3 << 30), "3221225472 bytes are announced before byte .* but 0 follow"),
    "2**63 bytes": (b"\x7a" + build.varint(1 << 63), "9223372036854775808 bytes are announced"),
    "fixed 64 cut": (b"\xf9\x01\1\2\3", "8 bytes are announced .* but 3 follow"),
    "fixed 32 cut": (b"\xfd\x01\1\2\3", "4 bytes are announced .* but 3 follow"),
    "tag cut": (b"\x80", "ends early"),
    "varint cut": (b"\x08\x80\x80", "ends early"),
    "varint of 11 bytes": (b"\x08" + b"\x80" * 10 + b"\x01", "more than 64 bits"),
    "varint of 65 bits": (b"\x08" + b"\x80" * 9 + b"\x02", "more than 64 bits"),
    "second graph": (field(7, b""), "field graph is there a second time"),
    "graph as number": (field(7, 3), "field graph at byte .* is a varint, expected bytes with a length"),
    "producer": (field(2, b"\xed\xa0\x80"), "the producer's name at byte .* is not UTF-8"),
    "metadata": (field(14, field(1, "k") + field(2, b"\xff")), "metadata 'k' at byte .* is not UTF-8"),
}


@pytest.mark.parametrize("case", REFUSED_WIRE)
def test_impossible_protobuf_is_refused(case: str) -> None:
    extra, expected = REFUSED_WIRE[case]
    assert re.search(expected, refusal(build.model(model_fields=extra)))


def test_unknown_fields_are_skipped_and_the_last_scalar_counts() -> None:
    extra = field(500, 7) + field(501, "text") + field(502, bytes(8), FIXED64) + field(503, bytes(4), FIXED32)
    extra += field(2, "first") + field(2, "last")
    assert parse_onnx(build.model(extra, model_fields=extra)).producer == "last"


@pytest.mark.parametrize("entry", [field(1, b""), field(99, 1)], ids=["nodes", "unknown fields"])
def test_too_many_fields_are_refused_before_they_take_minutes_or_fill_the_memory(entry: bytes) -> None:
    assert "has more than 500000 protobuf fields" in refusal(build.model(entry * 500_000))


@pytest.mark.parametrize("case", ["3 GB", "huge and empty", "packed varint endless"])
def test_refusing_a_huge_declaration_allocates_next_to_nothing(case: str) -> None:
    data = build.model(field(5, REFUSED_TENSORS[case][0]))
    tracemalloc.start()
    try:
        refusal(data)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(data * 2)[: len(data)]])
def test_any_kind_of_bytes_is_read(kind: Callable[[bytes], Any]) -> None:
    data = build.small_model().SerializeToString()
    assert parse_onnx(kind(data)).name == "small"


def test_bytes_with_gaps_between_them_are_read() -> None:
    data = build.small_model().SerializeToString()
    assert parse_onnx(memoryview(b"".join(bytes([octet, 0]) for octet in data))[::2]).name == "small"


# --- files ------------------------------------------------------------------------------------------------------------


def test_file_equals_bytes(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(build.small_model(), path)
    graph = read_onnx(path)
    assert build.comparable_nodes(graph) == build.onnx_nodes(onnx.load(path))
    assert graph.path == str(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "is a PNG picture, not an ONNX file; export"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "is a JPEG picture"),
        (b"PK\x03\x04" + bytes(40), "is a zip archive or a PyTorch checkpoint"),
        (bytes(4) + b"ORTM" + bytes(40), "is a model in ONNX Runtime's own format"),
        (b"Hello, this is a readme.\nIt has two lines.\n", "is a text that starts with 'Hello, this is a rea'"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer, .*run git lfs pull"),
        (bytes(100), "field number 0 at byte 0"),
    ],
)
def test_other_files_are_refused_by_what_they_are(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"^{re.escape(str(path))}: .*{expected}"):
        read_onnx(path)


def test_unreadable_paths_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**31)
    for name, expected in (
        ("missing", "cannot be read: No such file or directory; check the path"),
        ("n" * 300, "cannot be read: File name too long"),
        ("null\0", "is not a possible path: .*null"),
        (".", "is a directory; give the path of the .onnx file"),
        ("pipe", "is not a regular file"),
        ("huge", "has 2147483648 bytes, more than the 2147483647 that ONNX allows"),
        ("two\nlines", r"two\\nlines: cannot be read"),
    ):
        with pytest.raises(ModelError, match=expected) as caught:
            read_onnx(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_running_out_of_memory_is_a_model_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*arguments: Any) -> None:
        raise MemoryError

    path = tmp_path / "net.onnx"
    path.write_bytes(build.model())
    for function in ("_read_model", "_read_file"):
        monkeypatch.setattr(onnx_reader, function, exhausted)
        with pytest.raises(ModelError, match="does not fit into memory; close other programs"):
            read_onnx(path)


# --- damaged files ----------------------------------------------------------------------------------------------------


def check_damaged(data: bytes) -> bool:
    """Return whether the reader accepted a damaged file; it must then have read what the onnx package reads."""
    try:
        graph = parse_onnx(data, "net.onnx")
    except ModelError as error:
        assert str(error).startswith("net.onnx: ") and str(error).isprintable()
        return False
    try:
        built = onnx.load_model_from_string(data)
    except Exception:  # protobuf's own; damage in a part that the reader skips
        return True
    assert sorted(build.comparable_nodes(graph), key=repr) == sorted(build.onnx_nodes(built), key=repr)
    assert build.comparable_initializers(graph) == build.onnx_initializers(built)
    assert graph.metadata == {entry.key: entry.value for entry in built.metadata_props}
    assert graph.opset in [entry.version for entry in built.opset_import]
    constants = {stored.name for stored in built.graph.initializer}
    inputs = [info for info in built.graph.input if info.name not in constants]
    assert [(info.name, info.shape) for info in graph.inputs] == build.onnx_shapes(inputs)
    assert [(info.name, info.shape) for info in graph.outputs] == build.onnx_shapes(built.graph.output)
    return True


def test_files_cut_at_any_byte() -> None:
    data = build.small_model().SerializeToString()
    accepted = [length for length in range(len(data)) if check_damaged(data[:length])]
    # The metadata and the opset come last; a file that ends between two fields is a sound file.
    assert all(parse_onnx(data[:length]).name == "small" for length in accepted)
    assert len(accepted) < 4


def test_files_with_any_bit_flipped() -> None:
    data = build.small_model().SerializeToString()
    accepted = 0
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        accepted += check_damaged(bytes(damaged))
    assert 0 < accepted < 8 * len(data)


def typed_and_constant_model() -> bytes:
    initializers = [
        helper.make_tensor("weight", TensorProto.INT8, [2, 3], [1, -2, 3, -4, 5, -6]),
        helper.make_tensor("scale", TensorProto.FLOAT, [2], [0.5, 0.25]),
        helper.make_tensor("half", TensorProto.FLOAT16, [2], [0.5, 0.25]),
        helper.make_tensor("flags", TensorProto.BOOL, [2], [True, False]),
        helper.make_tensor("steps", TensorProto.INT64, [3], [1, -(2**40), 7]),
        helper.make_tensor("sizes", TensorProto.UINT64, [2], [1, 2**63]),
        helper.make_tensor("wide", TensorProto.DOUBLE, [1], [0.1]),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["weight", "scale"], ["w"], name="dequantize", axis=0),
        helper.make_node("MatMul", ["input", "w"], ["m"], name="multiply"),
        helper.make_node("Odd", ["m", "", "half", "flags"], ["o", "", "p"], domain="com.acme", table=initializers[0]),
        helper.make_node("Reshape", ["o", "steps"], ["output"], name="flatten", axes=[1, -1], ratios=[0.5]),
    ]
    data: bytes = build.small_model(nodes, initializers=initializers).SerializeToString()
    return data


@settings(SETTINGS, max_examples=600)
@given(edits=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4), data=st.data())
def test_files_with_random_edits(edits: list[tuple[int, int]], data: st.DataObject) -> None:
    damaged = bytearray(typed_and_constant_model())
    for position, octet in edits:
        damaged[position % len(damaged)] = octet
    position = data.draw(st.integers(0, len(damaged)))
    damaged[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    check_damaged(bytes(damaged))


@settings(SETTINGS, max_examples=300)
@given(data=st.binary(max_size=60), prefix=st.sampled_from([b"", b"\x3a\x28", b"\x08\x08\x3a\x20\x0a\x10"]))
def test_random_bytes(data: bytes, prefix: bytes) -> None:
    check_damaged(prefix + data)
