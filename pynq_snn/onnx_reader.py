"""Reads ONNX files with numpy and the standard library alone, because the board has no onnx package.

Three layers: protobuf fields (`_Wire`), ONNX messages (`_read_*`), and the checks that make a graph safe to walk
(`_connect`). No operator has a meaning here except Constant, whose values become initializers.

Everything is refused that could be read in two ways, so a damaged file raises `ModelError` instead of running as
another network. Nothing is allocated on a file's word: a length is compared with the bytes that are there first.
"""

from __future__ import annotations

import heapq
import math
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pynq_snn.errors import ModelError

OLDEST_OPSET = 9
NEWEST_OPSET = 25
MAX_FILE_BYTES = 2**31 - 1  # protobuf's own limit
MAX_RANK = 32  # numpy's limit before version 2
MAX_FIELDS = 500_000  # of all messages; a field takes 2 bytes of a file, but a microsecond and a hundred bytes to read

Array = npt.NDArray[Any]
Attribute = int | float | str | bytes | Array | list[int] | list[float] | list[str]

_DAMAGED = "the file is damaged or was cut short; copy or export it again"
_SHOWN_LETTERS = 120  # of a name in a message
_SHOWN_NODES = 8  # of a cycle in a message


# --- what a file holds ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of a graph; compared by identity.

    Attributes
    ----------
    name : str
        May be empty; `label` never is.
    operator, domain : str
        The default domain is "", also where the file spells it "ai.onnx".
    inputs, outputs : tuple of str
        Tensor names; "" stands for an optional tensor that is left out. At least one output has a name.
    attributes : dict
        Tensors are read-only arrays. A string that is not UTF-8 stays bytes.
    """

    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute]

    @property
    def label(self) -> str:
        """What messages call this node, on one line: its name, or else its operator and first output."""
        if self.name:
            return _printable(self.name)
        output = next((name for name in self.outputs if name), "")
        return _printable(f"{self.operator} -> {output}")


@dataclass(frozen=True)
class ValueInfo:
    """Name and declared type of a graph input or output.

    Attributes
    ----------
    name : str
    dtype : np.dtype or None
        None where nothing is declared or numpy has no such type.
    shape : tuple of int, str or None, or None
        A str is a symbolic size, a None inside is an unknown size. None as a whole: no shape is declared.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str | None, ...] | None


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph whose tensor names are unique, whose every tensor has a source, and which has no cycles.

    Attributes
    ----------
    name : str
    nodes : tuple of Node
        In topological order; nodes that are in order in the file keep their places. Constant nodes are left out.
    initializers : dict of str to array
        Read-only, little-endian or native, aligned; the values of Constant nodes among them.
    inputs : tuple of ValueInfo
        Without those that have an initializer. At least one.
    outputs : tuple of ValueInfo
        At least one.
    opset : int
        Of the default domain.
    metadata : dict of str to str
        The model's metadata_props.
    producer : str
        Name and version of the program that wrote the file; may be empty.
    path : str
        For messages.
    """

    name: str
    nodes: tuple[Node, ...]
    initializers: dict[str, Array]
    inputs: tuple[ValueInfo, ...]
    outputs: tuple[ValueInfo, ...]
    opset: int
    metadata: dict[str, str]
    producer: str
    path: str


def read_onnx(path: str | Path) -> Graph:
    """Read an ONNX file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Graph

    Raises
    ------
    ModelError
        The file cannot be opened, is not an ONNX file, is damaged, or holds something that is not supported.
    """
    return parse_onnx(read_bytes(path), str(path))


def read_bytes(path: str | Path) -> bytes:
    """Return what is in a file, for `parse_onnx`.

    Raises
    ------
    ModelError
        The file cannot be opened, is none, is empty, or is larger than an ONNX file can be.
    """
    try:
        return _read_file(Path(path))
    except _Refused as refused:
        text = str(refused)
    except OSError as error:
        text = f"cannot be read: {error.strerror or error}; check the path and its permissions"
    except ValueError as error:
        text = f"is not a possible path: {error}; check the path"
    except MemoryError:
        text = "does not fit into memory; close other programs or use a smaller model"
    raise ModelError(f"{_one_line(str(path))}: {text}")


def parse_onnx(data: bytes | memoryview, path: str = "<bytes>") -> Graph:
    """Read an ONNX file that is in memory already.

    Parameters
    ----------
    data : bytes or memoryview
        The initializers share this memory where they can.
    path : str
        What messages call the file.

    Returns
    -------
    Graph

    Raises
    ------
    ModelError
        The bytes are not an ONNX file, are damaged, or hold something that is not supported.
    """
    octets = _octets(data)
    try:
        _check_size(len(octets))
        return _read_model(_Wire(octets), path)
    except _Refused as refused:
        text = _other_kind_of_file(octets) or str(refused)
    except MemoryError:
        text = "does not fit into memory; close other programs or use a smaller model"
    raise ModelError(f"{_one_line(path)}: {text}")


# --- files and messages -----------------------------------------------------------------------------------------------


class _Refused(Exception):
    """What is wrong and what to do about it, without the path that the public functions put in front."""


def _read_file(path: Path) -> bytes:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise _Refused("is a directory; give the path of the .onnx file in it")
    if not stat.S_ISREG(status.st_mode):  # a pipe or a terminal could make reading wait for ever
        raise _Refused("is not a regular file but a device or a pipe; copy the model to a file first")
    _check_size(status.st_size)
    with path.open("rb") as file:
        return file.read(status.st_size)


def _check_size(size: int) -> None:
    if size == 0:
        raise _Refused("is empty (0 bytes), so its export or its copy was interrupted; copy or export it again")
    if size > MAX_FILE_BYTES:
        raise _Refused(f"has {size} bytes, more than the {MAX_FILE_BYTES} that ONNX allows; use a smaller model")


def _octets(data: bytes | memoryview) -> memoryview:
    view = memoryview(data)
    if view.nbytes == 0 or not view.c_contiguous:
        return memoryview(view.tobytes())
    return view.cast("B")


_SIGNATURES = (
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"PK\x03\x04", "a zip archive or a PyTorch checkpoint"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x89HDF", "an HDF5 file"),
    (4, b"ORTM", "a model in ONNX Runtime's own format"),
    (4, b"TFL3", "a TensorFlow Lite model"),
)


def _other_kind_of_file(octets: memoryview) -> str | None:
    """Recognise what users mistake for ONNX files; asked only after reading has failed."""
    start = bytes(octets[:64])
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the model itself; run git lfs pull"
    for offset, signature, kind in _SIGNATURES:
        if start[offset:].startswith(signature):
            return f"is {kind}, not an ONNX file; export the network to ONNX"
    if start and all(32 <= octet < 127 or octet in b"\t\r\n" for octet in start):
        return f"is a text that starts with {start[:20].decode()!r}, not an ONNX file; export the network to ONNX"
    return None


def _one_line(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]


def _printable(name: str) -> str:
    shown = name if len(name) <= _SHOWN_LETTERS else f"{name[:_SHOWN_LETTERS]}..."
    return _one_line(shown)


def _quoted(name: str) -> str:
    return f"'{_printable(name)}'"


# --- protobuf ---------------------------------------------------------------------------------------------------------

Span = tuple[int, int]
Fields = dict[str, Any]  # by name: int (varint), Span (bytes), list of Span (each), memoryview or bytearray (numbers)

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_WIRE_TYPES = {
    _VARINT: "a varint",
    _FIXED64: "64 bits",
    _LENGTH: "bytes with a length",
    3: "a group",
    4: "the end of a group",
    _FIXED32: "32 bits",
}


class _Repeat(Enum):
    """What a field means that occurs more than once."""

    LAST = auto()  # scalars: the last one counts
    NEVER = auto()  # messages: protobuf would merge them, which no writer of ONNX files asks for
    EACH = auto()  # a list of byte spans
    NUMBERS = auto()  # a list of numbers, packed into one span or not


class _Field(NamedTuple):
    name: str
    wire_type: int
    repeat: _Repeat = _Repeat.LAST


def _once(name: str) -> _Field:
    return _Field(name, _LENGTH, _Repeat.NEVER)


def _each(name: str) -> _Field:
    return _Field(name, _LENGTH, _Repeat.EACH)


def _numbers(name: str, wire_type: int = _VARINT) -> _Field:
    return _Field(name, wire_type, _Repeat.NUMBERS)


def _varint(octets: memoryview | bytearray, position: int, end: int) -> tuple[int, int]:
    """Return an unsigned 64-bit number and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise _Refused(f"a number at byte {position} ends early; {_DAMAGED}")
        octet = octets[position]
        position += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            break
    if octet >= 0x80 or value >> 64:
        raise _Refused(f"the number before byte {position} has more than 64 bits; {_DAMAGED}")
    return value, position


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _integers(packed: memoryview | bytearray) -> list[int]:
    """Return signed numbers. A loop is faster than numpy for the few that sizes and paddings have."""
    if len(packed) > 500:
        return [value for values in _varint_arrays(packed) for value in values.view(np.int64).tolist()]
    values, position = [], 0
    while position < len(packed):
        value, position = _varint(packed, position, len(packed))
        values.append(_signed(value))
    return values


