// The taps of a layer, on chip.
//
// Networks have tens of taps in a layer, the program format allows 65,535. The memory holds one page of them: a layer
// that fits is read once, a longer one is paged in again and again, slower but right.
#ifndef SNN_TAP_MEMORY_HPP
#define SNN_TAP_MEMORY_HPP

#include <cstdint>

#include "checks.hpp"
#include "fenced_access.hpp"
#include "program.hpp"

namespace snn {

constexpr std::uint32_t TAP_PAGE = 1024;
constexpr std::uint32_t NO_PAGE = 0xffffffffu;

struct TapMemory {
    std::uint64_t words[TAP_PAGE];
    Tap tap[TAP_PAGE];
    std::uint32_t first;  // index within the layer of tap[0]; NO_PAGE: nothing valid is held
};

// Rows that the taps of one source reach, relative to the origin of an output row.
struct Reach {
    bool used;
    std::int32_t first_dy;
    std::int32_t last_dy;
};

inline std::uint64_t tap_offset(const Header& header, const Layer& layer, std::uint32_t index)
{
    return HEADER_BYTES + std::uint64_t{DESCRIPTOR_BYTES} * header.field[HEADER_LAYER_COUNT] +
           std::uint64_t{TAP_BYTES} * (std::uint64_t{layer.first_tap} + index);
}

inline std::uint32_t taps_in_page(const Layer& layer, std::uint32_t first)
{
    const std::uint32_t left = layer.tap_count - first;
    return left < TAP_PAGE ? left : TAP_PAGE;
}

// Makes the page that begins with tap `first` the one held. Taps are checked whenever they are read: what indexes the
// weight memory must never depend on memory having kept still since an earlier check.
inline Outcome load_tap_page(
    ReadPort program, Run& run, const Header& header, const Layer& layer, std::uint32_t first, TapMemory& memory)
{
    if (memory.first == first) {
        return SUCCESS;
    }
    memory.first = NO_PAGE;
    const std::uint32_t count = taps_in_page(layer, first);
    const Outcome outcome =
        fenced_read_words(program, run, Region::PROGRAM, tap_offset(header, layer, first), memory.words, count);
    if (failed(outcome)) {
        return outcome;
    }
    bool valid = true;
decode_taps:
    for (std::uint32_t i = 0; i < count; ++i) {
#pragma HLS PIPELINE II=1
        memory.tap[i] = decode_tap(memory.words[i]);
        valid = valid && tap_is_valid(layer, memory.tap[i]);
    }
    if (!valid) {
        return {ErrorCode::BAD_DESCRIPTOR, run.layer << 16 | FIELD_FIRST_TAP};
    }
    memory.first = first;
    return SUCCESS;
}

inline void widen_reach(Reach& reach, std::int32_t dy)
{
    reach.first_dy = !reach.used || dy < reach.first_dy ? dy : reach.first_dy;
    reach.last_dy = !reach.used || dy > reach.last_dy ? dy : reach.last_dy;
    reach.used = true;
}

// Checks every tap of the layer and finds which rows of each source they reach.
inline Outcome scan_taps(
    ReadPort program, Run& run, const Header& header, const Layer& layer, TapMemory& memory, Reach reach[SOURCE_COUNT])
{
    memory.first = NO_PAGE;
    reach[0] = Reach{false, 0, 0};
    reach[1] = Reach{layer.shortcut, 0, 0};  // an identity shortcut reads source 1 at the output's own place
tap_pages:
    for (std::uint32_t first = 0; first < layer.tap_count; first += TAP_PAGE) {
        const Outcome outcome = load_tap_page(program, run, header, layer, first, memory);
        if (failed(outcome)) {
            return outcome;
        }
    taps:
        for (std::uint32_t i = 0; i < taps_in_page(layer, first); ++i) {
#pragma HLS PIPELINE II=1
            widen_reach(reach[memory.tap[i].source], memory.tap[i].dy);
        }
    }
    return SUCCESS;
}

}  // namespace snn

#endif  // SNN_TAP_MEMORY_HPP
