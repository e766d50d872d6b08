// Spikes to sums: pop the set bits of gathered words, read a weight row for each, add the rows into the accumulators.
#ifndef SNN_ACCUMULATE_HPP
#define SNN_ACCUMULATE_HPP

#include <cstdint>
#include <cstring>

#include "bits.hpp"
#include "cycle_model.hpp"
#include "memory_port.hpp"
#include "snn_layout.hpp"

// Synthesis pops all banks at once, as many spikes in a cycle as there are ports. A processor does better by listing the
// spikes first and adding rows in a tight loop. Both do the same additions; the C simulation runs both.
#if defined(__SYNTHESIS__) && !defined(SNN_BANKED_POPS)
#define SNN_BANKED_POPS
#endif

namespace snn {

constexpr std::uint32_t WEIGHT_ROWS = MAX_WEIGHT_BLOCKS * BLOCK_CHANNELS;
constexpr std::uint32_t GATHERED_WORDS = 512;
constexpr unsigned PLANES_OF_PAIR = 2;

// Words with spikes, and the weight row of each word's channel 0.
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

#ifdef SNN_BANKED_POPS

constexpr std::uint32_t CHANNELS_OF_BANK_0 = 0x01010101u;  // every eighth

// A word being popped: what is left of it, and where its weights begin in every bank.
struct PoppedWord {
    std::uint64_t word;
    std::uint32_t pending;  // channels that spike in either plane and are not popped yet
    std::uint32_t first_in_bank;
};

inline PoppedWord take_word(const GatheredWords& words, std::uint32_t index)
{
    const std::uint64_t word = words.word[index];
    return {word, earlier_plane(word) | later_plane(word), words.first_row[index] / WEIGHT_BANKS};
}

// What one cycle takes from a word: up to WEIGHT_BANKS * BANK_PORTS spikes, each bank giving its lowest ones.
inline void pop_all_banks(PoppedWord& popped, const WeightRow* weights, PairSums& sums)
{
#pragma HLS INLINE
banks:
    for (std::uint32_t bank = 0; bank < WEIGHT_BANKS; ++bank) {
#pragma HLS UNROLL
    ports:
        for (std::uint32_t port = 0; port < BANK_PORTS; ++port) {
#pragma HLS UNROLL
            const std::uint32_t of_bank = popped.pending & (CHANNELS_OF_BANK_0 << bank);
            const std::uint32_t spike = of_bank & (0u - of_bank);
            const std::uint32_t row_of_word = spike != 0 ? find_first_set(spike) / WEIGHT_BANKS : 0;
            const WeightRow& row = weights[(popped.first_in_bank + row_of_word) * WEIGHT_BANKS + bank];
            const bool earlier = (earlier_plane(popped.word) & spike) != 0;
            const bool later = (later_plane(popped.word) & spike) != 0;
        lanes:
            for (std::uint32_t lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL
                const std::uint32_t weight = static_cast<std::uint32_t>(std::int32_t{row.lane[lane]});
                sums.plane[0].lane[lane] += earlier ? weight : 0;
                sums.plane[1].lane[lane] += later ? weight : 0;
            }
            popped.pending &= ~spike;
        }
    }
}

// Adds the row of every spike in the words; returns the number of spikes. One iteration is one cycle: a new word is taken
// in the very iteration that pops its first spikes.
inline std::uint32_t add_rows_of_spikes(const GatheredWords& words, const WeightRow* weights, PairSums& sums)
{
    std::uint32_t spikes = 0;
    std::uint32_t next = 0;
    PoppedWord popped = {0, 0, 0};
pop:
    while (next < words.count || popped.pending != 0) {
#pragma HLS PIPELINE II=1
        if (popped.pending == 0) {
            popped = take_word(words, next);
            spikes += count_ones(popped.word);
            ++next;
        }
        pop_all_banks(popped, weights, sums);
    }
    return spikes;
}

#else

// Eight lanes of a row travel in one 64-bit word and are added in two halves, the even and the odd lanes, in fields of
// 16 bits. This needs no vector instructions, is vectorised where there are some, and does not depend on a compiler
// seeing through conversions. The offset makes weights unsigned, so that no field borrows from its neighbour;
// 256 rows of at most 255 fit a field.
constexpr std::uint64_t EVEN_LANES = 0x00ff00ff00ff00ffull;
constexpr std::uint64_t WEIGHT_OFFSETS = 0x8080808080808080ull;
constexpr std::uint32_t WEIGHT_OFFSET = 128;
constexpr std::uint32_t ROWS_OF_PARTIAL_SUM = 256;

constexpr unsigned UNGUESSED_SPIKES = 3;  // of a mask: at the firing rates of trained networks most masks have no more

// A compiled package has to run on any processor of its architecture; on x86-64 with the GNU C library the loader picks
// the variant of a function for the processor it finds.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define SNN_VARIANTS __attribute__((target_clones("default", "avx2")))
#else
#define SNN_VARIANTS
#endif

struct RowList {
    std::uint16_t row[ROWS_OF_PARTIAL_SUM + 1];  // one more, which is written before it is known not to be there
    std::uint32_t count;
};

// A row as one vector of 64-bit words: a compiler that is left to find vectors of its own finds slow ones.
typedef std::uint64_t RowVector __attribute__((vector_size(LANES)));

inline std::uint32_t field_of_partial_sum(const RowVector& even, const RowVector& odd, std::uint32_t lane)
{
    const RowVector& half = lane % 2 == 0 ? even : odd;
    return static_cast<std::uint32_t>(half[lane / WORD_BYTES] >> (16 * (lane % WORD_BYTES / 2))) & 0xffffu;
}

// Adds the listed rows and empties the list; returns how many there were.
SNN_VARIANTS static std::uint32_t add_listed_rows(RowList& list, const WeightRow* weights, LaneSums& sums)
{
    const std::uint32_t count = list.count;
    RowVector even = {};
    RowVector odd = {};
    for (std::uint32_t i = 0; i < count; ++i) {
        RowVector row;
        std::memcpy(&row, weights + list.row[i], sizeof row);
        row ^= WEIGHT_OFFSETS;
        even += row & EVEN_LANES;
        odd += row >> 8 & EVEN_LANES;
    }
    for (std::uint32_t lane = 0; lane < LANES; ++lane) {
        sums.lane[lane] += field_of_partial_sum(even, odd, lane) - WEIGHT_OFFSET * count;
    }
    list.count = 0;
    return count;
}

// Lists a mask's lowest spike, if there is one: without a branch, which a processor could only guess.
inline std::uint32_t list_lowest_spike(std::uint32_t mask, std::uint32_t first_row, RowList& list)
{
    list.row[list.count] = static_cast<std::uint16_t>(first_row + find_first_set(mask | 0x80000000u));
    list.count += mask != 0 ? 1 : 0;
    return mask & (mask - 1);
}

inline void list_spikes(std::uint32_t mask, std::uint32_t first_row, RowList& list)
{
    for (unsigned i = 0; i < UNGUESSED_SPIKES; ++i) {
        mask = list_lowest_spike(mask, first_row, list);
    }
    while (mask != 0) {
        mask = list_lowest_spike(mask, first_row, list);
    }
}

inline bool list_may_overflow(const RowList& list) { return list.count + BLOCK_CHANNELS > ROWS_OF_PARTIAL_SUM; }

// Adds the row of every spike in the words; returns the number of spikes.
inline std::uint32_t add_rows_of_spikes(const GatheredWords& words, const WeightRow* weights, PairSums& sums)
{
    RowList earlier;
    RowList later;
    earlier.count = 0;
    later.count = 0;
    std::uint32_t spikes = 0;
    for (std::uint32_t i = 0; i < words.count; ++i) {
        list_spikes(earlier_plane(words.word[i]), words.first_row[i], earlier);
        list_spikes(later_plane(words.word[i]), words.first_row[i], later);
        if (list_may_overflow(earlier)) {
            spikes += add_listed_rows(earlier, weights, sums.plane[0]);
        }
        if (list_may_overflow(later)) {
            spikes += add_listed_rows(later, weights, sums.plane[1]);
        }
    }
    spikes += add_listed_rows(earlier, weights, sums.plane[0]);
    return spikes + add_listed_rows(later, weights, sums.plane[1]);
}

#endif  // SNN_BANKED_POPS

}  // namespace snn

#endif  // SNN_ACCUMULATE_HPP