class _Wire:
    """Splits protobuf messages into fields. Positions count from the start of the file."""

    def __init__(self, octets: memoryview) -> None:
        self.octets = octets
        self.whole = (0, len(octets))
        self.fields_left = MAX_FIELDS

    def fields(self, span: Span, known: dict[int, _Field]) -> Fields:
        """Return the known fields of the message in `span`; skip the others."""
        found: Fields = {}
        octets = self.octets
        position, end = span
        while position < end:
            start = position
            tag, position = _varint(octets, position, end)
            wire_type = tag & 7
            value: int | Span
            if wire_type == _VARINT:
                value, position = _varint(octets, position, end)
            else:
                value = self._span(wire_type, position, end)
                position = value[1]
            if not 8 <= tag < 1 << 32:
                raise _Refused(f"field number {tag >> 3} at byte {start} is not possible; {_DAMAGED}")
            self.fields_left -= 1
            if self.fields_left < 0:
                raise _Refused(
                    f"has more than {MAX_FIELDS} protobuf fields; save it with packed numbers or make it smaller"
                )
            field = known.get(tag >> 3)
            if field is not None:
                self._store(found, field, wire_type, value, start)
        return found

    def _span(self, wire_type: int, position: int, end: int) -> Span:
        start = position
        if wire_type == _LENGTH:
            size, start = _varint(self.octets, position, end)
        elif wire_type == _FIXED32:
            size = 4
        elif wire_type == _FIXED64:
            size = 8
        else:
            kind = _WIRE_TYPES.get(wire_type, f"of unknown wire type {wire_type}")
            raise _Refused(f"the field before byte {position} is {kind}, which ONNX does not use; {_DAMAGED}")
        if size > end - start:
            raise _Refused(f"{size} bytes are announced before byte {start} but {end - start} follow; {_DAMAGED}")
        return start, start + size

    def _store(self, found: Fields, field: _Field, wire_type: int, value: int | Span, start: int) -> None:
        packed = wire_type == _LENGTH and field.repeat is _Repeat.NUMBERS
        if wire_type != field.wire_type and not packed:
            kinds = f"{_WIRE_TYPES[wire_type]}, expected {_WIRE_TYPES[field.wire_type]}"
            raise _Refused(f"field {field.name} at byte {start} is {kinds}; {_DAMAGED}")
        if field.repeat is _Repeat.NUMBERS:
            self._append_numbers(found, field, wire_type, value)
        elif field.repeat is _Repeat.EACH:
            found.setdefault(field.name, []).append(value)
        elif field.repeat is _Repeat.NEVER and field.name in found:
            raise _Refused(f"field {field.name} is there a second time at byte {start}; {_DAMAGED}")
        else:
            found[field.name] = value

    def _append_numbers(self, found: Fields, field: _Field, wire_type: int, value: int | Span) -> None:
        piece: memoryview | bytes
        if isinstance(value, int):
            piece = _encode_varint(value)
        else:
            piece = self.octets[value[0] : value[1]]
            self._check_packed(field, piece)
        before = found.get(field.name)
        if before is None and wire_type == _LENGTH:
            found[field.name] = piece  # the usual case: one packed field, not copied
        elif isinstance(before, bytearray):
            before += piece
        else:
            found[field.name] = bytearray(before or b"") + piece

    @staticmethod
    def _check_packed(field: _Field, piece: memoryview) -> None:
        size = {_FIXED32: 4, _FIXED64: 8}.get(field.wire_type, 1)
        if len(piece) % size or (field.wire_type == _VARINT and len(piece) and piece[-1] >= 0x80):
            raise _Refused(f"the last number of field {field.name} is cut short; {_DAMAGED}")

    def text(self, span: Span | None, what: str) -> str:
        """Return a string; "" where the field is missing."""
        if span is None:
            return ""
        content = bytes(self.octets[span[0] : span[1]])
        try:
            return content.decode()
        except UnicodeDecodeError:
            shown = content[:20]
            raise _Refused(f"{what} at byte {span[0]} is not UTF-8 text ({shown!r}); {_DAMAGED}") from None

    def texts(self, spans: Sequence[Span], what: str) -> tuple[str, ...]:
        return tuple(self.text(span, what) for span in spans)


