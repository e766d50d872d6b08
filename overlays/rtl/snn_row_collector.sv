// Collects the 64-bit words of both read ports into rows of 32 bytes, one row a cycle.
//
// Each port delivers four neighbouring words of a row one after the other, so a port completes a row at most every fourth
// cycle, and one register behind each port is enough to let the two take turns. `row` is valid for one cycle.
module snn_row_collector (
    input  logic                         clk,
    input  logic                         reset,
    input  logic [1:0]                   data_valid,
    input  logic [1:0][15:0]             data_index,  // 64-bit words: bit 15 parameters, else a place in the ring
    input  logic [1:0][63:0]             data,
    output snn_compute_pkg::row_write_t  row
);

  logic [1:0] held;
  logic [1:0][13:0] held_index;
  logic [1:0][255:0] held_data;
  wire turn = !held[0];  // the port whose row goes next

  for (genvar port = 0; port < 2; port++) begin : ports
    logic [191:0] begun;
    wire completes = data_valid[port] && data_index[port][1:0] == 2'd3;

    always_ff @(posedge clk) begin
      if (data_valid[port]) begun <= {data[port], begun[191:64]};
      if (completes) begin
        held_index[port] <= data_index[port][15:2];
        held_data[port] <= {data[port], begun};
      end
    end

    always_ff @(posedge clk) begin
      if (reset) held[port] <= 1'b0;
      else begin
        assert (!(completes && held[port] && turn != port[0]));  // otherwise: a row was lost
        held[port] <= completes || (held[port] && turn != port[0]);
      end
    end
  end

  wire [13:0] next_index = held_index[turn];

  always_ff @(posedge clk) begin
    row.valid <= !reset && held != 2'b00;
    for (int bank = 0; bank < 8; bank++) begin
      row.bank[bank] <= !reset && held != 2'b00 && !next_index[13] && next_index[2:0] == 3'(bank);
    end
    if (held != 2'b00) begin
      row.parameters <= next_index[13];
      row.index <= next_index[12:0];
      row.data <= held_data[turn];
    end
  end

endmodule
