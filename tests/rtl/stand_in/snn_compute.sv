// Stands in for the datapath when snn_memory is tested: asks for everything that a layer names, adds up what arrives, and
// writes a pattern.
//
// For each image and output group: the weights (of a gather layer, only for the first image), every row of every block of
// the sources in use, then all rows of the group, a word being ~offset and offset of its place. layer_additions is the sum
// of index * word over the weights, layer_spikes the same over the maps.
module snn_compute (
    input logic clk,
    input logic reset,
    input logic layer_valid,
    output logic layer_ready,
    input snn_types_pkg::layer_t layer,
    output logic layer_done,
    output logic [63:0] layer_additions,
    output logic [63:0] layer_spikes,
    output logic busy_computing,
    output logic [9:0] tap_address,
    input snn_types_pkg::tap_t tap,
    output logic weight_request_valid,
    input logic weight_request_ready,
    output snn_types_pkg::read_request_t weight_request,
    input logic [1:0] weight_data_valid,
    input logic [1:0][15:0] weight_data_index,
    input logic [1:0][63:0] weight_data,
    output logic map_request_valid,
    input logic map_request_ready,
    output snn_types_pkg::read_request_t map_request,
    input logic map_data_valid,
    input logic [15:0] map_data_index,
    input logic [63:0] map_data,
    output logic write_request_valid,
    input logic write_request_ready,
    output snn_types_pkg::write_request_t write_request,
    output logic write_data_valid,
    input logic write_data_ready,
    output logic [63:0] write_data,
    input logic writes_idle
);

  typedef enum logic [2:0] {IDLE, TAPS, WEIGHTS, MAPS, ARRIVE, ROWS, WORDS, FINISH} state_t;
  state_t state;
  snn_types_pkg::layer_t held;
  logic [10:0] image;
  logic [6:0] group;
  logic source;
  logic [6:0] block;
  logic [8:0] row;
  logic [15:0] word;
  logic [31:0] to_come;
  logic [10:0] tap_index;
  logic tap_late;
  logic [41:0] row_offset;

  snn_types_pkg::source_t map;
  assign map = source ? held.source1 : held.source0;
  logic map_exists;  // a second source may have no rows or columns
  assign map_exists = map.used && map.height != '0 && map.width != '0;

  logic [15:0] output_row_words;
  logic [15:0] input_row_words;
  assign output_row_words = held.firing == 2'd2 ? {3'd0, held.output_width, 4'd0}
                                                : 16'(held.output_width) * 16'(held.output_planes[5:1]);
  assign input_row_words = 16'(map.width) * 16'(held.input_planes[5:1]);

  assign layer_ready = state == IDLE;
  assign busy_computing = state == WORDS && write_data_ready;
  assign tap_address = tap_index[9:0];

  assign weight_request_valid = state == WEIGHTS;
  assign weight_request = '{
      region: 2'd0,
      offset: 42'(held.weight_offset) + 42'(group) * (42'd512 + 42'd1024 * 42'(held.weight_blocks)),
      words: 16'd64 + 16'd128 * 16'(held.weight_blocks),
      destination: 16'd0
  };
  assign map_request_valid = state == MAPS && map_exists;
  assign map_request = '{
      region: map.region,
      offset: map.first_offset + 42'(image) * 42'(map.image_bytes) + 42'(block) * 42'(map.block_bytes) +
          42'(row) * 42'(map.row_bytes),
      words: input_row_words,
      destination: 16'd7
  };
  assign row_offset = held.output_first_offset + 42'(image) * 42'(held.output_image_bytes) +
      42'(group) * 42'(held.output_block_bytes) + 42'(row) * 42'({output_row_words, 3'd0});
  assign write_request_valid = state == ROWS;
  assign write_request = '{region: held.output_region, offset: row_offset, words: output_row_words};
  assign write_data_valid = state == WORDS;
  assign write_data = {~(row_offset[31:0] + {13'd0, word, 3'd0}), row_offset[31:0] + {13'd0, word, 3'd0}};

  logic [63:0] additions;
  logic [63:0] spikes;
  logic [31:0] arrived;
  logic [63:0] weight_sum;

  always_comb begin
    weight_sum = '0;
    for (int port = 0; port < 2; port++) begin
      if (weight_data_valid[port]) begin
        weight_sum = weight_sum + (64'(weight_data_index[port]) + 64'd1) * weight_data[port];
      end
    end
    arrived = 32'(weight_data_valid[0]) + 32'(weight_data_valid[1]) + 32'(map_data_valid);
  end

  always_ff @(posedge clk) begin
    layer_done <= 1'b0;
    tap_late <= state == TAPS;
    additions <= additions + weight_sum + (tap_late ? 64'(tap.weight_block) + 64'(tap.dx) * 64'd3 + 64'(tap.dy) * 64'd5 +
                                                      64'(tap.source) * 64'd7 : 64'd0);
    if (map_data_valid) spikes <= spikes + (64'(map_data_index) - 64'd6) * map_data;
    to_come <= to_come - arrived;
    case (state)
      IDLE:
      if (layer_valid) begin
        held <= layer;
        {image, group, source, block, row, word, to_come, tap_index} <= '0;
        additions <= '0;
        spikes <= '0;
        state <= TAPS;
      end
      TAPS: begin
        tap_index <= tap_index + 11'd1;
        if (tap_index == held.tap_count - 11'd1) state <= held.max_pool ? MAPS : WEIGHTS;
      end
      WEIGHTS:
      if (weight_request_ready) begin
        to_come <= to_come - arrived + 32'(weight_request.words);
        state <= MAPS;
      end
      MAPS: begin
        if (map_request_valid && map_request_ready) to_come <= to_come - arrived + 32'(input_row_words);
        if (map_request_ready || !map_exists) begin
          row <= row + 9'd1;
          if (!map_exists || row == map.height - 9'd1) begin
            row <= '0;
            block <= block + 7'd1;
            if (!map_exists || block == map.blocks - 7'd1) begin
              block <= '0;
              source <= !source;
              if (source) state <= ARRIVE;
            end
          end
        end
      end
      ARRIVE: if (to_come == 0) state <= ROWS;
      ROWS:
      if (write_request_ready) begin
        word <= '0;
        state <= WORDS;
      end
      WORDS:
      if (write_data_ready) begin
        word <= word + 16'd1;
        if (word == output_row_words - 16'd1) begin
          row <= row + 9'd1;
          state <= ROWS;
          if (row == held.output_height - 9'd1) begin
            row <= '0;
            group <= group + 7'd1;
            state <= image == 0 && !held.max_pool ? WEIGHTS : MAPS;
            if (group == held.output_groups - 7'd1) begin
              group <= '0;
              image <= image + 11'd1;
              state <= image == held.images - 11'd1 ? FINISH : MAPS;
            end
          end
        end
      end
      default:
      if (writes_idle) begin
        layer_done <= 1'b1;
        layer_additions <= additions;
        layer_spikes <= spikes;
        state <= IDLE;
      end
    endcase
    if (reset) begin
      state <= IDLE;
      layer_done <= 1'b0;
    end
  end

endmodule
