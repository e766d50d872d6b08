// A register slice for one AXI channel: everything that leaves it comes from a register, and it passes a word in every
// cycle. Between a port of the PS7 and the core, so that no path of the hard block meets more than one LUT.
module axi_slice #(
    parameter int WIDTH = 1
) (
    input  logic             clk,
    input  logic             resetn,
    input  logic             in_valid,
    output logic             in_ready,
    input  logic [WIDTH-1:0] in_data,
    output logic             out_valid,
    input  logic             out_ready,
    output logic [WIDTH-1:0] out_data
);

  // A word that arrived while the receiver waited, before in_ready could fall.
  logic             spare_valid;
  logic [WIDTH-1:0] spare_data;

  wire advance = !out_valid || out_ready;
  wire arrives = in_valid && in_ready;

  always_ff @(posedge clk) begin
    if (!resetn) begin
      in_ready <= 1'b0;
      out_valid <= 1'b0;
      spare_valid <= 1'b0;
    end else if (advance) begin
      in_ready <= 1'b1;
      out_valid <= spare_valid || arrives;
      spare_valid <= 1'b0;
    end else if (arrives) begin
      in_ready <= 1'b0;
      spare_valid <= 1'b1;
    end else begin
      in_ready <= !spare_valid;
    end
  end

  always_ff @(posedge clk) begin
    if (advance) out_data <= spare_valid ? spare_data : in_data;
    if (in_ready) spare_data <= in_data;
  end

endmodule
