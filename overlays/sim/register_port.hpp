// The processor's end of the core's AXI4-Lite registers: one access at a time.
#ifndef SNN_SIM_REGISTER_PORT_HPP
#define SNN_SIM_REGISTER_PORT_HPP

#include <cstdint>

#include "bench.hpp"

namespace snn_sim {

class RegisterPort {
public:
    struct FromCore {
        bool write_address_ready = false;
        bool write_data_ready = false;
        bool response_valid = false;
        std::uint8_t response = 0;
        bool read_address_ready = false;
        bool data_valid = false;
        std::uint32_t data = 0;
        std::uint8_t data_response = 0;
    };

    struct ToCore {
        bool write_address_valid = false;
        bool write_data_valid = false;
        bool response_ready = false;
        bool read_address_valid = false;
        bool data_ready = false;
        std::uint32_t offset = 0;
        std::uint32_t data = 0;
    };

    explicit RegisterPort(Bench& bench) : bench_(bench) {}

    const ToCore& outputs() const { return outputs_; }
    bool done() const { return state_ == State::IDLE; }
    std::uint32_t answer() const { return answer_; }

    void begin_write(std::uint32_t offset, std::uint32_t data) { begin(State::WRITE, offset, data); }
    void begin_read(std::uint32_t offset) { begin(State::READ, offset, 0); }

    // A rising edge: `from_core` and outputs() are what both sides saw in the cycle that ends.
    void clock(const FromCore& from_core)
    {
        response_check_.clock(
            bench_, "s_axi_b", from_core.response_valid, outputs_.response_ready, from_core.response);
        data_check_.clock(
            bench_, "s_axi_r", from_core.data_valid, outputs_.data_ready, {from_core.data, from_core.data_response});
        if (from_core.response_valid && state_ != State::WRITE) {
            bench_.violation("s_axi_b: valid although nothing was written");
        }
        if (from_core.data_valid && state_ != State::READ) {
            bench_.violation("s_axi_r: valid although nothing was read");
        }
        if (state_ == State::WRITE) {
            clock_write(from_core);
        } else if (state_ == State::READ) {
            clock_read(from_core);
        }
        if (state_ != State::IDLE && ++waited_ > LONGEST_ACCESS) {
            bench_.violation("s_axi: register %#x was not answered in %u cycles", outputs_.offset, LONGEST_ACCESS);
            outputs_ = ToCore{};
            state_ = State::IDLE;
        }
    }

    void reset()
    {
        outputs_ = ToCore{};
        state_ = State::IDLE;
        response_check_.reset();
        data_check_.reset();
    }

private:
    enum class State { IDLE, WRITE, READ };
    static constexpr std::uint32_t LONGEST_ACCESS = 1000;

    struct Data {
        std::uint32_t word = 0;
        std::uint8_t response = 0;

        bool operator==(const Data& other) const { return word == other.word && response == other.response; }
    };

    void begin(State state, std::uint32_t offset, std::uint32_t data)
    {
        state_ = state;
        waited_ = 0;
        address_sent_ = data_sent_ = false;
        outputs_.offset = offset;
        outputs_.data = data;
    }

    void clock_write(const FromCore& from_core)
    {
        const bool address_taken = outputs_.write_address_valid && from_core.write_address_ready;
        const bool data_taken = outputs_.write_data_valid && from_core.write_data_ready;
        address_sent_ = address_sent_ || address_taken;
        data_sent_ = data_sent_ || data_taken;
        const bool answered = from_core.response_valid && outputs_.response_ready;
        if (from_core.response_valid && !(address_sent_ && data_sent_)) {
            bench_.violation("s_axi_b: valid before address and data were taken");
        }
        if (answered) {
            finish(from_core.response);
            return;
        }
        // Address and data come in any order; what is valid stays so.
        raise(outputs_.write_address_valid, address_sent_, address_taken);
        raise(outputs_.write_data_valid, data_sent_, data_taken);
        outputs_.response_ready = !bench_.stalls(REGISTERS);
    }

    void clock_read(const FromCore& from_core)
    {
        const bool taken = outputs_.read_address_valid && from_core.read_address_ready;
        address_sent_ = address_sent_ || taken;
        if (from_core.data_valid && !address_sent_) {
            bench_.violation("s_axi_r: valid before the address was taken");
        }
        if (from_core.data_valid && outputs_.data_ready) {
            answer_ = from_core.data;
            finish(from_core.data_response);
            return;
        }
        raise(outputs_.read_address_valid, address_sent_, taken);
        outputs_.data_ready = !bench_.stalls(REGISTERS);
    }

    void raise(bool& valid, bool sent, bool taken)
    {
        if (sent || taken) {
            valid = false;
        } else if (!valid) {
            valid = !bench_.stalls(REGISTERS);
        }
    }

    void finish(std::uint8_t response)
    {
        if (response != RESPONSE_OKAY) {
            bench_.violation("s_axi: register %#x answered with response %u", outputs_.offset, response);
        }
        outputs_ = ToCore{};
        state_ = State::IDLE;
    }

    Bench& bench_;
    ToCore outputs_;
    State state_ = State::IDLE;
    StableCheck<std::uint8_t> response_check_;
    StableCheck<Data> data_check_;
    bool address_sent_ = false;
    bool data_sent_ = false;
    std::uint32_t waited_ = 0;
    std::uint32_t answer_ = 0;
};

}  // namespace snn_sim

#endif  // SNN_SIM_REGISTER_PORT_HPP
