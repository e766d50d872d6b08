// Parameters of output groups: a memory for four groups ahead, and the registers that the lanes work with.
//
// `initial_potential`, `bias` and `not_threshold` belong to the group whose places the neurons take next, while
// `neurons_ready`; a pulse of `neurons_done` says that they are through with a group. Likewise `shortcut`, `sums_ready`
// and `sums_done`: the sums are a group ahead of the neurons at times. Groups are numbered across layers.
module snn_parameters (
    input  logic                        clk,
    input  logic                        reset,
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
    input  snn_compute_pkg::row_write_t row,
  /* verilator lint_on UNUSEDSIGNAL */
    input  logic                        slot_taken,
    output logic                        slot_free,
    input  logic                        neurons_done,
    output logic                        neurons_ready,
    output logic [31:0][31:0]           initial_potential,
    output logic [31:0][31:0]           bias,
    output logic [31:0][31:0]           not_threshold,
    input  logic                        sums_done,
    output logic                        sums_ready,
    output logic [31:0][31:0]           shortcut
);

  logic [255:0] memory[64];
  logic [255:0] read_data;
  logic [5:0] read_address;
  logic [3:0] enters;  // the bit of the vector that `read_data` belongs to
  logic reading, read_valid, read_last;

  // A row of eight lanes enters at the top of a vector; four rows fill it.
  always_ff @(posedge clk) begin
    if (row.valid && row.parameters) memory[row.index[5:0]] <= row.data;
  end

  always_ff @(posedge clk) read_data <= memory[read_address];

  always_ff @(posedge clk) begin
    if (enters[snn_layout_pkg::PARAMETER_INITIAL]) initial_potential <= {read_data, initial_potential[31:8]};
    if (enters[snn_layout_pkg::PARAMETER_BIAS]) bias <= {read_data, bias[31:8]};
    if (enters[snn_layout_pkg::PARAMETER_THRESHOLD]) not_threshold <= {~read_data, not_threshold[31:8]};
    if (enters[snn_layout_pkg::PARAMETER_SHORTCUT]) shortcut <= {read_data, shortcut[31:8]};
  end

  // Rows of each slot that have arrived, and the groups of each use, modulo 4.
  logic [3:0][4:0] rows;
  logic [2:0] slots_used;
  logic [1:0] neurons_group, sums_group, oldest;
  logic neurons_copied, sums_copied;  // of the group of that number
  logic for_neurons;                  // which of the two the copy in progress is for
  logic slot_released;
  logic [1:0] sums_behind;  // groups that have been summed, but not yet copied: possible where nobody looks

  wire sums_wanted = !sums_copied && rows[sums_group][4];
  wire neurons_wanted = !neurons_copied && rows[neurons_group][4];

  // The oldest slot is free when both uses have copied it: the group that each copies next is a later one.
  wire [1:0] neurons_next = neurons_group + 2'(neurons_copied);
  wire [1:0] sums_next = sums_group + 2'(sums_copied);
  wire neurons_past = neurons_next != oldest;
  wire sums_past = sums_next != oldest;

  assign slot_free = slots_used != 3'd4;
  assign neurons_ready = neurons_copied;
  assign sums_ready = sums_copied && sums_behind == 0;

  always_ff @(posedge clk) begin
    if (reset) begin
      rows <= '0;
      slots_used <= '0;
      oldest <= '0;
      neurons_group <= '0;
      sums_group <= '0;
      neurons_copied <= 1'b0;
      sums_copied <= 1'b0;
      reading <= 1'b0;
      read_valid <= 1'b0;
      enters <= '0;
      read_last <= 1'b0;
      slot_released <= 1'b0;
      sums_behind <= '0;
    end else begin
      slot_released <= 1'b0;
      if (slots_used != 0 && neurons_past && sums_past && !slot_released) begin
        slot_released <= 1'b1;
        oldest <= oldest + 1'b1;
      end
      for (int i = 0; i < 4; i++) begin
        if (slot_released && oldest - 2'd1 == 2'(i)) rows[i] <= '0;
        else if (row.valid && row.parameters && row.index[5:4] == 2'(i)) rows[i] <= rows[i] + 1'b1;
      end
      if (slot_taken != slot_released) slots_used <= slot_taken ? slots_used + 1'b1 : slots_used - 1'b1;

      // Twelve rows for the neurons, or the four of the shortcut.
      read_valid <= reading;
      for (int i = 0; i < 4; i++) enters[i] <= reading && read_address[3:2] == 2'(i);
      read_last <= reading && (for_neurons ? read_address[3:0] == 4'd11 : read_address[3:0] == 4'd15);
      if (!reading && !read_valid) begin
        if (sums_wanted) begin
          reading <= 1'b1;
          for_neurons <= 1'b0;
          read_address <= {sums_group, 4'd12};
        end else if (neurons_wanted) begin
          reading <= 1'b1;
          for_neurons <= 1'b1;
          read_address <= {neurons_group, 4'd0};
        end
      end else if (reading) begin
        read_address <= read_address + 1'b1;
        if (for_neurons ? read_address[3:0] == 4'd11 : read_address[3:0] == 4'd15) reading <= 1'b0;
      end
      if (read_last && for_neurons) neurons_copied <= 1'b1;
      if (read_last && !for_neurons) sums_copied <= 1'b1;
      if (neurons_done) begin
        neurons_copied <= 1'b0;
        neurons_group <= neurons_group + 1'b1;
      end
      if (sums_copied && sums_behind != 0) begin
        sums_copied <= 1'b0;
        sums_group <= sums_group + 1'b1;
      end
      sums_behind <= sums_behind + 2'(sums_done) - 2'(sums_copied && sums_behind != 0);
      assert (!(neurons_done && !neurons_copied));  // otherwise: neurons without parameters
      assert (!(sums_done && !sums_copied && sums_behind == 2'd3));  // otherwise: the groups behind go around
    end
  end

endmodule
