// Networks for the C simulation, in plain dense arrays: nothing here knows masks, blocks or groups.
#ifndef SNN_TEST_NETWORK_HPP
#define SNN_TEST_NETWORK_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

#include "snn_layout.hpp"

namespace snn_test {

// A bit for each channel, place and plane.
struct DenseMap {
    int channels = 0;
    int height = 0;
    int width = 0;
    int planes = 0;
    std::vector<std::uint8_t> bits;

    DenseMap() = default;
    DenseMap(int channels_, int height_, int width_, int planes_)
        : channels(channels_), height(height_), width(width_), planes(planes_),
          bits(static_cast<std::size_t>(channels_) * height_ * width_ * planes_)
    {
    }

    std::size_t index(int c, int y, int x, int p) const
    {
        return ((static_cast<std::size_t>(c) * height + y) * width + x) * planes + p;
    }
    std::uint8_t& at(int c, int y, int x, int p) { return bits[index(c, y, x, p)]; }
    int at(int c, int y, int x, int p) const { return bits[index(c, y, x, p)]; }
};

// Where a map lies; the packer fills it in.
struct Placement {
    snn::Region region = snn::Region::INPUT;
    std::uint32_t offset = 0;
    std::uint32_t image_bytes = 0;
    std::uint32_t block_bytes = 0;
    std::uint32_t row_bytes = 0;
};

// A map of the network: given, or computed by a layer.
struct MapSpec {
    bool given = true;
    snn::Region region = snn::Region::INPUT;
    std::vector<DenseMap> images;
    Placement placement;
};

struct TapSpec {
    int source;
    int dy;
    int dx;
    int weight_block;
};

// How a layer looks at one of its sources. `height` and `width` may be smaller than those of the map.
struct SourceSpec {
    int map = -1;  // index into TestNetwork::maps; -1: absent
    int height = 0;
    int width = 0;
    int stride_y = 0;
    int stride_x = 0;
};

struct ChannelParameters {
    std::int32_t initial = 0;
    std::int32_t bias = 0;
    std::int32_t threshold = 1;
    std::int32_t shortcut = 0;
};

struct LayerSpec {
    snn::Operation operation = snn::Operation::GATHER;
    snn::Firing firing = snn::Firing::STEPWISE;
    bool hard_reset = false;
    int leak_shift = 0;
    snn::Coding input_coding = snn::Coding::TIMESTEPS;
    snn::Coding output_coding = snn::Coding::TIMESTEPS;
    int timesteps = 1;
    int fraction_bits = 0;
    int input_planes = 2;
    int output_planes = 2;
    bool shortcut = false;
    SourceSpec source[2];
    std::vector<TapSpec> taps;
    int weight_blocks = 0;
    int output_channels = 1;
    int output_height = 1;
    int output_width = 1;
    int output_map = -1;  // of spikes; -1 for a readout
    std::vector<std::int8_t> weights;  // [output channel][weight block][input channel of the block]
    std::vector<ChannelParameters> parameters;

    std::int8_t weight(int channel, int weight_row) const
    {
        return weights[static_cast<std::size_t>(channel) * weight_blocks * 32 + weight_row];
    }
};

struct TestNetwork {
    int image_count = 1;
    std::vector<MapSpec> maps;
    std::vector<LayerSpec> layers;
};

}  // namespace snn_test

#endif  // SNN_TEST_NETWORK_HPP
