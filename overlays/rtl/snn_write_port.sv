// The AXI write master.
//
// A request's words are collected first: the address of a burst goes out only when all of its data lies in the buffer, so
// a burst never waits for the core. `request_valid` is a pulse (see `room`); `data` has valid and ready. A response with
// an error is a pulse of bus_error. `idle`: memory owes no response; `empty`: and nothing is waiting here either.
// After `stop` no further burst begins; what is owed goes out with all strobes off.
module snn_write_port (
    input logic clk,
    input logic reset,
    input logic clear,  // forget what is waiting
    input logic stop,

    input  logic request_valid,
    input  snn_memory_pkg::fenced_request_t request,
    output logic room,  // for two more requests
    output logic request_done,  // the last burst of a request was issued in the cycle before

    input  logic data_valid,
    output logic data_ready,
    input  logic [63:0] data,

    output logic bus_error,
    output logic idle,

    output logic [31:0] axi_awaddr,
    output logic [3:0] axi_awlen,
    output logic [2:0] axi_awsize,
    output logic [1:0] axi_awburst,
    output logic [3:0] axi_awcache,
    output logic [2:0] axi_awprot,
    output logic [5:0] axi_awid,
    output logic axi_awvalid,
    input  logic axi_awready,
    output logic [63:0] axi_wdata,
    output logic [7:0] axi_wstrb,
    output logic [5:0] axi_wid,
    output logic axi_wlast,
    output logic axi_wvalid,
    input  logic axi_wready,
    input  logic [1:0] axi_bresp,
    input  logic [5:0] axi_bid,
    input  logic axi_bvalid,
    output logic axi_bready
);

  localparam int QUEUE_DEPTH = 4;
  localparam int BUFFER_BITS = 10;
  localparam int UNDER_WAY_BITS = 4;

  logic drop;
  assign drop = reset || clear;

  // --- requests become bursts ---
  snn_memory_pkg::fenced_request_t next;
  snn_memory_pkg::burst_t burst;
  logic [$clog2(QUEUE_DEPTH):0] queue_count;
  logic next_valid;
  logic next_ready;
  logic burst_valid;
  logic burst_is_last;
  logic issue;

  assign room = queue_count <= 3'd2;

  /* verilator lint_off PINCONNECTEMPTY */  // room is asked for by the count
  snn_queue #(
      .WIDTH(snn_memory_pkg::FENCED_REQUEST_BITS),
      .DEPTH(QUEUE_DEPTH)
  ) queue (
      .clk,
      .reset(drop),
      .in_valid(request_valid),
      .in_ready(),
      .in_data(request),
      .out_valid(next_valid),
      .out_ready(next_ready),
      .out_data(next),
      .count(queue_count)
  );
  /* verilator lint_on PINCONNECTEMPTY */

  snn_burst_cutter #(
      .ALTERNATE(1'b0)
  ) cutter (
      .clk,
      .reset(drop),
      .parity(1'b0),
      .request_valid(next_valid),
      .request_ready(next_ready),
      .request(next),
      .burst_valid,
      .burst_ready(issue),
      .burst,
      .burst_is_last
  );

  // --- the words ---
  logic [31:0] low_word[1 << BUFFER_BITS];
  logic [31:0] high_word[1 << BUFFER_BITS];
  logic [BUFFER_BITS-1:0] write_place;
  logic [BUFFER_BITS-1:0] read_place;
  logic [BUFFER_BITS:0] free_words;
  logic [BUFFER_BITS:0] waiting_words;  // in the buffer, and not part of a burst that has been issued
  logic put;
  logic put_late;
  logic [63:0] put_data;
  logic fetch;
  logic moves;
  logic [63:0] fetched;

  assign data_ready = free_words[BUFFER_BITS:1] != '0;  // one word may still be on its way in
  assign put = data_valid && data_ready;

  always_ff @(posedge clk) begin
    put_data <= data;
    if (put_late) begin
      low_word[write_place]  <= put_data[31:0];
      high_word[write_place] <= put_data[63:32];
    end
    if (moves) fetched <= {high_word[read_place], low_word[read_place]};
  end

  always_ff @(posedge clk) begin
    request_done <= issue && burst_is_last && !drop;
    if (drop) begin
      put_late      <= 1'b0;
      write_place   <= '0;
      read_place    <= '0;
      free_words    <= {1'b1, {BUFFER_BITS{1'b0}}};
      waiting_words <= '0;
    end else begin
      put_late <= put;
      if (put_late) write_place <= write_place + 1'b1;
      if (fetch) read_place <= read_place + 1'b1;
      free_words <= free_words - {{BUFFER_BITS{1'b0}}, put} + {{BUFFER_BITS{1'b0}}, fetch};
      waiting_words <= waiting_words + {{BUFFER_BITS{1'b0}}, put_late} -
          (issue ? {{(BUFFER_BITS - 3) {1'b0}}, burst.last_beat} + 1'b1 : '0);
    end
  end

  // --- the address channel ---
  logic enough;
  logic slice_ready;
  logic lengths_ready;
  logic [UNDER_WAY_BITS-1:0] under_way;
  logic [32:0] address_and_length;

  assign enough = waiting_words > {{(BUFFER_BITS - 3) {1'b0}}, burst.last_beat};
  assign issue = burst_valid && enough && slice_ready && lengths_ready && under_way != '1 && !stop;

  snn_skid #(
      .WIDTH(33)
  ) address_slice (
      .clk,
      .reset,
      .in_valid(issue),
      .in_ready(slice_ready),
      .in_data({burst.address, burst.last_beat}),
      .out_valid(axi_awvalid),
      .out_ready(axi_awready),
      .out_data(address_and_length)
  );

  assign axi_awaddr = {address_and_length[32:4], 3'd0};
  assign axi_awlen = address_and_length[3:0];
  assign axi_awsize = 3'd3;
  assign axi_awburst = 2'd1;
  assign axi_awcache = 4'd3;
  assign axi_awprot = 3'd0;
  assign axi_awid = 6'd0;
  assign axi_wid = 6'd0;

  // --- the data channel: three registers in a row (memory, its output, slice), which move together ---
  logic length_valid;
  logic length_done;
  logic [3:0] length;
  logic [3:0] beat;
  logic fetched_valid;
  logic fetched_last;
  logic ready_valid;
  logic ready_last;
  logic [63:0] ready_data;

  /* verilator lint_off PINCONNECTEMPTY */  // nobody asks how many lengths wait
  snn_queue #(
      .WIDTH(4),
      .DEPTH(4)
  ) lengths (
      .clk,
      .reset,
      .in_valid(issue),
      .in_ready(lengths_ready),
      .in_data(burst.last_beat),
      .out_valid(length_valid),
      .out_ready(length_done),
      .out_data(length),
      .count()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  assign fetch = length_valid && moves;
  assign length_done = fetch && beat == length;

  always_ff @(posedge clk) begin
    if (reset) begin
      beat          <= '0;
      fetched_valid <= 1'b0;
      ready_valid   <= 1'b0;
    end else if (moves) begin
      fetched_valid <= length_valid;
      ready_valid   <= fetched_valid;
      if (length_valid) beat <= length_done ? 4'd0 : beat + 4'd1;
    end
  end

  always_ff @(posedge clk) begin
    if (moves) begin
      fetched_last <= beat == length;
      ready_last   <= fetched_last;
      ready_data   <= fetched;
    end
  end

  logic strobe;

  snn_skid #(
      .WIDTH(66)
  ) data_slice (
      .clk,
      .reset,
      .in_valid(ready_valid),
      .in_ready(moves),
      .in_data({ready_data, !stop, ready_last}),
      .out_valid(axi_wvalid),
      .out_ready(axi_wready),
      .out_data({axi_wdata, strobe, axi_wlast})
  );

  assign axi_wstrb = {8{strobe}};

  // --- the responses ---
  logic answered;

  assign axi_bready = 1'b1;
  assign idle = under_way == '0;

  always_ff @(posedge clk) begin
    if (reset) begin
      answered  <= 1'b0;
      bus_error <= 1'b0;
      under_way <= '0;
    end else begin
      answered  <= axi_bvalid;
      bus_error <= axi_bvalid && axi_bresp[1];
      if (issue && !answered) under_way <= under_way + 1'b1;
      if (!issue && answered) under_way <= under_way - 1'b1;
    end
  end

  logic unused;
  assign unused = ^{axi_bid, axi_bresp[0], burst.index};

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (!reset) begin
      if (answered) assert (under_way != '0);  // nothing is answered that was not asked for
      assert (!(request_valid && queue_count[$clog2(QUEUE_DEPTH)]) || clear);
    end
  end
`endif

endmodule
