"""Registers, command unit, fence and AXI ports, with a stand-in for the datapath."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pynq_snn import layout
from pynq_snn.devices import open_device
from pynq_snn.devices.rtl import ALL_CHANNELS, MemoryModel, RtlDevice
from pynq_snn.devices.rtl_model import Faults
from pynq_snn.devices.simulated import SimulatedDevice
from pynq_snn.encode import encode_pixels
from pynq_snn.layout import ErrorCode, Region
from pynq_snn.network import integrate
from pynq_snn.program import Program, compile_network
from tests.networks import max_pooled, random_input, residual
from tests.rtl.memory_half import FIELDS, check_run, open_memory_half
from tests.test_core_errors import Bench, read_header, with_field

pytestmark = pytest.mark.rtl_tools
Bytes = npt.NDArray[np.uint8]
SLAVE_ERROR, DECODE_ERROR = 2, 3
OFFSETS = layout.REGISTER_OFFSETS


@pytest.fixture(scope="module")
def device() -> Iterator[RtlDevice]:
    opened = open_memory_half()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def kernel() -> Iterator[SimulatedDevice]:
    opened = open_device("kernel")
    assert isinstance(opened, SimulatedDevice)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def without_faults(device: RtlDevice) -> Iterator[None]:
    yield
    device.set_faults(Faults())


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_network(integrate(residual(firing="stepwise", timesteps=2)))


@pytest.fixture(scope="module")
def pooled() -> Program:
    return compile_network(integrate(max_pooled(firing="deferred", timesteps=2)))


@pytest.fixture(scope="module")
def inputs(program: Program) -> Bytes:
    image = random_input(program.network, 3, 1)[0]
    assert program.patches is not None
    return encode_pixels(image, program.input_map, program.patches, program.network.mean_pixel)


def start(device: RtlDevice) -> None:
    """Start a run without a thread that follows it."""
    for region in Region:
        prefix = region.name.lower()
        address = device.read_named(f"{prefix}_address") | device.read(OFFSETS[f"{prefix}_address"] + 4) << 32
        device._model.snn_rtl_set_window(device._open(), region, address, device.read_named(f"{prefix}_bytes"))
    device._write(OFFSETS["control"], layout.CONTROL_START)


def finish(device: RtlDevice, most_cycles: int = 1_000_000) -> None:
    """Simulate until the core is idle."""
    for _ in range(most_cycles // 1000):
        if device.read_named("control") & layout.CONTROL_IDLE:
            return
        device.run_cycles(1000)
    raise AssertionError("the core does not become idle")


# --- registers --------------------------------------------------------------------------------------------------------


def test_identity_and_arguments(device: RtlDevice) -> None:
    assert device.read_named("core_id") == layout.CORE_ID
    assert device.read_named("core_version") == layout.LAYOUT_VERSION
    arguments = [register for register in layout.REGISTERS if register.direction == "in"]
    offsets = [register.offset + 4 * half for register in arguments for half in range(register.bits // 32)]
    for offset in offsets:
        device.write(offset, 0x9E3779B1 * (offset + 1) & layout.WORD_MAX)
    for offset in offsets:
        assert device.read(offset) == 0x9E3779B1 * (offset + 1) & layout.WORD_MAX, hex(offset)
    for name in ("core_id", "core_version", "build_hash", "error_code", "error_detail", "cycles_low", "cycles_high"):
        before = device.read_named(name)
        device._write(OFFSETS[name], 0xFFFFFFFF)
        assert device.read_named(name) == before, name
    assert device.read(0x1FC) == 0  # no register


def test_control_follows_the_map_of_vitis(device: RtlDevice, program: Program, inputs: Bytes) -> None:
    bench = bench_of(device, program)
    bench.run(program.data, inputs)
    assert device.read_named("control") == layout.CONTROL_IDLE | layout.CONTROL_READY  # done was cleared by reading
    start(device)
    assert device.read_named("control") == layout.CONTROL_START
    device._write(OFFSETS["images"], 77)  # arguments and starts are ignored while the core runs
    device._write(OFFSETS["control"], layout.CONTROL_START)
    assert device.read_named("images") == 1
    finish(device)
    assert device.read_named("error_code") == ErrorCode.NONE
    assert device.read_named("interrupt_status") == 0  # not enabled


def test_interrupt_status(device: RtlDevice, program: Program, inputs: Bytes) -> None:
    bench_of(device, program).run(program.data, inputs)
    device._write(OFFSETS["interrupt_enable"], 1)
    start(device)
    finish(device)
    assert device.read_named("interrupt_status") == 1
    device._write(OFFSETS["interrupt_status"], 1)
    assert device.read_named("interrupt_status") == 0
    device._write(OFFSETS["interrupt_enable"], 0)


# --- traffic ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("which", ["program", "pooled"])
def test_everything_is_read_and_written(
    device: RtlDevice, which: str, images: int, inputs: Bytes, request: pytest.FixtureRequest
) -> None:
    candidate: Program = request.getfixturevalue(which)
    data = np.random.default_rng(3).integers(0, 256, candidate.input_bytes, np.uint8)
    check_run(device, candidate, data, images)


@pytest.mark.parametrize("channel", [*range(6), "all"])
def test_stalls_change_nothing(device: RtlDevice, program: Program, inputs: Bytes, channel: int | str) -> None:
    channels = ALL_CHANNELS if channel == "all" else 1 << int(channel)
    for seed, per_mille, later in ((1, 300, 0), (2, 800, 60)):
        faults = Faults(seed=seed, stall_per_mille=per_mille, stalled_channels=channels, extra_latency_cycles=later)
        device.set_faults(faults)
        check_run(device, program, inputs)


@pytest.mark.parametrize(
    "model",
    [
        MemoryModel(latency_cycles=1, bandwidth=1.6e9, refresh_interval_s=0),
        MemoryModel(latency_cycles=200, bandwidth=0.2e9),
        MemoryModel(outstanding_bursts=1, queue_words=16),
    ],
    ids=["fast", "slow", "one at a time"],
)
def test_other_memories(program: Program, inputs: Bytes, model: MemoryModel) -> None:
    device = open_memory_half(memory_model=model)
    check_run(device, program, inputs, 2)
    device.close()


def test_both_ports_carry_weights(program: Program, inputs: Bytes) -> None:
    device = open_memory_half()
    check_run(device, program, inputs)
    beats = device.statistics().read_beats
    assert min(beats) > max(beats) / 3
    device.close()


BENCHES: dict[tuple[int, int, int], Bench] = {}


def bench_of(device: SimulatedDevice, program: Program, images: int = 1) -> Bench:
    """Return the same buffers for the same program: a device's memory is not endless."""
    key = (id(device), id(program), images)
    if key not in BENCHES:
        BENCHES[key] = Bench(device, program, images)
    return BENCHES[key]


