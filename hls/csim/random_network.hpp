// Random networks over all features of a layer.
#ifndef SNN_RANDOM_NETWORK_HPP
#define SNN_RANDOM_NETWORK_HPP

#include <algorithm>
#include <cstdint>
#include <vector>

#include "test_network.hpp"

namespace snn_test {

class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next()
    {
        state_ += 0x9e3779b97f4a7c15ull;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }

    int between(int low, int high)
    {
        return low + static_cast<int>(next() % static_cast<std::uint64_t>(high - low + 1));
    }

    bool chance(double probability) { return static_cast<double>(next() >> 11) < probability * 9007199254740992.0; }

    template <typename Value, std::size_t COUNT>
    Value pick(const Value (&values)[COUNT])
    {
        return values[next() % COUNT];
    }

private:
    std::uint64_t state_;
};

inline int even(int planes) { return planes + planes % 2; }

inline int bit_length(int value)
{
    int bits = 0;
    while (value >> bits != 0) {
        ++bits;
    }
    return bits;
}

// What a layer must know of a map before its contents exist.
struct MapShape {
    int channels;
    int height;
    int width;
    int planes;
    snn::Coding coding;
};

class NetworkBuilder {
public:
    NetworkBuilder(std::uint64_t seed, int image_count) : random(seed) { network.image_count = image_count; }

    int timesteps = 8;
    TestNetwork network;
    Random random;
    std::vector<MapShape> shapes;

    // A given map with random contents. Spike trains leave the padding planes empty.
    int add_given_map(const MapShape& shape, double rate)
    {
        MapSpec map;
        map.region = random.chance(0.5) ? snn::Region::INPUT : snn::Region::WORKSPACE;
        for (int image = 0; image < network.image_count; ++image) {
            DenseMap dense(shape.channels, shape.height, shape.width, shape.planes);
            for (std::size_t i = 0; i < dense.bits.size(); ++i) {
                const int plane = static_cast<int>(i % static_cast<std::size_t>(shape.planes));
                const bool padding = shape.coding == snn::Coding::TIMESTEPS && plane >= timesteps;
                dense.bits[i] = !padding && random.chance(rate);
            }
            map.images.push_back(dense);
        }
        return add_map(map, shape);
    }

    // A layer that reads one source at all places, as its owner shapes it afterwards.
    LayerSpec begin_layer(int source_map) const
    {
        const MapShape& shape = shapes[static_cast<std::size_t>(source_map)];
        LayerSpec layer;
        layer.timesteps = timesteps;
        layer.input_coding = shape.coding;
        layer.input_planes = shape.planes;
        layer.output_planes = even(timesteps);
        layer.source[0] = whole_map(source_map);
        return layer;
    }

    SourceSpec whole_map(int map) const
    {
        const MapShape& shape = shapes[static_cast<std::size_t>(map)];
        return {map, shape.height, shape.width, 1, 1};
    }

    int blocks_of(const LayerSpec& layer, int source) const
    {
        return (shapes[static_cast<std::size_t>(layer.source[source].map)].channels + 31) / 32;
    }

    // Taps of a convolution over source 0 with as much padding as leaves the size alone at stride 1.
    void add_convolution(LayerSpec& layer, int kernel) const
    {
        const int blocks = blocks_of(layer, 0);
        for (int ky = 0; ky < kernel; ++ky) {
            for (int kx = 0; kx < kernel; ++kx) {
                layer.taps.push_back({0, ky - kernel / 2, kx - kernel / 2, layer.weight_blocks});
                layer.weight_blocks += blocks;
            }
        }
    }

    void add_random_taps(LayerSpec& layer, int count)
    {
        const bool two_sources = layer.source[1].map >= 0 && !layer.shortcut;
        const int most_blocks = std::max(blocks_of(layer, 0), two_sources ? blocks_of(layer, 1) : 0);
        if (layer.operation == snn::Operation::GATHER) {
            layer.weight_blocks = most_blocks + random.between(0, 4);
        }
        for (int i = 0; i < count; ++i) {
            const int source = two_sources ? random.between(0, 1) : 0;
            const SourceSpec& spec = layer.source[source];
            const int last_block = std::max(0, layer.weight_blocks - blocks_of(layer, source));
            layer.taps.push_back(
                {source, random.between(-3, spec.height + 1), random.between(-3, spec.width + 1),
                 random.between(0, last_block)});
        }
    }

