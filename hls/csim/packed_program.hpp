// Packs a test network into a memory image: program, maps and the four buffers, with guard bytes between them.
#ifndef SNN_PACKED_PROGRAM_HPP
#define SNN_PACKED_PROGRAM_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "golden_model.hpp"
#include "snn_layout.hpp"
#include "test_network.hpp"

extern "C" int snn_core_run(
    std::uint32_t* registers, std::uint8_t* memory, std::uint64_t memory_base, std::uint64_t memory_bytes,
    const volatile std::int32_t* abort_flag);
extern "C" std::uint32_t snn_core_layout_version(void);

namespace snn_test {

constexpr std::uint64_t MEMORY_BASE = 0x10000000;
constexpr std::uint32_t GUARD_BYTES = 256;
constexpr std::uint8_t GUARD = 0xa5;

inline std::uint32_t round_up(std::uint64_t bytes)
{
    return static_cast<std::uint32_t>((bytes + snn::ALIGNMENT - 1) / snn::ALIGNMENT * snn::ALIGNMENT);
}

// zlib's CRC-32, a bit at a time.
inline std::uint32_t crc32(const std::uint8_t* bytes, std::size_t count)
{
    std::uint32_t crc = 0xffffffff;
    for (std::size_t i = 0; i < count; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) {
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
        }
    }
    return ~crc;
}

struct PackedProgram {
    std::vector<std::uint8_t> memory;
    std::uint32_t buffer_offset[4] = {};  // of the regions, in `memory`
    std::uint32_t buffer_bytes[4] = {};
    std::uint32_t images = 1;
    std::uint32_t output_bytes = 0;  // of one image, without counters
    std::uint32_t layer_count = 0;
    std::uint32_t watchdog_cycles = 0;
    std::uint32_t registers[snn::REGISTER_SPACE_BYTES / 4] = {};

    std::uint8_t* program() { return memory.data() + buffer_offset[0]; }

    std::uint32_t word(std::uint32_t offset) const
    {
        std::uint32_t value;
        std::memcpy(&value, memory.data() + buffer_offset[0] + offset, 4);
        return value;
    }

    void set_word(std::uint32_t offset, std::uint32_t value) { std::memcpy(program() + offset, &value, 4); }

    static std::uint32_t field_offset(unsigned layer, unsigned field)
    {
        return snn::HEADER_BYTES + layer * snn::DESCRIPTOR_BYTES + 4 * field;
    }

    std::uint32_t tap_offset(unsigned tap) const
    {
        return snn::HEADER_BYTES + layer_count * snn::DESCRIPTOR_BYTES + tap * snn::TAP_BYTES;
    }

    void set_field(unsigned layer, unsigned field, std::uint32_t value)
    {
        set_word(field_offset(layer, field), value);
        refresh_crc();
    }

    void refresh_crc()
    {
        const std::uint32_t bytes = word(4 * snn::HEADER_COMMAND_BYTES);
        set_word(
            4 * snn::HEADER_COMMAND_CRC,
            crc32(program() + snn::HEADER_CHECKED_FROM, bytes - snn::HEADER_CHECKED_FROM));
    }

    // A register's argument: where and how large its buffer is.
    void set_registers()
    {
        const std::uint32_t address[4] = {
            snn::REGISTER_PROGRAM_ADDRESS, snn::REGISTER_INPUT_ADDRESS, snn::REGISTER_WORKSPACE_ADDRESS,
            snn::REGISTER_OUTPUT_ADDRESS};
        const std::uint32_t bytes[4] = {
            snn::REGISTER_PROGRAM_BYTES, snn::REGISTER_INPUT_BYTES, snn::REGISTER_WORKSPACE_BYTES,
            snn::REGISTER_OUTPUT_BYTES};
        for (int region = 0; region < 4; ++region) {
            const std::uint64_t start = MEMORY_BASE + buffer_offset[region];
            registers[address[region] / 4] = static_cast<std::uint32_t>(start);
            registers[address[region] / 4 + 1] = static_cast<std::uint32_t>(start >> 32);
            registers[bytes[region] / 4] = buffer_bytes[region];
        }
        registers[snn::REGISTER_IMAGES / 4] = images;
        registers[snn::REGISTER_WATCHDOG_CYCLES / 4] = watchdog_cycles;
    }

    std::uint32_t output_register(std::uint32_t offset) const { return registers[offset / 4]; }

    int run(const volatile std::int32_t* abort_flag = nullptr)
    {
        return snn_core_run(registers, memory.data(), MEMORY_BASE, memory.size(), abort_flag);
    }

    std::uint64_t counter(unsigned layer, unsigned counter) const
    {
        const std::uint32_t offset =
            buffer_offset[3] + output_bytes * images + layer * snn::COUNTER_RECORD_BYTES + 8 * counter;
        std::uint64_t value;
        std::memcpy(&value, memory.data() + offset, 8);
        return value;
    }
};

