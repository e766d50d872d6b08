// The accelerator core: the top function of the synthesis, of the C simulation and of the shared library.
#ifndef SNN_CORE_HPP
#define SNN_CORE_HPP

#include <cstdint>

#include "memory_port.hpp"

// Runs a program on a batch of images; docs/numerics.md says what comes out. The three ports see the same memory: they
// are apart so that weights, maps and results move at the same time. All other arguments are registers, in the order of
// pynq_snn/layout.py, which is also the order of their offsets.
void snn_core(
    snn::ReadPort program_memory,
    snn::ReadPort map_memory,
    snn::WritePort result_memory,
    std::uint64_t program_address,
    std::uint32_t program_bytes,
    std::uint64_t input_address,
    std::uint32_t input_bytes,
    std::uint64_t workspace_address,
    std::uint32_t workspace_bytes,
    std::uint64_t output_address,
    std::uint32_t output_bytes,
    std::uint32_t images,
    std::uint32_t watchdog_cycles,
    std::uint32_t* core_id,
    std::uint32_t* core_version,
    std::uint32_t* build_hash,
    std::uint32_t* error_code,
    std::uint32_t* error_detail,
    std::uint32_t* cycles_low,
    std::uint32_t* cycles_high);

#endif  // SNN_CORE_HPP
