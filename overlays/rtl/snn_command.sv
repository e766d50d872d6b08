// The command unit: reads and checks the program, and hands its layers to snn_compute, one layer ahead.
//
// A sequencer that executes snn_command_listing, three cycles a row: a row is looked up while the one before is executed.
// While a layer computes, the next one is read and checked; an error found there is reported when the layer before has
// ended and its counters are written (`settled`). `finished` stays high from the end of the program on, with `outcome`.
module snn_command (
    input logic clk,
    input logic reset,
    input logic start,  // a pulse

    // the arguments of the run; stable while it lasts
    input logic [3:0][31:0] window_bytes,
    input logic [3:0][63:0] window_address,
    input logic [31:0] images,

    // reads of the program
    output logic request_valid,
    input  logic request_ready,
    output snn_types_pkg::read_request_t request,
    input  logic data_valid,
    input  logic [15:0] data_index,
    input  logic [63:0] data,

    // layers
    output logic layer_valid,
    input  logic layer_ready,
    output snn_types_pkg::layer_t layer,
    output logic [7:0] layer_index,
    input  logic [9:0] tap_address,
    output snn_types_pkg::tap_t tap,

    output logic program_checked,  // the header and the checksum are right
    output logic [31:0] record_offset,  // of the first counter record in the output buffer
    input  logic settled,  // no layer computes, and all results are in memory
    output logic finished,
    output snn_memory_pkg::outcome_t outcome
);

  typedef enum logic [3:0] {
    STOPPED,
    ADDRESS,
    MEMORY,
    OPERAND,
    EXECUTE,
    MULTIPLY,
    READ,
    ARRIVE,
    LIMITS,
    HAND_OVER,
    SETTLE,
    ENDED
  } state_t;

  // Places of words in the field memories, in pairs of fields.
  localparam logic [4:0] HEADER_FIRST_PAIR = snn_memory_pkg::HEADER_PLACE[5:1];
  localparam logic [4:0] CRC_PAIR = HEADER_FIRST_PAIR + snn_layout_pkg::HEADER_COMMAND_CRC[5:1];
  localparam logic [4:0] LAYER_COUNT_PAIR = HEADER_FIRST_PAIR + snn_layout_pkg::HEADER_LAYER_COUNT[5:1];
  localparam logic [1:0] CRC_SKIPPED_WORDS = snn_layout_pkg::HEADER_CHECKED_FROM[4:3];

  state_t state;
  logic [7:0] place;
  logic [7:0] layer_start;
  snn_memory_pkg::instruction_t listed;  // the row that is looked up
  snn_memory_pkg::instruction_t doing;   // and the one in EXECUTE

  snn_command_listing listing (
      .clk,
      .place,
      .instruction(listed),
      .layer_start
  );

  // --- fields: descriptor and header, two memories for the two halves of a word ---
  // They are larger than needed because a block RAM of this depth has ports of 36 bits: a smaller one would be used in its
  // 72-bit mode, which the open tools do not place right.
  logic [31:0] even_field[1024];
  logic [31:0] odd_field[1024];
  logic [5:0] field_address;
  logic [31:0] even_read;
  logic [31:0] odd_read;
  logic odd_wanted;
  logic [31:0] field_value;  // two cycles after the address
  logic field_write;
  logic [4:0] field_write_place;
  logic [63:0] field_write_data;

  always_ff @(posedge clk) begin
    if (field_write) begin
      even_field[{5'd0, field_write_place}] <= field_write_data[31:0];
      odd_field[{5'd0, field_write_place}]  <= field_write_data[63:32];
    end
    even_read   <= even_field[{5'd0, field_address[5:1]}];
    odd_read    <= odd_field[{5'd0, field_address[5:1]}];
    odd_wanted  <= field_address[0];
    field_value <= odd_wanted ? odd_read : even_read;
  end

  // --- the layer in its registers, and the taps ---
  logic limits_valid;
  logic [5:0] limits_field;
  logic store_now;
  logic [47:0] accumulator;
  logic used0;
  logic used1;
  logic signed [15:0] first_dy0;
  logic signed [15:0] last_dy0;
  logic signed [15:0] first_dy1;
  logic signed [15:0] last_dy1;
  logic taps_valid;
  logic taps_begin;
  logic tap_word_valid;
  logic fill_half;

  snn_layer_decoder decoder (
      .clk,
      .field_valid(limits_valid),
      .field(limits_field),
      .value(field_value),
      .store_valid(store_now),
      .store(doing.operand),
      .store_value(accumulator[41:0]),
      .images(images[10:0]),
      .used0,
      .used1,
      .first_dy0,
      .last_dy0,
      .first_dy1,
      .last_dy1,
      .layer
  );

  snn_tap_memory taps (
      .clk,
      .fill_half,
      .begins(taps_begin),
      .word_valid(tap_word_valid),
      .word_index(data_index[9:0]),
      .word(data),
      .max_pool(layer.max_pool),
      .shortcut(layer.shortcut),
      .blocks0(layer.source0.blocks),
      .blocks1(layer.source1.blocks),
      .weight_blocks(layer.weight_blocks),
      .all_valid(taps_valid),
      .used0,
      .used1,
      .first_dy0,
      .last_dy0,
      .first_dy1,
      .last_dy1,
      .use_half(!fill_half),
      .address(tap_address),
      .tap
  );

  // --- the checksum: over all words but those before HEADER_CHECKED_FROM ---
  logic crc_begin;
  logic crc_valid;
  logic [1:0] crc_passed_over;
  logic [31:0] crc;
  logic [31:0] crc_expected;
  logic crc_matches;

  snn_crc checksum (
      .clk,
      .clear(crc_begin),
      .word_valid(crc_valid),
      .word(data),
      .crc
  );

  always_ff @(posedge clk) begin
    crc_matches <= crc == crc_expected;
    if (field_write && field_write_place == CRC_PAIR) begin
      crc_expected <= snn_layout_pkg::HEADER_COMMAND_CRC[0] ? field_write_data[63:32] : field_write_data[31:0];
    end
  end


  // --- operands ---
  logic [31:0] tap_base;
  logic [31:0] descriptor_offset;
  logic [31:0] kept;
  logic [16:0] reach0;
  logic [16:0] reach1;
  logic [8:0] rows0;
  logic [8:0] rows1;
  logic [31:0] large_value;
  logic [31:0] small_value;
  logic [31:0] operand;

  always_ff @(posedge clk) begin
    reach0 <= {last_dy0[15], last_dy0} - {first_dy0[15], first_dy0};
    reach1 <= {last_dy1[15], last_dy1} - {first_dy1[15], first_dy1};
    rows0  <= reach0 < {8'd0, layer.source0.height} ? reach0[8:0] + 9'd1 : layer.source0.height;
    rows1  <= reach1 < {8'd0, layer.source1.height} ? reach1[8:0] + 9'd1 : layer.source1.height;
  end

  // In two steps, the second one in OPERAND: a value is in one of the two registers, and 0 in the other.
  always_ff @(posedge clk) begin
    case (listed.operand)
      snn_memory_pkg::VALUE_PROGRAM_WINDOW: large_value <= window_bytes[snn_layout_pkg::REGION_PROGRAM[1:0]];
      snn_memory_pkg::VALUE_INPUT_WINDOW: large_value <= window_bytes[snn_layout_pkg::REGION_INPUT[1:0]];
      snn_memory_pkg::VALUE_WORKSPACE_WINDOW: large_value <= window_bytes[snn_layout_pkg::REGION_WORKSPACE[1:0]];
      snn_memory_pkg::VALUE_OUTPUT_WINDOW: large_value <= window_bytes[snn_layout_pkg::REGION_OUTPUT[1:0]];
      snn_memory_pkg::VALUE_SOURCE0_WINDOW: large_value <= window_bytes[layer.source0.region];
      snn_memory_pkg::VALUE_SOURCE1_WINDOW: large_value <= window_bytes[layer.source1.region];
      snn_memory_pkg::VALUE_RESULT_WINDOW: large_value <= window_bytes[layer.output_region];
      snn_memory_pkg::VALUE_TAP_BASE: large_value <= tap_base;
      snn_memory_pkg::VALUE_DESCRIPTOR: large_value <= descriptor_offset;
      snn_memory_pkg::VALUE_KEPT: large_value <= kept;
      default: large_value <= '0;
    endcase
    case (listed.operand)
      snn_memory_pkg::VALUE_IMAGES: small_value <= {21'd0, images[10:0]};
      snn_memory_pkg::VALUE_GROUPS: small_value <= {25'd0, layer.output_groups};
      snn_memory_pkg::VALUE_ROWS0: small_value <= {23'd0, rows0};
      snn_memory_pkg::VALUE_ROWS1: small_value <= {23'd0, rows1};
      snn_memory_pkg::VALUE_BLOCKS0: small_value <= layer.max_pool ? 32'd1 : {25'd0, layer.source0.blocks};
      snn_memory_pkg::VALUE_BLOCKS1: small_value <= layer.max_pool || layer.shortcut ? 32'd1 : {25'd0, layer.source1.blocks};
      snn_memory_pkg::VALUE_PLANE_PAIRS: small_value <= {27'd0, layer.input_planes[5:1]};
      snn_memory_pkg::VALUE_RESULT_PLACE: small_value <= readout ? snn_layout_pkg::PARAMETER_BYTES : {24'd0, layer.output_planes, 2'd0};
      snn_memory_pkg::VALUE_MAGIC: small_value <= snn_layout_pkg::PROGRAM_MAGIC;
      snn_memory_pkg::VALUE_VERSION: small_value <= snn_layout_pkg::LAYOUT_VERSION;
      snn_memory_pkg::VALUE_LINE_BUFFER_WORDS: small_value <= snn_layout_pkg::LINE_BUFFER_WORDS;
      snn_memory_pkg::VALUE_MAX_LAYERS: small_value <= snn_layout_pkg::MAX_LAYERS;
      snn_memory_pkg::VALUE_HEADER_BYTES: small_value <= snn_layout_pkg::HEADER_BYTES;
      snn_memory_pkg::VALUE_DESCRIPTOR_BYTES: small_value <= snn_layout_pkg::DESCRIPTOR_BYTES;
      snn_memory_pkg::VALUE_TAP_BYTES: small_value <= snn_layout_pkg::TAP_BYTES;
      snn_memory_pkg::VALUE_RECORD_BYTES: small_value <= snn_layout_pkg::COUNTER_RECORD_BYTES;
      snn_memory_pkg::VALUE_GROUP_HEADER_BYTES: small_value <= snn_layout_pkg::GROUP_HEADER_BYTES;
      snn_memory_pkg::VALUE_WEIGHT_BLOCK_BYTES: small_value <= snn_layout_pkg::WEIGHT_BLOCK_BYTES;
      snn_memory_pkg::VALUE_ALIGNMENT_MASK: small_value <= snn_layout_pkg::ALIGNMENT - 32'd1;
      snn_memory_pkg::VALUE_WORD_MASK: small_value <= 32'd7;
      snn_memory_pkg::VALUE_MASK_BYTES: small_value <= snn_layout_pkg::MASK_BYTES;
      snn_memory_pkg::VALUE_ONE: small_value <= 32'd1;
      default: small_value <= '0;
    endcase
  end

  // --- rules about the small fields ---
  logic readout;
  logic [31:0] rules;  // a cycle after what they are about
  logic rule_holds;
  logic run_is_legal;

  assign readout = layer.firing == snn_layout_pkg::FIRING_READOUT[1:0];

  always_ff @(posedge clk) begin
    run_is_legal <= images != 32'd0 && images <= snn_layout_pkg::MAX_IMAGES &&
        (window_address[0][5:0] | window_address[1][5:0] | window_address[2][5:0] | window_address[3][5:0]) == 6'd0;
  end

  logic [5:0] largest_count;  // timesteps that the output planes can count
  logic stepwise_neuron;
  logic [5:0] even_timesteps;
  assign largest_count = layer.output_planes >= 6'd6 ? 6'd63 : (6'd1 << layer.output_planes[2:0]) - 6'd1;
  assign even_timesteps = layer.timesteps + {5'd0, layer.timesteps[0]};
  assign stepwise_neuron = layer.firing == snn_layout_pkg::FIRING_STEPWISE[1:0] && !layer.max_pool;

  always_ff @(posedge clk) begin
    rules <= '0;
    rules[snn_memory_pkg::RULE_RUN[4:0]] <= run_is_legal;
    rules[snn_memory_pkg::RULE_CRC[4:0]] <= crc_matches;
    rules[snn_memory_pkg::RULE_INPUT_PLANES_EVEN[4:0]] <= !layer.input_planes[0];
    rules[snn_memory_pkg::RULE_OUTPUT_PLANES_EVEN[4:0]] <= !layer.output_planes[0];
    rules[snn_memory_pkg::RULE_INPUT_PLANES_ENOUGH[4:0]] <= layer.binary_in || layer.input_planes >= layer.timesteps;
    rules[snn_memory_pkg::RULE_BINARY_ALLOWED[4:0]] <=
        !layer.binary_out || layer.max_pool || layer.firing == snn_layout_pkg::FIRING_DEFERRED[1:0];
    rules[snn_memory_pkg::RULE_COUNTS_FIT[4:0]] <= !layer.binary_out || layer.timesteps <= largest_count;
    rules[snn_memory_pkg::RULE_TIMESTEPS_FIT[4:0]] <= layer.binary_out || readout || layer.output_planes == even_timesteps;
    rules[snn_memory_pkg::RULE_OUTPUT_REGION[4:0]] <= layer.output_region ==
        (readout ? snn_layout_pkg::REGION_OUTPUT[1:0] : snn_layout_pkg::REGION_WORKSPACE[1:0]);
    rules[snn_memory_pkg::RULE_READOUT_PLANES[4:0]] <= (layer.output_planes == 6'd0) == readout;
    rules[snn_memory_pkg::RULE_LEAK[4:0]] <= stepwise_neuron || layer.leak_shift == 4'd0;
    rules[snn_memory_pkg::RULE_HARD_RESET[4:0]] <= stepwise_neuron || !layer.hard_reset;
    rules[snn_memory_pkg::RULE_POOL_CODING[4:0]] <= layer.binary_out == layer.binary_in;
    rules[snn_memory_pkg::RULE_POOL_PLANES[4:0]] <= layer.output_planes == layer.input_planes;
    rules[snn_memory_pkg::RULE_POOL_CHANNELS[4:0]] <= layer.output_groups == layer.source0.blocks;
    rules[snn_memory_pkg::RULE_POOL_FIRING[4:0]] <= layer.firing == snn_layout_pkg::FIRING_STEPWISE[1:0];
    rules[snn_memory_pkg::RULE_POOL_SHORTCUT[4:0]] <= !layer.shortcut;
    rules[snn_memory_pkg::RULE_POOL_WEIGHTS[4:0]] <= layer.weight_blocks == 9'd0;
    rules[snn_memory_pkg::RULE_SOURCE1_REGION[4:0]] <=
        layer.source1.region == snn_layout_pkg::REGION_INPUT[1:0] ||
        layer.source1.region == snn_layout_pkg::REGION_WORKSPACE[1:0];
    rules[snn_memory_pkg::RULE_SOURCE1_STRIDE_Y[4:0]] <= layer.source1.stride_y != 9'd0;
    rules[snn_memory_pkg::RULE_SOURCE1_STRIDE_X[4:0]] <= layer.source1.stride_x != 9'd0;
    rules[snn_memory_pkg::RULE_SHORTCUT_SHAPE[4:0]] <= !layer.shortcut || (layer.source1.blocks == layer.output_groups &&
        layer.source1.height == layer.output_height && layer.source1.width == layer.output_width);
    rules[snn_memory_pkg::RULE_TAPS[4:0]] <= taps_valid;
  end

  // --- condition ---
  logic condition_holds;
  logic applies;  // the same, in EXECUTE
  always_comb begin
    case (listed.condition)
      snn_memory_pkg::IF_GATHER: condition_holds = !layer.max_pool;
      snn_memory_pkg::IF_MAX_POOL: condition_holds = layer.max_pool;
      snn_memory_pkg::IF_SECOND_SOURCE: condition_holds = layer.source1.blocks != 7'd0;
      snn_memory_pkg::IF_SOURCE0_USED: condition_holds = used0;
      snn_memory_pkg::IF_SOURCE1_USED: condition_holds = used1;
      default: condition_holds = 1'b1;
    endcase
  end

  // --- limits: a field in each cycle ---
  logic [5:0] limits_address;
  logic [1:0] limits_busy;  // a field is in the two stages of the memory
  logic [5:0] limits_next;
  logic [63:0] limit;
  logic judged_valid;
  logic [5:0] judged_field;
  logic judged_bad;
  localparam logic [5:0] LAST_FIELD = 6'(snn_layout_pkg::DESCRIPTOR_FIELD_COUNT - 1);

  always_ff @(posedge clk) begin
    limits_next  <= limits_address;
    limits_field <= limits_next;
    limit        <= snn_layout_pkg::descriptor_limit(limits_next);
    judged_field <= limits_field;
    judged_bad   <= field_value < limit[63:32] || field_value > limit[31:0];
  end

  assign limits_valid  = limits_busy[1];
  assign field_address = state == LIMITS ? limits_address : listed.operand[5:0];

  // --- reads: at most 2^15 words in a request ---
  localparam int CHUNK_BITS = 15;
  logic [28:0] words_to_ask;
  logic [CHUNK_BITS:0] words_to_come;
  logic [CHUNK_BITS:0] chunk;
  logic chunk_is_full;
  logic [31:0] read_offset;
  logic [1:0] reader;  // READ_*

  assign chunk_is_full = words_to_ask[28:CHUNK_BITS] != '0;
  assign chunk = chunk_is_full ? {1'b1, {CHUNK_BITS{1'b0}}} : {1'b0, words_to_ask[CHUNK_BITS-1:0]};
  assign request_valid = state == READ;

  always_comb begin
    request.region = snn_layout_pkg::REGION_PROGRAM[1:0];
    request.offset = {10'd0, read_offset};
    request.words = chunk;
    request.destination = '0;
  end

  assign tap_word_valid = data_valid && reader == snn_memory_pkg::READ_TAPS[1:0];
  assign crc_valid = data_valid && reader == snn_memory_pkg::READ_CRC[1:0] && crc_passed_over == CRC_SKIPPED_WORDS;

  always_ff @(posedge clk) begin
    field_write <= data_valid && (reader == snn_memory_pkg::READ_HEADER[1:0] ||
                                  reader == snn_memory_pkg::READ_DESCRIPTOR[1:0]);
    field_write_place <= data_index[4:0] +
        (reader == snn_memory_pkg::READ_HEADER[1:0] ? HEADER_FIRST_PAIR : 5'd0);
    field_write_data <= data;
    if (crc_begin) crc_passed_over <= '0;
    else if (data_valid && crc_passed_over != CRC_SKIPPED_WORDS) crc_passed_over <= crc_passed_over + 2'd1;
  end

  // --- the multiplier: shifts and adds ---
  logic [47:0] multiplicand;
  logic [10:0] multiplier;

  // --- requirements ---
  logic requirement_broken;
  logic broken;  // the same of the row before, in MEMORY

  always_comb begin
    case (doing.operation)
      snn_memory_pkg::DO_AT_MOST: requirement_broken = accumulator > {16'd0, operand};
      snn_memory_pkg::DO_EQUAL: requirement_broken = accumulator[31:0] != operand;
      snn_memory_pkg::DO_ALIGNED: requirement_broken = (accumulator[5:0] & operand[5:0]) != 6'd0;
      snn_memory_pkg::DO_HOLDS: requirement_broken = !rule_holds;
      default: requirement_broken = 1'b0;
    endcase
  end

  snn_memory_pkg::outcome_t broken_outcome;
  always_comb begin
    broken_outcome = '0;
    broken_outcome.layer = layer_index;
    broken_outcome.place = doing.place;
    case (doing.error)
      snn_memory_pkg::ELSE_BAD_MAGIC: broken_outcome.code = snn_layout_pkg::ERROR_CODE_BAD_MAGIC[3:0];
      snn_memory_pkg::ELSE_BAD_VERSION: broken_outcome.code = snn_layout_pkg::ERROR_CODE_BAD_VERSION[3:0];
      snn_memory_pkg::ELSE_BAD_SIZE: broken_outcome.code = snn_layout_pkg::ERROR_CODE_BAD_SIZE[3:0];
      snn_memory_pkg::ELSE_BAD_CHECKSUM: broken_outcome.code = snn_layout_pkg::ERROR_CODE_BAD_CHECKSUM[3:0];
      snn_memory_pkg::ELSE_FENCE: begin
        broken_outcome.code = snn_layout_pkg::ERROR_CODE_ADDRESS_FENCE[3:0];
        case (doing.place[1:0])
          2'd0: broken_outcome.place = {4'd0, layer.source0.region};
          2'd1: broken_outcome.place = {4'd0, layer.source1.region};
          default: broken_outcome.place = {4'd0, layer.output_region};
        endcase
      end
      default: broken_outcome.code = snn_layout_pkg::ERROR_CODE_BAD_DESCRIPTOR[3:0];
    endcase
  end

  logic [31:0] read_bytes;
  logic [7:0] layer_count;
  logic waited;  // for the pipelines behind the data

  assign store_now = state == EXECUTE && applies && doing.operation == snn_memory_pkg::DO_STORE;
  assign crc_begin = reset || (state == EXECUTE && doing.operation == snn_memory_pkg::DO_READ &&
                               doing.operand == snn_memory_pkg::READ_CRC);
  assign taps_begin = state == EXECUTE && doing.operation == snn_memory_pkg::DO_READ &&
                      doing.operand == snn_memory_pkg::READ_TAPS;
  assign layer_valid = state == HAND_OVER;
  assign finished = state == ENDED;

  always_ff @(posedge clk) begin
    if (field_write && field_write_place == LAYER_COUNT_PAIR) begin
      layer_count <= snn_layout_pkg::HEADER_LAYER_COUNT[0] ? field_write_data[39:32] : field_write_data[7:0];
    end
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      state           <= STOPPED;
      place           <= '0;
      layer_index     <= '0;
      fill_half       <= 1'b0;
      program_checked <= 1'b0;
      outcome         <= '0;
      limits_address  <= '0;
      limits_busy     <= '0;
      judged_valid    <= 1'b0;
      broken          <= 1'b0;
      words_to_come   <= '0;
      waited          <= 1'b0;
    end else begin
      if (data_valid) words_to_come <= words_to_come - 1'b1;
      limits_busy[0] <= state == LIMITS;
      limits_busy[1] <= limits_busy[0];
      judged_valid   <= limits_busy[1];

      case (state)
        STOPPED: if (start) state <= ADDRESS;
        ADDRESS: state <= MEMORY;
        MEMORY: begin
          broken <= 1'b0;
          if (!broken) outcome <= '0;
          place <= listed.operation == snn_memory_pkg::DO_NEXT_LAYER ? layer_start : place + 8'd1;
          state <= broken ? SETTLE : OPERAND;
        end
        OPERAND: begin
          doing      <= listed;
          operand    <= listed.operand[6] ? large_value | small_value : field_value;
          rule_holds <= rules[listed.operand[4:0]];
          applies    <= condition_holds;
          state      <= EXECUTE;
        end
        EXECUTE: begin
          state <= MEMORY;  // `listed` is the next row already, and this cycle is its ADDRESS
          if (applies) begin
            case (doing.operation)
              snn_memory_pkg::DO_LOAD: accumulator <= {16'd0, operand};
              snn_memory_pkg::DO_ADD: accumulator <= accumulator + {16'd0, operand};
              snn_memory_pkg::DO_MULTIPLY: begin
                multiplicand <= accumulator;
                multiplier   <= operand[10:0];
                accumulator  <= '0;
                state        <= MULTIPLY;
              end
              snn_memory_pkg::DO_STORE: begin
                case (doing.operand)
                  snn_memory_pkg::STORE_READ_BYTES: read_bytes <= accumulator[31:0];
                  snn_memory_pkg::STORE_TAP_BASE: tap_base <= accumulator[31:0];
                  snn_memory_pkg::STORE_DESCRIPTOR: begin
                    descriptor_offset <= accumulator[31:0];
                    program_checked   <= 1'b1;
                  end
                  snn_memory_pkg::STORE_KEPT: kept <= accumulator[31:0];
                  snn_memory_pkg::STORE_RECORD: record_offset <= accumulator[31:0];
                  default: ;  // by the decoder
                endcase
              end
              snn_memory_pkg::DO_READ: begin
                words_to_ask <= read_bytes[31:3];
                read_offset  <= accumulator[31:0];
                reader       <= doing.operand[1:0];
                state        <= READ;
              end
              snn_memory_pkg::DO_LIMITS: begin
                limits_address <= '0;
                state          <= LIMITS;
              end
              snn_memory_pkg::DO_HAND_OVER: state <= HAND_OVER;
              snn_memory_pkg::DO_NEXT_LAYER: begin
                layer_index <= layer_index + 8'd1;
                if (layer_index + 8'd1 == layer_count) state <= SETTLE;
              end
              default: begin
                broken  <= requirement_broken;
                outcome <= broken_outcome;
              end
            endcase
          end
        end
        MULTIPLY: begin
          if (multiplier[10:1] == '0) state <= MEMORY;
          if (multiplier[0]) accumulator <= accumulator + multiplicand;
          multiplicand <= {multiplicand[46:0], 1'b0};
          multiplier   <= {1'b0, multiplier[10:1]};
        end
        READ:
        if (request_ready) begin
          words_to_come <= chunk;
          // After a chunk that is not full there is nothing left to ask for.
          words_to_ask[28:CHUNK_BITS]  <= words_to_ask[28:CHUNK_BITS] - {13'd0, chunk_is_full};
          if (!chunk_is_full) words_to_ask[CHUNK_BITS-1:0] <= '0;
          read_offset[31:CHUNK_BITS+3] <= read_offset[31:CHUNK_BITS+3] + 14'd1;
          state         <= ARRIVE;
        end
        ARRIVE:
        if (words_to_come == '0) begin
          waited <= !waited;
          if (waited) state <= words_to_ask == '0 ? ADDRESS : READ;
        end
        LIMITS: begin
          if (limits_address != LAST_FIELD) limits_address <= limits_address + 6'd1;
          if (judged_valid && judged_bad) begin
            outcome.code  <= snn_layout_pkg::ERROR_CODE_BAD_DESCRIPTOR[3:0];
            outcome.layer <= layer_index;
            outcome.place <= judged_field;
            state         <= SETTLE;
          end else if (judged_valid && judged_field == LAST_FIELD) state <= ADDRESS;
        end
        HAND_OVER:
        if (layer_ready) begin
          fill_half <= !fill_half;
          state     <= ADDRESS;
        end
        SETTLE: if (settled) state <= ENDED;
        default: state <= ENDED;
      endcase
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (!reset) begin
      if (data_valid) assert (words_to_come != '0);
      if (state == EXECUTE && applies && doing.operation == snn_memory_pkg::DO_MULTIPLY)
        assert (operand < 32'd2048);
    end
  end
`endif

  logic unused;
  assign unused = ^{data_index[15:10], images[31:11], read_bytes[2:0], doing.condition};

endmodule
