"""Damaged programs: every device refuses them with the same error, stays idle, and never writes outside its buffers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pynq_snn import layout
from pynq_snn.accelerator import Accelerator
from pynq_snn.devices import available, open_device
from pynq_snn.devices.simulated import SimulatedDevice
from pynq_snn.encode import encode_pixels
from pynq_snn.errors import DeviceError
from pynq_snn.layout import ErrorCode, Region
from pynq_snn.network import integrate
from pynq_snn.program import Program, compile_network, seal_command
from tests.networks import max_pooled, random_input, residual

DEVICES = [name for name in ("reference", "kernel") if available()[name] is None]
FIELDS = [declared.name for declared in layout.DESCRIPTOR_FIELDS]
GUARD = 4096
GUARD_BYTE = 0xA5


class Bench:
    """Runs a program's bytes on a device without the driver, with guard bytes around every buffer."""

    def __init__(self, device: SimulatedDevice, program: Program, images: int = 1) -> None:
        self.device = device
        self.sizes = program.buffer_bytes(images)
        self.images = images
        whole = device.allocate(sum(layout.align(size) + GUARD for size in self.sizes.values()) + GUARD)
        whole.array[:] = GUARD_BYTE
        self.memory = whole.array
        self.start: dict[Region, int] = {}
        position = GUARD
        for region, size in self.sizes.items():
            self.start[region] = position
            position += layout.align(size) + GUARD
        self.base = whole.address

    def run(self, data: np.ndarray, inputs: np.ndarray, **registers: int) -> tuple[int, int, np.ndarray]:
        """Return error code, error detail and the bytes of the output buffer."""
        device = self.device
        self.prepare(data, inputs, **registers)
        device.write_named("control", layout.CONTROL_START)
        device.wait(30)
        control = device.read_named("control")
        assert control & layout.CONTROL_DONE and control & layout.CONTROL_IDLE
        self.check_guards()
        return device.read_named("error_code"), device.read_named("error_detail"), self.part(Region.OUTPUT).copy()

    def prepare(self, data: np.ndarray, inputs: np.ndarray, **registers: int) -> None:
        """Fill memory and registers for a run."""
        device = self.device
        self.memory[:] = GUARD_BYTE
        self.part(Region.PROGRAM)[: len(data)] = data
        self.part(Region.INPUT)[:] = np.tile(inputs, self.images)
        for region, size in self.sizes.items():
            device.write_named(f"{region.name.lower()}_address", self.base + self.start[region])
            device.write_named(f"{region.name.lower()}_bytes", size)
        device.write_named("images", self.images)
        device.write_named("watchdog_cycles", 0)
        for name, value in registers.items():
            device.write_named(name, value)

    def part(self, region: Region) -> np.ndarray:
        return self.memory[self.start[region] : self.start[region] + self.sizes[region]]

    def check_guards(self) -> None:
        outside = np.ones(len(self.memory), np.bool_)
        for region in (Region.WORKSPACE, Region.OUTPUT):
            outside[self.start[region] : self.start[region] + self.sizes[region]] = False
        for region in (Region.PROGRAM, Region.INPUT):
            outside[self.start[region] : self.start[region] + self.sizes[region]] = False
        assert (self.memory[outside] == GUARD_BYTE).all(), "the core wrote outside its buffers"


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[SimulatedDevice]:
    opened = open_device(request.param)
    assert isinstance(opened, SimulatedDevice)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_network(integrate(residual(firing="stepwise", timesteps=2)))


@pytest.fixture(scope="module")
def inputs(program: Program) -> np.ndarray:
    image = random_input(program.network, 3, 1)[0]
    assert program.patches is not None
    return encode_pixels(image, program.input_map, program.patches, program.network.mean_pixel)


def read_header(data: np.ndarray) -> dict[str, int]:
    words = data[: layout.HEADER_BYTES].view("<u4")
    return {declared.name: int(words[index]) for index, declared in enumerate(layout.HEADER_FIELDS)}


def with_field(data: np.ndarray, layer: int, name: str, value: int) -> np.ndarray:
    """Return the program with one descriptor field changed and the checksum made right again."""
    changed = data.copy()
    offset = layout.HEADER_BYTES + layer * layout.DESCRIPTOR_BYTES + 4 * FIELDS.index(name)
    changed[offset : offset + 4] = np.array([value], "<u4").view(np.uint8)
    header = read_header(changed)
    seal_command(changed[: header["command_bytes"]], header)
    return changed