class Packer {
public:
    explicit Packer(TestNetwork& network) : network_(network) {}

    PackedProgram pack()
    {
        place_maps();
        place_buffers();
        write_program();
        for (const MapSpec& map : network_.maps) {
            if (map.given) {
                write_map(packed_.memory, map);
            }
        }
        packed_.set_registers();
        return packed_;
    }

    // What memory must hold after the run, counter records apart.
    std::vector<std::uint8_t> expected_memory(const std::vector<GoldenResult>& results) const
    {
        std::vector<std::uint8_t> memory = packed_.memory;
        for (const MapSpec& map : network_.maps) {
            if (!map.given) {
                write_map(memory, map);
            }
        }
        for (std::size_t i = 0; i < network_.layers.size(); ++i) {
            if (network_.layers[i].firing == snn::Firing::READOUT) {
                write_logits(memory, network_.layers[i], readout_[i], results[i]);
            }
        }
        return memory;
    }

private:
    static std::uint32_t blocks(int channels) { return static_cast<std::uint32_t>((channels + 31) / 32); }

    std::uint32_t allocate(snn::Region region, std::uint32_t bytes)
    {
        std::uint32_t& used = used_[static_cast<int>(region)];
        const std::uint32_t offset = used;
        used += bytes;
        return offset;
    }

    // Blocks and images are spaced wider than need be, so that a wrong step shows.
    Placement place(snn::Region region, int height, std::uint32_t row_bytes, int channels)
    {
        Placement placement;
        placement.region = region;
        placement.row_bytes = row_bytes;
        placement.block_bytes = round_up(std::uint64_t{row_bytes} * height) + snn::ALIGNMENT;
        placement.image_bytes = placement.block_bytes * blocks(channels) + 2 * snn::ALIGNMENT;
        placement.offset = allocate(region, placement.image_bytes);
        return placement;
    }

    void place_maps()
    {
        used_[1] = used_[2] = used_[3] = snn::ALIGNMENT;
        for (MapSpec& map : network_.maps) {
            if (map.given) {
                const DenseMap& image = map.images[0];
                const std::uint32_t row_bytes = static_cast<std::uint32_t>(4 * image.planes * image.width);
                map.placement = place(map.region, image.height, row_bytes, image.channels);
            }
        }
        for (const LayerSpec& layer : network_.layers) {
            const bool readout = layer.firing == snn::Firing::READOUT;
            const int place_bytes = readout ? 128 : 4 * layer.output_planes;
            const Placement placement =
                place(readout ? snn::Region::OUTPUT : snn::Region::WORKSPACE, layer.output_height,
                    static_cast<std::uint32_t>(place_bytes * layer.output_width), layer.output_channels);
            readout_.push_back(placement);
            if (!readout) {
                network_.maps[layer.output_map].placement = placement;
            }
        }
    }

    std::uint32_t command_bytes() const
    {
        std::size_t taps = 0;
        for (const LayerSpec& layer : network_.layers) {
            taps += layer.taps.size();
        }
        return round_up(
            snn::HEADER_BYTES + network_.layers.size() * snn::DESCRIPTOR_BYTES + taps * snn::TAP_BYTES);
    }

    static std::uint32_t group_bytes(const LayerSpec& layer)
    {
        return snn::GROUP_HEADER_BYTES + static_cast<std::uint32_t>(layer.weight_blocks) * snn::WEIGHT_BLOCK_BYTES;
    }

    void place_buffers()
    {
        used_[0] = command_bytes();
        for (const LayerSpec& layer : network_.layers) {
            weight_offset_.push_back(used_[0]);
            used_[0] += group_bytes(layer) * blocks(layer.output_channels);
        }
        const std::uint32_t images = static_cast<std::uint32_t>(network_.image_count);
        const std::uint32_t counters =
            static_cast<std::uint32_t>(network_.layers.size()) * snn::COUNTER_RECORD_BYTES;
        std::uint32_t offset = GUARD_BYTES;
        for (int region = 0; region < 4; ++region) {
            packed_.buffer_offset[region] = offset;
            packed_.buffer_bytes[region] = region == 0 ? used_[0] : used_[region] * images;
            packed_.buffer_bytes[region] += region == 3 ? counters : 0;
            offset += packed_.buffer_bytes[region] + GUARD_BYTES;
        }
        packed_.memory.assign(offset, GUARD);
        packed_.images = images;
        packed_.output_bytes = used_[3];
        packed_.layer_count = static_cast<std::uint32_t>(network_.layers.size());
    }

