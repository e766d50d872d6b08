// An AXI read master with two clients.
//
// The client "whole" gets its requests entirely through this port, the client "shared" only the chunks of 128 bytes whose
// address bit 7 equals `parity`; another port serves the rest. Whole requests go first, but no more than four bursts in a
// row while the other client waits. Each word comes back for one cycle (`*_data_valid`, `*_data_index`, `data`), in order
// of issue. A beat with an error response is dropped and reported by a pulse of bus_error. After `stop` no further burst
// begins; `idle` says that memory owes nothing.
module snn_read_port (
    input logic clk,
    input logic reset,
    input logic clear,  // forget what is waiting; what memory owes is still expected
    input logic stop,
    input logic parity,

    input  logic whole_valid,
    input  snn_memory_pkg::fenced_request_t whole_request,
    output logic whole_room,  // for two more requests
    output logic whole_data_valid,
    output logic [15:0] whole_data_index,

    input  logic shared_valid,
    input  snn_memory_pkg::fenced_request_t shared_request,
    output logic shared_room,
    output logic shared_data_valid,
    output logic [15:0] shared_data_index,

    output logic [63:0] data,
    output logic bus_error,
    output logic idle,

    output logic [31:0] axi_araddr,
    output logic [3:0] axi_arlen,
    output logic [2:0] axi_arsize,
    output logic [1:0] axi_arburst,
    output logic [3:0] axi_arcache,
    output logic [2:0] axi_arprot,
    output logic [5:0] axi_arid,
    output logic axi_arvalid,
    input  logic axi_arready,
    input  logic [63:0] axi_rdata,
    input  logic [1:0] axi_rresp,
    input  logic [5:0] axi_rid,
    input  logic axi_rlast,
    input  logic axi_rvalid,
    output logic axi_rready
);

  localparam int QUEUE_DEPTH = 4;
  localparam int TAGS = 16;  // bursts under way
  localparam logic [1:0] MOST_IN_A_ROW = 2'd3;

  // --- requests become bursts ---
  snn_memory_pkg::fenced_request_t whole_next;
  snn_memory_pkg::fenced_request_t shared_next;
  snn_memory_pkg::burst_t whole_burst;
  snn_memory_pkg::burst_t shared_burst;
  logic [$clog2(QUEUE_DEPTH):0] whole_count;
  logic [$clog2(QUEUE_DEPTH):0] shared_count;
  logic whole_next_valid;
  logic whole_next_ready;
  logic shared_next_valid;
  logic shared_next_ready;
  logic whole_burst_valid;
  logic whole_burst_ready;
  logic shared_burst_valid;
  logic shared_burst_ready;
  logic drop;

  assign drop = reset || clear;
  assign whole_room = whole_count <= 3'd2;
  assign shared_room = shared_count <= 3'd2;

  /* verilator lint_off PINCONNECTEMPTY */  // room is asked for by the count
  snn_queue #(
      .WIDTH(snn_memory_pkg::FENCED_REQUEST_BITS),
      .DEPTH(QUEUE_DEPTH)
  ) whole_queue (
      .clk,
      .reset(drop),
      .in_valid(whole_valid),
      .in_ready(),
      .in_data(whole_request),
      .out_valid(whole_next_valid),
      .out_ready(whole_next_ready),
      .out_data(whole_next),
      .count(whole_count)
  );

  snn_queue #(
      .WIDTH(snn_memory_pkg::FENCED_REQUEST_BITS),
      .DEPTH(QUEUE_DEPTH)
  ) shared_queue (
      .clk,
      .reset(drop),
      .in_valid(shared_valid),
      .in_ready(),
      .in_data(shared_request),
      .out_valid(shared_next_valid),
      .out_ready(shared_next_ready),
      .out_data(shared_next),
      .count(shared_count)
  );

  snn_burst_cutter #(
      .ALTERNATE(1'b0)
  ) whole_cutter (
      .clk,
      .reset(drop),
      .parity,
      .request_valid(whole_next_valid),
      .request_ready(whole_next_ready),
      .request(whole_next),
      .burst_valid(whole_burst_valid),
      .burst_ready(whole_burst_ready),
      .burst(whole_burst),
      .burst_is_last()
  );

  snn_burst_cutter #(
      .ALTERNATE(1'b1)
  ) shared_cutter (
      .clk,
      .reset(drop),
      .parity,
      .request_valid(shared_next_valid),
      .request_ready(shared_next_ready),
      .request(shared_next),
      .burst_valid(shared_burst_valid),
      .burst_ready(shared_burst_ready),
      .burst(shared_burst),
      .burst_is_last()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  // --- the address channel ---
  logic [1:0] in_a_row;
  logic whole_wins;
  logic may_issue;
  logic issue;
  logic slice_ready;
  logic tag_ready;
  snn_memory_pkg::burst_t burst;

  assign may_issue = slice_ready && tag_ready && !stop;
  assign whole_wins = whole_burst_valid && !(shared_burst_valid && in_a_row == MOST_IN_A_ROW);
  assign whole_burst_ready = may_issue && whole_wins;
  assign shared_burst_ready = may_issue && !whole_wins;
  assign issue = may_issue && (whole_burst_valid || shared_burst_valid);
  assign burst = whole_wins ? whole_burst : shared_burst;

  always_ff @(posedge clk) begin
    if (drop) in_a_row <= '0;
    else if (issue) begin
      if (!whole_wins) in_a_row <= '0;
      else if (in_a_row != MOST_IN_A_ROW) in_a_row <= in_a_row + 2'd1;
    end
  end

  logic [32:0] address_and_length;

  snn_skid #(
      .WIDTH(33)
  ) address_slice (
      .clk,
      .reset,
      .in_valid(issue),
      .in_ready(slice_ready),
      .in_data({burst.address, burst.last_beat}),
      .out_valid(axi_arvalid),
      .out_ready(axi_arready),
      .out_data(address_and_length)
  );

  assign axi_araddr = {address_and_length[32:4], 3'd0};
  assign axi_arlen = address_and_length[3:0];
  assign axi_arsize = 3'd3;  // 8 bytes
  assign axi_arburst = 2'd1;  // incrementing
  assign axi_arcache = 4'd3;  // bufferable, modifiable
  assign axi_arprot = 3'd0;
  assign axi_arid = 6'd0;  // one ID: answers come in order

  // --- who gets the words that come back ---
  logic tag_valid;
  logic tag_whole;
  logic [15:0] tag_index;
  logic tag_done;
  logic [$clog2(TAGS):0] tag_count;

  snn_queue #(
      .WIDTH(17),
      .DEPTH(TAGS)
  ) tags (
      .clk,
      .reset,
      .in_valid(issue),
      .in_ready(tag_ready),
      .in_data({whole_wins, burst.index}),
      .out_valid(tag_valid),
      .out_ready(tag_done),
      .out_data({tag_whole, tag_index}),
      .count(tag_count)
  );

  // --- the data channel: always ready, because room was there before the address was sent ---
  logic arrived;
  logic [63:0] arrived_data;
  logic arrived_error;
  logic arrived_last;
  logic [3:0] beat;

  assign axi_rready = 1'b1;
  assign tag_done = arrived && arrived_last;
  assign idle = tag_count == '0;

  always_ff @(posedge clk) begin
    arrived_data      <= axi_rdata;
    arrived_error     <= axi_rresp[1];
    arrived_last      <= axi_rlast;
    data              <= arrived_data;
    whole_data_index  <= tag_index + {12'd0, beat};
    shared_data_index <= tag_index + {12'd0, beat};
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      arrived           <= 1'b0;
      beat              <= '0;
      whole_data_valid  <= 1'b0;
      shared_data_valid <= 1'b0;
      bus_error         <= 1'b0;
    end else begin
      arrived           <= axi_rvalid;
      whole_data_valid  <= arrived && tag_valid && tag_whole && !arrived_error && !clear;
      shared_data_valid <= arrived && tag_valid && !tag_whole && !arrived_error && !clear;
      bus_error         <= arrived && arrived_error && !clear;
      if (arrived) beat <= arrived_last ? 4'd0 : beat + 4'd1;
    end
  end

  logic unused;
  assign unused = ^{axi_rid, axi_rresp[0]};

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (!reset) begin
      if (arrived) assert (tag_valid);  // nothing comes that was not asked for
      assert (!(whole_valid && whole_count[$clog2(QUEUE_DEPTH)]) || clear);
      assert (!(shared_valid && shared_count[$clog2(QUEUE_DEPTH)]) || clear);
    end
  end
`endif

endmodule
