// Memories of the shapes that the core has, for the test of what synthesis makes of them.
module memories (
    input  logic        clk,
    input  logic        write,
    input  logic        read,
    input  logic [ 8:0] write_address,
    input  logic [ 8:0] read_address,
    input  logic [71:0] data,
    input  logic [ 3:0] strobes,
    output logic [71:0] wide,
    output logic [35:0] middle,
    output logic [ 8:0] narrow,
    output logic [31:0] strobed,
    output logic [15:0] constant
);

  (* ram_style = "block" *) logic [71:0] wide_memory[512];
  (* ram_style = "block" *) logic [35:0] middle_memory[512];
  (* ram_style = "block" *) logic [8:0] narrow_memory[2048];
  (* ram_style = "block" *) logic [3:0][7:0] strobed_memory[512];
  (* ram_style = "block" *) logic [15:0] constant_memory[512];

  initial begin
    for (int index = 0; index < 512; index++) constant_memory[index] = 16'(index * 40503 + 7);
    for (int index = 0; index < 2048; index++) narrow_memory[index] = 9'(index * 5);
  end

  always_ff @(posedge clk) begin
    if (write) begin
      wide_memory[write_address] <= data;
      middle_memory[write_address] <= data[35:0];
      narrow_memory[{data[1:0], write_address}] <= data[8:0];
    end
    for (int index = 0; index < 4; index++) begin
      if (strobes[index]) strobed_memory[write_address][index] <= data[8*index+:8];
    end
    wide <= wide_memory[read_address];  // beside a write of the same word: the old one
    if (read) begin
      middle <= middle_memory[read_address];
      narrow <= narrow_memory[{data[3:2], read_address}];
      strobed <= strobed_memory[read_address];
      constant <= constant_memory[read_address];
    end
  end

endmodule
