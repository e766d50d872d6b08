// snn_run_control before a memory that answers late or never: ends with PASSED.
module run_control_bench;

  localparam int DRAIN_CYCLES = 16;

  logic clk = 1'b0;
  logic reset = 1'b1;
  logic start = 1'b0;
  logic soft_reset = 1'b0;
  logic running;
  logic ends;
  logic aborted;
  logic [3:0] end_code;
  logic [31:0] end_detail;
  logic [63:0] cycles;
  logic program_finished = 1'b0;
  logic bus_error = 1'b0;
  logic program_start;
  logic stop;
  logic clear;
  logic drained = 1'b1;

  snn_run_control #(
      .DRAIN_CYCLES(DRAIN_CYCLES)
  ) run_control (
      .clk,
      .reset,
      .start,
      .soft_reset,
      .watchdog_cycles(32'd50),
      .running,
      .ends,
      .aborted,
      .end_code,
      .end_detail,
      .cycles,
      .program_finished,
      .program_outcome('0),
      .bus_error,
      .fence_error(1'b0),
      .fence_region(2'd0),
      .fence_layer(8'd0),
      .layer_under_way(8'd5),
      .program_start,
      .stop,
      .clear,
      .drained
  );

  always #5 clk = !clk;

  task automatic begin_run();
    @(negedge clk) start = 1'b1;
    @(negedge clk) start = 1'b0;
  endtask

  // Waits for the end of the run and compares how it ended; `most` cycles at most.
  task automatic expect_end(input logic [31:0] code, input logic [31:0] detail, input int most, input string what);
    int waited = 0;
    while (!ends && waited < most) begin
      @(negedge clk) waited++;
    end
    if (!ends || end_code != code[3:0] || end_detail != detail || running) begin
      $display("FAILED: %s: ends %0d code %0d detail %0d after %0d", what, ends, end_code, end_detail, waited);
      $finish;
    end
    @(negedge clk);
    if (!stop || !clear) begin
      $display("FAILED: %s: not cleared", what);
      $finish;
    end
  endtask

  initial begin
    repeat (4) @(negedge clk);
    reset = 1'b0;

    begin_run();
    repeat (10) @(negedge clk);
    program_finished = 1'b1;
    expect_end(snn_layout_pkg::ERROR_CODE_NONE, 0, 20, "a finished program");
    program_finished = 1'b0;

    begin_run();
    repeat (5) @(negedge clk);
    drained = 1'b0;
    expect_end(snn_layout_pkg::ERROR_CODE_WATCHDOG, 5 << 16, 50 + DRAIN_CYCLES + 20, "a memory that never answers");

    begin_run();
    expect_end(snn_layout_pkg::ERROR_CODE_BUS, 0, 20, "a start while memory still owes");

    drained = 1'b1;
    begin_run();
    repeat (5) @(negedge clk);
    drained = 1'b0;
    bus_error = 1'b1;
    @(negedge clk) bus_error = 1'b0;
    repeat (5) @(negedge clk);
    if (!stop || clear || !running) $display("FAILED: cleared before memory has answered");
    drained = 1'b1;
    expect_end(snn_layout_pkg::ERROR_CODE_BUS, 0, 20, "a late answer");

    begin_run();
    repeat (5) @(negedge clk);
    soft_reset = 1'b1;
    @(negedge clk) soft_reset = 1'b0;
    expect_end(snn_layout_pkg::ERROR_CODE_ABORTED, 0, 20, "a soft reset");
    if (!aborted) $display("FAILED: not aborted");
    else $display("PASSED");
    $finish;
  end

endmodule