    void write_source(unsigned layer, unsigned source, const SourceSpec& spec)
    {
        if (spec.map < 0) {
            return;
        }
        const MapSpec& map = network_.maps[spec.map];
        const std::uint32_t values[] = {
            static_cast<std::uint32_t>(map.placement.region), map.placement.offset, map.placement.image_bytes,
            map.placement.block_bytes, map.placement.row_bytes, static_cast<std::uint32_t>(spec.height),
            static_cast<std::uint32_t>(spec.width), blocks(channels_of(spec.map)),
            static_cast<std::uint32_t>(spec.stride_y), static_cast<std::uint32_t>(spec.stride_x)};
        const unsigned first = source == 0 ? snn::FIELD_SOURCE0_REGION : snn::FIELD_SOURCE1_REGION;
        for (unsigned i = 0; i < sizeof values / sizeof values[0]; ++i) {
            packed_.set_word(PackedProgram::field_offset(layer, first + i), values[i]);
        }
    }

    int channels_of(int map) const
    {
        if (network_.maps[map].given) {
            return network_.maps[map].images[0].channels;
        }
        for (const LayerSpec& layer : network_.layers) {
            if (layer.output_map == map) {
                return layer.output_channels;
            }
        }
        return 0;
    }

    void write_descriptor(unsigned index, std::uint32_t first_tap)
    {
        const LayerSpec& layer = network_.layers[index];
        const Placement& output = readout_[index];
        const auto set = [&](unsigned field, auto value) {
            packed_.set_word(PackedProgram::field_offset(index, field), static_cast<std::uint32_t>(value));
        };
        set(snn::FIELD_OPERATION, layer.operation);
        set(snn::FIELD_FIRING, layer.firing);
        set(snn::FIELD_HARD_RESET, layer.hard_reset);
        set(snn::FIELD_LEAK_SHIFT, layer.leak_shift);
        set(snn::FIELD_INPUT_CODING, layer.input_coding);
        set(snn::FIELD_OUTPUT_CODING, layer.output_coding);
        set(snn::FIELD_TIMESTEPS, layer.timesteps);
        set(snn::FIELD_FRACTION_BITS, layer.fraction_bits);
        set(snn::FIELD_INPUT_PLANES, layer.input_planes);
        set(snn::FIELD_OUTPUT_PLANES, layer.output_planes);
        set(snn::FIELD_SHORTCUT, layer.shortcut);
        set(snn::FIELD_FIRST_TAP, first_tap);
        set(snn::FIELD_TAP_COUNT, layer.taps.size());
        set(snn::FIELD_WEIGHT_OFFSET, weight_offset_[index]);
        set(snn::FIELD_WEIGHT_BLOCKS, layer.weight_blocks);
        set(snn::FIELD_OUTPUT_REGION, output.region);
        set(snn::FIELD_OUTPUT_OFFSET, output.offset);
        set(snn::FIELD_OUTPUT_IMAGE_BYTES, output.image_bytes);
        set(snn::FIELD_OUTPUT_BLOCK_BYTES, output.block_bytes);
        set(snn::FIELD_OUTPUT_HEIGHT, layer.output_height);
        set(snn::FIELD_OUTPUT_WIDTH, layer.output_width);
        set(snn::FIELD_OUTPUT_CHANNELS, layer.output_channels);
        write_source(index, 0, layer.source[0]);
        write_source(index, 1, layer.source[1]);
    }

    void write_taps(const LayerSpec& layer, std::uint32_t first_tap)
    {
        for (std::size_t i = 0; i < layer.taps.size(); ++i) {
            const TapSpec& tap = layer.taps[i];
            std::uint16_t parts[4];
            parts[snn::TAP_DY] = static_cast<std::uint16_t>(tap.dy);
            parts[snn::TAP_DX] = static_cast<std::uint16_t>(tap.dx);
            parts[snn::TAP_WEIGHT_BLOCK] = static_cast<std::uint16_t>(tap.weight_block);
            parts[snn::TAP_SOURCE] = static_cast<std::uint16_t>(tap.source);
            const std::uint32_t index = first_tap + static_cast<std::uint32_t>(i);
            std::memcpy(packed_.program() + packed_.tap_offset(index), parts, sizeof parts);
        }
    }

    void write_group(const LayerSpec& layer, std::uint32_t offset, int first_channel)
    {
        std::uint8_t* bytes = packed_.program() + offset;
        std::memset(bytes, 0, group_bytes(layer));
        for (int lane = 0; lane < 32; ++lane) {
            const int channel = first_channel + lane;
            ChannelParameters parameters;
            parameters.threshold = INT32_MAX;
            if (channel < layer.output_channels && !layer.parameters.empty()) {
                parameters = layer.parameters[channel];
            }
            const std::int32_t values[4] = {
                parameters.initial, parameters.bias, parameters.threshold, parameters.shortcut};
            for (int i = 0; i < 4; ++i) {
                std::memcpy(bytes + 128 * i + 4 * lane, &values[i], 4);
            }
            for (int row = 0; row < 32 * layer.weight_blocks && channel < layer.output_channels; ++row) {
                bytes[snn::GROUP_HEADER_BYTES + 32 * row + lane] =
                    static_cast<std::uint8_t>(layer.weight(channel, row));
            }
        }
    }

