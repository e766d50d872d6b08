// snn_pop_bank, where the events are extracted: every spike that enters is read exactly once, with its row and its planes,
// and nothing else is; one channel at least in every cycle, so a pair of words takes eight cycles at most.
//
// The bench keeps its own list of what is still to be read, of the pair in hand and of the one behind.
module pop_bank_proof (
    input logic clk,
    input logic second_taken,
    input logic enter,
    input logic [7:0] earlier,
    input logic [7:0] later,
    input logic [7:0] block
);
  logic reset = 1'b1;
  logic accept, finishes, empty, first_read, second_read;
  logic [9:0] first_row, second_row;
  logic [1:0] first_planes, second_planes;

  snn_pop_bank dut (
      .clk, .reset, .second_taken, .enter, .earlier, .later, .block, .accept, .finishes, .empty,
      .first_read, .first_row, .first_planes, .second_read, .second_row, .second_planes
  );

  typedef struct packed {
    logic [7:0] left, earlier, later, block;  // left: channels that have not been read
  } pair_t;
  pair_t hand = '0, behind = '0;  // without channels left: none

  // What this cycle's reads mean: channel of a pair, as far as it is one of its eight.
  wire [9:0] first_channel = first_row - {hand.block, 2'b00};
  wire [9:0] second_in_hand = second_row - {hand.block, 2'b00};
  wire [9:0] second_in_behind = second_row - {behind.block, 2'b00};
  wire [7:0] first_bit = first_read ? 8'd1 << first_channel[2:0] : 8'd0;
  wire more_in_hand = (hand.left & (hand.left - 8'd1)) != 8'd0;
  wire [7:0] second_bit = second_read ? 8'd1 << (more_in_hand ? second_in_hand[2:0] : second_in_behind[2:0]) : 8'd0;
  wire [7:0] hand_after = hand.left & ~first_bit & (more_in_hand ? ~second_bit : 8'hff);
  wire [7:0] behind_after = more_in_hand ? behind.left : behind.left & ~second_bit;

  wire entering = !reset && enter && (earlier | later) != 8'd0;
  wire pair_t entered = '{left: earlier | later, earlier: earlier, later: later, block: block};
  wire pair_t behind_next = '{left: behind_after, earlier: behind.earlier, later: behind.later, block: behind.block};

  logic [3:0] age = '0;  // cycles that the pair in hand has been there

  always_ff @(posedge clk) begin
    reset <= 1'b0;
    assume (!enter || accept);

    if (reset) begin
      hand <= '0;
      behind <= '0;
    end else if (hand_after != 8'd0) begin
      hand.left <= hand_after;
      if (entering) behind <= entered;
    end else if (behind_after != 8'd0) begin
      hand <= behind_next;
      behind <= entering ? entered : '0;
    end else begin
      hand <= entering ? entered : '0;
      behind <= '0;
    end
    age <= reset || hand_after == 8'd0 ? 4'd0 : age + 4'd1;

    if (!reset) begin
      // Reads: only what is left, with its planes, and as much as the ports allow.
      assert (first_read == (hand.left != 8'd0));
      if (first_read) begin
        assert (first_channel < 10'd8 && hand.left[first_channel[2:0]]);
        assert (first_planes == {hand.later[first_channel[2:0]], hand.earlier[first_channel[2:0]]});
        assert (first_planes != 2'b00);
      end
      assert (second_read == (!second_taken && (more_in_hand || behind.left != 8'd0)));
      if (second_read && more_in_hand) begin
        assert (second_in_hand < 10'd8 && second_in_hand != first_channel && hand.left[second_in_hand[2:0]]);
        assert (second_planes == {hand.later[second_in_hand[2:0]], hand.earlier[second_in_hand[2:0]]});
      end
      if (second_read && !more_in_hand) begin
        assert (second_in_behind < 10'd8 && behind.left[second_in_behind[2:0]]);
        assert (second_planes == {behind.later[second_in_behind[2:0]], behind.earlier[second_in_behind[2:0]]});
      end
      // What the popper is told.
      assert (empty == (hand.left == 8'd0 && behind.left == 8'd0));
      assert (finishes == (hand_after == 8'd0 && behind_after == 8'd0));
      assert (accept || (earlier | later) != 8'd0);
      if (entering) assert (behind.left == 8'd0 || hand_after == 8'd0);  // or a pair would be lost
      assert (hand.left != 8'd0 || behind.left == 8'd0);
      // A pair is through in eight cycles.
      assert (age <= 4'd8 - 4'($countones(hand.left)) || hand.left == 8'd0);

      // What ties the bank's registers to the list, for the induction.
      assert (dut.left == hand.left);
      assert ({dut.three_left, dut.two_left, dut.some_left} ==
              {$countones(hand.left) >= 3, $countones(hand.left) >= 2, hand.left != 8'd0});
      if (hand.left != 8'd0) begin
        assert (dut.block_in_hand == hand.block && dut.earlier_in_hand == hand.earlier && dut.later_in_hand == hand.later);
        assert ((hand.left & ~(hand.earlier | hand.later)) == 8'd0);
      end
      assert (dut.some_wait == (behind.left != 8'd0));
      if (behind.left != 8'd0) begin
        assert (dut.block_waiting == behind.block && dut.earlier_waiting == behind.earlier);
        assert (dut.later_waiting == behind.later && behind.left == (behind.earlier | behind.later));
        assert (dut.number_waiting ==
                {$countones(behind.left) >= 4, $countones(behind.left) >= 3, $countones(behind.left) >= 2});
        assert (behind.left[dut.place_waiting] && (behind.left & ((8'd1 << dut.place_waiting) - 8'd1)) == 8'd0);
      end
    end
    cover (!reset && second_read && !more_in_hand && first_read && entering);
    cover (!reset && age == 4'd7);
    cover (!reset && finishes && !empty && behind.left != 8'd0);
  end
endmodule