# --- what is wrong with a program -------------------------------------------------------------------------------------


def same_verdict(device: RtlDevice, kernel: SimulatedDevice, program: Program, data: Bytes, inputs: Bytes,
                 batch: int = 1, **registers: int) -> tuple[int, int]:  # fmt: skip
    """Compare error code and detail with the kernel's, and return them."""
    verdicts = [bench_of(each, program, batch).run(data, inputs, **registers)[:2] for each in (kernel, device)]
    assert verdicts[0] == verdicts[1]
    return verdicts[1]


def seal_anything(data: Bytes) -> None:
    """Make the checksum right, whatever the header says."""
    words = data[: layout.HEADER_BYTES].view("<u4")
    names = [field.name for field in layout.HEADER_FIELDS]
    section = data[layout.HEADER_CHECKED_FROM : int(words[names.index("command_bytes")])]
    words[names.index("command_crc")] = zlib.crc32(section.tobytes())


@pytest.mark.parametrize("name", [field.name for field in layout.HEADER_FIELDS])
def test_each_header_field(
    device: RtlDevice, kernel: SimulatedDevice, program: Program, inputs: Bytes, name: str
) -> None:
    index = [field.name for field in layout.HEADER_FIELDS].index(name)
    present = int(program.data[4 * index : 4 * index + 4].view("<u4")[0])
    refused = 0
    near = {present + 1, max(present - 1, 0), present + 64}
    for value in sorted({0, 1, 63, 64, 255, 256, 0x7FFFFFFF, 0xFFFFFFC0, 0xFFFFFFFF} | near):
        for seal in (False, True):
            data = program.data.copy()
            data[4 * index : 4 * index + 4] = np.array([value], "<u4").view(np.uint8)
            if seal and name != "command_crc":
                seal_anything(data)
            refused += same_verdict(device, kernel, program, data, inputs)[0] != ErrorCode.NONE
    assert refused >= 5