def _encode_varint(value: int) -> bytes:
    """Write a number of an unpacked field as packed fields hold it, so that both kinds are decoded in one place."""
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


_VARINT_CHUNK = 1 << 16


def _varint_arrays(packed: memoryview | bytearray) -> Iterator[npt.NDArray[np.uint64]]:
    """Decode packed varints, a chunk at a time so that the working memory stays small."""
    octets = np.frombuffer(packed, np.uint8)
    start = 0
    while start < octets.size:
        chunk = octets[start : start + _VARINT_CHUNK]
        stops = np.flatnonzero(chunk < 0x80) + 1
        starts = np.concatenate(([0], stops[:-1]))
        lengths = stops - starts
        if stops.size == 0 or lengths.max() > 10 or (chunk[stops - 1][lengths == 10] > 1).any():
            raise _Refused(f"one of its numbers has more than 64 bits; {_DAMAGED}")
        values = np.zeros(stops.size, np.uint64)
        for place in range(int(lengths.max())):
            longer = lengths > place
            digits = chunk[starts[longer] + place] & np.uint8(0x7F)
            values[longer] |= digits.astype(np.uint64) << np.uint64(7 * place)
        start += int(stops[-1])
        yield values


# --- the fields of ONNX messages --------------------------------------------------------------------------------------

