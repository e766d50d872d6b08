// One neuron's membrane potential, and the one adder that integrates, leaks and fires.
//
// In each cycle the potential (or the initial one) and the operand register are added; the operand for the next cycle is
// chosen in this one. Operands to subtract are kept inverted and added with a carry. `spike` is valid in the cycle of a
// comparison, where the operand is the inverted threshold.
module snn_neuron (
    input  logic        clk,
    input  logic        from_initial,  // add to the initial potential
    input  logic        adds,          // the sum becomes the potential
    input  logic        fires,         // the sum becomes the potential where it is not negative
    input  logic        carry,
    input  logic        hard_reset,
    input  logic        keeps,         // the operand
    input  logic [2:0]  choice,        // of the next operand, snn_neurons.OPERAND_*
    input  logic [31:0] initial_potential,
    input  logic [31:0] earlier_sum,
    input  logic [31:0] later_sum,
    input  logic [31:0] bias,
    input  logic [31:0] not_threshold,
    output logic [31:0] potential,
    output logic        spike
);

  logic [31:0] operand;
  wire [31:0] augend = from_initial ? initial_potential : potential;
  wire [32:0] sum = {operand[31], operand} + {augend[31], augend} + 33'(carry);

  assign spike = !sum[32];

  always_ff @(posedge clk) begin
    if (adds || (fires && spike)) potential <= hard_reset && fires ? 32'd0 : sum[31:0];
  end

  always_ff @(posedge clk) begin
    if (!keeps) case (choice)
      3'd1: operand <= earlier_sum;
      3'd2: operand <= later_sum;
      3'd3: operand <= bias;
      3'd4: operand <= not_threshold;
      3'd5: operand <= ~potential;
      3'd6: operand <= {operand[31], operand[31:1]};
      default: operand <= '0;
    endcase
  end

endmodule
