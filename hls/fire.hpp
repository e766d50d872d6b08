// The neurons of one place and output group: currents in, spikes or logits out.
#ifndef SNN_FIRE_HPP
#define SNN_FIRE_HPP

#include <cstdint>

#include "accumulate.hpp"
#include "program.hpp"
#include "snn_layout.hpp"

namespace snn {

struct GroupParameters {
    std::uint32_t initial[LANES];
    std::uint32_t bias[LANES];
    std::uint32_t threshold[LANES];
    std::uint32_t shortcut[LANES];
};

struct Neurons {
    LaneSums potential;
    LaneSums total;                       // of the currents, where they are summed before they are used
    LaneSums spike_count;                 // of the timesteps so far
    std::uint32_t spikes[MAX_TIMESTEPS];  // mask of the lanes that fired
};

inline std::int32_t as_signed(std::uint32_t value) { return static_cast<std::int32_t>(value); }

inline void reset_neurons(const GroupParameters& parameters, Neurons& neurons)
{
lanes:
    for (std::uint32_t lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
        neurons.potential.lane[lane] = parameters.initial[lane];
        neurons.total.lane[lane] = 0;
        neurons.spike_count.lane[lane] = 0;
    }
}

// The current of one plane: weighted sum, fraction bits, and the identity shortcut's spikes.
inline void plane_current(
    const LaneSums& sums, std::uint32_t fraction_bits, std::uint32_t shortcut_mask, const GroupParameters& parameters,
    LaneSums& current)
{
lanes:
    for (std::uint32_t lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
        const std::uint32_t shortcut_spikes = (shortcut_mask >> lane) & 1;
        current.lane[lane] = (sums.lane[lane] << fraction_bits) + shortcut_spikes * parameters.shortcut[lane];
    }
}

inline void integrate_total(const LaneSums& current, std::uint32_t weight_of_total, LaneSums& total)
{
lanes:
    for (std::uint32_t lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
        total.lane[lane] = weight_of_total * total.lane[lane] + current.lane[lane];
    }
}

// Fires every lane whose potential has reached its threshold; `hard_reset` and soft reset differ in what remains.
inline std::uint32_t fire(bool hard_reset, const GroupParameters& parameters, Neurons& neurons)
{
    std::uint32_t fired[LANES];
lanes:
    for (std::uint32_t lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
        const std::uint32_t potential = neurons.potential.lane[lane];
        const std::uint32_t threshold = parameters.threshold[lane];
        const std::uint32_t after_spike = hard_reset ? 0 : potential - threshold;
        const bool spike = as_signed(potential) >= as_signed(threshold);
        neurons.potential.lane[lane] = spike ? after_spike : potential;
        neurons.spike_count.lane[lane] += spike ? 1 : 0;
        fired[lane] = spike ? 1 : 0;
    }
    std::uint32_t mask = 0;
pack:
    for (std::uint32_t lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
        mask |= fired[lane] << lane;
    }
    return mask;
}

inline std::uint32_t leaked(std::uint32_t potential, std::uint32_t leak_shift)
{
    return leak_shift == 0 ? 0 : static_cast<std::uint32_t>(as_signed(potential) >> leak_shift);
}

inline std::uint32_t step_neurons(
    const Layer& layer, const GroupParameters& parameters, const LaneSums& current, Neurons& neurons)
{
lanes:
    for (std::uint32_t lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
        const std::uint32_t potential = neurons.potential.lane[lane];
        neurons.potential.lane[lane] =
            potential - leaked(potential, layer.leak_shift) + current.lane[lane] + parameters.bias[lane];
    }
    return fire(layer.hard_reset, parameters, neurons);
}

inline bool fires_while_planes_arrive(const Layer& layer)
{
    return layer.firing == Firing::STEPWISE && layer.input_coding == Coding::TIMESTEPS;
}

// Takes the current of one plane in, in the order of the planes.
inline void take_plane(
    const Layer& layer, const GroupParameters& parameters, std::uint32_t plane, const LaneSums& current, Neurons& neurons)
{
    if (fires_while_planes_arrive(layer)) {
        neurons.spikes[plane] = step_neurons(layer, parameters, current, neurons);
    } else {
        integrate_total(current, layer.input_coding == Coding::BINARY ? 2 : 1, neurons.total);
    }
}

inline void add_total_to_potential(Neurons& neurons)
{
lanes:
    for (std::uint32_t lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
        neurons.potential.lane[lane] += neurons.total.lane[lane];
    }
}

// What remains to be done when all planes have arrived.
inline void finish_neurons(const Layer& layer, const GroupParameters& parameters, Neurons& neurons)
{
    if (fires_while_planes_arrive(layer)) {
        return;
    }
    if (layer.firing == Firing::STEPWISE) {
    direct_coding:
        for (std::uint32_t t = 0; t < layer.timesteps; ++t) {
            neurons.spikes[t] = step_neurons(layer, parameters, neurons.total, neurons);
        }
        return;
    }
    add_total_to_potential(neurons);
    if (layer.firing == Firing::DEFERRED) {
    deferred:
        for (std::uint32_t t = 0; t < layer.timesteps; ++t) {
            neurons.spikes[t] = fire(layer.hard_reset, parameters, neurons);
        }
    }
}

inline std::uint32_t output_plane_mask(const Layer& layer, const Neurons& neurons, std::uint32_t plane)
{
    if (layer.output_coding == Coding::TIMESTEPS) {
        return plane < layer.timesteps ? neurons.spikes[plane] : 0;
    }
    const std::uint32_t bit = layer.output_planes - 1 - plane;
    std::uint32_t mask = 0;
pack_counts:
    for (std::uint32_t lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
        mask |= ((neurons.spike_count.lane[lane] >> bit) & 1) << lane;
    }
    return mask;
}

// Writes the place into the output row; returns the number of words.
inline std::uint32_t pack_place(const Layer& layer, const Neurons& neurons, std::uint64_t* words)
{
    if (is_readout(layer)) {
    logits:
        for (std::uint32_t i = 0; i < LANES / 2; ++i) {
            words[i] = neurons.potential.lane[2 * i] | std::uint64_t{neurons.potential.lane[2 * i + 1]} << 32;
        }
        return LANES / 2;
    }
pairs:
    for (std::uint32_t pair = 0; pair < layer.output_planes / 2; ++pair) {
        const std::uint64_t later = output_plane_mask(layer, neurons, 2 * pair + 1);
        words[pair] = output_plane_mask(layer, neurons, 2 * pair) | later << 32;
    }
    return layer.output_planes / 2;
}

// Spikes that existing channels fired.
inline std::uint32_t spikes_fired(const Layer& layer, const Neurons& neurons, std::uint32_t lanes)
{
    std::uint32_t spikes = 0;
    if (!is_readout(layer)) {
    lanes:
        for (std::uint32_t lane = 0; lane < lanes; ++lane) {
            spikes += neurons.spike_count.lane[lane];
        }
    }
    return spikes;
}

}  // namespace snn

#endif  // SNN_FIRE_HPP
