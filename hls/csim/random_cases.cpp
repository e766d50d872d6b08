// The core against the dense model: outputs byte for byte, everything outside of them untouched, exact counters.
#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "packed_program.hpp"
#include "random_network.hpp"
#include "report.hpp"

namespace snn_test {
namespace {

constexpr int RANDOM_LAYERS = 400;

void compare_with_golden(Report& report, TestNetwork network, const std::string& name)
{
    Packer packer(network);
    PackedProgram packed = packer.pack();
    const std::vector<GoldenResult> golden = run_golden(network);
    std::vector<std::uint8_t> expected = packer.expected_memory(golden);

    report.equal(static_cast<std::uint64_t>(packed.run()), 0, name + ": error code");
    for (unsigned i = 0; i < golden.size(); ++i) {
        const std::string layer = name + ", layer " + std::to_string(i);
        report.equal(packed.counter(i, snn::COUNTER_ADDITIONS), golden[i].additions, layer + ": additions");
        report.equal(packed.counter(i, snn::COUNTER_SPIKES), golden[i].spikes, layer + ": spikes");
    }
    const std::size_t counters = packed.buffer_offset[3] + packed.output_bytes * packed.images;
    const std::size_t counter_bytes = golden.size() * snn::COUNTER_RECORD_BYTES;
    std::copy_n(packed.memory.begin() + static_cast<std::ptrdiff_t>(counters), counter_bytes,
        expected.begin() + static_cast<std::ptrdiff_t>(counters));
    const auto difference = std::mismatch(expected.begin(), expected.end(), packed.memory.begin());
    report.check(
        difference.first == expected.end(),
        name + ": memory differs at byte " + std::to_string(difference.first - expected.begin()));
}

// Rows in reach that nearly fill the line buffer.
TestNetwork wide_network()
{
    NetworkBuilder builder(11, 2);
    builder.timesteps = 32;
    const int source = builder.add_given_map({40, 3, 170, 32, snn::Coding::TIMESTEPS}, 0.1);
    LayerSpec layer = builder.begin_layer(source);
    layer.output_channels = 5;
    layer.output_height = 2;
    layer.output_width = 9;
    layer.source[0].stride_x = 20;
    builder.add_convolution(layer, 3);
    builder.finish_layer(layer);
    return builder.network;
}

// Output rows of several bursts: spikes, logits, and pooled spikes.
TestNetwork wide_output_network(snn::Operation operation, snn::Firing firing)
{
    NetworkBuilder builder(15, 2);
    builder.timesteps = 31;
    const int source = builder.add_given_map({33, 2, 50, 32, snn::Coding::TIMESTEPS}, 0.1);
    LayerSpec layer = builder.begin_layer(source);
    layer.operation = operation;
    layer.firing = firing;
    layer.output_planes = firing == snn::Firing::READOUT ? 0 : 32;
    layer.output_channels = 33;
    layer.output_height = 2;
    layer.output_width = 50;
    layer.weight_blocks = operation == snn::Operation::GATHER ? 2 : 0;
    layer.taps = {{0, 0, 0, 0}, {0, 0, 1, 0}};
    builder.finish_layer(layer);
    return builder.network;
}

// As many input channels as there can be, at more places than one gathering queue holds.
TestNetwork deep_network()
{
    NetworkBuilder builder(12, 1);
    builder.timesteps = 3;
    const int source = builder.add_given_map({2048, 3, 3, 4, snn::Coding::TIMESTEPS}, 0.3);
    LayerSpec layer = builder.begin_layer(source);
    layer.firing = snn::Firing::DEFERRED;
    layer.output_channels = 33;
    layer.weight_blocks = snn::MAX_WEIGHT_BLOCKS;
    layer.taps = {{0, 0, 0, 0}, {0, 0, 1, 64}, {0, 0, 2, 128}, {0, 1, 0, 192}, {0, 1, 1, 100}, {0, 1, 2, 0},
                  {0, 2, 0, 1}, {0, 2, 1, 2}, {0, 2, 2, 191}, {0, 0, 0, 5}};
    builder.finish_layer(layer);
    return builder.network;
}

// As many taps as the tap memory holds.
TestNetwork many_taps_network(snn::Operation operation)
{
    NetworkBuilder builder(13, 2);
    builder.timesteps = 2;
    const int source = builder.add_given_map({7, 33, 33, 2, snn::Coding::TIMESTEPS}, 0.001);
    LayerSpec layer = builder.begin_layer(source);
    layer.operation = operation;
    layer.output_channels = 7;
    layer.output_height = layer.output_width = 2;
    layer.weight_blocks = operation == snn::Operation::GATHER ? 1 : 0;
    for (int dy = 0; dy < 32; ++dy) {
        for (int dx = 0; dx < 32; ++dx) {
            layer.taps.push_back({0, dy, dx, 0});
        }
    }
    builder.finish_layer(layer);
    return builder.network;
}

// Taps far outside of every map.
TestNetwork distant_taps_network()
{
    NetworkBuilder builder(14, 1);
    const int source = builder.add_given_map({32, 4, 4, 8, snn::Coding::TIMESTEPS}, 0.5);
    LayerSpec layer = builder.begin_layer(source);
    layer.output_channels = 32;
    layer.output_height = layer.output_width = 4;
    layer.source[0].stride_y = layer.source[0].stride_x = 256;
    layer.weight_blocks = 1;
    layer.taps = {{0, -32768, 0, 0}, {0, 32767, 0, 0}, {0, 0, -32768, 0}, {0, 0, 32767, 0}, {0, -256, -512, 0}};
    builder.finish_layer(layer);
    return builder.network;
}

}  // namespace

void run_random_networks(Report& report)
{
    for (int seed = 0; seed < RANDOM_LAYERS; ++seed) {
        compare_with_golden(
            report, RandomLayer(static_cast<std::uint64_t>(seed)).build(), "random layer " + std::to_string(seed));
    }
    for (int timesteps : {1, 2, 3, 8}) {
        const std::string name = "residual network, T = " + std::to_string(timesteps);
        const std::uint64_t seed = static_cast<std::uint64_t>(timesteps);
        compare_with_golden(report, residual_network(seed, timesteps, snn::Firing::STEPWISE, 3), name + ", stepwise");
        compare_with_golden(report, residual_network(seed, timesteps, snn::Firing::DEFERRED, 2), name + ", deferred");
    }
    compare_with_golden(report, wide_network(), "wide map");
    compare_with_golden(
        report, wide_output_network(snn::Operation::GATHER, snn::Firing::STEPWISE), "wide output, spikes");
    compare_with_golden(
        report, wide_output_network(snn::Operation::GATHER, snn::Firing::READOUT), "wide output, logits");
    compare_with_golden(
        report, wide_output_network(snn::Operation::MAX_POOL, snn::Firing::STEPWISE), "wide output, max pooling");
    compare_with_golden(report, deep_network(), "deep map");
    compare_with_golden(report, many_taps_network(snn::Operation::GATHER), "many taps");
    compare_with_golden(report, many_taps_network(snn::Operation::MAX_POOL), "many taps, max pooling");
    compare_with_golden(report, distant_taps_network(), "distant taps");
}

void run_two_at_once(Report& report)
{
    TestNetwork networks[2] = {
        residual_network(21, 8, snn::Firing::STEPWISE, 2), residual_network(22, 8, snn::Firing::DEFERRED, 2)};
    Packer packers[2] = {Packer(networks[0]), Packer(networks[1])};
    PackedProgram alone[2] = {packers[0].pack(), packers[1].pack()};
    PackedProgram together[2] = {alone[0], alone[1]};
    alone[0].run();
    alone[1].run();
    std::thread other([&] { together[0].run(); });
    together[1].run();
    other.join();
    report.check(alone[0].memory == together[0].memory, "two cores at once: the first one's memory");
    report.check(alone[1].memory == together[1].memory, "two cores at once: the second one's memory");
}

}  // namespace snn_test
