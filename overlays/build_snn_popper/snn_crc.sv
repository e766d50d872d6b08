// CRC-32 (zlib) of a stream of 64-bit words. `crc` is the CRC of the words so far, two cycles after the last one.
module snn_crc (
    input  logic clk,
    input  logic clear,
    input  logic word_valid,
    input  logic [63:0] word,
    output logic [31:0] crc
);

  logic waiting_valid;
  logic [63:0] waiting;
  logic [31:0] state;
  logic [63:0] mixed;
  logic [31:0] following;

  assign mixed = waiting ^ {32'd0, state};
  assign crc   = ~state;

  for (genvar bit_index = 0; bit_index < 32; bit_index++) begin : parity
    assign following[bit_index] = ^(mixed & snn_layout_pkg::CRC_MASKS[64*bit_index+:64]);
  end

  always_ff @(posedge clk) begin
    waiting <= word;
    if (clear) begin
      waiting_valid <= 1'b0;
      state         <= '1;
    end else begin
      waiting_valid <= word_valid;
      if (waiting_valid) state <= following;
    end
  end

endmodule
