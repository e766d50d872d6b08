// Cuts a request into bursts of at most 16 beats that cross no 128-byte boundary, and so no 4 KB boundary either.
//
// With ALTERNATE, only the chunks of 128 bytes whose address bit 7 equals `parity` become bursts: two cutters with
// different parities share the request between two ports. burst comes from a register, is valid with burst_valid and stays
// until burst_ready; a request is taken in one cycle, and each chunk takes another.
module snn_burst_cutter #(
    parameter bit ALTERNATE = 1'b0
) (
    input  logic clk,
    input  logic reset,
    input  logic parity,
    input  logic request_valid,
    output logic request_ready,
    input  snn_memory_pkg::fenced_request_t request,
    output logic burst_valid,
    input  logic burst_ready,
    output snn_memory_pkg::burst_t burst,
    output logic burst_is_last  // of its request
);

  logic busy;
  logic [28:0] address;
  logic [15:0] left;
  logic [15:0] index;

  logic [4:0] to_boundary;
  logic [3:0] last_beat;
  logic skip;  // the chunk belongs to the other port
  logic steps;
  logic finishes;

  assign to_boundary = 5'd16 - {1'b0, address[3:0]};
  assign finishes = left <= {11'd0, to_boundary};
  assign last_beat = finishes ? left[3:0] - 4'd1 : ~address[3:0];
  assign skip = ALTERNATE && address[4] != parity;
  assign steps = busy && (skip || !burst_valid || burst_ready);
  assign request_ready = !busy;

  always_ff @(posedge clk) begin
    if (request_ready) begin
      address <= request.address;
      left    <= request.words;
      index   <= request.destination;
    end else if (steps) begin  // to the next chunk; after the last one nobody looks
      address <= {address[28:4] + 25'd1, 4'd0};
      left    <= left - {11'd0, to_boundary};
      index   <= index + {11'd0, to_boundary};
    end
    if (!burst_valid || burst_ready) begin
      burst.address   <= address;
      burst.last_beat <= last_beat;
      burst.index     <= index;
      burst_is_last   <= finishes;
    end
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      busy        <= 1'b0;
      burst_valid <= 1'b0;
    end else begin
      if (request_ready) busy <= request_valid;
      else if (steps && finishes) busy <= 1'b0;
      if (!burst_valid || burst_ready) burst_valid <= busy && !skip;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (!reset && busy) assert (left != 16'd0);
    if (!reset && burst_valid) assert ({1'b0, burst.address[3:0]} + {1'b0, burst.last_beat} < 5'd16);
  end
`endif

endmodule
