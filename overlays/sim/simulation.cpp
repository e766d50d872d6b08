// The Verilated core between a processor and DDR, as a shared library with a C interface.
//
// A cycle: the core's inputs are set and settle while the clock is low; every model sees what both sides show; the clock
// rises. So nothing that a model answers depends on what the core shows in the same cycle, as behind registers.
// Not thread-safe: one call at a time for each simulation.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "Vsnn_core.h"
#include "bench.hpp"
#include "ddr.hpp"
#include "read_port.hpp"
#include "register_port.hpp"
#include "verilated.h"
#include "write_port.hpp"
#if VM_TRACE
#include "verilated_fst_c.h"
#endif
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

namespace {

using namespace snn_sim;

constexpr std::uint32_t RESET_CYCLES = 16;
constexpr std::uint32_t CONTROL = 0x00, CONTROL_START = 1, CONTROL_IDLE = 4;

enum Outcome : std::int32_t { STILL_RUNNING = 0, INTERRUPTED = 1, WAS_RESET = 2, VIOLATED = 3 };

thread_local std::string* stopped = nullptr;  // where the simulated design leaves word when it stops itself

class Simulation {
public:
    Simulation(const Memory& memory, const Settings& settings)
        : bench_(memory, settings), read0_(bench_, 0), read1_(bench_, 1), write_(bench_), registers_(bench_),
          ddr_(bench_, read0_, read1_, write_)
    {
#if VM_TRACE
        context_.traceEverOn(true);
#endif
        top_.reset(new Vsnn_core(&context_));
        reset();
    }

    ~Simulation()
    {
        end_trace();
        top_->final();
    }

    Simulation(const Simulation&) = delete;
    Simulation& operator=(const Simulation&) = delete;

    void set_faults(const Faults& faults)
    {
        bench_.faults = faults;
        bench_.chance.seed(faults.seed);
    }

    void reset()
    {
        top_->resetn = 0;
        for (std::uint32_t i = 0; i < RESET_CYCLES; ++i) {
            tick_in_reset();
        }
        top_->resetn = 1;
        bench_.running = false;
        bench_.problem.clear();
    }

    std::int32_t write_register(std::uint32_t offset, std::uint32_t value)
    {
        if (offset == CONTROL && (value & CONTROL_START) != 0 && !bench_.running) {
            begin_run();
        }
        registers_.begin_write(offset, value);
        return finish_access();
    }

    std::int32_t read_register(std::uint32_t offset, std::uint32_t* value)
    {
        registers_.begin_read(offset);
        const std::int32_t outcome = finish_access();
        *value = registers_.answer();
        if (offset == CONTROL && (*value & CONTROL_IDLE) != 0 && outcome == STILL_RUNNING) {
            end_run();
        }
        return bench_.problem.empty() ? STILL_RUNNING : VIOLATED;
    }

    void set_window(std::uint32_t name, const Window& window) { next_windows_[name] = window; }

    std::int32_t run(std::uint64_t most_cycles)
    {
        for (std::uint64_t i = 0; i < most_cycles && bench_.problem.empty(); ++i) {
            tick();
            if (bench_.faults.reset_at_cycle != 0 && bench_.running &&
                bench_.cycle - started_at_ >= bench_.faults.reset_at_cycle) {
                reset();
                return WAS_RESET;
            }
            if (top_->__SYM__interrupt != 0) {
                end_run();
                break;
            }
        }
        return !bench_.problem.empty() ? VIOLATED : top_->__SYM__interrupt != 0 ? INTERRUPTED : STILL_RUNNING;
    }

    const char* problem() const { return bench_.problem.c_str(); }

    Statistics statistics() const
    {
        Statistics result = bench_.statistics;
        result.cycles = bench_.cycle;
        return result;
    }

    bool begin_trace(const char* path, double clock_mhz)
    {
#if VM_TRACE
        end_trace();
        trace_.reset(new VerilatedFstC);
        trace_->set_time_unit("1ps");
        trace_->set_time_resolution("1ps");
        half_period_ps_ = static_cast<std::uint64_t>(500000.0 / clock_mhz);
        top_->trace(trace_.get(), 99);
        trace_->open(path);
        return trace_->isOpen();
#else
        (void)path;
        (void)clock_mhz;
        return false;
#endif
    }

    void end_trace()
    {
#if VM_TRACE
        if (trace_) {
            trace_->close();
            trace_.reset();
        }
#endif
    }

