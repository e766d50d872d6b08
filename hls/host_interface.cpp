// The core as a shared library: a C interface for software that maps registers and memory the way a driver does.
#include <cstdint>

#include "memory_port.hpp"
#include "snn_core.hpp"
#include "snn_layout.hpp"

namespace {

std::uint64_t read_address(const std::uint32_t* registers, std::uint32_t offset)
{
    return registers[offset / 4] | std::uint64_t{registers[offset / 4 + 1]} << 32;
}

}  // namespace

// Runs the core once. `registers` are REGISTER_SPACE_BYTES / 4 words at index offset / 4: arguments are read from them
// and results written to them. `memory` stands for the physical addresses from `memory_base` on. Any other thread may set
// `*abort_flag` (which may be null) to end the run early. Returns the error code; never throws.
extern "C" int snn_core_run(
    std::uint32_t* registers, std::uint8_t* memory, std::uint64_t memory_base, std::uint64_t memory_bytes,
    const volatile std::int32_t* abort_flag)
{
    using namespace snn;
    const HostMemory host(memory, memory_base, memory_bytes, abort_flag);
    snn_core(
        host, host, host,
        read_address(registers, REGISTER_PROGRAM_ADDRESS), registers[REGISTER_PROGRAM_BYTES / 4],
        read_address(registers, REGISTER_INPUT_ADDRESS), registers[REGISTER_INPUT_BYTES / 4],
        read_address(registers, REGISTER_WORKSPACE_ADDRESS), registers[REGISTER_WORKSPACE_BYTES / 4],
        read_address(registers, REGISTER_OUTPUT_ADDRESS), registers[REGISTER_OUTPUT_BYTES / 4],
        registers[REGISTER_IMAGES / 4], registers[REGISTER_WATCHDOG_CYCLES / 4],
        &registers[REGISTER_CORE_ID / 4], &registers[REGISTER_CORE_VERSION / 4],
        &registers[REGISTER_BUILD_HASH / 4], &registers[REGISTER_ERROR_CODE / 4],
        &registers[REGISTER_ERROR_DETAIL / 4], &registers[REGISTER_CYCLES_LOW / 4],
        &registers[REGISTER_CYCLES_HIGH / 4]);
    return static_cast<int>(registers[REGISTER_ERROR_CODE / 4]);
}

extern "C" std::uint32_t snn_core_layout_version(void) { return snn::LAYOUT_VERSION; }