    // Random weights and parameters, small enough that nothing overflows; then the layer joins the network.
    int finish_layer(LayerSpec& layer)
    {
        if (layer.operation == snn::Operation::GATHER) {
            fill_weights(layer);
        }
        int map = -1;
        if (layer.firing != snn::Firing::READOUT) {
            MapSpec output;
            output.given = false;
            map = add_map(
                output, {layer.output_channels, layer.output_height, layer.output_width, layer.output_planes,
                         layer.output_coding});
        }
        layer.output_map = map;
        network.layers.push_back(layer);
        return map;
    }

private:
    int add_map(const MapSpec& map, const MapShape& shape)
    {
        network.maps.push_back(map);
        shapes.push_back(shape);
        return static_cast<int>(shapes.size()) - 1;
    }

    int channels_seen(const LayerSpec& layer) const
    {
        int channels = 0;
        for (const TapSpec& tap : layer.taps) {
            channels += shapes[static_cast<std::size_t>(layer.source[tap.source].map)].channels;
        }
        return channels;
    }

    static constexpr int FEWEST_WEIGHT_STEPS = 8;  // fraction bits make way for them

    void fill_weights(LayerSpec& layer)
    {
        const std::int64_t largest_value =
            layer.input_coding == snn::Coding::BINARY ? (std::int64_t{1} << layer.input_planes) - 1 : 1;
        const std::int64_t steps = largest_value * layer.timesteps;
        const std::int64_t room = (std::int64_t{1} << 28) / (steps * channels_seen(layer));
        while (layer.fraction_bits > 0 && room >> layer.fraction_bits < FEWEST_WEIGHT_STEPS) {
            --layer.fraction_bits;
        }
        const int limit = static_cast<int>(std::min<std::int64_t>(127, room >> layer.fraction_bits));
        layer.weights.resize(static_cast<std::size_t>(layer.output_channels) * layer.weight_blocks * 32);
        for (std::int8_t& weight : layer.weights) {
            weight = static_cast<std::int8_t>(random.between(-limit, limit));
        }
        const int current = std::max(4, limit * channels_seen(layer) / 8) << layer.fraction_bits;
        const int shortcut_limit = static_cast<int>(std::min<std::int64_t>(current, (1 << 28) / steps));
        for (int c = 0; c < layer.output_channels; ++c) {
            ChannelParameters parameters;
            parameters.initial = random.between(-current, current);
            parameters.threshold = random.between(1, 2 * current);
            parameters.shortcut = layer.shortcut ? random.between(-shortcut_limit, shortcut_limit) : 0;
            if (layer.firing == snn::Firing::STEPWISE) {
                parameters.bias = random.between(-current / 4, current / 4);
            }
            layer.parameters.push_back(parameters);
        }
    }
};

// One layer with random features over given maps.
class RandomLayer {
public:
    explicit RandomLayer(std::uint64_t seed) : builder_(seed, 1) {}

    TestNetwork build()
    {
        builder_.network.image_count = random().chance(0.3) ? random().between(2, 4) : 1;
        const int timesteps[] = {1, 2, 3, 4, 5, 7, 8, 8, 8, 16, 31, 32};
        builder_.timesteps = random().pick(timesteps);
        const bool max_pool = random().chance(0.15);
        MapShape shape = random_shape(max_pool);
        LayerSpec layer = builder_.begin_layer(builder_.add_given_map(shape, random_rate()));
        see_less_of_map(layer.source[0]);
        if (max_pool) {
            choose_max_pool(layer, shape);
        } else {
            choose_neurons(layer, shape);
        }
        builder_.add_random_taps(layer, random().between(1, random().chance(0.2) ? 40 : 10));
        builder_.finish_layer(layer);
        return builder_.network;
    }

private:
    Random& random() { return builder_.random; }

    double random_rate()
    {
        const double rates[] = {0.0, 0.02, 0.1, 0.1, 0.5, 1.0};
        return random().pick(rates);
    }

    int random_channels() { return random().chance(0.2) ? 32 * random().between(1, 3) : random().between(1, 90); }

    MapShape random_shape(bool max_pool)
    {
        MapShape shape;
        shape.channels = random_channels();
        shape.height = random().between(1, 9);
        shape.width = random().between(1, 9);
        shape.coding = random().chance(0.4) ? snn::Coding::BINARY : snn::Coding::TIMESTEPS;
        const int spare = max_pool ? 0 : 2 * random().between(0, 1);
        const int least = max_pool ? even(bit_length(builder_.timesteps)) / 2 : 1;
        shape.planes = shape.coding == snn::Coding::BINARY ? 2 * random().between(least, 5)
                                                           : std::min(32, even(builder_.timesteps) + spare);
        return shape;
    }

    void see_less_of_map(SourceSpec& source)
    {
        source.height -= source.height > 1 && random().chance(0.3) ? 1 : 0;
        source.width -= source.width > 1 && random().chance(0.3) ? 1 : 0;
        source.stride_y = random().between(1, 3);
        source.stride_x = random().between(1, 3);
    }

