// The spikes of one bank's channels, taken out two channels at a time, lowest first; two pairs of words wait behind.
//
// Channel r + 4 * w stands for channel (bank + 8 r) of word w. `first_*` and `second_*` say in this cycle which rows to
// read; `second_taken` bars the second port for this cycle. A pair of words comes in with `enter`, which may only be given
// where all banks `accept`; what has no spikes for this bank is not kept. `finishes`: nothing is left after this cycle.
module snn_pop_bank (
    input  logic       clk,
    input  logic       reset,
    input  logic       second_taken,
    input  logic       enter,
    input  logic [7:0] earlier,
    input  logic [7:0] later,
    input  logic [7:0] block,
    output logic       accept,
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
  logic [23:0] waiting0, waiting1;             // earlier, later, block; 0 goes next
  logic [1:0] waiting;                         // how many of them

  wire [7:0] first = left & (~left + 8'd1);
  wire [7:0] rest = left & ~first;
  wire [7:0] second = rest & (~rest + 8'd1);
  wire [7:0] after_second = rest & ~second;

  /* verilator lint_off UNUSEDSIGNAL */  // the lowest channel is what the others are not
  function automatic logic [9:0] row_of(input logic [7:0] one, input logic [7:0] block0, input logic [7:0] block1);
  /* verilator lint_on UNUSEDSIGNAL */
    row_of = {one[7:4] != 4'd0 ? block1 : block0, one[3] | one[2] | one[7] | one[6], one[3] | one[1] | one[7] | one[5]};
  endfunction

  wire through = second_taken ? rest == 8'd0 : after_second == 8'd0;  // with the words in hand
  wire nothing = (earlier | later) == 8'd0;
  wire comes = enter && !nothing;
  wire direct = comes && through && waiting == 2'd0;
  wire moves_up = through && waiting != 2'd0;
  wire waits = comes && !direct;
  wire [23:0] coming = {earlier, later, block};
  wire [23:0] next = waiting != 2'd0 ? waiting0 : coming;

  assign accept = nothing || waiting != 2'd2;
  assign finishes = through && waiting == 2'd0;
  assign empty = left == 8'd0 && waiting == 2'd0;
  assign first_read = left != 8'd0;
  assign second_read = rest != 8'd0 && !second_taken;
  assign first_row = row_of(first, block_of_word0, block_of_word1);
  assign second_row = row_of(second, block_of_word0, block_of_word1);
  assign first_planes = {(left_later & first) != 8'd0, (left_earlier & first) != 8'd0};
  assign second_planes = {(left_later & second) != 8'd0, (left_earlier & second) != 8'd0};

  always_ff @(posedge clk) begin
    if (reset) begin
      left <= '0;
      waiting <= '0;
    end else begin
      if (moves_up || direct) left <= next[23:16] | next[15:8];
      else if (left != 8'd0) left <= second_taken ? rest : after_second;
      waiting <= waiting + 2'(waits) - 2'(moves_up);
      assert (!(waits && waiting == 2'd2 && !moves_up));  // otherwise: a pair of words was lost
    end
    if (moves_up || direct) begin
      left_earlier <= next[23:16];
      left_later <= next[15:8];
      block_of_word0 <= next[7:0];
      block_of_word1 <= next[7:0] + 8'd1;
    end
    if (moves_up && waiting == 2'd2) waiting0 <= waiting1;
    else if (waits && (waiting == 2'd0 || moves_up)) waiting0 <= coming;
    if (waits && waiting == (moves_up ? 2'd2 : 2'd1)) waiting1 <= coming;
  end

endmodule
