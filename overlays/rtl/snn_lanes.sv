// The 32 output channels: the weights of this cycle's rows added up for two planes, and the sums over passes.
//
// A pipeline of six stages; the rows come from the weight memory's output registers. Only the totals have an enable:
// registers that share their control nets with many others are the ones for which there is room on the device. `*_planes`
// says for each row which planes have the spike (bit 0 the earlier). Two rows of a bank are first added once for both
// planes: each plane then chooses among nothing, either, and both. A pass has rows or, at its end, spikes of the identity
// shortcut, never both in the same cycle.
//
// Loops over arrays, not 32 instances: a simulator makes vector instructions of them. It does so for cutting rows into
// bytes only where the first bytes of all words come first, then the second ones: lane l is entry 8 * (l % 4) + l / 4
// of every array here, and bits {entry[2:0], entry[4:3]} are the lane of an entry.
module snn_lanes (
    input  logic              clk,
    input  logic              no_rows,          // stage 2: only the end of a pass
    input  logic [7:0][255:0] first,            // rows of the banks, a byte for each lane
    input  logic [7:0][255:0] second,
    input  logic [7:0][1:0]   first_planes,
    input  logic [7:0][1:0]   second_planes,
    input  logic [63:0]       shortcut_spikes,  // stage 3: of the identity shortcut, earlier plane in the low half
    input  logic [31:0][31:0] shortcut,
    input  logic [3:0]        fraction_bits,
    input  logic              binary,           // planes are bits of numbers
    input  logic              pairs,            // sums of the two planes are kept apart
    input  logic              adds,             // stage 5: there is something to add
    input  logic              adds_later,       // and the planes are kept apart
    input  logic              clears,           // stage 5: a new hand-over begins
    input  logic              quadruples,       // stage 5: a new pair of bits begins
    output logic [31:0]       total[32],        // by entry, valid after stage 5; the earlier plane's in `pairs`
    output logic [31:0]       later_total[32]
);

  localparam int unsigned LANES = 32;

  // Each step is a loop over arrays, without variables that pass from one entry to the next.

  // Stage 0: within each bank, 9 bits.
  logic signed [8:0] earlier_of[8][LANES], later_of[8][LANES], earlier_of_next[8][LANES], later_of_next[8][LANES];

  for (genvar bank = 0; bank < 8; bank++) begin : banks
    wire [1:0] earlier_takes = {first_planes[bank][0], second_planes[bank][0]};
    wire [1:0] later_takes = {first_planes[bank][1], second_planes[bank][1]};
    logic signed [8:0] a[LANES], b[LANES], both[LANES];

    logic [31:0] first_words[8], second_words[8];
    for (genvar i = 0; i < 8; i++) begin : words
      assign first_words[i] = first[bank][32*i+:32];
      assign second_words[i] = second[bank][32*i+:32];
    end

    always_comb begin
      /* verilator unroll_disable */
      for (int unsigned i = 0; i < 8; i++) begin
        a[i] = 9'(signed'(first_words[i][7:0]));
        a[i+8] = 9'(signed'(first_words[i][15:8]));
        a[i+16] = 9'(signed'(first_words[i][23:16]));
        a[i+24] = 9'(signed'(first_words[i][31:24]));
      end
      /* verilator unroll_disable */
      for (int unsigned i = 0; i < 8; i++) begin
        b[i] = 9'(signed'(second_words[i][7:0]));
        b[i+8] = 9'(signed'(second_words[i][15:8]));
        b[i+16] = 9'(signed'(second_words[i][23:16]));
        b[i+24] = 9'(signed'(second_words[i][31:24]));
      end
      /* verilator unroll_disable */
      for (int unsigned entry = 0; entry < LANES; entry++) both[entry] = a[entry] + b[entry];
      /* verilator unroll_disable */
      for (int unsigned entry = 0; entry < LANES; entry++) begin
        earlier_of_next[bank][entry] = earlier_takes[1] ? (earlier_takes[0] ? both[entry] : a[entry])
                                                         : earlier_takes[0] ? b[entry] : 9'sd0;
      end
      /* verilator unroll_disable */
      for (int unsigned entry = 0; entry < LANES; entry++) begin
        later_of_next[bank][entry] = later_takes[1] ? (later_takes[0] ? both[entry] : a[entry])
                                                     : later_takes[0] ? b[entry] : 9'sd0;
      end
    end
  end

  // Stage 1: four banks each, 11 bits. Stage 2: all banks.
  logic signed [9:0] earlier_01[LANES], earlier_23[LANES], earlier_45[LANES], earlier_67[LANES];
  logic signed [9:0] later_01[LANES], later_23[LANES], later_45[LANES], later_67[LANES];
  logic signed [10:0] earlier_low[LANES], earlier_high[LANES], later_low[LANES], later_high[LANES];
  logic signed [10:0] earlier_low_next[LANES], earlier_high_next[LANES], later_low_next[LANES], later_high_next[LANES];
  logic signed [11:0] earlier[LANES], later[LANES], earlier_next[LANES], later_next[LANES];

  always_comb begin
    /* verilator unroll_disable */
    for (int unsigned entry = 0; entry < LANES; entry++) begin
      earlier_01[entry] = 10'(earlier_of[0][entry]) + 10'(earlier_of[1][entry]);
      earlier_23[entry] = 10'(earlier_of[2][entry]) + 10'(earlier_of[3][entry]);
      earlier_45[entry] = 10'(earlier_of[4][entry]) + 10'(earlier_of[5][entry]);
      earlier_67[entry] = 10'(earlier_of[6][entry]) + 10'(earlier_of[7][entry]);
    end
    /* verilator unroll_disable */
    for (int unsigned entry = 0; entry < LANES; entry++) begin
      later_01[entry] = 10'(later_of[0][entry]) + 10'(later_of[1][entry]);
      later_23[entry] = 10'(later_of[2][entry]) + 10'(later_of[3][entry]);
      later_45[entry] = 10'(later_of[4][entry]) + 10'(later_of[5][entry]);
      later_67[entry] = 10'(later_of[6][entry]) + 10'(later_of[7][entry]);
    end
    /* verilator unroll_disable */
    for (int unsigned entry = 0; entry < LANES; entry++) begin
      earlier_low_next[entry] = 11'(earlier_01[entry]) + 11'(earlier_23[entry]);
      earlier_high_next[entry] = 11'(earlier_45[entry]) + 11'(earlier_67[entry]);
      later_low_next[entry] = 11'(later_01[entry]) + 11'(later_23[entry]);
      later_high_next[entry] = 11'(later_45[entry]) + 11'(later_67[entry]);
    end
  end

  always_comb begin
    /* verilator unroll_disable */
    for (int unsigned entry = 0; entry < LANES; entry++) begin
      earlier_next[entry] = no_rows ? 12'sd0 : 12'(earlier_low[entry]) + 12'(earlier_high[entry]);
      later_next[entry] = no_rows ? 12'sd0 : 12'(later_low[entry]) + 12'(later_high[entry]);
    end
  end

  // Stage 3: the two planes together, and the later plane for itself; or the shortcut's value as often as it spikes.
  logic signed [13:0] weights[LANES], weights_next[LANES];
  logic signed [11:0] later_weights[LANES];
  logic [31:0] shortcuts[LANES], shortcuts_next[LANES], shortcut_of[LANES], earlier_value[LANES], later_value[LANES];
  logic [31:0] later_is_shortcut;

  for (genvar entry = 0; entry < LANES; entry++) begin : shortcut_entries
    assign shortcut_of[entry] = shortcut[4*(entry%8)+entry/8];
  end

  always_comb begin
    /* verilator unroll_disable */
    for (int unsigned entry = 0; entry < LANES; entry++) begin
      weights_next[entry] = (binary ? {earlier[entry][11], earlier[entry], 1'b0} : 14'(earlier[entry])) +
                            (pairs ? 14'd0 : 14'(later[entry]));
    end
    /* verilator unroll_disable */
    for (int unsigned entry = 0; entry < LANES; entry++) begin
      earlier_value[entry] = !shortcut_spikes[{1'b0, entry[2:0], entry[4:3]}] ? 32'd0 :
                             binary ? {shortcut_of[entry][30:0], 1'b0} : shortcut_of[entry];
      later_value[entry] = shortcut_spikes[{1'b1, entry[2:0], entry[4:3]}] && !pairs ? shortcut_of[entry] : 32'd0;
      shortcuts_next[entry] = earlier_value[entry] + later_value[entry];
    end
  end

  // Stage 4: with fraction bits, in two steps. Stage 5: the totals.
  logic [31:0] fine[LANES], later_fine[LANES];
  logic [31:0] change[LANES], change_next[LANES], later_change[LANES], later_change_next[LANES];
  logic [31:0] total_next[LANES], later_total_next[LANES];

  always_comb begin
    /* verilator unroll_disable */
    for (int unsigned entry = 0; entry < LANES; entry++) begin
      fine[entry] = 32'(weights[entry]) << fraction_bits[1:0];
      later_fine[entry] = 32'(later_weights[entry]) << fraction_bits[1:0];
    end
    /* verilator unroll_disable */
    for (int unsigned entry = 0; entry < LANES; entry++) begin
      change_next[entry] = shortcuts[entry] | (fraction_bits[3] ? {fine[entry][23:0], 8'd0} :
                                               fraction_bits[2] ? {fine[entry][27:0], 4'd0} : fine[entry]);
      later_change_next[entry] = later_is_shortcut[{entry[2:0], entry[4:3]}] ? shortcut_of[entry] :
                                  fraction_bits[3] ? {later_fine[entry][23:0], 8'd0} :
                                  fraction_bits[2] ? {later_fine[entry][27:0], 4'd0} : later_fine[entry];
    end
  end

  always_comb begin
    /* verilator unroll_disable */
    for (int unsigned entry = 0; entry < LANES; entry++) begin
      total_next[entry] = change[entry] + (clears ? 32'd0 : quadruples ? {total[entry][29:0], 2'b00} : total[entry]);
      later_total_next[entry] = later_change[entry] + (clears ? 32'd0 : later_total[entry]);
    end
  end

  always_ff @(posedge clk) begin
    earlier_of <= earlier_of_next;
    later_of <= later_of_next;
    earlier_low <= earlier_low_next;
    earlier_high <= earlier_high_next;
    later_low <= later_low_next;
    later_high <= later_high_next;
    earlier <= earlier_next;
    later <= later_next;
    weights <= weights_next;
    later_weights <= later;
    shortcuts <= shortcuts_next;
    later_is_shortcut <= shortcut_spikes[63:32];
    change <= change_next;
    later_change <= later_change_next;
    if (adds) total <= total_next;
    if (adds_later) later_total <= later_total_next;
  end

endmodule