@pytest.mark.parametrize(
    "registers",
    [
        {"images": 0}, {"images": 2}, {"images": layout.MAX_IMAGES + 1}, {"images": 0x10001}, {"program_bytes": 0},
        {"program_bytes": 63}, {"program_bytes": 64}, {"input_bytes": 64}, {"workspace_bytes": 0}, {"output_bytes": 64},
    ],
    ids=str,
)  # fmt: skip
def test_arguments_that_do_not_fit(
    device: RtlDevice, kernel: SimulatedDevice, program: Program, inputs: Bytes, registers: dict[str, int]
) -> None:
    assert same_verdict(device, kernel, program, program.data, inputs, **registers) == (ErrorCode.BAD_SIZE, 0)


@pytest.mark.parametrize("region", Region)
@pytest.mark.parametrize("address", [0, 1 << 32, 0xFFFF_FFFF_FFFF_FFC0, 0xFFFF_FFC0, 0x1000_0020])
def test_addresses_that_nobody_answers(
    device: RtlDevice, kernel: SimulatedDevice, program: Program, inputs: Bytes, region: Region, address: int
) -> None:
    name = f"{region.name.lower()}_address"
    code = same_verdict(device, kernel, program, program.data, inputs, **{name: address})[0]
    assert code == (ErrorCode.BAD_SIZE if address % layout.ALIGNMENT else ErrorCode.BUS)
    device.write(OFFSETS[name] + 4, 0)


@pytest.mark.parametrize("name", FIELDS)
def test_each_descriptor_field(
    device: RtlDevice, kernel: SimulatedDevice, program: Program, pooled: Program, inputs: Bytes, name: str
) -> None:
    for candidate, layers in ((program, (0, 2, 4)), (pooled, (1,))):
        image = inputs if candidate is program else np.zeros(candidate.input_bytes, np.uint8)
        for layer in layers:
            offset = layout.HEADER_BYTES + layer * layout.DESCRIPTOR_BYTES + 4 * FIELDS.index(name)
            present = int(candidate.data[offset : offset + 4].view("<u4")[0])
            values = {0, 1, 2, 3, present + 1, max(present - 1, 0), present + 8, present + 64, 0x7FFFFFFF, 0xFFFFFFFF}
            for value in sorted(values - {present}):
                same_verdict(device, kernel, candidate, with_field(candidate.data, layer, name, value), image)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_first_broken_rule_is_named(
    device: RtlDevice, kernel: SimulatedDevice, program: Program, pooled: Program, inputs: Bytes, data: st.DataObject
) -> None:
    candidate = data.draw(st.sampled_from([program, pooled]), "program")
    image = inputs if candidate is program else np.zeros(candidate.input_bytes, np.uint8)
    changed = candidate.data
    for _ in range(data.draw(st.integers(1, 4), "changes")):
        layer = data.draw(st.integers(0, len(candidate.network.layers) - 1), "layer")
        name = data.draw(st.sampled_from(FIELDS), "field")
        limit = layout.DESCRIPTOR_FIELDS[FIELDS.index(name)]
        small = st.integers(limit.minimum, min(limit.maximum, 300))
        value = data.draw(small | st.sampled_from([limit.maximum, limit.minimum, 64, 128, 4096]), "value")
        changed = with_field(changed, layer, name, min(value, layout.WORD_MAX))
    same_verdict(device, kernel, candidate, changed, image, data.draw(st.sampled_from([1, 2]), "images"))


def with_tap(program: Program, tap: int, part: str, value: int) -> Bytes:
    data = program.data.copy()
    names = [field.name for field in layout.TAP_FIELDS]
    offset = layout.HEADER_BYTES + len(program.network.layers) * layout.DESCRIPTOR_BYTES
    offset += layout.TAP_BYTES * tap + 2 * names.index(part)
    data[offset : offset + 2] = np.array([value], "<u2").view(np.uint8)
    seal_anything(data)
    return data


