// The way out: places are collected and written in long bursts, because the places of an output row follow each other.
#ifndef SNN_OUTPUT_BURST_HPP
#define SNN_OUTPUT_BURST_HPP

#include <cstdint>

#include "fenced_access.hpp"
#include "program.hpp"

namespace snn {

constexpr std::uint32_t PLACE_WORDS = LANES / 2;  // the most that a place takes: 32 logits, or the masks of 32 planes
constexpr std::uint32_t BURST_WORDS = 256;

struct OutputBurst {
    Region region;
    std::uint64_t offset;  // where the collected words belong
    std::uint32_t count;
    std::uint64_t word[BURST_WORDS];
};

inline void begin_output_row(
    const Run& run, const OutputMap& output, std::uint32_t image, std::uint32_t group, std::uint32_t y,
    OutputBurst& burst)
{
    burst.region = output.region;
    burst.offset = std::uint64_t{output.offset} * run.images + std::uint64_t{output.image_bytes} * image +
                   std::uint64_t{output.block_bytes} * group + std::uint64_t{output.row_bytes} * y;
    burst.count = 0;
}

inline Outcome write_collected(WritePort results, Run& run, OutputBurst& burst)
{
    const Outcome outcome = fenced_write_words(results, run, burst.region, burst.offset, burst.word, burst.count);
    burst.offset += std::uint64_t{burst.count} * WORD_BYTES;
    burst.count = 0;
    return outcome;
}

// To be called with the words of a place added: writes if another place might not fit.
inline Outcome write_if_full(WritePort results, Run& run, OutputBurst& burst)
{
    return burst.count + PLACE_WORDS > BURST_WORDS ? write_collected(results, run, burst) : SUCCESS;
}

inline Outcome finish_output_row(WritePort results, Run& run, OutputBurst& burst)
{
    return burst.count > 0 ? write_collected(results, run, burst) : SUCCESS;
}

}  // namespace snn

#endif  // SNN_OUTPUT_BURST_HPP