_MODEL = {
    2: _Field("producer_name", _LENGTH),
    3: _Field("producer_version", _LENGTH),
    7: _once("graph"),
    8: _each("opset_import"),
    14: _each("metadata_props"),
    20: _each("training_info"),
    25: _each("functions"),
}
_OPSET = {1: _Field("domain", _LENGTH), 2: _Field("version", _VARINT)}
_ENTRY = {1: _Field("key", _LENGTH), 2: _Field("value", _LENGTH)}
_GRAPH = {
    1: _each("node"),
    2: _Field("name", _LENGTH),
    5: _each("initializer"),
    11: _each("input"),
    12: _each("output"),
    15: _each("sparse_initializer"),
}
_NODE = {
    1: _each("input"),
    2: _each("output"),
    3: _Field("name", _LENGTH),
    4: _Field("op_type", _LENGTH),
    5: _each("attribute"),
    7: _Field("domain", _LENGTH),
}
_ATTRIBUTE = {
    1: _Field("name", _LENGTH),
    2: _Field("f", _FIXED32),
    3: _Field("i", _VARINT),
    4: _Field("s", _LENGTH),
    5: _once("t"),
    6: _once("g"),
    7: _numbers("floats", _FIXED32),
    8: _numbers("ints"),
    9: _each("strings"),
    10: _each("tensors"),
    11: _each("graphs"),
    14: _once("tp"),
    15: _each("type_protos"),
    20: _Field("type", _VARINT),
    21: _Field("ref_attr_name", _LENGTH),
    22: _once("sparse_tensor"),
    23: _each("sparse_tensors"),
}
_TENSOR = {
    1: _numbers("dims"),
    2: _Field("data_type", _VARINT),
    3: _once("segment"),
    4: _numbers("float_data", _FIXED32),
    5: _numbers("int32_data"),
    6: _each("string_data"),
    7: _numbers("int64_data"),
    8: _Field("name", _LENGTH),
    9: _Field("raw_data", _LENGTH),
    10: _numbers("double_data", _FIXED64),
    11: _numbers("uint64_data"),
    14: _Field("data_location", _VARINT),
}
_VALUE_INFO = {1: _Field("name", _LENGTH), 2: _once("type")}
_TYPE = {
    1: _once("tensor"),
    4: _once("sequence"),
    5: _once("map"),
    7: _once("opaque"),
    8: _once("sparse tensor"),
    9: _once("optional"),
}
_TENSOR_TYPE = {1: _Field("elem_type", _VARINT), 2: _once("shape")}
_SHAPE = {1: _each("dim")}
_DIMENSION = {1: _Field("dim_value", _VARINT), 2: _Field("dim_param", _LENGTH)}


# --- tensors ----------------------------------------------------------------------------------------------------------


class _ElementType(NamedTuple):
    name: str
    stored: np.dtype[Any]  # as raw_data holds it
    typed_field: str
    dtype: np.dtype[Any]  # of the array


def _element_type(name: str, dtype: str, typed_field: str, stored: str | None = None) -> _ElementType:
    return _ElementType(name, np.dtype(stored or dtype), typed_field, np.dtype(dtype))


_ELEMENT_TYPES = {
    1: _element_type("FLOAT", "<f4", "float_data"),
    2: _element_type("UINT8", "<u1", "int32_data"),
    3: _element_type("INT8", "<i1", "int32_data"),
    4: _element_type("UINT16", "<u2", "int32_data"),
    5: _element_type("INT16", "<i2", "int32_data"),
    6: _element_type("INT32", "<i4", "int32_data"),
    7: _element_type("INT64", "<i8", "int64_data"),
    9: _element_type("BOOL", "?", "int32_data", stored="<u1"),
    10: _element_type("FLOAT16", "<f2", "int32_data", stored="<u2"),
    11: _element_type("DOUBLE", "<f8", "double_data"),
    12: _element_type("UINT32", "<u4", "uint64_data"),
    13: _element_type("UINT64", "<u8", "uint64_data"),
    16: _element_type("BFLOAT16", "<f4", "int32_data", stored="<u2"),
}
_BFLOAT16 = 16
_OTHER_ELEMENT_TYPES = {
    0: "UNDEFINED",
    8: "STRING",
    14: "COMPLEX64",
    15: "COMPLEX128",
    17: "FLOAT8E4M3FN",
    18: "FLOAT8E4M3FNUZ",
    19: "FLOAT8E5M2",
    20: "FLOAT8E5M2FNUZ",
    21: "UINT4",
    22: "INT4",
    23: "FLOAT4E2M1",
    24: "FLOAT8E8M0",
    25: "UINT2",
    26: "INT2",
    27: "FLOAT6E2M3",
    28: "FLOAT6E3M2",
}
_DATA_FIELDS = ("raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")


def _read_tensor(wire: _Wire, span: Span) -> tuple[str, Array]:
    fields = wire.fields(span, _TENSOR)
    name = wire.text(fields.get("name"), "the name of a tensor")
    try:
        return name, _tensor_values(wire, fields)
    except _Refused as refused:
        raise _Refused(f"tensor {_quoted(name)}: {refused}") from None


def _tensor_values(wire: _Wire, fields: Fields) -> Array:
    _check_location(fields)
    code = fields.get("data_type", 0)
    element = _ELEMENT_TYPES.get(code)
    if element is None:
        name = _OTHER_ELEMENT_TYPES.get(code, f"unknown ({code})")
        supported = ", ".join(sorted(known.name for known in _ELEMENT_TYPES.values()))
        raise _Refused(f"element type {name} is not supported; convert it to one of {supported}")
    shape = _tensor_shape(fields, element)
    stored = _stored_values(wire, fields, element, shape)
    values: Array = _as_array(stored, element).reshape(shape)
    values.flags.writeable = False
    return values


