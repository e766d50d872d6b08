// One bank of the weight memory: 1,024 rows of 32 int8, true dual port.
//
// Registers on both sides: addresses given in one cycle (`read_first`, `read_second`, or `write_row`, which takes the
// second port) give `first` and `second` three cycles later, for one cycle. The data of a write come one cycle after its
// address.
module snn_weight_bank (
    input  logic         clk,
    input  logic         write,
    input  logic [9:0]   write_row,
    input  logic [255:0] write_data,
    input  logic         read_first,
    input  logic [9:0]   first_row,
    input  logic         read_second,
    input  logic [9:0]   second_row,
    output logic [255:0] first,
    output logic [255:0] second
);

  logic [255:0] memory[1024];
  logic [255:0] second_out, first_out;
  logic [9:0] first_address, second_address;
  logic writes, first_reads, second_reads;

  always_ff @(posedge clk) begin
    writes <= write;
    first_reads <= read_first;
    second_reads <= read_second;
    if (read_first) first_address <= first_row;
    if (write || read_second) second_address <= write ? write_row : second_row;
  end

  // A write reads as well: what it reads is not passed on, and a port without a mode of its own for writes needs no logic.
  always_ff @(posedge clk) begin
    if (writes) memory[second_address] <= write_data;
    if (writes || second_reads) second_out <= memory[second_address];
  end

  always_ff @(posedge clk) begin
    if (first_reads) first_out <= memory[first_address];
  end

  always_ff @(posedge clk) begin
    first <= first_out;
    second <= second_out;
  end

  always_ff @(posedge clk) assert (!(write && read_second));  // otherwise: the second port is taken

endmodule
