// Header, descriptors and taps as the core holds them.
#ifndef SNN_PROGRAM_HPP
#define SNN_PROGRAM_HPP

#include <cstdint>

#include "fenced_access.hpp"
#include "snn_layout.hpp"

namespace snn {

constexpr unsigned SOURCE_COUNT = 2;
constexpr std::uint32_t PARAMETER_COUNT = GROUP_HEADER_BYTES / PARAMETER_BYTES;

struct Header {
    std::uint32_t field[HEADER_BYTES / 4];
};

struct Descriptor {
    std::uint32_t field[DESCRIPTOR_BYTES / 4];
};

// A spike map as a layer reads it.
struct SourceMap {
    Region region;
    std::uint32_t offset;
    std::uint32_t image_bytes;
    std::uint32_t block_bytes;
    std::uint32_t row_bytes;
    std::uint32_t height;
    std::uint32_t width;
    std::uint32_t blocks;
    std::uint32_t stride_y;
    std::uint32_t stride_x;
};

// A layer's result: a spike map, or the logits of a readout.
struct OutputMap {
    Region region;
    std::uint32_t offset;
    std::uint32_t image_bytes;
    std::uint32_t block_bytes;
    std::uint32_t row_bytes;
    std::uint32_t height;
    std::uint32_t width;
    std::uint32_t channels;
    std::uint32_t groups;
};

struct Layer {
    Operation operation;
    Firing firing;
    bool hard_reset;
    std::uint32_t leak_shift;
    Coding input_coding;
    Coding output_coding;
    std::uint32_t timesteps;
    std::uint32_t fraction_bits;
    std::uint32_t input_planes;
    std::uint32_t output_planes;
    bool shortcut;
    std::uint32_t first_tap;
    std::uint32_t tap_count;
    std::uint32_t weight_offset;
    std::uint32_t weight_blocks;
    OutputMap output;
    SourceMap source[SOURCE_COUNT];
};

struct Tap {
    std::int16_t dy;
    std::int16_t dx;
    std::uint16_t weight_block;
    std::uint16_t source;
};

constexpr unsigned SOURCE_FIELDS = FIELD_SOURCE1_REGION - FIELD_SOURCE0_REGION;

// Position of a source's field, given the position of the same field of source 0.
constexpr unsigned source_field(unsigned source, unsigned field_of_source0)
{
    return field_of_source0 + source * SOURCE_FIELDS;
}

inline bool is_readout(const Layer& layer) { return layer.firing == Firing::READOUT; }

inline std::uint32_t group_bytes(const Layer& layer)
{
    return GROUP_HEADER_BYTES + layer.weight_blocks * WEIGHT_BLOCK_BYTES;
}

// Bytes of one row of the output: masks, or 32 logits for each place.
inline std::uint32_t output_row_bytes(Firing firing, std::uint32_t planes, std::uint32_t width)
{
    return firing == Firing::READOUT ? PARAMETER_BYTES * width : MASK_BYTES * planes * width;
}

// Lanes of a group that are channels.
inline std::uint32_t existing_lanes(const OutputMap& output, std::uint32_t group)
{
    const std::uint32_t left = output.channels - group * LANES;
    return left < LANES ? left : LANES;
}

inline std::uint32_t lane_mask(std::uint32_t lanes)
{
    return lanes == LANES ? 0xffffffffu : (std::uint32_t{1} << lanes) - 1;
}

inline SourceMap decode_source(const Descriptor& descriptor, unsigned source)
{
    const std::uint32_t* field = descriptor.field + source * SOURCE_FIELDS;
    SourceMap map;
    map.region = static_cast<Region>(field[FIELD_SOURCE0_REGION]);
    map.offset = field[FIELD_SOURCE0_OFFSET];
    map.image_bytes = field[FIELD_SOURCE0_IMAGE_BYTES];
    map.block_bytes = field[FIELD_SOURCE0_BLOCK_BYTES];
    map.row_bytes = field[FIELD_SOURCE0_ROW_BYTES];
    map.height = field[FIELD_SOURCE0_HEIGHT];
    map.width = field[FIELD_SOURCE0_WIDTH];
    map.blocks = field[FIELD_SOURCE0_BLOCKS];
    map.stride_y = field[FIELD_SOURCE0_STRIDE_Y];
    map.stride_x = field[FIELD_SOURCE0_STRIDE_X];
    return map;
}

inline OutputMap decode_output(const Descriptor& descriptor)
{
    const std::uint32_t* field = descriptor.field;
    OutputMap map;
    map.region = static_cast<Region>(field[FIELD_OUTPUT_REGION]);
    map.offset = field[FIELD_OUTPUT_OFFSET];
    map.image_bytes = field[FIELD_OUTPUT_IMAGE_BYTES];
    map.block_bytes = field[FIELD_OUTPUT_BLOCK_BYTES];
    map.height = field[FIELD_OUTPUT_HEIGHT];
    map.width = field[FIELD_OUTPUT_WIDTH];
    map.channels = field[FIELD_OUTPUT_CHANNELS];
    map.groups = (map.channels + LANES - 1) / LANES;
    map.row_bytes =
        output_row_bytes(static_cast<Firing>(field[FIELD_FIRING]), field[FIELD_OUTPUT_PLANES], map.width);
    return map;
}

// Only for a descriptor whose fields are within their limits.
inline Layer decode_layer(const Descriptor& descriptor)
{
    const std::uint32_t* field = descriptor.field;
    Layer layer;
    layer.operation = static_cast<Operation>(field[FIELD_OPERATION]);
    layer.firing = static_cast<Firing>(field[FIELD_FIRING]);
    layer.hard_reset = field[FIELD_HARD_RESET] != 0;
    layer.leak_shift = field[FIELD_LEAK_SHIFT];
    layer.input_coding = static_cast<Coding>(field[FIELD_INPUT_CODING]);
    layer.output_coding = static_cast<Coding>(field[FIELD_OUTPUT_CODING]);
    layer.timesteps = field[FIELD_TIMESTEPS];
    layer.fraction_bits = field[FIELD_FRACTION_BITS];
    layer.input_planes = field[FIELD_INPUT_PLANES];
    layer.output_planes = field[FIELD_OUTPUT_PLANES];
    layer.shortcut = field[FIELD_SHORTCUT] != 0;
    layer.first_tap = field[FIELD_FIRST_TAP];
    layer.tap_count = field[FIELD_TAP_COUNT];
    layer.weight_offset = field[FIELD_WEIGHT_OFFSET];
    layer.weight_blocks = field[FIELD_WEIGHT_BLOCKS];
    layer.output = decode_output(descriptor);
    layer.source[0] = decode_source(descriptor, 0);
    layer.source[1] = decode_source(descriptor, 1);
    return layer;
}

inline Tap decode_tap(std::uint64_t word)
{
    Tap tap;
    tap.dy = static_cast<std::int16_t>(word >> (16 * TAP_DY));
    tap.dx = static_cast<std::int16_t>(word >> (16 * TAP_DX));
    tap.weight_block = static_cast<std::uint16_t>(word >> (16 * TAP_WEIGHT_BLOCK));
    tap.source = static_cast<std::uint16_t>(word >> (16 * TAP_SOURCE));
    return tap;
}

inline void unpack_fields(const std::uint64_t* words, std::uint32_t* fields, unsigned count)
{
unpack_fields:
    for (unsigned i = 0; i < count / 2; ++i) {
#pragma HLS PIPELINE II=1
        fields[2 * i] = static_cast<std::uint32_t>(words[i]);
        fields[2 * i + 1] = static_cast<std::uint32_t>(words[i] >> 32);
    }
}

inline Outcome read_header(ReadPort program, Run& run, Header& header)
{
    std::uint64_t words[HEADER_BYTES / WORD_BYTES];
    const Outcome outcome = fenced_read_words(program, run, Region::PROGRAM, 0, words, HEADER_BYTES / WORD_BYTES);
    if (!failed(outcome)) {
        unpack_fields(words, header.field, HEADER_BYTES / 4);
    }
    return outcome;
}

inline Outcome read_descriptor(ReadPort program, Run& run, std::uint32_t index, Descriptor& descriptor)
{
    std::uint64_t words[DESCRIPTOR_BYTES / WORD_BYTES];
    const std::uint64_t offset = HEADER_BYTES + std::uint64_t{DESCRIPTOR_BYTES} * index;
    const Outcome outcome =
        fenced_read_words(program, run, Region::PROGRAM, offset, words, DESCRIPTOR_BYTES / WORD_BYTES);
    if (!failed(outcome)) {
        unpack_fields(words, descriptor.field, DESCRIPTOR_BYTES / 4);
    }
    return outcome;
}

}  // namespace snn

#endif  // SNN_PROGRAM_HPP
