// Max pooling of spikes: the OR of the masks at the taps.
#ifndef SNN_OR_LAYER_HPP
#define SNN_OR_LAYER_HPP

#include <cstdint>

#include "bits.hpp"
#include "core_storage.hpp"
#include "cycle_model.hpp"
#include "gather_layer.hpp"
#include "line_buffer.hpp"
#include "output_burst.hpp"
#include "tap_memory.hpp"

namespace snn {

inline Outcome or_place(
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
    pairs:
        for (std::uint32_t pair = 0; pair < reader.place_words; ++pair) {
#pragma HLS PIPELINE II=1
            std::uint64_t word = 0;
            const Outcome read = read_pair(maps, run, reader, place, 0, pair, storage.line_buffer, word);
            if (failed(read)) {
                return read;
            }
            words[pair] |= word;
        }
        cycles.compute += reader.place_words;
    }
    return SUCCESS;
}

// Adds a finished place to the burst and to the counter.
inline void pack_masks(const std::uint64_t words[PLACE_WORDS], std::uint32_t count, Run& run, OutputBurst& burst)
{
pack:
    for (std::uint32_t i = 0; i < count; ++i) {
#pragma HLS PIPELINE II=1
        burst.word[burst.count + i] = words[i];
        run.counters.spikes += count_ones(words[i]);
    }
    burst.count += count;
}

inline Outcome or_row(
    ReadPort program, ReadPort maps, WritePort results, Run& run, const Header& header, const Layer& layer,
    std::uint32_t image, std::uint32_t block, std::uint32_t y, CoreStorage& storage, GroupCycles& cycles)
{
    OutputBurst& burst = storage.output;
    begin_output_row(run, layer.output, image, block, y, burst);
    Outcome outcome = load_rows_in_reach(maps, run, storage.reader[0], y, storage.line_buffer);
places:
    for (std::uint32_t x = 0; x < layer.output.width && !failed(outcome); ++x) {
        std::uint64_t words[PLACE_WORDS];
        outcome = or_place(program, maps, run, header, layer, Position{y, x}, storage, cycles, words);
        if (!failed(outcome)) {
            pack_masks(words, storage.reader[0].place_words, run, burst);
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

inline Outcome or_images(
    ReadPort program, ReadPort maps, WritePort results, Run& run, const Header& header, const Layer& layer,
    std::uint32_t block, CoreStorage& storage, GroupCycles& cycles)
{
images:
    for (std::uint32_t image = 0; image < run.images; ++image) {
        begin_image(storage.reader[0], run.images, image);
    rows:
        for (std::uint32_t y = 0; y < layer.output.height; ++y) {
            const Outcome outcome =
                or_row(program, maps, results, run, header, layer, image, block, y, storage, cycles);
            if (failed(outcome)) {
                return outcome;
            }
        }
    }
    return SUCCESS;
}

inline Outcome run_or_layer(
    ReadPort program, ReadPort maps, WritePort results, Run& run, const Header& header, const Layer& layer,
    const Reach reach[SOURCE_COUNT], CoreStorage& storage)
{
blocks:
    for (std::uint32_t block = 0; block < layer.output.groups; ++block) {
        GroupCycles cycles = begin_group(run);
        plan_source(layer.source[0], reach[0], layer.input_planes, 1, 0, storage.reader[0]);
        storage.reader[0].held_first = block;
        const Outcome outcome = or_images(program, maps, results, run, header, layer, block, storage, cycles);
        finish_group(run, cycles);
        if (failed(outcome)) {
            return outcome;
        }
    }
    return SUCCESS;
}

}  // namespace snn

#endif  // SNN_OR_LAYER_HPP
