// Drives snn_compute alone: plays the other half of the core with a behavioural memory, for any program.
//
// Programs are trusted here (the other half checks them), so only what a layer needs is decoded. Memory answers after a
// latency, at most one word a cycle on each port and `bytes_per_cycle` on both and the results together, with random
// pauses on everything that can pause.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "Vsnn_compute.h"
#include "snn_layout.hpp"
#include "verilated.h"

namespace {

using namespace snn;

struct Options {
    std::uint32_t seed;
    std::uint32_t latency;          // cycles from a burst's request to its first word
    std::uint32_t pause_percent;    // of cycles in which a handshake or a port pauses, each for itself
    std::uint32_t bytes_per_cycle;  // of both ports and the results together
    std::uint32_t reset_cycle;      // a reset in the middle of the run, which then begins anew; 0: none
};

std::uint16_t half(const std::uint8_t* bytes) { std::uint16_t v; std::memcpy(&v, bytes, 2); return v; }
std::uint32_t word32(const std::uint8_t* bytes) { std::uint32_t v; std::memcpy(&v, bytes, 4); return v; }
std::uint64_t word64(const std::uint8_t* bytes) { std::uint64_t v; std::memcpy(&v, bytes, 8); return v; }

// A packed struct, from its first member (the most significant) on.
class Packer {
public:
    void add(std::uint64_t value, unsigned bits)
    {
        for (unsigned bit = bits; bit-- > 0;) {
            bits_.push_back((value >> bit) & 1);
        }
    }

    template <typename Wide> void store(Wide& wide) const
    {
        for (std::size_t i = 0; i < bits_.size(); ++i) {
            const std::size_t bit = bits_.size() - 1 - i;
            const std::uint32_t mask = std::uint32_t{1} << (bit % 32);
            wide[bit / 32] = bits_[i] ? wide[bit / 32] | mask : wide[bit / 32] & ~mask;
        }
    }

private:
    std::vector<bool> bits_;
};

std::uint64_t bit_of(const VlWide<3>& value, unsigned bit) { return (value[bit / 32] >> (bit % 32)) & 1; }
std::uint64_t bit_of(std::uint64_t value, unsigned bit) { return (value >> bit) & 1; }

template <typename Packed> std::uint64_t field_of(const Packed& request, unsigned low, unsigned bits)
{
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bits; ++i) {
        value |= bit_of(request, low + i) << i;
    }
    return value;
}

struct Burst {
    std::uint64_t address;
    std::uint32_t words;
    std::uint16_t index;
    bool map;
    std::uint64_t ready;
};

struct LayerResult {
    std::uint64_t counters[6];
};

class Bench {
public:
    Bench(const std::uint32_t* registers, std::uint8_t* memory, std::uint64_t base, const Options& options)
        : registers_(registers), memory_(memory), base_(base), options_(options), random_(options.seed),
          context_(new VerilatedContext), core_(new Vsnn_compute(context_.get()))
    {
        context_->assertOn(true);
        for (unsigned i = 0; i < 4; ++i) {
            static const std::uint32_t REGISTER[4] = {
                REGISTER_PROGRAM_ADDRESS, REGISTER_INPUT_ADDRESS, REGISTER_WORKSPACE_ADDRESS, REGISTER_OUTPUT_ADDRESS};
            region_[i] = registers[REGISTER[i] / 4] | std::uint64_t{registers[REGISTER[i] / 4 + 1]} << 32;
        }
        program_ = memory_ + (region_[0] - base_);
        images_ = registers[REGISTER_IMAGES / 4];
        layers_ = word32(program_ + 4 * HEADER_LAYER_COUNT);
    }

    // Returns whether all layers ended within `limit` cycles of the last progress.
    bool run(std::uint64_t limit)
    {
        reset();
        std::uint32_t offered = 0;   // layers that have been offered
        std::uint32_t finished = 0;
        bool has_layer = false, taken = false;
        std::uint64_t layer_began = cycle_;
        std::uint64_t stalls = 0, progress = cycle_, bytes_read = 0, bytes_written = 0;
        bool was_reset = options_.reset_cycle == 0;
        while (finished < layers_) {
            if (cycle_ - progress > limit) {
                return false;
            }
            if (!was_reset && cycle_ >= options_.reset_cycle) {
                was_reset = true;
                reset();
                offered = finished = 0;
                has_layer = taken = false;
                layer_began = progress = cycle_;
            }
            Vsnn_compute& core = *core_;
            core.layer_valid = offered < layers_ && !taken;  // a layer that has been taken stays for a cycle
            if (core.layer_valid && loaded_layer_ != offered) {
                set_layer(offered);
            }
            if (core.layer_done) {
                record(finished, layer_began, stalls, core.layer_additions, core.layer_spikes, bytes_read_ - bytes_read,
                       bytes_written_ - bytes_written);
                progress = layer_began = cycle_;
                bytes_read = bytes_read_;
                bytes_written = bytes_written_;
                stalls = 0;
                ++finished;
                has_layer = false;
            }
            stalls += has_layer && !core.busy_computing ? 1 : 0;
            serve_tap();
            serve_requests();
            serve_data();
            serve_writes();
            taken = core.layer_valid && core.layer_ready;
            tick();
            if (taken) {
                take_taps(offered);
                ++offered;
                has_layer = true;
            }
        }
        return true;
    }