    void choose_max_pool(LayerSpec& layer, const MapShape& shape)
    {
        layer.operation = snn::Operation::MAX_POOL;
        layer.output_coding = shape.coding;
        layer.output_planes = shape.planes;
        layer.output_channels = shape.channels;
        layer.output_height = random().between(1, 6);
        layer.output_width = random().between(1, 6);
    }

    void choose_firing(LayerSpec& layer)
    {
        const snn::Firing firings[] = {snn::Firing::STEPWISE, snn::Firing::DEFERRED, snn::Firing::READOUT};
        layer.firing = random().pick(firings);
        if (layer.firing == snn::Firing::STEPWISE) {
            layer.leak_shift = random().chance(0.4) ? random().between(1, 15) : 0;
            layer.hard_reset = random().chance(0.3);
        } else if (layer.firing == snn::Firing::READOUT) {
            layer.output_planes = 0;
        } else if (random().chance(0.5)) {
            layer.output_coding = snn::Coding::BINARY;
            layer.output_planes = even(bit_length(layer.timesteps)) + 2 * random().between(0, 1);
        }
    }

    void choose_neurons(LayerSpec& layer, const MapShape& shape)
    {
        choose_firing(layer);
        layer.fraction_bits = random().between(0, 8);
        layer.output_channels = random_channels();
        layer.output_height = random().between(1, 6);
        layer.output_width = random().between(1, 6);
        if (random().chance(0.3)) {
            layer.shortcut = true;
            const MapShape second = {
                layer.output_channels, layer.output_height, layer.output_width, shape.planes, shape.coding};
            layer.source[1] = builder_.whole_map(builder_.add_given_map(second, random_rate()));
        } else if (random().chance(0.4)) {
            const MapShape second = {
                random_channels(), random().between(1, 7), random().between(1, 7), shape.planes, shape.coding};
            layer.source[1] = builder_.whole_map(builder_.add_given_map(second, random_rate()));
            layer.source[1].stride_y = random().between(1, 3);
            layer.source[1].stride_x = random().between(1, 3);
        }
    }

    NetworkBuilder builder_;
};

// A small residual network: convolution, max pooling, two convolutions with an identity shortcut, a strided
// 1x1 branch, readout over all places.
inline TestNetwork residual_network(std::uint64_t seed, int timesteps, snn::Firing firing, int images)
{
    NetworkBuilder builder(seed, images);
    builder.timesteps = timesteps;
    const auto convolve = [&](int source, int channels, int side, int stride) {
        LayerSpec layer = builder.begin_layer(source);
        layer.firing = firing;
        layer.output_channels = channels;
        layer.output_height = layer.output_width = side;
        layer.source[0].stride_y = layer.source[0].stride_x = stride;
        builder.add_convolution(layer, 3);
        return layer;
    };
    const int pixels = builder.add_given_map({27, 8, 8, 8, snn::Coding::BINARY}, 0.4);
    LayerSpec first = convolve(pixels, 40, 8, 1);
    const int convolved = builder.finish_layer(first);

    LayerSpec pool = builder.begin_layer(convolved);
    pool.operation = snn::Operation::MAX_POOL;
    pool.output_channels = 40;
    pool.output_height = pool.output_width = 4;
    pool.source[0].stride_y = pool.source[0].stride_x = 2;
    pool.taps = {{0, 0, 0, 0}, {0, 0, 1, 0}, {0, 1, 0, 0}, {0, 1, 1, 0}};
    const int pooled = builder.finish_layer(pool);

    LayerSpec second = convolve(pooled, 40, 4, 1);
    const int between = builder.finish_layer(second);
    LayerSpec third = convolve(between, 40, 4, 1);
    third.shortcut = true;
    third.source[1] = builder.whole_map(pooled);
    const int block = builder.finish_layer(third);

    LayerSpec strided = convolve(block, 70, 2, 2);
    strided.source[1] = builder.whole_map(pooled);
    strided.source[1].stride_y = strided.source[1].stride_x = 2;
    strided.taps.push_back({1, 0, 0, strided.weight_blocks});
    strided.weight_blocks += 2;
    const int last = builder.finish_layer(strided);

    LayerSpec readout = builder.begin_layer(last);
    readout.firing = snn::Firing::READOUT;
    readout.output_planes = 0;
    readout.output_channels = 10;
    readout.weight_blocks = 3;
    readout.taps = {{0, 0, 0, 0}, {0, 0, 1, 0}, {0, 1, 0, 0}, {0, 1, 1, 0}};
    builder.finish_layer(readout);
    return builder.network;
}

}  // namespace snn_test

#endif  // SNN_RANDOM_NETWORK_HPP
