// What all parts of the simulated surroundings share: the cycle, the first violation, chance, memory.
#ifndef SNN_SIM_BENCH_HPP
#define SNN_SIM_BENCH_HPP

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "settings.hpp"

namespace snn_sim {

constexpr std::uint32_t WORD_BYTES = 8;
constexpr std::uint8_t RESPONSE_OKAY = 0;
constexpr std::uint8_t RESPONSE_DECODE_ERROR = 3;

// xorshift64*: G. Marsaglia, "Xorshift RNGs", 2003, with the multiplier of S. Vigna.
class Chance {
public:
    void seed(std::uint64_t value) { state_ = value * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du; }

    bool per_mille(std::uint32_t threshold) { return threshold != 0 && next() % 1000 < threshold; }

    std::uint32_t up_to(std::uint32_t largest) { return largest == 0 ? 0 : static_cast<std::uint32_t>(next() % (largest + 1)); }

private:
    std::uint64_t next()
    {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return (state_ * 0x2545f4914f6cdd1du) >> 16;
    }

    std::uint64_t state_ = 1;
};

// Memory that starts at a physical address; what lies outside answers with a decode error.
struct Memory {
    std::uint8_t* bytes;
    std::uint64_t base;
    std::uint64_t size;

    bool holds(std::uint64_t address, std::uint64_t count) const
    {
        return address >= base && count <= size && address - base <= size - count;
    }
};

class Bench {
public:
    Bench(const Memory& where, const Settings& how) : memory(where), settings(how) {}

    // Note the first violation; what follows from it says little.
    __attribute__((format(printf, 2, 3))) void violation(const char* format, ...)
    {
        if (!problem.empty()) {
            return;
        }
        char text[256];
        std::va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        problem = "cycle " + std::to_string(cycle) + ": " + text;
    }

    bool stalls(Channel channel)
    {
        return (faults.stalled_channels >> channel & 1) != 0 && chance.per_mille(faults.stall_per_mille);
    }

    std::uint64_t latency() { return settings.latency_cycles + chance.up_to(faults.extra_latency_cycles); }

    bool inside(WindowName first, WindowName last, std::uint64_t address, std::uint64_t count) const
    {
        for (std::uint32_t name = first; name <= last; ++name) {
            const Window& window = windows[name];
            // Memory moves whole words: the last one of a buffer of any size belongs to it.
            const std::uint64_t size = (window.bytes + WORD_BYTES - 1) / WORD_BYTES * WORD_BYTES;
            if (address >= window.address && count <= size && address - window.address <= size - count) {
                return true;
            }
        }
        return false;
    }

    Memory memory;
    Settings settings;
    Faults faults{};
    Chance chance;
    Window windows[WINDOWS]{};
    bool running = false;  // between the start of a run and its end: the time in which the core may use memory
    std::uint64_t cycle = 0;
    std::uint64_t read_beats_of_run = 0;
    std::uint64_t write_beats_of_run = 0;
    Statistics statistics{};
    std::string problem;
};

// The rule that holds for every channel of AXI: once valid, nothing changes until ready. `Payload` needs ==.
template <typename Payload>
class StableCheck {
public:
    void clock(Bench& bench, const char* channel, bool valid, bool ready, const Payload& payload)
    {
        if (waiting_ && !valid) {
            bench.violation("%s: valid fell before ready", channel);
        } else if (waiting_ && !(payload == payload_)) {
            bench.violation("%s: payload changed before ready", channel);
        }
        waiting_ = valid && !ready;
        payload_ = payload;
    }

    void reset() { waiting_ = false; }

private:
    bool waiting_ = false;
    Payload payload_{};
};

// A burst as the address channels of AXI3 name it.
struct Burst {
    std::uint32_t address = 0;
    std::uint8_t length = 0;  // beats less one
    std::uint8_t size = 0;    // 3: eight bytes
    std::uint8_t kind = 0;    // 1: incrementing
    std::uint8_t cache = 0;
    std::uint8_t protection = 0;
    std::uint8_t id = 0;

    std::uint32_t beats() const { return length + 1u; }
    std::uint32_t bytes() const { return beats() * WORD_BYTES; }

    bool operator==(const Burst& other) const
    {
        return address == other.address && length == other.length && size == other.size && kind == other.kind &&
               cache == other.cache && protection == other.protection && id == other.id;
    }
};

// What every burst must be: the HP ports and this core's contract with them. More than 16 beats do not fit a 4-bit length.
inline void check_burst(Bench& bench, const char* channel, const Burst& burst)
{
    const std::uint32_t last = burst.address + burst.bytes() - 1;
    if (burst.kind != 1) {
        bench.violation("%s: burst kind %u instead of 1 (INCR)", channel, burst.kind);
    } else if (burst.size != 3) {
        bench.violation("%s: size %u instead of 3 (8 bytes)", channel, burst.size);
    } else if (burst.address % WORD_BYTES != 0) {
        bench.violation("%s: address %#x is no multiple of 8", channel, burst.address);
    } else if (burst.address >> 12 != last >> 12) {
        bench.violation("%s: %u beats from %#x cross a 4 KB boundary", channel, burst.beats(), burst.address);
    } else if (!bench.running) {
        bench.violation("%s: burst at %#x while no run is under way", channel, burst.address);
    }
}

}  // namespace snn_sim

#endif  // SNN_SIM_BENCH_HPP
