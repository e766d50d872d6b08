// The spikes of one bank's channels in a pair of words, taken out two channels at a time, lowest first.
//
// Channel r + 4 * w stands for channel (bank + 8 r) of word w. `first_*` and `second_*` say in this cycle which rows to
// read; `finishes` that nothing is left after this cycle. `second_taken` bars the second port for this cycle. `take`
// replaces what is left by `earlier`, `later` and `block` at the end of the cycle.
module snn_pop_bank (
    input  logic       clk,
    input  logic       reset,
    input  logic       second_taken,
    input  logic       take,
    input  logic [7:0] earlier,
    input  logic [7:0] later,
    input  logic [7:0] block,
    output logic       finishes,
    output logic       empty,
    output logic       first_read,
    output logic [9:0] first_row,
    output logic [1:0] first_planes,  // which planes spike: later, earlier
    output logic       second_read,
    output logic [9:0] second_row,
    output logic [1:0] second_planes
);

  logic [7:0] left_earlier, left_later, left;  // `left` is the union of the two
  logic [7:0] block_of_word0, block_of_word1;

  wire [7:0] first = left & (~left + 8'd1);
  wire [7:0] rest = left & ~first;
  wire [7:0] second = rest & (~rest + 8'd1);
  wire [7:0] after_second = rest & ~second;

  /* verilator lint_off UNUSEDSIGNAL */  // the lowest channel is what the others are not
  function automatic logic [9:0] row_of(input logic [7:0] one, input logic [7:0] block0, input logic [7:0] block1);
  /* verilator lint_on UNUSEDSIGNAL */
    row_of = {one[7:4] != 4'd0 ? block1 : block0, one[3] | one[2] | one[7] | one[6], one[3] | one[1] | one[7] | one[5]};
  endfunction

  assign empty = left == 8'd0;
  assign finishes = second_taken ? rest == 8'd0 : after_second == 8'd0;
  assign first_read = !empty;
  assign second_read = rest != 8'd0 && !second_taken;
  assign first_row = row_of(first, block_of_word0, block_of_word1);
  assign second_row = row_of(second, block_of_word0, block_of_word1);
  assign first_planes = {(left_later & first) != 8'd0, (left_earlier & first) != 8'd0};
  assign second_planes = {(left_later & second) != 8'd0, (left_earlier & second) != 8'd0};

  always_ff @(posedge clk) begin
    if (reset) left <= '0;
    else if (take) left <= earlier | later;
    else if (!empty) left <= second_taken ? rest : after_second;
    if (take) begin
      left_earlier <= earlier;
      left_later <= later;
      block_of_word0 <= block;
      block_of_word1 <= block + 8'd1;
    end
  end

endmodule
