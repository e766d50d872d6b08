// snn_queue: nothing is lost, doubled or reordered, and it is full and empty exactly when it says so.
module queue_proof #(
    parameter bit BOUNDED = 1'b1  // with what no induction proves
) (
    input logic clk,
    input logic in_valid,
    input logic in_data,
    input logic out_ready,
    input logic [3:0] any_number,
    input logic any_value
);
  localparam int DEPTH = 4;

  logic reset = 1'b1;
  logic in_ready, out_valid;
  logic out_data;
  logic [2:0] count;

  snn_queue #(
      .WIDTH(1),
      .DEPTH(DEPTH)
  ) dut (
      .clk, .reset, .in_valid, .in_ready, .in_data, .out_valid, .out_ready, .out_data, .count
  );

  // One entry stands for all: the solver chooses which, and what it holds.
  logic [3:0] chosen;
  logic value;
  logic [3:0] puts = '0;
  logic [3:0] takes = '0;
  wire put = !reset && in_valid && in_ready;
  wire take = !reset && out_valid && out_ready;

  always_ff @(posedge clk) begin
    reset <= 1'b0;
    if (reset) begin
      chosen <= any_number;
      value  <= any_value;
    end
    puts  <= reset ? '0 : puts + {3'd0, put};
    takes <= reset ? '0 : takes + {3'd0, take};
    if (put && puts == chosen) assume (in_data == value);
    if (BOUNDED && take && takes == chosen) assert (out_data == value);
    if (!reset) begin
      assert (puts - takes == {1'b0, count});
      assert (count <= DEPTH);
      assert (in_ready == (count != DEPTH));
      assert (out_valid == (count != 0));
    end
    cover (take && takes == 4'd5 && chosen == 4'd5);
    cover (count == DEPTH && !in_ready);
  end
endmodule
