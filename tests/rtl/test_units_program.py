"""The core's way through a program, module by module: each against a model that says what its header promises."""

from __future__ import annotations

from collections import deque
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from pynq_snn import layout
from pynq_snn.layout import Coding, ErrorCode, Operation, Region
from pynq_snn.network import integrate
from pynq_snn.program import Program, compile_network
from tests.networks import EXAMPLES
from tests.overlay.verilated import missing_tools
from tests.rtl.unit_bench import (
    INSTRUCTION,
    LAYER,
    OUTCOME,
    PACES,
    REQUEST,
    SEEDS,
    SOURCE,
    TAP,
    WRITE_REQUEST,
    Driver,
    cycles,
    few,
    pack,
    signed,
)
from tests.test_core_errors import FIELDS, read_header, with_field

pytestmark = pytest.mark.skipif(bool(missing_tools()), reason=missing_tools())

# --- the listing ------------------------------------------------------------------------------------------------------

LOAD, ADD, MULTIPLY, AT_MOST, EQUAL, ALIGNED, HOLDS, STORE, READ, LIMITS, HAND_OVER, NEXT_LAYER = range(12)
REQUIREMENTS = {AT_MOST, EQUAL, ALIGNED, HOLDS}
IF_SECOND_SOURCE = 3
ROWS = 183
LAYER_START = 51


def listing() -> list[Any]:
    """Return all rows."""
    unit = Driver("command_listing")
    rows = []
    for place in range(ROWS):
        unit.cycle(place=place)
        rows.append(INSTRUCTION.unpack(unit.look(place=place).instruction))
    return rows


def test_command_listing() -> None:
    """A row follows its place by one cycle; rows are whole: requirements name their error, reads know what to read."""
    unit, rows, random = Driver("command_listing"), listing(), Random(1)
    before = 0
    unit.cycle(place=before)
    for _ in range(200):
        place = random.randrange(ROWS)
        shown = unit.cycle(place=place)
        assert INSTRUCTION.unpack(shown.instruction) == rows[before]
        assert shown.layer_start == LAYER_START
        before = place
    for number, row in enumerate(rows):
        assert row.operation <= NEXT_LAYER and row.condition <= 5
        assert (row.error != 0) == (row.operation in REQUIREMENTS | {LIMITS}), number
        assert row.place < len(layout.DESCRIPTOR_FIELDS)
        assert row.operation != STORE or row.operand < 8
        assert row.operation != HOLDS or row.operand < 23
        assert number >= LAYER_START or row.condition == 0  # what a layer is, is known when it has been read
    assert [row.operation for row in rows[-2:]] == [HAND_OVER, NEXT_LAYER]
    assert [row.operand for row in rows if row.operation == READ] == [0, 1, 2, 3]  # header, checksum, descriptor, taps


def test_every_field_has_a_rule() -> None:
    """Each descriptor field is an operand or the place of an error, but those that the limits alone decide about."""
    rows = listing()
    named = {FIELDS[row.place] for row in rows if row.operation in REQUIREMENTS and row.error == 5}
    named |= {FIELDS[row.operand] for row in rows if row.operation < HOLDS and row.operand < len(FIELDS)}
    alone = {
        "operation", "input_coding", "fraction_bits", "source0_region", "source0_stride_y", "source0_stride_x",
    }  # fmt: skip
    assert set(FIELDS) - named == alone


# --- fields -----------------------------------------------------------------------------------------------------------


