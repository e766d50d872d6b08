// snn_pop_bank, the event extractor: every channel that spikes is read once, with the planes that it spikes in and the
// row of its word, the lowest first; no other channel is; and the bank says in time when it is through.
module pop_bank_proof (
    input logic clk,
    input logic reset_input,
    input logic second_taken,
    input logic take_input,
    input logic [7:0] earlier,
    input logic [7:0] later,
    input logic [7:0] block
);
  logic started = 1'b0;
  wire reset = !started || reset_input;

  logic finishes, empty, first_read, second_read;
  logic [9:0] first_row, second_row;
  logic [1:0] first_planes, second_planes;
  // Its owner replaces what is left only when nothing is left after this cycle.
  wire take = take_input && finishes;

  snn_pop_bank dut (
      .clk, .reset, .second_taken, .take, .earlier, .later, .block, .finishes, .empty,
      .first_read, .first_row, .first_planes, .second_read, .second_row, .second_planes
  );

  // What is not read yet.
  logic [7:0] left = '0;
  logic [7:0] held_earlier, held_later, held_block;

  function automatic logic [7:0] lowest(input logic [7:0] mask);
    return mask & (~mask + 8'd1);
  endfunction

  // Channel r + 4 w: row r of the block of word w.
  function automatic logic [9:0] expected_row(input logic [7:0] one, input logic [7:0] first_block);
    logic [2:0] channel;
    channel = {|one[7:4], |(one & 8'b11001100), |(one & 8'b10101010)};
    return {first_block + {7'd0, channel[2]}, channel[1:0]};
  endfunction

  function automatic logic [1:0] expected_planes(input logic [7:0] one, input logic [7:0] e, input logic [7:0] l);
    return {|(l & one), |(e & one)};
  endfunction

  wire [7:0] first = lowest(left);
  wire [7:0] rest = left & ~first;
  wire [7:0] second = lowest(rest);
  wire [7:0] after = second_taken ? rest : rest & ~second;

  always_ff @(posedge clk) begin
    started <= 1'b1;
    if (reset) left <= '0;
    else if (take) left <= earlier | later;
    else left <= after;
    if (take) begin
      held_earlier <= earlier;
      held_later <= later;
      held_block <= block;
    end
    if (started) begin
      assert (empty == (left == 0));
      assert (finishes == (after == 0));
      assert (first_read == (left != 0));
      assert (second_read == (rest != 0 && !second_taken));
      if (first_read) begin
        assert (first_row == expected_row(first, held_block));
        assert (first_planes == expected_planes(first, held_earlier, held_later));
      end
      if (second_read) begin
        assert (second_row == expected_row(second, held_block));
        assert (second_planes == expected_planes(second, held_earlier, held_later));
      end
    end
    cover (started && finishes && second_read && second == 8'h80);
  end
endmodule
