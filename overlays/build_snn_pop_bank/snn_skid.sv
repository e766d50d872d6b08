// A register slice for an AXI channel: out_valid and out_data come from registers and stay until out_ready; in_ready is a
// register too. One transfer in every cycle; a second register takes what arrives while the first one waits.
module snn_skid #(
    parameter int WIDTH = 8
) (
    input  logic clk,
    input  logic reset,
    input  logic in_valid,
    output logic in_ready,
    input  logic [WIDTH-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [WIDTH-1:0] out_data
);

  logic spare_valid;
  logic [WIDTH-1:0] spare_data;
  logic moves;  // the outer register is free for the next transfer

  assign in_ready = !spare_valid;
  assign moves = !out_valid || out_ready;

  always_ff @(posedge clk) begin
    if (moves) out_data <= spare_valid ? spare_data : in_data;
    if (in_ready) spare_data <= in_data;
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      out_valid   <= 1'b0;
      spare_valid <= 1'b0;
    end else if (moves) begin
      out_valid   <= spare_valid || in_valid;
      spare_valid <= 1'b0;
    end else if (in_valid) begin
      spare_valid <= 1'b1;
    end
  end

`ifndef SYNTHESIS
  logic waited;
  logic [WIDTH-1:0] offered;
  always_ff @(posedge clk) begin
    waited  <= !reset && out_valid && !out_ready;
    offered <= out_data;
    if (!reset && waited) assert (out_valid && out_data == offered);
  end
`endif

endmodule
