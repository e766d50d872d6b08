"""Everything that crosses from software to the core, declared once.

Register map, program header, layer descriptors, taps, weight packing, spike maps, counters and error codes.
`pynq_snn.layout_writers` turns this file into ``hls/snn_layout.hpp`` and ``overlays/rtl/snn_layout_pkg.sv``; a test
fails when those are stale. What the numbers mean is written in docs/numerics.md.

All values are little endian. Offsets are in bytes unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

# --- identity ---------------------------------------------------------------------------------------------------------

CORE_ID = 0x534E4E31  # "SNN1" read as a big-endian word: what register core_id answers
PROGRAM_MAGIC = 0x4E4E5350  # the bytes "PSNN"
LAYOUT_VERSION = 1  # of this file: the core refuses programs of another version

# --- geometry of the core ---------------------------------------------------------------------------------------------

LANES = 32  # output channels computed together: one output channel group
BLOCK_CHANNELS = 32  # input channels in one mask word of a spike map; equals LANES, so a group's output is a block
ALIGNMENT = 64  # of every map, weight group and section, for whole AXI bursts
MASK_BYTES = BLOCK_CHANNELS // 8

MAX_TIMESTEPS = 32
MAX_PLANES = 32
MAX_CHANNELS = 2048
MAX_SIDE = 256  # rows or columns of a spike map
MAX_TAPS = 1024  # of a layer: all of them are on chip
MAX_STRIDE = 256
MAX_LAYERS = 255
MAX_IMAGES = 1024
MAX_WEIGHT_BLOCKS = 256  # of one output group: 8 banks of 1,024 rows, a 3x3x512 convolution and half as much again
LINE_BUFFER_WORDS = 16384  # of 64 bits, on chip: the rows of all sources that the taps of one output row reach
MAX_FRACTION_BITS = 8
MAX_LEAK_SHIFT = 15
WEIGHT_LIMIT = 127  # int8 weights are symmetric: -127 to 127

WEIGHT_BLOCK_BYTES = BLOCK_CHANNELS * LANES  # [input channel][lane] int8

# --- enumerations -----------------------------------------------------------------------------------------------------


class Operation(IntEnum):
    """What a layer does."""

    GATHER = 1  # sum the weight rows picked by spikes at the taps, then fire
    MAX_POOL = 2  # the maximum of what the taps see


class Firing(IntEnum):
    """When a neuron fires."""

    STEPWISE = 0  # integrate and fire at each timestep
    DEFERRED = 1  # integrate all timesteps, then fire
    READOUT = 2  # never: the membrane potential itself is the output


class Coding(IntEnum):
    """What the planes of a spike map are."""

    TIMESTEPS = 0  # plane t holds the spikes of timestep t
    BINARY = 1  # planes are the bits of a number (pixel value or spike count), most significant first


class Region(IntEnum):
    """Which of the four buffers an offset counts from."""

    PROGRAM = 0
    INPUT = 1
    WORKSPACE = 2
    OUTPUT = 3


class ErrorCode(IntEnum):
    """Register error_code after a run."""

    NONE = 0
    BAD_MAGIC = 1  # the program does not start with PROGRAM_MAGIC
    BAD_VERSION = 2  # the program was packed for another LAYOUT_VERSION
    BAD_SIZE = 3  # header sizes disagree with each other or with the buffers; or the image count is out of range
    BAD_CHECKSUM = 4  # the command section does not match its CRC-32
    BAD_DESCRIPTOR = 5  # a field is out of range; error_detail = layer << 16 | field index
    ADDRESS_FENCE = 6  # an access would leave its buffer; error_detail = layer << 16 | region
    WATCHDOG = 7  # the run took more cycles than register watchdog_cycles
    BUS = 8  # the memory answered an access with an error
    ABORTED = 9  # software asked the core to stop


# --- program ----------------------------------------------------------------------------------------------------------
# A program is: header, descriptors, taps (together the command section, padded to ALIGNMENT), then weight groups.


@dataclass(frozen=True)
class Field:
    """A 32-bit word with the smallest and largest value that the core accepts."""

    name: str
    minimum: int
    maximum: int
    note: str


WORD_MAX = 0xFFFFFFFF

HEADER_BYTES = 64
HEADER_CHECKED_FROM = 16  # the CRC-32 (zlib polynomial) covers the command section from here to its end
HEADER_FIELDS = (
    Field("magic", PROGRAM_MAGIC, PROGRAM_MAGIC, "PROGRAM_MAGIC"),
    Field("version", LAYOUT_VERSION, LAYOUT_VERSION, "LAYOUT_VERSION"),
    Field("command_bytes", HEADER_BYTES, WORD_MAX, "size of the command section, a multiple of ALIGNMENT"),
    Field("command_crc", 0, WORD_MAX, "CRC-32 of the command section from HEADER_CHECKED_FROM"),
    Field("layer_count", 1, MAX_LAYERS, "number of descriptors"),
    Field("tap_count", 1, WORD_MAX, "number of taps"),
    Field("program_bytes", HEADER_BYTES, WORD_MAX, "size of the whole program"),
    Field("input_bytes", 1, WORD_MAX, "size of one image's input map"),
    Field("workspace_bytes", 0, WORD_MAX, "size of one image's intermediate maps"),
    Field("output_bytes", 1, WORD_MAX, "size of one image's output"),
)

DESCRIPTOR_BYTES = 192


def _source_fields(number: int) -> tuple[Field, ...]:
    prefix = f"source{number}_"
    least = 1 if number == 0 else 0  # an absent second source has blocks = 0, and then all its fields are 0
    return (
        Field(prefix + "region", Region.INPUT if number == 0 else 0, Region.WORKSPACE, "Region of the map"),
        Field(prefix + "offset", 0, WORD_MAX, "of the first image's map in its region, for a batch of one"),
        Field(prefix + "image_bytes", least, WORD_MAX, "size of one image's map"),
        Field(prefix + "block_bytes", least, WORD_MAX, "from one channel block to the next"),
        Field(prefix + "row_bytes", least, WORD_MAX, "from one row to the next"),
        Field(prefix + "height", least, MAX_SIDE, "rows that taps can see"),
        Field(prefix + "width", least, MAX_SIDE, "columns that taps can see"),
        Field(prefix + "blocks", least, MAX_CHANNELS // BLOCK_CHANNELS, "channel blocks of the map"),
        Field(prefix + "stride_y", least, MAX_STRIDE, "rows between the origins of neighbouring outputs"),
        Field(prefix + "stride_x", least, MAX_STRIDE, "columns likewise"),
    )


DESCRIPTOR_FIELDS = (
    Field("operation", Operation.GATHER, Operation.MAX_POOL, "Operation"),
    Field("firing", Firing.STEPWISE, Firing.READOUT, "Firing"),
    Field("hard_reset", 0, 1, "1: the potential becomes 0 after a spike; 0: the threshold is subtracted"),
    Field("leak_shift", 0, MAX_LEAK_SHIFT, "u -= u >> leak_shift before each timestep; 0: no leak"),
    Field("input_coding", Coding.TIMESTEPS, Coding.BINARY, "Coding of all sources"),
    Field("output_coding", Coding.TIMESTEPS, Coding.BINARY, "Coding of the output map"),
    Field("timesteps", 1, MAX_TIMESTEPS, "T"),
    Field("fraction_bits", 0, MAX_FRACTION_BITS, "F: weights are shifted left by F before they meet the potential"),
    Field("input_planes", 2, MAX_PLANES, "planes of all sources, even"),
    Field("output_planes", 0, MAX_PLANES, "planes of the output map, even; 0 for a readout"),
    Field("shortcut", 0, 1, "1: source 1 is an identity shortcut, weighted by the group's shortcut values"),
    Field("first_tap", 0, WORD_MAX, "index of this layer's first tap"),
    Field("tap_count", 1, MAX_TAPS, "number of taps"),
    Field("weight_offset", 0, WORD_MAX, "of the first group in the program, a multiple of ALIGNMENT"),
    Field("weight_blocks", 0, MAX_WEIGHT_BLOCKS, "weight blocks of one group"),
    Field("output_region", Region.WORKSPACE, Region.OUTPUT, "Region of the output"),
    Field("output_offset", 0, WORD_MAX, "as source0_offset"),
    Field("output_image_bytes", 1, WORD_MAX, "as source0_image_bytes"),
    Field("output_block_bytes", 1, WORD_MAX, "as source0_block_bytes"),
    Field("output_height", 1, MAX_SIDE, "rows of the output"),
    Field("output_width", 1, MAX_SIDE, "columns of the output"),
    Field("output_channels", 1, MAX_CHANNELS, "channels of the output; the last group may be partly used"),
    *_source_fields(0),
    *_source_fields(1),
)

TAP_BYTES = 8


@dataclass(frozen=True)
class TapField:
    """A 16-bit part of a tap."""

    name: str
    signed: bool
    note: str


TAP_FIELDS = (
    TapField("dy", True, "row of the source relative to output row * stride_y of the source"),
    TapField("dx", True, "column likewise"),
    TapField("weight_block", False, "first weight block of the group for channel block 0 of the source"),
    TapField("source", False, "0 or 1"),
)

# A weight group: the parameters of LANES output channels, int32 each, then weight_blocks blocks of int8.
GROUP_PARAMETERS = ("initial", "bias", "threshold", "shortcut")
PARAMETER_BYTES = 4 * LANES
GROUP_HEADER_BYTES = PARAMETER_BYTES * len(GROUP_PARAMETERS)

# --- counters ---------------------------------------------------------------------------------------------------------
# After the images' outputs the core writes one record per layer into the output buffer, each counter 64 bits.

COUNTERS = ("cycles", "stall_cycles", "additions", "spikes", "bytes_read", "bytes_written")
COUNTER_RECORD_BYTES = 64

# --- registers --------------------------------------------------------------------------------------------------------
# The offsets follow the rule by which Vitis HLS places s_axilite arguments (from 0x10; an input of 32 bits takes 8
# bytes, of 64 bits 12; an output takes 16, its second word being the valid flag), so that a kernel built from hls/ and
# the RTL answer to the same driver.


@dataclass(frozen=True)
class BitField:
    """A part of a register that has a name of its own."""

    name: str
    bit: int
    note: str
    bits: int = 1


@dataclass(frozen=True)
class Register:
    """One register.

    Attributes
    ----------
    direction : {"control", "in", "out"}
        Handshake register, argument written by software, result written by the core.
    fields : tuple of BitField
        Its parts, where it is more than one number.
    """

    name: str
    direction: str
    bits: int
    note: str
    offset: int = 0
    fields: tuple[BitField, ...] = ()


CONTROL_START, CONTROL_DONE, CONTROL_IDLE, CONTROL_READY = 1 << 0, 1 << 1, 1 << 2, 1 << 3

_CONTROL_FIELDS = (
    BitField("start", 0, "writing 1 starts a run"),
    BitField("done", 1, "a run has ended; cleared by reading"),
    BitField("idle", 2, "no run is going on"),
    BitField("ready", 3, "the next run may be started"),
)
_DONE_FIELD = (BitField("done", 0, "the end of a run"),)

_CONTROL = (
    Register("control", "control", 32, "bit 0 start, 1 done (cleared by reading), 2 idle, 3 ready", 0x00,
             _CONTROL_FIELDS),
    Register("interrupt_global_enable", "control", 32, "bit 0", 0x04, (BitField("enable", 0, "of the interrupt"),)),
    Register("interrupt_enable", "control", 32, "bit 0 done", 0x08, _DONE_FIELD),
    Register("interrupt_status", "control", 32, "bit 0 done; writing 1 clears it", 0x0C, _DONE_FIELD),
)  # fmt: skip
_ARGUMENTS = (
    Register("program_address", "in", 64, "physical address of the program"),
    Register("program_bytes", "in", 32, "size of its buffer: reads beyond are refused"),
    Register("input_address", "in", 64, "physical address of the input maps"),
    Register("input_bytes", "in", 32, "size of its buffer"),
    Register("workspace_address", "in", 64, "physical address of the intermediate maps"),
    Register("workspace_bytes", "in", 32, "size of its buffer"),
    Register("output_address", "in", 64, "physical address of outputs and counters"),
    Register("output_bytes", "in", 32, "size of its buffer"),
    Register("images", "in", 32, "images in this run (batch)"),
    Register("watchdog_cycles", "in", 32, "the run ends with an error after so many cycles; 0: never"),
    Register("core_id", "out", 32, "CORE_ID"),
    Register("core_version", "out", 32, "LAYOUT_VERSION that the core understands"),
    Register("build_hash", "out", 32, "first 32 bits of the hash of the core's sources; 0 for software models"),
    Register("error_code", "out", 32, "ErrorCode of the last run"),
    Register("error_detail", "out", 32, "where, see ErrorCode",
             fields=(BitField("where", 0, "field, region or 0", 16), BitField("layer", 16, "layer", 16))),
    Register("cycles_low", "out", 32, "cycles of the last run, bits 31..0"),
    Register("cycles_high", "out", 32, "cycles of the last run, bits 63..32"),
)  # fmt: skip


def _place(arguments: tuple[Register, ...]) -> tuple[Register, ...]:
    offset, placed = 0x10, []
    for register in arguments:
        placed.append(replace(register, offset=offset))
        if register.direction == "out":
            offset += 16
        else:
            offset += 12 if register.bits == 64 else 8
    return tuple(placed)


# Not an argument: a strobe that only the RTL has, above everything that Vitis HLS would place.
_SOFT_RESET = Register("soft_reset", "control", 32, "writing 1 stops a run and returns the core to idle", 0x1F0,
                       (BitField("reset", 0, "writing 1 stops a run"),))  # fmt: skip

REGISTERS = (*_CONTROL, *_place(_ARGUMENTS), _SOFT_RESET)
REGISTER_OFFSETS = {register.name: register.offset for register in REGISTERS}
REGISTER_SPACE_BYTES = 0x200


def align(size: int) -> int:
    """Round `size` up to a multiple of ALIGNMENT."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def even_planes(planes: int) -> int:
    """Round a number of planes up to an even one: a pixel of a block is then a whole number of 64-bit words."""
    return planes + planes % 2


def count_planes(timesteps: int) -> int:
    """Planes of a map in BINARY coding that holds spike counts from 0 to `timesteps`."""
    return even_planes(timesteps.bit_length())
