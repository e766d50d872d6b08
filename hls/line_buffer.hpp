// The rows of the sources that the taps of one output row reach, on chip.
//
// Maps live in memory and pass through here: each row of a source is read once for each output group, whatever the number
// of taps that look at it. So the size of a map is bounded by memory, not by the chip; what must fit here is only the
// rows in reach, which is checked before a layer begins.
#ifndef SNN_LINE_BUFFER_HPP
#define SNN_LINE_BUFFER_HPP

#include <cstdint>

#include "fenced_access.hpp"
#include "program.hpp"
#include "tap_memory.hpp"

namespace snn {

// How one source is read during a layer. Rows are kept in slots, row r in slot r modulo `slots`.
struct SourceReader {
    SourceMap map;
    Reach reach;
    std::uint32_t base;        // first word of this source in the line buffer
    std::uint32_t slots;       // rows kept
    std::uint32_t held_first;  // channel blocks kept: `held_blocks` from block `held_first`
    std::uint32_t held_blocks;
    std::uint32_t place_words;  // words of one place of one block: its pairs of planes
    std::uint32_t row_words;    // words of one row of one block, as far as taps can see
    std::uint64_t image_offset;
    std::uint32_t next_row;  // rows before it are loaded or no longer needed
    std::uint32_t row_base[MAX_SIDE];  // first word of each row in the line buffer
};

inline std::uint32_t slots_needed(const SourceMap& map, const Reach& reach)
{
    const std::uint32_t rows = static_cast<std::uint32_t>(reach.last_dy - reach.first_dy) + 1;
    return rows < map.height ? rows : map.height;
}

// Of an identity shortcut and of max pooling only the block of the output group is needed.
inline std::uint32_t blocks_needed(const Layer& layer, unsigned source)
{
    const bool one = layer.operation == Operation::MAX_POOL || (source == 1 && layer.shortcut);
    return one ? 1 : layer.source[source].blocks;
}

inline std::uint32_t row_words(const Layer& layer, unsigned source)
{
    return layer.source[source].width * (layer.input_planes / 2);
}

// Words of the rows in reach: at most 256 rows of 64 blocks of 256 places of 16 words, which 32 bits hold.
inline std::uint32_t words_needed(const Layer& layer, unsigned source, const Reach& reach)
{
    if (!reach.used) {
        return 0;
    }
    return slots_needed(layer.source[source], reach) * blocks_needed(layer, source) * row_words(layer, source);
}

inline Outcome check_line_buffer(const Run& run, const Layer& layer, const Reach reach[SOURCE_COUNT])
{
    const std::uint64_t words = std::uint64_t{words_needed(layer, 0, reach[0])} + words_needed(layer, 1, reach[1]);
    return words <= LINE_BUFFER_WORDS ? SUCCESS
                                      : Outcome{ErrorCode::BAD_DESCRIPTOR, run.layer << 16 | FIELD_TAP_COUNT};
}

// Plans one source from word `base` of the line buffer on.
inline void plan_source(
    const Layer& layer, unsigned source, const Reach& reach, std::uint32_t held_first, std::uint32_t base,
    SourceReader& reader)
{
    reader.map = layer.source[source];
    reader.reach = reach;
    reader.base = base;
    reader.slots = slots_needed(reader.map, reach);
    reader.held_first = held_first;
    reader.held_blocks = blocks_needed(layer, source);
    reader.place_words = layer.input_planes / 2;
    reader.row_words = row_words(layer, source);
rows:
    for (std::uint32_t row = 0; row < MAX_SIDE; ++row) {  // so that a row never loaded still lies within the buffer
#pragma HLS PIPELINE II=1
        reader.row_base[row] = base;
    }
}

inline void begin_image(SourceReader& reader, std::uint32_t images, std::uint32_t image)
{
    reader.image_offset =
        std::uint64_t{reader.map.offset} * images + std::uint64_t{reader.map.image_bytes} * image;
    reader.next_row = 0;
}

inline std::uint64_t row_offset(const SourceReader& reader, std::uint32_t row, std::uint32_t held_block)
{
    return reader.image_offset + std::uint64_t{reader.map.block_bytes} * (reader.held_first + held_block) +
           std::uint64_t{reader.map.row_bytes} * row;
}

inline Outcome load_row(
    ReadPort maps, Run& run, SourceReader& reader, std::uint32_t row, std::uint64_t line_buffer[LINE_BUFFER_WORDS])
{
    const std::uint32_t slot = row % reader.slots;
    reader.row_base[row] = reader.base + slot * reader.held_blocks * reader.row_words;
blocks:
    for (std::uint32_t block = 0; block < reader.held_blocks; ++block) {
        const Outcome outcome = fenced_read_words(
            maps, run, reader.map.region, row_offset(reader, row, block),
            line_buffer + reader.row_base[row] + block * reader.row_words, reader.row_words);
        if (failed(outcome)) {
            return outcome;
        }
    }
    return SUCCESS;
}

// Loads what output row `y` reaches and is not there yet. Output rows come in order, so rows are only ever added below.
inline Outcome load_rows_in_reach(
    ReadPort maps, Run& run, SourceReader& reader, std::uint32_t y, std::uint64_t line_buffer[LINE_BUFFER_WORDS])
{
    if (!reader.reach.used) {
        return SUCCESS;
    }
    const std::int32_t origin = static_cast<std::int32_t>(y * reader.map.stride_y);
    const std::int32_t first = origin + reader.reach.first_dy;
    const std::int32_t end = origin + reader.reach.last_dy + 1;
    const std::int32_t height = static_cast<std::int32_t>(reader.map.height);
    const std::int32_t loaded = static_cast<std::int32_t>(reader.next_row);
rows:
    for (std::int32_t row = first > loaded ? first : loaded; row < end && row < height; ++row) {
        const Outcome outcome = load_row(maps, run, reader, static_cast<std::uint32_t>(row), line_buffer);
        if (failed(outcome)) {
            return outcome;
        }
        reader.next_row = static_cast<std::uint32_t>(row) + 1;
    }
    return SUCCESS;
}

// Whether a tap meets the map at output place (y, x), and where.
struct Place {
    bool inside;
    std::uint32_t row;
    std::uint32_t column;
};

inline Place place_of_tap(const SourceMap& map, const Tap& tap, std::uint32_t y, std::uint32_t x)
{
    // Negative positions become large unsigned ones, so one comparison covers both borders.
    const std::uint32_t row = y * map.stride_y + static_cast<std::uint32_t>(tap.dy);
    const std::uint32_t column = x * map.stride_x + static_cast<std::uint32_t>(tap.dx);
    return {row < map.height && column < map.width, row, column};
}

// One pair of planes of one block at a place of the source.
inline std::uint64_t read_pair(
    const SourceReader& reader, const Place& place, std::uint32_t held_block, std::uint32_t pair,
    const std::uint64_t line_buffer[LINE_BUFFER_WORDS])
{
    const std::uint32_t in_row = place.column * reader.place_words + pair;
    return line_buffer[reader.row_base[place.row] + held_block * reader.row_words + in_row];
}

}  // namespace snn

#endif  // SNN_LINE_BUFFER_HPP