def _check_location(fields: Fields) -> None:
    location = fields.get("data_location", 0)
    if location == 1:
        raise _Refused(
            "its values are in another file (external data), which is not supported; "
            "save the model again with onnx.save_model(..., save_as_external_data=False)"
        )
    if location != 0:
        raise _Refused(f"data_location {location} is not known to ONNX; {_DAMAGED}")
    if "segment" in fields:
        raise _Refused("holds a segment of a larger tensor, which is not supported; export it in one piece")


def _tensor_shape(fields: Fields, element: _ElementType) -> tuple[int, ...]:
    shape = tuple(_integers(fields.get("dims", bytearray())))
    if len(shape) > MAX_RANK:
        raise _Refused(f"has {len(shape)} dimensions, more than {MAX_RANK}; reshape it")
    if any(size < 0 for size in shape):
        raise _Refused(f"shape {list(shape)} has a negative size; {_DAMAGED}")
    # Sizes of zero count as one, because numpy refuses the others when their product is too large.
    if math.prod(max(size, 1) for size in shape) * element.dtype.itemsize > MAX_FILE_BYTES:
        raise _Refused(f"shape {list(shape)} of {element.name} is more than a file can hold; {_DAMAGED}")
    return shape


def _stored_values(wire: _Wire, fields: Fields, element: _ElementType, shape: tuple[int, ...]) -> Array:
    """Return the values as raw_data holds them, one-dimensional, from whichever field they are in."""
    count = math.prod(shape)
    start, end = fields.get("raw_data", (0, 0))
    payloads: dict[str, memoryview | bytearray] = {
        name: fields[name] for name in _DATA_FIELDS[1:] if len(fields.get(name, ()))
    }
    if end > start:
        payloads["raw_data"] = wire.octets[start:end]
    if len(payloads) > 1:
        raise _Refused(f"has values in {' and in '.join(payloads)}, so they are ambiguous; {_DAMAGED}")
    field, payload = next(iter(payloads.items()), ("raw_data", bytearray()))
    if field not in ("raw_data", element.typed_field):
        raise _Refused(f"has its {element.name} values in {field}, expected {element.typed_field}; {_DAMAGED}")
    if field in ("int32_data", "int64_data", "uint64_data"):
        return _from_varints(payload, element, field, shape)
    if len(payload) != count * element.stored.itemsize:
        needed = f"shape {list(shape)} of {element.name} needs {count * element.stored.itemsize}"
        raise _Refused(f"has {len(payload)} bytes of values but {needed}; {_DAMAGED}")
    return np.frombuffer(payload, element.stored) if count else np.empty(0, element.stored)


def _from_varints(packed: memoryview | bytearray, element: _ElementType, field: str, shape: tuple[int, ...]) -> Array:
    count = int(np.count_nonzero(np.frombuffer(packed, np.uint8) < 0x80))
    if count != math.prod(shape):
        raise _Refused(f"has {count} values but shape {list(shape)} needs {math.prod(shape)}; {_DAMAGED}")
    values = np.empty(count, element.stored)
    limits = np.iinfo(element.stored)
    filled = 0
    for chunk in _varint_arrays(packed):
        numbers = _field_numbers(chunk, field)
        if numbers.min() < limits.min or numbers.max() > limits.max:
            wrong = numbers[(numbers < limits.min) | (numbers > limits.max)][0]
            raise _Refused(f"its value {wrong} is not possible for {element.name}; {_DAMAGED}")
        values[filled : filled + numbers.size] = numbers
        filled += numbers.size
    return values


def _field_numbers(values: npt.NDArray[np.uint64], field: str) -> Array:
    if field == "int32_data":
        return values.astype(np.uint32).view(np.int32)
    return values.view(np.int64) if field == "int64_data" else values


def _as_array(stored: Array, element: _ElementType) -> Array:
    if not stored.flags.aligned:
        stored = stored.copy()  # code in C may fault on addresses that numpy tolerates
    if element.name == "BFLOAT16":
        widened: Array = stored.astype(np.uint32) << np.uint32(16)
        return widened.view(np.float32)
    if element.name == "BOOL" and stored.size and stored.max() > 1:
        raise _Refused(f"its value {stored.max()} is not possible for BOOL; {_DAMAGED}")
    return stored.view(element.dtype)


# --- attributes -------------------------------------------------------------------------------------------------------


def _float(wire: _Wire, span: Span | None) -> float:
    return float(struct.unpack_from("<f", wire.octets, span[0])[0]) if span else 0.0


def _string(wire: _Wire, span: Span) -> str | bytes:
    content = bytes(wire.octets[span[0] : span[1]])
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


class _AttributeType(NamedTuple):
    name: str
    field: str
    read: Callable[[_Wire, Any], Attribute]
    absent: Any  # what stands in the field where it is missing, as writers leave out empty lists and perhaps zeros


