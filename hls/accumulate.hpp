// Spikes to sums: pop the set bits of gathered words, read a weight row for each, add the rows into the accumulators.
#ifndef SNN_ACCUMULATE_HPP
#define SNN_ACCUMULATE_HPP

#include <cstdint>

#include "bits.hpp"
#include "cycle_model.hpp"
#include "memory_port.hpp"
#include "snn_layout.hpp"

// Synthesis pops all banks at once, as many spikes in a cycle as there are ports. A processor does better by listing the
// spikes first and adding rows in a tight loop. Both do the same additions; the C simulation runs both.
#if defined(__SYNTHESIS__) && !defined(SNN_BANKED_POPS)
#define SNN_BANKED_POPS
#endif

// Where the compiler and the C library can choose between versions of a function at load time, the adder loop is also
// built for wider vectors.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__) && !defined(SNN_ONE_VERSION)
#define SNN_VECTOR_VERSIONS __attribute__((target_clones("arch=haswell", "default")))
#else
#define SNN_VECTOR_VERSIONS
#endif

namespace snn {

constexpr std::uint32_t WEIGHT_ROWS = MAX_WEIGHT_BLOCKS * BLOCK_CHANNELS;
constexpr std::uint32_t GATHERED_WORDS = 512;
constexpr unsigned PLANES_OF_PAIR = 2;

// Words with spikes, and the weight row of each word's channel 0. Structure of arrays: the cycle model runs over `word`.
struct GatheredWords {
    std::uint64_t word[GATHERED_WORDS];
    std::uint16_t first_row[GATHERED_WORDS];
    std::uint32_t count;
};

// Unsigned because int32 arithmetic of the contract wraps, and that of C++ does not.
struct LaneSums {
    std::uint32_t lane[LANES];
};

struct PairSums {
    LaneSums plane[PLANES_OF_PAIR];
};

inline std::uint32_t count_spikes(const GatheredWords& words)
{
    std::uint32_t spikes = 0;
count_spikes:
    for (std::uint32_t i = 0; i < words.count; ++i) {
        spikes += count_ones(words.word[i]);
    }
    return spikes;
}

#ifdef SNN_BANKED_POPS

// What one cycle takes from a word: up to WEIGHT_BANKS * BANK_PORTS spikes, each bank giving its lowest ones.
inline std::uint32_t pop_all_banks(
    std::uint64_t word, std::uint32_t pending, const WeightRow* rows, PairSums& sums)
{
#pragma HLS INLINE
banks:
    for (std::uint32_t bank = 0; bank < WEIGHT_BANKS; ++bank) {
#pragma HLS UNROLL
    ports:
        for (std::uint32_t port = 0; port < BANK_PORTS; ++port) {
#pragma HLS UNROLL
            const std::uint32_t of_bank = pending & (0x01010101u << bank);
            const std::uint32_t spike = of_bank & (0u - of_bank);
            const WeightRow& row = rows[spike != 0 ? find_first_set(spike) : bank];
            const bool earlier = (earlier_plane(word) & spike) != 0;
            const bool later = (later_plane(word) & spike) != 0;
        lanes:
            for (std::uint32_t lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
                const std::uint32_t weight = static_cast<std::uint32_t>(std::int32_t{row.lane[lane]});
                sums.plane[0].lane[lane] += earlier ? weight : 0;
                sums.plane[1].lane[lane] += later ? weight : 0;
            }
            pending &= ~spike;
        }
    }
    return pending;
}

// One iteration is one cycle: a new word is taken in the very iteration that pops its first spikes.
inline void add_rows_of_spikes(const GatheredWords& words, const WeightRow* weights, PairSums& sums)
{
    std::uint32_t next = 0;
    std::uint32_t pending = 0;
    std::uint64_t word = 0;
    const WeightRow* rows = weights;
pop:
    while (next < words.count || pending != 0) {
#pragma HLS PIPELINE II=1
        if (pending == 0) {
            word = words.word[next];
            rows = weights + words.first_row[next];
            pending = earlier_plane(word) | later_plane(word);
            ++next;
        }
        pending = pop_all_banks(word, pending, rows, sums);
    }
}

#else

// Rows whose weights are added before the partial sum is widened: 256 * -128 and 256 * 127 both fit 16 bits.
constexpr std::uint32_t ROWS_OF_PARTIAL_SUM = 256;

struct RowList {
    std::uint16_t row[ROWS_OF_PARTIAL_SUM + BLOCK_CHANNELS];
    std::uint32_t count;
};

inline void add_listed_rows(RowList& list, const WeightRow* weights, LaneSums& sums)
{
    std::int16_t partial[LANES] = {};
    std::uint32_t i = 0;
    for (; i + 4 <= list.count; i += 4) {
        const WeightRow& a = weights[list.row[i]];
        const WeightRow& b = weights[list.row[i + 1]];
        const WeightRow& c = weights[list.row[i + 2]];
        const WeightRow& d = weights[list.row[i + 3]];
        for (std::uint32_t lane = 0; lane < LANES; ++lane) {
            partial[lane] = static_cast<std::int16_t>(
                partial[lane] + a.lane[lane] + b.lane[lane] + c.lane[lane] + d.lane[lane]);
        }
    }
    for (; i < list.count; ++i) {
        const WeightRow& a = weights[list.row[i]];
        for (std::uint32_t lane = 0; lane < LANES; ++lane) {
            partial[lane] = static_cast<std::int16_t>(partial[lane] + a.lane[lane]);
        }
    }
    for (std::uint32_t lane = 0; lane < LANES; ++lane) {
        sums.lane[lane] += static_cast<std::uint32_t>(std::int32_t{partial[lane]});
    }
    list.count = 0;
}

inline void list_spikes(std::uint32_t mask, std::uint32_t first_row, RowList& list)
{
    std::uint32_t count = list.count;
    while (mask != 0) {
        list.row[count] = static_cast<std::uint16_t>(first_row + find_first_set(mask));
        mask &= mask - 1;
        ++count;
    }
    list.count = count;
}

SNN_VECTOR_VERSIONS inline void add_rows_of_spikes(
    const GatheredWords& words, const WeightRow* weights, PairSums& sums)
{
    RowList earlier;
    RowList later;
    earlier.count = 0;
    later.count = 0;
    for (std::uint32_t i = 0; i < words.count; ++i) {
        list_spikes(earlier_plane(words.word[i]), words.first_row[i], earlier);
        list_spikes(later_plane(words.word[i]), words.first_row[i], later);
        if (earlier.count + BLOCK_CHANNELS > ROWS_OF_PARTIAL_SUM) {
            add_listed_rows(earlier, weights, sums.plane[0]);
        }
        if (later.count + BLOCK_CHANNELS > ROWS_OF_PARTIAL_SUM) {
            add_listed_rows(later, weights, sums.plane[1]);
        }
    }
    add_listed_rows(earlier, weights, sums.plane[0]);
    add_listed_rows(later, weights, sums.plane[1]);
}

#endif  // SNN_BANKED_POPS

}  // namespace snn

#endif  // SNN_ACCUMULATE_HPP
