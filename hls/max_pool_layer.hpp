// Max pooling of spikes: the OR of the masks at the taps, or the maximum of the numbers whose bits the planes are.
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

inline std::uint64_t larger_pair(std::uint64_t kept, std::uint64_t seen, Comparison& comparison)
{
    const std::uint64_t earlier = larger_plane(earlier_plane(kept), earlier_plane(seen), comparison);
    const std::uint64_t later = larger_plane(later_plane(kept), later_plane(seen), comparison);
    return later << 32 | earlier;
}

inline Outcome max_place(
    ReadPort program, ReadPort maps, Run& run, const Header& header, const Layer& layer, const Position& position,
    CoreStorage& storage, GroupCycles& cycles, std::uint64_t words[PLACE_WORDS])
{
    const SourceReader& reader = storage.reader[0];
clear:
    for (std::uint32_t pair = 0; pair < reader.place_words; ++pair) {
#pragma HLS PIPELINE II=1
        words[pair] = 0;
    }
taps:
    for (std::uint32_t i = 0; i < layer.tap_count; ++i) {
        const std::uint32_t in_page = i % TAP_PAGE;
        const Outcome outcome = load_tap_page(program, run, header, layer, i - in_page, storage.taps);
        if (failed(outcome)) {
            return outcome;
        }
        const Place place = place_of_tap(reader.map, storage.taps.tap[in_page], position.y, position.x);
        if (!place.inside) {
            continue;
        }
        Comparison comparison;
    pairs:
        for (std::uint32_t pair = 0; pair < reader.place_words; ++pair) {
#pragma HLS PIPELINE II=1
            std::uint64_t word = 0;
            const Outcome read = read_pair(maps, run, reader, place, 0, pair, storage.line_buffer, word);
            if (failed(read)) {
                return read;
            }
            words[pair] =
                layer.input_coding == Coding::BINARY ? larger_pair(words[pair], word, comparison) : words[pair] | word;
        }
        cycles.compute += reader.place_words;
    }
    return SUCCESS;
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
    ReadPort program, ReadPort maps, WritePort results, Run& run, const Header& header, const Layer& layer,
    std::uint32_t image, std::uint32_t block, std::uint32_t y, CoreStorage& storage, GroupCycles& cycles)
{
    OutputBurst& burst = storage.output;
    begin_output_row(run, layer.output, image, block, y, burst);
    Outcome outcome = load_rows_in_reach(maps, run, storage.reader[0], y, storage.line_buffer);
places:
    for (std::uint32_t x = 0; x < layer.output.width && !failed(outcome); ++x) {
        std::uint64_t words[PLACE_WORDS];
        outcome = max_place(program, maps, run, header, layer, Position{y, x}, storage, cycles, words);
        if (!failed(outcome)) {
            pack_masks(words, storage.reader[0].place_words, layer.output_coding, run, burst);
            outcome = write_if_full(results, run, burst);
        }
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
    ReadPort program, ReadPort maps, WritePort results, Run& run, const Header& header, const Layer& layer,
    std::uint32_t block, CoreStorage& storage, GroupCycles& cycles)
{
images:
    for (std::uint32_t image = 0; image < run.images; ++image) {
        begin_image(storage.reader[0], run.images, image);
    rows:
        for (std::uint32_t y = 0; y < layer.output.height; ++y) {
            const Outcome outcome =
                max_row(program, maps, results, run, header, layer, image, block, y, storage, cycles);
            if (failed(outcome)) {
                return outcome;
            }
        }
    }
    return SUCCESS;
}

inline Outcome run_max_pool_layer(
    ReadPort program, ReadPort maps, WritePort results, Run& run, const Header& header, const Layer& layer,
    const Reach reach[SOURCE_COUNT], CoreStorage& storage)
{
blocks:
    for (std::uint32_t block = 0; block < layer.output.groups; ++block) {
        GroupCycles cycles = begin_group(run);
        plan_source(layer.source[0], reach[0], layer.input_planes, 1, 0, storage.reader[0]);
        storage.reader[0].held_first = block;
        const Outcome outcome = max_images(program, maps, results, run, header, layer, block, storage, cycles);
        finish_group(run, cycles);
        if (failed(outcome)) {
            return outcome;
        }
    }
    return SUCCESS;
}

}  // namespace snn

#endif  // SNN_MAX_POOL_LAYER_HPP