def test_the_unchanged_program_runs(device: SimulatedDevice, program: Program, inputs: np.ndarray) -> None:
    code, detail, output = Bench(device, program).run(program.data, inputs)
    assert (code, detail) == (ErrorCode.NONE, 0)
    assert output[: program.output_bytes].any()


@pytest.mark.parametrize(
    ("word", "value", "expected"),
    [
        ("magic", 0, ErrorCode.BAD_MAGIC),
        ("version", layout.LAYOUT_VERSION + 1, ErrorCode.BAD_VERSION),
        ("command_bytes", 64, ErrorCode.BAD_SIZE),
        ("command_bytes", 0xFFFFFFC0, ErrorCode.BAD_SIZE),
        ("layer_count", 0, ErrorCode.BAD_SIZE),
        ("layer_count", 256, ErrorCode.BAD_SIZE),
        ("tap_count", 0, ErrorCode.BAD_SIZE),
        ("tap_count", 0xFFFFFFFF, ErrorCode.BAD_SIZE),
        ("program_bytes", 0xFFFFFFFF, ErrorCode.BAD_SIZE),
        ("input_bytes", 0, ErrorCode.BAD_SIZE),
        ("input_bytes", 0xFFFFFFFF, ErrorCode.BAD_SIZE),
        ("workspace_bytes", 0xFFFFFFFF, ErrorCode.BAD_SIZE),
        ("output_bytes", 0, ErrorCode.BAD_SIZE),
        ("output_bytes", 0xFFFFFFC0, ErrorCode.BAD_SIZE),
        ("command_crc", 12345, ErrorCode.BAD_CHECKSUM),
    ],
)
def test_damaged_header(
    device: SimulatedDevice, program: Program, inputs: np.ndarray, word: str, value: int, expected: ErrorCode
) -> None:
    data = program.data.copy()
    index = [declared.name for declared in layout.HEADER_FIELDS].index(word)
    data[4 * index : 4 * index + 4] = np.array([value], "<u4").view(np.uint8)
    bench = Bench(device, program)
    assert bench.run(data, inputs)[0] == expected
    assert bench.run(program.data, inputs)[0] == ErrorCode.NONE


@pytest.mark.parametrize(
    "registers",
    [
        {"images": 0},
        {"images": 2},
        {"images": layout.MAX_IMAGES + 1},
        {"program_bytes": 63},
        {"input_bytes": 64},
        {"workspace_bytes": 0},
        {"output_bytes": 64},
    ],
    ids=str,
)
def test_buffers_that_are_too_small(
    device: SimulatedDevice, program: Program, inputs: np.ndarray, registers: dict[str, int]
) -> None:
    bench = Bench(device, program)
    assert bench.run(program.data, inputs, **registers)[0] == ErrorCode.BAD_SIZE
    assert bench.run(program.data, inputs)[0] == ErrorCode.NONE


def test_an_unknown_version_is_named_before_its_sizes_are_believed(
    device: SimulatedDevice, program: Program, inputs: np.ndarray
) -> None:
    bench = Bench(device, program)
    data = program.data.copy()
    index = [declared.name for declared in layout.HEADER_FIELDS].index("version")
    data[4 * index] += 1
    assert bench.run(data, inputs, workspace_bytes=0)[0] == ErrorCode.BAD_VERSION


def test_addresses_outside_the_memory(device: SimulatedDevice, program: Program, inputs: np.ndarray) -> None:
    bench = Bench(device, program)
    for region in Region:
        name = f"{region.name.lower()}_address"
        for address in (0, 0xFFFF_FFFF_FFFF_FFC0):
            assert bench.run(program.data, inputs, **{name: address})[0] == ErrorCode.BUS, name
    assert bench.run(program.data, inputs)[0] == ErrorCode.NONE


def unused(program: Program, layer: int, name: str) -> bool:
    """Whether a layer ignores a field: weights of max pooling, the place of a second source that is not there."""
    sources = program.network.layers[layer].sources
    return (name == "weight_offset" and program.network.layers[layer].kind == "max_pool") or (
        name.startswith("source1_") and len(sources) == 1
    )