    bool write_coverage(const char* path)
    {
#if VM_COVERAGE
        context_.coveragep()->write(path);
        return true;
#else
        (void)path;
        return false;
#endif
    }

private:
    void begin_run()
    {
        std::copy(next_windows_, next_windows_ + WINDOWS, bench_.windows);
        bench_.read_beats_of_run = bench_.write_beats_of_run = 0;
        bench_.running = true;
        started_at_ = bench_.cycle;
    }

    void end_run()
    {
        if (bench_.running && !(read0_.idle() && read1_.idle() && write_.idle())) {
            bench_.violation("the core says that it is idle while bursts are outstanding");
        }
        bench_.running = false;
    }

    std::int32_t finish_access()
    {
        while (!registers_.done() && bench_.problem.empty()) {
            tick();
        }
        return bench_.problem.empty() ? STILL_RUNNING : VIOLATED;
    }

    void tick()
    {
        drive();
        lower_clock();
        clock_models();
        raise_clock();
    }

    // A core in reset is owed nothing and asks for nothing.
    void tick_in_reset()
    {
        read0_.reset();
        read1_.reset();
        write_.reset();
        registers_.reset();
        drive();
        lower_clock();
        raise_clock();
    }

    void lower_clock()
    {
        top_->clk = 0;
        evaluate();
    }

    void raise_clock()
    {
        top_->clk = 1;
        evaluate();
        ++bench_.cycle;
    }

    void evaluate()
    {
        stopped = &stop_message_;
        top_->eval();
        if (!stop_message_.empty()) {
            bench_.violation("%s", stop_message_.c_str());
            stop_message_.clear();
        }
#if VM_TRACE
        if (trace_) {
            trace_->dump(time_ps_);
        }
        time_ps_ += half_period_ps_;
#endif
    }

    void drive()
    {
        const RegisterPort::ToCore& control = registers_.outputs();
        top_->s_axi_awaddr = control.offset;
        top_->s_axi_awvalid = control.write_address_valid;
        top_->s_axi_wdata = control.data;
        top_->s_axi_wstrb = 0xf;
        top_->s_axi_wvalid = control.write_data_valid;
        top_->s_axi_bready = control.response_ready;
        top_->s_axi_araddr = control.offset;
        top_->s_axi_arvalid = control.read_address_valid;
        top_->s_axi_rready = control.data_ready;

        const ReadPort::ToCore& first = read0_.outputs();
        top_->m0_axi_arready = first.address_ready;
        top_->m0_axi_rvalid = first.data_valid;
        top_->m0_axi_rdata = first.data.word;
        top_->m0_axi_rresp = first.data.response;
        top_->m0_axi_rid = first.data.id;
        top_->m0_axi_rlast = first.data.last;

        const ReadPort::ToCore& second = read1_.outputs();
        top_->m1_axi_arready = second.address_ready;
        top_->m1_axi_rvalid = second.data_valid;
        top_->m1_axi_rdata = second.data.word;
        top_->m1_axi_rresp = second.data.response;
        top_->m1_axi_rid = second.data.id;
        top_->m1_axi_rlast = second.data.last;

        const WritePort::ToCore& write = write_.outputs();
        top_->m0_axi_awready = write.address_ready;
        top_->m0_axi_wready = write.data_ready;
        top_->m0_axi_bvalid = write.response_valid;
        top_->m0_axi_bresp = write.response;
        top_->m0_axi_bid = write.id;
    }

    void clock_models()
    {
        read0_.clock(
            {top_->m0_axi_arvalid != 0,
             {top_->m0_axi_araddr, top_->m0_axi_arlen, top_->m0_axi_arsize, top_->m0_axi_arburst, top_->m0_axi_arcache,
              top_->m0_axi_arprot, top_->m0_axi_arid},
             top_->m0_axi_rready != 0});
        read1_.clock(
            {top_->m1_axi_arvalid != 0,
             {top_->m1_axi_araddr, top_->m1_axi_arlen, top_->m1_axi_arsize, top_->m1_axi_arburst, top_->m1_axi_arcache,
              top_->m1_axi_arprot, top_->m1_axi_arid},
             top_->m1_axi_rready != 0});
        write_.clock(
            {top_->m0_axi_awvalid != 0,
             {top_->m0_axi_awaddr, top_->m0_axi_awlen, top_->m0_axi_awsize, top_->m0_axi_awburst, top_->m0_axi_awcache,
              top_->m0_axi_awprot, top_->m0_axi_awid},
             top_->m0_axi_wvalid != 0,
             {top_->m0_axi_wdata, top_->m0_axi_wstrb, top_->m0_axi_wid, top_->m0_axi_wlast != 0},
             top_->m0_axi_bready != 0});
        registers_.clock(
            {top_->s_axi_awready != 0, top_->s_axi_wready != 0, top_->s_axi_bvalid != 0, top_->s_axi_bresp,
             top_->s_axi_arready != 0, top_->s_axi_rvalid != 0, top_->s_axi_rdata, top_->s_axi_rresp});
        ddr_.clock();
    }

