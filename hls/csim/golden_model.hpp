// Dense model of the numerics contract, as slow and as plain as the contract's text, sharing no code with the core.
#ifndef SNN_GOLDEN_MODEL_HPP
#define SNN_GOLDEN_MODEL_HPP

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "test_network.hpp"

namespace snn_test {

struct GoldenResult {
    std::vector<std::vector<std::int32_t>> logits;  // of a readout: [image][channel][y][x]
    std::uint64_t additions = 0;
    std::uint64_t spikes = 0;
};

inline std::int64_t within_int32(std::int64_t value)
{
    if (value < INT32_MIN || value > INT32_MAX) {
        std::fprintf(stderr, "the test network overflows int32\n");
        std::exit(2);
    }
    return value;
}

class GoldenLayer {
public:
    GoldenLayer(TestNetwork& network, const LayerSpec& layer) : network_(network), layer_(layer) {}

    GoldenResult run()
    {
        for (int image = 0; image < network_.image_count; ++image) {
            begin_image(image);
            for (int c = 0; c < layer_.output_channels; ++c) {
                for (int y = 0; y < layer_.output_height; ++y) {
                    for (int x = 0; x < layer_.output_width; ++x) {
                        run_neuron(c, y, x);
                    }
                }
            }
            if (layer_.output_map >= 0) {
                network_.maps[layer_.output_map].images.push_back(output_);
            }
        }
        return result_;
    }

private:
    void begin_image(int image)
    {
        for (int i = 0; i < 2; ++i) {
            const int map = layer_.source[i].map;
            source_[i] = map < 0 ? nullptr : &network_.maps[map].images[image];
        }
        output_ = DenseMap(layer_.output_channels, layer_.output_height, layer_.output_width, layer_.output_planes);
        if (layer_.firing == snn::Firing::READOUT) {
            result_.logits.emplace_back();
        }
    }

    // The bit that a tap sees, 0 outside of the map.
    int seen(const TapSpec& tap, int channel, int y, int x, int p) const
    {
        const SourceSpec& spec = layer_.source[tap.source];
        const int row = y * spec.stride_y + tap.dy;
        const int column = x * spec.stride_x + tap.dx;
        if (row < 0 || row >= spec.height || column < 0 || column >= spec.width) {
            return 0;
        }
        return source_[tap.source]->at(channel, row, column, p);
    }

    // A[p] of the contract.
    std::int64_t plane_sum(int c, int y, int x, int p)
    {
        std::int64_t sum = 0;
        for (const TapSpec& tap : layer_.taps) {
            for (int i = 0; i < source_[tap.source]->channels; ++i) {
                if (seen(tap, i, y, x, p) != 0) {
                    sum += layer_.weight(c, 32 * tap.weight_block + i);
                    ++result_.additions;
                }
            }
        }
        std::int64_t current = sum * (std::int64_t{1} << layer_.fraction_bits);
        if (layer_.shortcut && c < source_[1]->channels && source_[1]->at(c, y, x, p) != 0) {
            current += layer_.parameters[c].shortcut;
            ++result_.additions;
        }
        return within_int32(current);
    }

    void run_neuron(int c, int y, int x)
    {
        if (layer_.operation == snn::Operation::MAX_POOL) {
            run_max(c, y, x);
            return;
        }
        const bool binary = layer_.input_coding == snn::Coding::BINARY;
        const int planes = binary ? layer_.input_planes : layer_.timesteps;
        std::vector<std::int64_t> current;
        std::int64_t total = 0;
        for (int p = 0; p < planes; ++p) {
            current.push_back(plane_sum(c, y, x, p));
            total = within_int32((binary ? 2 * total : total) + current.back());
        }
        if (binary) {
            current.assign(layer_.timesteps, total);
        }
        const ChannelParameters& parameters = layer_.parameters[c];
        if (layer_.firing == snn::Firing::READOUT) {
            result_.logits.back().push_back(static_cast<std::int32_t>(within_int32(parameters.initial + total)));
        } else if (layer_.firing == snn::Firing::DEFERRED) {
            store(c, y, x, run_deferred(parameters, total));
        } else {
            store(c, y, x, run_stepwise(parameters, current));
        }
    }

