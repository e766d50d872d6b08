// DDR behind both ports: moves so many bytes in a cycle, shared in turn between those who want, and pauses to refresh.
#ifndef SNN_SIM_DDR_HPP
#define SNN_SIM_DDR_HPP

#include "bench.hpp"
#include "read_port.hpp"
#include "write_port.hpp"

namespace snn_sim {

class Ddr {
public:
    Ddr(Bench& bench, ReadPort& first, ReadPort& second, WritePort& write)
        : bench_(bench), first_(first), second_(second), write_(write)
    {
    }

    void clock()
    {
        if (refreshing()) {
            return;
        }
        const double rate = bench_.settings.bytes_per_cycle;
        // What nobody used is lost, but for the part of a word that a cycle's share does not fill.
        credit_ = (credit_ < WORD_BYTES ? credit_ : WORD_BYTES) + rate;
        bool moved = false;
        while (credit_ >= WORD_BYTES && move_word()) {
            credit_ -= WORD_BYTES;
            moved = true;
        }
        bench_.statistics.ddr_busy_cycles += moved;
    }

private:
    bool refreshing() const
    {
        const Settings& settings = bench_.settings;
        return settings.refresh_interval_cycles != 0 &&
               bench_.cycle % settings.refresh_interval_cycles < settings.refresh_cycles;
    }

    bool move_word()
    {
        for (int attempt = 0; attempt < 3; ++attempt) {
            turn_ = (turn_ + 1) % 3;
            if (turn_ == 0 ? first_.serve() : turn_ == 1 ? second_.serve() : write_.serve()) {
                return true;
            }
        }
        return false;
    }

    Bench& bench_;
    ReadPort& first_;
    ReadPort& second_;
    WritePort& write_;
    double credit_ = 0;
    int turn_ = 0;
};

}  // namespace snn_sim

#endif  // SNN_SIM_DDR_HPP
