"""Registers, and how runs begin and end, each against what the header promises."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given

from pynq_snn import layout
from pynq_snn.layout import ErrorCode
from tests.overlay.verilated import missing_tools
from tests.rtl.unit_bench import (
    OUTCOME,
    PACES,
    SEEDS,
    Driver,
    cycles,
    few,
    unpack,
)

pytestmark = pytest.mark.skipif(bool(missing_tools()), reason=missing_tools())

REGISTERS = layout.REGISTER_OFFSETS
ARGUMENTS = {
    offset + 4 * high
    for name, offset in REGISTERS.items()
    for high in range(1 + name.endswith("_address"))
    if name.endswith(("_address", "_bytes")) or name in {"images", "watchdog_cycles"}
}


class Processor:
    """Reads and writes registers over AXI4-Lite, each channel at its own pace."""

    def __init__(self, random: Random, pace: float) -> None:
        self.unit, self.random, self.pace = Driver("control"), random, pace
        self.core: dict[str, int] = {"running": 0}
        self.pulses = {"start": 0, "soft_reset": 0}
        self.shown: Any = self.unit.look()

    def cycle(self, **inputs: int) -> Any:
        self.shown = self.unit.cycle(**self.core, **inputs)
        for name in self.pulses:
            self.pulses[name] += getattr(self.shown, name)
        return self.shown

    def moves(self) -> bool:
        return self.random.random() < self.pace

    def write(self, offset: int, value: int, strobe: int = 15) -> None:
        todo, offered = {"axi_awvalid", "axi_wvalid"}, set()
        for _ in cycles():
            offered |= {name for name in todo if self.moves()}  # what is offered stays until it is taken
            bready = self.moves()
            shown = self.cycle(
                axi_awaddr=offset, axi_wdata=value, axi_wstrb=strobe, axi_bready=bready,
                **{name: name in offered for name in ("axi_awvalid", "axi_wvalid")},
            )  # fmt: skip
            for name, ready in (("axi_awvalid", shown.axi_awready), ("axi_wvalid", shown.axi_wready)):
                if ready and name in offered:
                    todo.discard(name)
                    offered.discard(name)
            if shown.axi_bvalid and bready:
                assert not todo and shown.axi_bresp == 0
                return

    def read(self, offset: int) -> int:
        asked = False
        offered = False
        for _ in cycles():
            offered = not asked and (offered or self.moves())
            ready = self.moves()
            shown = self.cycle(axi_araddr=offset, axi_arvalid=offered, axi_rready=ready)
            asked = asked or bool(offered and shown.axi_arready)
            if shown.axi_rvalid and ready:
                assert asked and shown.axi_rresp == 0
                return int(shown.axi_rdata)
        raise AssertionError


@few
@given(seed=SEEDS, pace=PACES)
def test_registers_keep_what_is_written(seed: int, pace: float) -> None:
    """Arguments, byte by byte; offsets without a register read as 0; constants stay what they are."""
    random = Random(seed)
    processor = Processor(random, pace)
    values = dict.fromkeys(ARGUMENTS, 0)
    for _ in range(60):
        offset = random.choice([*ARGUMENTS, *range(0x100, 0x200, 4)])
        value, strobe = random.getrandbits(32), random.getrandbits(4)
        processor.core["running"] = random.random() < 0.2
        processor.write(offset, value, strobe)
        if offset in values and not processor.core["running"]:
            mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
            values[offset] = values[offset] & ~mask | value & mask
    processor.core["cycles"] = 0x1234567890ABCDEF
    fixed = {"core_id": layout.CORE_ID, "core_version": layout.LAYOUT_VERSION, "build_hash": 0x12345678,
             "cycles_low": 0x90ABCDEF, "cycles_high": 0x12345678, "error_code": 0, "error_detail": 0}  # fmt: skip
    expected = values | {REGISTERS[name]: value for name, value in fixed.items()}
    named = {offset for own in REGISTERS.values() for offset in (own, own + 4)}
    for offset in (*expected, *(offset for offset in range(0, 0x200, 4) if offset not in named)):
        assert processor.read(offset) == expected.get(offset, 0), hex(offset)
    for region, name in enumerate(("program", "input", "workspace", "output")):
        address = REGISTERS[f"{name}_address"]
        window = values[address] | values[address + 4] << 32
        assert unpack(processor.shown.window_address, 64, 4)[region] == window
        assert unpack(processor.shown.window_bytes, 32, 4)[region] == values[REGISTERS[f"{name}_bytes"]]


@few
@given(seed=SEEDS, pace=PACES)
def test_start_done_and_interrupt(seed: int, pace: float) -> None:
    processor = Processor(Random(seed), pace)
    core, control = processor.core, REGISTERS["control"]
    for name in ("interrupt_global_enable", "interrupt_enable"):
        assert processor.read(REGISTERS[name]) == 0
        processor.write(REGISTERS[name], 1, 14)  # without its byte, nothing happens
        assert processor.read(REGISTERS[name]) == 0
        processor.write(REGISTERS[name], 1)
        assert processor.read(REGISTERS[name]) == 1
    assert processor.read(control) == layout.CONTROL_IDLE
    processor.write(control, 0)
    assert processor.pulses["start"] == 0
    processor.write(control, layout.CONTROL_START)
    assert processor.pulses["start"] == 1
    core["running"] = 1
    processor.write(control, layout.CONTROL_START)  # ignored
    assert processor.pulses["start"] == 1
    assert processor.read(control) == layout.CONTROL_START
    processor.cycle(ends=1, end_code=5, end_detail=0x30007)
    core["running"] = 0
    processor.cycle()
    assert processor.cycle().interrupt_line
    assert (processor.read(REGISTERS["error_code"]), processor.read(REGISTERS["error_detail"])) == (5, 0x30007)
    expected = layout.CONTROL_DONE | layout.CONTROL_IDLE | layout.CONTROL_READY
    assert processor.read(control) == expected
    assert processor.read(control) == expected & ~layout.CONTROL_DONE  # reading clears it
    processor.write(REGISTERS["interrupt_status"], 0)
    assert processor.read(REGISTERS["interrupt_status"]) == 1
    processor.write(REGISTERS["interrupt_status"], 1)
    assert processor.read(REGISTERS["interrupt_status"]) == 0
    assert not processor.cycle().interrupt_line
    for value in (0, 1):
        processor.write(REGISTERS["soft_reset"], value)
        assert processor.pulses["soft_reset"] == value
    processor.write(REGISTERS["interrupt_enable"], 0)
    processor.cycle(ends=1, aborted=1, end_code=9)
    assert processor.read(REGISTERS["error_code"]) == 9
    assert processor.read(control) == layout.CONTROL_IDLE  # an aborted run is not done
    processor.cycle(ends=1)
    assert processor.read(REGISTERS["interrupt_status"]) == 0
    assert processor.read(control) == expected


OUTCOME_BITS = OUTCOME.pack(code=5, layer=9, place=33)
ENDS: dict[str, tuple[dict[str, int], int, int]] = {
    "finished": ({"program_finished": 1}, 5, 9 << 16 | 33),
    "memory": ({"bus_error": 1, "fence_error": 1, "program_finished": 1}, ErrorCode.BUS, 0),
    "fence": ({"fence_error": 1, "program_finished": 1}, ErrorCode.ADDRESS_FENCE, 7 << 16 | 2),
    "soft reset": ({"soft_reset": 1, "bus_error": 1}, ErrorCode.ABORTED, 0),
    "watchdog": ({}, ErrorCode.WATCHDOG, 4 << 16),
}


@pytest.mark.parametrize("drained_after", [0, 5, 1000])
@pytest.mark.parametrize("name", ENDS)
def test_the_first_event_ends_a_run(name: str, drained_after: int) -> None:
    """With its code and detail; memory that never answers is waited for 16 cycles."""
    unit = Driver("run_control")
    event, code, detail = ENDS[name]
    constant = {
        "program_outcome": OUTCOME_BITS, "fence_region": 2, "fence_layer": 7, "layer_under_way": 4,
        "watchdog_cycles": 0 if event else 30,
    }  # fmt: skip
    assert unit.cycle(drained=1).clear
    unit.cycle(start=1, drained=1, **constant)
    assert unit.cycle(drained=1, **constant).program_start
    for _ in range(20):
        shown = unit.cycle(**constant)
        assert (shown.running, shown.stop, shown.clear, shown.ends) == (1, 0, 0, 0)
    unit.cycle(**event, **constant)
    ended_after = 0
    for ended_after in cycles():
        shown = unit.cycle(drained=ended_after >= drained_after + (0 if event else 10), **constant)
        if shown.ends:
            break
    assert (shown.end_code, shown.end_detail, shown.running, shown.clear) == (code, detail, 0, 1)
    assert shown.aborted == (name == "soft reset")
    assert ended_after < 50
    if drained_after == 1000:  # a start while memory still owes is answered with an error
        unit.cycle(start=1, **constant)
        while not (shown := unit.cycle(**constant)).ends:
            assert shown.running and not shown.program_start
        assert (shown.end_code, shown.end_detail) == (ErrorCode.BUS, 0)


def test_a_soft_reset_while_a_run_ends_aborts_it() -> None:
    unit = Driver("run_control")
    unit.cycle(start=1, drained=1)
    unit.cycle(drained=1)
    unit.cycle(program_finished=1, program_outcome=OUTCOME_BITS)
    unit.cycle(soft_reset=1)
    while not (shown := unit.cycle(drained=1)).ends:
        assert shown.running
    assert (shown.end_code, shown.end_detail, shown.aborted) == (ErrorCode.ABORTED, 0, 1)
