"""Modules of the RTL by themselves: all of them side by side in one model, each driven cycle by cycle from Python."""

from __future__ import annotations

import atexit
import ctypes
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

from hypothesis import Phase, settings
from hypothesis import strategies as st

from pynq_snn.devices.rtl_model import cache_folder, core_sources
from tests.overlay.verilated import build_program
from tests.rtl.compute_bench import SURROUNDINGS, fingerprint

BENCH = Path(__file__).with_name("unit_bench.cpp")
OPTIONS: tuple[str, ...] = (
    "--assert", "--x-assign", "fast", "--x-initial", "fast", "--no-timing", "-Wno-lint", "-Wno-style",
    # A port of another width or without a bit is a mistake in UNITS.
    "-Werror-WIDTHTRUNC", "-Werror-WIDTHEXPAND", "-Werror-PINMISSING", "-j", "2",
    "-CFLAGS", "-std=c++17 -fPIC -fvisibility=hidden -DVL_USER_STOP", "-LDFLAGS", "-shared",
)  # fmt: skip
# A seed cannot be made simpler: what fails is not tried again in smaller sizes.
few = settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
SEEDS = st.integers(0, 2**32)
PACES = st.sampled_from([0.1, 0.5, 0.9, 1.0])  # chance in a cycle that a side moves
COVERAGE_FILE = os.environ.get("PYNQ_SNN_BENCH_COVERAGE")  # where a process leaves what its tests have reached
if COVERAGE_FILE:
    OPTIONS = ("--coverage-line", "--coverage-toggle", *OPTIONS)
WORD = 32  # bits; every module's part of the top's ports begins with a word of its own


@dataclass(frozen=True)
class Unit:
    """A module: widths of its ports in bits, without ``clk``, and its parameters."""

    module: str
    inputs: dict[str, int]
    outputs: dict[str, int]
    parameters: dict[str, int] = field(default_factory=dict)


def cycles(most: int = 4000) -> Iterator[int]:
    """Count cycles; too many of them mean that something has been lost."""
    yield from range(most)
    raise AssertionError(f"not through after {most} cycles")


def pack(values: Sequence[int], bits: int) -> int:
    """Return the packed array of values of so many bits, the first one lowest."""
    return sum((int(value) & ((1 << bits) - 1)) << bits * index for index, value in enumerate(values))


def unpack(packed: int, bits: int, count: int) -> list[int]:
    """Return the elements of a packed array."""
    return [packed >> bits * index & ((1 << bits) - 1) for index in range(count)]


def signed(value: int, bits: int) -> int:
    """Return the number that so many bits stand for in two's complement."""
    return value - (value >> (bits - 1) << bits)


class Struct:
    """A packed struct: its fields and their widths, the highest first, as SystemVerilog declares them."""

    def __init__(self, **fields: int) -> None:
        self.fields = fields
        self.bits = sum(fields.values())

    def pack(self, **values: int) -> int:
        """Return the bits; a field that is not given is 0."""
        assert values.keys() <= self.fields.keys()
        packed = 0
        for name, bits in self.fields.items():
            packed = packed << bits | (int(values.get(name, 0)) & ((1 << bits) - 1))
        return packed

    def unpack(self, packed: int) -> SimpleNamespace:
        """Return the fields."""
        values = {}
        for name, bits in reversed(self.fields.items()):
            values[name] = packed & ((1 << bits) - 1)
            packed >>= bits
        return SimpleNamespace(**values)


