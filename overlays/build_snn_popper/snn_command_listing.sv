// The command unit's program: what the core checks before it works, in the order that docs/numerics.md, section 8, fixes.
//
// A row is condition, operation, operand, error and place of the error (snn_memory_pkg). `instruction` follows `place` by
// one cycle. LAYER_START is where the work on a descriptor begins.
module snn_command_listing (
    input  logic clk,
    input  logic [7:0] place,
    output snn_memory_pkg::instruction_t instruction,
    output logic [7:0] layer_start
);

  // --- the words of the listing ---
  localparam logic [3:0] ALWAYS = snn_memory_pkg::IF_ALWAYS;
  localparam logic [3:0] GATHER = snn_memory_pkg::IF_GATHER;
  localparam logic [3:0] MAX_POOL = snn_memory_pkg::IF_MAX_POOL;
  localparam logic [3:0] SECOND_SOURCE = snn_memory_pkg::IF_SECOND_SOURCE;
  localparam logic [3:0] SOURCE0_USED = snn_memory_pkg::IF_SOURCE0_USED;
  localparam logic [3:0] SOURCE1_USED = snn_memory_pkg::IF_SOURCE1_USED;
  localparam logic [3:0] ADD = snn_memory_pkg::DO_ADD;
  localparam logic [3:0] ALIGNED = snn_memory_pkg::DO_ALIGNED;
  localparam logic [3:0] AT_MOST = snn_memory_pkg::DO_AT_MOST;
  localparam logic [3:0] EQUAL = snn_memory_pkg::DO_EQUAL;
  localparam logic [3:0] HAND_OVER = snn_memory_pkg::DO_HAND_OVER;
  localparam logic [3:0] HOLDS = snn_memory_pkg::DO_HOLDS;
  localparam logic [3:0] LIMITS = snn_memory_pkg::DO_LIMITS;
  localparam logic [3:0] LOAD = snn_memory_pkg::DO_LOAD;
  localparam logic [3:0] MULTIPLY = snn_memory_pkg::DO_MULTIPLY;
  localparam logic [3:0] NEXT_LAYER = snn_memory_pkg::DO_NEXT_LAYER;
  localparam logic [3:0] READ = snn_memory_pkg::DO_READ;
  localparam logic [3:0] STORE = snn_memory_pkg::DO_STORE;
  localparam logic [2:0] BAD_CHECKSUM = snn_memory_pkg::ELSE_BAD_CHECKSUM;
  localparam logic [2:0] BAD_DESCRIPTOR = snn_memory_pkg::ELSE_BAD_DESCRIPTOR;
  localparam logic [2:0] BAD_MAGIC = snn_memory_pkg::ELSE_BAD_MAGIC;
  localparam logic [2:0] BAD_SIZE = snn_memory_pkg::ELSE_BAD_SIZE;
  localparam logic [2:0] BAD_VERSION = snn_memory_pkg::ELSE_BAD_VERSION;
  localparam logic [2:0] FENCE = snn_memory_pkg::ELSE_FENCE;
  localparam logic [2:0] NOTHING = snn_memory_pkg::ELSE_NOTHING;
  localparam logic [6:0] ALIGNMENT_MASK = snn_memory_pkg::VALUE_ALIGNMENT_MASK;
  localparam logic [6:0] BLOCKS0 = snn_memory_pkg::VALUE_BLOCKS0;
  localparam logic [6:0] BLOCKS1 = snn_memory_pkg::VALUE_BLOCKS1;
  localparam logic [6:0] CRC_WORDS = snn_memory_pkg::READ_CRC;
  localparam logic [6:0] DESCRIPTOR = snn_memory_pkg::STORE_DESCRIPTOR;
  localparam logic [6:0] DESCRIPTOR_BYTES = snn_memory_pkg::VALUE_DESCRIPTOR_BYTES;
  localparam logic [6:0] DESCRIPTOR_OFFSET = snn_memory_pkg::VALUE_DESCRIPTOR;
  localparam logic [6:0] DESCRIPTOR_WORDS = snn_memory_pkg::READ_DESCRIPTOR;
  localparam logic [6:0] FIRST_TAP_OFFSET = snn_memory_pkg::VALUE_TAP_BASE;
  localparam logic [6:0] F_FIRST_TAP = snn_layout_pkg::FIELD_FIRST_TAP[6:0];
  localparam logic [6:0] F_INPUT_PLANES = snn_layout_pkg::FIELD_INPUT_PLANES[6:0];
  localparam logic [6:0] F_OUTPUT_BLOCK_BYTES = snn_layout_pkg::FIELD_OUTPUT_BLOCK_BYTES[6:0];
  localparam logic [6:0] F_OUTPUT_HEIGHT = snn_layout_pkg::FIELD_OUTPUT_HEIGHT[6:0];
  localparam logic [6:0] F_OUTPUT_IMAGE_BYTES = snn_layout_pkg::FIELD_OUTPUT_IMAGE_BYTES[6:0];
  localparam logic [6:0] F_OUTPUT_OFFSET = snn_layout_pkg::FIELD_OUTPUT_OFFSET[6:0];
  localparam logic [6:0] F_OUTPUT_WIDTH = snn_layout_pkg::FIELD_OUTPUT_WIDTH[6:0];
  localparam logic [6:0] F_SOURCE0_BLOCKS = snn_layout_pkg::FIELD_SOURCE0_BLOCKS[6:0];
  localparam logic [6:0] F_SOURCE0_BLOCK_BYTES = snn_layout_pkg::FIELD_SOURCE0_BLOCK_BYTES[6:0];
  localparam logic [6:0] F_SOURCE0_HEIGHT = snn_layout_pkg::FIELD_SOURCE0_HEIGHT[6:0];
  localparam logic [6:0] F_SOURCE0_IMAGE_BYTES = snn_layout_pkg::FIELD_SOURCE0_IMAGE_BYTES[6:0];
  localparam logic [6:0] F_SOURCE0_OFFSET = snn_layout_pkg::FIELD_SOURCE0_OFFSET[6:0];
  localparam logic [6:0] F_SOURCE0_ROW_BYTES = snn_layout_pkg::FIELD_SOURCE0_ROW_BYTES[6:0];
  localparam logic [6:0] F_SOURCE0_WIDTH = snn_layout_pkg::FIELD_SOURCE0_WIDTH[6:0];
  localparam logic [6:0] F_SOURCE1_BLOCKS = snn_layout_pkg::FIELD_SOURCE1_BLOCKS[6:0];
  localparam logic [6:0] F_SOURCE1_BLOCK_BYTES = snn_layout_pkg::FIELD_SOURCE1_BLOCK_BYTES[6:0];
  localparam logic [6:0] F_SOURCE1_HEIGHT = snn_layout_pkg::FIELD_SOURCE1_HEIGHT[6:0];
  localparam logic [6:0] F_SOURCE1_IMAGE_BYTES = snn_layout_pkg::FIELD_SOURCE1_IMAGE_BYTES[6:0];
  localparam logic [6:0] F_SOURCE1_OFFSET = snn_layout_pkg::FIELD_SOURCE1_OFFSET[6:0];
  localparam logic [6:0] F_SOURCE1_ROW_BYTES = snn_layout_pkg::FIELD_SOURCE1_ROW_BYTES[6:0];
  localparam logic [6:0] F_SOURCE1_WIDTH = snn_layout_pkg::FIELD_SOURCE1_WIDTH[6:0];
  localparam logic [6:0] F_TAP_COUNT = snn_layout_pkg::FIELD_TAP_COUNT[6:0];
  localparam logic [6:0] F_WEIGHT_BLOCKS = snn_layout_pkg::FIELD_WEIGHT_BLOCKS[6:0];
  localparam logic [6:0] F_WEIGHT_OFFSET = snn_layout_pkg::FIELD_WEIGHT_OFFSET[6:0];
  localparam logic [6:0] GROUPS = snn_memory_pkg::VALUE_GROUPS;
  localparam logic [6:0] GROUP_HEADER_BYTES = snn_memory_pkg::VALUE_GROUP_HEADER_BYTES;
  localparam logic [6:0] HEADER_BYTES = snn_memory_pkg::VALUE_HEADER_BYTES;
  localparam logic [6:0] HEADER_WORDS = snn_memory_pkg::READ_HEADER;
  localparam logic [6:0] H_COMMAND_BYTES = snn_memory_pkg::HEADER_PLACE + snn_layout_pkg::HEADER_COMMAND_BYTES[6:0];
  localparam logic [6:0] H_INPUT_BYTES = snn_memory_pkg::HEADER_PLACE + snn_layout_pkg::HEADER_INPUT_BYTES[6:0];
  localparam logic [6:0] H_LAYER_COUNT = snn_memory_pkg::HEADER_PLACE + snn_layout_pkg::HEADER_LAYER_COUNT[6:0];
  localparam logic [6:0] H_MAGIC = snn_memory_pkg::HEADER_PLACE + snn_layout_pkg::HEADER_MAGIC[6:0];
  localparam logic [6:0] H_OUTPUT_BYTES = snn_memory_pkg::HEADER_PLACE + snn_layout_pkg::HEADER_OUTPUT_BYTES[6:0];
  localparam logic [6:0] H_PROGRAM_BYTES = snn_memory_pkg::HEADER_PLACE + snn_layout_pkg::HEADER_PROGRAM_BYTES[6:0];
  localparam logic [6:0] H_TAP_COUNT = snn_memory_pkg::HEADER_PLACE + snn_layout_pkg::HEADER_TAP_COUNT[6:0];
  localparam logic [6:0] H_VERSION = snn_memory_pkg::HEADER_PLACE + snn_layout_pkg::HEADER_VERSION[6:0];
  localparam logic [6:0] H_WORKSPACE_BYTES = snn_memory_pkg::HEADER_PLACE + snn_layout_pkg::HEADER_WORKSPACE_BYTES[6:0];
  localparam logic [6:0] IMAGES = snn_memory_pkg::VALUE_IMAGES;
  localparam logic [6:0] INPUT_WINDOW = snn_memory_pkg::VALUE_INPUT_WINDOW;
  localparam logic [6:0] KEPT = snn_memory_pkg::STORE_KEPT;
  localparam logic [6:0] KEPT_VALUE = snn_memory_pkg::VALUE_KEPT;
  localparam logic [6:0] LINE_BUFFER_WORDS = snn_memory_pkg::VALUE_LINE_BUFFER_WORDS;
  localparam logic [6:0] MAGIC = snn_memory_pkg::VALUE_MAGIC;
  localparam logic [6:0] MASK_BYTES = snn_memory_pkg::VALUE_MASK_BYTES;
  localparam logic [6:0] MAX_LAYERS = snn_memory_pkg::VALUE_MAX_LAYERS;
  localparam logic [6:0] ONE = snn_memory_pkg::VALUE_ONE;
  localparam logic [6:0] OUTPUT_WINDOW = snn_memory_pkg::VALUE_OUTPUT_WINDOW;
  localparam logic [6:0] PLANE_PAIRS = snn_memory_pkg::VALUE_PLANE_PAIRS;
  localparam logic [6:0] PROGRAM_WINDOW = snn_memory_pkg::VALUE_PROGRAM_WINDOW;
  localparam logic [6:0] READ_BYTES = snn_memory_pkg::STORE_READ_BYTES;
  localparam logic [6:0] RECORD = snn_memory_pkg::STORE_RECORD;
  localparam logic [6:0] RECORD_BYTES = snn_memory_pkg::VALUE_RECORD_BYTES;
  localparam logic [6:0] RESULT_FIRST = snn_memory_pkg::STORE_RESULT_FIRST;
  localparam logic [6:0] RESULT_PLACE = snn_memory_pkg::VALUE_RESULT_PLACE;
  localparam logic [6:0] RESULT_WINDOW = snn_memory_pkg::VALUE_RESULT_WINDOW;
  localparam logic [6:0] ROWS0 = snn_memory_pkg::VALUE_ROWS0;
  localparam logic [6:0] ROWS1 = snn_memory_pkg::VALUE_ROWS1;
  localparam logic [6:0] RULE_BINARY_ALLOWED = snn_memory_pkg::RULE_BINARY_ALLOWED;
  localparam logic [6:0] RULE_COUNTS_FIT = snn_memory_pkg::RULE_COUNTS_FIT;
  localparam logic [6:0] RULE_CRC = snn_memory_pkg::RULE_CRC;
  localparam logic [6:0] RULE_HARD_RESET = snn_memory_pkg::RULE_HARD_RESET;
  localparam logic [6:0] RULE_INPUT_PLANES_ENOUGH = snn_memory_pkg::RULE_INPUT_PLANES_ENOUGH;
  localparam logic [6:0] RULE_INPUT_PLANES_EVEN = snn_memory_pkg::RULE_INPUT_PLANES_EVEN;
  localparam logic [6:0] RULE_LEAK = snn_memory_pkg::RULE_LEAK;
  localparam logic [6:0] RULE_OUTPUT_PLANES_EVEN = snn_memory_pkg::RULE_OUTPUT_PLANES_EVEN;
  localparam logic [6:0] RULE_OUTPUT_REGION = snn_memory_pkg::RULE_OUTPUT_REGION;
  localparam logic [6:0] RULE_POOL_CHANNELS = snn_memory_pkg::RULE_POOL_CHANNELS;
  localparam logic [6:0] RULE_POOL_CODING = snn_memory_pkg::RULE_POOL_CODING;
  localparam logic [6:0] RULE_POOL_FIRING = snn_memory_pkg::RULE_POOL_FIRING;
  localparam logic [6:0] RULE_POOL_PLANES = snn_memory_pkg::RULE_POOL_PLANES;
  localparam logic [6:0] RULE_POOL_SHORTCUT = snn_memory_pkg::RULE_POOL_SHORTCUT;
  localparam logic [6:0] RULE_POOL_WEIGHTS = snn_memory_pkg::RULE_POOL_WEIGHTS;
  localparam logic [6:0] RULE_READOUT_PLANES = snn_memory_pkg::RULE_READOUT_PLANES;
  localparam logic [6:0] RULE_RUN = snn_memory_pkg::RULE_RUN;
  localparam logic [6:0] RULE_SHORTCUT_SHAPE = snn_memory_pkg::RULE_SHORTCUT_SHAPE;
  localparam logic [6:0] RULE_SOURCE1_REGION = snn_memory_pkg::RULE_SOURCE1_REGION;
  localparam logic [6:0] RULE_SOURCE1_STRIDE_X = snn_memory_pkg::RULE_SOURCE1_STRIDE_X;
  localparam logic [6:0] RULE_SOURCE1_STRIDE_Y = snn_memory_pkg::RULE_SOURCE1_STRIDE_Y;
  localparam logic [6:0] RULE_TAPS = snn_memory_pkg::RULE_TAPS;
  localparam logic [6:0] RULE_TIMESTEPS_FIT = snn_memory_pkg::RULE_TIMESTEPS_FIT;
  localparam logic [6:0] SOURCE0_FIRST = snn_memory_pkg::STORE_SOURCE0_FIRST;
  localparam logic [6:0] SOURCE0_WINDOW = snn_memory_pkg::VALUE_SOURCE0_WINDOW;
  localparam logic [6:0] SOURCE1_FIRST = snn_memory_pkg::STORE_SOURCE1_FIRST;
  localparam logic [6:0] SOURCE1_WINDOW = snn_memory_pkg::VALUE_SOURCE1_WINDOW;
  localparam logic [6:0] TAP_BASE = snn_memory_pkg::STORE_TAP_BASE;
  localparam logic [6:0] TAP_BYTES = snn_memory_pkg::VALUE_TAP_BYTES;
  localparam logic [6:0] TAP_WORDS = snn_memory_pkg::READ_TAPS;
  localparam logic [6:0] VERSION = snn_memory_pkg::VALUE_VERSION;
  localparam logic [6:0] WEIGHT_BLOCK_BYTES = snn_memory_pkg::VALUE_WEIGHT_BLOCK_BYTES;
  localparam logic [6:0] WORD_MASK = snn_memory_pkg::VALUE_WORD_MASK;
  localparam logic [6:0] WORKSPACE_WINDOW = snn_memory_pkg::VALUE_WORKSPACE_WINDOW;
  localparam logic [6:0] ZERO = snn_memory_pkg::VALUE_ZERO;
  localparam logic [5:0] AT_FIRING = snn_layout_pkg::FIELD_FIRING[5:0];
  localparam logic [5:0] AT_FIRST_TAP = snn_layout_pkg::FIELD_FIRST_TAP[5:0];
  localparam logic [5:0] AT_HARD_RESET = snn_layout_pkg::FIELD_HARD_RESET[5:0];
  localparam logic [5:0] AT_INPUT_PLANES = snn_layout_pkg::FIELD_INPUT_PLANES[5:0];
  localparam logic [5:0] AT_LEAK_SHIFT = snn_layout_pkg::FIELD_LEAK_SHIFT[5:0];
  localparam logic [5:0] AT_NONE = 6'd0;
  localparam logic [5:0] AT_OUTPUT_BLOCK_BYTES = snn_layout_pkg::FIELD_OUTPUT_BLOCK_BYTES[5:0];
  localparam logic [5:0] AT_OUTPUT_CHANNELS = snn_layout_pkg::FIELD_OUTPUT_CHANNELS[5:0];
  localparam logic [5:0] AT_OUTPUT_CODING = snn_layout_pkg::FIELD_OUTPUT_CODING[5:0];
  localparam logic [5:0] AT_OUTPUT_IMAGE_BYTES = snn_layout_pkg::FIELD_OUTPUT_IMAGE_BYTES[5:0];
  localparam logic [5:0] AT_OUTPUT_OFFSET = snn_layout_pkg::FIELD_OUTPUT_OFFSET[5:0];
  localparam logic [5:0] AT_OUTPUT_PLANES = snn_layout_pkg::FIELD_OUTPUT_PLANES[5:0];
  localparam logic [5:0] AT_OUTPUT_REGION = snn_layout_pkg::FIELD_OUTPUT_REGION[5:0];
  localparam logic [5:0] AT_RESULT = 6'd2;
  localparam logic [5:0] AT_SHORTCUT = snn_layout_pkg::FIELD_SHORTCUT[5:0];
  localparam logic [5:0] AT_SOURCE0_BLOCK_BYTES = snn_layout_pkg::FIELD_SOURCE0_BLOCK_BYTES[5:0];
  localparam logic [5:0] AT_SOURCE0_IMAGE_BYTES = snn_layout_pkg::FIELD_SOURCE0_IMAGE_BYTES[5:0];
  localparam logic [5:0] AT_SOURCE0_OFFSET = snn_layout_pkg::FIELD_SOURCE0_OFFSET[5:0];
  localparam logic [5:0] AT_SOURCE0_ROW_BYTES = snn_layout_pkg::FIELD_SOURCE0_ROW_BYTES[5:0];
  localparam logic [5:0] AT_SOURCE1_BLOCK_BYTES = snn_layout_pkg::FIELD_SOURCE1_BLOCK_BYTES[5:0];
  localparam logic [5:0] AT_SOURCE1_IMAGE_BYTES = snn_layout_pkg::FIELD_SOURCE1_IMAGE_BYTES[5:0];
  localparam logic [5:0] AT_SOURCE1_OFFSET = snn_layout_pkg::FIELD_SOURCE1_OFFSET[5:0];
  localparam logic [5:0] AT_SOURCE1_REGION = snn_layout_pkg::FIELD_SOURCE1_REGION[5:0];
  localparam logic [5:0] AT_SOURCE1_ROW_BYTES = snn_layout_pkg::FIELD_SOURCE1_ROW_BYTES[5:0];
  localparam logic [5:0] AT_SOURCE1_STRIDE_X = snn_layout_pkg::FIELD_SOURCE1_STRIDE_X[5:0];
  localparam logic [5:0] AT_SOURCE1_STRIDE_Y = snn_layout_pkg::FIELD_SOURCE1_STRIDE_Y[5:0];
  localparam logic [5:0] AT_SOURCE_0 = 6'd0;
  localparam logic [5:0] AT_SOURCE_1 = 6'd1;
  localparam logic [5:0] AT_TAP_COUNT = snn_layout_pkg::FIELD_TAP_COUNT[5:0];
  localparam logic [5:0] AT_TIMESTEPS = snn_layout_pkg::FIELD_TIMESTEPS[5:0];
  localparam logic [5:0] AT_WEIGHT_BLOCKS = snn_layout_pkg::FIELD_WEIGHT_BLOCKS[5:0];
  localparam logic [5:0] AT_WEIGHT_OFFSET = snn_layout_pkg::FIELD_WEIGHT_OFFSET[5:0];

  // --- once ---
  localparam int HEADER_LISTING_STEPS = 51;
  localparam logic [24*HEADER_LISTING_STEPS-1:0] HEADER_LISTING = {
      // the arguments of the run
      {ALWAYS, HOLDS, RULE_RUN, BAD_SIZE, AT_NONE},
      {ALWAYS, LOAD, HEADER_BYTES, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, PROGRAM_WINDOW, BAD_SIZE, AT_NONE},
      // the header
      {ALWAYS, STORE, READ_BYTES, NOTHING, AT_NONE},
      {ALWAYS, LOAD, ZERO, NOTHING, AT_NONE},
      {ALWAYS, READ, HEADER_WORDS, NOTHING, AT_NONE},
      {ALWAYS, LOAD, MAGIC, NOTHING, AT_NONE},
      {ALWAYS, EQUAL, H_MAGIC, BAD_MAGIC, AT_NONE},
      {ALWAYS, LOAD, VERSION, NOTHING, AT_NONE},
      {ALWAYS, EQUAL, H_VERSION, BAD_VERSION, AT_NONE},
      // sizes that agree with each other
      {ALWAYS, LOAD, ONE, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, H_LAYER_COUNT, BAD_SIZE, AT_NONE},
      {ALWAYS, AT_MOST, H_TAP_COUNT, BAD_SIZE, AT_NONE},
      {ALWAYS, AT_MOST, H_INPUT_BYTES, BAD_SIZE, AT_NONE},
      {ALWAYS, AT_MOST, H_OUTPUT_BYTES, BAD_SIZE, AT_NONE},
      {ALWAYS, LOAD, H_LAYER_COUNT, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, MAX_LAYERS, BAD_SIZE, AT_NONE},
      {ALWAYS, MULTIPLY, DESCRIPTOR_BYTES, NOTHING, AT_NONE},
      {ALWAYS, ADD, HEADER_BYTES, NOTHING, AT_NONE},
      {ALWAYS, STORE, TAP_BASE, NOTHING, AT_NONE},
      {ALWAYS, LOAD, H_TAP_COUNT, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, TAP_BYTES, NOTHING, AT_NONE},
      {ALWAYS, ADD, FIRST_TAP_OFFSET, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, H_COMMAND_BYTES, BAD_SIZE, AT_NONE},
      {ALWAYS, LOAD, H_OUTPUT_BYTES, NOTHING, AT_NONE},
      {ALWAYS, ALIGNED, ALIGNMENT_MASK, BAD_SIZE, AT_NONE},
      {ALWAYS, LOAD, H_COMMAND_BYTES, NOTHING, AT_NONE},
      {ALWAYS, ALIGNED, ALIGNMENT_MASK, BAD_SIZE, AT_NONE},
      {ALWAYS, AT_MOST, H_PROGRAM_BYTES, BAD_SIZE, AT_NONE},
      {ALWAYS, STORE, READ_BYTES, NOTHING, AT_NONE},
      // buffers that are large enough
      {ALWAYS, LOAD, H_PROGRAM_BYTES, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, PROGRAM_WINDOW, BAD_SIZE, AT_NONE},
      {ALWAYS, LOAD, H_INPUT_BYTES, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, IMAGES, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, INPUT_WINDOW, BAD_SIZE, AT_NONE},
      {ALWAYS, LOAD, H_WORKSPACE_BYTES, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, IMAGES, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, WORKSPACE_WINDOW, BAD_SIZE, AT_NONE},
      {ALWAYS, LOAD, H_LAYER_COUNT, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, RECORD_BYTES, NOTHING, AT_NONE},
      {ALWAYS, STORE, KEPT, NOTHING, AT_NONE},
      {ALWAYS, LOAD, H_OUTPUT_BYTES, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, IMAGES, NOTHING, AT_NONE},
      {ALWAYS, STORE, RECORD, NOTHING, AT_NONE},
      {ALWAYS, ADD, KEPT_VALUE, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, OUTPUT_WINDOW, BAD_SIZE, AT_NONE},
      // the command section
      {ALWAYS, LOAD, ZERO, NOTHING, AT_NONE},
      {ALWAYS, READ, CRC_WORDS, NOTHING, AT_NONE},
      {ALWAYS, HOLDS, RULE_CRC, BAD_CHECKSUM, AT_NONE},
      {ALWAYS, LOAD, HEADER_BYTES, NOTHING, AT_NONE},
      {ALWAYS, STORE, DESCRIPTOR, NOTHING, AT_NONE}
  };

  // --- for each layer ---
  localparam int LAYER_LISTING_STEPS = 132;
  localparam logic [24*LAYER_LISTING_STEPS-1:0] LAYER_LISTING = {
      // the descriptor and the limits of its fields
      {ALWAYS, LOAD, DESCRIPTOR_BYTES, NOTHING, AT_NONE},
      {ALWAYS, STORE, READ_BYTES, NOTHING, AT_NONE},
      {ALWAYS, LOAD, DESCRIPTOR_OFFSET, NOTHING, AT_NONE},
      {ALWAYS, READ, DESCRIPTOR_WORDS, NOTHING, AT_NONE},
      {ALWAYS, ADD, DESCRIPTOR_BYTES, NOTHING, AT_NONE},
      {ALWAYS, STORE, DESCRIPTOR, NOTHING, AT_NONE},
      {ALWAYS, LIMITS, ZERO, BAD_DESCRIPTOR, AT_NONE},
      // planes
      {ALWAYS, HOLDS, RULE_INPUT_PLANES_EVEN, BAD_DESCRIPTOR, AT_INPUT_PLANES},
      {ALWAYS, HOLDS, RULE_OUTPUT_PLANES_EVEN, BAD_DESCRIPTOR, AT_OUTPUT_PLANES},
      {ALWAYS, HOLDS, RULE_INPUT_PLANES_ENOUGH, BAD_DESCRIPTOR, AT_INPUT_PLANES},
      {ALWAYS, HOLDS, RULE_BINARY_ALLOWED, BAD_DESCRIPTOR, AT_OUTPUT_CODING},
      {ALWAYS, HOLDS, RULE_COUNTS_FIT, BAD_DESCRIPTOR, AT_TIMESTEPS},
      {ALWAYS, HOLDS, RULE_TIMESTEPS_FIT, BAD_DESCRIPTOR, AT_OUTPUT_PLANES},
      // firing
      {ALWAYS, HOLDS, RULE_OUTPUT_REGION, BAD_DESCRIPTOR, AT_OUTPUT_REGION},
      {ALWAYS, HOLDS, RULE_READOUT_PLANES, BAD_DESCRIPTOR, AT_OUTPUT_PLANES},
      {ALWAYS, HOLDS, RULE_LEAK, BAD_DESCRIPTOR, AT_LEAK_SHIFT},
      {ALWAYS, HOLDS, RULE_HARD_RESET, BAD_DESCRIPTOR, AT_HARD_RESET},
      // max pooling
      {MAX_POOL, HOLDS, RULE_POOL_CODING, BAD_DESCRIPTOR, AT_OUTPUT_CODING},
      {MAX_POOL, HOLDS, RULE_POOL_PLANES, BAD_DESCRIPTOR, AT_OUTPUT_PLANES},
      {MAX_POOL, HOLDS, RULE_POOL_CHANNELS, BAD_DESCRIPTOR, AT_OUTPUT_CHANNELS},
      {MAX_POOL, HOLDS, RULE_POOL_FIRING, BAD_DESCRIPTOR, AT_FIRING},
      {MAX_POOL, HOLDS, RULE_POOL_SHORTCUT, BAD_DESCRIPTOR, AT_SHORTCUT},
      {MAX_POOL, HOLDS, RULE_POOL_WEIGHTS, BAD_DESCRIPTOR, AT_WEIGHT_BLOCKS},
      // weights
      {GATHER, LOAD, F_WEIGHT_OFFSET, NOTHING, AT_NONE},
      {GATHER, ALIGNED, ALIGNMENT_MASK, BAD_DESCRIPTOR, AT_WEIGHT_OFFSET},
      {GATHER, LOAD, H_COMMAND_BYTES, NOTHING, AT_NONE},
      {GATHER, AT_MOST, F_WEIGHT_OFFSET, BAD_DESCRIPTOR, AT_WEIGHT_OFFSET},
      {GATHER, LOAD, F_WEIGHT_BLOCKS, NOTHING, AT_NONE},
      {GATHER, MULTIPLY, WEIGHT_BLOCK_BYTES, NOTHING, AT_NONE},
      {GATHER, ADD, GROUP_HEADER_BYTES, NOTHING, AT_NONE},
      {GATHER, MULTIPLY, GROUPS, NOTHING, AT_NONE},
      {GATHER, ADD, F_WEIGHT_OFFSET, NOTHING, AT_NONE},
      {GATHER, AT_MOST, H_PROGRAM_BYTES, BAD_DESCRIPTOR, AT_WEIGHT_OFFSET},
      // the range of taps
      {ALWAYS, LOAD, F_FIRST_TAP, NOTHING, AT_NONE},
      {ALWAYS, ADD, F_TAP_COUNT, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, H_TAP_COUNT, BAD_DESCRIPTOR, AT_FIRST_TAP},
      // source 0
      {ALWAYS, LOAD, MASK_BYTES, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, F_INPUT_PLANES, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, F_SOURCE0_WIDTH, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, F_SOURCE0_ROW_BYTES, BAD_DESCRIPTOR, AT_SOURCE0_ROW_BYTES},
      {ALWAYS, LOAD, F_SOURCE0_ROW_BYTES, NOTHING, AT_NONE},
      {ALWAYS, ALIGNED, WORD_MASK, BAD_DESCRIPTOR, AT_SOURCE0_ROW_BYTES},
      {ALWAYS, MULTIPLY, F_SOURCE0_HEIGHT, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, F_SOURCE0_BLOCK_BYTES, BAD_DESCRIPTOR, AT_SOURCE0_BLOCK_BYTES},
      {ALWAYS, LOAD, F_SOURCE0_BLOCK_BYTES, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, F_SOURCE0_BLOCKS, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, F_SOURCE0_IMAGE_BYTES, BAD_DESCRIPTOR, AT_SOURCE0_IMAGE_BYTES},
      {ALWAYS, LOAD, F_SOURCE0_BLOCK_BYTES, NOTHING, AT_NONE},
      {ALWAYS, ALIGNED, ALIGNMENT_MASK, BAD_DESCRIPTOR, AT_SOURCE0_BLOCK_BYTES},
      {ALWAYS, LOAD, F_SOURCE0_IMAGE_BYTES, NOTHING, AT_NONE},
      {ALWAYS, ALIGNED, ALIGNMENT_MASK, BAD_DESCRIPTOR, AT_SOURCE0_IMAGE_BYTES},
      {ALWAYS, LOAD, F_SOURCE0_OFFSET, NOTHING, AT_NONE},
      {ALWAYS, ALIGNED, ALIGNMENT_MASK, BAD_DESCRIPTOR, AT_SOURCE0_OFFSET},
      // source 1
      {SECOND_SOURCE, LOAD, MASK_BYTES, NOTHING, AT_NONE},
      {SECOND_SOURCE, MULTIPLY, F_INPUT_PLANES, NOTHING, AT_NONE},
      {SECOND_SOURCE, MULTIPLY, F_SOURCE1_WIDTH, NOTHING, AT_NONE},
      {SECOND_SOURCE, AT_MOST, F_SOURCE1_ROW_BYTES, BAD_DESCRIPTOR, AT_SOURCE1_ROW_BYTES},
      {SECOND_SOURCE, LOAD, F_SOURCE1_ROW_BYTES, NOTHING, AT_NONE},
      {SECOND_SOURCE, ALIGNED, WORD_MASK, BAD_DESCRIPTOR, AT_SOURCE1_ROW_BYTES},
      {SECOND_SOURCE, MULTIPLY, F_SOURCE1_HEIGHT, NOTHING, AT_NONE},
      {SECOND_SOURCE, AT_MOST, F_SOURCE1_BLOCK_BYTES, BAD_DESCRIPTOR, AT_SOURCE1_BLOCK_BYTES},
      {SECOND_SOURCE, LOAD, F_SOURCE1_BLOCK_BYTES, NOTHING, AT_NONE},
      {SECOND_SOURCE, MULTIPLY, F_SOURCE1_BLOCKS, NOTHING, AT_NONE},
      {SECOND_SOURCE, AT_MOST, F_SOURCE1_IMAGE_BYTES, BAD_DESCRIPTOR, AT_SOURCE1_IMAGE_BYTES},
      {SECOND_SOURCE, LOAD, F_SOURCE1_BLOCK_BYTES, NOTHING, AT_NONE},
      {SECOND_SOURCE, ALIGNED, ALIGNMENT_MASK, BAD_DESCRIPTOR, AT_SOURCE1_BLOCK_BYTES},
      {SECOND_SOURCE, LOAD, F_SOURCE1_IMAGE_BYTES, NOTHING, AT_NONE},
      {SECOND_SOURCE, ALIGNED, ALIGNMENT_MASK, BAD_DESCRIPTOR, AT_SOURCE1_IMAGE_BYTES},
      {SECOND_SOURCE, LOAD, F_SOURCE1_OFFSET, NOTHING, AT_NONE},
      {SECOND_SOURCE, ALIGNED, ALIGNMENT_MASK, BAD_DESCRIPTOR, AT_SOURCE1_OFFSET},
      {SECOND_SOURCE, HOLDS, RULE_SOURCE1_REGION, BAD_DESCRIPTOR, AT_SOURCE1_REGION},
      {SECOND_SOURCE, HOLDS, RULE_SOURCE1_STRIDE_Y, BAD_DESCRIPTOR, AT_SOURCE1_STRIDE_Y},
      {SECOND_SOURCE, HOLDS, RULE_SOURCE1_STRIDE_X, BAD_DESCRIPTOR, AT_SOURCE1_STRIDE_X},
      // the output
      {ALWAYS, LOAD, RESULT_PLACE, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, F_OUTPUT_WIDTH, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, F_OUTPUT_HEIGHT, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, F_OUTPUT_BLOCK_BYTES, BAD_DESCRIPTOR, AT_OUTPUT_BLOCK_BYTES},
      {ALWAYS, LOAD, F_OUTPUT_BLOCK_BYTES, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, GROUPS, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, F_OUTPUT_IMAGE_BYTES, BAD_DESCRIPTOR, AT_OUTPUT_IMAGE_BYTES},
      {ALWAYS, LOAD, F_OUTPUT_BLOCK_BYTES, NOTHING, AT_NONE},
      {ALWAYS, ALIGNED, ALIGNMENT_MASK, BAD_DESCRIPTOR, AT_OUTPUT_BLOCK_BYTES},
      {ALWAYS, LOAD, F_OUTPUT_IMAGE_BYTES, NOTHING, AT_NONE},
      {ALWAYS, ALIGNED, ALIGNMENT_MASK, BAD_DESCRIPTOR, AT_OUTPUT_IMAGE_BYTES},
      {ALWAYS, LOAD, F_OUTPUT_OFFSET, NOTHING, AT_NONE},
      {ALWAYS, ALIGNED, ALIGNMENT_MASK, BAD_DESCRIPTOR, AT_OUTPUT_OFFSET},
      {ALWAYS, HOLDS, RULE_SHORTCUT_SHAPE, BAD_DESCRIPTOR, AT_SHORTCUT},
      // each tap
      {ALWAYS, LOAD, F_TAP_COUNT, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, TAP_BYTES, NOTHING, AT_NONE},
      {ALWAYS, STORE, READ_BYTES, NOTHING, AT_NONE},
      {ALWAYS, LOAD, F_FIRST_TAP, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, TAP_BYTES, NOTHING, AT_NONE},
      {ALWAYS, ADD, FIRST_TAP_OFFSET, NOTHING, AT_NONE},
      {ALWAYS, READ, TAP_WORDS, NOTHING, AT_NONE},
      {ALWAYS, HOLDS, RULE_TAPS, BAD_DESCRIPTOR, AT_FIRST_TAP},
      // the rows in reach fit the line buffer
      {ALWAYS, LOAD, ZERO, NOTHING, AT_NONE},
      {ALWAYS, STORE, KEPT, NOTHING, AT_NONE},
      {SOURCE0_USED, LOAD, ROWS0, NOTHING, AT_NONE},
      {SOURCE0_USED, MULTIPLY, BLOCKS0, NOTHING, AT_NONE},
      {SOURCE0_USED, MULTIPLY, F_SOURCE0_WIDTH, NOTHING, AT_NONE},
      {SOURCE0_USED, MULTIPLY, PLANE_PAIRS, NOTHING, AT_NONE},
      {SOURCE0_USED, STORE, KEPT, NOTHING, AT_NONE},
      {ALWAYS, LOAD, ZERO, NOTHING, AT_NONE},
      {SOURCE1_USED, LOAD, ROWS1, NOTHING, AT_NONE},
      {SOURCE1_USED, MULTIPLY, BLOCKS1, NOTHING, AT_NONE},
      {SOURCE1_USED, MULTIPLY, F_SOURCE1_WIDTH, NOTHING, AT_NONE},
      {SOURCE1_USED, MULTIPLY, PLANE_PAIRS, NOTHING, AT_NONE},
      {ALWAYS, ADD, KEPT_VALUE, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, LINE_BUFFER_WORDS, BAD_DESCRIPTOR, AT_TAP_COUNT},
      // the maps of the whole batch stay inside their buffers
      {ALWAYS, LOAD, F_SOURCE0_OFFSET, NOTHING, AT_NONE},
      {ALWAYS, ADD, F_SOURCE0_IMAGE_BYTES, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, IMAGES, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, SOURCE0_WINDOW, FENCE, AT_SOURCE_0},
      {SECOND_SOURCE, LOAD, F_SOURCE1_OFFSET, NOTHING, AT_NONE},
      {SECOND_SOURCE, ADD, F_SOURCE1_IMAGE_BYTES, NOTHING, AT_NONE},
      {SECOND_SOURCE, MULTIPLY, IMAGES, NOTHING, AT_NONE},
      {SECOND_SOURCE, AT_MOST, SOURCE1_WINDOW, FENCE, AT_SOURCE_1},
      {ALWAYS, LOAD, F_OUTPUT_OFFSET, NOTHING, AT_NONE},
      {ALWAYS, ADD, F_OUTPUT_IMAGE_BYTES, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, IMAGES, NOTHING, AT_NONE},
      {ALWAYS, AT_MOST, RESULT_WINDOW, FENCE, AT_RESULT},
      // where the first image is
      {ALWAYS, LOAD, F_SOURCE0_OFFSET, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, IMAGES, NOTHING, AT_NONE},
      {ALWAYS, STORE, SOURCE0_FIRST, NOTHING, AT_NONE},
      {ALWAYS, LOAD, F_SOURCE1_OFFSET, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, IMAGES, NOTHING, AT_NONE},
      {ALWAYS, STORE, SOURCE1_FIRST, NOTHING, AT_NONE},
      {ALWAYS, LOAD, F_OUTPUT_OFFSET, NOTHING, AT_NONE},
      {ALWAYS, MULTIPLY, IMAGES, NOTHING, AT_NONE},
      {ALWAYS, STORE, RESULT_FIRST, NOTHING, AT_NONE},
      {ALWAYS, HAND_OVER, ZERO, NOTHING, AT_NONE},
      {ALWAYS, NEXT_LAYER, ZERO, NOTHING, AT_NONE}
  };

  localparam int STEPS = HEADER_LISTING_STEPS + LAYER_LISTING_STEPS;
  localparam logic [24*STEPS-1:0] LISTING = {HEADER_LISTING, LAYER_LISTING};  // the first step is the highest

  logic [7:0] from_end;
  assign from_end = 8'(STEPS - 1) - place;
  assign layer_start = 8'(HEADER_LISTING_STEPS);

  always_ff @(posedge clk) instruction <= LISTING[24*from_end+:24];

endmodule
