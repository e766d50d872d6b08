"""The simulation's surroundings, proved with a stand-in core that breaks every rule on demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pynq_snn import layout
from pynq_snn.devices.rtl import ALL_CHANNELS, Channel, MemoryModel, RtlDevice
from pynq_snn.devices.rtl_model import Faults, Variant, missing_tools
from pynq_snn.errors import DeviceError, DeviceTimeout
from pynq_snn.layout import ErrorCode, Region
from tests.rtl.stand_in import SOURCES, StandIn

pytestmark = pytest.mark.rtl_tools
READ_BEATS, WRITE_BEATS = 20, 16
TRACED = Variant(trace=True)

# Number in stand_in.sv, channels to stall so that it shows, and what must be said of it.
MISCHIEF: dict[str, tuple[int, set[Channel], str]] = {
    "read_valid_falls": (2, {Channel.READ_ADDRESS}, "m0_axi_ar: valid fell before ready"),
    "read_payload_changes": (3, {Channel.READ_ADDRESS}, "m0_axi_ar: payload changed before ready"),
    "read_fixed_burst": (4, set(), r"m0_axi_ar: burst kind 0 instead of 1"),
    "read_narrow": (5, set(), "m0_axi_ar: size 2 instead of 3"),
    "read_crosses_4k": (6, set(), "m0_axi_ar: 16 beats from 0x10000fc0 cross a 4 KB boundary"),
    "read_outside": (7, set(), "m0_axi_ar: 128 bytes from 0x10001708 on are in none of the run's buffers"),
    "read_unaligned": (8, set(), "m0_axi_ar: address 0x10000004 is no multiple of 8"),
    "last_early": (9, set(), "m0_axi_w: last is 1 at beat 7 of 8"),
    "last_missing": (10, set(), "m0_axi_w: last is 0 at beat 8 of 8"),
    "wrong_id": (11, set(), "m0_axi_w: ID 6 in a burst with ID 5"),
    "write_outside": (12, set(), "m0_axi_w: byte 0x10000000 is neither in the workspace nor in the output"),
    "write_address_changes": (13, {Channel.WRITE_ADDRESS}, "m0_axi_aw: payload changed before ready"),
    "write_data_changes": (14, {Channel.WRITE_DATA}, "m0_axi_w: payload changed before ready"),
    "write_data_falls": (15, {Channel.WRITE_DATA}, "m0_axi_w: valid fell before ready"),
    "done_too_early": (16, set(), "the core says that it is idle while bursts are outstanding"),
    "read_while_idle": (17, set(), "m0_axi_ar: burst at 0x10000000 while no run is under way"),
    "response_falls": (18, {Channel.REGISTERS}, "s_axi_b: valid fell before ready"),
    "answer_changes": (19, {Channel.REGISTERS}, "s_axi_r: payload changed before ready"),
    "no_answer": (20, set(), "s_axi: register 0x.* was not answered in 1000 cycles"),
    "error_answer": (21, set(), "s_axi: register 0x.* answered with response 2"),
    "unasked_answer": (22, set(), "s_axi_r: valid although nothing was read"),
    "unasked_response": (23, set(), "s_axi_b: valid although nothing was written"),
    "stops": (24, set(), r"assertion or \$stop at .*stand_in.sv"),
    "write_address_falls": (26, {Channel.WRITE_ADDRESS}, "m0_axi_aw: valid fell before ready"),
    "write_crosses_4k": (27, set(), "m0_axi_aw: 8 beats from 0x10004fe0 cross a 4 KB boundary"),
    "second_port_outside": (28, set(), "m1_axi_ar: 32 bytes from 0x10002038 on are in none of the run's buffers"),
}
HANGS, PARTIAL_STROBES = 25, 29


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    opened = StandIn()
    yield opened
    opened.device.close()


def test_a_core_that_obeys(stand_in: StandIn) -> None:
    device = stand_in.device
    for run in range(3):
        stand_in.run()
        assert np.array_equal(stand_in.output(), stand_in.expected()), run
        idle = layout.CONTROL_IDLE
        assert device.read_named("control") & (idle | layout.CONTROL_DONE) == idle | layout.CONTROL_DONE
        assert device.read_named("control") & (idle | layout.CONTROL_DONE) == idle
        assert device.read_named("interrupt_status") == 0
    statistics = device.statistics()
    assert sum(statistics.read_beats) == 3 * READ_BEATS
    assert (statistics.write_beats, statistics.write_bursts) == (3 * WRITE_BEATS, 6)


@pytest.mark.parametrize("name", MISCHIEF)
def test_every_broken_rule_is_caught(stand_in: StandIn, name: str) -> None:
    number, stalled, message = MISCHIEF[name]
    channels = sum(1 << channel for channel in stalled)
    before = stand_in.memory.copy()
    stand_in.device.set_faults(Faults(seed=3, stall_per_mille=900, stalled_channels=channels))
    with pytest.raises(DeviceError, match=r"broke a rule in cycle \d+: " + message):
        stand_in.run(number)
    outside = np.ones(len(before), np.bool_)
    for start, size in ((0x3000, 64), (0x4000, 8192)):
        outside[start : start + size] = False
    assert np.array_equal(stand_in.memory[outside], before[outside])
    with pytest.raises(DeviceError, match="broke a rule"):  # until it is reset, nothing it answers can be believed
        stand_in.device.read_named("core_id")
    stand_in.device.reset()
    assert stand_in.device.read_named("core_id") == layout.CORE_ID


@pytest.mark.parametrize("channel", [*Channel, None])
def test_stalls_change_nothing_but_time(stand_in: StandIn, channel: Channel | None) -> None:
    stand_in.run()
    undisturbed = stand_in.device.read_named("cycles_low")
    stalled = ALL_CHANNELS if channel is None else 1 << channel
    cycles = set()
    for seed in range(5):
        stand_in.device.set_faults(
            Faults(seed=seed, stall_per_mille=600, stalled_channels=stalled, extra_latency_cycles=30)
        )
        stand_in.run()
        assert np.array_equal(stand_in.output(), stand_in.expected())
        cycles.add(stand_in.device.read_named("cycles_low"))
    assert min(cycles) >= undisturbed
    assert len(cycles) > 1


def test_the_same_seed_gives_the_same_run(stand_in: StandIn) -> None:
    cycles = []
    for seed in (1, 2, 1):
        stand_in.device.set_faults(Faults(seed=seed, stall_per_mille=500, stalled_channels=1 << Channel.READ_DATA))
        stand_in.run()
        cycles.append(stand_in.device.read_named("cycles_low"))
    assert cycles[0] == cycles[2] != cycles[1]


def cycles_with(**model: float) -> int:
    opened = StandIn(memory_model=MemoryModel(refresh_interval_s=0, **model))  # type: ignore[arg-type]
    opened.run()
    cycles = opened.device.read_named("cycles_low")
    opened.device.close()
    return cycles


def test_latency_is_what_was_asked_for() -> None:
    """A read and, one after the other, two writes: each waits once."""
    assert cycles_with(latency_cycles=70) - cycles_with(latency_cycles=40) == 3 * 30


def test_bandwidth_is_what_was_asked_for() -> None:
    """At 0.1 bytes a cycle the bytes are all that counts, and both ports and directions share them."""
    cycles = cycles_with(bandwidth=1e7)
    assert cycles == pytest.approx((READ_BEATS + WRITE_BEATS) * 8 / 0.1, rel=0.1)


def test_refresh_takes_its_share() -> None:
    slow = {"bandwidth": 1e7, "latency_cycles": 1}
    refreshed = StandIn(memory_model=MemoryModel(refresh_interval_s=1e-6, refresh_s=0.5e-6, **slow))  # type: ignore[arg-type]
    refreshed.run()
    cycles = refreshed.device.read_named("cycles_low")
    refreshed.device.close()
    assert cycles / cycles_with(**slow) == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("beat", [1, 7, READ_BEATS])
@pytest.mark.parametrize("response", [2, 3])
def test_read_errors_reach_the_core(stand_in: StandIn, beat: int, response: int) -> None:
    stand_in.device.set_faults(Faults(response=response, read_error_beat=beat))
    stand_in.run()
    assert stand_in.device.read_named("error_code") == ErrorCode.BUS
    stand_in.device.set_faults(Faults())
    stand_in.run()
    assert stand_in.device.read_named("error_code") == ErrorCode.NONE


@pytest.mark.parametrize("beat", [1, 8, 9, WRITE_BEATS])
def test_write_errors_reach_the_core(stand_in: StandIn, beat: int) -> None:
    stand_in.device.set_faults(Faults(response=2, write_error_beat=beat))
    stand_in.run()
    assert stand_in.device.read_named("error_code") == ErrorCode.BUS


def test_an_address_without_memory_is_a_bus_error(stand_in: StandIn) -> None:
    stand_in.device.write_named("program_address", 0)
    stand_in.run()
    assert stand_in.device.read_named("error_code") == ErrorCode.BUS


def test_strobes_choose_bytes(stand_in: StandIn) -> None:
    stand_in.run(PARTIAL_STROBES)
    assert np.array_equal(stand_in.output(), stand_in.expected() & np.uint64(0xFFFFFFFF))


def test_the_reset_line_at_a_cycle(stand_in: StandIn) -> None:
    stand_in.device.set_faults(Faults(reset_at_cycle=30))
    stand_in.run()
    assert stand_in.device.read_named("control") & layout.CONTROL_IDLE
    assert stand_in.device.read_named("program_bytes") == 0
    assert not stand_in.output().any()


def test_a_core_that_never_ends(stand_in: StandIn) -> None:
    device = stand_in.device
    device.write_named("images", HANGS)
    device.write_named("control", layout.CONTROL_START)
    with pytest.raises(DeviceTimeout, match="did not finish within 0.3 s"):
        device.wait(0.3)
    assert not device.read_named("control") & layout.CONTROL_IDLE  # registers answer while it runs
    device.write_named("control", layout.CONTROL_START)  # and a second start is ignored
    device.reset()
    assert device.read_named("control") & layout.CONTROL_IDLE
    stand_in.run()
    assert np.array_equal(stand_in.output(), stand_in.expected())


def test_interrupts_of_software_stay_pending(stand_in: StandIn) -> None:
    stand_in.device.write_named("interrupt_enable", 1)
    stand_in.run()
    assert stand_in.device.read_named("interrupt_status") == 1
    assert stand_in.device.read_named("interrupt_enable") == 1
    assert stand_in.device.read_named("interrupt_global_enable") == 0


def test_the_clock_sets_what_memory_moves_in_a_cycle() -> None:
    assert MemoryModel().settings(100).bytes_per_cycle == 14
    assert MemoryModel().settings(50).bytes_per_cycle == 28
    assert MemoryModel().settings(100).refresh_interval_cycles == 780
    assert MemoryModel().settings(100).refresh_cycles == 16


@pytest.mark.skipif(missing_tools(TRACED) is not None, reason=str(missing_tools(TRACED)))
def test_a_trace_is_written(tmp_path: Path) -> None:
    path = tmp_path / "run.fst"
    opened = StandIn(trace=path, clock_mhz=80)
    opened.run()
    opened.device.close()
    assert path.stat().st_size > 1000
    with pytest.raises(DeviceError, match="the trace cannot be written"):
        RtlDevice(sources=SOURCES, trace=tmp_path / "missing" / "run.fst")


def test_closed_is_closed(stand_in: StandIn) -> None:
    stand_in.device.close()
    stand_in.device.close()
    with pytest.raises(DeviceError, match="closed"):
        stand_in.device.read_named("core_id")


def test_an_offset_outside_the_map(stand_in: StandIn) -> None:
    with pytest.raises(DeviceError, match="outside the map"):
        stand_in.device.read(layout.REGISTER_SPACE_BYTES)


def test_regions_are_windows() -> None:
    assert [region.value for region in Region] == [0, 1, 2, 3]  # the order of enum WindowName in settings.hpp
