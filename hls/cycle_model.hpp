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

// A small number for each bank, bit by bit: bit b of `ones`, `twos` and `fours` belong to bank b.
struct BankNumbers {
    std::uint32_t ones;
    std::uint32_t twos;
    std::uint32_t fours;
};

// Of numbers up to 3.
inline std::uint32_t largest_number(const BankNumbers& numbers)
{
    const bool some_of_two = numbers.twos != 0;
    const std::uint32_t odd = numbers.ones & (some_of_two ? numbers.twos : numbers.ones);
    return (some_of_two ? 2 : 0) + (odd != 0 ? 1 : 0);
}

// Cycles of each bank to pop its channels of two words, two at a time: half of the number of channels, rounded up. The
// channels of bank b are the bits b of the eight bytes, which are added up like the columns of a sum.
inline BankNumbers pops_of_banks(std::uint32_t channels0, std::uint32_t channels1)
{
    const std::uint32_t sum2 = channels0 ^ channels1;
    const std::uint32_t carry2 = channels0 & channels1;
    const std::uint32_t sum4 = (sum2 ^ sum2 >> 16) & 0xffffu;
    const std::uint32_t carry4 = sum2 & sum2 >> 16;
    const std::uint32_t twos4 = (carry2 ^ carry2 >> 16 ^ carry4) & 0xffffu;
    const std::uint32_t fours4 = ((carry2 & carry2 >> 16) | (carry4 & (carry2 ^ carry2 >> 16))) & 0xffffu;
    const std::uint32_t n0 = (sum4 ^ sum4 >> 8) & 0xffu;
    const std::uint32_t carry8 = sum4 & sum4 >> 8;
    const std::uint32_t n1 = (twos4 ^ twos4 >> 8 ^ carry8) & 0xffu;
    const std::uint32_t twos8 = (twos4 & twos4 >> 8) | (carry8 & (twos4 ^ twos4 >> 8));
    const std::uint32_t n2 = (fours4 ^ fours4 >> 8 ^ twos8) & 0xffu;
    const std::uint32_t n3 = ((fours4 & fours4 >> 8) | (twos8 & (fours4 ^ fours4 >> 8))) & 0xffu;
    const std::uint32_t rounded_up = n0 & n1;
    return {n0 ^ n1, n2 ^ rounded_up, n3 | (n2 & rounded_up)};
}

inline BankNumbers sum_of_numbers(const BankNumbers& a, const BankNumbers& b)
{
    const std::uint32_t carry1 = a.ones & b.ones;
    const std::uint32_t carry2 = (a.twos & b.twos) | (carry1 & (a.twos ^ b.twos));
    return {a.ones ^ b.ones, a.twos ^ b.twos ^ carry1, a.fours ^ b.fours ^ carry2};
}

// Of numbers up to 7, what they are above `least`, or 0. Without a branch, which a processor could only guess.
inline BankNumbers excess_over(const BankNumbers& a, std::uint32_t least)
{
    const std::uint32_t one = 0u - (least & 1);
    const std::uint32_t two = 0u - (least >> 1 & 1);
    const std::uint32_t four = 0u - (least >> 2 & 1);
    const std::uint32_t borrow1 = ~a.ones & one;
    const std::uint32_t borrow2 = (~a.twos & (two | borrow1)) | (two & borrow1);
    const std::uint32_t above = ~((~a.fours & (four | borrow2)) | (four & borrow2));
    return {(a.ones ^ one) & above, (a.twos ^ two ^ borrow1) & above, (a.fours ^ four ^ borrow2) & above};
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
        const BankNumbers pops = pops_of_banks(channels0, channels1);
        const std::uint32_t banks = pops.ones | pops.twos | pops.fours;
        const std::uint32_t until_taken = largest_number({ahead_.ones & banks, ahead_.twos & banks, 0});
        // At most 3 remain: who has taken this pair was through with those before, the others wait no longer than they.
        ahead_ = excess_over(sum_of_numbers(ahead_, pops), until_taken + 1);
        offered_ += until_taken + 1;
    }

    std::uint32_t popping() const
    {
        const std::uint32_t last = offered_ + largest_number(ahead_);
        return last == 0 ? 1 : last;  // the end of the pass takes a cycle even where nothing spikes
    }

private:
    std::uint32_t taps_ = 0;
    std::uint32_t words_ = 0;    // pairs of them, without the taps outside the map
    std::uint32_t offered_ = 0;  // when the next pair of words can be taken
    BankNumbers ahead_ = {};     // how long from then on each bank is still busy
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
