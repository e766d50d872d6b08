// The core's way to memory: absolute physical addresses, whole 64-bit words, bursts.
//
// In synthesis a port is an AXI master (a pointer whose index 0 is physical address 0). On the host it is an object that
// maps a range of physical addresses to an array of bytes and answers everything else with a bus error. All that differs
// between the two stands in this file.
#ifndef SNN_MEMORY_PORT_HPP
#define SNN_MEMORY_PORT_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "snn_layout.hpp"

namespace snn {

constexpr std::uint32_t WORD_BYTES = 8;
constexpr std::uint32_t ROW_WORDS = LANES / WORD_BYTES;

// The weights of one input channel for the output channels of a group.
struct alignas(LANES) WeightRow {
    std::int8_t lane[LANES];
};

#ifdef __SYNTHESIS__

using ReadPort = const volatile std::uint64_t*;
using WritePort = volatile std::uint64_t*;

inline bool read_words(ReadPort memory, std::uint64_t address, std::uint64_t* words, std::uint32_t count)
{
read_burst:
    for (std::uint32_t i = 0; i < count; ++i) {
#pragma HLS PIPELINE II=1
        words[i] = memory[address / WORD_BYTES + i];
    }
    return true;
}

inline bool read_rows(ReadPort memory, std::uint64_t address, WeightRow* rows, std::uint32_t count)
{
row_burst:
    for (std::uint32_t i = 0; i < count * ROW_WORDS; ++i) {
#pragma HLS PIPELINE II=1
        const std::uint64_t word = memory[address / WORD_BYTES + i];
    unpack:
        for (std::uint32_t byte = 0; byte < WORD_BYTES; ++byte) {
#pragma HLS UNROLL
            rows[i / ROW_WORDS].lane[(i % ROW_WORDS) * WORD_BYTES + byte] =
                static_cast<std::int8_t>(static_cast<std::uint8_t>(word >> (8 * byte)));
        }
    }
    return true;
}

inline bool write_words(WritePort memory, std::uint64_t address, const std::uint64_t* words, std::uint32_t count)
{
write_burst:
    for (std::uint32_t i = 0; i < count; ++i) {
#pragma HLS PIPELINE II=1
        memory[address / WORD_BYTES + i] = words[i];
    }
    return true;
}

// A running Vitis HLS kernel is stopped by its reset.
inline bool abort_requested(ReadPort) { return false; }

#else

// Physical addresses [base, base + size) as an array of bytes, little endian as the machines that run this are.
class HostMemory {
public:
    HostMemory(std::uint8_t* bytes, std::uint64_t base, std::uint64_t size, const volatile std::int32_t* abort_flag)
        : bytes_(bytes), base_(base), size_(size), abort_flag_(abort_flag)
    {
    }

    bool read(std::uint64_t address, void* destination, std::uint64_t size) const
    {
        if (!holds(address, size)) {
            return false;
        }
        std::memcpy(destination, bytes_ + static_cast<std::size_t>(address - base_), static_cast<std::size_t>(size));
        return true;
    }

    bool write(std::uint64_t address, const void* source, std::uint64_t size) const
    {
        if (!holds(address, size)) {
            return false;
        }
        std::memcpy(bytes_ + static_cast<std::size_t>(address - base_), source, static_cast<std::size_t>(size));
        return true;
    }

    bool abort_requested() const { return abort_flag_ != nullptr && *abort_flag_ != 0; }

private:
    // Written so that no sum can wrap, whatever the addresses are.
    bool holds(std::uint64_t address, std::uint64_t size) const
    {
        return bytes_ != nullptr && address >= base_ && size <= size_ && address - base_ <= size_ - size;
    }

    std::uint8_t* bytes_;
    std::uint64_t base_;
    std::uint64_t size_;
    const volatile std::int32_t* abort_flag_;
};

using ReadPort = const HostMemory&;
using WritePort = const HostMemory&;

inline bool read_words(ReadPort memory, std::uint64_t address, std::uint64_t* words, std::uint32_t count)
{
    return memory.read(address, words, std::uint64_t{count} * WORD_BYTES);
}

inline bool read_rows(ReadPort memory, std::uint64_t address, WeightRow* rows, std::uint32_t count)
{
    return memory.read(address, rows, std::uint64_t{count} * sizeof(WeightRow));
}

inline bool write_words(WritePort memory, std::uint64_t address, const std::uint64_t* words, std::uint32_t count)
{
    return memory.write(address, words, std::uint64_t{count} * WORD_BYTES);
}

inline bool abort_requested(ReadPort memory) { return memory.abort_requested(); }

#endif  // __SYNTHESIS__

}  // namespace snn

#endif  // SNN_MEMORY_PORT_HPP