def decoded(fields: dict[str, int], images: int, taps: dict[str, int]) -> dict[str, int]:
    """Return what snn_compute is told about a layer; offsets of first images come apart."""
    names = LAYER.fields.keys() & fields.keys()
    layer = {name: fields[name] for name in names}
    layer |= {
        "max_pool": fields["operation"] == Operation.MAX_POOL, "binary_in": fields["input_coding"] == Coding.BINARY,
        "binary_out": fields["output_coding"] == Coding.BINARY, "images": images,
        "output_groups": -(-fields["output_channels"] // layout.LANES),
        "output_first_offset": fields["output_offset"] * images,
    }  # fmt: skip
    for number in (0, 1):
        prefix = f"source{number}_"
        source = {name.removeprefix(prefix): value for name, value in fields.items() if name.startswith(prefix)}
        source["first_offset"] = source.pop("offset") * images
        own = {name: taps[f"{name}{number}"] for name in ("used", "first_dy", "last_dy")}
        layer[f"source{number}"] = SOURCE.pack(**source, **own)
    return layer


def check_layer(packed: int, expected: dict[str, int]) -> None:
    """Compare a layer field by field."""
    found = vars(LAYER.unpack(packed))
    for number in (0, 1):
        name = f"source{number}"
        assert vars(SOURCE.unpack(found.pop(name))) == vars(SOURCE.unpack(expected[name]))
    assert found == {name: value for name, value in expected.items() if name in found}


FIRST_OFFSETS = {"source0_offset": 5, "source1_offset": 6, "output_offset": 7}  # STORE_*_FIRST


@few
@given(seed=SEEDS)
def test_layer_decoder(seed: int) -> None:
    """Fields within their limits arrive as they are, in any order, and again when another layer follows."""
    unit, random = Driver("layer_decoder"), Random(seed)
    for _ in range(3):
        fields = {
            field.name: random.choice([field.minimum, field.maximum, random.randint(field.minimum, field.maximum)])
            for field in layout.DESCRIPTOR_FIELDS
        }
        images = random.randint(1, layout.MAX_IMAGES)
        taps = {f"used{number}": random.getrandbits(1) for number in (0, 1)}
        taps |= {f"{name}_dy{number}": random.getrandbits(16) for name in ("first", "last") for number in (0, 1)}
        given_values = {"images": images, **taps}
        for name in random.sample(FIELDS, len(FIELDS)):
            unit.cycle(field_valid=1, field=FIELDS.index(name), value=fields[name], **given_values)
            unit.cycle(field=FIELDS.index(name), value=random.getrandbits(32), **given_values)  # not valid
        for name, store in FIRST_OFFSETS.items():
            unit.cycle(store_valid=1, store=store, store_value=fields[name] * images, **given_values)
            unit.cycle(store=store, **given_values)
        unit.cycle(field_valid=1, field=63, value=random.getrandbits(32), **given_values)  # no field
        check_layer(unit.cycle(**given_values).layer, decoded(fields, images, taps))


# --- the command unit -------------------------------------------------------------------------------------------------


@cache
def small_program(name: str) -> Program:
    """Return a program of each kind of layer."""
    return compile_network(integrate(EXAMPLES[name](firing="deferred" if name == "max_pooled" else "stepwise")))


def fields_of(data: np.ndarray, layer: int) -> dict[str, int]:
    """Return the descriptor of a layer."""
    start = layout.HEADER_BYTES + layer * layout.DESCRIPTOR_BYTES
    words = data[start : start + layout.DESCRIPTOR_BYTES].view("<u4").tolist()
    return dict(zip(FIELDS, words, strict=False))


def taps_of(data: np.ndarray, layer: int) -> list[tuple[int, int, int, int]]:
    """Return dy, dx, weight block and source of a layer's taps."""
    fields = fields_of(data, layer)
    start = layout.HEADER_BYTES + read_header(data)["layer_count"] * layout.DESCRIPTOR_BYTES
    start += layout.TAP_BYTES * fields["first_tap"]
    taps = data[start : start + layout.TAP_BYTES * fields["tap_count"]].view("<i2").reshape(-1, 4)
    return [tuple(map(int, tap)) for tap in taps]  # type: ignore[misc]


def reach_of(data: np.ndarray, layer: int) -> dict[str, int]:
    """Return which sources a layer uses, and the rows that its taps reach."""
    reach: dict[str, int] = {}
    for number in (0, 1):
        rows = [tap[0] for tap in taps_of(data, layer) if tap[3] == number]
        rows += [0] * (number == 1 and fields_of(data, layer)["shortcut"])
        reach |= {f"used{number}": int(bool(rows)), f"first_dy{number}": min(rows, default=0)}
        reach[f"last_dy{number}"] = max(rows, default=0)
    return reach


class CommandRun:
    """Plays registers, memory and snn_compute for the command unit."""

    def __init__(self, program: Program, data: np.ndarray, seed: int, pace: float, images: int = 1) -> None:
        self.unit, self.random, self.pace = Driver("command"), Random(seed), pace
        self.data, self.images = data, images
        self.words = data[: len(data) // 8 * 8].view("<u8")
        sizes = program.buffer_bytes(images)
        self.registers = {
            "images": images, "window_bytes": pack([sizes[region] for region in Region], 32),
            "window_address": pack([0x1000_0000 * (1 + region) for region in Region], 64),
        }  # fmt: skip
        self.coming: deque[tuple[int, int]] = deque()
        self.layers: list[tuple[int, int]] = []  # packed layer and its index
        self.computing = 0  # cycles that the present layer still takes
        self.most_computing = 1500
        self.tap_wanted: tuple[int, int] | None = None  # layer and tap that were asked for
        self.shown: Any = None

    def run(self) -> tuple[int, int, int]:
        """Run the program and return code, layer and place of its outcome."""
        self.unit.cycle(**self.registers)
        self.unit.cycle(start=1, **self.registers)
        for _ in cycles(60_000):
            if self._cycle():
                break
        outcome = OUTCOME.unpack(self.shown.outcome)
        assert self.unit.cycle(**self.registers).finished  # and stays so
        return outcome.code, outcome.layer, outcome.place

    def _cycle(self) -> bool:
        accepts, takes = self.random.random() < self.pace, not self.computing and self.random.random() < self.pace
        inputs: dict[str, int] = {}
        if self.coming and self.random.random() < max(self.pace, 0.5):
            index, word = self.coming.popleft()
            inputs = {"data_valid": 1, "data_index": index, "data": word}
        tap = self._tap()
        settled = not self.computing
        self.shown = shown = self.unit.cycle(
            request_ready=accepts, layer_ready=takes, tap_address=tap, settled=settled, **inputs, **self.registers
        )
        self._check_tap(shown.tap)
        self.tap_wanted = (self.layers[-1][1], tap) if self.layers else None
        if shown.request_valid and accepts:
            self._answer(REQUEST.unpack(shown.request))
        self.computing -= self.computing > 0
        if shown.layer_valid and takes:
            assert shown.program_checked
            self.layers.append((shown.layer, shown.layer_index))
            self.computing = self.random.randint(5, self.most_computing)
            self.tap_wanted = None
        return bool(shown.finished and settled)

    def _tap(self) -> int:
        taps = len(taps_of(self.data, self.layers[-1][1])) if self.layers else 1
        return self.random.randrange(taps)

    def _check_tap(self, packed: int) -> None:
        if self.tap_wanted is None:
            return
        layer, number = self.tap_wanted
        tap = TAP.unpack(packed)
        found = signed(tap.dy, 16), signed(tap.dx, 16), tap.weight_block, tap.source
        assert found == taps_of(self.data, layer)[number]

    def _answer(self, request: Any) -> None:
        assert (request.region, request.destination) == (Region.PROGRAM, 0)
        first = request.offset // 8
        self.coming += [(index, int(self.words[first + index])) for index in range(request.words)]


@pytest.mark.parametrize("name", ["residual", "max_pooled"])
@pytest.mark.parametrize("images", [1, 3])
def test_command_hands_layers_over(name: str, images: int) -> None:
    """All layers of a program, with their taps, while the one before computes."""
    program = small_program(name)
    run = CommandRun(program, program.data, images, 0.7, images)
    assert run.run() == (ErrorCode.NONE, 0, 0)
    assert [index for _, index in run.layers] == list(range(len(program.network.layers)))
    for packed, index in run.layers:
        check_layer(packed, decoded(fields_of(program.data, index), images, reach_of(program.data, index)))
    assert run.shown.record_offset == program.output_bytes * images


def test_command_refuses_fields_outside_their_limits() -> None:
    """With the index of the first one, after the layers before have been handed over."""
    program = small_program("residual")
    for number, field in enumerate(layout.DESCRIPTOR_FIELDS):
        for value in (field.minimum - 1, field.maximum + 1):
            if 0 <= value <= layout.WORD_MAX:
                run = CommandRun(program, with_field(program.data, 1, field.name, value), value, 1.0)
                run.most_computing = 10
                assert run.run() == (ErrorCode.BAD_DESCRIPTOR, 1, number), (field.name, value)
                assert [index for _, index in run.layers] == [0]


# In the first layer: a field, a value within its limits, and how the run ends.
BROKEN_RULES = (
    ("input_planes", 3, ErrorCode.BAD_DESCRIPTOR, "input_planes"),
    ("leak_shift", 3, ErrorCode.NONE, None),
    ("weight_offset", 64, ErrorCode.BAD_DESCRIPTOR, "weight_offset"),
    ("weight_offset", 0xFFFFFFC0, ErrorCode.BAD_DESCRIPTOR, "weight_offset"),
    ("first_tap", 0xFFFFFFFF, ErrorCode.BAD_DESCRIPTOR, "first_tap"),
    ("weight_blocks", 0, ErrorCode.BAD_DESCRIPTOR, "first_tap"),
    ("source0_row_bytes", 4, ErrorCode.BAD_DESCRIPTOR, "source0_row_bytes"),
    ("source0_offset", 32, ErrorCode.BAD_DESCRIPTOR, "source0_offset"),
    ("source0_offset", 1 << 20, ErrorCode.ADDRESS_FENCE, Region.INPUT),
    ("output_image_bytes", 1 << 20, ErrorCode.ADDRESS_FENCE, Region.WORKSPACE),
    ("source1_blocks", 1, ErrorCode.BAD_DESCRIPTOR, "source1_region"),
    ("shortcut", 1, ErrorCode.BAD_DESCRIPTOR, "shortcut"),
)


@pytest.mark.parametrize(("name", "value", "code", "place"), BROKEN_RULES)
def test_command_refuses_broken_rules(name: str, value: int, code: ErrorCode, place: str | Region | None) -> None:
    """With the place that the rule names."""
    program = small_program("residual")
    run = CommandRun(program, with_field(program.data, 0, name, value), 1, 1.0)
    number = FIELDS.index(place) if isinstance(place, str) else int(place or 0)
    assert run.run() == (code, 0, number)
    assert code == ErrorCode.NONE or not run.layers


HEADER = [field.name for field in layout.HEADER_FIELDS]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("magic", 0, ErrorCode.BAD_MAGIC), ("version", 2, ErrorCode.BAD_VERSION),
        ("layer_count", 0, ErrorCode.BAD_SIZE), ("command_crc", 1, ErrorCode.BAD_CHECKSUM),
        ("tap_count", 0xFFFFFFFF, ErrorCode.BAD_SIZE),
        ("output_bytes", 0xFFFFFFC0, ErrorCode.BAD_SIZE),
    ],
)  # fmt: skip
def test_command_refuses_headers(name: str, value: int, code: ErrorCode) -> None:
    """Before any layer is handed over."""
    program = small_program("residual")
    data = program.data.copy()
    data[4 * HEADER.index(name) :][:4] = np.array([value], "<u4").view(np.uint8)
    run = CommandRun(program, data, 1, 1.0)
    assert run.run() == (code, 0, 0)
    assert not run.layers