_ATTRIBUTE_TYPES = {
    1: _AttributeType("FLOAT", "f", _float, None),
    2: _AttributeType("INT", "i", lambda wire, value: _signed(value), 0),
    3: _AttributeType("STRING", "s", _string, (0, 0)),
    4: _AttributeType("TENSOR", "t", lambda wire, span: _read_tensor(wire, span)[1], (0, 0)),
    6: _AttributeType("FLOATS", "floats", lambda wire, packed: [v for (v,) in struct.iter_unpack("<f", packed)], b""),
    7: _AttributeType("INTS", "ints", lambda wire, packed: _integers(packed), bytearray()),
    8: _AttributeType("STRINGS", "strings", lambda wire, spans: list(wire.texts(spans, "a string")), ()),
}
_ATTRIBUTE_PAYLOADS = {field.name for field in _ATTRIBUTE.values()} - {"name", "type", "ref_attr_name"}
_OTHER_ATTRIBUTE_TYPES = {
    0: "UNDEFINED",
    9: "TENSORS",
    11: "SPARSE_TENSOR",
    12: "SPARSE_TENSORS",
    13: "TYPE_PROTO",
    14: "TYPE_PROTOS",
}


def _read_attribute(wire: _Wire, span: Span) -> tuple[str, Attribute]:
    fields = wire.fields(span, _ATTRIBUTE)
    name = wire.text(fields.get("name"), "the name of an attribute")
    if not name:
        raise _Refused(f"has an attribute without a name; {_DAMAGED}")
    try:
        return name, _attribute_value(wire, fields)
    except _Refused as refused:
        raise _Refused(f"attribute {_quoted(name)}: {refused}") from None


def _attribute_value(wire: _Wire, fields: Fields) -> Attribute:
    code = fields.get("type", 0)
    if code in (5, 10) or "g" in fields or "graphs" in fields:
        raise _Refused("holds a nested graph, which is not supported; export the network without If, Loop or Scan")
    if "ref_attr_name" in fields:
        raise _Refused("refers to a function's parameter outside of a function; export without local functions")
    attribute = _ATTRIBUTE_TYPES.get(code)
    if attribute is None:
        name = _OTHER_ATTRIBUTE_TYPES.get(code, f"unknown ({code})")
        raise _Refused(f"attribute type {name} is not supported; export the network without it")
    others = sorted(_ATTRIBUTE_PAYLOADS.intersection(fields) - {attribute.field})
    if others:
        raise _Refused(f"is of type {attribute.name} but has a value in {' and in '.join(others)}; {_DAMAGED}")
    return attribute.read(wire, fields.get(attribute.field, attribute.absent))


# --- nodes ------------------------------------------------------------------------------------------------------------


def _read_nodes(wire: _Wire, spans: Sequence[Span]) -> list[Node]:
    nodes = []
    for index, span in enumerate(spans):
        try:
            fields = wire.fields(span, _NODE)
            node = _node_without_attributes(wire, fields)
        except _Refused as refused:
            raise _Refused(f"node number {index}: {refused}") from None
        try:
            _read_attributes(wire, fields.get("attribute", ()), node.attributes)
        except _Refused as refused:
            raise _in_node(node, str(refused)) from None
        nodes.append(node)
    return nodes


def _in_node(node: Node, text: str) -> _Refused:
    return _Refused(f"node {_quoted(node.label)} ({_printable(node.operator)}): {text}")


def _node_without_attributes(wire: _Wire, fields: Fields) -> Node:
    operator = wire.text(fields.get("op_type"), "the operator")
    outputs = wire.texts(fields.get("output", ()), "the name of an output")
    if not operator:
        raise _Refused(f"has no operator; {_DAMAGED}")
    if not any(outputs):
        raise _Refused(f"{_printable(operator)} has no outputs; remove it or export the network again")
    return Node(
        name=wire.text(fields.get("name"), "the name"),
        operator=operator,
        domain=_domain(wire, fields),
        inputs=wire.texts(fields.get("input", ()), "the name of an input"),
        outputs=outputs,
        attributes={},
    )


def _domain(wire: _Wire, fields: Fields) -> str:
    domain = wire.text(fields.get("domain"), "the domain")
    return "" if domain == "ai.onnx" else domain


def _read_attributes(wire: _Wire, spans: Sequence[Span], attributes: dict[str, Attribute]) -> None:
    for span in spans:
        name, value = _read_attribute(wire, span)
        if name in attributes:
            raise _Refused(f"attribute {_quoted(name)} is there twice; {_DAMAGED}")
        attributes[name] = value


def _is_constant(node: Node) -> bool:
    return node.operator == "Constant" and not node.domain


_CONSTANT_TYPES: dict[str, tuple[type, type]] = {
    "value_float": (float, np.float32),
    "value_floats": (float, np.float32),
    "value_int": (int, np.int64),
    "value_ints": (int, np.int64),
}