WORDS = Struct(word1=64, word0=64, block=8, present=1, shortcut=1, last=1, hand_over=1, group_end=1)
PLACE = Struct(
    present=1, address=14, weight_block=9, source=1, shortcut=1, last=1, hand_over=1, row_end=1, group_end=1
)  # fmt: skip
HELD = Struct(
    used=1, resident=1, one_block=1, blocks=7, height=9, width=9, stride_y=9, stride_x=9, first_dy=16, last_dy=16,
    row_words=13, slot_words=15, slots=9, base=14,
)  # fmt: skip
PASS_END = Struct(valid=1, hand_over=1, group_end=1, shortcut_valid=1, shortcut=64)
REQUEST = Struct(region=2, offset=42, words=16, destination=16)
WRITE_REQUEST = Struct(region=2, offset=42, words=16)
FENCED = Struct(address=29, words=16, destination=16)
BURST = Struct(address=29, last_beat=4, index=16)
TAP = Struct(source=1, weight_block=9, dx=16, dy=16)
ROW_WRITE = Struct(valid=1, parameters=1, index=13, bank=8, data=256)
OUTCOME = Struct(code=4, layer=8, place=6)
INSTRUCTION = Struct(condition=4, operation=4, operand=7, error=3, place=6)
SOURCE = Struct(
    used=1, region=2, first_offset=42, image_bytes=32, block_bytes=32, row_bytes=32, height=9, width=9, blocks=7,
    stride_y=9, stride_x=9, first_dy=16, last_dy=16,
)  # fmt: skip
LAYER = Struct(
    max_pool=1, firing=2, hard_reset=1, leak_shift=4, binary_in=1, binary_out=1, timesteps=6, fraction_bits=4,
    input_planes=6, output_planes=6, shortcut=1, tap_count=11, weight_offset=32, weight_blocks=9,
    output_first_offset=42, output_region=2, output_image_bytes=32, output_block_bytes=32, output_height=9,
    output_width=9, output_channels=12, output_groups=7, images=11, source0=SOURCE.bits, source1=SOURCE.bits,
)  # fmt: skip

HANDSHAKES_IN = {"reset": 1, "in_valid": 1, "in_data": 16, "out_ready": 1}
HANDSHAKES_OUT = {"in_ready": 1, "out_valid": 1, "out_data": 16}

