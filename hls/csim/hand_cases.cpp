// Cases small enough to be checked by hand, with the expected masks and numbers written out.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "cycle_model.hpp"
#include "packed_program.hpp"
#include "random_network.hpp"
#include "report.hpp"
#include "test_network.hpp"

namespace snn_test {
namespace {

// One place, one tap: two input channels with the weights 3 and -2 on every output channel.
TestNetwork two_inputs(int timesteps, int input_planes, snn::Coding coding, const char* first, const char* second)
{
    TestNetwork network;
    MapSpec input;
    DenseMap map(2, 1, 1, input_planes);
    for (int p = 0; first[p] != 0; ++p) {
        map.at(0, 0, 0, p) = first[p] == '1';
        map.at(1, 0, 0, p) = second[p] == '1';
    }
    input.images = {map};
    network.maps = {input, MapSpec{}};
    network.maps[1].given = false;

    LayerSpec layer;
    layer.timesteps = timesteps;
    layer.input_coding = coding;
    layer.input_planes = input_planes;
    layer.output_planes = timesteps + timesteps % 2;
    layer.source[0] = {0, 1, 1, 1, 1};
    layer.taps = {{0, 0, 0, 0}};
    layer.weight_blocks = 1;
    layer.weights.assign(32, 0);
    layer.weights[0] = 3;
    layer.weights[1] = -2;
    layer.parameters = {ChannelParameters{}};
    layer.output_map = 1;
    network.layers = {layer};
    return network;
}

std::uint32_t output_word(const PackedProgram& packed, const Placement& placement, unsigned index)
{
    const std::size_t start = packed.buffer_offset[static_cast<int>(placement.region)] + placement.offset;
    std::uint32_t word;
    std::memcpy(&word, packed.memory.data() + start + 4 * index, 4);
    return word;
}

// Runs and compares the output planes of channel 0, written as a string of their bits.
void expect_planes(Report& report, TestNetwork network, const std::string& expected, const std::string& name)
{
    PackedProgram packed = Packer(network).pack();
    report.equal(static_cast<std::uint64_t>(packed.run()), 0, name + ": error code");
    std::string found;
    for (int p = 0; p < network.layers[0].output_planes; ++p) {
        found += output_word(packed, network.maps[1].placement, static_cast<unsigned>(p)) == 0 ? '0' : '1';
    }
    report.check(found == expected, name + ": planes " + found + ", expected " + expected);
}

// Currents 3, 1, 0, -2, 3 and threshold 2: potentials 3 (fires, 1), 2 (fires, 0), 0, -2, 1. Plane 5 is padding.
void soft_reset(Report& report)
{
    TestNetwork network = two_inputs(5, 6, snn::Coding::TIMESTEPS, "11001", "01010");
    network.layers[0].parameters[0].threshold = 2;
    expect_planes(report, network, "110000", "soft reset");
}

// The same currents, but nothing remains after a spike: 3 (fires, 0), 1, 1, -1, 2 (fires).
void hard_reset(Report& report)
{
    TestNetwork network = two_inputs(5, 6, snn::Coding::TIMESTEPS, "11001", "01010");
    network.layers[0].parameters[0].threshold = 2;
    network.layers[0].hard_reset = true;
    expect_planes(report, network, "100010", "hard reset");
}

// initial -5, leak 1, bias 1: -5 + 3 = -2, because -5 >> 1 is -3; then 1 from 3; so
// t0: -2 + 3 + 1 = 2; t1: 1 + 3 + 1 = 5 (fires at 5, 0); t2: 0 + 0 + 1 = 1; t3: 1 - 0 + 3 + 1 = 5 (fires).
void leak_rounds_towards_minus_infinity(Report& report)
{
    TestNetwork network = two_inputs(4, 4, snn::Coding::TIMESTEPS, "1101", "0000");
    network.layers[0].leak_shift = 1;
    network.layers[0].parameters[0] = {-5, 1, 5, 0};
    expect_planes(report, network, "0101", "leak");
}

// Currents 3, 3, -2, 3 sum to 7; with initial 1 and threshold 3 that is two spikes, fired first.
void deferred_firing(Report& report)
{
    TestNetwork network = two_inputs(4, 4, snn::Coding::TIMESTEPS, "1101", "0010");
    network.layers[0].firing = snn::Firing::DEFERRED;
    network.layers[0].parameters[0] = {1, 0, 3, 0};
    expect_planes(report, network, "1100", "deferred firing");
    network.layers[0].output_coding = snn::Coding::BINARY;
    network.layers[0].output_planes = 4;
    expect_planes(report, network, "0010", "deferred firing, counts");
}

// Pixels 6 = 0110 and 5 = 0101: 3 * 6 - 2 * 5 = 8 at every timestep. With threshold 10: 8, 16 (6), 14 (4), 12 (2).
void direct_coding(Report& report)
{
    TestNetwork network = two_inputs(4, 4, snn::Coding::BINARY, "0110", "0101");
    network.layers[0].parameters[0].threshold = 10;
    expect_planes(report, network, "0111", "direct coding");
}

// Currents (3 << 2) and then 100 of the shortcut.
void fraction_bits_and_shortcut(Report& report)
{
    TestNetwork network = two_inputs(2, 2, snn::Coding::TIMESTEPS, "10", "00");
    MapSpec second;
    DenseMap map(1, 1, 1, 2);
    map.at(0, 0, 0, 1) = 1;
    second.images = {map};
    network.maps.push_back(second);
    network.layers[0].shortcut = true;
    network.layers[0].source[1] = {2, 1, 1, 1, 1};
    network.layers[0].fraction_bits = 2;
    network.layers[0].parameters[0] = {0, 0, 12, 100};
    expect_planes(report, network, "11", "12 reaches 12");
    network.layers[0].parameters[0] = {0, 0, 13, 100};
    expect_planes(report, network, "01", "12 does not reach 13, 112 does");
    network.layers[0].parameters[0] = {0, 0, 113, 100};
    expect_planes(report, network, "00", "112 does not reach 113");
}

// 3 * 6 - 2 * 5 = 8, and an initial potential of -10.
void readout(Report& report)
{
    TestNetwork network = two_inputs(8, 4, snn::Coding::BINARY, "0110", "0101");
    network.layers[0].firing = snn::Firing::READOUT;
    network.layers[0].output_planes = 0;
    network.layers[0].output_map = -1;
    network.layers[0].parameters[0].initial = -10;
    network.maps.pop_back();
    PackedProgram packed = Packer(network).pack();
    report.equal(static_cast<std::uint64_t>(packed.run()), 0, "readout: error code");
    Placement output;
    output.region = snn::Region::OUTPUT;
    output.offset = packed.word(PackedProgram::field_offset(0, snn::FIELD_OUTPUT_OFFSET));
    report.equal(output_word(packed, output, 0), static_cast<std::uint32_t>(-2), "readout: logit");
    report.equal(output_word(packed, output, 1), 0, "readout: lane without a channel");
    report.equal(packed.counter(0, snn::COUNTER_ADDITIONS), 4, "readout: additions");
    report.equal(packed.counter(0, snn::COUNTER_SPIKES), 0, "readout: spikes");
}

// The registers that a driver looks at first, and the estimate of a run that can be worked out by hand.
void registers(Report& report)
{
    TestNetwork network = two_inputs(2, 2, snn::Coding::TIMESTEPS, "11", "01");
    PackedProgram packed = Packer(network).pack();
    report.equal(static_cast<std::uint64_t>(packed.run()), 0, "registers: error code");
    report.equal(packed.output_register(snn::REGISTER_CORE_ID), snn::CORE_ID, "core_id");
    report.equal(packed.output_register(snn::REGISTER_CORE_VERSION), snn::LAYOUT_VERSION, "core_version");
    report.equal(snn_core_layout_version(), snn::LAYOUT_VERSION, "layout version of the library");
    report.equal(packed.output_register(snn::REGISTER_BUILD_HASH), 0, "build_hash of a software model");
    report.equal(packed.output_register(snn::REGISTER_ERROR_DETAIL), 0, "error_detail");
    // Descriptor, tap, group of one block, and one place of one block; one place of two planes.
    const std::uint64_t bytes_of_group = 512 + 1024 + 8;
    report.equal(packed.counter(0, snn::COUNTER_BYTES_READ), 192 + 8 + bytes_of_group, "bytes_read");
    report.equal(packed.counter(0, snn::COUNTER_BYTES_WRITTEN), 8, "bytes_written");
    // Two timesteps of three cycles are longer than the pops; the rest is the start of the layer and waiting for the bus.
    const std::uint64_t bus = ((bytes_of_group + 8) * 100 + 14 * 98 - 1) / (14 * 98);
    report.equal(packed.counter(0, snn::COUNTER_CYCLES), 140 + bus, "cycles");
    report.equal(packed.counter(0, snn::COUNTER_STALL_CYCLES), 140 + bus - 2 * 3, "stall_cycles");
}

// The popper, bank by bank and cycle by cycle. A bank takes its channels of the pair of words at the head in its last
// cycle with those before; the next pair comes to the head a cycle after all banks have taken this one.
std::uint32_t cycles_by_stepping(const std::vector<std::uint64_t>& words)
{
    std::uint32_t left[8] = {};
    bool taken[8] = {};
    std::size_t head = 0;
    for (std::uint32_t cycle = 0;; ++cycle) {
        bool through = head == words.size();
        bool all_taken = true;
        for (unsigned bank = 0; bank < 8; ++bank) {
            const bool last_pop = left[bank] <= 2;
            through = through && last_pop;
            left[bank] -= std::min(left[bank], 2u);
            std::uint32_t pops = 0;
            for (std::size_t word = head; word < std::min(head + 2, words.size()); ++word) {
                for (unsigned channel = bank; channel < 32; channel += 8) {
                    pops += (words[word] >> channel & 1) != 0 || (words[word] >> (32 + channel) & 1) != 0;
                }
            }
            if (!taken[bank] && (last_pop || pops == 0)) {
                taken[bank] = true;
                left[bank] = pops == 0 ? left[bank] : pops;
            }
            all_taken = all_taken && taken[bank];
        }
        if (through) {
            return std::max(cycle, 1u);
        }
        if (all_taken && head < words.size()) {
            head += 2;
            std::fill(taken, taken + 8, false);
        }
    }
}

void cycles_of_words(Report& report)
{
    Random random(3);
    for (int i = 0; i < 2000; ++i) {
        std::vector<std::uint64_t> words;
        snn::PassCycles pass;
        const int thinning = random.between(0, 4);
        for (int pairs = random.between(0, 12); pairs > 0; --pairs) {
            std::uint64_t pair[2] = {random.next(), random.next()};
            for (int j = 0; j < thinning; ++j) {
                pair[0] &= random.next();
                pair[1] &= random.next();
            }
            if ((pair[0] | pair[1]) != 0) {
                words.insert(words.end(), pair, pair + 2);
                pass.pop(pair[0], pair[1]);
            }
        }
        report.equal(pass.popping(), cycles_by_stepping(words), "cycles of " + std::to_string(words.size()) + " words");
    }
}

}  // namespace

void run_hand_cases(Report& report)
{
    soft_reset(report);
    hard_reset(report);
    leak_rounds_towards_minus_infinity(report);
    deferred_firing(report);
    direct_coding(report);
    fraction_bits_and_shortcut(report);
    readout(report);
    registers(report);
    cycles_of_words(report);
}

}  // namespace snn_test