@pytest.mark.parametrize("registers", [{"images": 0}, {"images": 1025}, {"window_address": 32}, {"window_bytes": 63}])
def test_command_refuses_arguments(registers: dict[str, int]) -> None:
    """Before anything is read."""
    program = small_program("residual")
    run = CommandRun(program, program.data, 1, 1.0)
    run.registers |= registers
    assert run.run() == (ErrorCode.BAD_SIZE, 0, 0)


def test_command_reads_long_sections_in_parts() -> None:
    """Of a command section of more than 2^15 words, all are in the checksum."""
    program = small_program("residual")
    header = read_header(program.data)
    more = layout.align(2**15 * 8)
    data = np.zeros(len(program.data) + more, np.uint8)
    data[: header["command_bytes"]] = program.data[: header["command_bytes"]]
    words = data[: layout.HEADER_BYTES].view("<u4")
    for name in ("command_bytes", "program_bytes"):
        words[HEADER.index(name)] += more
    data[header["command_bytes"] : header["command_bytes"] + more] = np.random.default_rng(1).integers(0, 256, more)
    for layer in range(header["layer_count"]):
        data = with_field(data, layer, "weight_offset", fields_of(data, layer)["weight_offset"] + more)
    run = CommandRun(program, data, 1, 1.0)
    run.registers["window_bytes"] |= 0xFFFFFF  # of the program
    assert run.run() == (ErrorCode.NONE, 0, 0)


