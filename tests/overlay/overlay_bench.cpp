// Processor and memory around a Verilated overlay: runs one program as the driver would, through the PS7's ports.
//
// `overlay_run` has the arguments of the kernel's snn_core_run, and three of its own: where the registers that the core
// writes begin, after how many cycles to give up, and a seed for the memory's delays. Returns 0, or why it stopped:
// 1 no answer or no end within the cycles, 2 a rule of AXI3 or of the memory ports was broken, 3 a register access failed.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <random>

#include "Voverlay_bench.h"

namespace {

struct Request {
    uint32_t address, beats, id;
    uint64_t ready_at;
};

class Run {
  public:
    Run(uint32_t* words, uint8_t* memory, uint64_t base, uint64_t size, uint64_t limit, uint32_t seed)
        : words_(words), memory_(memory), base_(base), size_(size), limit_(limit), random_(seed) {}

    int run(uint32_t first_output, uint32_t end) {
        top_.resetn = 0;
        for (int i = 0; i < 8; ++i) cycle();
        top_.resetn = 1;
        for (int i = 0; i < 8; ++i) cycle();
        for (uint32_t offset = 0x10; offset < first_output; offset += 4)
            if (!write(offset, words_[offset / 4])) return failure();
        if (!write(4, 1) || !write(8, 1) || !write(0, 1)) return failure();
        while (!top_.irq && !wrong_ && cycles_ < limit_) cycle();
        if (wrong_ || !top_.irq) return failure();
        for (uint32_t offset = first_output; offset < end; offset += 4)
            if (!read(offset, words_[offset / 4])) return failure();
        return failure();
    }

  private:
    int failure() const { return wrong_ ? wrong_ : cycles_ < limit_ ? 0 : 1; }

    void check(bool fine, const char* rule) {
        if (!fine && !wrong_) std::fprintf(stderr, "cycle %llu: %s\n", (unsigned long long)cycles_, rule), wrong_ = 2;
    }

    bool maybe() { return random_() % 8 != 0; }

    uint8_t* at(uint64_t address, uint64_t bytes) {
        const bool inside = address >= base_ && address - base_ + bytes <= size_;
        check(inside, "an access outside of the memory");
        return inside ? memory_ + (address - base_) : nullptr;
    }

    template <typename T>
    Request request(const T& address, uint32_t length, uint32_t size, uint32_t burst, uint32_t id) {
        check(size == 3 && burst == 1, "a burst is not of 8 bytes a beat with rising addresses");
        check(address % 8 == 0, "a burst is not aligned");
        check((address & 4095) + 8 * (length + 1) <= 4096, "a burst crosses a boundary of 4 KB");
        return {uint32_t(address), length + 1, id, cycles_ + 20 + random_() % 16};
    }

    // One clock: first what the memory says, then the edge, with the handshakes of before it.
    void cycle() {
        check(!top_.idle_interrupts, "an interrupt that nobody should raise");
        check(!top_.hp1_awvalid && !top_.hp1_wvalid, "a write through HP1");
        top_.hp0_arready = maybe(), top_.hp1_arready = maybe(), top_.hp0_awready = maybe(), top_.hp0_wready = maybe();
        present(reads_[0], beat_[0], shown_[0], top_.hp0_rvalid, top_.hp0_rdata, top_.hp0_rid, top_.hp0_rlast);
        present(reads_[1], beat_[1], shown_[1], top_.hp1_rvalid, top_.hp1_rdata, top_.hp1_rid, top_.hp1_rlast);
        answering_ = answering_ || (!answers_.empty() && answers_.front().ready_at <= cycles_);
        top_.hp0_bvalid = answering_;
        if (answering_) top_.hp0_bid = answers_.front().id;
        top_.clock = 0;
        top_.eval();
        const bool ar[2] = {top_.hp0_arvalid && top_.hp0_arready, top_.hp1_arvalid && top_.hp1_arready};
        const bool r[2] = {top_.hp0_rvalid && top_.hp0_rready, top_.hp1_rvalid && top_.hp1_rready};
        if (ar[0])
            reads_[0].push_back(request(top_.hp0_araddr, top_.hp0_arlen, top_.hp0_arsize, top_.hp0_arburst, top_.hp0_arid));
        if (ar[1])
            reads_[1].push_back(request(top_.hp1_araddr, top_.hp1_arlen, top_.hp1_arsize, top_.hp1_arburst, top_.hp1_arid));
        for (int port = 0; port < 2; ++port)
            if (r[port]) {
                shown_[port] = false;
                if (++beat_[port] == reads_[port].front().beats) reads_[port].pop_front(), beat_[port] = 0;
            }
        if (top_.hp0_awvalid && top_.hp0_awready)
            writes_.push_back(request(top_.hp0_awaddr, top_.hp0_awlen, top_.hp0_awsize, top_.hp0_awburst, top_.hp0_awid));
        if (top_.hp0_wvalid && top_.hp0_wready)
            data_.push_back({top_.hp0_wdata, uint8_t(top_.hp0_wstrb), bool(top_.hp0_wlast), top_.hp0_wid});
        store();
        if (answering_ && top_.hp0_bready) answers_.pop_front(), answering_ = false;
        top_.clock = 1;
        top_.eval();
        ++cycles_;
    }

