// The taps of two layers: of the one that computes and of the one being read, each in its half of the memory.
//
// While taps arrive (`begins` before the first), each is checked against the layer, and the rows that they reach are
// found. all_valid, reach0 and reach1 are right three cycles after the last word. `tap` follows `address` by one cycle.
module snn_tap_memory (
    input logic clk,

    // the half being filled
    input logic fill_half,
    input logic begins,
    input logic word_valid,
    input logic [9:0] word_index,
    input logic [63:0] word,
    input logic max_pool,
    input logic shortcut,
    input logic [6:0] blocks0,
    input logic [6:0] blocks1,
    input logic [8:0] weight_blocks,
    output logic all_valid,
    output logic used0,
    output logic used1,
    output logic signed [15:0] first_dy0,
    output logic signed [15:0] last_dy0,
    output logic signed [15:0] first_dy1,
    output logic signed [15:0] last_dy1,

    // the half in use
    input  logic use_half,
    input  logic [9:0] address,
    output snn_types_pkg::tap_t tap
);

  logic [15:0] word_dy;
  logic [15:0] word_dx;
  logic [15:0] word_block;
  logic [15:0] word_source;
  assign word_dy = word[16*snn_layout_pkg::TAP_DY+:16];
  assign word_dx = word[16*snn_layout_pkg::TAP_DX+:16];
  assign word_block = word[16*snn_layout_pkg::TAP_WEIGHT_BLOCK+:16];
  assign word_source = word[16*snn_layout_pkg::TAP_SOURCE+:16];

  // --- the memory: two of 1,024 taps, which become block RAMs with ports of 18 bits ---
  logic [41:0] memory0[1024];
  logic [41:0] memory1[1024];
  logic store0;
  logic store1;
  logic [9:0] store_place;
  logic [41:0] store_tap;
  logic [41:0] tap0;
  logic [41:0] tap1;

  always_ff @(posedge clk) begin
    store0      <= word_valid && !fill_half;
    store1      <= word_valid && fill_half;
    store_place <= word_index;
    store_tap   <= {word_source[0], word_block[8:0], word_dx, word_dy};
    if (store0) memory0[store_place] <= store_tap;
    if (store1) memory1[store_place] <= store_tap;
    tap0 <= memory0[address];
    tap1 <= memory1[address];
  end

  assign tap = use_half ? tap1 : tap0;

  // --- checks and reach ---
  logic checked_valid;
  logic second;  // of source 1
  logic source_known;
  logic block_known;
  logic [16:0] blocks_end;
  logic signed [15:0] dy;
  logic judged_valid;
  logic judged_second;
  logic signed [15:0] judged_dy;
  logic judged_good;

  assign block_known = max_pool || blocks_end <= {8'd0, weight_blocks};

  always_ff @(posedge clk) begin
    second       <= word_source[0];
    source_known <= word_source == 16'd0 || (word_source == 16'd1 && blocks1 != '0 && !shortcut && !max_pool);
    blocks_end   <= {1'b0, word_block} + {10'd0, word_source[0] ? blocks1 : blocks0};
    dy           <= word_dy;

    judged_second <= second;
    judged_dy     <= dy;
    judged_good   <= source_known && block_known;

    checked_valid <= word_valid && !begins;
    judged_valid  <= checked_valid && !begins;
    if (begins) begin
      all_valid <= 1'b1;
      used0     <= 1'b0;
      used1     <= shortcut;  // an identity shortcut reads source 1 at the output's own place
      first_dy0 <= '0;
      last_dy0  <= '0;
      first_dy1 <= '0;
      last_dy1  <= '0;
    end else if (judged_valid) begin
      if (!judged_good) all_valid <= 1'b0;
      if (!judged_second) begin
        used0 <= 1'b1;
        if (!used0 || judged_dy < first_dy0) first_dy0 <= judged_dy;
        if (!used0 || judged_dy > last_dy0) last_dy0 <= judged_dy;
      end else begin
        used1 <= 1'b1;
        if (!used1 || judged_dy < first_dy1) first_dy1 <= judged_dy;
        if (!used1 || judged_dy > last_dy1) last_dy1 <= judged_dy;
      end
    end
  end

endmodule