@pytest.mark.parametrize("name", FIELDS)
def test_every_corrupted_descriptor_field(program: Program, inputs: np.ndarray, name: str) -> None:
    """Extreme and near values of each field: refused for the same layer with the same code, or the same result."""
    pooled = compile_network(integrate(max_pooled(firing="deferred", timesteps=2)))
    for candidate, layers in ((program, (0, 2, 4)), (pooled, (1,))):
        image = inputs if candidate is program else np.zeros(candidate.input_bytes, np.uint8)
        for layer in layers:
            offset = layout.HEADER_BYTES + layer * layout.DESCRIPTOR_BYTES + 4 * FIELDS.index(name)
            present = int(candidate.data[offset : offset + 4].view("<u4")[0])
            for value in {0, 1, present + 1, max(present - 1, 0), present + 64, 0x7FFFFFFF, 0xFFFFFFFF} - {present}:
                results = run_on_all(candidate, with_field(candidate.data, layer, name, value), image)
                codes = [(code, detail >> 16) for code, detail, _ in results]
                assert codes == [codes[0]] * len(codes), (layer, value)
                if not name.endswith("offset"):  # a moved map may overlap another, and then the order of writing shows
                    assert all(np.array_equal(output, results[0][2]) for _, _, output in results), (layer, value)
                if value == 0xFFFFFFFF and not unused(candidate, layer, name):
                    assert codes[0] in {(ErrorCode.BAD_DESCRIPTOR, layer), (ErrorCode.ADDRESS_FENCE, layer)}


def run_on_all(program: Program, data: np.ndarray, image: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    """Return (error code, detail, logits where there is no error) of each device."""
    results = []
    for name in DEVICES:
        with open_device(name) as opened:
            assert isinstance(opened, SimulatedDevice)
            code, detail, output = Bench(opened, program).run(data, image)
            results.append((code, detail, output[: program.output_bytes if code == ErrorCode.NONE else 0]))
    return results


def test_damaged_taps(device: SimulatedDevice, program: Program, inputs: np.ndarray) -> None:
    start = layout.HEADER_BYTES + len(program.network.layers) * layout.DESCRIPTOR_BYTES
    for part, value in (("weight_block", 0xFFFF), ("source", 2), ("source", 1)):
        data = program.data.copy()
        offset = start + 2 * [field.name for field in layout.TAP_FIELDS].index(part)
        data[offset : offset + 2] = np.array([value], "<u2").view(np.uint8)
        header = read_header(data)
        seal_command(data[: header["command_bytes"]], header)
        code, detail, _ = Bench(device, program).run(data, inputs)
        assert (code, detail) == (ErrorCode.BAD_DESCRIPTOR, FIELDS.index("first_tap"))


def test_rows_beyond_the_line_buffer(device: SimulatedDevice, program: Program, inputs: np.ndarray) -> None:
    layer, side = 2, layout.MAX_SIDE
    start = layout.HEADER_BYTES + layer * layout.DESCRIPTOR_BYTES
    fields = dict(zip(FIELDS, program.data[start : start + 4 * len(FIELDS)].view("<u4").tolist(), strict=True))
    row_bytes = layout.MASK_BYTES * fields["input_planes"] * side
    sizes = {"height": side, "width": side, "row_bytes": row_bytes, "block_bytes": row_bytes * side}
    sizes["image_bytes"] = sizes["block_bytes"] * fields["source0_blocks"]
    data = program.data.copy()
    tap = layout.HEADER_BYTES + len(program.network.layers) * layout.DESCRIPTOR_BYTES
    tap += layout.TAP_BYTES * fields["first_tap"]
    data[tap : tap + 2] = np.array([-32768], "<i2").view(np.uint8)  # the first tap's dy: all rows are in reach
    for field, value in sizes.items():
        data = with_field(data, layer, "source0_" + field, value)
    code, detail, _ = Bench(device, program).run(data, inputs)
    assert (code, detail) == (ErrorCode.BAD_DESCRIPTOR, layer << 16 | FIELDS.index("tap_count"))


def test_the_driver_explains_a_core_error(device: SimulatedDevice, program: Program) -> None:
    accelerator = Accelerator(device)
    network = accelerator.load(program.network)
    image = random_input(network, 3, 1)
    expected = accelerator.infer(image)
    buffer = accelerator._buffers[Region.PROGRAM]
    good = buffer.array.copy()
    buffer.array[:] = with_field(good, 2, "timesteps", 99)
    with pytest.raises(DeviceError, match=r"BAD_DESCRIPTOR in layer layer2, field timesteps"):
        accelerator.infer(image)
    buffer.array[:] = good
    assert np.array_equal(accelerator.infer(image), expected)
