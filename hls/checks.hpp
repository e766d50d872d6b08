// What the core checks before it works, in the order that the numerics contract fixes (docs/numerics.md, section 8).
#ifndef SNN_CHECKS_HPP
#define SNN_CHECKS_HPP

#include <cstdint>

#include "fenced_access.hpp"
#include "program.hpp"
#include "snn_layout.hpp"

namespace snn {

constexpr std::uint32_t CRC_POLYNOMIAL = 0xedb88320u;  // of zlib's CRC-32, reflected
constexpr std::uint32_t CRC_BURST_WORDS = 64;

inline std::uint32_t crc_of_word(std::uint32_t crc, std::uint64_t word)
{
    std::uint64_t state = word ^ crc;
bits:
    for (unsigned bit = 0; bit < 64; ++bit) {
#pragma HLS UNROLL
        state = (state >> 1) ^ ((state & 1) != 0 ? std::uint64_t{CRC_POLYNOMIAL} : 0);
    }
    return static_cast<std::uint32_t>(state);
}

// --- 1. once, before anything else ---

inline bool windows_aligned(const Run& run)
{
    bool aligned = true;
windows:
    for (unsigned region = 0; region < REGION_COUNT; ++region) {
        aligned = aligned && run.window[region].address % ALIGNMENT == 0;
    }
    return aligned;
}

inline bool arguments_in_range(const Run& run)
{
    return run.images >= 1 && run.images <= MAX_IMAGES && windows_aligned(run) &&
           run.window[static_cast<unsigned>(Region::PROGRAM)].bytes >= HEADER_BYTES;
}

inline bool buffers_large_enough(const Run& run, const Header& header)
{
    const std::uint64_t images = run.images;
    const std::uint64_t counters = std::uint64_t{header.field[HEADER_LAYER_COUNT]} * COUNTER_RECORD_BYTES;
    const std::uint64_t needed[REGION_COUNT] = {
        header.field[HEADER_PROGRAM_BYTES],
        header.field[HEADER_INPUT_BYTES] * images,
        header.field[HEADER_WORKSPACE_BYTES] * images,
        header.field[HEADER_OUTPUT_BYTES] * images + counters,
    };
    bool enough = true;
buffers:
    for (unsigned region = 0; region < REGION_COUNT; ++region) {
        enough = enough && needed[region] <= run.window[region].bytes;
    }
    return enough;
}

// The counter records follow the outputs of the images, so these must end on a whole word.
inline bool header_sizes_agree(const Header& header)
{
    const std::uint64_t layers = header.field[HEADER_LAYER_COUNT];
    const std::uint64_t taps = header.field[HEADER_TAP_COUNT];
    const std::uint64_t needed = HEADER_BYTES + layers * DESCRIPTOR_BYTES + taps * TAP_BYTES;
    const std::uint32_t command_bytes = header.field[HEADER_COMMAND_BYTES];
    return layers >= 1 && layers <= MAX_LAYERS && taps >= 1 && header.field[HEADER_INPUT_BYTES] >= 1 &&
           header.field[HEADER_OUTPUT_BYTES] >= 1 && header.field[HEADER_OUTPUT_BYTES] % ALIGNMENT == 0 &&
           command_bytes % ALIGNMENT == 0 && command_bytes >= needed &&
           command_bytes <= header.field[HEADER_PROGRAM_BYTES];
}

inline Outcome check_command_crc(ReadPort program, Run& run, const Header& header)
{
    std::uint32_t crc = 0xffffffffu;
    std::uint32_t offset = HEADER_CHECKED_FROM;
bursts:
    while (offset < header.field[HEADER_COMMAND_BYTES]) {
        const std::uint32_t left = (header.field[HEADER_COMMAND_BYTES] - offset) / WORD_BYTES;
        const std::uint32_t count = left < CRC_BURST_WORDS ? left : CRC_BURST_WORDS;
        std::uint64_t words[CRC_BURST_WORDS];
        const Outcome outcome = fenced_read_words(program, run, Region::PROGRAM, offset, words, count);
        if (failed(outcome)) {
            return outcome;
        }
        if (abort_requested(program)) {
            return {ErrorCode::ABORTED, 0};
        }
    words:
        for (std::uint32_t i = 0; i < count; ++i) {
#pragma HLS PIPELINE II=1
            crc = crc_of_word(crc, words[i]);
        }
        offset += count * WORD_BYTES;
    }
    return ~crc == header.field[HEADER_COMMAND_CRC] ? SUCCESS : Outcome{ErrorCode::BAD_CHECKSUM, 0};
}

inline Outcome check_program(ReadPort program, Run& run, Header& header)
{
    if (!arguments_in_range(run)) {
        return {ErrorCode::BAD_SIZE, 0};
    }
    const Outcome outcome = read_header(program, run, header);
    if (failed(outcome)) {
        return outcome;
    }
    if (header.field[HEADER_MAGIC] != PROGRAM_MAGIC) {
        return {ErrorCode::BAD_MAGIC, 0};
    }
    if (header.field[HEADER_VERSION] != LAYOUT_VERSION) {
        return {ErrorCode::BAD_VERSION, 0};
    }
    if (!header_sizes_agree(header) || !buffers_large_enough(run, header)) {
        return {ErrorCode::BAD_SIZE, 0};
    }
    return check_command_crc(program, run, header);
}

// --- 2. every descriptor ---

// Remembers the first rule that does not hold, so that the rules below can stand one after the other.
class FirstBrokenRule {
public:
    void require(bool holds, unsigned field)
    {
        if (!holds && !broken_) {
            broken_ = true;
            field_ = field;
        }
    }

