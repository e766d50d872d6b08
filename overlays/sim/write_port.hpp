// The write half of an HP port: collects a burst's words, writes them to DDR when all are there, answers.
#ifndef SNN_SIM_WRITE_PORT_HPP
#define SNN_SIM_WRITE_PORT_HPP

#include <cstdint>
#include <deque>
#include <vector>

#include "bench.hpp"

namespace snn_sim {

class WritePort {
public:
    struct Data {
        std::uint64_t word = 0;
        std::uint8_t strobes = 0;
        std::uint8_t id = 0;
        bool last = false;

        bool operator==(const Data& other) const
        {
            return word == other.word && strobes == other.strobes && id == other.id && last == other.last;
        }
    };

    struct FromCore {
        bool address_valid = false;
        Burst burst;
        bool data_valid = false;
        Data data;
        bool response_ready = false;
    };

    struct ToCore {
        bool address_ready = false;
        bool data_ready = false;
        bool response_valid = false;
        std::uint8_t response = 0;
        std::uint8_t id = 0;
    };

    explicit WritePort(Bench& bench) : bench_(bench) {}

    const ToCore& outputs() const { return outputs_; }

    // A rising edge: `from_core` and outputs() are what both sides saw in the cycle that ends.
    void clock(const FromCore& from_core)
    {
        address_check_.clock(bench_, ADDRESS, from_core.address_valid, outputs_.address_ready, from_core.burst);
        data_check_.clock(bench_, DATA, from_core.data_valid, outputs_.data_ready, from_core.data);
        if (outputs_.response_valid && from_core.response_ready) {
            outputs_.response_valid = false;
            answers_.pop_front();
        }
        if (from_core.data_valid && outputs_.data_ready) {
            take(from_core.data);
        }
        if (from_core.address_valid && outputs_.address_ready) {
            accept(from_core.burst);
        }
        if (!outputs_.response_valid && !answers_.empty() && answers_.front().due <= bench_.cycle &&
            !bench_.stalls(WRITE_RESPONSE)) {
            outputs_.response_valid = true;
            outputs_.response = answers_.front().response;
            outputs_.id = answers_.front().id;
        }
        const std::size_t outstanding = bursts_.size() + answers_.size();
        outputs_.address_ready = outstanding < bench_.settings.outstanding_bursts && !bench_.stalls(WRITE_ADDRESS);
        // Data wait for their address: allowed, and nobody has to guess where they belong.
        outputs_.data_ready = bursts_.size() > complete_ && words_ < bench_.settings.queue_words &&
                              !bench_.stalls(WRITE_DATA);
    }

    // Move one word of a complete burst to DDR; false where there is none to move.
    bool serve()
    {
        if (complete_ == 0) {
            return false;
        }
        Pending& pending = bursts_.front();
        store(pending);
        --words_;
        if (++pending.stored == pending.burst.beats()) {
            answers_.push_back({bench_.cycle + bench_.latency(), pending.response, pending.burst.id});
            bursts_.pop_front();
            --complete_;
        }
        return true;
    }

    bool idle() const { return bursts_.empty() && answers_.empty(); }

    void reset()
    {
        bursts_.clear();
        answers_.clear();
        complete_ = words_ = 0;
        outputs_ = ToCore{};
        address_check_.reset();
        data_check_.reset();
    }

private:
    static constexpr const char* ADDRESS = "m0_axi_aw";
    static constexpr const char* DATA = "m0_axi_w";

    struct Pending {
        Burst burst;
        std::vector<Data> words;
        std::uint32_t stored;
        std::uint8_t response;
    };

    struct Answer {
        std::uint64_t due;
        std::uint8_t response;
        std::uint8_t id;
    };

    void accept(const Burst& burst)
    {
        check_burst(bench_, ADDRESS, burst);
        bursts_.push_back({burst, {}, 0, RESPONSE_OKAY});
        ++bench_.statistics.write_bursts;
    }

    void take(const Data& data)
    {
        Pending& pending = bursts_[complete_];
        const bool last = pending.words.size() + 1 == pending.burst.beats();
        if (data.last != last) {
            bench_.violation("%s: last is %d at beat %zu of %u", DATA, data.last, pending.words.size() + 1, pending.burst.beats());
        }
        if (data.id != pending.burst.id) {
            bench_.violation("%s: ID %u in a burst with ID %u", DATA, data.id, pending.burst.id);
        }
        check_place(pending.burst.address + std::uint64_t{WORD_BYTES} * pending.words.size(), data.strobes);
        pending.words.push_back(data);
        ++words_;
        if (last) {
            ++complete_;
        }
    }

    // Only bytes that are really written count: a burst may be finished without strobes after an error.
    void check_place(std::uint64_t address, std::uint8_t strobes)
    {
        for (std::uint32_t byte = 0; byte < WORD_BYTES; ++byte) {
            if ((strobes >> byte & 1) != 0 && !bench_.inside(WORKSPACE, OUTPUT, address + byte, 1)) {
                bench_.violation(
                    "%s: byte %#llx is neither in the workspace nor in the output", DATA,
                    static_cast<unsigned long long>(address + byte));
                return;
            }
        }
    }

    void store(Pending& pending)
    {
        const Data& data = pending.words[pending.stored];
        const std::uint64_t address = pending.burst.address + std::uint64_t{WORD_BYTES} * pending.stored;
        if (!bench_.memory.holds(address, WORD_BYTES)) {
            pending.response = RESPONSE_DECODE_ERROR;
        } else if (bench_.problem.empty()) {  // what a faulty core writes must not spoil the evidence
            for (std::uint32_t byte = 0; byte < WORD_BYTES; ++byte) {
                if ((data.strobes >> byte & 1) != 0) {
                    bench_.memory.bytes[address + byte - bench_.memory.base] = static_cast<std::uint8_t>(data.word >> 8 * byte);
                }
            }
        }
        if (++bench_.write_beats_of_run == bench_.faults.write_error_beat) {
            pending.response = static_cast<std::uint8_t>(bench_.faults.response);
        }
        ++bench_.statistics.write_beats;
    }

    Bench& bench_;
    StableCheck<Burst> address_check_;
    StableCheck<Data> data_check_;
    std::deque<Pending> bursts_;  // the first `complete_` of them have all their words
    std::size_t complete_ = 0;
    std::uint32_t words_ = 0;
    std::deque<Answer> answers_;
    ToCore outputs_;
};

}  // namespace snn_sim

#endif  // SNN_SIM_WRITE_PORT_HPP