    void run_largest_number(int c, int y, int x)
    {
        std::uint32_t largest = 0;
        for (const TapSpec& tap : layer_.taps) {
            std::uint32_t number = 0;
            for (int p = 0; p < layer_.input_planes; ++p) {
                number = 2 * number + static_cast<std::uint32_t>(seen(tap, c, y, x, p));
            }
            largest = std::max(largest, number);
        }
        for (int p = 0; p < layer_.input_planes; ++p) {
            output_.at(c, y, x, p) = static_cast<std::uint8_t>(largest >> (layer_.input_planes - 1 - p) & 1);
        }
        result_.spikes += largest;
    }

    void run_max(int c, int y, int x)
    {
        if (layer_.input_coding == snn::Coding::BINARY) {
            run_largest_number(c, y, x);
            return;
        }
        std::vector<int> running(layer_.taps.size(), 0);
        int before = 0;
        for (int p = 0; p < layer_.input_planes; ++p) {
            int most = 0;
            for (std::size_t i = 0; i < layer_.taps.size(); ++i) {
                running[i] += seen(layer_.taps[i], c, y, x, p);
                most = std::max(most, running[i]);
            }
            output_.at(c, y, x, p) = static_cast<std::uint8_t>(most - before);
            result_.spikes += static_cast<std::uint64_t>(most - before);
            before = most;
        }
    }

    static std::int64_t divided_towards_minus_infinity(std::int64_t value, std::int64_t divisor)
    {
        const std::int64_t quotient = value / divisor;
        return quotient * divisor > value ? quotient - 1 : quotient;
    }

    std::vector<int> run_stepwise(const ChannelParameters& parameters, const std::vector<std::int64_t>& current) const
    {
        std::vector<int> spikes;
        std::int64_t u = parameters.initial;
        for (int t = 0; t < layer_.timesteps; ++t) {
            if (layer_.leak_shift > 0) {
                u -= divided_towards_minus_infinity(u, std::int64_t{1} << layer_.leak_shift);
            }
            u = within_int32(u + current[t] + parameters.bias);
            const bool spike = u >= parameters.threshold;
            spikes.push_back(spike);
            if (spike) {
                u = layer_.hard_reset ? 0 : u - parameters.threshold;
            }
        }
        return spikes;
    }

    // By the closed form, not by the loop.
    std::vector<int> run_deferred(const ChannelParameters& parameters, std::int64_t total) const
    {
        const std::int64_t u = within_int32(parameters.initial + total);
        const std::int64_t count = divided_towards_minus_infinity(u, parameters.threshold);
        std::vector<int> spikes(layer_.timesteps);
        for (int t = 0; t < layer_.timesteps; ++t) {
            spikes[t] = t < count;
        }
        return spikes;
    }

    void store(int c, int y, int x, const std::vector<int>& spikes)
    {
        const int count = static_cast<int>(std::count(spikes.begin(), spikes.end(), 1));
        result_.spikes += static_cast<std::uint64_t>(count);
        for (int p = 0; p < layer_.output_planes; ++p) {
            if (layer_.output_coding == snn::Coding::BINARY) {
                output_.at(c, y, x, p) = (static_cast<unsigned>(count) >> (layer_.output_planes - 1 - p)) & 1u;
            } else {
                output_.at(c, y, x, p) = p < layer_.timesteps && spikes[p] != 0;
            }
        }
    }

    TestNetwork& network_;
    const LayerSpec& layer_;
    const DenseMap* source_[2] = {nullptr, nullptr};
    DenseMap output_;
    GoldenResult result_;
};

// Runs all layers in order and fills in the images of the maps that they compute.
inline std::vector<GoldenResult> run_golden(TestNetwork& network)
{
    std::vector<GoldenResult> results;
    for (const LayerSpec& layer : network.layers) {
        results.push_back(GoldenLayer(network, layer).run());
    }
    return results;
}

}  // namespace snn_test

#endif  // SNN_GOLDEN_MODEL_HPP
