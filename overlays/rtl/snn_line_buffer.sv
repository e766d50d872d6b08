// 16,384 words of spike maps: eight segments of 2,048 words, interleaved by the lowest bits of the address.
//
// Two words are read in a cycle; they appear at `word` four cycles after `read`. A write goes through the first read
// port of its segment: where both meet, `conflict` is high in that cycle and the reader has to try again.
module snn_line_buffer (
    input  logic             clk,
    input  logic             write,
    input  logic [13:0]      write_address,
    input  logic [63:0]      write_data,
    input  logic [1:0]       read,
    input  logic [1:0][13:0] read_address,
    output logic             conflict,
    output logic [1:0][63:0] word
);

  assign conflict = write && write_address[2:0] == read_address[0][2:0];

  logic [63:0] write_data_now;
  logic [1:0][2:0] segment_asked, segment_read, segment_out;
  logic [1:0] asked, was_read, is_out;
  logic [7:0][63:0] out0, out1;

  always_ff @(posedge clk) begin
    if (write) write_data_now <= write_data;
    asked <= read & {1'b1, !conflict};
    was_read <= asked;
    is_out <= was_read;
    segment_asked <= {read_address[1][2:0], read_address[0][2:0]};
    segment_read <= segment_asked;
    segment_out <= segment_read;
    if (is_out[0]) word[0] <= out0[segment_out[0]];
    if (is_out[1]) word[1] <= out1[segment_out[1]];
  end

  for (genvar i = 0; i < 8; i++) begin : segments
    logic [63:0] memory[2048];
    logic [10:0] address0, address1;
    logic [63:0] read0, read1;
    logic writes, reads0, reads1;
    wire write_here = write && write_address[2:0] == 3'(i);

    always_ff @(posedge clk) begin
      writes <= write_here;
      reads0 <= read[0] && read_address[0][2:0] == 3'(i) && !write_here;
      reads1 <= read[1] && read_address[1][2:0] == 3'(i);
      address0 <= write_here ? write_address[13:3] : read_address[0][13:3];
      address1 <= read_address[1][13:3];
    end

    always_ff @(posedge clk) begin
      if (writes) memory[address0] <= write_data_now;
      if (writes || reads0) read0 <= memory[address0];  // what a write reads is not passed on
    end

    always_ff @(posedge clk) begin
      if (reads1) read1 <= memory[address1];
    end

    always_ff @(posedge clk) begin
      out0[i] <= read0;
      out1[i] <= read1;
    end
  end

endmodule