UNITS = {
    "queue": Unit("snn_queue", HANDSHAKES_IN, {**HANDSHAKES_OUT, "count": 3}, {"WIDTH": 16, "DEPTH": 4}),
    "skid": Unit("snn_skid", HANDSHAKES_IN, HANDSHAKES_OUT, {"WIDTH": 16}),
    "block_fifo": Unit(
        "snn_block_fifo", HANDSHAKES_IN, {"out_valid": 1, "out_data": 16, "count": 3}, {"WIDTH": 16, "DEPTH_BITS": 3}
    ),
    "crc": Unit("snn_crc", {"clear": 1, "word_valid": 1, "word": 64}, {"crc": 32}),
    "neuron": Unit(
        "snn_neuron",
        {
            "from_initial": 1, "adds": 1, "fires": 1, "carry": 1, "hard_reset": 1, "keeps": 1, "choice": 3,
            "initial_potential": 32, "earlier_sum": 32, "later_sum": 32, "bias": 32, "not_threshold": 32,
        },
        {"potential": 32, "spike": 1},
    ),
    "line_buffer": Unit(
        "snn_line_buffer",
        {"write": 1, "write_address": 14, "write_data": 64, "read": 2, "read_address": 28},
        {"conflict": 1, "word": 128},
    ),
    "weight_bank": Unit(
        "snn_weight_bank",
        {
            "write": 1, "write_row": 10, "write_data": 256, "read_first": 1, "first_row": 10, "read_second": 1,
            "second_row": 10,
        },
        {"first": 256, "second": 256},
    ),
    "row_collector": Unit(
        "snn_row_collector",
        {"reset": 1, "data_valid": 2, "data_index": 32, "data": 128},
        {"row": ROW_WRITE.bits},
    ),
    "fence": Unit(
        "snn_fence",
        {
            "reset": 1, "stop": 1, "window_bytes": 4 * 32, "window_address": 4 * 64, "request_valid": 4,
            "command_request": REQUEST.bits, "weight_request": REQUEST.bits, "map_request": REQUEST.bits,
            "result_request": WRITE_REQUEST.bits, "room": 4,
        },
        {
            "request_ready": 4, "passed_valid": 4, "passed": FENCED.bits, "fence_error": 1, "bus_error": 1,
            "error_client": 2, "error_region": 2,
        },
    ),
    "alternating_cutter": Unit(
        "snn_burst_cutter",
        {"reset": 1, "parity": 1, "request_valid": 1, "request": FENCED.bits, "burst_ready": 1},
        {"request_ready": 1, "burst_valid": 1, "burst": BURST.bits, "burst_is_last": 1},
        {"ALTERNATE": 1},
    ),
    "output_writer": Unit(
        "snn_output_writer",
        {
            "reset": 1, "start": 1, "region": 2, "first_offset": 42, "image_bytes": 32, "block_bytes": 32,
            "row_words": 13, "height": 9, "groups": 7, "images": 11, "in_valid": 1, "in_word": 64, "request_ready": 1,
            "data_ready": 1,
        },
        {"room": 1, "room_ahead": 1, "request_valid": 1, "request": WRITE_REQUEST.bits, "data_valid": 1, "data": 64,
         "done": 1},
    ),
    "pop_bank": Unit(
        "snn_pop_bank",
        {"reset": 1, "second_taken": 1, "enter": 1, "earlier": 8, "later": 8, "block": 8},
        {
            "accept": 1, "finishes": 1, "empty": 1, "first_read": 1, "first_row": 10, "first_planes": 2,
            "second_read": 1, "second_row": 10, "second_planes": 2,
        },
    ),
    "popper": Unit(
        "snn_popper",
        {
            "reset": 1, "enable": 1, "needs_shortcut": 1, "sums_done": 1, "sums_ready": 1, "may_hand_over": 1,
            "words_valid": 1, "words": WORDS.bits, "write": 8,
        },
        {
            "words_ready": 1, "first_read": 8, "first_row": 80, "first_planes": 16, "second_read": 8,
            "second_row": 80, "second_planes": 16, "pass_end": PASS_END.bits,
        },
    ),
    "scanner": Unit(
        "snn_scanner",
        {
            "reset": 1, "max_pool": 1, "place_words": 5, "weight_blocks": 9, "held0": HELD.bits, "held1": HELD.bits,
            "place_valid": 1, "place": PLACE.bits, "complete": 10, "hold": 1, "conflict": 1, "read_word": 128,
        },
        {"place_ready": 1, "read": 2, "read_address": 28, "row_passed": 1, "words_valid": 1, "words": WORDS.bits},
    ),
    "max_pool": Unit(
        "snn_max_pool",
        {"reset": 1, "enable": 1, "binary": 1, "place_words": 5, "words_valid": 1, "words": WORDS.bits, "out_room": 1},
        {"words_ready": 1, "out_valid": 1, "out_word": 64, "active": 1, "spikes_valid": 1, "spikes": 38},
    ),
    "sums": Unit(
        "snn_sums",
        {
            "reset": 1, "fraction_bits": 4, "binary": 1, "pairs": 1, "first_read": 8, "first_planes": 16,
            "second_read": 8, "second_planes": 16, "pass_end": PASS_END.bits, "first": 2048, "second": 2048,
            "shortcut": 1024,
        },
        {
            "handed": 1, "handed_group_end": 1, "sums_done": 1, "earlier_sum": 1024, "later_sum": 1024,
            "spikes_valid": 1, "spikes_are_shortcut": 1, "spikes_popped": 7,
        },
    ),
    "tap_memory": Unit(
        "snn_tap_memory",
        {
            "fill_half": 1, "begins": 1, "word_valid": 1, "word_index": 10, "word": 64, "max_pool": 1, "shortcut": 1,
            "blocks0": 7, "blocks1": 7, "weight_blocks": 9, "use_half": 1, "address": 10,
        },
        {
            "all_valid": 1, "used0": 1, "used1": 1, "first_dy0": 16, "last_dy0": 16, "first_dy1": 16, "last_dy1": 16,
            "tap": TAP.bits,
        },
    ),
    "layer_setup": Unit(
        "snn_layer_setup",
        {"reset": 1, "start": 1, "layer": LAYER.bits},
        {"done": 1, "held0": HELD.bits, "held1": HELD.bits, "output_row_words": 13},
    ),
    "weight_loader": Unit(
        "snn_weight_loader",
        {
            "reset": 1, "start": 1, "weight_offset": 32, "weight_blocks": 9, "groups": 7, "request_ready": 1,
            "row_arrives": 1, "row_block": 4, "slot_free": 1, "released": 10,
        },
        {"idle": 1, "request_valid": 1, "request": REQUEST.bits, "slot_taken": 1, "complete": 10},
    ),
    "parameters": Unit(
        "snn_parameters",
        {"reset": 1, "row": ROW_WRITE.bits, "slot_taken": 1, "neurons_done": 1, "sums_done": 1},
        {
            "slot_free": 1, "neurons_ready": 1, "initial_potential": 1024, "bias": 1024, "not_threshold": 1024,
            "sums_ready": 1, "shortcut": 1024,
        },
    ),
    "map_loader": Unit(
        "snn_map_loader",
        {
            "reset": 1, "start": 1, "layer": LAYER.bits, "held0": HELD.bits, "held1": HELD.bits, "request_ready": 1,
            "data_valid": 1, "data_index": 16, "data": 64, "needed": 24,
        },
        {
            "request_valid": 1, "request": REQUEST.bits, "write_valid": 1, "write_address": 14, "write_data": 64,
            "loaded": 24, "row_write": 1, "row_index": 10, "row_address": 14,
        },
    ),
    "sequencer": Unit(
        "snn_sequencer",
        {
            "reset": 1, "start": 1, "layer": LAYER.bits, "held0": HELD.bits, "held1": HELD.bits, "tap": TAP.bits,
            "row_passed": 1, "loaded": 24, "row_write": 1, "row_index": 10, "row_address": 14, "place_ready": 1,
        },
        {"tap_address": 10, "needed": 24, "place_valid": 1, "place": PLACE.bits},
    ),
    "neurons": Unit(
        "snn_neurons",
        {
            "reset": 1, "start": 1, "firing": 2, "hard_reset": 1, "leak_shift": 4, "binary_in": 1, "binary_out": 1,
            "timesteps": 6, "output_planes": 6, "groups": 7, "last_lanes": 5, "hand_begun": 1, "handed": 1,
            "handed_group_end": 1, "earlier_sum": 1024, "later_sum": 1024, "parameters_ready": 1,
            "initial_potential": 1024, "bias": 1024, "not_threshold": 1024, "out_room": 1, "out_room_ahead": 1,
        },
        {
            "may_hand_over": 1, "parameters_done": 1, "out_valid": 1, "out_word": 64, "active": 1, "spikes_valid": 1,
            "spikes_fired": 6,
        },
    ),
    "axi_slice": Unit(
        "axi_slice",
        {"resetn": 1, "in_valid": 1, "in_data": 16, "out_ready": 1},
        {"in_ready": 1, "out_valid": 1, "out_data": 16},
        {"WIDTH": 16},
    ),
    "read_port": Unit(
        "snn_read_port",
        {
            "reset": 1, "clear": 1, "stop": 1, "parity": 1, "whole_valid": 1, "whole_request": FENCED.bits,
            "shared_valid": 1, "shared_request": FENCED.bits, "axi_arready": 1, "axi_rdata": 64, "axi_rresp": 2,
            "axi_rid": 6, "axi_rlast": 1, "axi_rvalid": 1,
        },
        {
            "whole_room": 1, "whole_data_valid": 1, "whole_data_index": 16, "shared_room": 1, "shared_data_valid": 1,
            "shared_data_index": 16, "data": 64, "bus_error": 1, "idle": 1, "axi_araddr": 32, "axi_arlen": 4,
            "axi_arsize": 3, "axi_arburst": 2, "axi_arcache": 4, "axi_arprot": 3, "axi_arid": 6, "axi_arvalid": 1,
            "axi_rready": 1,
        },
    ),
    "write_port": Unit(
        "snn_write_port",
        {
            "reset": 1, "clear": 1, "stop": 1, "request_valid": 1, "request": FENCED.bits, "data_valid": 1, "data": 64,
            "axi_awready": 1, "axi_wready": 1, "axi_bresp": 2, "axi_bid": 6, "axi_bvalid": 1,
        },
        {
            "room": 1, "request_done": 1, "data_ready": 1, "bus_error": 1, "idle": 1, "axi_awaddr": 32, "axi_awlen": 4,
            "axi_awsize": 3, "axi_awburst": 2, "axi_awcache": 4, "axi_awprot": 3, "axi_awid": 6, "axi_awvalid": 1,
            "axi_wdata": 64, "axi_wstrb": 8, "axi_wid": 6, "axi_wlast": 1, "axi_wvalid": 1, "axi_bready": 1,
        },
    ),
    "command_listing": Unit(
        "snn_command_listing", {"place": 8}, {"instruction": INSTRUCTION.bits, "layer_start": 8}
    ),
    "layer_decoder": Unit(
        "snn_layer_decoder",
        {
            "field_valid": 1, "field": 6, "value": 32, "store_valid": 1, "store": 7, "store_value": 42, "images": 11,
            "used0": 1, "used1": 1, "first_dy0": 16, "last_dy0": 16, "first_dy1": 16, "last_dy1": 16,
        },
        {"layer": LAYER.bits},
    ),
    "command": Unit(
        "snn_command",
        {
            "reset": 1, "start": 1, "window_bytes": 128, "window_address": 256, "images": 32, "request_ready": 1,
            "data_valid": 1, "data_index": 16, "data": 64, "layer_ready": 1, "tap_address": 10, "settled": 1,
        },
        {
            "request_valid": 1, "request": REQUEST.bits, "layer_valid": 1, "layer": LAYER.bits, "layer_index": 8,
            "tap": TAP.bits, "program_checked": 1, "record_offset": 32, "finished": 1, "outcome": OUTCOME.bits,
        },
    ),
    "layer_record": Unit(
        "snn_layer_record",
        {
            "reset": 1, "counting": 1, "busy_computing": 1, "layer_taken": 1, "layer_done": 1, "additions": 64,
            "spikes": 64, "command_asked": 1, "command_words": 16, "weight_asked": 1, "weight_words": 16,
            "weight_ahead": 1, "map_asked": 1, "map_words": 16, "record_offset": 32, "result_request_valid": 1,
            "result_request": WRITE_REQUEST.bits, "result_data_valid": 1, "result_data": 64, "request_ready": 1,
            "data_ready": 1,
        },
        {
            "result_request_ready": 1, "result_data_ready": 1, "request_valid": 1, "request": WRITE_REQUEST.bits,
            "data_valid": 1, "data": 64, "writing": 1,
        },
    ),
    "run_control": Unit(
        "snn_run_control",
        {
            "reset": 1, "start": 1, "soft_reset": 1, "watchdog_cycles": 32, "program_finished": 1,
            "program_outcome": OUTCOME.bits, "bus_error": 1, "fence_error": 1, "fence_region": 2, "fence_layer": 8,
            "layer_under_way": 8, "drained": 1,
        },
        {
            "running": 1, "ends": 1, "aborted": 1, "end_code": 4, "end_detail": 32, "cycles": 64, "program_start": 1,
            "stop": 1, "clear": 1,
        },
        {"DRAIN_CYCLES": 16},
    ),
    "control": Unit(
        "snn_control",
        {
            "reset": 1, "axi_awaddr": 9, "axi_awvalid": 1, "axi_wdata": 32, "axi_wstrb": 4, "axi_wvalid": 1,
            "axi_bready": 1, "axi_araddr": 9, "axi_arvalid": 1, "axi_rready": 1, "running": 1, "ends": 1, "aborted": 1,
            "end_code": 4, "end_detail": 32, "cycles": 64,
        },
        {
            "axi_awready": 1, "axi_wready": 1, "axi_bresp": 2, "axi_bvalid": 1, "axi_arready": 1, "axi_rdata": 32,
            "axi_rresp": 2, "axi_rvalid": 1, "interrupt_line": 1, "start": 1, "soft_reset": 1,
            "window_address": 256, "window_bytes": 128, "images": 32, "watchdog_cycles": 32,
        },
        {"BUILD_HASH": 0x12345678},
    ),
}  # fmt: skip


