// Drives axi_lite_bridge as a PS7 would: bursts from standard input, answers to standard output.
//
// Input, one burst a line: `R id address length size burst` or `W id address length size burst data/strobes ...`, numbers in
// hexadecimal, one data/strobes pair a beat. Reads and writes run beside each other, each kind in order; all handshakes stall
// at random. Behind the bridge lies a memory of 128 words,
// 0x1000 + its number in each, of which 63 and 127 answer with a slave error.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "Vaxi_lite_bridge.h"

struct Burst {
    uint32_t id, address, length, size, burst;
    std::vector<std::pair<uint32_t, uint32_t>> beats;
};

int main(int argc, char** argv) {
    std::mt19937 random(argc > 1 ? std::atoi(argv[1]) : 1);
    const auto maybe = [&random] { return random() % 3 != 0; };
    std::deque<Burst> reads, writes, open_writes;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string kind, pair;
        Burst b;
        words >> kind >> std::hex >> b.id >> b.address >> b.length >> b.size >> b.burst;
        while (words >> pair)
            b.beats.emplace_back(std::stoul(pair, nullptr, 16), std::stoul(pair.substr(pair.find('/') + 1), nullptr, 16));
        (kind == "R" ? reads : writes).push_back(b);
    }

    Vaxi_lite_bridge bridge;
    uint32_t memory[128];
    for (uint32_t word = 0; word < 128; ++word) memory[word] = 0x1000 + word;
    size_t answers = reads.size() + writes.size(), beat = 0;
    bool address_here = false, data_here = false, write_answer = false, read_answer = false;
    uint32_t lite_address = 0, lite_data = 0, lite_strobes = 0, read_address = 0;
    const auto edge = [&bridge] {
        bridge.clk = 1;
        bridge.eval();
        bridge.clk = 0;
        bridge.eval();
    };
    bridge.resetn = 0;
    edge();
    edge();
    bridge.resetn = 1;

    // A valid signal stays up, with its data, until it is answered; a ready signal may do what it likes.
    bool ar_up = false, aw_up = false, w_up = false, r_up = false, b_up = false;
    for (long cycle = 0; answers; ++cycle) {
        if (cycle > 1000000) {
            std::puts("no progress");
            return 1;
        }
        ar_up = ar_up || (!reads.empty() && maybe());
        aw_up = aw_up || (!writes.empty() && maybe());
        w_up = w_up || (!open_writes.empty() && maybe());
        r_up = r_up || (read_answer && maybe());
        b_up = b_up || (write_answer && maybe());
        bridge.gp_arvalid = ar_up;
        if (ar_up) {
            bridge.gp_araddr = reads.front().address, bridge.gp_arlen = reads.front().length, bridge.gp_arid = reads.front().id;
            bridge.gp_arsize = reads.front().size, bridge.gp_arburst = reads.front().burst;
        }
        bridge.gp_awvalid = aw_up;
        if (aw_up) {
            bridge.gp_awaddr = writes.front().address, bridge.gp_awlen = writes.front().length, bridge.gp_awid = writes.front().id;
            bridge.gp_awsize = writes.front().size, bridge.gp_awburst = writes.front().burst;
        }
        bridge.gp_wvalid = w_up;
        if (w_up) bridge.gp_wdata = open_writes.front().beats[beat].first, bridge.gp_wstrb = open_writes.front().beats[beat].second;
        bridge.gp_rready = maybe(), bridge.gp_bready = maybe();
        bridge.lite_arready = !read_answer && maybe();
        bridge.lite_awready = !address_here && !write_answer && maybe();
        bridge.lite_wready = !data_here && !write_answer && maybe();
        bridge.lite_rvalid = r_up;
        bridge.lite_rdata = r_up ? memory[read_address] : 0xdeadbeef;
        bridge.lite_rresp = r_up && read_address % 64 == 63 ? 2 : 0;
        bridge.lite_bvalid = b_up;
        bridge.lite_bresp = b_up && lite_address % 64 == 63 ? 2 : 0;
        bridge.eval();

        if (ar_up && bridge.gp_arready) reads.pop_front(), ar_up = false;
        if (w_up && bridge.gp_wready) {
            w_up = false;
            if (++beat > open_writes.front().length) open_writes.pop_front(), beat = 0;
        }
        if (aw_up && bridge.gp_awready) open_writes.push_back(writes.front()), writes.pop_front(), aw_up = false;
        if (bridge.gp_rvalid && bridge.gp_rready) {
            std::printf("R %x %x %x %d\n", bridge.gp_rid, bridge.gp_rdata, bridge.gp_rresp, bridge.gp_rlast);
            answers -= bridge.gp_rlast;
        }
        if (bridge.gp_bvalid && bridge.gp_bready) std::printf("B %x %x\n", bridge.gp_bid, bridge.gp_bresp), --answers;
        if (bridge.lite_rready && r_up) read_answer = r_up = false;
        if (bridge.lite_arvalid && bridge.lite_arready) read_answer = true, read_address = bridge.lite_araddr / 4;
        if (bridge.lite_bready && b_up) write_answer = b_up = false;
        if (bridge.lite_awvalid && bridge.lite_awready) address_here = true, lite_address = bridge.lite_awaddr / 4;
        if (bridge.lite_wvalid && bridge.lite_wready)
            data_here = true, lite_data = bridge.lite_wdata, lite_strobes = bridge.lite_wstrb;
        if (address_here && data_here) {
            for (int byte = 0; byte < 4; ++byte)
                if (lite_strobes >> byte & 1)
                    memory[lite_address] = (memory[lite_address] & ~(0xffu << 8 * byte)) | (lite_data & 0xffu << 8 * byte);
            address_here = data_here = false, write_answer = true;
        }
        edge();
    }
    for (int word = 0; word < 128; ++word) std::printf("M %x\n", memory[word]);
}
