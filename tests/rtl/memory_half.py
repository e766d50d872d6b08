"""snn_memory with a stand-in for the datapath: what the stand-in must have read, added up and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pynq_snn import layout
from pynq_snn.devices.rtl import RtlDevice
from pynq_snn.devices.rtl_model import Variant, core_sources
from pynq_snn.layout import Operation, Region
from pynq_snn.program import Program
from tests.test_core_errors import GUARD_BYTE, Bench

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
MEMORY_BYTES = 64 << 20
STAND_IN = Path(__file__).parent / "stand_in" / "snn_compute.sv"
MEMORY_MODULES = (
    "snn_core", "snn_memory", "snn_control", "snn_run_control", "snn_command", "snn_command_listing",
    "snn_layer_decoder", "snn_tap_memory", "snn_crc", "snn_layer_record", "snn_fence", "snn_read_port",
    "snn_write_port", "snn_burst_cutter", "snn_queue", "snn_skid",
)  # fmt: skip
FIELDS = [field.name for field in layout.DESCRIPTOR_FIELDS]
PATTERN_MASK = np.uint64(0xFFFFFFFF)


def memory_half_sources() -> list[Path]:
    """Return the files of snn_core with the stand-in in the place of snn_compute."""
    files = core_sources()
    packages = [path for path in files if path.stem.endswith("_pkg")]
    return [*packages, *(path for path in files if path.stem in MEMORY_MODULES), STAND_IN]


def open_memory_half(**options: object) -> RtlDevice:
    """Return a device with assertions on."""
    return RtlDevice(
        MEMORY_BYTES,
        sources=memory_half_sources(),
        variant=Variant(assertions=True),
        **options,  # type: ignore[arg-type]
    )


class ExpectedRun:
    """Plays the stand-in: the buffers after a run, and the sums in the counter records."""

    def __init__(self, program: Program, data: Bytes, inputs: Bytes, images: int) -> None:
        sizes = program.buffer_bytes(images)
        self.images = images
        self.buffers = {region: np.full(size, GUARD_BYTE, np.uint8) for region, size in sizes.items()}
        self.buffers[Region.PROGRAM][:] = data
        self.buffers[Region.INPUT][:] = np.tile(inputs, images)
        header = data[: layout.HEADER_BYTES].view("<u4")
        names = [field.name for field in layout.HEADER_FIELDS]
        self.layers = int(header[names.index("layer_count")])
        self.tap_base = layout.HEADER_BYTES + self.layers * layout.DESCRIPTOR_BYTES
        self.records = np.zeros((self.layers, layout.COUNTER_RECORD_BYTES // 8), "<u8")
        for layer in range(self.layers):
            self._run_layer(layer)
        start = program.output_bytes * images
        # Cycles are not predicted: the records are compared without them.
        self.buffers[Region.OUTPUT][start : start + self.records.nbytes] = 0

    def _fields(self, layer: int) -> dict[str, int]:
        start = layout.HEADER_BYTES + layer * layout.DESCRIPTOR_BYTES
        words = self.buffers[Region.PROGRAM][start : start + layout.DESCRIPTOR_BYTES].view("<u4")
        return dict(zip(FIELDS, map(int, words), strict=False))

    def _words(self, region: int, offset: int, count: int) -> Words:
        return self.buffers[Region(region)][offset : offset + 8 * count].view("<u8")

    def _run_layer(self, layer: int) -> None:
        field = self._fields(layer)
        groups = -(-field["output_channels"] // layout.LANES)
        counters = dict.fromkeys(layout.COUNTERS, 0)
        counters["bytes_read"] = layout.DESCRIPTOR_BYTES + layout.TAP_BYTES * field["tap_count"]
        sources = self._read_taps(field, counters)
        for group in range(groups if field["operation"] == Operation.GATHER else 0):
            self._read_weights(field, group, counters)
        for image in range(self.images):
            for group in range(groups):
                for source in sources:
                    self._read_map(field, source, image, counters)
                self._write_rows(field, image, group, counters)
        self.records[layer, : len(layout.COUNTERS)] = [counters[name] & 0xFFFFFFFFFFFFFFFF for name in layout.COUNTERS]

    def _read_taps(self, field: dict[str, int], counters: dict[str, int]) -> set[int]:
        start = self.tap_base + layout.TAP_BYTES * field["first_tap"]
        taps = self.buffers[Region.PROGRAM][start : start + layout.TAP_BYTES * field["tap_count"]].view("<i2")
        dy, dx, block, source = (taps[part::4].astype(np.int64) for part in range(4))
        counters["additions"] += int((block + 3 * dx + 5 * dy + 7 * source).sum())
        return set(source.tolist()) | ({1} if field["shortcut"] else set())

    def _read_weights(self, field: dict[str, int], group: int, counters: dict[str, int]) -> None:
        size = layout.GROUP_HEADER_BYTES + field["weight_blocks"] * layout.WEIGHT_BLOCK_BYTES
        words = self._words(Region.PROGRAM, field["weight_offset"] + group * size, size // 8)
        counters["additions"] += weighted_sum(words)
        counters["bytes_read"] += size

    def _read_map(self, field: dict[str, int], source: int, image: int, counters: dict[str, int]) -> None:
        names = ("region", "offset", "image_bytes", "block_bytes", "row_bytes", "height", "width", "blocks")
        part = {name: field[f"source{source}_{name}"] for name in names}
        words = part["width"] * field["input_planes"] // 2
        for block in range(part["blocks"]):
            for row in range(part["height"]):
                offset = part["offset"] * self.images + part["image_bytes"] * image
                offset += part["block_bytes"] * block + part["row_bytes"] * row
                counters["spikes"] += weighted_sum(self._words(part["region"], offset, words))
                counters["bytes_read"] += 8 * words

    def _write_rows(self, field: dict[str, int], image: int, group: int, counters: dict[str, int]) -> None:
        readout = field["firing"] == layout.Firing.READOUT
        words = field["output_width"] * (16 if readout else field["output_planes"] // 2)
        offset = field["output_offset"] * self.images + field["output_image_bytes"] * image
        offset += field["output_block_bytes"] * group
        places = np.arange(offset, offset + 8 * words * field["output_height"], 8, dtype=np.uint64)
        self._words(field["output_region"], offset, len(places))[:] = (~places & PATTERN_MASK) << np.uint64(32) | places
        counters["bytes_written"] += 8 * len(places)


def weighted_sum(words: Words) -> int:
    """Return the sum of (index + 1) * word, modulo 2^64."""
    return int((words * np.arange(1, len(words) + 1, dtype=np.uint64)).sum(dtype=np.uint64))


def check_run(device: RtlDevice, program: Program, inputs: Bytes, images: int = 1) -> npt.NDArray[np.uint64]:
    """Run on the stand-in, compare everything with what must be there, and return the counter records."""
    bench = Bench(device, program, images)
    code, detail, output = bench.run(program.data, inputs)
    assert (code, detail) == (layout.ErrorCode.NONE, 0)
    expected = ExpectedRun(program, program.data, inputs, images)
    start = program.output_bytes * images
    records = output[start : start + expected.records.nbytes].copy().view("<u8").reshape(expected.records.shape)
    cycles = records[:, layout.COUNTERS.index("cycles")]
    stalls = records[:, layout.COUNTERS.index("stall_cycles")]
    assert (stalls < cycles).all() and 0 < int(cycles.sum()) < device.read_named("cycles_low")
    assert np.array_equal(records[:, 2:], expected.records[:, 2:])
    for region in (Region.WORKSPACE, Region.OUTPUT):
        size = start if region == Region.OUTPUT else len(expected.buffers[region])
        assert np.array_equal(bench.part(region)[:size], expected.buffers[region][:size]), region
    return records
