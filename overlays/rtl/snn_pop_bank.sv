// The spikes of one bank's channels, taken out two channels at a time, lowest first; one more pair of words waits behind.
//
// Channel r + 4 * w stands for channel (bank + 8 r) of word w. `first_*` and `second_*` say in this cycle which rows to
// read; `second_taken` bars the second port for this cycle. Where one channel is left in hand, the second port reads the
// lowest channel of the pair that waits. A pair of words comes in with `enter`, which may only be given
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

  // The pair in hand: its spikes as they came, the channels that are left, and how many these are, as flags, because
  // everything else waits for them.
  logic [7:0] earlier_in_hand, later_in_hand, left, block_in_hand;
  logic some_left, two_left, three_left;  // at least so many
  // The pair behind, its lowest channel, and the number of its channels: at least four, three, two.
  logic [7:0] earlier_waiting, later_waiting, block_waiting;
  logic [2:0] place_waiting;
  logic some_wait;
  logic [3:1] number_waiting;

  // The lowest of the channels, and the lowest but one: those with none and with one below.
  function automatic logic [7:0] lowest(input logic [7:0] channels);
    for (int i = 0; i < 8; i++) lowest[i] = channels[i] && (channels & 8'((1 << i) - 1)) == 8'd0;
  endfunction

  function automatic logic [7:0] lowest_but_one(input logic [7:0] channels);
    logic [6:0] below;
    logic some_low, two_low, some_high, two_high;
    for (int i = 0; i < 8; i++) begin
      below = channels[6:0] & 7'((1 << i) - 1);
      some_low = |below[2:0];
      two_low = (below[0] & below[1]) | (below[2] & (below[0] | below[1]));
      some_high = |below[6:3];
      two_high = (below[3] & below[4]) | (below[5] & below[6]) | ((below[3] | below[4]) & (below[5] | below[6]));
      lowest_but_one[i] = channels[i] && !two_low && !two_high && (some_low ^ some_high);
    end
  endfunction

  /* verilator lint_off UNUSEDSIGNAL */  // the lowest of all channels is what the others are not
  function automatic logic [2:0] place_of(input logic [7:0] one);
    place_of = {one[7:4] != 4'd0, one[3] | one[2] | one[7] | one[6], one[3] | one[1] | one[7] | one[5]};
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // Of four channels: at least four, three, two, one.
  function automatic logic [3:0] at_least_of_four(input logic [3:0] c);
    at_least_of_four[0] = |c;
    at_least_of_four[1] = (c[0] & c[1]) | (c[2] & c[3]) | ((c[0] | c[1]) & (c[2] | c[3]));
    at_least_of_four[2] = (c[0] & c[1] & (c[2] | c[3])) | (c[2] & c[3] & (c[0] | c[1]));
    at_least_of_four[3] = &c;
  endfunction

  // Of a number of channels: at least five, four, three, two, one.
  function automatic logic [4:0] at_least(input logic [7:0] channels);
    logic [3:0] low, high;
    low = at_least_of_four(channels[3:0]);
    high = at_least_of_four(channels[7:4]);
    at_least[0] = low[0] | high[0];
    at_least[1] = low[1] | high[1] | (low[0] & high[0]);
    at_least[2] = low[2] | high[2] | (low[1] & high[0]) | (low[0] & high[1]);
    at_least[3] = low[3] | high[3] | (low[2] & high[0]) | (low[1] & high[1]) | (low[0] & high[2]);
    at_least[4] = (low[3] & high[0]) | (low[2] & high[1]) | (low[1] & high[2]) | (low[0] & high[3]);
  endfunction

  wire [7:0] waiting = earlier_waiting | later_waiting;
  wire [7:0] coming = earlier | later;

  wire [7:0] first = lowest(left);
  wire [7:0] rest = left & ~first;
  wire [7:0] second = lowest_but_one(left);
  wire [7:0] rest_waiting = waiting & ~(8'd1 << place_waiting);

  // What becomes of the two.
  wire through = second_taken ? !two_left : !three_left;   // with the pair in hand
  wire borrows = some_wait && !two_left && !second_taken;  // the second port reads for the pair that waits
  wire all_through = through && (!some_wait || (borrows && !number_waiting[1]));
  wire waits = enter && coming != 8'd0 && !all_through;

  assign accept = coming == 8'd0 || !some_wait || through;
  assign finishes = all_through;
  assign empty = !some_left && !some_wait;

  // The rows to read.
  wire [2:0] first_place = place_of(first);
  wire [2:0] second_place = two_left ? place_of(second) : place_waiting;
  wire [7:0] second_block = two_left ? block_in_hand : block_waiting;

  assign first_read = some_left;
  assign second_read = (two_left || some_wait) && !second_taken;
  assign first_row = {block_in_hand + 8'(first_place[2]), first_place[1:0]};
  assign second_row = {second_block + 8'(second_place[2]), second_place[1:0]};
  assign first_planes = {|(first & later_in_hand), |(first & earlier_in_hand)};
  assign second_planes = two_left ? {|(second & later_in_hand), |(second & earlier_in_hand)}
                                  : {later_waiting[place_waiting], earlier_waiting[place_waiting]};

  // What is in hand next.
  /* verilator lint_off UNUSEDSIGNAL */  // one is as good as `some_left`, the other counts further than `number_waiting`
  wire [4:0] number_left = at_least(left);
  wire [4:0] number_coming = at_least(coming);
  /* verilator lint_on UNUSEDSIGNAL */
  logic [7:0] left_next;
  logic [2:0] number_next;

  always_comb begin
    if (!through) begin
      left_next = second_taken ? rest : rest & ~second;
      number_next = second_taken ? number_left[3:1] : number_left[4:2];
    end else if (all_through) begin
      left_next = enter ? coming : 8'd0;
      number_next = enter ? number_coming[2:0] : 3'd0;
    end else begin
      left_next = borrows ? rest_waiting : waiting;
      number_next = borrows ? number_waiting : {number_waiting[2:1], 1'b1};
    end
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      left <= '0;
      {three_left, two_left, some_left} <= '0;
      some_wait <= 1'b0;
    end else begin
      left <= left_next;
      {three_left, two_left, some_left} <= number_next;
      some_wait <= waits || (some_wait && !through);
      assert (!(waits && some_wait && !through));  // otherwise: a pair of words was lost
    end
    if (through) begin
      {earlier_in_hand, later_in_hand, block_in_hand} <=
          all_through ? {earlier, later, block} : {earlier_waiting, later_waiting, block_waiting};
    end
    if (!some_wait || through) begin
      {earlier_waiting, later_waiting, block_waiting} <= {earlier, later, block};
      number_waiting <= number_coming[3:1];
      place_waiting <= place_of(lowest(coming));
    end
  end

endmodule
