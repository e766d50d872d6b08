// Types that snn_memory's modules share: fenced requests, outcomes of a run, and the instructions of the command unit.
package snn_memory_pkg;

  /* verilator lint_off UNUSEDPARAM */  // no module needs all of them

  // A request that has passed the fence: every word of it lies inside its region's window.
  typedef struct packed {
    logic [28:0] address;  // physical, in 64-bit words
    logic [15:0] words;
    logic [15:0] destination;
  } fenced_request_t;

  localparam int FENCED_REQUEST_BITS = 61;

  // A burst of at most 16 beats inside 128 bytes.
  typedef struct packed {
    logic [28:0] address;  // physical, in 64-bit words
    logic [3:0]  last_beat;  // beats - 1
    logic [15:0] index;  // of the first word, for the client
  } burst_t;

  // How a run ended: registers error_code and error_detail.
  typedef struct packed {
    logic [3:0] code;  // ERROR_CODE_*
    logic [7:0] layer;
    logic [5:0] place;  // descriptor field or region
  } outcome_t;

  // Clients of the fence, in the order of their turns.
  localparam logic [1:0] CLIENT_COMMAND = 2'd0;
  localparam logic [1:0] CLIENT_WEIGHTS = 2'd1;
  localparam logic [1:0] CLIENT_MAPS = 2'd2;
  localparam logic [1:0] CLIENT_RESULTS = 2'd3;

  // --- the command unit's instructions ---
  // The unit has one accumulator of 48 bits. An operand is a field in memory or a value beside it. An instruction whose
  // condition does not hold is passed over. Requirements that do not hold end the program with the instruction's error.

  typedef struct packed {
    logic [3:0] condition;  // IF_*
    logic [3:0] operation;  // DO_*
    logic [6:0] operand;  // field address (bit 6 clear), VALUE_*, RULE_*, STORE_* or READ_*
    logic [2:0] error;  // ELSE_*
    logic [5:0] place;  // of the error
  } instruction_t;

  localparam logic [3:0] DO_LOAD = 4'd0;  // accumulator = operand
  localparam logic [3:0] DO_ADD = 4'd1;  // accumulator += operand
  localparam logic [3:0] DO_MULTIPLY = 4'd2;  // accumulator *= operand (operand below 2^11)
  localparam logic [3:0] DO_AT_MOST = 4'd3;  // require accumulator <= operand
  localparam logic [3:0] DO_EQUAL = 4'd4;  // require accumulator = operand
  localparam logic [3:0] DO_ALIGNED = 4'd5;  // require accumulator & operand = 0
  localparam logic [3:0] DO_HOLDS = 4'd6;  // require the rule named by the operand
  localparam logic [3:0] DO_STORE = 4'd7;  // the register named by the operand = accumulator
  localparam logic [3:0] DO_READ = 4'd8;  // read from the program at the accumulator on, for the unit named by the operand
  localparam logic [3:0] DO_LIMITS = 4'd9;  // require all descriptor fields within their limits, and decode them
  localparam logic [3:0] DO_HAND_OVER = 4'd10;  // give the layer to snn_compute
  localparam logic [3:0] DO_NEXT_LAYER = 4'd11;  // go on with the next descriptor; after the last one the program has ended

  localparam logic [3:0] IF_ALWAYS = 4'd0;
  localparam logic [3:0] IF_GATHER = 4'd1;
  localparam logic [3:0] IF_MAX_POOL = 4'd2;
  localparam logic [3:0] IF_SECOND_SOURCE = 4'd3;  // source 1 has blocks
  localparam logic [3:0] IF_SOURCE0_USED = 4'd4;
  localparam logic [3:0] IF_SOURCE1_USED = 4'd5;

  localparam logic [2:0] ELSE_NOTHING = 3'd0;
  localparam logic [2:0] ELSE_BAD_MAGIC = 3'd1;
  localparam logic [2:0] ELSE_BAD_VERSION = 3'd2;
  localparam logic [2:0] ELSE_BAD_SIZE = 3'd3;
  localparam logic [2:0] ELSE_BAD_CHECKSUM = 3'd4;
  localparam logic [2:0] ELSE_BAD_DESCRIPTOR = 3'd5;
  localparam logic [2:0] ELSE_FENCE = 3'd6;  // place: 0 and 1 the sources, 2 the output

  // Places of the field memory: a descriptor's fields from 0, the header's from 48.
  localparam logic [6:0] HEADER_PLACE = 7'd48;

  localparam logic [6:0] VALUE_IMAGES = 7'd64;
  localparam logic [6:0] VALUE_PROGRAM_WINDOW = 7'd65;
  localparam logic [6:0] VALUE_INPUT_WINDOW = 7'd66;
  localparam logic [6:0] VALUE_WORKSPACE_WINDOW = 7'd67;
  localparam logic [6:0] VALUE_OUTPUT_WINDOW = 7'd68;
  localparam logic [6:0] VALUE_SOURCE0_WINDOW = 7'd69;  // size of the region that the field names
  localparam logic [6:0] VALUE_SOURCE1_WINDOW = 7'd70;
  localparam logic [6:0] VALUE_RESULT_WINDOW = 7'd71;
  localparam logic [6:0] VALUE_GROUPS = 7'd72;  // of the output
  localparam logic [6:0] VALUE_TAP_BASE = 7'd73;  // offset of the program's first tap
  localparam logic [6:0] VALUE_DESCRIPTOR = 7'd74;  // offset of the descriptor
  localparam logic [6:0] VALUE_KEPT = 7'd75;  // by STORE_KEPT
  localparam logic [6:0] VALUE_ROWS0 = 7'd76;  // rows of source 0 that its taps reach
  localparam logic [6:0] VALUE_ROWS1 = 7'd77;
  localparam logic [6:0] VALUE_BLOCKS0 = 7'd78;  // blocks of source 0 that a group needs at once
  localparam logic [6:0] VALUE_BLOCKS1 = 7'd79;
  localparam logic [6:0] VALUE_PLANE_PAIRS = 7'd80;  // words of an input place
  localparam logic [6:0] VALUE_RESULT_PLACE = 7'd81;  // bytes of an output place
  localparam logic [6:0] VALUE_MAGIC = 7'd82;
  localparam logic [6:0] VALUE_VERSION = 7'd83;
  localparam logic [6:0] VALUE_LINE_BUFFER_WORDS = 7'd84;
  localparam logic [6:0] VALUE_MAX_LAYERS = 7'd85;
  localparam logic [6:0] VALUE_HEADER_BYTES = 7'd86;
  localparam logic [6:0] VALUE_DESCRIPTOR_BYTES = 7'd87;
  localparam logic [6:0] VALUE_TAP_BYTES = 7'd88;
  localparam logic [6:0] VALUE_RECORD_BYTES = 7'd89;
  localparam logic [6:0] VALUE_GROUP_HEADER_BYTES = 7'd90;
  localparam logic [6:0] VALUE_WEIGHT_BLOCK_BYTES = 7'd91;
  localparam logic [6:0] VALUE_ALIGNMENT_MASK = 7'd92;
  localparam logic [6:0] VALUE_WORD_MASK = 7'd93;
  localparam logic [6:0] VALUE_MASK_BYTES = 7'd94;
  localparam logic [6:0] VALUE_ONE = 7'd95;
  localparam logic [6:0] VALUE_ZERO = 7'd96;

  localparam logic [6:0] RULE_RUN = 7'd0;  // images in range, windows aligned
  localparam logic [6:0] RULE_CRC = 7'd1;
  localparam logic [6:0] RULE_INPUT_PLANES_EVEN = 7'd2;
  localparam logic [6:0] RULE_OUTPUT_PLANES_EVEN = 7'd3;
  localparam logic [6:0] RULE_INPUT_PLANES_ENOUGH = 7'd4;
  localparam logic [6:0] RULE_BINARY_ALLOWED = 7'd5;
  localparam logic [6:0] RULE_COUNTS_FIT = 7'd6;
  localparam logic [6:0] RULE_TIMESTEPS_FIT = 7'd7;
  localparam logic [6:0] RULE_OUTPUT_REGION = 7'd8;
  localparam logic [6:0] RULE_READOUT_PLANES = 7'd9;
  localparam logic [6:0] RULE_LEAK = 7'd10;
  localparam logic [6:0] RULE_HARD_RESET = 7'd11;
  localparam logic [6:0] RULE_POOL_CODING = 7'd12;
  localparam logic [6:0] RULE_POOL_PLANES = 7'd13;
  localparam logic [6:0] RULE_POOL_CHANNELS = 7'd14;
  localparam logic [6:0] RULE_POOL_FIRING = 7'd15;
  localparam logic [6:0] RULE_POOL_SHORTCUT = 7'd16;
  localparam logic [6:0] RULE_POOL_WEIGHTS = 7'd17;
  localparam logic [6:0] RULE_SOURCE1_REGION = 7'd18;
  localparam logic [6:0] RULE_SOURCE1_STRIDE_Y = 7'd19;
  localparam logic [6:0] RULE_SOURCE1_STRIDE_X = 7'd20;
  localparam logic [6:0] RULE_SHORTCUT_SHAPE = 7'd21;
  localparam logic [6:0] RULE_TAPS = 7'd22;

  localparam logic [6:0] STORE_READ_BYTES = 7'd0;  // of the next DO_READ
  localparam logic [6:0] STORE_TAP_BASE = 7'd1;
  localparam logic [6:0] STORE_DESCRIPTOR = 7'd2;
  localparam logic [6:0] STORE_KEPT = 7'd3;
  localparam logic [6:0] STORE_RECORD = 7'd4;  // offset of the first counter record
  localparam logic [6:0] STORE_SOURCE0_FIRST = 7'd5;
  localparam logic [6:0] STORE_SOURCE1_FIRST = 7'd6;
  localparam logic [6:0] STORE_RESULT_FIRST = 7'd7;

  localparam logic [6:0] READ_HEADER = 7'd0;
  localparam logic [6:0] READ_CRC = 7'd1;
  localparam logic [6:0] READ_DESCRIPTOR = 7'd2;
  localparam logic [6:0] READ_TAPS = 7'd3;

  /* verilator lint_on UNUSEDPARAM */
endpackage
