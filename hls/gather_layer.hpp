// A layer of neurons: for each output group and place, sum the weight rows that the spikes at the taps pick, then fire.
#ifndef SNN_GATHER_LAYER_HPP
#define SNN_GATHER_LAYER_HPP

#include <cstdint>

#include "accumulate.hpp"
#include "core_storage.hpp"
#include "cycle_model.hpp"
#include "fire.hpp"
#include "line_buffer.hpp"
#include "program.hpp"
#include "tap_memory.hpp"

namespace snn {

struct Position {
    std::uint32_t y;
    std::uint32_t x;
};

inline void unpack_parameters(const std::uint64_t* words, std::uint32_t* lanes)
{
unpack:
    for (std::uint32_t i = 0; i < LANES / 2; ++i) {
#pragma HLS PIPELINE II=1
        lanes[2 * i] = static_cast<std::uint32_t>(words[i]);
        lanes[2 * i + 1] = static_cast<std::uint32_t>(words[i] >> 32);
    }
}

inline Outcome load_group(
    ReadPort program, Run& run, const Layer& layer, std::uint32_t group, GroupParameters& parameters,
    WeightRow weights[WEIGHT_ROWS])
{
    constexpr std::uint32_t VECTOR_WORDS = PARAMETER_BYTES / WORD_BYTES;
    const std::uint64_t offset = layer.weight_offset + std::uint64_t{group_bytes(layer)} * group;
    std::uint64_t words[PARAMETER_COUNT * VECTOR_WORDS];
    const Outcome outcome =
        fenced_read_words(program, run, Region::PROGRAM, offset, words, PARAMETER_COUNT * VECTOR_WORDS);
    if (failed(outcome)) {
        return outcome;
    }
    unpack_parameters(words + PARAMETER_INITIAL * VECTOR_WORDS, parameters.initial);
    unpack_parameters(words + PARAMETER_BIAS * VECTOR_WORDS, parameters.bias);
    unpack_parameters(words + PARAMETER_THRESHOLD * VECTOR_WORDS, parameters.threshold);
    unpack_parameters(words + PARAMETER_SHORTCUT * VECTOR_WORDS, parameters.shortcut);
    return fenced_read_rows(
        program, run, Region::PROGRAM, offset + GROUP_HEADER_BYTES, weights, layer.weight_blocks * BLOCK_CHANNELS);
}

// Planes that carry a current: all bits of a number, but only the T planes of a spike train.
inline std::uint32_t current_planes(const Layer& layer)
{
    return layer.input_coding == Coding::BINARY ? layer.input_planes : layer.timesteps;
}

// Appends the words with spikes of one tap. The caller has made room for all blocks of the source.
inline void gather_tap(
    const SourceReader& reader, const Tap& tap, const Position& position, std::uint32_t pair,
    const std::uint64_t line_buffer[LINE_BUFFER_WORDS], GatheredWords& gathered, PassCycles& cycles)
{
    const Place place = place_of_tap(reader.map, tap, position.y, position.x);
    cycles.look(place.inside ? reader.map.blocks : 0);
    if (!place.inside) {
        return;
    }
    std::uint32_t count = gathered.count;
    std::uint64_t neighbour = 0;  // of an odd block
blocks:
    for (std::uint32_t block = 0; block < reader.map.blocks; ++block) {
#pragma HLS PIPELINE II=1
        const std::uint64_t word = read_pair(reader, place, block, pair, line_buffer);
        gathered.word[count] = word;
        gathered.first_row[count] = static_cast<std::uint16_t>((tap.weight_block + block) * BLOCK_CHANNELS);
        count += word != 0 ? 1 : 0;
        const bool alone = block % 2 == 0 && block + 1 < reader.map.blocks;
        if (!alone && (word | neighbour) != 0) {
            cycles.pop(neighbour, word);
        }
        neighbour = alone ? word : 0;
    }
    gathered.count = count;
}

inline bool has_room(const GatheredWords& gathered)
{
    return gathered.count + MAX_CHANNELS / BLOCK_CHANNELS <= GATHERED_WORDS;
}

// Gathers from tap `next_tap` on until the queue might not hold another tap, or no tap is left.
inline void gather_words(
    const Layer& layer, const Position& position, std::uint32_t pair, std::uint32_t& next_tap,
    const CoreStorage& storage, GatheredWords& gathered, PassCycles& cycles)
{
    gathered.count = 0;
taps:
    while (next_tap < layer.tap_count && has_room(gathered)) {
        const Tap& tap = storage.taps.tap[next_tap];
        gather_tap(storage.reader[tap.source], tap, position, pair, storage.line_buffer, gathered, cycles);
        ++next_tap;
    }
}

// Two processes with the queue between them. Returns the number of spikes.
inline std::uint32_t sum_queue(
    const Layer& layer, const Position& position, std::uint32_t pair, std::uint32_t& next_tap,
    const CoreStorage& storage, PairSums& sums, PassCycles& cycles)
{
#pragma HLS DATAFLOW
    GatheredWords gathered;
    gather_words(layer, position, pair, next_tap, storage, gathered, cycles);
    return add_rows_of_spikes(gathered, storage.weights, sums);
}

// Sums all taps of one place for one pair of planes.
inline PassCycles sum_pair(
    Run& run, const Layer& layer, const Position& position, std::uint32_t pair, std::uint32_t lanes,
    const CoreStorage& storage, PairSums& sums)
{
    sums = PairSums{};
    PassCycles cycles;
    std::uint32_t next_tap = 0;
queues:
    while (next_tap < layer.tap_count) {
        const std::uint32_t spikes = sum_queue(layer, position, pair, next_tap, storage, sums, cycles);
        run.counters.additions += std::uint64_t{spikes} * lanes;
    }
    return cycles;
}

// The identity shortcut's spikes of one pair of planes, at the output's own place.
inline std::uint64_t read_shortcut(
    Run& run, const Layer& layer, const Position& position, std::uint32_t pair, const CoreStorage& storage)
{
    if (!layer.shortcut) {
        return 0;
    }
    const Place place = {true, position.y, position.x};
    const std::uint64_t word = read_pair(storage.reader[1], place, 0, pair, storage.line_buffer);
    run.counters.additions += count_ones(word);
    return word;
}

inline std::uint32_t planes_in_pair(std::uint32_t planes, std::uint32_t pair)
{
    return 2 * pair + 1 < planes ? 2 : 1;
}

inline void compute_place(
    Run& run, const Layer& layer, const Position& position, std::uint32_t lanes, const CoreStorage& storage,
    GroupCycles& cycles, Neurons& neurons)
{
    const GroupParameters& parameters = storage.parameters;
    const std::uint32_t planes = current_planes(layer);
    std::uint32_t popping = 0;
    reset_neurons(parameters, neurons);
pairs:
    for (std::uint32_t pair = 0; 2 * pair < planes; ++pair) {
        PairSums sums;
#pragma HLS ARRAY_PARTITION variable=sums type=complete dim=0
        const PassCycles pass = sum_pair(run, layer, position, pair, lanes, storage, sums);
        cycles.looking += pass.looking();
        if (fires_while_planes_arrive(layer)) {
            cycles.working += longer(pass.popping(), stepwise_cycles(layer, planes_in_pair(planes, pair)));
        } else {
            popping += pass.popping();
        }
        const std::uint64_t shortcut = read_shortcut(run, layer, position, pair, storage);
    planes_of_pair:
        for (std::uint32_t i = 0; i < PLANES_OF_PAIR && 2 * pair + i < planes; ++i) {
#pragma HLS PIPELINE
            LaneSums current;
            const std::uint32_t shortcut_mask = i == 0 ? earlier_plane(shortcut) : later_plane(shortcut);
            plane_current(sums.plane[i], layer.fraction_bits, shortcut_mask, parameters, current);
            take_plane(layer, parameters, 2 * pair + i, current, neurons);
        }
    }
    finish_neurons(layer, parameters, neurons);
    run.counters.spikes += spikes_fired(layer, neurons, lanes);
    if (!fires_while_planes_arrive(layer)) {
        cycles.working += longer(popping, firing_cycles(layer));
    }
}

inline Outcome check_stop(ReadPort memory, const Run& run, const GroupCycles& cycles)
{
    if (abort_requested(memory)) {
        return {ErrorCode::ABORTED, run.layer << 16};
    }
    return watchdog_expired(run, cycles) ? Outcome{ErrorCode::WATCHDOG, run.layer << 16} : SUCCESS;
}

inline Outcome load_sources(ReadPort maps, Run& run, std::uint32_t y, CoreStorage& storage)
{
sources:
    for (unsigned i = 0; i < SOURCE_COUNT; ++i) {
        const Outcome outcome = load_rows_in_reach(maps, run, storage.reader[i], y, storage.line_buffer);
        if (failed(outcome)) {
            return outcome;
        }
    }
    return SUCCESS;
}

inline Outcome compute_row(
    ReadPort maps, WritePort results, Run& run, const Layer& layer, std::uint32_t image, std::uint32_t group,
    std::uint32_t y, CoreStorage& storage, GroupCycles& cycles)
{
    const std::uint32_t lanes = existing_lanes(layer.output, group);
    OutputBurst& burst = storage.output;
    begin_output_row(run, layer.output, image, group, y, burst);
    Outcome outcome = load_sources(maps, run, y, storage);
places:
    for (std::uint32_t x = 0; x < layer.output.width && !failed(outcome); ++x) {
        Neurons neurons;
#pragma HLS ARRAY_PARTITION variable=neurons type=complete dim=0
        compute_place(run, layer, Position{y, x}, lanes, storage, cycles, neurons);
        burst.count += pack_place(layer, neurons, burst.word + burst.count);
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

inline void plan_sources(
    const Layer& layer, const Reach reach[SOURCE_COUNT], std::uint32_t group, SourceReader reader[SOURCE_COUNT])
{
    plan_source(layer, 0, reach[0], 0, 0, reader[0]);
    const std::uint32_t base = words_needed(layer, 0, reach[0]);
    plan_source(layer, 1, reach[1], layer.shortcut ? group : 0, base, reader[1]);
    if (layer.shortcut) {
        reader[1].map.stride_y = 1;
        reader[1].map.stride_x = 1;
    }
}

inline Outcome run_images(
    ReadPort maps, WritePort results, Run& run, const Layer& layer, std::uint32_t group, CoreStorage& storage,
    GroupCycles& cycles)
{
images:
    for (std::uint32_t image = 0; image < run.images; ++image) {
        begin_image(storage.reader[0], run.images, image);
        begin_image(storage.reader[1], run.images, image);
    rows:
        for (std::uint32_t y = 0; y < layer.output.height; ++y) {
            const Outcome outcome = compute_row(maps, results, run, layer, image, group, y, storage, cycles);
            if (failed(outcome)) {
                return outcome;
            }
        }
    }
    return SUCCESS;
}

// The weights of a group are fetched once for all images of the batch.
inline Outcome run_gather_layer(
    ReadPort program, ReadPort maps, WritePort results, Run& run, const Layer& layer,
    const Reach reach[SOURCE_COUNT], CoreStorage& storage)
{
groups:
    for (std::uint32_t group = 0; group < layer.output.groups; ++group) {
        GroupCycles cycles = begin_group(run);
        Outcome outcome = load_group(program, run, layer, group, storage.parameters, storage.weights);
        if (!failed(outcome)) {
            plan_sources(layer, reach, group, storage.reader);
            outcome = run_images(maps, results, run, layer, group, storage, cycles);
        }
        finish_group(run, cycles);
        if (failed(outcome)) {
            return outcome;
        }
    }
    return SUCCESS;
}

}  // namespace snn

#endif  // SNN_GATHER_LAYER_HPP
