// Every error code with its detail, and hostile programs, which may end in any error but never outside their buffers.
#include <cstring>
#include <string>
#include <vector>

#include "packed_program.hpp"
#include "random_network.hpp"
#include "report.hpp"

namespace snn_test {
namespace {

constexpr int HOSTILE_PROGRAMS = 1500;
constexpr std::uint32_t HOSTILE_WATCHDOG = 200000;

PackedProgram small_program(snn::Firing firing = snn::Firing::DEFERRED)
{
    TestNetwork network = residual_network(5, 4, firing, 2);
    return Packer(network).pack();
}

// Layers of the residual network.
constexpr unsigned FIRST = 0;
constexpr unsigned POOL = 1;
constexpr unsigned SHORTCUT = 3;
constexpr unsigned BRANCH = 4;
constexpr unsigned READOUT = 5;

void expect_error(
    Report& report, PackedProgram packed, snn::ErrorCode code, std::uint32_t detail, const std::string& name)
{
    const int returned = packed.run();
    report.equal(static_cast<std::uint64_t>(returned), static_cast<std::uint64_t>(code), name + ": error code");
    report.equal(packed.output_register(snn::REGISTER_ERROR_CODE), static_cast<std::uint64_t>(code), name);
    report.equal(packed.output_register(snn::REGISTER_ERROR_DETAIL), detail, name + ": detail");
}

void expect_bad_field(Report& report, unsigned layer, unsigned field, std::uint32_t value, unsigned blamed)
{
    PackedProgram packed = small_program();
    packed.set_field(layer, field, value);
    expect_error(
        report, packed, snn::ErrorCode::BAD_DESCRIPTOR, layer << 16 | blamed,
        "layer " + std::to_string(layer) + ", field " + std::to_string(field) + " = " + std::to_string(value));
}

void header_errors(Report& report)
{
    const auto with_header = [](unsigned field, std::uint32_t value) {
        PackedProgram packed = small_program();
        packed.set_word(4 * field, value);
        packed.refresh_crc();
        return packed;
    };
    const auto bad_size = [&](const PackedProgram& packed, const std::string& name) {
        expect_error(report, packed, snn::ErrorCode::BAD_SIZE, 0, name);
    };
    const PackedProgram good = small_program();
    expect_error(report, with_header(snn::HEADER_MAGIC, 1), snn::ErrorCode::BAD_MAGIC, 0, "magic");
    expect_error(report, with_header(snn::HEADER_VERSION, 2), snn::ErrorCode::BAD_VERSION, 0, "version");
    bad_size(with_header(snn::HEADER_LAYER_COUNT, 0), "no layers");
    bad_size(with_header(snn::HEADER_LAYER_COUNT, 256), "too many layers");
    bad_size(with_header(snn::HEADER_TAP_COUNT, 0), "no taps");
    bad_size(with_header(snn::HEADER_TAP_COUNT, 0xffffffff), "too many taps");
    bad_size(with_header(snn::HEADER_PROGRAM_BYTES, 0xffffffff), "program larger than its buffer");
    bad_size(with_header(snn::HEADER_PROGRAM_BYTES, 64), "program smaller than its commands");
    bad_size(with_header(snn::HEADER_INPUT_BYTES, 0xffffffff), "input larger than its buffer");
    bad_size(with_header(snn::HEADER_INPUT_BYTES, 0), "no input");
    bad_size(with_header(snn::HEADER_WORKSPACE_BYTES, 0x80000000), "workspace larger than its buffer");
    bad_size(with_header(snn::HEADER_OUTPUT_BYTES, good.output_bytes + 64), "output larger than its buffer");
    bad_size(with_header(snn::HEADER_OUTPUT_BYTES, 0), "no output");

    PackedProgram packed = small_program();
    const std::uint32_t command_bytes = packed.word(4 * snn::HEADER_COMMAND_BYTES);
    for (const std::uint32_t wrong : {0u, 64u, command_bytes - 64, command_bytes + 8, 0xffffffc0u}) {
        packed.set_word(4 * snn::HEADER_COMMAND_BYTES, wrong);
        bad_size(packed, "command_bytes " + std::to_string(wrong));
    }
    packed = small_program();
    packed.set_word(packed.tap_offset(0), 17);
    expect_error(report, packed, snn::ErrorCode::BAD_CHECKSUM, 0, "checksum");
}

void register_errors(Report& report)
{
    const auto with_register = [](std::uint32_t offset, std::uint32_t value) {
        PackedProgram packed = small_program();
        packed.registers[offset / 4] = value;
        return packed;
    };
    const PackedProgram good = small_program();
    const std::uint32_t bytes[] = {
        snn::REGISTER_PROGRAM_BYTES, snn::REGISTER_INPUT_BYTES, snn::REGISTER_WORKSPACE_BYTES,
        snn::REGISTER_OUTPUT_BYTES};
    const std::uint32_t addresses[] = {
        snn::REGISTER_PROGRAM_ADDRESS, snn::REGISTER_INPUT_ADDRESS, snn::REGISTER_WORKSPACE_ADDRESS,
        snn::REGISTER_OUTPUT_ADDRESS};
    for (const std::uint32_t offset : bytes) {
        const std::uint32_t large_enough = good.registers[offset / 4];
        expect_error(
            report, with_register(offset, large_enough - 1), snn::ErrorCode::BAD_SIZE, 0, "buffer one byte short");
        expect_error(report, with_register(offset, 0), snn::ErrorCode::BAD_SIZE, 0, "no buffer");
    }
    for (const std::uint32_t offset : addresses) {
        const std::uint32_t address = good.registers[offset / 4];
        expect_error(
            report, with_register(offset, address + 8), snn::ErrorCode::BAD_SIZE, 0, "address not aligned");
        expect_error(report, with_register(offset, 0), snn::ErrorCode::BUS, 0, "address below memory");
        expect_error(report, with_register(offset, 0xffffffc0), snn::ErrorCode::BUS, 0, "address above memory");
        PackedProgram packed = with_register(offset, 0xffffffc0);
        packed.registers[offset / 4 + 1] = 0xffffffff;
        expect_error(report, packed, snn::ErrorCode::BUS, 0, "buffer that wraps around");
    }
    for (const std::uint32_t images : {0u, 1025u, 0xffffffffu, 3u}) {
        expect_error(
            report, with_register(snn::REGISTER_IMAGES, images), snn::ErrorCode::BAD_SIZE, 0,
            std::to_string(images) + " images");
    }
    expect_error(
        report, with_register(snn::REGISTER_WATCHDOG_CYCLES, 50), snn::ErrorCode::WATCHDOG, 0, "watchdog");
    PackedProgram packed = small_program();
    packed.run();
    const std::uint32_t cycles = packed.output_register(snn::REGISTER_CYCLES_LOW);
    expect_error(
        report, with_register(snn::REGISTER_WATCHDOG_CYCLES, cycles - 1), snn::ErrorCode::WATCHDOG, READOUT << 16,
        "watchdog in the last layer");
    expect_error(
        report, with_register(snn::REGISTER_WATCHDOG_CYCLES, cycles), snn::ErrorCode::NONE, 0, "watchdog in time");
}

void field_limits(Report& report)
{
    for (unsigned field = 0; field < snn::DESCRIPTOR_FIELD_COUNT; ++field) {
        const snn::FieldLimit limit = snn::DESCRIPTOR_LIMITS[field];
        if (limit.minimum > 0) {
            expect_bad_field(report, BRANCH, field, limit.minimum - 1, field);
        }
        if (limit.maximum < 0xffffffff) {
            expect_bad_field(report, BRANCH, field, limit.maximum + 1, field);
            expect_bad_field(report, FIRST, field, 0xffffffff, field);
        }
    }
}

void rules_between_fields(Report& report)
{
    using namespace snn;
    const auto bad = [&](unsigned layer, unsigned field, std::uint32_t value) {
        expect_bad_field(report, layer, field, value, field);
    };
    const PackedProgram good = small_program();
    const auto value = [&](unsigned layer, unsigned field) {
        return good.word(PackedProgram::field_offset(layer, field));
    };
    bad(FIRST, FIELD_INPUT_PLANES, 7);
    bad(FIRST, FIELD_OUTPUT_PLANES, 3);
    bad(BRANCH, FIELD_INPUT_PLANES, 2);
    bad(BRANCH, FIELD_OUTPUT_PLANES, 6);
    bad(READOUT, FIELD_OUTPUT_CODING, 1);
    bad(READOUT, FIELD_OUTPUT_REGION, 2);
    bad(READOUT, FIELD_OUTPUT_PLANES, 4);
    bad(FIRST, FIELD_OUTPUT_REGION, 3);
    bad(FIRST, FIELD_LEAK_SHIFT, 1);
    bad(FIRST, FIELD_HARD_RESET, 1);
    expect_bad_field(report, POOL, FIELD_OUTPUT_CODING, 1, FIELD_OUTPUT_CODING);
    expect_bad_field(report, POOL, FIELD_INPUT_PLANES, 6, FIELD_OUTPUT_PLANES);
    bad(POOL, FIELD_OUTPUT_CHANNELS, 65);
    bad(POOL, FIELD_FIRING, 1);
    bad(POOL, FIELD_SHORTCUT, 1);
    bad(POOL, FIELD_LEAK_SHIFT, 1);
    bad(POOL, FIELD_HARD_RESET, 1);
    bad(POOL, FIELD_WEIGHT_BLOCKS, 1);
    bad(FIRST, FIELD_WEIGHT_OFFSET, value(FIRST, FIELD_WEIGHT_OFFSET) + 8);
    bad(READOUT, FIELD_WEIGHT_OFFSET, value(READOUT, FIELD_WEIGHT_OFFSET) + 64);
    bad(READOUT, FIELD_WEIGHT_OFFSET, 0xffffffc0);
    bad(READOUT, FIELD_WEIGHT_OFFSET, 64);
    bad(READOUT, FIELD_FIRST_TAP, value(READOUT, FIELD_FIRST_TAP) + 1);
    bad(READOUT, FIELD_FIRST_TAP, 0xffffffff);
    for (const unsigned shift : {0u, FIELD_SOURCE1_REGION - FIELD_SOURCE0_REGION}) {
        const auto bad_source = [&](unsigned field, std::uint32_t wrong) { bad(BRANCH, field + shift, wrong); };
        const auto of_source = [&](unsigned field) { return value(BRANCH, field + shift); };
        bad_source(FIELD_SOURCE0_ROW_BYTES, of_source(FIELD_SOURCE0_ROW_BYTES) - 8);
        bad_source(FIELD_SOURCE0_ROW_BYTES, of_source(FIELD_SOURCE0_ROW_BYTES) + 4);
        bad_source(FIELD_SOURCE0_BLOCK_BYTES, 64);
        bad_source(FIELD_SOURCE0_IMAGE_BYTES, 64);
        bad_source(FIELD_SOURCE0_BLOCK_BYTES, of_source(FIELD_SOURCE0_BLOCK_BYTES) + 8);
        bad_source(FIELD_SOURCE0_IMAGE_BYTES, of_source(FIELD_SOURCE0_IMAGE_BYTES) + 8);
        bad_source(FIELD_SOURCE0_OFFSET, of_source(FIELD_SOURCE0_OFFSET) + 8);
    }
    bad(BRANCH, FIELD_SOURCE1_REGION, 0);
    bad(BRANCH, FIELD_SOURCE1_STRIDE_Y, 0);
    bad(SHORTCUT, FIELD_SOURCE1_STRIDE_X, 0);
    bad(SHORTCUT, FIELD_OUTPUT_BLOCK_BYTES, 64);
    bad(BRANCH, FIELD_OUTPUT_IMAGE_BYTES, 64);
    bad(BRANCH, FIELD_OUTPUT_BLOCK_BYTES, value(BRANCH, FIELD_OUTPUT_BLOCK_BYTES) + 8);
    bad(BRANCH, FIELD_OUTPUT_IMAGE_BYTES, value(BRANCH, FIELD_OUTPUT_IMAGE_BYTES) + 8);
    bad(BRANCH, FIELD_OUTPUT_OFFSET, value(BRANCH, FIELD_OUTPUT_OFFSET) + 8);
    bad(BRANCH, FIELD_SHORTCUT, 1);
    expect_bad_field(report, SHORTCUT, FIELD_SOURCE1_HEIGHT, 3, FIELD_SHORTCUT);
}

void binary_coding_rules(Report& report)
{
    PackedProgram packed = small_program();
    packed.set_field(FIRST, snn::FIELD_OUTPUT_CODING, 1);
    packed.set_field(FIRST, snn::FIELD_OUTPUT_PLANES, 2);
    expect_error(
        report, packed, snn::ErrorCode::BAD_DESCRIPTOR, FIRST << 16 | snn::FIELD_TIMESTEPS, "count beyond its planes");
    packed = small_program(snn::Firing::STEPWISE);
    packed.set_field(FIRST, snn::FIELD_OUTPUT_CODING, 1);
    expect_error(
        report, packed, snn::ErrorCode::BAD_DESCRIPTOR, FIRST << 16 | snn::FIELD_OUTPUT_CODING, "stepwise counts");
    packed = small_program();
    packed.set_field(POOL, snn::FIELD_FIRING, 1);
    packed.set_field(POOL, snn::FIELD_OUTPUT_CODING, 1);
    expect_error(
        report, packed, snn::ErrorCode::BAD_DESCRIPTOR, POOL << 16 | snn::FIELD_OUTPUT_CODING, "counts out of spike trains");
}

void tap_errors(Report& report)
{
    const auto with_tap = [&](unsigned layer, unsigned part, std::uint16_t value) {
        PackedProgram packed = small_program();
        const std::uint32_t tap = packed.word(PackedProgram::field_offset(layer, snn::FIELD_FIRST_TAP));
        std::memcpy(packed.program() + packed.tap_offset(tap) + 2 * part, &value, 2);
        packed.refresh_crc();
        expect_error(
            report, packed, snn::ErrorCode::BAD_DESCRIPTOR, layer << 16 | snn::FIELD_FIRST_TAP,
            "tap of layer " + std::to_string(layer));
    };
    with_tap(FIRST, snn::TAP_SOURCE, 1);
    with_tap(POOL, snn::TAP_SOURCE, 1);
    with_tap(SHORTCUT, snn::TAP_SOURCE, 1);
    with_tap(BRANCH, snn::TAP_SOURCE, 2);
    with_tap(BRANCH, snn::TAP_SOURCE, 0xffff);
    with_tap(FIRST, snn::TAP_WEIGHT_BLOCK, 9);
    with_tap(BRANCH, snn::TAP_WEIGHT_BLOCK, 0xffff);
}

void fence_errors(Report& report)
{
    const auto beyond = [&](unsigned layer, unsigned field, snn::Region region) {
        for (const std::uint32_t offset : {0x100000u, 0xffffffc0u}) {
            PackedProgram packed = small_program();
            packed.set_field(layer, field, offset);
            expect_error(
                report, packed, snn::ErrorCode::ADDRESS_FENCE, layer << 16 | static_cast<std::uint32_t>(region),
                "offset beyond the buffer");
        }
    };
    beyond(POOL, snn::FIELD_SOURCE0_OFFSET, snn::Region::WORKSPACE);
    beyond(BRANCH, snn::FIELD_SOURCE1_OFFSET, snn::Region::WORKSPACE);
    beyond(SHORTCUT, snn::FIELD_OUTPUT_OFFSET, snn::Region::WORKSPACE);
    beyond(READOUT, snn::FIELD_OUTPUT_OFFSET, snn::Region::OUTPUT);
    PackedProgram packed = small_program();
    packed.set_field(FIRST, snn::FIELD_SOURCE0_IMAGE_BYTES, 0x10000000);
    packed.set_field(FIRST, snn::FIELD_SOURCE0_REGION, static_cast<std::uint32_t>(snn::Region::INPUT));
    expect_error(report, packed, snn::ErrorCode::ADDRESS_FENCE, 1, "images beyond the buffer");
}

void software_stops(Report& report)
{
    const volatile std::int32_t flag = 1;
    PackedProgram packed = small_program();
    const PackedProgram before = packed;
    report.equal(
        static_cast<std::uint64_t>(packed.run(&flag)), static_cast<std::uint64_t>(snn::ErrorCode::ABORTED), "abort");
    report.check(packed.memory == before.memory, "an aborted run left memory alone");
}

// Whether everything but the workspace and the output is as it was.
bool only_results_changed(const PackedProgram& before, const PackedProgram& after)
{
    for (std::size_t i = 0; i < before.memory.size(); ++i) {
        bool result = false;
        for (const int region : {2, 3}) {
            result = result || (i >= before.buffer_offset[region] &&
                                i < before.buffer_offset[region] + before.buffer_bytes[region]);
        }
        if (!result && before.memory[i] != after.memory[i]) {
            return false;
        }
    }
    return true;
}

std::uint32_t hostile_value(Random& random, std::uint32_t value)
{
    switch (random.between(0, 6)) {
    case 0:
        return value + 1;
    case 1:
        return value - 1;
    case 2:
        return value + 64 * static_cast<std::uint32_t>(random.between(-4, 4));
    case 3:
        return static_cast<std::uint32_t>(random.between(0, 256));
    case 4:
        return static_cast<std::uint32_t>(random.next());
    case 5:
        return value ^ (1u << random.between(0, 31));
    default:
        return 0xffffffffu << random.between(0, 31);
    }
}

// Programs with a few words changed, in header, descriptors, taps and parameters alike, their checksum right.
void hostile_programs(Report& report)
{
    Random random(99);
    const PackedProgram good[2] = {small_program(), small_program(snn::Firing::STEPWISE)};
    const std::uint32_t commands = good[0].word(4 * snn::HEADER_COMMAND_BYTES);
    for (int i = 0; i < HOSTILE_PROGRAMS; ++i) {
        PackedProgram packed = good[i % 2];
        for (int changes = random.between(1, 3); changes > 0; --changes) {
            const int first_word = random.chance(0.1) ? 0 : static_cast<int>(snn::HEADER_BYTES / 4);
            const std::uint32_t offset =
                4 * static_cast<std::uint32_t>(random.between(first_word, static_cast<int>(commands / 4) + 64));
            packed.set_word(offset, hostile_value(random, packed.word(offset)));
        }
        if (packed.word(4 * snn::HEADER_COMMAND_BYTES) == commands) {
            packed.refresh_crc();
        }
        packed.registers[snn::REGISTER_WATCHDOG_CYCLES / 4] = HOSTILE_WATCHDOG;
        const PackedProgram before = packed;
        const int code = packed.run();
        report.check(
            code >= 0 && code <= static_cast<int>(snn::ErrorCode::ABORTED) && only_results_changed(before, packed),
            "hostile program " + std::to_string(i));
    }
}

// Registers at random: a driver gone wrong.
void hostile_registers(Report& report)
{
    Random random(98);
    for (int i = 0; i < HOSTILE_PROGRAMS; ++i) {
        PackedProgram packed = small_program();
        for (int changes = random.between(1, 3); changes > 0; --changes) {
            const std::uint32_t index = static_cast<std::uint32_t>(
                random.between(snn::REGISTER_PROGRAM_ADDRESS / 4, snn::REGISTER_WATCHDOG_CYCLES / 4));
            packed.registers[index] = hostile_value(random, packed.registers[index]);
        }
        const int code = packed.run();
        report.check(code >= 0 && code <= static_cast<int>(snn::ErrorCode::ABORTED), "hostile registers");
    }
}

// Output over the program itself: what runs then is no longer what was checked, and must still stay inside.
void self_overwriting_program(Report& report)
{
    for (const std::uint32_t offset : {0u, 64u, 1024u, 4096u}) {
        PackedProgram packed = small_program();
        const std::uint32_t program = packed.registers[snn::REGISTER_PROGRAM_ADDRESS / 4];
        packed.registers[snn::REGISTER_WORKSPACE_ADDRESS / 4] = program + offset;
        packed.registers[snn::REGISTER_WATCHDOG_CYCLES / 4] = HOSTILE_WATCHDOG;
        const int code = packed.run();
        report.check(code >= 0 && code <= static_cast<int>(snn::ErrorCode::ABORTED), "self-overwriting program");
    }
}

void no_memory_at_all(Report& report)
{
    PackedProgram packed = small_program();
    const int code = snn_core_run(packed.registers, nullptr, 0, 0, nullptr);
    report.equal(static_cast<std::uint64_t>(code), static_cast<std::uint64_t>(snn::ErrorCode::BUS), "no memory");
}

}  // namespace

void run_error_cases(Report& report)
{
    header_errors(report);
    register_errors(report);
    field_limits(report);
    rules_between_fields(report);
    binary_coding_rules(report);
    tap_errors(report);
    fence_errors(report);
    software_stops(report);
    hostile_programs(report);
    hostile_registers(report);
    self_overwriting_program(report);
    no_memory_at_all(report);
}

}  // namespace snn_test