    template <typename Valid, typename Id, typename Last>
    void present(std::deque<Request>& requests, uint32_t beat, bool& shown, Valid& valid, QData& data, Id& id, Last& last) {
        shown = shown || (!requests.empty() && requests.front().ready_at <= cycles_ && maybe());
        valid = shown;
        data = 0xDEADBEEFDEADBEEFull;
        if (!shown) return;
        if (const uint8_t* from = at(requests.front().address + 8 * beat, 8)) std::memcpy(&data, from, 8);
        id = requests.front().id;
        last = beat + 1 == requests.front().beats;
    }

    void store() {
        while (!writes_.empty() && !data_.empty()) {
            Request& burst = writes_.front();
            const Word word = data_.front();
            data_.pop_front();
            check(word.id == burst.id, "write data under another ID than their address");
            check(word.last == (burst.beats == 1), "WLAST is not at the last beat");
            if (uint8_t* to = at(burst.address, 8))
                for (int byte = 0; byte < 8; ++byte)
                    if (word.strobes >> byte & 1) to[byte] = uint8_t(word.data >> 8 * byte);
            burst.address += 8;
            if (--burst.beats == 0) {
                answers_.push_back({0, 0, burst.id, cycles_ + 10 + random_() % 8});
                writes_.pop_front();
            }
        }
    }

    bool write(uint32_t offset, uint32_t value) {
        top_.awaddr = offset, top_.wdata = value, top_.wstrb = 15, top_.awvalid = 1, top_.wvalid = 1, top_.bready = 1;
        bool address_open = true, data_open = true;
        for (int patience = 0; patience < 200; ++patience) {
            top_.awvalid = address_open, top_.wvalid = data_open;
            top_.eval();
            const bool address = top_.awvalid && top_.gp_awready, data = top_.wvalid && top_.gp_wready, done = top_.gp_bvalid;
            const bool good = top_.gp_bresp == 0 && top_.gp_bid == 0xC71;
            cycle();
            address_open = address_open && !address, data_open = data_open && !data;
            if (done) return top_.bready = 0, access(good);
        }
        return access(false);
    }

    bool read(uint32_t offset, uint32_t& value) {
        top_.araddr = offset, top_.rready = 1;
        bool open = true;
        for (int patience = 0; patience < 200; ++patience) {
            top_.arvalid = open;
            top_.eval();
            const bool asked = top_.arvalid && top_.gp_arready, done = top_.gp_rvalid;
            const bool good = top_.gp_rresp == 0 && top_.gp_rid == 0x5A3 && top_.gp_rlast;
            value = done ? top_.gp_rdata : value;
            cycle();
            open = open && !asked;
            if (done) return top_.rready = 0, access(good);
        }
        return access(false);
    }

    bool access(bool good) {
        if (!good && !wrong_) wrong_ = 3;
        return good;
    }

    struct Word {
        uint64_t data;
        uint8_t strobes;
        bool last;
        uint32_t id;
    };

    Voverlay_bench top_;
    uint32_t* words_;
    uint8_t* memory_;
    uint64_t base_, size_, limit_, cycles_ = 0;
    std::mt19937 random_;
    std::deque<Request> reads_[2], writes_, answers_;
    std::deque<Word> data_;
    uint32_t beat_[2] = {};
    bool shown_[2] = {}, answering_ = false;
    int wrong_ = 0;
};

}  // namespace

extern "C" int overlay_run(uint32_t* words, uint8_t* memory, uint64_t base, uint64_t size, uint32_t first_output, uint32_t end,
                           uint64_t limit, uint32_t seed) {
    return std::make_unique<Run>(words, memory, base, size, limit, seed)->run(first_output, end);
}
