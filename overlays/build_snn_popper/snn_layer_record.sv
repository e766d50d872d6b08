// Counters of the layer that computes, and the way to memory for them.
//
// Passes snn_compute's requests and data on to the write port. When a layer is done its record (layout.COUNTERS, 64 bits
// each) goes out in between: snn_compute is held back until record and request are accepted, `writing` is up from
// layer_done until then. Bytes count when they are asked for; what is read ahead, of the program and of weights, counts
// for the layer that it belongs to, from its hand-over on.
module snn_layer_record (
    input logic clk,
    input logic reset,

    input logic counting,  // the program is checked and has not ended
    input logic busy_computing,
    input logic layer_taken,  // hand-over
    input logic layer_done,
    input logic [63:0] additions,
    input logic [63:0] spikes,
    input logic command_asked,  // with the words
    input logic [15:0] command_words,
    input logic weight_asked,
    input logic [15:0] weight_words,
    input logic weight_ahead,  // of the layer that is not yet handed over
    input logic map_asked,
    input logic [15:0] map_words,
    input logic [31:0] record_offset,  // of the first layer's

    input  logic result_request_valid,
    output logic result_request_ready,
    input  snn_types_pkg::write_request_t result_request,
    input  logic result_data_valid,
    output logic result_data_ready,
    input  logic [63:0] result_data,

    output logic request_valid,
    input  logic request_ready,
    output snn_types_pkg::write_request_t request,
    output logic data_valid,
    input  logic data_ready,
    output logic [63:0] data,
    output logic writing
);

  localparam int BITS = 45;  // of a counter of cycles or words: enough for days
  localparam logic [2:0] LAST_WORD = 3'(snn_layout_pkg::COUNTER_RECORD_BYTES / 8 - 1);

  logic [BITS-1:0] cycles;
  logic [BITS-1:0] stall_cycles;
  logic [BITS-1:0] words_read;
  logic [BITS-1:0] words_written;
  logic [BITS-1:0] words_ahead;  // of the program, for the next layer

  // --- counting, a cycle after the event ---
  logic [15:0] weight_words_now;
  logic [15:0] map_words_now;
  logic [15:0] words_out_now;
  logic [15:0] command_words_now;
  logic ahead_now;
  logic taken_now;
  logic [16:0] words_now;
  logic [16:0] words_ahead_now;

  assign words_now = {1'b0, map_words_now} + {1'b0, ahead_now ? 16'd0 : weight_words_now};
  assign words_ahead_now = {1'b0, command_words_now} + {1'b0, ahead_now ? weight_words_now : 16'd0};

  always_ff @(posedge clk) begin
    weight_words_now  <= weight_asked ? weight_words : 16'd0;
    map_words_now     <= map_asked ? map_words : 16'd0;
    words_out_now     <= result_request_valid && result_request_ready ? result_request.words : 16'd0;
    command_words_now <= command_asked && counting ? command_words : 16'd0;
    ahead_now         <= weight_ahead;
    if (reset) begin
      taken_now     <= 1'b0;
      cycles        <= '0;
      stall_cycles  <= '0;
      words_read    <= '0;
      words_written <= '0;
      words_ahead   <= '0;
    end else begin
      taken_now <= layer_taken;
      if (layer_done) begin
        cycles        <= '0;
        stall_cycles  <= '0;
        words_written <= '0;
      end else begin
        if (counting) cycles <= cycles + 1'b1;
        if (counting && !busy_computing) stall_cycles <= stall_cycles + 1'b1;
        words_written <= words_written + {{(BITS - 16) {1'b0}}, words_out_now};
      end
      if (taken_now) begin
        words_read  <= words_ahead + {{(BITS - 17) {1'b0}}, words_ahead_now};
        words_ahead <= '0;
      end else begin
        words_read  <= words_read + {{(BITS - 17) {1'b0}}, words_now};
        words_ahead <= words_ahead + {{(BITS - 17) {1'b0}}, words_ahead_now};
      end
    end
  end

  // --- the record ---
  logic [7:0][63:0] record;
  logic [2:0] words_sent;
  logic asks;
  logic sends;
  logic [31:0] next_offset;
  logic started;

  always_ff @(posedge clk) begin
    if (layer_done) begin
      record <= '0;
      record[snn_layout_pkg::COUNTER_CYCLES] <= {{(64 - BITS) {1'b0}}, cycles};
      record[snn_layout_pkg::COUNTER_STALL_CYCLES] <= {{(64 - BITS) {1'b0}}, stall_cycles};
      record[snn_layout_pkg::COUNTER_ADDITIONS] <= additions;
      record[snn_layout_pkg::COUNTER_SPIKES] <= spikes;
      record[snn_layout_pkg::COUNTER_BYTES_READ] <= {{(61 - BITS) {1'b0}}, words_read, 3'd0};
      record[snn_layout_pkg::COUNTER_BYTES_WRITTEN] <= {{(61 - BITS) {1'b0}}, words_written, 3'd0};
    end else if (sends && data_ready) record <= {64'd0, record[7:1]};

    if (reset) begin
      asks    <= 1'b0;
      sends   <= 1'b0;
      started <= 1'b0;
    end else if (layer_done) begin
      asks    <= 1'b1;
      sends   <= 1'b1;
      started <= 1'b1;
    end else begin
      if (request_ready) asks <= 1'b0;
      if (data_ready && words_sent == LAST_WORD) sends <= 1'b0;
    end

    if (layer_done) words_sent <= '0;
    else if (sends && data_ready) words_sent <= words_sent + 3'd1;

    if (!started) next_offset <= record_offset;
    else if (asks && request_ready) next_offset <= next_offset + snn_layout_pkg::COUNTER_RECORD_BYTES;
  end

  assign writing = asks || sends;
  assign result_request_ready = request_ready && !writing;
  assign result_data_ready = data_ready && !writing;
  assign request_valid = writing ? asks : result_request_valid;
  assign data_valid = writing ? sends : result_data_valid;
  assign data = writing ? record[0] : result_data;

  always_comb begin
    request = result_request;
    if (writing) begin
      request.region = snn_layout_pkg::REGION_OUTPUT[1:0];
      request.offset = {10'd0, next_offset};
      request.words = 16'(LAST_WORD) + 16'd1;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (!reset && layer_done) assert (!writing && !result_request_valid && !result_data_valid);
  end
`endif

endmodule
