"""From a `Network` to the bytes that the core executes: the only place that knows the memory layout.

The format is declared in `pynq_snn.layout` and explained in docs/numerics.md, sections 1, 2 and 8.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn import layout
from pynq_snn.encode import PIXEL_PLANES, MapLayout, PatchGeometry
from pynq_snn.errors import ProgramError
from pynq_snn.layout import Coding, Firing, Operation, Region
from pynq_snn.network import FIRING_ORDERS, INPUT, INT32_MAX, Branch, Layer, Network

Bytes = npt.NDArray[np.uint8]
Tap = tuple[int, int, int, int]  # dy, dx, weight block, source


@dataclass(frozen=True)
class MapPlace:
    """A spike map and where it lies: an offset in a region, for a batch of one image."""

    layout: MapLayout
    region: Region
    offset: int


@dataclass(frozen=True)
class Program:
    """What a device needs to run a network.

    Attributes
    ----------
    data : uint8 [program bytes]
        Goes to the buffer that register program_address points to.
    input_bytes, workspace_bytes, output_bytes : int
        Of one image; counters come on top of the output (`buffer_bytes` knows).
    input_map : MapLayout
        What an encoded input looks like.
    patches : PatchGeometry or None
        How pictures are cut; None for networks that read events.
    maps : dict of str to MapPlace
        Spike map of each layer; readable after a run where the program was compiled with ``keep_maps``.
    """

    network: Network
    data: Bytes
    input_bytes: int
    workspace_bytes: int
    output_bytes: int
    input_map: MapLayout
    patches: PatchGeometry | None
    maps: dict[str, MapPlace]
    keep_maps: bool

    def buffer_bytes(self, images: int) -> dict[Region, int]:
        """Return the size of each buffer for a batch of `images`."""
        counters = len(self.network.layers) * layout.COUNTER_RECORD_BYTES
        return {
            Region.PROGRAM: len(self.data),
            Region.INPUT: self.input_bytes * images,
            Region.WORKSPACE: max(self.workspace_bytes * images, layout.ALIGNMENT),
            Region.OUTPUT: self.output_bytes * images + counters,
        }


def compile_network(network: Network, *, keep_maps: bool = False) -> Program:
    """Pack a network for the core.

    Parameters
    ----------
    network : Network
    keep_maps : bool
        Give every layer's spike map memory of its own, so that all can be read after a run; otherwise
        maps that are no longer needed are overwritten.

    Raises
    ------
    ProgramError
        The network exceeds a limit of the core; the message names layer, value and limit.
    """
    return _Compiler(network, keep_maps).run()


def line_buffer_words(fields: Mapping[str, int], taps: Sequence[Tap]) -> int:
    """Return how many words of the line buffer a layer needs (docs/numerics.md, section 8, step 4).

    Parameters
    ----------
    fields : mapping
        A descriptor's fields by name.
    taps : sequence of (dy, dx, weight block, source)
        The layer's taps.
    """
    shortcut = bool(fields["shortcut"])
    words = 0
    for number in (0, 1):
        rows = [tap[0] for tap in taps if tap[3] == number]
        if number == 1 and shortcut:
            rows = [0]
        if not rows:
            continue
        one_block = fields["operation"] == Operation.MAX_POOL or (number == 1 and shortcut)
        blocks = 1 if one_block else fields[f"source{number}_blocks"]
        reach = min(max(rows) - min(rows) + 1, fields[f"source{number}_height"])
        words += reach * blocks * fields[f"source{number}_width"] * (fields["input_planes"] // 2)
    return words


def pack_fields(fields: tuple[layout.Field, ...], values: dict[str, int], size: int) -> Bytes:
    """Return named values as little-endian 32-bit words, zero-padded to `size` bytes.

    Raises
    ------
    ProgramError
        A value is outside its declared limits.
    """
    words = np.zeros(size // 4, "<u4")
    for position, declared in enumerate(fields):
        value = int(values[declared.name])
        if not declared.minimum <= value <= declared.maximum:
            raise ProgramError(f"{declared.name}={value} exceeds the core's {declared.minimum} to {declared.maximum}")
        words[position] = value
    return words.view(np.uint8)


def pack_taps(taps: list[Tap]) -> Bytes:
    """Return taps (dy, dx, weight block, source) as bytes, `layout.TAP_BYTES` each."""
    return np.array(taps, "<i4").reshape(-1, len(layout.TAP_FIELDS)).astype("<u2").view(np.uint8).reshape(-1)


def pack_weights(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return weights [out, in, kernel rows, kernel columns] as int8 [groups, weight blocks, 32 inputs, 32 lanes]."""
    outputs, inputs, height, width = weights.shape
    groups, blocks = -(-outputs // layout.LANES), -(-inputs // layout.BLOCK_CHANNELS)
    padded = np.zeros((groups * layout.LANES, blocks * layout.BLOCK_CHANNELS, height, width), np.int8)
    padded[:outputs, :inputs] = weights
    split = padded.reshape(groups, layout.LANES, blocks, layout.BLOCK_CHANNELS, height * width)
    return split.transpose(0, 4, 2, 3, 1).reshape(groups, -1, layout.BLOCK_CHANNELS, layout.LANES)


def branch_taps(branch: Branch, source: int, blocks: int, first_block: int) -> tuple[list[Tap], tuple[int, int]]:
    """Return the taps of a branch, and its strides in rows and columns of the source map.

    A place of the output averages `pool_after` places of the convolution, each of which reads kernel positions of
    the pooled map, each of which averages `pool_before` places of the source.
    """
    before, after = branch.pool_before, branch.pool_after
    kernel_height, kernel_width = branch.weights.shape[2:]
    taps = []
    for position in np.ndindex(after.height, after.width, kernel_height, kernel_width, before.height, before.width):
        pool_y, pool_x, kernel_y, kernel_x, place_y, place_x = position
        dy = (pool_y * branch.stride + kernel_y - branch.padding) * before.stride_y + place_y
        dx = (pool_x * branch.stride + kernel_x - branch.padding) * before.stride_x + place_x
        taps.append((dy, dx, first_block + (kernel_y * kernel_width + kernel_x) * blocks, source))
    strides = (
        after.stride_y * branch.stride * before.stride_y,
        after.stride_x * branch.stride * before.stride_x,
    )
    return taps, strides


def visible_size(branch: Branch, height: int, width: int) -> tuple[int, int]:
    """Return the rows and columns of the source that taps may see: a pooling can drop the last ones."""
    pool = branch.pool_before
    rows = (height - pool.height) // pool.stride_y * pool.stride_y + pool.height
    columns = (width - pool.width) // pool.stride_x * pool.stride_x + pool.width
    return rows, columns


@dataclass
class _Section:
    """Bytes that grow by aligned pieces."""

    parts: list[Bytes] = field(default_factory=list)
    size: int = 0

    def append(self, data: Bytes) -> int:
        """Add `data`; return its offset."""
        offset = self.size
        padding = layout.align(len(data)) - len(data)
        self.parts += [data, np.zeros(padding, np.uint8)]
        self.size += len(data) + padding
        return offset


class _Compiler:
    def __init__(self, network: Network, keep_maps: bool) -> None:
        self.network = network
        self.keep_maps = keep_maps
        self.descriptors: list[dict[str, int]] = []
        self.taps: list[Tap] = []
        self.weights = _Section()
        self.patches: PatchGeometry | None = None

    def run(self) -> Program:
        network = self.network
        if len(network.layers) > layout.MAX_LAYERS:
            raise ProgramError(f"{network.name}: {len(network.layers)} layers exceed the core's {layout.MAX_LAYERS}")
        input_layout = self._input_layout()
        self.places = {INPUT: MapPlace(input_layout, Region.INPUT, 0)}
        workspace_bytes = self._place_maps()
        for index, layer in enumerate(network.layers):
            try:
                self._layer(index, layer)
            except ProgramError as error:
                raise ProgramError(f"{network.name}: layer {layer.name}: {error}") from error
        output_bytes = self._readout_image_bytes(network.layers[-1])
        data = self._assemble(input_layout.image_bytes, workspace_bytes, output_bytes)
        return Program(
            network=network,
            data=data,
            input_bytes=input_layout.image_bytes,
            workspace_bytes=workspace_bytes,
            output_bytes=output_bytes,
            input_map=input_layout,
            patches=self.patches,
            maps={layer.name: self.places[i] for i, layer in enumerate(network.layers[:-1])},
            keep_maps=self.keep_maps,
        )

    # --- maps ---------------------------------------------------------------------------------------------------------

    def _input_layout(self) -> MapLayout:
        network = self.network
        channels, height, width = network.input_shape
        if network.input_kind == "events":
            planes = layout.even_planes(network.timesteps)
            return MapLayout(channels, height, width, planes, Coding.TIMESTEPS)
        readers = [b for layer in network.layers for b in layer.branches if b.source == INPUT]
        geometries = {PatchGeometry(b.weights.shape[2], b.weights.shape[3], b.stride, b.padding) for b in readers}
        if len(geometries) != 1:
            raise ProgramError(f"{network.name}: {len(geometries)} different convolutions read the pixels; use one")
        (self.patches,) = geometries
        kernel_height, kernel_width = self.patches.kernel_height, self.patches.kernel_width
        patch_channels = channels * kernel_height * kernel_width
        if patch_channels > layout.MAX_CHANNELS:
            raise ProgramError(
                f"{network.name}: the first layer reads {patch_channels} pixels at once, above the core's "
                f"{layout.MAX_CHANNELS}; start with a smaller kernel"
            )
        rows = (height + 2 * self.patches.padding - kernel_height) // self.patches.stride + 1
        columns = (width + 2 * self.patches.padding - kernel_width) // self.patches.stride + 1
        return MapLayout(patch_channels, rows, columns, PIXEL_PLANES, Coding.BINARY)

    def _map_layout(self, index: int, layer: Layer) -> MapLayout:
        coding = self.network.coding(index)
        timesteps = self.network.timesteps
        planes = layout.count_planes(timesteps) if coding == Coding.BINARY else layout.even_planes(timesteps)
        return MapLayout(*layer.output_shape, planes, coding)

    def _place_maps(self) -> int:
        """Give every spike map an offset in the workspace; return the workspace's size for one image.

        Maps that are alive at the same time never overlap: first fit, in the order of the layers.
        """
        layers = self.network.layers
        last_use = {source: index for index, layer in enumerate(layers) for source in layer.sources}
        alive: list[tuple[int, int, int]] = []  # start, end, index of the last layer that reads it
        size = 0
        for index, layer in enumerate(layers[:-1]):
            spike_map = self._map_layout(index, layer)
            if not self.keep_maps:
                alive = [entry for entry in alive if entry[2] >= index]
            start = 0
            for taken_start, taken_end, _ in sorted(alive):
                if start + spike_map.image_bytes <= taken_start:
                    break
                start = max(start, taken_end)
            alive.append((start, start + spike_map.image_bytes, last_use[index]))
            size = max(size, start + spike_map.image_bytes)
            self.places[index] = MapPlace(spike_map, Region.WORKSPACE, start)
        return size

    # --- layers -------------------------------------------------------------------------------------------------------

    def _layer(self, index: int, layer: Layer) -> None:
        values = dict.fromkeys((declared.name for declared in layout.DESCRIPTOR_FIELDS), 0)
        values["first_tap"] = len(self.taps)
        values["timesteps"] = self.network.timesteps
        values["input_planes"] = self.places[layer.sources[0]].layout.planes
        values["input_coding"] = self.places[layer.sources[0]].layout.coding
        if layer.max_pooling is not None:
            self._max_pool(layer, values)
        else:
            self._gather(layer, values)
        values["tap_count"] = len(self.taps) - values["first_tap"]
        self._check_reach(values)
        self._output(index, layer, values)
        self.descriptors.append(values)

    def _gather(self, layer: Layer, values: dict[str, int]) -> None:
        readout = layer.kind == "readout"
        firing = Firing.READOUT if readout else FIRING_ORDERS[self.network.firing]
        stepwise = firing == Firing.STEPWISE
        values["operation"] = Operation.GATHER
        values["firing"] = firing
        values["hard_reset"] = int(stepwise and self.network.hard_reset)
        values["leak_shift"] = self.network.leak_shift if stepwise else 0
        values["fraction_bits"] = layer.fraction_bits
        packed: list[npt.NDArray[np.int8]] = []
        for position, branch in enumerate(layer.branches):
            branch = self._as_patches(branch)
            place = self.places[branch.source]
            rows, columns = visible_size(branch, place.layout.height, place.layout.width)
            first_block = sum(part.shape[1] for part in packed)
            taps, strides = branch_taps(branch, position, place.layout.blocks, first_block)
            self._source(values, position, place, rows, columns, strides)
            self.taps += taps
            packed.append(pack_weights(branch.weights))
        if layer.identity is not None:
            place = self.places[layer.identity]
            values["shortcut"] = 1
            self._source(values, 1, place, place.layout.height, place.layout.width, (1, 1))
        blocks = np.concatenate(packed, axis=1)
        if blocks.shape[1] > layout.MAX_WEIGHT_BLOCKS:
            most = layout.MAX_WEIGHT_BLOCKS * layout.BLOCK_CHANNELS
            inputs = blocks.shape[1] * layout.BLOCK_CHANNELS
            raise ProgramError(f"{inputs} inputs of a neuron exceed the core's {most}; use fewer channels")
        values["weight_blocks"] = blocks.shape[1]
        values["weight_offset"] = self._pack_groups(layer, blocks)

    def _as_patches(self, branch: Branch) -> Branch:
        """Return a convolution of pixels as a 1x1 convolution of the patches that the host has cut."""
        if branch.source != INPUT or self.patches is None:
            return branch
        outputs = len(branch.weights)
        flat = branch.weights.transpose(0, 2, 3, 1).reshape(outputs, -1, 1, 1)
        return Branch(INPUT, flat, branch.scale, 1, 0, branch.pool_before, branch.pool_after)

    def _pack_groups(self, layer: Layer, blocks: npt.NDArray[np.int8]) -> int:
        groups = len(blocks)
        parameters = np.zeros((groups, len(layout.GROUP_PARAMETERS), layout.LANES), "<i4")
        for position, name in enumerate(layout.GROUP_PARAMETERS):
            fill = INT32_MAX if name == "threshold" else 0  # lanes without a channel never fire
            padded = np.full(groups * layout.LANES, fill, np.int32)
            padded[: layer.output_shape[0]] = getattr(layer, name)
            parameters[:, position] = padded.reshape(groups, layout.LANES)
        packed = np.concatenate(
            [parameters.reshape(groups, -1).view(np.uint8), blocks.reshape(groups, -1).view(np.uint8)], axis=1
        )
        return self.weights.append(packed.reshape(-1))

    def _max_pool(self, layer: Layer, values: dict[str, int]) -> None:
        assert layer.max_pooling is not None
        pooling, place = layer.max_pooling, self.places[layer.max_pooling_source]
        values["operation"] = Operation.MAX_POOL
        strides = (pooling.stride, pooling.stride)
        self._source(values, 0, place, place.layout.height, place.layout.width, strides)
        window = range(-pooling.padding, pooling.window - pooling.padding)
        self.taps += [(dy, dx, 0, 0) for dy in window for dx in window]

    def _source(
        self, values: dict[str, int], number: int, place: MapPlace, rows: int, columns: int, strides: tuple[int, int]
    ) -> None:
        prefix = f"source{number}_"
        values[prefix + "region"] = place.region
        values[prefix + "offset"] = place.offset
        values[prefix + "image_bytes"] = place.layout.image_bytes
        values[prefix + "block_bytes"] = place.layout.block_bytes
        values[prefix + "row_bytes"] = place.layout.row_bytes
        values[prefix + "height"] = rows
        values[prefix + "width"] = columns
        values[prefix + "blocks"] = place.layout.blocks
        values[prefix + "stride_y"], values[prefix + "stride_x"] = strides

    def _check_reach(self, values: dict[str, int]) -> None:
        """Refuse taps, or rows in their reach, that the core's memories do not hold."""
        taps = self.taps[values["first_tap"] :]
        if len(taps) > layout.MAX_TAPS:
            raise ProgramError(
                f"{len(taps)} places are summed for one output, above the core's {layout.MAX_TAPS}; "
                "pool in two steps, or in smaller windows"
            )
        words = line_buffer_words(values, taps)
        if words > layout.LINE_BUFFER_WORDS:
            raise ProgramError(
                f"the rows that one output row reaches take {8 * words} bytes on chip, above the core's "
                f"{8 * layout.LINE_BUFFER_WORDS}; pool earlier or in two steps, or use fewer channels or timesteps here"
            )

    def _output(self, index: int, layer: Layer, values: dict[str, int]) -> None:
        values["output_channels"], values["output_height"], values["output_width"] = layer.output_shape
        if layer.kind == "readout":
            values["output_region"] = Region.OUTPUT
            values["output_block_bytes"] = layout.PARAMETER_BYTES
            values["output_image_bytes"] = self._readout_image_bytes(layer)
            return
        place = self.places[index]
        values["output_coding"] = place.layout.coding
        values["output_planes"] = place.layout.planes
        values["output_region"] = Region.WORKSPACE
        values["output_offset"] = place.offset
        values["output_block_bytes"] = place.layout.block_bytes
        values["output_image_bytes"] = place.layout.image_bytes

    @staticmethod
    def _readout_image_bytes(layer: Layer) -> int:
        return -(-layer.output_shape[0] // layout.LANES) * layout.PARAMETER_BYTES

    # --- bytes --------------------------------------------------------------------------------------------------------

    def _assemble(self, input_bytes: int, workspace_bytes: int, output_bytes: int) -> Bytes:
        descriptor_bytes = len(self.descriptors) * layout.DESCRIPTOR_BYTES
        command_bytes = layout.align(layout.HEADER_BYTES + descriptor_bytes + len(self.taps) * layout.TAP_BYTES)
        program_bytes = command_bytes + self.weights.size
        self._check_sizes(program_bytes, input_bytes, workspace_bytes)
        command = np.zeros(command_bytes, np.uint8)
        position = layout.HEADER_BYTES
        for values in self.descriptors:
            if values["operation"] == Operation.GATHER:
                values["weight_offset"] += command_bytes
            packed = pack_fields(layout.DESCRIPTOR_FIELDS, values, layout.DESCRIPTOR_BYTES)
            command[position : position + layout.DESCRIPTOR_BYTES] = packed
            position += layout.DESCRIPTOR_BYTES
        command[position : position + len(self.taps) * layout.TAP_BYTES] = pack_taps(self.taps)
        header = {
            "magic": layout.PROGRAM_MAGIC,
            "version": layout.LAYOUT_VERSION,
            "command_bytes": command_bytes,
            "command_crc": 0,
            "layer_count": len(self.descriptors),
            "tap_count": len(self.taps),
            "program_bytes": program_bytes,
            "input_bytes": input_bytes,
            "workspace_bytes": workspace_bytes,
            "output_bytes": output_bytes,
        }
        seal_command(command, header)
        return np.concatenate([command, *self.weights.parts])

    def _check_sizes(self, *sizes: int) -> None:
        if max(sizes) > layout.WORD_MAX:
            raise ProgramError(f"{self.network.name}: needs {max(sizes)} bytes in one buffer; the core reaches 4 GiB")


def seal_command(command: Bytes, header: dict[str, Any]) -> None:
    """Write `header` into a command section, with the checksum of its present contents."""
    for _ in range(2):  # the second pass knows the checksum, which does not cover itself
        command[: layout.HEADER_BYTES] = pack_fields(layout.HEADER_FIELDS, header, layout.HEADER_BYTES)
        header["command_crc"] = zlib.crc32(command[layout.HEADER_CHECKED_FROM :].tobytes())
