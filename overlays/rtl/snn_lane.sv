// One output channel: the weights of this cycle's rows added up for two planes, and the sums over passes.
//
// A pipeline of six stages; the rows come from the weight memory's output registers. Only the totals have an enable:
// registers that share their control nets with many others are the ones for which there is room on the device. `planes` says for each row which planes have the spike (bit 0 the earlier). Two rows of a bank are first added
// once for both planes: each plane then chooses among nothing, either, and both. A pass has rows or, at its end, spikes of
// the identity shortcut, never both in the same cycle.
module snn_lane (
    input  logic              clk,
    input  logic              no_rows,          // stage 2: only the end of a pass
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
    input  logic              adds_later,       // and the planes are kept apart
    input  logic              clears,           // stage 5: a new hand-over begins
    input  logic              quadruples,       // stage 5: a new pair of bits begins
    output logic [31:0]       total,            // valid after stage 5; the earlier plane's in `pairs`
    output logic [31:0]       later_total
);

  // Stage 0: within each bank.
  logic signed [8:0] earlier_of[8]  /*verilator split_var*/;
  logic signed [8:0] later_of[8]  /*verilator split_var*/;
  // Stage 1: four banks each. Stage 2: all banks.
  logic signed [10:0] earlier_low, earlier_high, later_low, later_high;
  logic signed [11:0] earlier, later;
  // Stage 3: the two planes together, or the shortcut's value as often as it spikes, and the later plane for itself.
  logic signed [13:0] weights;
  logic signed [11:0] later_weights;
  logic [31:0] shortcuts;
  logic later_is_shortcut;
  // Stage 4: with fraction bits. Stage 5: the totals.
  logic [31:0] change, later_change;

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

  for (genvar bank = 0; bank < 8; bank++) begin : banks
    wire [8:0] a = {first[bank][7], first[bank]};
    wire [8:0] b = {second[bank][7], second[bank]};
    wire [8:0] both = a + b;
    always_ff @(posedge clk) begin
      earlier_of[bank] <= first_planes[bank][0] ? (second_planes[bank][0] ? both : a) : second_planes[bank][0] ? b : 9'd0;
      later_of[bank] <= first_planes[bank][1] ? (second_planes[bank][1] ? both : a) : second_planes[bank][1] ? b : 9'd0;
    end
  end

  wire signed [9:0] earlier_01 = 10'(earlier_of[0]) + 10'(earlier_of[1]);
  wire signed [9:0] earlier_23 = 10'(earlier_of[2]) + 10'(earlier_of[3]);
  wire signed [9:0] earlier_45 = 10'(earlier_of[4]) + 10'(earlier_of[5]);
  wire signed [9:0] earlier_67 = 10'(earlier_of[6]) + 10'(earlier_of[7]);
  wire signed [9:0] later_01 = 10'(later_of[0]) + 10'(later_of[1]);
  wire signed [9:0] later_23 = 10'(later_of[2]) + 10'(later_of[3]);
  wire signed [9:0] later_45 = 10'(later_of[4]) + 10'(later_of[5]);
  wire signed [9:0] later_67 = 10'(later_of[6]) + 10'(later_of[7]);

  always_ff @(posedge clk) begin
    earlier_low <= 11'(earlier_01) + 11'(earlier_23);
    earlier_high <= 11'(earlier_45) + 11'(earlier_67);
    later_low <= 11'(later_01) + 11'(later_23);
    later_high <= 11'(later_45) + 11'(later_67);
    earlier <= no_rows ? 12'd0 : 12'(earlier_low) + 12'(earlier_high);
    later <= no_rows ? 12'd0 : 12'(later_low) + 12'(later_high);
  end

  always_ff @(posedge clk) begin
    weights <= (binary ? {earlier[11], earlier, 1'b0} : 14'(earlier)) + (pairs ? 14'd0 : 14'(later));
    later_weights <= later;
    shortcuts <= earlier_value + later_value;
    later_is_shortcut <= later_shortcut;
    change <= scale(weights, fraction_bits) | shortcuts;
    later_change <= later_is_shortcut ? shortcut : scale({{2{later_weights[11]}}, later_weights}, fraction_bits);
  end

  always_ff @(posedge clk) begin
    if (adds) total <= change + (clears ? 32'd0 : quadruples ? {total[29:0], 2'b00} : total);
    if (adds_later) later_total <= later_change + (clears ? 32'd0 : later_total);
  end

endmodule