    Bench bench_;
    ReadPort read0_;
    ReadPort read1_;
    WritePort write_;
    RegisterPort registers_;
    Ddr ddr_;
    VerilatedContext context_;
    std::unique_ptr<Vsnn_core> top_;
    Window next_windows_[WINDOWS]{};
    std::uint64_t started_at_ = 0;
    std::string stop_message_;
#if VM_TRACE
    std::unique_ptr<VerilatedFstC> trace_;
    std::uint64_t half_period_ps_ = 5000;
    std::uint64_t time_ps_ = 0;
#endif
};

void leave_word(const char* what, const char* file, int line)
{
    if (stopped != nullptr && stopped->empty()) {
        *stopped = std::string(what) + " at " + file + ":" + std::to_string(line);
    }
}

}  // namespace

// What Verilator calls instead of ending the process (VL_USER_FINISH, VL_USER_STOP, VL_USER_FATAL).
void vl_finish(const char* file, int line, const char*) { leave_word("$finish", file, line); }
void vl_stop(const char* file, int line, const char*) { leave_word("assertion or $stop", file, line); }
void vl_fatal(const char* file, int line, const char*, const char* message) { leave_word(message, file, line); }

#define SNN_EXPORT extern "C" __attribute__((visibility("default")))

SNN_EXPORT void* snn_rtl_open(
    std::uint8_t* memory, std::uint64_t base, std::uint64_t bytes, const snn_sim::Settings* settings)
{
    return new Simulation({memory, base, bytes}, *settings);
}

SNN_EXPORT void snn_rtl_close(void* simulation) { delete static_cast<Simulation*>(simulation); }

SNN_EXPORT void snn_rtl_set_faults(void* simulation, const snn_sim::Faults* faults)
{
    static_cast<Simulation*>(simulation)->set_faults(*faults);
}

// The buffers of the next run: 0 program, 1 input, 2 workspace, 3 output.
SNN_EXPORT void snn_rtl_set_window(void* simulation, std::uint32_t name, std::uint64_t address, std::uint64_t bytes)
{
    static_cast<Simulation*>(simulation)->set_window(name, {address, bytes});
}

SNN_EXPORT void snn_rtl_reset(void* simulation) { static_cast<Simulation*>(simulation)->reset(); }

// The calls below return an Outcome.
SNN_EXPORT std::int32_t snn_rtl_write(void* simulation, std::uint32_t offset, std::uint32_t value)
{
    return static_cast<Simulation*>(simulation)->write_register(offset, value);
}

SNN_EXPORT std::int32_t snn_rtl_read(void* simulation, std::uint32_t offset, std::uint32_t* value)
{
    return static_cast<Simulation*>(simulation)->read_register(offset, value);
}

// Simulate until the core interrupts, at most so many cycles.
SNN_EXPORT std::int32_t snn_rtl_run(void* simulation, std::uint64_t most_cycles)
{
    return static_cast<Simulation*>(simulation)->run(most_cycles);
}

// The first violation, or an empty string; valid until the next call.
SNN_EXPORT const char* snn_rtl_problem(void* simulation) { return static_cast<Simulation*>(simulation)->problem(); }

SNN_EXPORT void snn_rtl_statistics(void* simulation, snn_sim::Statistics* statistics)
{
    *statistics = static_cast<Simulation*>(simulation)->statistics();
}

// 0 where the file cannot be written, or the library is built without tracing.
SNN_EXPORT std::int32_t snn_rtl_begin_trace(void* simulation, const char* path, double clock_mhz)
{
    return static_cast<Simulation*>(simulation)->begin_trace(path, clock_mhz) ? 1 : 0;
}

SNN_EXPORT void snn_rtl_end_trace(void* simulation) { static_cast<Simulation*>(simulation)->end_trace(); }

// 0 where the library is built without coverage.
SNN_EXPORT std::int32_t snn_rtl_write_coverage(void* simulation, const char* path)
{
    return static_cast<Simulation*>(simulation)->write_coverage(path) ? 1 : 0;
}
