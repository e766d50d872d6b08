#include "snn_core.hpp"

#include <cstdint>

#ifndef __SYNTHESIS__
#include <memory>
#include <new>
#endif

#include "checks.hpp"
#include "core_storage.hpp"
#include "cycle_model.hpp"
#include "gather_layer.hpp"
#include "max_pool_layer.hpp"
#include "program.hpp"
#include "snn_layout.hpp"
#include "tap_memory.hpp"

namespace snn {
namespace {

#ifdef SNN_BUILD_HASH
constexpr std::uint32_t BUILD_HASH = SNN_BUILD_HASH;
#else
constexpr std::uint32_t BUILD_HASH = 0;  // of a software model
#endif

Outcome write_counters(WritePort results, Run& run, const Header& header)
{
    const std::uint64_t offset = std::uint64_t{header.field[HEADER_OUTPUT_BYTES]} * run.images +
                                 std::uint64_t{COUNTER_RECORD_BYTES} * run.layer;
    std::uint64_t record[COUNTER_RECORD_BYTES / WORD_BYTES] = {};
    record[COUNTER_CYCLES] = run.counters.cycles;
    record[COUNTER_STALL_CYCLES] = run.counters.stall_cycles;
    record[COUNTER_ADDITIONS] = run.counters.additions;
    record[COUNTER_SPIKES] = run.counters.spikes;
    record[COUNTER_BYTES_READ] = run.counters.bytes_read;
    record[COUNTER_BYTES_WRITTEN] = run.counters.bytes_written;
    return fenced_write_words(results, run, Region::OUTPUT, offset, record, COUNTER_RECORD_BYTES / WORD_BYTES);
}

Outcome run_layer(
    ReadPort program, ReadPort maps, WritePort results, Run& run, const Header& header, CoreStorage& storage)
{
    Descriptor descriptor;
    Layer layer;
    Reach reach[SOURCE_COUNT];
    Outcome outcome = read_descriptor(program, run, run.layer, descriptor);
    if (!failed(outcome)) {
        outcome = check_descriptor(descriptor, header, run.layer, layer);
    }
    if (!failed(outcome)) {
        outcome = load_taps(program, run, header, layer, storage.taps);
    }
    if (!failed(outcome)) {
        find_reach(layer, storage.taps, reach);
        outcome = check_line_buffer(run, layer, reach);
    }
    if (!failed(outcome)) {
        outcome = check_fences(run, layer);
    }
    if (failed(outcome)) {
        return outcome;
    }
    start_layer(run);
    const bool gathers = layer.operation == Operation::GATHER;
    outcome = gathers ? run_gather_layer(program, maps, results, run, layer, reach, storage)
                      : run_max_pool_layer(maps, results, run, layer, reach, storage);
    return failed(outcome) ? outcome : write_counters(results, run, header);
}

Outcome run_program(ReadPort program, ReadPort maps, WritePort results, Run& run, CoreStorage& storage)
{
    Header header;
    Outcome outcome = check_program(program, run, header);
    run.finished_cycles = bus_cycles(run.counters.bytes_read);
    run.counters = LayerCounters{};
    if (failed(outcome)) {
        return outcome;
    }
layers:
    for (run.layer = 0; run.layer < header.field[HEADER_LAYER_COUNT]; ++run.layer) {
        outcome = run_layer(program, maps, results, run, header, storage);
        run.finished_cycles += run.counters.cycles;
        run.counters = LayerCounters{};
        if (failed(outcome)) {
            return outcome;
        }
    }
    return SUCCESS;
}

}  // namespace
}  // namespace snn