@pytest.mark.parametrize("part", [field.name for field in layout.TAP_FIELDS])
def test_each_part_of_a_tap(
    device: RtlDevice, kernel: SimulatedDevice, program: Program, pooled: Program, inputs: Bytes, part: str
) -> None:
    for candidate in (program, pooled):
        image = inputs if candidate is program else np.zeros(candidate.input_bytes, np.uint8)
        for tap in (0, 3, read_header(candidate.data)["tap_count"] - 1):
            for value in (0, 1, 2, 255, 0x7FFF, 0x8000, 0xFFFF):
                same_verdict(device, kernel, candidate, with_tap(candidate, tap, part, value), image)


def test_an_error_ahead_waits_for_the_layers_before(device: RtlDevice, program: Program, inputs: Bytes) -> None:
    bench = bench_of(device, program)
    code, detail, output = bench.run(with_field(program.data, 3, "timesteps", 99), inputs)
    assert (code, detail) == (ErrorCode.BAD_DESCRIPTOR, 3 << 16 | FIELDS.index("timesteps"))
    records = output[program.output_bytes :].view("<u8").reshape(-1, layout.COUNTER_RECORD_BYTES // 8)
    written = records[:, layout.COUNTERS.index("bytes_written")]
    guard = np.frombuffer(b"\xa5" * 8, "<u8")[0]
    assert (written[:3] != guard).all() and (written[3:] == guard).all()


# --- runs that end early ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["read", "write"])
def test_an_error_response_on_any_beat_ends_the_run(
    device: RtlDevice, program: Program, inputs: Bytes, kind: str
) -> None:
    before = device.statistics()
    check_run(device, program, inputs)
    after = device.statistics()
    beats = after.write_beats - before.write_beats
    if kind == "read":
        beats = sum(after.read_beats) - sum(before.read_beats)
    chance = random.Random(5)
    for beat in [*range(1, 30), beats - 1, beats, *(chance.randrange(30, beats) for _ in range(40))]:
        response = DECODE_ERROR if beat % 2 else SLAVE_ERROR
        faults = Faults(seed=beat, response=response, stall_per_mille=200, stalled_channels=ALL_CHANNELS)
        setattr(faults, f"{kind}_error_beat", beat)
        device.set_faults(faults)
        assert bench_of(device, program).run(program.data, inputs)[:2] == (ErrorCode.BUS, 0), beat
    device.set_faults(Faults())
    check_run(device, program, inputs)


def test_soft_reset_at_any_time(device: RtlDevice, program: Program, inputs: Bytes) -> None:
    bench = bench_of(device, program)
    bench.run(program.data, inputs)
    cycles = device.read_named("cycles_low")
    chance = random.Random(7)
    for seed in range(60):
        faults = Faults(seed=seed, stall_per_mille=300, stalled_channels=ALL_CHANNELS, extra_latency_cycles=50)
        device.set_faults(faults)
        start(device)
        device.run_cycles(chance.randrange(1, cycles))
        device.reset()
        assert device.read_named("control") == layout.CONTROL_IDLE
        assert device.read_named("error_code") == ErrorCode.ABORTED
        bench.check_guards()
    device.set_faults(Faults())
    check_run(device, program, inputs)


def test_reset_line_at_any_time(device: RtlDevice, program: Program, inputs: Bytes) -> None:
    chance = random.Random(9)
    for seed in range(20):
        device.set_faults(Faults(seed=seed, reset_at_cycle=chance.randrange(1, 8000)))
        bench = bench_of(device, program)
        device.write_named("control", layout.CONTROL_START)
        device.wait(30)
        bench.check_guards()
    device.set_faults(Faults())
    check_run(device, program, inputs)


@pytest.mark.parametrize("cycles", [1, 100, 1000, 5000])
def test_watchdog(device: RtlDevice, program: Program, inputs: Bytes, cycles: int) -> None:
    bench = bench_of(device, program)
    code, _, _ = bench.run(program.data, inputs, watchdog_cycles=cycles)
    assert code == ErrorCode.WATCHDOG
    assert cycles <= device.read_named("cycles_low") < cycles + 500
    check_run(device, program, inputs)
