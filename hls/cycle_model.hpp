// Estimate of the cycles that the accelerator of overlays/rtl needs, from the work that this model does.
//
// The model, all of it:
// * Looking. A cycle looks at one tap, and in it at two words (two planes of 32 channels each) of neighbouring blocks.
// * Popping. 8 weight banks (input channel modulo 8) take the spikes out of a pair of words, two channels in a cycle from
//   each bank. A channel that spikes in either plane costs one pop, because the row that is read serves both planes. A bank
//   that is through goes on with the next pair, one pair apart from the slowest at most, within a pair of planes of a
//   place. A pair of words without spikes is skipped.
// * Firing. Deferred: a cycle, and one for each timestep. Stepwise: three for each timestep; with a leak five, and as many
//   as the shift. Readout: a cycle, and one for each word of the logits. It goes on while the next place is popped, or the
//   next pair of planes under stepwise firing; the longer of the two counts.
// * Max pooling. Two cycles for each word, one for each word of the result, and one.
// * Memory. Weights, maps and results share a bus of BUS_BYTES_PER_CYCLE that REFRESH_PERCENT takes away from, and move
//   while the core computes: an output group takes the longest of looking, popping with firing, and the bus. What the bus
//   takes beyond computing is the stall. A layer begins with the latency of its first words.
// What it leaves out: how looking, popping and moving wait for each other within a group, and weights of the next layer
// that arrive early. docs/hardware.md says how far it is from the RTL.
#ifndef SNN_CYCLE_MODEL_HPP
#define SNN_CYCLE_MODEL_HPP

#include <cstdint>

#include "bits.hpp"
#include "fenced_access.hpp"
#include "program.hpp"

namespace snn {

constexpr std::uint32_t WEIGHT_BANKS = 8;
constexpr std::uint32_t BANK_PORTS = 2;
constexpr std::uint32_t BUS_BYTES_PER_CYCLE = 14;
constexpr std::uint32_t REFRESH_PERCENT = 2;
constexpr std::uint32_t LAYER_START_CYCLES = 140;

// Cycles of an output group in the making.
struct GroupCycles {
    std::uint64_t looking;
    std::uint64_t working;       // popping and firing, or pooling
    std::uint64_t bytes_before;  // bytes that the layer had moved when the group began
};

inline std::uint64_t bus_cycles(std::uint64_t bytes)
{
    const std::uint64_t divisor = BUS_BYTES_PER_CYCLE * (100 - REFRESH_PERCENT);
    return (bytes * 100 + divisor - 1) / divisor;
}

constexpr std::uint64_t LOW_BITS = 0x0101010101010101ull;
constexpr std::uint64_t BIT_OF_BYTE = 0x8040201008040201ull;  // bit k of byte k

// The 8 bits of a byte, each in a byte of its own.
inline std::uint64_t spread_bits(std::uint32_t byte)
{
    const std::uint64_t picked = (byte & 0xffu) * LOW_BITS & BIT_OF_BYTE;
    return (picked + 0x7f7f7f7f7f7f7f7full) >> 7 & LOW_BITS;
}

// One pair of planes of one place, looked at and popped.
class PassCycles {
public:
    // Looks at a tap, and at so many blocks of its place.
    void look(std::uint32_t blocks)
    {
        ++taps_;
        words_ += (blocks + 1) / 2;
    }

    std::uint32_t looking() const { return words_ > taps_ ? words_ : taps_; }

    // Takes a pair of words, at least one of them not empty.
    void pop(std::uint64_t first, std::uint64_t second)
    {
        const std::uint32_t channels0 = earlier_plane(first) | later_plane(first);
        const std::uint32_t channels1 = earlier_plane(second) | later_plane(second);
        std::uint64_t spikes = 0;  // of each bank, in a byte
    bytes:
        for (unsigned shift = 0; shift < BLOCK_CHANNELS; shift += WEIGHT_BANKS) {
#pragma HLS UNROLL
            spikes += spread_bits(channels0 >> shift) + spread_bits(channels1 >> shift);
        }
        std::uint32_t all_taken = offered_;
    banks:
        for (std::uint32_t bank = 0; bank < WEIGHT_BANKS; ++bank) {
#pragma HLS UNROLL
            const std::uint32_t of_bank = static_cast<std::uint32_t>(spikes >> (8 * bank)) & 0xffu;
            const std::uint32_t taken = of_bank != 0 && busy_until_[bank] > offered_ ? busy_until_[bank] : offered_;
            busy_until_[bank] = of_bank != 0 ? taken + (of_bank + BANK_PORTS - 1) / BANK_PORTS : busy_until_[bank];
            all_taken = taken > all_taken ? taken : all_taken;
        }
        offered_ = all_taken + 1;
    }

    std::uint32_t popping() const
    {
        std::uint32_t last = offered_ == 0 ? 1 : offered_;  // its end takes a cycle even where nothing spikes
    banks:
        for (std::uint32_t bank = 0; bank < WEIGHT_BANKS; ++bank) {
#pragma HLS UNROLL
            last = busy_until_[bank] > last ? busy_until_[bank] : last;
        }
        return last;
    }

private:
    std::uint32_t taps_ = 0;
    std::uint32_t words_ = 0;                      // pairs of them, without the taps outside the map
    std::uint32_t offered_ = 0;                    // when the next pair of words can be taken
    std::uint32_t busy_until_[WEIGHT_BANKS] = {};  // the cycle of its last pop
};

// Cycles of the neurons for so many timesteps.
inline std::uint32_t stepwise_cycles(const Layer& layer, std::uint32_t timesteps)
{
    return timesteps * (layer.leak_shift == 0 ? 3 : 5 + layer.leak_shift);
}

inline std::uint32_t firing_cycles(const Layer& layer)
{
    if (layer.firing == Firing::STEPWISE) {
        return stepwise_cycles(layer, layer.timesteps);
    }
    return 1 + (is_readout(layer) ? LANES / 2 : layer.timesteps);
}

inline std::uint32_t longer(std::uint32_t a, std::uint32_t b) { return a > b ? a : b; }

inline std::uint64_t bytes_moved(const Run& run) { return run.counters.bytes_read + run.counters.bytes_written; }

inline GroupCycles begin_group(const Run& run) { return {0, 0, bytes_moved(run)}; }

inline std::uint64_t computing_cycles(const GroupCycles& group)
{
    return group.looking > group.working ? group.looking : group.working;
}

inline std::uint64_t stall_cycles(const Run& run, const GroupCycles& group)
{
    const std::uint64_t bus = bus_cycles(bytes_moved(run) - group.bytes_before);
    const std::uint64_t computing = computing_cycles(group);
    return bus > computing ? bus - computing : 0;
}

inline void start_layer(Run& run)
{
    run.counters.cycles += LAYER_START_CYCLES;
    run.counters.stall_cycles += LAYER_START_CYCLES;
}

inline void finish_group(Run& run, const GroupCycles& group)
{
    const std::uint64_t stall = stall_cycles(run, group);
    run.counters.cycles += computing_cycles(group) + stall;
    run.counters.stall_cycles += stall;
}

inline std::uint64_t cycles_so_far(const Run& run, const GroupCycles& group)
{
    return run.finished_cycles + run.counters.cycles + computing_cycles(group) + stall_cycles(run, group);
}

inline bool watchdog_expired(const Run& run, const GroupCycles& group)
{
    return run.watchdog_cycles != 0 && cycles_so_far(run, group) > run.watchdog_cycles;
}

}  // namespace snn

#endif  // SNN_CYCLE_MODEL_HPP