void snn_core(
    snn::ReadPort program_memory, snn::ReadPort map_memory, snn::WritePort result_memory,
    std::uint64_t program_address, std::uint32_t program_bytes, std::uint64_t input_address,
    std::uint32_t input_bytes, std::uint64_t workspace_address, std::uint32_t workspace_bytes,
    std::uint64_t output_address, std::uint32_t output_bytes, std::uint32_t images,
    std::uint32_t watchdog_cycles, std::uint32_t* core_id, std::uint32_t* core_version,
    std::uint32_t* build_hash, std::uint32_t* error_code, std::uint32_t* error_detail,
    std::uint32_t* cycles_low, std::uint32_t* cycles_high)
{
#pragma HLS INTERFACE m_axi port=program_memory offset=off bundle=program max_read_burst_length=16 depth=1024
#pragma HLS INTERFACE m_axi port=map_memory offset=off bundle=maps max_read_burst_length=16 depth=1024
#pragma HLS INTERFACE m_axi port=result_memory offset=off bundle=results max_write_burst_length=16 depth=1024
#pragma HLS INTERFACE s_axilite port=program_address
#pragma HLS INTERFACE s_axilite port=program_bytes
#pragma HLS INTERFACE s_axilite port=input_address
#pragma HLS INTERFACE s_axilite port=input_bytes
#pragma HLS INTERFACE s_axilite port=workspace_address
#pragma HLS INTERFACE s_axilite port=workspace_bytes
#pragma HLS INTERFACE s_axilite port=output_address
#pragma HLS INTERFACE s_axilite port=output_bytes
#pragma HLS INTERFACE s_axilite port=images
#pragma HLS INTERFACE s_axilite port=watchdog_cycles
#pragma HLS INTERFACE s_axilite port=core_id
#pragma HLS INTERFACE s_axilite port=core_version
#pragma HLS INTERFACE s_axilite port=build_hash
#pragma HLS INTERFACE s_axilite port=error_code
#pragma HLS INTERFACE s_axilite port=error_detail
#pragma HLS INTERFACE s_axilite port=cycles_low
#pragma HLS INTERFACE s_axilite port=cycles_high
#pragma HLS INTERFACE s_axilite port=return
    using namespace snn;

    Run run = {};
    run.window[static_cast<unsigned>(Region::PROGRAM)] = {program_address, program_bytes};
    run.window[static_cast<unsigned>(Region::INPUT)] = {input_address, input_bytes};
    run.window[static_cast<unsigned>(Region::WORKSPACE)] = {workspace_address, workspace_bytes};
    run.window[static_cast<unsigned>(Region::OUTPUT)] = {output_address, output_bytes};
    run.images = images;
    run.watchdog_cycles = watchdog_cycles;

#ifdef __SYNTHESIS__
    static CoreStorage storage;
    // A row is one wide word. Channel k of a block lives in bank k modulo 8, whose two ports feed the adder tree.
#pragma HLS DISAGGREGATE variable=storage
#pragma HLS AGGREGATE variable=storage.weights
#pragma HLS ARRAY_PARTITION variable=storage.weights type=cyclic factor=8 dim=1
#pragma HLS BIND_STORAGE variable=storage.weights type=ram_t2p impl=bram
#pragma HLS ARRAY_PARTITION variable=storage.parameters type=complete dim=0
#pragma HLS BIND_STORAGE variable=storage.line_buffer type=ram_2p impl=bram
    const Outcome outcome = run_program(program_memory, map_memory, result_memory, run, storage);
#else
    // On the heap, once for each run: two devices in two threads share nothing. Not cleared, because nothing is read from
    // it that the run has not written. Without memory for the core's memories there is no core to answer: a bus error.
    const std::unique_ptr<CoreStorage> storage(new (std::nothrow) CoreStorage);
    const Outcome outcome = storage ? run_program(program_memory, map_memory, result_memory, run, *storage)
                                    : Outcome{ErrorCode::BUS, 0};
#endif

    *core_id = CORE_ID;
    *core_version = LAYOUT_VERSION;
    *build_hash = BUILD_HASH;
    *error_code = static_cast<std::uint32_t>(outcome.code);
    *error_detail = outcome.detail;
    *cycles_low = static_cast<std::uint32_t>(run.finished_cycles);
    *cycles_high = static_cast<std::uint32_t>(run.finished_cycles >> 32);
}