def _constant_value(node: Node) -> Array:
    if node.inputs or len(node.outputs) != 1 or len(node.attributes) != 1:
        found = f"{len(node.inputs)} inputs, {len(node.outputs)} outputs and {len(node.attributes)} attributes"
        raise _in_node(node, f"has {found}, expected 0, 1 and 1; export the network again")
    ((name, value),) = node.attributes.items()
    if name == "value" and isinstance(value, np.ndarray):
        return value
    kind, dtype = _CONSTANT_TYPES.get(name, (None, None))
    items = value if isinstance(value, list) else [value]
    is_list = name.endswith("s")
    if kind is None or isinstance(value, list) != is_list or not all(isinstance(item, kind) for item in items):
        known = ", ".join(("value", *_CONSTANT_TYPES))
        raise _in_node(node, f"attribute {_quoted(name)} is not a supported kind of constant; use one of {known}")
    constant = np.array(value, dtype)
    constant.flags.writeable = False
    return constant


# --- graphs -----------------------------------------------------------------------------------------------------------


def _read_model(wire: _Wire, path: str) -> Graph:
    fields = wire.fields(wire.whole, _MODEL)
    if "graph" not in fields:
        raise _Refused("holds no graph, so it is not an ONNX model or is damaged; export the network to ONNX again")
    if "functions" in fields:
        raise _Refused("defines local functions, which are not supported; inline them with onnx.inliner first")
    if "training_info" in fields:
        raise _Refused("holds training information, which is not supported; export the network for inference")
    opset = _read_opset(wire, fields.get("opset_import", ()))
    metadata = _read_metadata(wire, fields.get("metadata_props", ()))
    producer = [wire.text(fields.get(f"producer_{what}"), f"the producer's {what}") for what in ("name", "version")]
    graph = wire.fields(fields["graph"], _GRAPH)
    nodes, initializers, inputs, outputs = _read_graph(wire, graph)
    return Graph(
        name=wire.text(graph.get("name"), "the name of the graph"),
        nodes=_connect(nodes, initializers, inputs, outputs),
        initializers=initializers,
        inputs=tuple(info for info in inputs if info.name not in initializers),
        outputs=outputs,
        opset=opset,
        metadata=metadata,
        producer=" ".join(producer).strip(),
        path=path,
    )


def _read_opset(wire: _Wire, spans: Sequence[Span]) -> int:
    opset = None
    for span in spans:
        fields = wire.fields(span, _OPSET)
        version = _signed(fields.get("version", 0))
        if _domain(wire, fields):
            continue
        if opset not in (None, version):
            raise _Refused(f"imports opset {opset} and also {version}, so its operators are ambiguous; {_DAMAGED}")
        opset = version
    if opset is None:
        raise _Refused("names no opset, so the meaning of its operators is unknown; export it with a current exporter")
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        known = f"{OLDEST_OPSET} to {NEWEST_OPSET}"
        raise _Refused(f"opset {opset} is not supported, only {known}; convert it with onnx.version_converter")
    return opset


def _read_metadata(wire: _Wire, spans: Sequence[Span]) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for span in spans:
        fields = wire.fields(span, _ENTRY)
        key = wire.text(fields.get("key"), "a key of the metadata")
        if key in metadata:
            raise _Refused(f"metadata {_quoted(key)} is there twice; remove one of them")
        metadata[key] = wire.text(fields.get("value"), f"metadata {_quoted(key)}")
    return metadata


def _read_graph(
    wire: _Wire, graph: Fields
) -> tuple[list[Node], dict[str, Array], tuple[ValueInfo, ...], tuple[ValueInfo, ...]]:
    """Return nodes without the constants, initializers with the constants, inputs, and outputs."""
    if "sparse_initializer" in graph:
        raise _Refused("holds sparse initializers, which are not supported; store them as ordinary (dense) tensors")
    initializers = _read_initializers(wire, graph.get("initializer", ()))
    inputs = tuple(_read_value_info(wire, span, "input") for span in graph.get("input", ()))
    outputs = tuple(_read_value_info(wire, span, "output") for span in graph.get("output", ()))
    nodes = _read_nodes(wire, graph.get("node", ()))
    _check_unique(nodes, initializers, inputs)
    for node in filter(_is_constant, nodes):
        initializers[node.outputs[0]] = _constant_value(node)
    return [node for node in nodes if not _is_constant(node)], initializers, inputs, outputs


def _read_initializers(wire: _Wire, spans: Sequence[Span]) -> dict[str, Array]:
    initializers: dict[str, Array] = {}
    for index, span in enumerate(spans):
        try:
            name, values = _read_tensor(wire, span)
        except _Refused as refused:
            raise _Refused(f"initializer number {index}: {refused}") from None
        if not name:
            raise _Refused(f"initializer number {index} has no name; {_DAMAGED}")
        if name in initializers:
            raise _Refused(f"there are two initializers {_quoted(name)}; rename or remove one of them")
        initializers[name] = values
    return initializers


def _read_value_info(wire: _Wire, span: Span, what: str) -> ValueInfo:
    fields = wire.fields(span, _VALUE_INFO)
    name = wire.text(fields.get("name"), f"the name of a graph {what}")
    if not name:
        raise _Refused(f"a graph {what} has no name; {_DAMAGED}")
    try:
        return ValueInfo(name, *_read_type(wire, fields.get("type", (0, 0))))
    except _Refused as refused:
        raise _Refused(f"graph {what} {_quoted(name)}: {refused}") from None


