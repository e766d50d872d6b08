// Estimate of the cycles that the accelerator needs, from the work that this model does.
//
// The model, all of it:
// * Words. A word carries two planes of 32 input channels. The 8 weight banks (input channel modulo 8) pop the word's
//   spikes in lock step, two in a cycle from each bank, one for each port. A channel that spikes in either plane costs
//   one pop, because the row that is read serves both planes. So a word takes the largest ceil(pops / 2) of the banks:
//   one cycle, or two where three or four of a bank's channels spike. A word without spikes is skipped.
// * Places. After the words, one cycle for each timestep of firing and a constant for filling and draining the pipeline.
//   Writing the masks goes on behind it.
// * Memory. Weights, maps and results share a bus of BUS_BYTES_PER_CYCLE, and move while the core computes: an output
//   group takes the longer of the two, and what the bus takes beyond computing is the stall.
// * Max pooling. One word in a cycle.
// These are the numbers of a core with 512 adders; the hand-made one counts its own cycles and will differ in detail.
#ifndef SNN_CYCLE_MODEL_HPP
#define SNN_CYCLE_MODEL_HPP

#include <cstdint>

#include "bits.hpp"
#include "fenced_access.hpp"

namespace snn {

constexpr std::uint32_t WEIGHT_BANKS = 8;
constexpr std::uint32_t BANK_PORTS = 2;
constexpr std::uint32_t BUS_BYTES_PER_CYCLE = 14;
constexpr std::uint32_t PLACE_OVERHEAD_CYCLES = 6;

// Cycles of an output group in the making.
struct GroupCycles {
    std::uint64_t compute;
    std::uint64_t bytes_before;  // bytes that the layer had moved when the group began
};

inline std::uint64_t bus_cycles(std::uint64_t bytes) { return (bytes + BUS_BYTES_PER_CYCLE - 1) / BUS_BYTES_PER_CYCLE; }

// 1 where some bank has more spikes than ports, for a mask of the channels that spike in either plane. The channels of
// bank k are the bits k of the four bytes: three of four are set when both of one pair are and one of the other.
inline std::uint32_t second_cycle(std::uint32_t channels)
{
    const std::uint32_t both = channels & (channels >> 16);
    const std::uint32_t either = channels | (channels >> 16);
    const std::uint32_t three = ((both & (either >> 8)) | ((both >> 8) & either)) & 0xffu;
    return three != 0 ? 1 : 0;
}

// Cycles to pop `count` words, none of them empty.
inline std::uint32_t pop_cycles(const std::uint64_t* words, std::uint32_t count)
{
    std::uint32_t cycles = count;
model:
    for (std::uint32_t i = 0; i < count; ++i) {
        cycles += second_cycle(earlier_plane(words[i]) | later_plane(words[i]));
    }
    return cycles;
}

inline std::uint64_t bytes_moved(const Run& run) { return run.counters.bytes_read + run.counters.bytes_written; }

inline GroupCycles begin_group(const Run& run) { return {0, bytes_moved(run)}; }

inline std::uint64_t group_bus_cycles(const Run& run, const GroupCycles& group)
{
    return bus_cycles(bytes_moved(run) - group.bytes_before);
}

inline void finish_group(Run& run, const GroupCycles& group)
{
    const std::uint64_t bus = group_bus_cycles(run, group);
    const std::uint64_t stall = bus > group.compute ? bus - group.compute : 0;
    run.counters.cycles += group.compute + stall;
    run.counters.stall_cycles += stall;
}

inline std::uint64_t cycles_so_far(const Run& run, const GroupCycles& group)
{
    const std::uint64_t bus = group_bus_cycles(run, group);
    const std::uint64_t longer = bus > group.compute ? bus : group.compute;
    return run.finished_cycles + run.counters.cycles + longer;
}

inline bool watchdog_expired(const Run& run, const GroupCycles& group)
{
    return run.watchdog_cycles != 0 && cycles_so_far(run, group) > run.watchdog_cycles;
}

}  // namespace snn

#endif  // SNN_CYCLE_MODEL_HPP
