"""The core itself: bits equal to the golden model for every layer kind, whatever memory does, after every mishap."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pynq_snn import layout
from pynq_snn.accelerator import Accelerator
from pynq_snn.cli import main
from pynq_snn.devices.kernel import KernelDevice
from pynq_snn.devices.rtl import ALL_CHANNELS, Channel, RtlDevice
from pynq_snn.devices.rtl_model import Faults
from pynq_snn.devices.simulated import SimulatedDevice
from pynq_snn.encode import encode_pixels
from pynq_snn.layout import ErrorCode, Region
from pynq_snn.network import Network, integrate
from pynq_snn.program import Program, compile_network
from tests.networks import EXAMPLES, max_pooled, random_input, residual, to_events
from tests.test_core_errors import FIELDS, Bench, read_header, unused, with_field
from tests.test_devices import STEPWISE, check

pytestmark = [pytest.mark.rtl_tools, pytest.mark.filterwarnings("ignore::pynq_snn.errors.ConversionWarning")]
IMAGES = 3


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_network(integrate(residual(firing="stepwise", timesteps=2)))


@pytest.fixture(scope="module")
def inputs(program: Program) -> np.ndarray:
    assert program.patches is not None
    image = random_input(program.network, 3, 1)[0]
    return encode_pixels(image, program.input_map, program.patches, program.network.mean_pixel)


@pytest.fixture
def core() -> Iterator[RtlDevice]:
    opened = RtlDevice()
    yield opened
    opened.close()


@pytest.fixture
def kernel() -> Iterator[KernelDevice]:
    opened = KernelDevice()
    yield opened
    opened.close()


def infer(device: RtlDevice | str, network: Network, batch: int = 2) -> tuple[list[list[int]], int, int]:
    """Return logits, spikes and additions of a few inputs."""
    accelerator = Accelerator(device)
    accelerator.load(network)
    values = random_input(network, 11, IMAGES)
    if network.input_kind == "pixels":
        logits = accelerator.infer(values, batch=batch)
    else:
        logits = accelerator.infer_events([to_events(item) for item in values], batch=batch)
    report = accelerator.last_run
    if isinstance(device, str):
        accelerator.close()
    else:
        accelerator._free_buffers()
    return logits.tolist(), report.spikes, report.synaptic_operations


# --- right answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("firing", ["stepwise", "deferred"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_kind(name: str, firing: str) -> None:
    check(EXAMPLES[name](firing=firing), RtlDevice())


@pytest.mark.parametrize("timesteps", [1, 3, 8, 32])
@pytest.mark.parametrize("firing", ["stepwise", "deferred"])
def test_numbers_of_timesteps(timesteps: int, firing: str) -> None:
    check(residual(timesteps=timesteps, firing=firing), RtlDevice(), count=1)


@pytest.mark.parametrize("hard_reset", [False, True])
@pytest.mark.parametrize("leak_shift", [0, 1, 15])
def test_leak_and_reset(leak_shift: int, hard_reset: bool) -> None:
    check(residual(**STEPWISE, leak_shift=leak_shift, hard_reset=hard_reset), RtlDevice(), count=1)


@pytest.mark.parametrize("channel", [*Channel, None])
def test_stalls_change_nothing_but_time(core: RtlDevice, channel: Channel | None) -> None:
    stalled = ALL_CHANNELS if channel is None else 1 << channel
    for seed, (name, build) in enumerate(EXAMPLES.items()):
        network = integrate(build(firing="deferred" if seed % 2 else "stepwise", timesteps=2))
        core.set_faults(
            Faults(seed=seed, stall_per_mille=(300, 900)[seed % 2], stalled_channels=stalled, extra_latency_cycles=60)
        )
        assert infer(core, network, batch=1 + seed % 3) == infer("kernel", network, batch=1 + seed % 3), name


def test_one_run_after_the_other(core: RtlDevice) -> None:
    """Networks of different shapes, batches of different sizes: nothing of a run shows in the next."""
    for round_number in range(2):
        for name, build in EXAMPLES.items():
            network = integrate(build(firing="stepwise", timesteps=2))
            assert infer(core, network, 1 + round_number) == infer("kernel", network, 1 + round_number), name


# --- mishaps ----------------------------------------------------------------------------------------------------------


def test_resets_at_any_cycle(core: RtlDevice, program: Program, inputs: np.ndarray) -> None:
    """Both ways to reset, at random cycles: idle afterwards, nothing written outside, and the next run is right."""
    bench = Bench(core, program)
    code, _, expected = bench.run(program.data, inputs)
    assert code == ErrorCode.NONE
    total = core.read_named("cycles_low")
    random = np.random.default_rng(4)
    for turn, cycle in enumerate(random.integers(1, total, 30).tolist()):
        bench.prepare(program.data, inputs)
        core.set_faults(Faults(seed=turn, stall_per_mille=200 * (turn % 3), stalled_channels=ALL_CHANNELS))
        core.begin()
        core.run_cycles(cycle)
        core.reset()
        assert core.read_named("control") & layout.CONTROL_IDLE
        bench.check_guards()
        core.set_faults(Faults())
        code, _, output = bench.run(program.data, inputs)
        assert code == ErrorCode.NONE
        assert np.array_equal(expected[: program.output_bytes], output[: program.output_bytes]), cycle
    for cycle in random.integers(1, total, 10).tolist():
        bench.prepare(program.data, inputs)
        core.set_faults(Faults(reset_at_cycle=cycle))
        core.begin()
        core.run_cycles(2 * total)
        assert core.read_named("control") & layout.CONTROL_IDLE
        core.set_faults(Faults())
        code, _, output = bench.run(program.data, inputs)
        assert code == ErrorCode.NONE
        assert np.array_equal(expected[: program.output_bytes], output[: program.output_bytes]), cycle


@pytest.mark.parametrize("direction", ["read", "write"])
def test_memory_errors_on_any_beat(core: RtlDevice, program: Program, inputs: np.ndarray, direction: str) -> None:
    bench = Bench(core, program)
    before = core.statistics()
    code, _, expected = bench.run(program.data, inputs)
    assert code == ErrorCode.NONE
    after = core.statistics()
    reads = sum(after.read_beats) - sum(before.read_beats)
    beats = reads if direction == "read" else after.write_beats - before.write_beats
    random = np.random.default_rng(6)
    for beat in {1, 2, beats, *random.integers(1, beats + 1, 20).tolist()}:
        core.set_faults(Faults(response=2 + beat % 2, **{f"{direction}_error_beat": beat}))
        code, detail, _ = bench.run(program.data, inputs)
        assert (code, detail) == (ErrorCode.BUS, 0), beat
    core.set_faults(Faults())
    code, _, output = bench.run(program.data, inputs)
    assert code == ErrorCode.NONE
    assert np.array_equal(expected[: program.output_bytes], output[: program.output_bytes])


def test_the_watchdog_ends_a_run(core: RtlDevice, program: Program, inputs: np.ndarray) -> None:
    bench = Bench(core, program)
    assert bench.run(program.data, inputs)[0] == ErrorCode.NONE
    total = core.read_named("cycles_low")
    for cycles in (1, 100, total // 2, total - 200):
        assert bench.run(program.data, inputs, watchdog_cycles=cycles)[0] == ErrorCode.WATCHDOG, cycles
        assert core.read_named("cycles_low") <= cycles + 2000
    assert bench.run(program.data, inputs, watchdog_cycles=2 * total)[0] == ErrorCode.NONE


@pytest.mark.parametrize("name", FIELDS)
def test_every_corrupted_descriptor_field(
    core: RtlDevice, kernel: KernelDevice, program: Program, inputs: np.ndarray, name: str
) -> None:
    """Refused as the kernel does, or run to the same result; zero is among the values."""
    pooled = compile_network(integrate(max_pooled(firing="deferred", timesteps=2)))
    for candidate, layer in ((program, 2), (pooled, 1)):
        image = inputs if candidate is program else np.zeros(candidate.input_bytes, np.uint8)
        offset = layout.HEADER_BYTES + layer * layout.DESCRIPTOR_BYTES + 4 * FIELDS.index(name)
        present = int(candidate.data[offset : offset + 4].view("<u4")[0])
        for value in {0, 1, present + 1, 0xFFFFFFFF} - {present}:
            data = with_field(candidate.data, layer, name, value)
            mine, expected = (run_whole(device, candidate, data, image) for device in (core, kernel))
            assert mine[:2] == expected[:2], (layer, value)
            if not name.endswith("offset"):  # a moved map may overlap another, and then the order of writing shows
                assert mine[2] == expected[2], (layer, value)
            if value == 0xFFFFFFFF and not unused(candidate, layer, name):
                assert mine[0] != ErrorCode.NONE


@pytest.mark.parametrize("sides", [("height",), ("width",), ("height", "width")])
def test_a_second_source_without_places(
    core: RtlDevice, kernel: KernelDevice, program: Program, inputs: np.ndarray, sides: tuple[str, ...]
) -> None:
    """Taps see nothing of it, like outside any map; an identity shortcut must have the size of the output."""
    identity, taps = program.data, program.data
    for side in sides:
        identity = with_field(identity, 2, f"source1_{side}", 0)
        taps = with_field(taps, 4, f"source1_{side}", 0)
    refused, dark = (
        [run_whole(device, program, data, inputs) for device in (core, kernel)] for data in (identity, taps)
    )
    assert refused[0] == refused[1]
    assert refused[0][0] == ErrorCode.BAD_DESCRIPTOR
    assert dark[0] == dark[1]
    assert dark[0][0] == ErrorCode.NONE
    assert dark[0][2] != run_whole(core, program, program.data, inputs)[2]


def run_whole(device: SimulatedDevice, program: Program, data: np.ndarray, image: np.ndarray) -> tuple[int, int, bytes]:
    """Return error code, layer of the error, and the logits where there is no error."""
    code, detail, output = Bench(device, program).run(data, image)
    return code, detail >> 16, output[: program.output_bytes if code == ErrorCode.NONE else 0].tobytes()


@pytest.mark.parametrize("word", [declared.name for declared in layout.HEADER_FIELDS])
def test_every_corrupted_header_word(
    core: RtlDevice, kernel: KernelDevice, program: Program, inputs: np.ndarray, word: str
) -> None:
    header = read_header(program.data)
    index = [declared.name for declared in layout.HEADER_FIELDS].index(word)
    for value in (0, header[word] + 1, 0xFFFFFFFF):
        data = program.data.copy()
        data[4 * index : 4 * index + 4] = np.array([value & layout.WORD_MAX], "<u4").view(np.uint8)
        expected = Bench(kernel, program).run(data, inputs)[0]
        assert Bench(core, program).run(data, inputs)[0] == expected != ErrorCode.NONE


def test_buffers_without_memory(core: RtlDevice, program: Program, inputs: np.ndarray) -> None:
    bench = Bench(core, program)
    for region in Region:
        for address in (0, 0xFFFF_FFC0, 0xFFFF_FFFF_FFFF_FFC0):
            code = bench.run(program.data, inputs, **{f"{region.name.lower()}_address": address})[0]
            assert code == ErrorCode.BUS, (region, hex(address))
    assert bench.run(program.data, inputs)[0] == ErrorCode.NONE


# --- the command line ------------------------------------------------------------------------------------------------


def test_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model_file: Path, picture_file: Path
) -> None:
    arguments = ["run", str(picture_file), "--model", str(model_file), "--device"]
    answers = {}
    for device in ("rtl", "kernel"):
        assert main([*arguments, device, "--json"]) == 0
        answers[device] = json.loads(capsys.readouterr().out)
    for key in ("label", "logits", "spikes", "synaptic_operations"):
        assert answers["rtl"][key] == answers["kernel"][key]
    assert main([*arguments, "rtl", "--clock", "50"]) == 0
    text = capsys.readouterr().out
    assert "simulation of the RTL at 50 MHz" in text
    assert "(cycle-accurate simulation)" in text
    assert main([*arguments, "kernel", "--trace", str(tmp_path / "run.fst")]) == 1
    assert "the kernel device has no trace; use --device rtl" in capsys.readouterr().err
    assert main([*arguments, "rtl", "--trace", str(tmp_path / "missing" / "run.fst")]) == 1
    assert "the trace cannot be written" in capsys.readouterr().err


# --- the shipped networks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "most_cycles"), [("vgg11", 800_000), ("resnet18", 1_300_000)])
def test_a_shipped_network(model: str, most_cycles: int) -> None:
    """One picture through it: the same bits as the kernel, in time, and its bandwidth within what memory has."""
    from pynq_snn.bench import default_inputs

    results = {}
    for name in ("kernel", "rtl"):
        with Accelerator(RtlDevice() if name == "rtl" else name, timeout_s=600) as accelerator:
            network = accelerator.load(model)
            results[name] = accelerator.infer(default_inputs(network).items[0]), accelerator.last_run
    logits, report = results["rtl"]
    expected_logits, expected = results["kernel"]
    assert logits.tolist() == expected_logits.tolist()
    for mine, other in zip(report.layers, expected.layers, strict=True):
        assert (mine.spikes, mine.additions) == (other.spikes, other.additions), mine.name
    moved = sum(layer.bytes_read + layer.bytes_written for layer in report.layers)
    assert moved / 14 <= report.cycles <= most_cycles
