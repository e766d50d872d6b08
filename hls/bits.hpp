// Bit operations on spike masks.
#ifndef SNN_BITS_HPP
#define SNN_BITS_HPP

#include <cstdint>

namespace snn {

// Counted by halves rather than by a builtin: the generic x86-64 and ARMv7 instruction sets have no such instruction,
// a builtin would be a call there, and this form is vectorised over an array of masks.
inline std::uint32_t count_ones(std::uint32_t mask)
{
    mask -= (mask >> 1) & 0x55555555u;
    mask = (mask & 0x33333333u) + ((mask >> 2) & 0x33333333u);
    mask = (mask + (mask >> 4)) & 0x0f0f0f0fu;
    return (mask * 0x01010101u) >> 24;
}

inline std::uint32_t count_ones(std::uint64_t mask)
{
    return count_ones(static_cast<std::uint32_t>(mask)) + count_ones(static_cast<std::uint32_t>(mask >> 32));
}

// Index of the lowest set bit of a mask that is not zero.
inline std::uint32_t find_first_set(std::uint32_t mask)
{
    return static_cast<std::uint32_t>(__builtin_ctz(mask));
}

// A word of a spike map holds two neighbouring planes of one block, the earlier one in the low half.
inline std::uint32_t earlier_plane(std::uint64_t word) { return static_cast<std::uint32_t>(word); }
inline std::uint32_t later_plane(std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32); }

}  // namespace snn

#endif  // SNN_BITS_HPP