    std::uint64_t cycles() const { return cycle_; }

private:
    bool pauses() { return options_.pause_percent != 0 && random_() % 100 < options_.pause_percent; }

    void tick()
    {
        core_->clk = 1;
        core_->eval();
        core_->clk = 0;
        core_->eval();
        ++cycle_;
    }

    void reset()
    {
        core_->reset = 1;
        core_->layer_valid = 0;
        core_->weight_data_valid = core_->map_data_valid = 0;
        core_->weight_request_ready = core_->map_request_ready = 0;
        core_->write_request_ready = core_->write_data_ready = 0;
        core_->writes_idle = 1;
        for (unsigned i = 0; i < 4; ++i) {
            tick();
        }
        core_->reset = 0;
        queue_[0].clear();
        queue_[1].clear();
        pending_.clear();
        writes_.clear();
        acknowledgements_.clear();
        weight_requests_ = 0;
        loaded_layer_ = UINT32_MAX;
        tokens_ = 0;
    }

    std::uint32_t descriptor(std::uint32_t layer, unsigned field) const
    {
        return word32(program_ + HEADER_BYTES + std::size_t{DESCRIPTOR_BYTES} * layer + 4 * field);
    }

    const std::uint8_t* tap(std::uint32_t layer, std::uint32_t index) const
    {
        const std::size_t taps = HEADER_BYTES + std::size_t{DESCRIPTOR_BYTES} * layers_;
        return program_ + taps + std::size_t{TAP_BYTES} * (descriptor(layer, FIELD_FIRST_TAP) + index);
    }

    void pack_source(Packer& packer, std::uint32_t layer, unsigned source) const
    {
        const unsigned shift = source * (FIELD_SOURCE1_REGION - FIELD_SOURCE0_REGION);
        const auto field = [&](unsigned index) { return descriptor(layer, index + shift); };
        const bool shortcut = source == 1 && descriptor(layer, FIELD_SHORTCUT) != 0;
        bool used = shortcut;
        int first = 0, last = 0;
        for (std::uint32_t i = 0; i < descriptor(layer, FIELD_TAP_COUNT); ++i) {
            if (half(tap(layer, i) + 2 * TAP_SOURCE) == source) {
                const int dy = static_cast<std::int16_t>(half(tap(layer, i) + 2 * TAP_DY));
                first = !used || dy < first ? dy : first;
                last = !used || dy > last ? dy : last;
                used = true;
            }
        }
        packer.add(used, 1);
        packer.add(field(FIELD_SOURCE0_REGION), 2);
        packer.add(std::uint64_t{field(FIELD_SOURCE0_OFFSET)} * images_, 42);
        packer.add(field(FIELD_SOURCE0_IMAGE_BYTES), 32);
        packer.add(field(FIELD_SOURCE0_BLOCK_BYTES), 32);
        packer.add(field(FIELD_SOURCE0_ROW_BYTES), 32);
        packer.add(field(FIELD_SOURCE0_HEIGHT), 9);
        packer.add(field(FIELD_SOURCE0_WIDTH), 9);
        packer.add(field(FIELD_SOURCE0_BLOCKS), 7);
        packer.add(field(FIELD_SOURCE0_STRIDE_Y), 9);
        packer.add(field(FIELD_SOURCE0_STRIDE_X), 9);
        packer.add(static_cast<std::uint16_t>(first), 16);
        packer.add(static_cast<std::uint16_t>(last), 16);
    }