def _read_type(wire: _Wire, span: Span) -> tuple[np.dtype[Any] | None, tuple[int | str | None, ...] | None]:
    kinds = wire.fields(span, _TYPE)
    if len(kinds) > 1:
        raise _Refused(f"is declared as a {' and a '.join(kinds)}; {_DAMAGED}")
    if "tensor" not in kinds:
        return None, None
    fields = wire.fields(kinds["tensor"], _TENSOR_TYPE)
    code = fields.get("elem_type", 0)
    element = None if code == _BFLOAT16 else _ELEMENT_TYPES.get(code)
    dtype = element.dtype if element else None
    if "shape" not in fields:
        return dtype, None
    dimensions = wire.fields(fields["shape"], _SHAPE).get("dim", ())
    return dtype, tuple(_read_dimension(wire, dimension) for dimension in dimensions)


def _read_dimension(wire: _Wire, span: Span) -> int | str | None:
    fields = wire.fields(span, _DIMENSION)
    if len(fields) > 1:
        raise _Refused(f"one of its dimensions has both a size and a name; {_DAMAGED}")
    if "dim_value" in fields:
        size = _signed(fields["dim_value"])
        return size if size >= 0 else None  # some exporters write -1 where they do not know
    return wire.text(fields.get("dim_param"), "the name of a dimension") or None


# --- checks of the graph as a whole -----------------------------------------------------------------------------------


def _check_unique(nodes: Sequence[Node], initializers: dict[str, Array], inputs: Sequence[ValueInfo]) -> None:
    sources: dict[str, str] = {}

    def claim(name: str, source: str) -> None:
        if name in sources:
            raise _Refused(
                f"tensor {_quoted(name)} comes from two places, {sources[name]} and {source}; give each its own name"
            )
        sources[name] = source

    for info in inputs:
        claim(info.name, "a graph input")
    for name in initializers.keys() - sources.keys():  # an input may have an initializer: its default value
        claim(name, "an initializer")
    for node in nodes:
        for name in filter(None, node.outputs):
            claim(name, f"node {_quoted(node.label)}")


def _connect(
    nodes: Sequence[Node], initializers: dict[str, Array], inputs: Sequence[ValueInfo], outputs: Sequence[ValueInfo]
) -> tuple[Node, ...]:
    """Return the nodes in topological order, after a check that every tensor comes from somewhere."""
    if all(info.name in initializers for info in inputs):
        raise _Refused("its graph has no inputs other than constants; export the network with its input")
    if not outputs:
        raise _Refused("its graph has no outputs; export the network with its output")
    makers = {name: index for index, node in enumerate(nodes) for name in node.outputs if name}
    sources = {*makers, *initializers, *(info.name for info in inputs)}
    remedy = "no graph input, initializer or node has that name; export the network again"
    for node in nodes:
        for name in filter(None, node.inputs):
            if name not in sources:
                raise _in_node(node, f"its input {_quoted(name)} comes from nowhere, {remedy}")
    for info in outputs:
        if info.name not in sources:
            raise _Refused(f"graph output {_quoted(info.name)} comes from nowhere, {remedy}")
    before = [{makers[name] for name in node.inputs if name in makers} for node in nodes]
    return tuple(nodes[index] for index in _topological_order(nodes, before))


def _topological_order(nodes: Sequence[Node], before: Sequence[set[int]]) -> list[int]:
    """Sort node numbers so that each comes after those in `before`; the lowest number that can come next does."""
    after: list[list[int]] = [[] for _ in nodes]
    for index, needed in enumerate(before):
        for other in needed:
            after[other].append(index)
    missing = [len(needed) for needed in before]
    ready = [index for index, count in enumerate(missing) if count == 0]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for user in after[index]:
            missing[user] -= 1
            if missing[user] == 0:
                heapq.heappush(ready, user)
    if len(order) < len(nodes):
        raise _cycle_error(nodes, before, set(range(len(nodes))).difference(order))
    return order


def _cycle_error(nodes: Sequence[Node], before: Sequence[set[int]], unsorted: set[int]) -> _Refused:
    index = min(unsorted)
    walk: dict[int, None] = {}
    while index not in walk:  # each unsorted node waits for another one, so the walk backwards must close
        walk[index] = None
        index = min(before[index] & unsorted)
    steps = list(walk)
    cycle = steps[steps.index(index) :][::-1]
    first = cycle.index(min(cycle))
    labels = [_quoted(nodes[step].label) for step in cycle[first:] + cycle[:first]]
    shown = " -> ".join([*labels[:_SHOWN_NODES], labels[0] if len(labels) <= _SHOWN_NODES else "..."])
    if len(labels) > _SHOWN_NODES:
        shown += f" ({len(labels)} nodes)"
    return _Refused(f"its graph has a cycle, {shown}; a network must be feed-forward, so unroll the recurrence")
