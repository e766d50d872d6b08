// Max pooling: of spike trains the one whose running count is the largest, of numbers in bit planes the largest.
#ifndef SNN_MAX_POOL_LAYER_HPP
#define SNN_MAX_POOL_LAYER_HPP

#include <cstdint>

#include "bits.hpp"
#include "core_storage.hpp"
#include "cycle_model.hpp"
#include "gather_layer.hpp"
#include "line_buffer.hpp"
#include "output_burst.hpp"
#include "tap_memory.hpp"

namespace snn {

constexpr unsigned LEAD_BITS = 7;  // -MAX_PLANES to MAX_PLANES
static_assert(MAX_PLANES < 1u << (LEAD_BITS - 1), "a lead must fit its bits");

// Which of two numbers is larger, channel by channel, as far as their planes have shown, most significant first.
struct Comparison {
    std::uint32_t kept_is_larger = 0;
    std::uint32_t seen_is_larger = 0;
};

inline std::uint32_t larger_plane(std::uint32_t kept, std::uint32_t seen, Comparison& comparison)
{
    const std::uint32_t decided = comparison.kept_is_larger | comparison.seen_is_larger;
    const std::uint32_t decides = (kept ^ seen) & ~decided;
    comparison.kept_is_larger |= decides & kept;
    comparison.seen_is_larger |= decides & seen;
    return (kept & ~comparison.seen_is_larger) | (seen & comparison.seen_is_larger);
}

// How many spikes the train seen is ahead of the train kept, channel by channel: two's complement, one word a bit.
struct Lead {
    std::uint32_t bit[LEAD_BITS] = {};
};

inline void count_lead(std::uint32_t kept, std::uint32_t seen, Lead& lead)
{
    std::uint32_t carry = seen & ~kept;
    std::uint32_t borrow = kept & ~seen;
bits:
    for (unsigned i = 0; i < LEAD_BITS; ++i) {
#pragma HLS UNROLL
        const std::uint32_t old = lead.bit[i];
        lead.bit[i] = old ^ (carry | borrow);
        carry &= old;
        borrow &= ~old;
    }
}

// The next plane of the train whose running count is the larger of two: the leader's spike, or any spike where none leads.
inline std::uint32_t leading_plane(std::uint32_t kept, std::uint32_t seen, Lead& lead)
{
    const std::uint32_t kept_leads = lead.bit[LEAD_BITS - 1];
    std::uint32_t differs = 0;
bits:
    for (unsigned i = 0; i < LEAD_BITS; ++i) {
#pragma HLS UNROLL
        differs |= lead.bit[i];
    }
    count_lead(kept, seen, lead);
    return (seen & ~kept_leads) | (kept & (kept_leads | ~differs));
}

inline std::uint64_t leading_pair(std::uint64_t kept, std::uint64_t seen, Lead& lead)
{
    const std::uint64_t earlier = leading_plane(earlier_plane(kept), earlier_plane(seen), lead);
    const std::uint64_t later = leading_plane(later_plane(kept), later_plane(seen), lead);
    return later << 32 | earlier;
}

inline std::uint64_t larger_pair(std::uint64_t kept, std::uint64_t seen, Comparison& comparison)
{
    const std::uint64_t earlier = larger_plane(earlier_plane(kept), earlier_plane(seen), comparison);
    const std::uint64_t later = larger_plane(later_plane(kept), later_plane(seen), comparison);
    return later << 32 | earlier;
}

inline void max_place(
    const Layer& layer, const Position& position, const CoreStorage& storage, GroupCycles& cycles,
    std::uint64_t words[PLACE_WORDS])
{
    const SourceReader& reader = storage.reader[0];
clear:
    for (std::uint32_t pair = 0; pair < reader.place_words; ++pair) {
#pragma HLS PIPELINE II=1
        words[pair] = 0;
    }
taps:
    for (std::uint32_t i = 0; i < layer.tap_count; ++i) {
        const Place place = place_of_tap(reader.map, storage.taps.tap[i], position.y, position.x);
        if (!place.inside) {
            continue;
        }
        Comparison comparison;
        Lead lead;
    pairs:
        for (std::uint32_t pair = 0; pair < reader.place_words; ++pair) {
#pragma HLS PIPELINE II=1
            const std::uint64_t word = read_pair(reader, place, 0, pair, storage.line_buffer);
            words[pair] = layer.input_coding == Coding::BINARY ? larger_pair(words[pair], word, comparison)
                                                               : leading_pair(words[pair], word, lead);
        }
        cycles.working += 2 * reader.place_words;
    }
    cycles.working += reader.place_words + 1;
}

// Adds a finished place to the burst and to the counter.
inline void pack_masks(
    const std::uint64_t words[PLACE_WORDS], std::uint32_t count, Coding coding, Run& run, OutputBurst& burst)
{
    std::uint64_t spikes = 0;
pack:
    for (std::uint32_t i = 0; i < count; ++i) {
#pragma HLS PIPELINE II=1
        burst.word[burst.count + i] = words[i];
        const std::uint64_t earlier = count_ones(earlier_plane(words[i]));
        const std::uint64_t later = count_ones(later_plane(words[i]));
        spikes = coding == Coding::BINARY ? 4 * spikes + 2 * earlier + later : spikes + earlier + later;
    }
    run.counters.spikes += spikes;
    burst.count += count;
}

inline Outcome max_row(
    ReadPort maps, WritePort results, Run& run, const Layer& layer, std::uint32_t image, std::uint32_t block,
    std::uint32_t y, CoreStorage& storage, GroupCycles& cycles)
{
    OutputBurst& burst = storage.output;
    begin_output_row(run, layer.output, image, block, y, burst);
    Outcome outcome = load_rows_in_reach(maps, run, storage.reader[0], y, storage.line_buffer);
places:
    for (std::uint32_t x = 0; x < layer.output.width && !failed(outcome); ++x) {
        std::uint64_t words[PLACE_WORDS];
        max_place(layer, Position{y, x}, storage, cycles, words);
        pack_masks(words, storage.reader[0].place_words, layer.output_coding, run, burst);
        outcome = write_if_full(results, run, burst);
        if (!failed(outcome)) {
            outcome = check_stop(maps, run, cycles);
        }
    }
    if (!failed(outcome)) {
        outcome = finish_output_row(results, run, burst);
    }
    return failed(outcome) ? outcome : check_stop(maps, run, cycles);
}

inline Outcome max_images(
    ReadPort maps, WritePort results, Run& run, const Layer& layer, std::uint32_t block, CoreStorage& storage,
    GroupCycles& cycles)
{
images:
    for (std::uint32_t image = 0; image < run.images; ++image) {
        begin_image(storage.reader[0], run.images, image);
    rows:
        for (std::uint32_t y = 0; y < layer.output.height; ++y) {
            const Outcome outcome = max_row(maps, results, run, layer, image, block, y, storage, cycles);
            if (failed(outcome)) {
                return outcome;
            }
        }
    }
    return SUCCESS;
}

inline Outcome run_max_pool_layer(
    ReadPort maps, WritePort results, Run& run, const Layer& layer, const Reach reach[SOURCE_COUNT],
    CoreStorage& storage)
{
blocks:
    for (std::uint32_t block = 0; block < layer.output.groups; ++block) {
        GroupCycles cycles = begin_group(run);
        plan_source(layer, 0, reach[0], block, 0, storage.reader[0]);
        const Outcome outcome = max_images(maps, results, run, layer, block, storage, cycles);
        finish_group(run, cycles);
        if (failed(outcome)) {
            return outcome;
        }
    }
    return SUCCESS;
}

}  // namespace snn

#endif  // SNN_MAX_POOL_LAYER_HPP
