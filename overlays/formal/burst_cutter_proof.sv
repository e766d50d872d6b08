// snn_burst_cutter: the bursts of a request are the request, in order, each inside 128 bytes. With ALTERNATE, the bursts
// of both parities together are, and each parity has its own chunks only.
module burst_cutter_proof #(
    parameter bit ALTERNATE = 1'b0
) (
    input logic clk,
    input logic any_parity,
    input logic request_valid,
    input logic [28:0] address,
    input logic [15:0] words,
    input logic [15:0] destination,
    input logic burst_ready
);
  localparam logic [15:0] MOST_WORDS = 16'd50;

  logic reset = 1'b1;
  logic parity;
  logic request_ready, burst_valid, burst_is_last;
  snn_memory_pkg::fenced_request_t request;
  snn_memory_pkg::burst_t burst;

  always_comb begin
    request.address = address;
    request.words = words;
    request.destination = destination;
  end

  snn_burst_cutter #(
      .ALTERNATE(ALTERNATE)
  ) dut (
      .clk, .reset, .parity, .request_valid, .request_ready, .request, .burst_valid, .burst_ready, .burst, .burst_is_last
  );

  // What is left of the request that the burst on offer belongs to, as far as bursts have said; and the request behind it,
  // which may come while the last burst of the one before waits.
  logic [28:0] next, next_behind;
  logic [15:0] left = '0, left_behind;
  logic [15:0] index, index_behind;
  logic behind = 1'b0;
  wire [4:0] beats = {1'b0, burst.last_beat} + 5'd1;
  wire gives = !reset && burst_valid && burst_ready;
  wire accepts = !reset && request_valid && request_ready;
  // Words of the other parity's chunk that lie before this burst.
  wire [15:0] skipped = 16'(burst.address - next);
  wire [4:0] to_boundary = 5'd16 - {1'b0, next[3:0]};
  wire [28:0] next_then = burst.address + {24'd0, beats};
  wire [15:0] left_then = left - skipped - {11'd0, beats};

  // What an alternating cutter leaves out belongs to the other one: less than a chunk, of the other parity.
  function automatic logic is_done(input logic [28:0] from, input logic [15:0] count);
    is_done = count == 0 || (ALTERNATE && from[4] != parity && count <= 16'd16 - {12'd0, from[3:0]});
  endfunction

  always_ff @(posedge clk) begin
    reset <= 1'b0;
    if (reset) parity <= any_parity;
    if (request_valid) assume (words != 0 && words <= MOST_WORDS && address <= 29'h1000_0000);
    if (accepts && burst_valid && !gives) begin
      behind <= 1'b1;
      {next_behind, left_behind, index_behind} <= {address, words, destination};
    end else if (accepts) begin
      behind <= 1'b0;
      {next, left, index} <= {address, words, destination};
    end else if (gives && behind) begin
      behind <= 1'b0;
      {next, left, index} <= {next_behind, left_behind, index_behind};
    end else if (gives) begin
      {next, left, index} <= {next_then, left_then, burst.index + {11'd0, beats}};
    end
    if (!reset && burst_valid) begin
      assert (left != 0);
      assert ({1'b0, burst.address[3:0]} + beats <= 5'd16);
      assert (skipped == (ALTERNATE && next[4] != parity ? {11'd0, to_boundary} : 16'd0));
      assert (!ALTERNATE || burst.address[4] == parity);
      assert (burst.index == 16'(index + skipped));
      assert (skipped + {11'd0, beats} <= left);
      assert (burst.address[3:0] + burst.last_beat == 4'd15 || skipped + {11'd0, beats} == left);
    end
    // A request is done before the next one begins.
    if (gives && behind) assert (is_done(next_then, left_then));
    if (accepts && behind) assert (is_done(next_behind, left_behind));
    if (accepts && !behind) assert (burst_valid ? is_done(next_then, left_then) : is_done(next, left));
    cover (gives && burst_is_last && next != address && left > 16'd3);
    cover (accepts && gives);
  end
endmodule
