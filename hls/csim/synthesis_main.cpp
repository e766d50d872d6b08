// The same cases through the branch of the source that synthesis sees: ports that are plain pointers to physical
// addresses, the memories of the core static. The test's memory is mapped where the program believes it to be.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>

#include "packed_program.hpp"
#include "report.hpp"
#include "snn_core.hpp"

#ifndef __SYNTHESIS__
#error "build this file and the core with -D__SYNTHESIS__"
#endif

namespace {

// From physical address 0 on. Volatile, so that the compiler does not take it for a null pointer.
std::uint64_t* volatile physical_memory = nullptr;

void call_core(std::uint32_t* registers)
{
    using namespace snn;
    const auto input = [&](std::uint32_t offset) { return registers[offset / 4]; };
    const auto address = [&](std::uint32_t offset) { return input(offset) | std::uint64_t{input(offset + 4)} << 32; };
    const auto output = [&](std::uint32_t offset) { return &registers[offset / 4]; };
    snn_core(
        physical_memory, physical_memory, physical_memory, address(REGISTER_PROGRAM_ADDRESS),
        input(REGISTER_PROGRAM_BYTES), address(REGISTER_INPUT_ADDRESS), input(REGISTER_INPUT_BYTES),
        address(REGISTER_WORKSPACE_ADDRESS), input(REGISTER_WORKSPACE_BYTES), address(REGISTER_OUTPUT_ADDRESS),
        input(REGISTER_OUTPUT_BYTES), input(REGISTER_IMAGES), input(REGISTER_WATCHDOG_CYCLES),
        output(REGISTER_CORE_ID), output(REGISTER_CORE_VERSION), output(REGISTER_BUILD_HASH),
        output(REGISTER_ERROR_CODE), output(REGISTER_ERROR_DETAIL), output(REGISTER_CYCLES_LOW),
        output(REGISTER_CYCLES_HIGH));
}

}  // namespace

extern "C" int snn_core_run(
    std::uint32_t* registers, std::uint8_t* memory, std::uint64_t memory_base, std::uint64_t memory_bytes,
    const volatile std::int32_t*)
{
    void* const wanted = reinterpret_cast<void*>(static_cast<std::uintptr_t>(memory_base));
    void* const mapped = mmap(
        wanted, memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (mapped != wanted) {
        std::perror("mapping the test's memory");
        return -1;
    }
    std::memcpy(mapped, memory, memory_bytes);
    call_core(registers);
    std::memcpy(memory, mapped, memory_bytes);
    munmap(mapped, memory_bytes);
    return static_cast<int>(registers[snn::REGISTER_ERROR_CODE / 4]);
}

extern "C" std::uint32_t snn_core_layout_version(void) { return snn::LAYOUT_VERSION; }

int main()
{
    snn_test::Report report;
    snn_test::run_hand_cases(report);
    snn_test::run_random_networks(report);
    report.print_summary();
    return report.passed() ? 0 : 1;
}