    void set_layer(std::uint32_t layer)
    {
        const auto field = [&](unsigned index) { return descriptor(layer, index); };
        Packer packer;
        packer.add(field(FIELD_OPERATION) == static_cast<std::uint32_t>(Operation::MAX_POOL), 1);
        packer.add(field(FIELD_FIRING), 2);
        packer.add(field(FIELD_HARD_RESET), 1);
        packer.add(field(FIELD_LEAK_SHIFT), 4);
        packer.add(field(FIELD_INPUT_CODING), 1);
        packer.add(field(FIELD_OUTPUT_CODING), 1);
        packer.add(field(FIELD_TIMESTEPS), 6);
        packer.add(field(FIELD_FRACTION_BITS), 4);
        packer.add(field(FIELD_INPUT_PLANES), 6);
        packer.add(field(FIELD_OUTPUT_PLANES), 6);
        packer.add(field(FIELD_SHORTCUT), 1);
        packer.add(field(FIELD_TAP_COUNT), 11);
        packer.add(field(FIELD_WEIGHT_OFFSET), 32);
        packer.add(field(FIELD_WEIGHT_BLOCKS), 9);
        packer.add(std::uint64_t{field(FIELD_OUTPUT_OFFSET)} * images_, 42);
        packer.add(field(FIELD_OUTPUT_REGION), 2);
        packer.add(field(FIELD_OUTPUT_IMAGE_BYTES), 32);
        packer.add(field(FIELD_OUTPUT_BLOCK_BYTES), 32);
        packer.add(field(FIELD_OUTPUT_HEIGHT), 9);
        packer.add(field(FIELD_OUTPUT_WIDTH), 9);
        packer.add(field(FIELD_OUTPUT_CHANNELS), 12);
        packer.add((field(FIELD_OUTPUT_CHANNELS) + LANES - 1) / LANES, 7);
        packer.add(images_, 11);
        pack_source(packer, layer, 0);
        pack_source(packer, layer, 1);
        packer.store(core_->layer);
        loaded_layer_ = layer;
    }

    void take_taps(std::uint32_t layer)
    {
        taps_.assign(1024, 0);
        for (std::uint32_t i = 0; i < descriptor(layer, FIELD_TAP_COUNT); ++i) {
            const std::uint8_t* bytes = tap(layer, i);
            taps_[i] = std::uint64_t{half(bytes + 2 * TAP_SOURCE)} << 41 |
                       std::uint64_t{half(bytes + 2 * TAP_WEIGHT_BLOCK)} << 32 |
                       std::uint64_t{half(bytes + 2 * TAP_DX)} << 16 | half(bytes + 2 * TAP_DY);
        }
    }

    // The memory has a register: its answer belongs to the address of the cycle before.
    void serve_tap()
    {
        core_->tap = taps_.empty() ? 0 : taps_[tap_address_];
        tap_address_ = core_->tap_address;
    }

    std::uint64_t physical(unsigned region, std::uint64_t offset) const { return region_[region] + offset; }

    // Bursts of at most 128 bytes, aligned; weights alternate between the ports, maps come by port 1.
    void split(const VlWide<3>& request, bool map)
    {
        std::uint64_t address = physical(field_of(request, 74, 2), field_of(request, 32, 42));
        std::uint32_t words = field_of(request, 16, 16);
        std::uint16_t index = field_of(request, 0, 16);
        while (words > 0) {
            const std::uint32_t to_boundary = (128 - address % 128) / 8;
            const std::uint32_t count = words < to_boundary ? words : to_boundary;
            const unsigned port = map ? 1 : (address >> 7) & 1;
            queue_[port].push_back({address, count, index, map, cycle_ + options_.latency + (pauses() ? random_() % 50 : 0)});
            address += 8 * count;
            words -= count;
            index += count;
        }
    }

    void serve_requests()
    {
        core_->weight_request_ready = weight_bursts() < 64 && !pauses();
        if (core_->weight_request_valid && core_->weight_request_ready) {
            split(core_->weight_request, false);
        }
        core_->map_request_ready = queue_[1].size() < 96 && !pauses();
        if (core_->map_request_valid && core_->map_request_ready) {
            split(core_->map_request, true);
        }
    }

    std::size_t weight_bursts() const { return queue_[0].size() + queue_[1].size(); }

    // One word a cycle from each port, as far as the bandwidth allows. Of the second port's bursts, a map goes first.
    void serve_data()
    {
        tokens_ = std::min<std::int64_t>(tokens_ + options_.bytes_per_cycle, 64);
        core_->weight_data_valid = 0;
        core_->map_data_valid = 0;
        const unsigned first = cycle_ & 1;
        for (unsigned turn = 0; turn < 2; ++turn) {
            const unsigned port = first ^ turn;
            std::deque<Burst>& queue = queue_[port];
            if (!in_burst_[port] && !queue.empty()) {  // a map may overtake weights, between bursts
                for (std::size_t i = 0; i < queue.size() && i < 64; ++i) {
                    if (queue[i].map) {
                        if (i > 0 && (queue[i].ready <= cycle_)) {
                            const Burst burst = queue[i];
                            queue.erase(queue.begin() + i);
                            queue.push_front(burst);
                        }
                        break;
                    }
                }
            }
            if (queue.empty() || queue.front().ready > cycle_ || tokens_ < 8 || pauses()) {
                continue;
            }
            Burst& burst = queue.front();
            const std::uint64_t data = word64(memory_ + (burst.address - base_));
            if (burst.map) {
                core_->map_data_valid = 1;
                core_->map_data_index = burst.index;
                core_->map_data = data;
            } else {
                core_->weight_data_valid |= 1 << port;
                core_->weight_data_index = port == 0 ? (core_->weight_data_index & 0xffff0000u) | burst.index
                                                     : (core_->weight_data_index & 0xffffu) | burst.index << 16;
                core_->weight_data[2 * port] = static_cast<std::uint32_t>(data);
                core_->weight_data[2 * port + 1] = static_cast<std::uint32_t>(data >> 32);
            }
            burst.address += 8;
            ++burst.index;
            tokens_ -= 8;
            bytes_read_ += 8;
            in_burst_[port] = --burst.words > 0;
            if (burst.words == 0) {
                queue.pop_front();
            }
        }
    }

