// The taps of a layer, on chip.
#ifndef SNN_TAP_MEMORY_HPP
#define SNN_TAP_MEMORY_HPP

#include <cstdint>

#include "checks.hpp"
#include "fenced_access.hpp"
#include "program.hpp"

namespace snn {

struct TapMemory {
    std::uint64_t words[MAX_TAPS];
    Tap tap[MAX_TAPS];
};

// Rows that the taps of one source reach, relative to the origin of an output row.
struct Reach {
    bool used;
    std::int32_t first_dy;
    std::int32_t last_dy;
};

// Reads the layer's taps and checks each.
inline Outcome load_taps(ReadPort program, Run& run, const Header& header, const Layer& layer, TapMemory& memory)
{
    const std::uint64_t offset = HEADER_BYTES + std::uint64_t{DESCRIPTOR_BYTES} * header.field[HEADER_LAYER_COUNT] +
                                 std::uint64_t{TAP_BYTES} * layer.first_tap;
    const Outcome outcome =
        fenced_read_words(program, run, Region::PROGRAM, offset, memory.words, layer.tap_count);
    if (failed(outcome)) {
        return outcome;
    }
    bool valid = true;
decode_taps:
    for (std::uint32_t i = 0; i < layer.tap_count; ++i) {
#pragma HLS PIPELINE II=1
        memory.tap[i] = decode_tap(memory.words[i]);
        valid = valid && tap_is_valid(layer, memory.tap[i]);
    }
    return valid ? SUCCESS : Outcome{ErrorCode::BAD_DESCRIPTOR, run.layer << 16 | FIELD_FIRST_TAP};
}

inline void widen_reach(Reach& reach, std::int32_t dy)
{
    reach.first_dy = !reach.used || dy < reach.first_dy ? dy : reach.first_dy;
    reach.last_dy = !reach.used || dy > reach.last_dy ? dy : reach.last_dy;
    reach.used = true;
}

// Finds which rows of each source the taps reach.
inline void find_reach(const Layer& layer, const TapMemory& memory, Reach reach[SOURCE_COUNT])
{
    reach[0] = Reach{false, 0, 0};
    reach[1] = Reach{layer.shortcut, 0, 0};  // an identity shortcut reads source 1 at the output's own place
taps:
    for (std::uint32_t i = 0; i < layer.tap_count; ++i) {
#pragma HLS PIPELINE II=1
        widen_reach(reach[memory.tap[i].source], memory.tap[i].dy);
    }
}

}  // namespace snn

#endif  // SNN_TAP_MEMORY_HPP
