// Takes the spikes out of words: eight banks, each up to two channels in a cycle, a pair of words apart at most.
//
// A bank that is through with its channels of a pair of words goes on with the next pair of the same pass; a pass ends when
// all banks are through (`pass_end`, in the same cycle as the last rows, or later where the identity shortcut spikes or
// the neurons have no room: `may_hand_over`). Rows to read are valid in the cycle of `first_read` and `second_read`;
// `write` takes the second port of a bank away. In layers with an identity shortcut the
// passes of a group wait for its parameters (`sums_done`, then `sums_ready`). Not for max pooling layers (`enable` low).
module snn_popper (
    input  logic                          clk,
    input  logic                          reset,
    input  logic                          enable,
    input  logic                          needs_shortcut,  // the layer has an identity shortcut
    input  logic                          sums_done,       // the last pass of a group has been summed
    input  logic                          sums_ready,
    input  logic                          may_hand_over,
    input  logic                          words_valid,
    output logic                          words_ready,
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
    input  snn_compute_pkg::words_t       words,
  /* verilator lint_on UNUSEDSIGNAL */
    input  logic [7:0]                    write,           // by bank
    output logic [7:0]                    first_read,
    output logic [7:0][9:0]               first_row,
    output logic [7:0][1:0]               first_planes,
    output logic [7:0]                    second_read,
    output logic [7:0][9:0]               second_row,
    output logic [7:0][1:0]               second_planes,
    output snn_compute_pkg::pass_end_t    pass_end
);

  logic [7:0] accept, finishes, empty;
  logic closing;      // all words of the pass are with the banks
  snn_compute_pkg::pass_end_t closing_end;
  logic group_ending;  // its last pass is being summed

  wire waits = needs_shortcut && (group_ending || !sums_ready);
  wire all_finish = &finishes;
  wire ends_now = closing && !waits && (closing_end.shortcut_valid ? &empty : all_finish) &&
                  (may_hand_over || !closing_end.hand_over);
  wire offers = enable && words_valid && !waits && (!closing || ends_now);
  wire shortcut = words.shortcut;
  wire [63:0] word0 = words.word[0];
  wire [63:0] word1 = words.word[1];

  assign words_ready = offers && &accept;

  always_comb begin
    pass_end = closing_end;
    pass_end.valid = ends_now;
  end

  for (genvar b = 0; b < 8; b++) begin : banks
    logic [7:0] earlier, later;
    always_comb begin
      for (int r = 0; r < 4; r++) begin
        earlier[r] = word0[b + 8 * r] && !shortcut;
        earlier[r + 4] = word1[b + 8 * r];
        later[r] = word0[32 + b + 8 * r] && !shortcut;
        later[r + 4] = word1[32 + b + 8 * r];
      end
    end
    snn_pop_bank bank (
        .clk,
        .reset,
        .second_taken(write[b]),
        .enter(words_ready),
        .earlier,
        .later,
        .block(words.block),
        .accept(accept[b]),
        .finishes(finishes[b]),
        .empty(empty[b]),
        .first_read(first_read[b]),
        .first_row(first_row[b]),
        .first_planes(first_planes[b]),
        .second_read(second_read[b]),
        .second_row(second_row[b]),
        .second_planes(second_planes[b])
    );
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      closing <= 1'b0;
      closing_end <= '0;
      group_ending <= 1'b0;
    end else begin
      if (ends_now) closing <= 1'b0;
      if (words_ready && words.last) begin
        closing <= 1'b1;
        closing_end.hand_over <= words.hand_over;
        closing_end.group_end <= words.group_end;
        closing_end.shortcut_valid <= shortcut && words.word[0] != '0;
        closing_end.shortcut <= words.word[0];
      end
      if (ends_now && closing_end.group_end) group_ending <= 1'b1;
      else if (sums_done) group_ending <= 1'b0;
    end
  end

endmodule
