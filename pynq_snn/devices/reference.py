"""The golden model: docs/numerics.md in numpy, as plainly as it can be written.

It decodes the program bytes and uses registers and memory as any other device does. Nothing here is fast.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn import layout
from pynq_snn.devices.simulated import SimulatedDevice
from pynq_snn.encode import binary_planes, spike_counts
from pynq_snn.layout import Coding, ErrorCode, Firing, Operation, Region

Bits = npt.NDArray[np.uint8]
Values = npt.NDArray[np.int64]
FIELD_INDEX = {declared.name: index for index, declared in enumerate(layout.DESCRIPTOR_FIELDS)}


class CoreError(Exception):
    """Ends a run with an error code."""

    def __init__(self, code: ErrorCode, detail: int = 0) -> None:
        super().__init__(code.name)
        self.code, self.detail = code, detail


@dataclass(frozen=True)
class Window:
    """One of the four buffers: every access must lie inside."""

    address: int
    nbytes: int


class ReferenceDevice(SimulatedDevice):
    """Runs programs in numpy; counts no cycles."""

    name = "reference"
    description = "numpy reference on this machine's processor"

    def execute(self) -> None:
        self._set("cycles_low", 0)
        self._set("cycles_high", 0)
        try:
            code, detail = ErrorCode.NONE, 0
            self._execute_program()
        except CoreError as error:
            code, detail = error.code, error.detail
        self._set("error_code", code)
        self._set("error_detail", detail)

    def _register(self, name: str) -> int:
        return self.read_named(name)

    def _execute_program(self) -> None:
        self.images = self._register("images")
        self.windows = {
            region: Window(
                self._register(f"{region.name.lower()}_address"), self._register(f"{region.name.lower()}_bytes")
            )
            for region in Region
        }
        header = self._read_header()
        for number in range(header["layer_count"]):
            if self.abort[0]:
                raise CoreError(ErrorCode.ABORTED, number << 16)
            counters = _LayerRun(self, number, header).run()
            self._write_counters(number, header, counters)

    # --- memory -------------------------------------------------------------------------------------------------------

    def load(self, region: Region, offset: int, nbytes: int) -> Bits:
        """Return bytes of a buffer as the core sees them."""
        window = self.windows[region]
        start = window.address - self.memory.base + offset
        if start < 0 or start + nbytes > len(self.memory.array):
            raise CoreError(ErrorCode.BUS)
        return self.memory.array[start : start + nbytes]

    def _read_header(self) -> dict[str, int]:
        program = self.windows[Region.PROGRAM]
        if not 1 <= self.images <= layout.MAX_IMAGES or program.nbytes < layout.HEADER_BYTES:
            raise CoreError(ErrorCode.BAD_SIZE)
        if any(window.address % layout.ALIGNMENT for window in self.windows.values()):
            raise CoreError(ErrorCode.BAD_SIZE)
        words = self.load(Region.PROGRAM, 0, layout.HEADER_BYTES).view("<u4")
        header = {declared.name: int(words[index]) for index, declared in enumerate(layout.HEADER_FIELDS)}
        if header["magic"] != layout.PROGRAM_MAGIC:
            raise CoreError(ErrorCode.BAD_MAGIC)
        if header["version"] != layout.LAYOUT_VERSION:
            raise CoreError(ErrorCode.BAD_VERSION)
        self._check_sizes(header)
        command = self.load(Region.PROGRAM, 0, header["command_bytes"])
        if zlib.crc32(command[layout.HEADER_CHECKED_FROM :].tobytes()) != header["command_crc"]:
            raise CoreError(ErrorCode.BAD_CHECKSUM)
        return header

    def _check_sizes(self, header: dict[str, int]) -> None:
        command_bytes, layers = header["command_bytes"], header["layer_count"]
        needed = layout.HEADER_BYTES + layers * layout.DESCRIPTOR_BYTES + header["tap_count"] * layout.TAP_BYTES
        counters = layers * layout.COUNTER_RECORD_BYTES
        good = (
            1 <= layers <= layout.MAX_LAYERS
            and min(header["tap_count"], header["input_bytes"], header["output_bytes"]) >= 1
            and command_bytes % layout.ALIGNMENT == 0
            and needed <= command_bytes <= header["program_bytes"] <= self.windows[Region.PROGRAM].nbytes
            and header["output_bytes"] % layout.ALIGNMENT == 0
            and header["input_bytes"] * self.images <= self.windows[Region.INPUT].nbytes
            and header["workspace_bytes"] * self.images <= self.windows[Region.WORKSPACE].nbytes
            and header["output_bytes"] * self.images + counters <= self.windows[Region.OUTPUT].nbytes
        )
        if not good:
            raise CoreError(ErrorCode.BAD_SIZE)

    def _write_counters(self, number: int, header: dict[str, int], counters: dict[str, int]) -> None:
        offset = header["output_bytes"] * self.images + number * layout.COUNTER_RECORD_BYTES
        record = self.load(Region.OUTPUT, offset, layout.COUNTER_RECORD_BYTES).view("<u8")
        record[:] = 0
        for index, name in enumerate(layout.COUNTERS):
            record[index] = counters.get(name, 0)


class _LayerRun:
    """One layer over all images."""

    def __init__(self, device: ReferenceDevice, number: int, header: dict[str, int]) -> None:
        self.device = device
        self.number = number
        self.header = header
        offset = layout.HEADER_BYTES + number * layout.DESCRIPTOR_BYTES
        words = device.load(Region.PROGRAM, offset, layout.DESCRIPTOR_BYTES).view("<u4")
        self.fields = {declared.name: int(words[index]) for index, declared in enumerate(layout.DESCRIPTOR_FIELDS)}
        self.counters = {"additions": 0, "spikes": 0}

    def run(self) -> dict[str, int]:
        self._check_fields()
        self.taps = self._read_taps()
        self._check_line_buffer()
        self._check_fences()
        fields = self.fields
        if fields["operation"] == Operation.GATHER:
            self._read_groups()
        for image in range(self.device.images):
            sources = [self._read_map(number, image) for number in self._sources()]
            if fields["operation"] == Operation.MAX_POOL:
                self._write_map(self._max_pool(sources[0]), image)
            else:
                self._gather(sources, image)
        return self.counters

    def _sources(self) -> list[int]:
        return [0, 1] if self.fields["source1_blocks"] else [0]

    # --- checks, in the order of docs/numerics.md section 8 -----------------------------------------------------------

    def _require(self, condition: bool, name: str) -> None:
        if not condition:
            raise CoreError(ErrorCode.BAD_DESCRIPTOR, self.number << 16 | FIELD_INDEX[name])

    def _check_fields(self) -> None:
        fields = self.fields
        for declared in layout.DESCRIPTOR_FIELDS:
            self._require(declared.minimum <= fields[declared.name] <= declared.maximum, declared.name)
        planes_in, planes_out, timesteps = fields["input_planes"], fields["output_planes"], fields["timesteps"]
        readout = fields["firing"] == Firing.READOUT
        gather = fields["operation"] == Operation.GATHER
        self._require(planes_in % 2 == 0, "input_planes")
        self._require(planes_out % 2 == 0, "output_planes")
        if fields["input_coding"] == Coding.TIMESTEPS:
            self._require(planes_in >= timesteps, "input_planes")
        if readout:
            self._require(fields["output_coding"] == Coding.TIMESTEPS, "output_coding")
            self._require(planes_out == 0, "output_planes")
            self._require(fields["output_region"] == Region.OUTPUT, "output_region")
        else:
            self._require(fields["output_region"] == Region.WORKSPACE, "output_region")
            if fields["output_coding"] == Coding.TIMESTEPS:
                self._require(planes_out == layout.even_planes(timesteps), "output_planes")
            else:
                self._require(fields["firing"] == Firing.DEFERRED or not gather, "output_coding")
                self._require(planes_out > 0 and timesteps < 1 << planes_out, "output_planes")
        if fields["firing"] != Firing.STEPWISE or not gather:
            self._require(fields["leak_shift"] == 0, "leak_shift")
            self._require(fields["hard_reset"] == 0, "hard_reset")
        if not gather:
            self._check_max_pool()
        else:
            self._check_weights()
        first, count = fields["first_tap"], fields["tap_count"]
        self._require(first + count <= self.header["tap_count"], "first_tap")
        self._check_maps()

    def _check_max_pool(self) -> None:
        fields = self.fields
        self._require(fields["output_coding"] == fields["input_coding"], "output_coding")
        self._require(fields["output_planes"] == fields["input_planes"], "output_planes")
        self._require(self._groups() == fields["source0_blocks"], "output_channels")
        self._require(fields["firing"] == 0, "firing")
        self._require(fields["shortcut"] == 0, "shortcut")
        self._require(fields["weight_blocks"] == 0, "weight_blocks")

    def _check_weights(self) -> None:
        fields = self.fields
        offset = fields["weight_offset"]
        self._require(offset % layout.ALIGNMENT == 0, "weight_offset")
        end = offset + self._groups() * self._group_bytes()
        self._require(offset >= self.header["command_bytes"] and end <= self.header["program_bytes"], "weight_offset")

    def _check_maps(self) -> None:
        fields = self.fields
        for number in self._sources():
            prefix = f"source{number}_"
            self._require(fields[prefix + "region"] in (Region.INPUT, Region.WORKSPACE), prefix + "region")
            row = layout.MASK_BYTES * fields["input_planes"] * fields[prefix + "width"]
            self._require(
                fields[prefix + "row_bytes"] >= row and fields[prefix + "row_bytes"] % 8 == 0, prefix + "row_bytes"
            )
            self._check_pitch(
                prefix, fields[prefix + "row_bytes"], fields[prefix + "height"], fields[prefix + "blocks"]
            )
            self._require(fields[prefix + "stride_y"] > 0, prefix + "stride_y")
            self._require(fields[prefix + "stride_x"] > 0, prefix + "stride_x")
        self._check_pitch("output_", self._output_row_bytes(), fields["output_height"], self._groups())
        if fields["shortcut"]:
            for mine, theirs in (
                ("blocks", self._groups()),
                ("height", fields["output_height"]),
                ("width", fields["output_width"]),
            ):
                self._require(fields["source1_" + mine] == theirs, "shortcut")

    def _check_pitch(self, prefix: str, row_bytes: int, height: int, blocks: int) -> None:
        fields = self.fields
        block_bytes, image_bytes = fields[prefix + "block_bytes"], fields[prefix + "image_bytes"]
        self._require(block_bytes >= row_bytes * height and block_bytes % layout.ALIGNMENT == 0, prefix + "block_bytes")
        self._require(
            image_bytes >= block_bytes * blocks and image_bytes % layout.ALIGNMENT == 0, prefix + "image_bytes"
        )
        self._require(fields[prefix + "offset"] % layout.ALIGNMENT == 0, prefix + "offset")

    def _output_row_bytes(self) -> int:
        fields = self.fields
        place = (
            layout.PARAMETER_BYTES
            if fields["firing"] == Firing.READOUT
            else layout.MASK_BYTES * fields["output_planes"]
        )
        return place * fields["output_width"]

    def _read_taps(self) -> list[dict[str, int]]:
        fields = self.fields
        start = layout.HEADER_BYTES + self.header["layer_count"] * layout.DESCRIPTOR_BYTES
        start += fields["first_tap"] * layout.TAP_BYTES
        raw = self.device.load(Region.PROGRAM, start, fields["tap_count"] * layout.TAP_BYTES)
        columns = {
            part.name: raw.view("<i2" if part.signed else "<u2")[index :: len(layout.TAP_FIELDS)].astype(int)
            for index, part in enumerate(layout.TAP_FIELDS)
        }
        weighted = fields["operation"] == Operation.GATHER
        taps = [{name: int(column[i]) for name, column in columns.items()} for i in range(fields["tap_count"])]
        for tap in taps:
            source = tap["source"]
            usable = source == 0 or (source == 1 and fields["source1_blocks"] > 0 and not fields["shortcut"])
            self._require(usable, "first_tap")
            if weighted:
                last = tap["weight_block"] + fields[f"source{source}_blocks"]
                self._require(last <= fields["weight_blocks"], "first_tap")
        return taps

    def _check_line_buffer(self) -> None:
        fields, words = self.fields, 0
        place_words = fields["input_planes"] // 2
        for number in (0, 1):
            rows = [tap["dy"] for tap in self.taps if tap["source"] == number]
            blocks = fields[f"source{number}_blocks"] if fields["operation"] == Operation.GATHER else 1
            if number == 1 and fields["shortcut"]:
                rows, blocks = [0], 1
            if rows:
                reach = min(max(rows) - min(rows) + 1, fields[f"source{number}_height"])
                words += reach * blocks * fields[f"source{number}_width"] * place_words
        self._require(words <= layout.LINE_BUFFER_WORDS, "tap_count")

    def _check_fences(self) -> None:
        for prefix in [f"source{number}_" for number in self._sources()] + ["output_"]:
            region = Region(self.fields[prefix + "region"])
            end = (self.fields[prefix + "offset"] + self.fields[prefix + "image_bytes"]) * self.device.images
            if end > self.device.windows[region].nbytes:
                raise CoreError(ErrorCode.ADDRESS_FENCE, self.number << 16 | region)

    # --- memory -------------------------------------------------------------------------------------------------------

    def _groups(self) -> int:
        return -(-self.fields["output_channels"] // layout.LANES)

    def _group_bytes(self) -> int:
        return layout.GROUP_HEADER_BYTES + self.fields["weight_blocks"] * layout.WEIGHT_BLOCK_BYTES

    def _read_groups(self) -> None:
        """Read parameters, int64 [channels, 1, 1], and weights, float64 [blocks, 32 inputs, channels]."""
        groups, size = self._groups(), self._group_bytes()
        raw = self.device.load(Region.PROGRAM, self.fields["weight_offset"], groups * size).reshape(groups, size)
        header = np.ascontiguousarray(raw[:, : layout.GROUP_HEADER_BYTES]).view("<i4").astype(np.int64)
        vectors = header.reshape(groups, len(layout.GROUP_PARAMETERS), layout.LANES)
        self.parameters = {
            name: vectors[:, index].reshape(-1, 1, 1) for index, name in enumerate(layout.GROUP_PARAMETERS)
        }
        weights = np.ascontiguousarray(raw[:, layout.GROUP_HEADER_BYTES :]).view(np.int8)
        blocks = weights.reshape(groups, -1, layout.BLOCK_CHANNELS, layout.LANES)
        self.weights = (
            blocks.transpose(1, 2, 0, 3).reshape(blocks.shape[1], layout.BLOCK_CHANNELS, -1).astype(np.float64)
        )

    def _map_start(self, prefix: str, image: int) -> int:
        return self.fields[prefix + "offset"] * self.device.images + self.fields[prefix + "image_bytes"] * image

    def _read_map(self, number: int, image: int) -> Bits:
        """Return a source's visible bits, uint8 [planes, channels, height, width]."""
        fields, prefix = self.fields, f"source{number}_"
        region = Region(fields[prefix + "region"])
        raw = self.device.load(region, self._map_start(prefix, image), fields[prefix + "image_bytes"])
        blocks, height, width = (fields[prefix + name] for name in ("blocks", "height", "width"))
        planes, row_bytes = fields["input_planes"], fields[prefix + "row_bytes"]
        rows = raw[: blocks * fields[prefix + "block_bytes"]].reshape(blocks, -1)[:, : height * row_bytes]
        rows = rows.reshape(blocks, height, row_bytes)[:, :, : width * planes * layout.MASK_BYTES]
        masks = np.ascontiguousarray(rows).reshape(blocks, height, width, planes, layout.MASK_BYTES)
        bits = np.unpackbits(masks, axis=4, bitorder="little")
        return bits.transpose(3, 0, 4, 1, 2).reshape(planes, blocks * layout.BLOCK_CHANNELS, height, width)

    def _write_map(self, planes: Bits, image: int) -> None:
        """Store bits, uint8 [planes, channels of whole blocks, height, width]."""
        fields = self.fields
        blocks = self._groups()
        count, _, height, width = planes.shape
        grouped = planes.reshape(count, blocks, layout.BLOCK_CHANNELS, height, width).transpose(1, 3, 4, 0, 2)
        masks = np.packbits(np.ascontiguousarray(grouped), axis=4, bitorder="little").reshape(blocks, -1)
        start = self._map_start("output_", image)
        for block in range(blocks):
            offset = start + block * fields["output_block_bytes"]
            self.device.load(Region(fields["output_region"]), offset, masks.shape[1])[:] = masks[block]

    # --- computing ----------------------------------------------------------------------------------------------------

    def _at_tap(self, source: Bits, tap: dict[str, int], number: int) -> Bits:
        """Return what every output place sees at a tap, uint8 [planes, channels, rows, columns]; 0 outside the map."""
        fields, prefix = self.fields, f"source{number}_"
        rows = np.arange(fields["output_height"]) * fields[prefix + "stride_y"] + tap["dy"]
        columns = np.arange(fields["output_width"]) * fields[prefix + "stride_x"] + tap["dx"]
        inside_rows = np.flatnonzero((rows >= 0) & (rows < source.shape[2]))
        inside_columns = np.flatnonzero((columns >= 0) & (columns < source.shape[3]))
        seen = np.zeros((*source.shape[:2], len(rows), len(columns)), np.uint8)
        seen[:, :, inside_rows[:, None], inside_columns] = source[
            :, :, rows[inside_rows, None], columns[inside_columns]
        ]
        return seen

    def _max_pool(self, source: Bits) -> Bits:
        seen = np.stack([self._at_tap(source, tap, 0) for tap in self.taps])
        coding = Coding(self.fields["input_coding"])
        if coding == Coding.BINARY:
            numbers = np.stack([spike_counts(planes, coding) for planes in seen])
            largest = binary_planes(numbers.max(axis=0), self.fields["output_planes"]).astype(np.uint8)
        else:
            running = seen.cumsum(axis=1, dtype=np.uint8).max(axis=0)  # of each train, up to each timestep
            largest = np.diff(running, axis=0, prepend=np.uint8(0)).astype(np.uint8)
        self.counters["spikes"] += int(spike_counts(largest, coding).sum())
        return largest

    def _gather(self, sources: list[Bits], image: int) -> None:
        fields = self.fields
        height, width, channels = fields["output_height"], fields["output_width"], fields["output_channels"]
        sums = np.zeros((fields["input_planes"], self._groups() * layout.LANES, height * width))
        for tap in self.taps:
            source = sources[tap["source"]]
            seen = self._at_tap(source, tap, tap["source"])
            blocks = source.shape[1] // layout.BLOCK_CHANNELS
            weights = self.weights[tap["weight_block"] : tap["weight_block"] + blocks].reshape(source.shape[1], -1)
            # Whole numbers far below 2^53, so float64 is exact; numpy multiplies no integer matrices quickly
            sums += weights.T @ seen.reshape(*seen.shape[:2], -1).astype(np.float64)
            self.counters["additions"] += int(seen.sum()) * channels
        current = (
            sums.astype(np.int64).reshape(-1, self._groups() * layout.LANES, height, width) << fields["fraction_bits"]
        )
        if fields["shortcut"]:
            current += sources[1].astype(np.int64) * self.parameters["shortcut"]
            self.counters["additions"] += int(sources[1].sum())
        self._integrate(current, image)

    def _integrate(self, current: Values, image: int) -> None:
        """Fire from the planes' currents, int64 [planes, channels, height, width]."""
        fields = self.fields
        timesteps, firing = fields["timesteps"], fields["firing"]
        if fields["input_coding"] == Coding.BINARY:
            total = np.zeros_like(current[0])
            for plane in current:
                total = 2 * total + plane
            steps = [total] * timesteps
        else:
            total = current[:timesteps].sum(axis=0)
            steps = list(current[:timesteps])
        if firing == Firing.READOUT:
            self._write_readout(self.parameters["initial"] + total, image)
            return
        spikes = self._fire_stepwise(steps) if firing == Firing.STEPWISE else self._fire_deferred(total)
        self.counters["spikes"] += int(spikes[:, : fields["output_channels"]].sum())
        planes = np.zeros((fields["output_planes"], *spikes.shape[1:]), np.uint8)
        if fields["output_coding"] == Coding.BINARY:
            planes[:] = binary_planes(spikes.sum(axis=0), fields["output_planes"])
        else:
            planes[:timesteps] = spikes
        self._write_map(planes, image)

    def _fire_stepwise(self, steps: list[Values]) -> Bits:
        fields, parameters = self.fields, self.parameters
        potential = np.broadcast_to(parameters["initial"], steps[0].shape).copy()
        spikes = []
        for current in steps:
            if fields["leak_shift"]:
                potential = potential - (potential >> fields["leak_shift"])
            potential = potential + current + parameters["bias"]
            fired = potential >= parameters["threshold"]
            after = np.zeros_like(potential) if fields["hard_reset"] else potential - parameters["threshold"]
            potential = np.where(fired, after, potential)
            spikes.append(fired)
        return np.stack(spikes).astype(np.uint8)

    def _fire_deferred(self, total: Values) -> Bits:
        potential = self.parameters["initial"] + total
        spikes = []
        for _ in range(self.fields["timesteps"]):
            fired = potential >= self.parameters["threshold"]
            potential = np.where(fired, potential - self.parameters["threshold"], potential)
            spikes.append(fired)
        return np.stack(spikes).astype(np.uint8)

    def _write_readout(self, potential: Values, image: int) -> None:
        groups = self._groups()
        lanes = potential.reshape(groups, layout.LANES, -1).transpose(0, 2, 1).astype("<i4")
        start = self._map_start("output_", image)
        for group in range(groups):
            data: Any = np.ascontiguousarray(lanes[group]).view(np.uint8).reshape(-1)
            offset = start + group * self.fields["output_block_bytes"]
            self.device.load(Region.OUTPUT, offset, len(data))[:] = data