# --- counters ---------------------------------------------------------------------------------------------------------

RECORD_WORDS = layout.COUNTER_RECORD_BYTES // 8


class Record:
    """Counts what happens to the record unit, as its header says."""

    def __init__(self) -> None:
        self.cycles = self.stalls = self.read = self.written = self.ahead = 0

    def count(self, events: dict[str, int], written: int) -> None:
        """Count a cycle of a layer."""
        self.cycles += events["counting"]
        self.stalls += events["counting"] and not events["busy_computing"]
        weights = events["weight_words"] if events["weight_asked"] else 0
        self.read += events["map_words"] if events["map_asked"] else 0
        self.ahead += events["command_words"] if events["command_asked"] and events["counting"] else 0
        self.ahead += weights if events["weight_ahead"] else 0
        self.read += 0 if events["weight_ahead"] else weights
        self.written += written

    def take(self) -> None:
        """A layer is handed over: what was read ahead is its own."""
        self.read, self.ahead = self.ahead, 0

    def finish(self, additions: int, spikes: int) -> list[int]:
        """Return the words of the record, and begin with the next one."""
        words = [self.cycles, self.stalls, additions, spikes, 8 * self.read, 8 * self.written]
        self.cycles = self.stalls = self.written = 0
        return words + [0] * (RECORD_WORDS - len(words))


