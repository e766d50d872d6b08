// A queue in block RAM with a registered output.
//
// `out_data` is valid while `out_valid`; a word leaves with `out_valid && out_ready`. A word appears at the output three
// cycles after it came in. `count` is what the memory holds, without the two words at the output; nothing may come in
// when it is DEPTH - 1.
module snn_block_fifo #(
    parameter int WIDTH = 64,
    parameter int DEPTH_BITS = 9
) (
    input  logic                  clk,
    input  logic                  reset,
    input  logic                  in_valid,
    input  logic [WIDTH-1:0]      in_data,
    output logic                  out_valid,
    input  logic                  out_ready,
    output logic [WIDTH-1:0]      out_data,
    output logic [DEPTH_BITS-1:0] count
);

  logic [WIDTH-1:0] memory[1<<DEPTH_BITS];
  logic [DEPTH_BITS-1:0] write_position, read_position;
  logic [WIDTH-1:0] read_data;
  logic read_valid;

  wire out_moves = !out_valid || out_ready;
  wire read_moves = !read_valid || out_moves;
  wire reads = read_moves && count != 0;

  always_ff @(posedge clk) begin
    if (in_valid) memory[write_position] <= in_data;
  end

  always_ff @(posedge clk) begin
    if (reads) read_data <= memory[read_position];
  end

  always_ff @(posedge clk) begin
    if (out_moves) out_data <= read_data;
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      write_position <= '0;
      read_position <= '0;
      count <= '0;
      read_valid <= 1'b0;
      out_valid <= 1'b0;
    end else begin
      if (in_valid) write_position <= write_position + 1'b1;
      if (reads) read_position <= read_position + 1'b1;
      if (in_valid != reads) count <= in_valid ? count + 1'b1 : count - 1'b1;
      if (read_moves) read_valid <= reads;
      if (out_moves) out_valid <= read_valid;
      assert (!(in_valid && &count));  // otherwise: queue overflow
    end
  end

endmodule
