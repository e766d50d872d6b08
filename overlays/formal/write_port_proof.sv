// snn_write_port against any memory: offers stay until taken, bursts keep the rules of AXI3 and the words that were asked
// for, data come in the order in which they were put in, all of a burst and no more, and `stop` writes nothing.
module write_port_proof #(
    parameter bit BOUNDED = 1'b1  // with what no induction proves
) (
    input logic clk,
    input logic request_valid,
    input logic [28:0] address,
    input logic [15:0] words,
    input logic data_valid,
    input logic [63:0] data,
    input logic stop_input,
    input logic axi_awready,
    input logic axi_wready,
    input logic axi_bvalid,
    input logic [1:0] axi_bresp,
    input logic [16:0] any_page,
    input logic [3:0] any_number,
    input logic any_bit
);
  logic reset = 1'b1;
  logic stop;
  logic [16:0] page;  // of 4,096 words: no request leaves it
  snn_memory_pkg::fenced_request_t request;
  logic room, request_done, data_ready, bus_error, idle;
  logic [31:0] axi_awaddr;
  logic [3:0] axi_awlen, axi_awcache;
  logic [2:0] axi_awsize, axi_awprot;
  logic [1:0] axi_awburst;
  logic [5:0] axi_awid, axi_wid;
  logic axi_awvalid, axi_wvalid, axi_wlast, axi_bready;
  logic [63:0] axi_wdata;
  logic [7:0] axi_wstrb;

  assign request = '{address: address, words: words, destination: 16'd0};

  snn_write_port dut (
      .clk, .reset, .clear(1'b0), .stop, .request_valid, .request, .room, .request_done, .data_valid, .data_ready, .data,
      .bus_error, .idle,
      .axi_awaddr, .axi_awlen, .axi_awsize, .axi_awburst, .axi_awcache, .axi_awprot, .axi_awid, .axi_awvalid, .axi_awready,
      .axi_wdata, .axi_wstrb, .axi_wid, .axi_wlast, .axi_wvalid, .axi_wready, .axi_bresp, .axi_bid(6'd0), .axi_bvalid,
      .axi_bready
  );

  wire [28:0] word_address = axi_awaddr[31:3];
  wire [28:0] last_word = word_address + {25'd0, axi_awlen};
  wire asked = axi_awvalid && axi_awready;
  wire moved = axi_wvalid && axi_wready;

  // Lengths in order; addresses and data may run ahead of each other.
  logic [3:0] lengths[16];
  logic [3:0] asked_bursts = '0, moved_bursts = '0, answered = '0, beat = '0;
  logic [3:0] puts = '0, moves = '0;
  logic [3:0] chosen;
  logic value;

  logic address_waited = 1'b0, data_waited = 1'b0, stopped = 1'b0, offered = 1'b0;
  logic [35:0] address_offer;
  logic [72:0] data_offer;

  always_ff @(posedge clk) begin
    reset <= 1'b0;
    if (reset) begin
      page <= any_page;
      chosen <= any_number;
      value <= any_bit;
      stop <= 1'b0;
    end else stop <= stop || stop_input;
    assume (!request_valid || room);
    assume (words != 0 && words < 16'd20);
    assume (address[28:12] == page && address[11:0] < 12'd4000);
    // A response comes after the address and the last word of its burst.
    assume (!axi_bvalid || (answered != asked_bursts && answered != moved_bursts));
    if (data_valid && data_ready && puts == chosen) assume (data[0] == value);

    if (!reset) begin
      if (asked) begin
        lengths[asked_bursts] <= axi_awlen;
        asked_bursts <= asked_bursts + 1'b1;
      end
      if (moved) begin
        beat <= axi_wlast ? 4'd0 : beat + 1'b1;
        moved_bursts <= moved_bursts + {3'd0, axi_wlast};
        moves <= moves + 1'b1;
      end
      puts <= puts + {3'd0, data_valid && data_ready};
      answered <= answered + {3'd0, axi_bvalid};
    end
    address_waited <= !reset && axi_awvalid && !axi_awready;
    data_waited <= !reset && axi_wvalid && !axi_wready;
    address_offer <= {axi_awaddr, axi_awlen};
    data_offer <= {axi_wdata, axi_wstrb, axi_wlast};
    stopped <= !reset && stop;
    offered <= axi_awvalid;

    if (!reset) begin
      if (address_waited) assert (axi_awvalid && address_offer == {axi_awaddr, axi_awlen});
      if (data_waited) assert (axi_wvalid && data_offer == {axi_wdata, axi_wstrb, axi_wlast});
      if (axi_awvalid) begin
        assert (axi_awsize == 3'd3 && axi_awburst == 2'd1 && axi_awid == 6'd0 && axi_awaddr[2:0] == 3'd0);
      end
      if (stopped && !offered) assert (!axi_awvalid);
      if (axi_wvalid) assert (axi_wid == 6'd0 && (axi_wstrb == 8'hff || axi_wstrb == 8'h00));
      assert (axi_bready);
    end
    if (BOUNDED && !reset) begin
      if (axi_awvalid) begin
        assert (axi_awaddr[31:7] == 25'(last_word >> 4));
        assert (word_address[28:12] == page && last_word[28:12] == page);
      end
      if (axi_wvalid) begin
        assert (axi_wstrb == 8'hff || stop);
        if (moved_bursts != asked_bursts) assert (axi_wlast == (beat == lengths[moved_bursts]));
        // At most the burst whose address is on offer is ahead of the addresses taken.
        else assert (axi_awvalid && axi_wlast == (beat == axi_awlen));
        if (moves == chosen && puts != moves) assert (axi_wdata[0] == value || stop);
      end
      assert (puts - moves <= 4'd15);
      if (idle) assert (!axi_awvalid && !axi_wvalid && answered == asked_bursts && answered == moved_bursts);
    end
    cover (!reset && moved && axi_wlast && moves == 4'd2);
    cover (!reset && stop && axi_wvalid && axi_wstrb == 8'h00);
    cover (!reset && bus_error);
  end
endmodule