def record_events(random: Random, active: bool, quiet: bool) -> dict[str, int]:
    """Return what happens in a cycle; maps and weights of the layer are only asked for while it is active."""
    events = {
        name: int(random.random() < 0.3) for name in ("busy_computing", "command_asked", "weight_asked", "map_asked")
    }
    events |= {f"{name}_words": random.choice([1, 100, 65535]) for name in ("command", "weight", "map")}
    events |= {"counting": int(random.random() < 0.9), "weight_ahead": int(not active or random.random() < 0.3)}
    events["map_asked"] &= active and not quiet
    events["weight_asked"] &= not quiet
    return events


@few
@given(seed=SEEDS, pace=PACES)
def test_layer_record(seed: int, pace: float) -> None:
    """Results pass; after each layer its record goes out between them, to its place in the output buffer."""
    unit, random, record = Driver("layer_record"), Random(seed), Record()
    offset = 64 * random.getrandbits(24)
    for layer in range(4):
        for _ in range(random.randint(0, 20)):  # read ahead
            events = record_events(random, False, False)
            record.count(events, 0)
            unit.cycle(record_offset=offset, **events)
        events = record_events(random, False, True)
        record.count(events, 0)
        unit.cycle(record_offset=offset, layer_taken=1, **events)
        record.take()
        for number in range(60):
            quiet = number >= 58  # a layer ends when its results are in memory
            events = record_events(random, True, quiet)
            result = WRITE_REQUEST.pack(region=2, offset=random.getrandbits(42), words=random.getrandbits(16))
            asks, gives, ready, word = (random.random() < 0.5 and not quiet, random.random() < 0.5 and not quiet,
                                        random.getrandbits(2), random.getrandbits(64))  # fmt: skip
            shown = unit.cycle(
                record_offset=offset, result_request_valid=asks, result_request=result, result_data_valid=gives,
                result_data=word, request_ready=ready & 1, data_ready=ready >> 1, **events,
            )  # fmt: skip
            assert not shown.writing
            assert (shown.request_valid, shown.request, shown.result_request_ready) == (asks, result, ready & 1)
            assert (shown.data_valid, shown.data, shown.result_data_ready) == (gives, word, ready >> 1)
            record.count(events, WRITE_REQUEST.unpack(result).words if asks and ready & 1 else 0)
        additions, spikes = random.getrandbits(64), random.getrandbits(64)
        expected = record.finish(additions, spikes)
        unit.cycle(record_offset=offset, counting=1, weight_ahead=1, layer_done=1, additions=additions, spikes=spikes)
        found, requests = read_record(unit, random, pace, record)
        assert found == expected
        assert requests == [(Region.OUTPUT, offset + layer * layout.COUNTER_RECORD_BYTES, RECORD_WORDS)]


def read_record(unit: Driver, random: Random, pace: float, record: Record) -> tuple[list[int], list[tuple[int, ...]]]:
    """Take request and words of a record, each at its own pace; results wait."""
    words: list[int] = []
    requests: list[tuple[int, ...]] = []
    for _ in cycles():
        events = record_events(random, False, False)
        takes_request, takes_word = random.random() < pace, random.random() < pace
        shown = unit.cycle(
            request_ready=takes_request, data_ready=takes_word, record_offset=random.getrandbits(32), **events
        )
        record.count(events, 0)
        if not shown.writing:
            return words, requests
        assert not shown.result_request_ready and not shown.result_data_ready
        if shown.request_valid and takes_request:
            request = WRITE_REQUEST.unpack(shown.request)
            requests.append((request.region, request.offset, request.words))
        if shown.data_valid and takes_word:
            words.append(shown.data)
    raise AssertionError
