// What software sets before a simulation, and what a simulation answers. Plain data: the other side is written in Python
// (pynq_snn/devices/rtl_model.py), field by field in this order.
#ifndef SNN_SIM_SETTINGS_HPP
#define SNN_SIM_SETTINGS_HPP

#include <cstdint>

namespace snn_sim {

constexpr std::uint32_t READ_PORTS = 2;

// Channels that can be stalled at random, as bits of Faults::stalled_channels.
enum Channel : std::uint32_t {
    READ_ADDRESS = 0,
    READ_DATA = 1,
    WRITE_ADDRESS = 2,
    WRITE_DATA = 3,
    WRITE_RESPONSE = 4,
    REGISTERS = 5,
};

struct Settings {
    double bytes_per_cycle;                // what DDR moves at most, both ports and both directions together
    std::uint32_t latency_cycles;          // from an accepted address to its first word; from the last word to its response
    std::uint32_t refresh_interval_cycles;  // 0: never
    std::uint32_t refresh_cycles;          // in which DDR moves nothing
    std::uint32_t outstanding_bursts;      // of a port and direction; an address channel is not ready beyond
    std::uint32_t queue_words;             // 64-bit words between DDR and a port
};

// Everything is off at 0. Beats and cycles are counted from the start of a run, beats over all ports, from 1.
struct Faults {
    std::uint64_t seed;
    std::uint32_t stall_per_mille;      // chance in a cycle that a stalled channel does not move
    std::uint32_t stalled_channels;     // bit per Channel
    std::uint32_t extra_latency_cycles;  // up to so many more for each burst
    std::uint32_t response;             // AXI response of the beats below: 2 SLVERR, 3 DECERR
    std::uint64_t read_error_beat;
    std::uint64_t write_error_beat;     // the response of the burst that holds it
    std::uint64_t reset_at_cycle;       // the reset line, for some cycles
};

// Where a run may read and write, taken from the registers when it starts.
struct Window {
    std::uint64_t address;
    std::uint64_t bytes;
};

enum WindowName : std::uint32_t { PROGRAM, INPUT, WORKSPACE, OUTPUT, WINDOWS };

struct Statistics {
    std::uint64_t cycles;  // since the simulation was made
    std::uint64_t read_beats[READ_PORTS];
    std::uint64_t write_beats;
    std::uint64_t read_bursts[READ_PORTS];
    std::uint64_t write_bursts;
    std::uint64_t ddr_busy_cycles;  // in which DDR moved at least one word
};

}  // namespace snn_sim

#endif  // SNN_SIM_SETTINGS_HPP
