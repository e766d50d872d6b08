// Modules side by side on one clock, as a shared library: unit_bench.py makes the top around them and names its bits.
#include <cstdint>
#include <cstring>

#include "Vunit_bench.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

int broken_line = 0;  // of the first assertion that did not hold

Vunit_bench& top()
{
    static Vunit_bench model;
    return model;
}

}  // namespace

void vl_stop(const char*, int line, const char*)
{
    broken_line = broken_line != 0 ? broken_line : line;
}

// What the modules show in the cycle in which they are given this; both as the bits of the top's ports.
EXPORT void unit_bench_look(const std::uint32_t* given, std::uint32_t* shown)
{
    top().clk = 0;
    std::memcpy(top().given.data(), given, sizeof top().given);
    top().eval();
    std::memcpy(shown, top().shown.data(), sizeof top().shown);
}

// The rising edge that ends the cycle. The line of an assertion that does not hold, or 0.
EXPORT int unit_bench_tick()
{
    top().clk = 1;
    top().eval();
    const int line = broken_line;
    broken_line = 0;
    return line;
}

#if VM_COVERAGE
// What the lines and signals of all modules have seen so far.
EXPORT void unit_bench_write_coverage(const char* path)
{
    Verilated::threadContextp()->coveragep()->write(path);
}
#endif
