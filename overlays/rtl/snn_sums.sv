// The pipeline behind the popper: rows from the weight memory, 32 lanes, and sums that are handed to the neurons.
//
// Reads given to the weight banks in one cycle, with `pass_end`, come back three cycles later as `first` and `second`.
// Sums lie in `earlier_sum` and `later_sum` from the cycle of `handed` on, until the next hand-over; `handed_group_end` says
// that it was the group's last. `sums_done` is a pulse with it. `spikes_popped` counts spikes that met a row, or those
// of the identity shortcut (`spikes_are_shortcut`), in the cycle of `spikes_valid`.
module snn_sums (
    input  logic                         clk,
    input  logic                         reset,
    input  logic [3:0]                   fraction_bits,
    input  logic                         binary,
    input  logic                         pairs,
    input  logic [7:0]                   first_read,
    input  logic [7:0][1:0]              first_planes,
    input  logic [7:0]                   second_read,
    input  logic [7:0][1:0]              second_planes,
    input  snn_compute_pkg::pass_end_t   pass_end,
    input  logic [7:0][255:0]            first,
    input  logic [7:0][255:0]            second,
    input  logic [31:0][31:0]            shortcut,
    output logic                         handed,
    output logic                         handed_group_end,
    output logic                         sums_done,
    output logic [31:0][31:0]            earlier_sum,
    output logic [31:0][31:0]            later_sum,
    output logic                         spikes_valid,
    output logic                         spikes_are_shortcut,
    output logic [6:0]                   spikes_popped
);

  localparam int STAGES = 9;  // until the totals hold what was popped: 3 of the memory, 6 of the lanes

  // Bit k: there is something at stage k; `rows` says that it is rows, the others that it is the end of a pass.
  logic [STAGES-1:0] group_ends;
  logic [STAGES-2:0] ends, hands, rows;
  logic [2:0][7:0][1:0] first_at, second_at;  // planes, gated by whether there is a read
  logic [5:0][63:0] shortcut_at;
  logic [5:0] shortcut_valid_at;
  // Controls of many lanes come straight from registers.
  logic moves, moves_apart;  // there is something at stage 7; and the planes are kept apart
  logic takes;               // stage 8: a pass that hands over ends
  logic clears, quadruples;  // what comes begins a new hand-over, or a new pair of bits of numbers
  logic no_rows;             // stage 4

  always_ff @(posedge clk) begin
    if (reset) begin
      rows <= '0;
      ends <= '0;
    end else begin
      rows <= {rows[STAGES-3:0], first_read != 8'd0};
      ends <= {ends[STAGES-3:0], pass_end.valid};
    end
    moves <= !reset && (rows[6] || ends[6]);
    moves_apart <= !reset && (rows[6] || ends[6]) && pairs;
    takes <= !reset && ends[7] && hands[7];
    no_rows <= !rows[3];
    hands <= {hands[STAGES-3:0], pass_end.hand_over};
    group_ends <= {group_ends[STAGES-2:0], pass_end.group_end};
    for (int bank = 0; bank < 8; bank++) begin
      first_at[0][bank] <= first_read[bank] ? first_planes[bank] : 2'b00;
      second_at[0][bank] <= second_read[bank] ? second_planes[bank] : 2'b00;
    end
    for (int i = 1; i < 3; i++) begin
      if (rows[i-1]) begin
        first_at[i] <= first_at[i-1];
        second_at[i] <= second_at[i-1];
      end
    end
    shortcut_valid_at <= {shortcut_valid_at[4:0], pass_end.valid && pass_end.shortcut_valid};
    if (pass_end.valid) shortcut_at[0] <= pass_end.shortcut;
    for (int i = 1; i < 6; i++) begin
      if (ends[i-1]) shortcut_at[i] <= shortcut_at[i-1];
    end
  end

  logic [31:0] total[32], later_total[32];

  snn_lanes lanes (
      .clk, .no_rows, .first, .second, .first_planes(first_at[2]), .second_planes(second_at[2]),
      .shortcut_spikes(shortcut_valid_at[5] ? shortcut_at[5] : 64'd0), .shortcut, .fraction_bits, .binary, .pairs,
      .adds(moves), .adds_later(moves_apart), .clears, .quadruples, .total, .later_total
  );

  // Ten cycles from the popper: the sums are handed over.
  always_ff @(posedge clk) begin
    if (takes) begin
      for (int lane = 0; lane < 32; lane++) begin
        earlier_sum[lane] <= total[8*(lane%4)+lane/4];
        later_sum[lane] <= later_total[8*(lane%4)+lane/4];
      end
    end
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      clears <= 1'b1;
      quadruples <= 1'b0;
    end else if (moves) begin
      clears <= ends[7] && hands[7];
      quadruples <= ends[7] && !hands[7] && binary;
    end
    handed <= !reset && takes;
    if (takes) handed_group_end <= group_ends[8];
  end

  assign sums_done = handed && handed_group_end;

  // Counted in two steps: each sixteen, then all.
  logic counted, counted_shortcut;
  logic [1:0][4:0] rows_of_sixteen;
  logic [3:0][4:0] shortcuts_of_sixteen;

  always_ff @(posedge clk) begin
    counted <= rows[0] || ends[0];
    counted_shortcut <= !rows[0];
    rows_of_sixteen <= {5'($countones(second_at[0])), 5'($countones(first_at[0]))};
    for (int i = 0; i < 4; i++) begin
      shortcuts_of_sixteen[i] <= shortcut_valid_at[0] ? 5'($countones(shortcut_at[0][16*i+:16])) : 5'd0;
    end
    spikes_valid <= counted;
    spikes_are_shortcut <= counted_shortcut;
    if (counted_shortcut) begin
      spikes_popped <= 7'(shortcuts_of_sixteen[0]) + 7'(shortcuts_of_sixteen[1]) +
                       7'(shortcuts_of_sixteen[2]) + 7'(shortcuts_of_sixteen[3]);
    end else spikes_popped <= 7'(rows_of_sixteen[0]) + 7'(rows_of_sixteen[1]);
  end

endmodule
