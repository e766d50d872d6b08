// snn_popper around its banks: a pair of words goes to all banks at once, and only where all of them take it; a pass ends
// once for each last word, before any word of the next pass is taken, and not before all banks are through.
//
// What a bank does with what it took is pop_bank_proof's.
module popper_proof (
    input logic clk,
    input logic words_valid,
    input logic [1:0][63:0] word,
    input logic [7:0] block,
    input logic is_shortcut,
    input logic is_last,
    input logic hand_over,
    input logic group_end,
    input logic [7:0] write,
    input logic sums_done,
    input logic sums_ready,
    input logic may_hand_over,
    input logic any_needs_shortcut
);
  logic reset = 1'b1;
  logic needs_shortcut, words_ready;
  logic [7:0] first_read, second_read;
  logic [7:0][9:0] first_row, second_row;
  logic [7:0][1:0] first_planes, second_planes;
  snn_compute_pkg::pass_end_t pass_end;
  snn_compute_pkg::words_t words;

  always_comb begin
    words = '0;
    words.word = word;
    words.block = block;
    words.present = 1'b1;
    words.shortcut = is_shortcut;
    words.last = is_last;
    words.hand_over = hand_over;
    words.group_end = group_end;
  end

  snn_popper dut (
      .clk, .reset, .enable(1'b1), .needs_shortcut, .sums_done, .sums_ready, .may_hand_over, .words_valid, .words_ready,
      .words, .write, .first_read, .first_row, .first_planes, .second_read, .second_row, .second_planes, .pass_end
  );

  wire takes = !reset && words_ready;
  logic open = 1'b0;  // the last word of a pass has been taken, and the pass has not ended
  logic shortcut_open;

  always_ff @(posedge clk) begin
    reset <= 1'b0;
    if (reset) needs_shortcut <= any_needs_shortcut;
    assume (!is_shortcut || is_last);  // the identity shortcut comes at the end of a pass
    open <= !reset && ((takes && is_last) || (open && !pass_end.valid));
    if (takes && is_last) shortcut_open <= is_shortcut && word[0] != 64'd0;

    if (!reset) begin
      assert (!words_ready || (words_valid && &dut.accept));
      assert (!pass_end.valid || open);
      assert (!takes || !open || pass_end.valid);  // the next pass begins when this one ends
      assert (dut.closing == open);
      if (pass_end.valid) begin
        assert (pass_end.shortcut_valid == shortcut_open);
        assert (shortcut_open ? &dut.empty : &dut.finishes);  // nothing of the pass is left
        assert (!pass_end.hand_over || may_hand_over);
      end
      if (open) assert (dut.closing_end.shortcut_valid == shortcut_open);
      assert ((second_read & write) == 8'd0);
    end
    cover (!reset && pass_end.valid && takes && |second_read);
    cover (!reset && pass_end.valid && pass_end.shortcut_valid);
  end
endmodule