    void write_program()
    {
        std::memset(packed_.program(), 0, command_bytes());
        std::uint32_t first_tap = 0;
        for (unsigned i = 0; i < network_.layers.size(); ++i) {
            const LayerSpec& layer = network_.layers[i];
            write_descriptor(i, first_tap);
            write_taps(layer, first_tap);
            first_tap += static_cast<std::uint32_t>(layer.taps.size());
            for (std::uint32_t group = 0; group < blocks(layer.output_channels); ++group) {
                write_group(layer, weight_offset_[i] + group * group_bytes(layer), static_cast<int>(32 * group));
            }
        }
        write_header(first_tap);
    }

    void write_header(std::uint32_t tap_count)
    {
        packed_.set_word(4 * snn::HEADER_MAGIC, snn::PROGRAM_MAGIC);
        packed_.set_word(4 * snn::HEADER_VERSION, snn::LAYOUT_VERSION);
        packed_.set_word(4 * snn::HEADER_COMMAND_BYTES, command_bytes());
        packed_.set_word(4 * snn::HEADER_LAYER_COUNT, packed_.layer_count);
        packed_.set_word(4 * snn::HEADER_TAP_COUNT, tap_count);
        packed_.set_word(4 * snn::HEADER_PROGRAM_BYTES, used_[0]);
        packed_.set_word(4 * snn::HEADER_INPUT_BYTES, used_[1]);
        packed_.set_word(4 * snn::HEADER_WORKSPACE_BYTES, used_[2]);
        packed_.set_word(4 * snn::HEADER_OUTPUT_BYTES, used_[3]);
        packed_.refresh_crc();
    }

    // First byte of an image's map in memory.
    std::size_t image_start(const Placement& placement, std::size_t image) const
    {
        return packed_.buffer_offset[static_cast<int>(placement.region)] +
               static_cast<std::size_t>(placement.offset) * packed_.images + placement.image_bytes * image;
    }

    void write_map(std::vector<std::uint8_t>& memory, const MapSpec& map) const
    {
        for (std::size_t image = 0; image < map.images.size(); ++image) {
            const DenseMap& dense = map.images[image];
            for (int block = 0; block < static_cast<int>(blocks(dense.channels)); ++block) {
                for (int y = 0; y < dense.height; ++y) {
                    std::uint8_t* row = memory.data() + image_start(map.placement, image) +
                                        static_cast<std::size_t>(map.placement.block_bytes) * block +
                                        static_cast<std::size_t>(map.placement.row_bytes) * y;
                    write_row(row, dense, block, y);
                }
            }
        }
    }

    static void write_row(std::uint8_t* row, const DenseMap& dense, int block, int y)
    {
        for (int x = 0; x < dense.width; ++x) {
            for (int p = 0; p < dense.planes; ++p) {
                std::uint32_t mask = 0;
                for (int bit = 0; bit < 32 && 32 * block + bit < dense.channels; ++bit) {
                    mask |= static_cast<std::uint32_t>(dense.at(32 * block + bit, y, x, p)) << bit;
                }
                std::memcpy(row + 4 * (x * dense.planes + p), &mask, 4);
            }
        }
    }

    void write_logits(
        std::vector<std::uint8_t>& memory, const LayerSpec& layer, const Placement& placement,
        const GoldenResult& result) const
    {
        for (std::size_t image = 0; image < result.logits.size(); ++image) {
            const std::size_t places = static_cast<std::size_t>(layer.output_height) * layer.output_width;
            const std::size_t lanes = 32 * blocks(layer.output_channels);
            for (std::size_t channel = 0; channel < lanes; ++channel) {
                std::uint8_t* group = memory.data() + image_start(placement, image) +
                                      static_cast<std::size_t>(placement.block_bytes) * (channel / 32);
                const bool exists = channel < static_cast<std::size_t>(layer.output_channels);
                for (std::size_t place = 0; place < places; ++place) {
                    const std::int32_t logit = exists ? result.logits[image][channel * places + place] : 0;
                    std::memcpy(group + 128 * place + 4 * (channel % 32), &logit, 4);
                }
            }
        }
    }

    TestNetwork& network_;
    PackedProgram packed_;
    std::uint32_t used_[4] = {};
    std::vector<std::uint32_t> weight_offset_;
    std::vector<Placement> readout_;  // of each layer's output, spike maps too
};

}  // namespace snn_test

#endif  // SNN_PACKED_PROGRAM_HPP
