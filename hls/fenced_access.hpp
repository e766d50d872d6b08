// Every access of a run: fenced by the window of its region, counted, and turned into an outcome.
#ifndef SNN_FENCED_ACCESS_HPP
#define SNN_FENCED_ACCESS_HPP

#include <cstdint>

#include "memory_port.hpp"
#include "snn_layout.hpp"

namespace snn {

struct Outcome {
    ErrorCode code;
    std::uint32_t detail;
};

constexpr Outcome SUCCESS = {ErrorCode::NONE, 0};

inline bool failed(const Outcome& outcome) { return outcome.code != ErrorCode::NONE; }

constexpr unsigned REGION_COUNT = 4;

struct Window {
    std::uint64_t address;
    std::uint32_t bytes;
};

// What the work on one layer has cost; `additions` and `spikes` are exact, the rest belongs to this implementation.
struct LayerCounters {
    std::uint64_t cycles;
    std::uint64_t stall_cycles;
    std::uint64_t additions;
    std::uint64_t spikes;
    std::uint64_t bytes_read;
    std::uint64_t bytes_written;
};

// State of a run that is not an array.
struct Run {
    Window window[REGION_COUNT];
    std::uint32_t images;
    std::uint32_t watchdog_cycles;
    std::uint64_t finished_cycles;  // of everything before the current layer
    std::uint32_t layer;
    LayerCounters counters;  // of the current layer
};

inline Outcome fence_outcome(const Run& run, Region region)
{
    return {ErrorCode::ADDRESS_FENCE, run.layer << 16 | static_cast<std::uint32_t>(region)};
}

// The checks before a layer already prove that no offset leaves its window; the fence at the access itself is what holds
// even where such a proof is wrong, because the masters can reach all of memory.
inline Outcome fence(const Run& run, Region region, std::uint64_t offset, std::uint64_t bytes)
{
    const Window& window = run.window[static_cast<unsigned>(region)];
    const bool inside = bytes <= window.bytes && offset <= window.bytes - bytes;
    if (!inside) {
        return fence_outcome(run, region);
    }
    const bool address_wraps = window.address + offset + (bytes - 1) < window.address;
    return address_wraps ? Outcome{ErrorCode::BUS, 0} : SUCCESS;
}

inline std::uint64_t physical_address(const Run& run, Region region, std::uint64_t offset)
{
    return run.window[static_cast<unsigned>(region)].address + offset;
}

inline Outcome bus_outcome(bool answered) { return answered ? SUCCESS : Outcome{ErrorCode::BUS, 0}; }

inline Outcome fenced_read_words(
    ReadPort memory, Run& run, Region region, std::uint64_t offset, std::uint64_t* words, std::uint32_t count)
{
#pragma HLS INLINE
    const std::uint64_t bytes = std::uint64_t{count} * WORD_BYTES;
    const Outcome outcome = fence(run, region, offset, bytes);
    if (failed(outcome)) {
        return outcome;
    }
    run.counters.bytes_read += bytes;
    return bus_outcome(read_words(memory, physical_address(run, region, offset), words, count));
}

inline Outcome fenced_read_rows(
    ReadPort memory, Run& run, Region region, std::uint64_t offset, WeightRow* rows, std::uint32_t count)
{
#pragma HLS INLINE
    const std::uint64_t bytes = std::uint64_t{count} * sizeof(WeightRow);
    const Outcome outcome = fence(run, region, offset, bytes);
    if (failed(outcome)) {
        return outcome;
    }
    run.counters.bytes_read += bytes;
    return bus_outcome(read_rows(memory, physical_address(run, region, offset), rows, count));
}

inline Outcome fenced_write_words(
    WritePort memory, Run& run, Region region, std::uint64_t offset, const std::uint64_t* words, std::uint32_t count)
{
#pragma HLS INLINE
    const std::uint64_t bytes = std::uint64_t{count} * WORD_BYTES;
    const Outcome outcome = fence(run, region, offset, bytes);
    if (failed(outcome)) {
        return outcome;
    }
    run.counters.bytes_written += bytes;
    return bus_outcome(write_words(memory, physical_address(run, region, offset), words, count));
}

}  // namespace snn

#endif  // SNN_FENCED_ACCESS_HPP