    void serve_writes()
    {
        Vsnn_compute& core = *core_;
        core.write_request_ready = writes_.size() < 2 && !pauses();
        if (core.write_request_valid && core.write_request_ready) {
            writes_.push_back({physical(field_of(core.write_request, 58, 2), field_of(core.write_request, 16, 42)),
                               static_cast<std::uint32_t>(field_of(core.write_request, 0, 16)), 0, false, 0});
        }
        core.write_data_ready = !writes_.empty() && tokens_ >= 8 && !pauses();
        if (core.write_data_valid && core.write_data_ready) {
            Burst& burst = writes_.front();
            const std::uint64_t data = core.write_data;
            std::memcpy(memory_ + (burst.address - base_), &data, 8);
            burst.address += 8;
            tokens_ -= 8;
            bytes_written_ += 8;
            if (--burst.words == 0) {
                writes_.pop_front();
                acknowledgements_.push_back(cycle_ + options_.latency);
            }
        }
        while (!acknowledgements_.empty() && acknowledgements_.front() <= cycle_) {
            acknowledgements_.pop_front();
        }
        core.writes_idle = writes_.empty() && acknowledgements_.empty();
    }

    void record(std::uint32_t layer, std::uint64_t began, std::uint64_t stalls, std::uint64_t additions,
                std::uint64_t spikes, std::uint64_t bytes_read, std::uint64_t bytes_written)
    {
        const std::uint64_t output = std::uint64_t{word32(program_ + 4 * HEADER_OUTPUT_BYTES)} * images_;
        std::uint8_t* at = memory_ + (region_[3] + output + std::uint64_t{COUNTER_RECORD_BYTES} * layer - base_);
        const std::uint64_t values[8] = {cycle_ - began, stalls, additions, spikes, bytes_read, bytes_written, 0, 0};
        std::memcpy(at, values, sizeof values);
    }

    const std::uint32_t* registers_;
    std::uint8_t* memory_;
    std::uint64_t base_;
    Options options_;
    std::mt19937 random_;
    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vsnn_compute> core_;
    std::uint64_t region_[4];
    std::uint8_t* program_;
    std::uint32_t images_;
    std::uint32_t layers_;
    std::uint32_t loaded_layer_ = UINT32_MAX;
    std::uint64_t cycle_ = 0;
    std::vector<std::uint64_t> taps_;
    std::uint32_t tap_address_ = 0;
    std::deque<Burst> queue_[2];
    std::deque<Burst> pending_;
    std::deque<Burst> writes_;
    std::deque<std::uint64_t> acknowledgements_;
    unsigned weight_requests_ = 0;
    bool in_burst_[2] = {false, false};
    std::int64_t tokens_ = 0;
    std::uint64_t bytes_read_ = 0, bytes_written_ = 0;
};

}  // namespace

// As snn_core_run of the kernel; `limit` cycles without the end of a layer are an error (WATCHDOG).
extern "C" int compute_bench_run(
    std::uint32_t* registers, std::uint8_t* memory, std::uint64_t base, const std::uint32_t* options, std::uint64_t limit)
{
    const Options chosen = {options[0], options[1], options[2], options[3], options[4]};
    Bench bench(registers, memory, base, chosen);
    const bool ended = bench.run(limit);
    registers[REGISTER_ERROR_CODE / 4] =
        static_cast<std::uint32_t>(ended ? ErrorCode::NONE : ErrorCode::WATCHDOG);
    registers[REGISTER_ERROR_DETAIL / 4] = 0;
    registers[REGISTER_CYCLES_LOW / 4] = static_cast<std::uint32_t>(bench.cycles());
    registers[REGISTER_CYCLES_HIGH / 4] = static_cast<std::uint32_t>(bench.cycles() >> 32);
    return static_cast<int>(registers[REGISTER_ERROR_CODE / 4]);
}
