// A queue of registers. out_valid and out_data hold the oldest entry; an entry put in is to be had in the next cycle.
// in_ready is low while DEPTH entries wait, whatever out_ready says, so that no path leads from out_ready to in_ready.
module snn_queue #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 4  // a power of two
) (
    input  logic clk,
    input  logic reset,
    input  logic in_valid,
    output logic in_ready,
    input  logic [WIDTH-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [WIDTH-1:0] out_data,
    output logic [$clog2(DEPTH):0] count
);

  localparam int POINTER_BITS = $clog2(DEPTH);

  (* ram_style = "registers" *) logic [WIDTH-1:0] entry[DEPTH];
  logic [POINTER_BITS-1:0] tail;
  logic [POINTER_BITS-1:0] head;
  logic put;
  logic take;

  assign in_ready = !count[POINTER_BITS];
  assign out_valid = count != '0;
  assign out_data = entry[head];
  assign put = in_valid && in_ready;
  assign take = out_valid && out_ready;

  always_ff @(posedge clk) begin
    if (put) entry[tail] <= in_data;
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      tail  <= '0;
      head  <= '0;
      count <= '0;
    end else begin
      if (put) tail <= tail + 1'b1;
      if (take) head <= head + 1'b1;
      if (put && !take) count <= count + 1'b1;
      if (take && !put) count <= count - 1'b1;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (!reset) begin
      assert (count <= DEPTH[POINTER_BITS:0]);
      assert (tail - head == count[POINTER_BITS-1:0]);
    end
  end
`endif

endmodule
