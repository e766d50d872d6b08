// One output channel: the weights of this cycle's rows added up for two planes, and the sums over passes.
//
// A pipeline of six stages; the rows come from the weight memory's output registers. Only the totals have an enable:
// registers that share their control nets with many others are the ones for which there is room on the device. `planes` says for each row which planes have the spike (bit 0 the earlier). Two rows of a bank are first added
// once for both planes: each plane then chooses among nothing, either, and both. A pass has rows or, at its end, spikes of
// the identity shortcut, never both in the same cycle.
module snn_lane (
    input  logic              clk,
    input  logic              has_rows,         // stage 2: rows, not only the end of a pass
    input  logic [7:0][7:0]   first,
    input  logic [7:0][7:0]   second,
    input  logic [7:0][1:0]   first_planes,
    input  logic [7:0][1:0]   second_planes,
    input  logic              earlier_shortcut,  // stage 3: the identity shortcut spikes in this lane
    input  logic              later_shortcut,
    input  logic [31:0]       shortcut,
    input  logic [3:0]        fraction_bits,
    input  logic              binary,           // planes are bits of numbers
    input  logic              pairs,            // sums of the two planes are kept apart
    input  logic              adds,             // stage 5: there is something to add
    input  logic              clears,           // stage 5: a new hand-over begins
    input  logic              quadruples,       // stage 5: a new pair of bits begins
    output logic [31:0]       total,            // valid after stage 5; the earlier plane's in `pairs`
    output logic [31:0]       later_total
);

  // Stage 0: within each bank, 9 bits.
  logic signed [1:0][7:0][8:0] bank_sum;
  // Stage 1: four banks each, 11 bits.
  logic signed [1:0][1:0][10:0] half_sum;
  // Stage 2: all banks.
  logic signed [1:0][11:0] sum;
  // Stage 3: the two planes together, or the shortcut's value as often as it spikes, and the later plane for itself.
  logic signed [13:0] weights;
  logic signed [11:0] later_weights;
  logic [31:0] shortcuts;
  logic later_is_shortcut;
  // Stage 4: with fraction bits. Stage 5: the totals.
  logic [31:0] change, later_change;

  function automatic logic [8:0] choose(
      input logic [7:0] a, input logic [7:0] b, input logic [8:0] both, input logic take_a, input logic take_b);
    case ({take_a, take_b})
      2'b11: choose = both;
      2'b10: choose = {a[7], a};
      2'b01: choose = {b[7], b};
      default: choose = 9'd0;
    endcase
  endfunction

  function automatic logic [10:0] four(input logic [8:0] a, input logic [8:0] b, input logic [8:0] c, input logic [8:0] d);
    logic signed [9:0] ab, cd;
    ab = 10'(signed'(a)) + 10'(signed'(b));
    cd = 10'(signed'(c)) + 10'(signed'(d));
    four = 11'(ab) + 11'(cd);
  endfunction

  function automatic logic [31:0] scale(input logic signed [13:0] value, input logic [3:0] bits);
    logic [31:0] fine;
    fine = 32'(value) << bits[1:0];
    case (bits[3:2])
      2'd0: scale = fine;
      2'd1: scale = {fine[27:0], 4'd0};
      default: scale = {fine[23:0], 8'd0};
    endcase
  endfunction

  wire [31:0] earlier_value = !earlier_shortcut ? 32'd0 : binary ? {shortcut[30:0], 1'b0} : shortcut;
  wire [31:0] later_value = later_shortcut && !pairs ? shortcut : 32'd0;

  always_ff @(posedge clk) begin
    for (int bank = 0; bank < 8; bank++) begin
      logic [8:0] both;
      both = {first[bank][7], first[bank]} + {second[bank][7], second[bank]};
      for (int plane = 0; plane < 2; plane++) begin
        bank_sum[plane][bank] <= choose(
            first[bank], second[bank], both, first_planes[bank][plane], second_planes[bank][plane]);
      end
    end
    for (int plane = 0; plane < 2; plane++) begin
      half_sum[plane][0] <= four(bank_sum[plane][0], bank_sum[plane][1], bank_sum[plane][2], bank_sum[plane][3]);
      half_sum[plane][1] <= four(bank_sum[plane][4], bank_sum[plane][5], bank_sum[plane][6], bank_sum[plane][7]);
      sum[plane] <= has_rows ? {half_sum[plane][0][10], half_sum[plane][0]} +
                               {half_sum[plane][1][10], half_sum[plane][1]} : 12'd0;
    end
    weights <= (binary ? {sum[0][11], sum[0], 1'b0} : {{2{sum[0][11]}}, sum[0]}) +
               (pairs ? 14'd0 : {{2{sum[1][11]}}, sum[1]});
    later_weights <= sum[1];
    shortcuts <= earlier_value + later_value;
    later_is_shortcut <= later_shortcut;
    change <= scale(weights, fraction_bits) | shortcuts;
    later_change <= later_is_shortcut ? shortcut : scale({{2{later_weights[11]}}, later_weights}, fraction_bits);
  end

  always_ff @(posedge clk) begin
    if (adds) begin
      total <= change + (clears ? 32'd0 : quadruples ? {total[29:0], 2'b00} : total);
      if (pairs) later_total <= later_change + (clears ? 32'd0 : later_total);
    end
  end

endmodule
