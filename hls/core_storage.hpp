// The memories of the core.
#ifndef SNN_CORE_STORAGE_HPP
#define SNN_CORE_STORAGE_HPP

#include <cstdint>

#include "accumulate.hpp"
#include "fire.hpp"
#include "line_buffer.hpp"
#include "output_burst.hpp"
#include "snn_layout.hpp"
#include "tap_memory.hpp"

namespace snn {

struct CoreStorage {
    WeightRow weights[WEIGHT_ROWS];  // of one output group, row = 32 * weight block + input channel
    GroupParameters parameters;
    std::uint64_t line_buffer[LINE_BUFFER_WORDS];
    SourceReader reader[SOURCE_COUNT];
    TapMemory taps;
    OutputBurst output;
};

}  // namespace snn

#endif  // SNN_CORE_STORAGE_HPP
