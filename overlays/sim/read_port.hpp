// The read half of an HP port: accepts bursts, gets their words from DDR in order, hands them to the core.
#ifndef SNN_SIM_READ_PORT_HPP
#define SNN_SIM_READ_PORT_HPP

#include <cstdint>
#include <deque>

#include "bench.hpp"

namespace snn_sim {

class ReadPort {
public:
    struct FromCore {
        bool address_valid = false;
        Burst burst;
        bool data_ready = false;
    };

    struct Data {
        std::uint64_t word = 0;
        std::uint8_t response = 0;
        std::uint8_t id = 0;
        bool last = false;
    };

    struct ToCore {
        bool address_ready = false;
        bool data_valid = false;
        Data data;
    };

    ReadPort(Bench& bench, std::uint32_t number)
        : bench_(bench), number_(number), name_(number == 0 ? "m0_axi_ar" : "m1_axi_ar")
    {
    }

    const ToCore& outputs() const { return outputs_; }

    // A rising edge: `from_core` and outputs() are what both sides saw in the cycle that ends.
    void clock(const FromCore& from_core)
    {
        address_check_.clock(bench_, name_, from_core.address_valid, outputs_.address_ready, from_core.burst);
        if (outputs_.data_valid && from_core.data_ready) {
            outputs_.data_valid = false;
        }
        if (from_core.address_valid && outputs_.address_ready) {
            accept(from_core.burst);
        }
        if (!outputs_.data_valid && !queue_.empty() && !bench_.stalls(READ_DATA)) {
            outputs_.data_valid = true;
            outputs_.data = queue_.front();
            queue_.pop_front();
        }
        outputs_.address_ready = bursts_.size() < bench_.settings.outstanding_bursts && !bench_.stalls(READ_ADDRESS);
    }

    // Move one word of DDR into the queue; false where there is none to move.
    bool serve()
    {
        if (bursts_.empty() || bursts_.front().due > bench_.cycle || queue_.size() >= bench_.settings.queue_words) {
            return false;
        }
        Pending& pending = bursts_.front();
        queue_.push_back(fetch(pending));
        if (++pending.fetched == pending.burst.beats()) {
            bursts_.pop_front();
        }
        return true;
    }

    bool idle() const { return bursts_.empty() && queue_.empty() && !outputs_.data_valid; }

    void reset()
    {
        bursts_.clear();
        queue_.clear();
        outputs_ = ToCore{};
        address_check_.reset();
    }

private:
    struct Pending {
        Burst burst;
        std::uint64_t due;
        std::uint32_t fetched;
    };

    void accept(const Burst& burst)
    {
        check_burst(bench_, name_, burst);
        if (bench_.running && !bench_.inside(PROGRAM, OUTPUT, burst.address, burst.bytes())) {
            bench_.violation(
                "%s: %u bytes from %#x on are in none of the run's buffers", name_, burst.bytes(), burst.address);
        }
        bursts_.push_back({burst, bench_.cycle + bench_.latency(), 0});
        ++bench_.statistics.read_bursts[number_];
    }

    Data fetch(const Pending& pending)
    {
        Data data;
        data.id = pending.burst.id;
        data.last = pending.fetched + 1 == pending.burst.beats();
        const std::uint64_t address = pending.burst.address + std::uint64_t{WORD_BYTES} * pending.fetched;
        if (bench_.memory.holds(address, WORD_BYTES)) {
            std::memcpy(&data.word, bench_.memory.bytes + (address - bench_.memory.base), WORD_BYTES);
        } else {
            data.response = RESPONSE_DECODE_ERROR;
        }
        if (++bench_.read_beats_of_run == bench_.faults.read_error_beat) {
            data.response = static_cast<std::uint8_t>(bench_.faults.response);
        }
        ++bench_.statistics.read_beats[number_];
        return data;
    }

    Bench& bench_;
    std::uint32_t number_;
    const char* name_;
    StableCheck<Burst> address_check_;
    std::deque<Pending> bursts_;
    std::deque<Data> queue_;
    ToCore outputs_;
};

}  // namespace snn_sim

#endif  // SNN_SIM_READ_PORT_HPP