def words_for(ports: dict[str, int]) -> int:
    """Return how many words ports take."""
    return -(-sum(ports.values()) // WORD)


def part_of(first: int, ports: dict[str, int]) -> slice:
    """Return the bytes of ports that begin at a word."""
    return slice(first * WORD // 8, (first + words_for(ports)) * WORD // 8)


class Layout:
    """Where each module's ports lie among the bits of the top's ports ``given`` and ``shown``."""

    def __init__(self) -> None:
        self.given: dict[str, int] = {}  # first word of each module's part
        self.shown: dict[str, int] = {}
        given = shown = 0
        for name, unit in UNITS.items():
            self.given[name], self.shown[name] = given, shown
            given += words_for(unit.inputs)
            shown += words_for(unit.outputs)
        self.given_words, self.shown_words = given, shown

    def top(self) -> str:
        """Return the SystemVerilog of the top."""
        lines = [
            f"module unit_bench (input logic clk, input logic [{self.given_words * WORD - 1}:0] given, "
            f"output logic [{self.shown_words * WORD - 1}:0] shown);"
        ]
        for name, unit in UNITS.items():
            pins = [".clk(clk)"]
            for ports, vector, first in (
                (unit.inputs, "given", self.given[name]),
                (unit.outputs, "shown", self.shown[name]),
            ):
                position = first * WORD
                for port, bits in ports.items():
                    pins.append(f".{port}({vector}[{position} +: {bits}])")
                    position += bits
            parameters = ", ".join(f".{key}({value})" for key, value in unit.parameters.items())
            lines.append(f"  {unit.module} #({parameters}) {name} ({', '.join(pins)});")
        return "\n".join([*lines, "endmodule", ""])


@lru_cache
def _load() -> tuple[ctypes.CDLL, Layout]:
    """Build the model, unless it is in the cache, and load it."""
    sources = [path for path in core_sources() if path.stem not in SURROUNDINGS]
    kind = "unit-bench-coverage" if COVERAGE_FILE else "unit-bench"
    folder = cache_folder() / kind / fingerprint(*sources, BENCH, Path(__file__))
    library, layout = folder / "bench.so", Layout()
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        top = folder / "unit_bench.sv"
        top.write_text(layout.top())
        build_program("unit_bench", [*sources, top], BENCH, folder / "build", OPTIONS).replace(library)
    loaded = ctypes.CDLL(str(library))
    if COVERAGE_FILE:
        atexit.register(loaded.unit_bench_write_coverage, os.fsencode(COVERAGE_FILE))
    return loaded, layout


class Driver:
    """Drives one module, after a reset; the others see zeros, which ask nothing of them."""

    def __init__(self, name: str) -> None:
        self.unit = UNITS[name]
        self._library, layout = _load()
        self._given = bytearray(layout.given_words * WORD // 8)
        self._shown = bytearray(layout.shown_words * WORD // 8)
        self._given_at = ctypes.c_char.from_buffer(self._given)
        self._shown_at = ctypes.c_char.from_buffer(self._shown)
        self._input_part = part_of(layout.given[name], self.unit.inputs)
        self._output_part = part_of(layout.shown[name], self.unit.outputs)
        if "reset" in self.unit.inputs:
            for _ in range(2):
                self.cycle(reset=1)

    def look(self, **inputs: int) -> SimpleNamespace:
        """Return what the module shows while it is given these inputs; one that is not named is 0."""
        assert inputs.keys() <= self.unit.inputs.keys()
        packed, position = 0, 0
        for name, bits in self.unit.inputs.items():
            packed |= (int(inputs.get(name, 0)) & ((1 << bits) - 1)) << position
            position += bits
        part = self._input_part
        self._given[part] = packed.to_bytes(part.stop - part.start, "little")
        self._library.unit_bench_look(ctypes.byref(self._given_at), ctypes.byref(self._shown_at))
        packed = int.from_bytes(self._shown[self._output_part], "little")
        shown = {}
        for name, bits in self.unit.outputs.items():
            shown[name] = packed & ((1 << bits) - 1)
            packed >>= bits
        return SimpleNamespace(**shown)

    def cycle(self, **inputs: int) -> SimpleNamespace:
        """Return the same, and let the cycle end."""
        shown = self.look(**inputs)
        line = self._library.unit_bench_tick()
        assert line == 0, f"{self.unit.module}.sv:{line}: an assertion does not hold"
        return shown
