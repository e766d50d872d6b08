// snn_skid: an offer stays as it is until it is taken; nothing is lost, doubled or reordered.
module skid_proof #(
    parameter bit BOUNDED = 1'b1
) (
    input logic clk,
    input logic in_valid,
    input logic in_data,
    input logic out_ready,
    input logic [3:0] any_number,
    input logic any_value
);
  logic reset = 1'b1;
  logic in_ready, out_valid;
  logic out_data;

  snn_skid #(
      .WIDTH(1)
  ) dut (
      .clk, .reset, .in_valid, .in_ready, .in_data, .out_valid, .out_ready, .out_data
  );

  logic [3:0] chosen;
  logic value;
  logic [3:0] puts = '0;
  logic [3:0] takes = '0;
  wire put = !reset && in_valid && in_ready;
  wire take = !reset && out_valid && out_ready;

  logic waited = 1'b0;
  logic offered;

  always_ff @(posedge clk) begin
    reset <= 1'b0;
    if (reset) begin
      chosen <= any_number;
      value  <= any_value;
    end
    puts <= reset ? '0 : puts + {3'd0, put};
    takes <= reset ? '0 : takes + {3'd0, take};
    waited <= !reset && out_valid && !out_ready;
    offered <= out_data;
    if (put && puts == chosen) assume (in_data == value);
    if (BOUNDED && take && takes == chosen) assert (out_data == value);
    if (waited) assert (out_valid && out_data == offered);
    if (!reset) begin
      assert (puts - takes <= 4'd2);
      assert (out_valid == (puts != takes));
      assert (in_ready == (puts - takes != 4'd2));
    end
    cover (take && takes == 4'd4 && chosen == 4'd4);
    cover (!reset && !in_ready);
  end
endmodule
