// Milliseconds for one image of a VGG-11-shaped program: synthetic weights, maps filled with random spikes.
//
// Every layer reads a map prepared for it and writes to one that nobody reads, so that all layers see the firing rate
// asked for. Usage: benchmark [timesteps|binary] [rate] [images] [repetitions]; the rate is that of the bits in a plane:
// of spikes in timesteps coding, of the bits of spike counts in binary coding.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "packed_program.hpp"
#include "random_network.hpp"

namespace {

using snn_test::LayerSpec;
using snn_test::NetworkBuilder;

constexpr double PIXEL_BIT_RATE = 0.45;
constexpr double TIMESTEPS_RATE = 0.082;  // about 81 M additions, what a trained VGG-11 makes
constexpr double BINARY_RATE = 0.088;     // about 45 M
constexpr int COUNT_PLANES = 4;  // of counts from 0 to 8

struct VggLayer {
    int channels_in;
    int channels_out;
    int side;  // of the source
    bool pooled;
};

constexpr VggLayer VGG11[] = {{64, 128, 16, true},  {128, 256, 8, false}, {256, 256, 8, true}, {256, 512, 4, false},
                              {512, 512, 4, true}, {512, 512, 2, false}, {512, 512, 2, true}};

// Average pooling before the activation: the taps of the convolution at each place of the window.
void add_pooled_convolution(LayerSpec& layer, int kernel, int window, int blocks)
{
    for (int ky = 0; ky < kernel; ++ky) {
        for (int kx = 0; kx < kernel; ++kx) {
            for (int place = 0; place < window * window; ++place) {
                const int dy = place / window + ky - kernel / 2;
                const int dx = place % window + kx - kernel / 2;
                layer.taps.push_back({0, dy, dx, blocks * (ky * kernel + kx)});
            }
        }
    }
    layer.weight_blocks = kernel * kernel * blocks;
    layer.source[0].stride_y = layer.source[0].stride_x = window;
}

void add_layer(
    NetworkBuilder& builder, const snn_test::MapShape& shape, double rate, int kernel, int window, int channels_out)
{
    LayerSpec layer = builder.begin_layer(builder.add_given_map(shape, rate));
    layer.firing = snn::Firing::DEFERRED;
    layer.output_coding = shape.coding;
    layer.output_planes = shape.coding == snn::Coding::BINARY ? COUNT_PLANES : builder.timesteps;
    layer.output_channels = channels_out;
    layer.output_height = layer.output_width = shape.height / window;
    add_pooled_convolution(layer, kernel, window, (shape.channels + 31) / 32);
    builder.finish_layer(layer);
}

void add_readout(NetworkBuilder& builder, const snn_test::MapShape& shape, double rate)
{
    LayerSpec layer = builder.begin_layer(builder.add_given_map(shape, rate));
    layer.firing = snn::Firing::READOUT;
    layer.output_planes = 0;
    layer.output_channels = 10;
    layer.weight_blocks = 16;
    layer.taps = {{0, 0, 0, 0}};
    builder.finish_layer(layer);
}

snn_test::TestNetwork vgg11(snn::Coding coding, double rate, int images)
{
    NetworkBuilder builder(1, images);
    const int planes = coding == snn::Coding::BINARY ? COUNT_PLANES : builder.timesteps;
    add_layer(builder, {27, 32, 32, 8, snn::Coding::BINARY}, PIXEL_BIT_RATE, 1, 2, 64);
    for (const VggLayer& layer : VGG11) {
        add_layer(
            builder, {layer.channels_in, layer.side, layer.side, planes, coding}, rate, 3, layer.pooled ? 2 : 1,
            layer.channels_out);
    }
    add_readout(builder, {512, 1, 1, planes, coding}, rate);
    return builder.network;
}

// Milliseconds of processor time, which on a busy machine says more than the clock on the wall: a run is one thread.
double run_once(snn_test::PackedProgram& packed)
{
    const std::clock_t start = std::clock();
    const int code = packed.run();
    const double elapsed = 1000.0 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    if (code != 0) {
        std::fprintf(stderr, "error code %d\n", code);
        std::exit(1);
    }
    return elapsed;
}

std::uint64_t sum_of_counter(const snn_test::PackedProgram& packed, unsigned counter)
{
    std::uint64_t sum = 0;
    for (unsigned layer = 0; layer < packed.layer_count; ++layer) {
        sum += packed.counter(layer, counter);
    }
    return sum;
}

}  // namespace

int main(int argument_count, char** arguments)
{
    const bool binary = argument_count > 1 && std::string(arguments[1]) == "binary";
    const double rate = argument_count > 2 ? std::atof(arguments[2]) : (binary ? BINARY_RATE : TIMESTEPS_RATE);
    const int images = argument_count > 3 ? std::atoi(arguments[3]) : 1;
    const int repetitions = argument_count > 4 ? std::atoi(arguments[4]) : 21;
    snn_test::TestNetwork network =
        vgg11(binary ? snn::Coding::BINARY : snn::Coding::TIMESTEPS, rate, images);
    snn_test::PackedProgram packed = snn_test::Packer(network).pack();

    std::vector<double> times;
    for (int i = 0; i < repetitions; ++i) {
        times.push_back(run_once(packed) / images);
    }
    std::sort(times.begin(), times.end());
    const double million = 1e6 * images;
    std::printf(
        "VGG-11 shape, T = 8, %s coding, rate %.3f, batch %d: %.1f M additions, estimate %.3f M cycles per image\n",
        binary ? "binary" : "timesteps", rate, images,
        static_cast<double>(sum_of_counter(packed, snn::COUNTER_ADDITIONS)) / million,
        static_cast<double>(sum_of_counter(packed, snn::COUNTER_CYCLES)) / million);
    std::printf("host: median %.1f ms of processor time per image, best %.1f ms\n", times[times.size() / 2], times.front());
    return 0;
}