    Outcome outcome(std::uint32_t layer) const
    {
        return broken_ ? Outcome{ErrorCode::BAD_DESCRIPTOR, layer << 16 | field_} : SUCCESS;
    }

private:
    bool broken_ = false;
    unsigned field_ = 0;
};

inline void check_limits(const Descriptor& descriptor, FirstBrokenRule& rules)
{
limits:
    for (unsigned i = 0; i < DESCRIPTOR_FIELD_COUNT; ++i) {
#pragma HLS PIPELINE II=1
        const std::uint32_t value = descriptor.field[i];
        rules.require(value >= DESCRIPTOR_LIMITS[i].minimum && value <= DESCRIPTOR_LIMITS[i].maximum, i);
    }
}

inline void check_planes(const Layer& layer, FirstBrokenRule& rules)
{
    rules.require(layer.input_planes % 2 == 0, FIELD_INPUT_PLANES);
    rules.require(layer.output_planes % 2 == 0, FIELD_OUTPUT_PLANES);
    if (layer.input_coding == Coding::TIMESTEPS) {
        rules.require(layer.input_planes >= layer.timesteps, FIELD_INPUT_PLANES);
    }
    if (layer.output_coding == Coding::BINARY) {
        const bool pool = layer.operation == Operation::MAX_POOL;
        rules.require(pool || layer.firing == Firing::DEFERRED, FIELD_OUTPUT_CODING);
        rules.require(layer.timesteps < std::uint64_t{1} << layer.output_planes, FIELD_TIMESTEPS);
    } else if (!is_readout(layer)) {
        rules.require(layer.output_planes == layer.timesteps + layer.timesteps % 2, FIELD_OUTPUT_PLANES);
    }
}

inline void check_firing(const Layer& layer, FirstBrokenRule& rules)
{
    rules.require(layer.output.region == (is_readout(layer) ? Region::OUTPUT : Region::WORKSPACE), FIELD_OUTPUT_REGION);
    rules.require((layer.output_planes == 0) == is_readout(layer), FIELD_OUTPUT_PLANES);
    if (layer.firing != Firing::STEPWISE || layer.operation == Operation::MAX_POOL) {
        rules.require(layer.leak_shift == 0, FIELD_LEAK_SHIFT);
        rules.require(!layer.hard_reset, FIELD_HARD_RESET);
    }
}

inline void check_max_pool(const Layer& layer, FirstBrokenRule& rules)
{
    rules.require(layer.output_coding == layer.input_coding, FIELD_OUTPUT_CODING);
    rules.require(layer.output_planes == layer.input_planes, FIELD_OUTPUT_PLANES);
    rules.require(layer.output.groups == layer.source[0].blocks, FIELD_OUTPUT_CHANNELS);
    rules.require(layer.firing == Firing::STEPWISE, FIELD_FIRING);
    rules.require(!layer.shortcut, FIELD_SHORTCUT);
    rules.require(layer.weight_blocks == 0, FIELD_WEIGHT_BLOCKS);
}

inline void check_weights(const Layer& layer, const Header& header, FirstBrokenRule& rules)
{
    const std::uint64_t end =
        layer.weight_offset + std::uint64_t{group_bytes(layer)} * layer.output.groups;
    rules.require(layer.weight_offset % ALIGNMENT == 0, FIELD_WEIGHT_OFFSET);
    rules.require(layer.weight_offset >= header.field[HEADER_COMMAND_BYTES], FIELD_WEIGHT_OFFSET);
    rules.require(end <= header.field[HEADER_PROGRAM_BYTES], FIELD_WEIGHT_OFFSET);
}

inline void check_source(const Layer& layer, unsigned source, FirstBrokenRule& rules)
{
    const SourceMap& map = layer.source[source];
    const bool region_readable = map.region == Region::INPUT || map.region == Region::WORKSPACE;
    const unsigned row_bytes = source_field(source, FIELD_SOURCE0_ROW_BYTES);
    const unsigned block_bytes = source_field(source, FIELD_SOURCE0_BLOCK_BYTES);
    const unsigned image_bytes = source_field(source, FIELD_SOURCE0_IMAGE_BYTES);
    rules.require(map.row_bytes >= MASK_BYTES * layer.input_planes * map.width, row_bytes);
    rules.require(map.row_bytes % WORD_BYTES == 0, row_bytes);
    rules.require(map.block_bytes >= std::uint64_t{map.row_bytes} * map.height, block_bytes);
    rules.require(map.image_bytes >= std::uint64_t{map.block_bytes} * map.blocks, image_bytes);
    rules.require(map.block_bytes % ALIGNMENT == 0, block_bytes);
    rules.require(map.image_bytes % ALIGNMENT == 0, image_bytes);
    rules.require(map.offset % ALIGNMENT == 0, source_field(source, FIELD_SOURCE0_OFFSET));
    rules.require(region_readable, source_field(source, FIELD_SOURCE0_REGION));
    rules.require(map.stride_y > 0, source_field(source, FIELD_SOURCE0_STRIDE_Y));
    rules.require(map.stride_x > 0, source_field(source, FIELD_SOURCE0_STRIDE_X));
}

inline void check_output(const Layer& layer, FirstBrokenRule& rules)
{
    const OutputMap& map = layer.output;
    rules.require(map.block_bytes >= std::uint64_t{map.row_bytes} * map.height, FIELD_OUTPUT_BLOCK_BYTES);
    rules.require(map.image_bytes >= std::uint64_t{map.block_bytes} * map.groups, FIELD_OUTPUT_IMAGE_BYTES);
    rules.require(map.block_bytes % ALIGNMENT == 0, FIELD_OUTPUT_BLOCK_BYTES);
    rules.require(map.image_bytes % ALIGNMENT == 0, FIELD_OUTPUT_IMAGE_BYTES);
    rules.require(map.offset % ALIGNMENT == 0, FIELD_OUTPUT_OFFSET);
}

inline void check_shortcut(const Layer& layer, FirstBrokenRule& rules)
{
    const SourceMap& map = layer.source[1];
    const bool same_shape = map.blocks == layer.output.groups && map.height == layer.output.height &&
                            map.width == layer.output.width;
    rules.require(same_shape, FIELD_SHORTCUT);
}

// Fills `layer` only when every field is within its limits.
inline Outcome check_descriptor(const Descriptor& descriptor, const Header& header, std::uint32_t index, Layer& layer)
{
    FirstBrokenRule rules;
    check_limits(descriptor, rules);
    if (failed(rules.outcome(index))) {
        return rules.outcome(index);
    }
    layer = decode_layer(descriptor);
    check_planes(layer, rules);
    check_firing(layer, rules);
    if (layer.operation == Operation::MAX_POOL) {
        check_max_pool(layer, rules);
    } else {
        check_weights(layer, header, rules);
    }
    rules.require(
        std::uint64_t{layer.first_tap} + layer.tap_count <= header.field[HEADER_TAP_COUNT], FIELD_FIRST_TAP);
    check_source(layer, 0, rules);
    if (layer.source[1].blocks > 0) {
        check_source(layer, 1, rules);
    }
    check_output(layer, rules);
    if (layer.shortcut) {
        check_shortcut(layer, rules);
    }
    return rules.outcome(index);
}

// --- 3. every tap ---

inline bool tap_is_valid(const Layer& layer, const Tap& tap)
{
    if (layer.operation == Operation::MAX_POOL) {
        return tap.source == 0;
    }
    const bool second_source = tap.source == 1 && layer.source[1].blocks > 0 && !layer.shortcut;
    const std::uint32_t blocks = layer.source[second_source ? 1 : 0].blocks;
    return (tap.source == 0 || second_source) && tap.weight_block + blocks <= layer.weight_blocks;
}

// --- 4. the maps of the whole batch ---

inline bool batch_fits(const Run& run, Region region, std::uint32_t offset, std::uint32_t image_bytes)
{
    const std::uint64_t end = (std::uint64_t{offset} + image_bytes) * run.images;
    return end <= run.window[static_cast<unsigned>(region)].bytes;
}

inline Outcome check_fences(const Run& run, const Layer& layer)
{
sources:
    for (unsigned i = 0; i < SOURCE_COUNT; ++i) {
        const SourceMap& map = layer.source[i];
        if (map.blocks > 0 && !batch_fits(run, map.region, map.offset, map.image_bytes)) {
            return fence_outcome(run, map.region);
        }
    }
    const OutputMap& output = layer.output;
    const bool fits = batch_fits(run, output.region, output.offset, output.image_bytes);
    return fits ? SUCCESS : fence_outcome(run, output.region);
}

}  // namespace snn

#endif  // SNN_CHECKS_HPP
