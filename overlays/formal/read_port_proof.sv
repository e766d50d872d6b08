// snn_read_port against any memory that answers in order: offers stay until taken, bursts keep the rules of AXI3 and the
// words that were asked for, every word goes to whom it belongs, `stop` stops and `idle` is true.
module read_port_proof #(
    parameter bit BOUNDED = 1'b1  // with what no induction proves
) (
    input logic clk,
    input logic whole_valid,
    input logic shared_valid,
    input logic [28:0] address,
    input logic [15:0] words,
    input logic [15:0] destination,
    input logic clear_input,
    input logic stop_input,
    input logic axi_arready,
    input logic axi_rvalid,
    input logic [1:0] axi_rresp,
    input logic any_parity,
    input logic [16:0] any_page
);
  logic reset = 1'b1;
  logic parity, stop;
  logic [16:0] page;  // of 4,096 words: no request leaves it
  snn_memory_pkg::fenced_request_t request;
  logic whole_room, shared_room, whole_data_valid, shared_data_valid, bus_error, idle;
  logic [15:0] whole_data_index, shared_data_index;
  logic [63:0] data;
  logic [31:0] axi_araddr;
  logic [3:0] axi_arlen, axi_arcache;
  logic [2:0] axi_arsize, axi_arprot;
  logic [1:0] axi_arburst;
  logic [5:0] axi_arid;
  logic axi_arvalid, axi_rready, axi_rlast;

  assign request = '{address: address, words: words, destination: destination};

  snn_read_port dut (
      .clk, .reset, .clear(clear_input), .stop, .parity,
      .whole_valid, .whole_request(request), .whole_room, .whole_data_valid, .whole_data_index,
      .shared_valid, .shared_request(request), .shared_room, .shared_data_valid, .shared_data_index,
      .data, .bus_error, .idle,
      .axi_araddr, .axi_arlen, .axi_arsize, .axi_arburst, .axi_arcache, .axi_arprot, .axi_arid, .axi_arvalid,
      .axi_arready, .axi_rdata(64'd0), .axi_rresp, .axi_rid(6'd0), .axi_rlast, .axi_rvalid, .axi_rready
  );

  // The memory: what it owes, in the order of the addresses.
  logic [3:0] lengths[16];
  logic [3:0] head = '0, tail = '0, beat = '0;
  logic [8:0] owed = '0;  // beats
  wire asked = !reset && axi_arvalid && axi_arready;
  wire answers = !reset && axi_rvalid && axi_rready;
  assign axi_rlast = beat == lengths[head];

  logic waited = 1'b0, stopped = 1'b0, offered = 1'b0;
  logic [35:0] offer;
  wire [28:0] word_address = axi_araddr[31:3];
  wire [28:0] last_word = word_address + {25'd0, axi_arlen};

  // Words that came and went: those of errors are dropped, and a pulse each.
  logic [2:0] given = '0;

  always_ff @(posedge clk) begin
    reset <= 1'b0;
    if (reset) begin
      parity <= any_parity;
      page <= any_page;
      stop <= 1'b0;
    end else stop <= stop || stop_input;
    assume (!axi_rvalid || owed != 0);
    assume (!whole_valid || whole_room);
    assume (!shared_valid || shared_room);
    assume (words != 0 && words < 16'd40);
    assume (address[28:12] == page && address[11:0] < 12'd4000);

    if (asked) begin
      lengths[tail] <= axi_arlen;
      tail <= tail + 1'b1;
    end
    if (answers) beat <= axi_rlast ? 4'd0 : beat + 1'b1;
    if (answers && axi_rlast) head <= head + 1'b1;
    owed <= owed + (asked ? {5'd0, axi_arlen} + 9'd1 : 9'd0) - {8'd0, answers};
    waited <= !reset && axi_arvalid && !axi_arready;
    offer <= {axi_araddr, axi_arlen};
    stopped <= !reset && stop;
    offered <= axi_arvalid;
    given <= {given[1:0], !reset && answers};

    if (!reset) begin
      if (waited) assert (axi_arvalid && offer == {axi_araddr, axi_arlen});
      if (axi_arvalid) begin
        assert (axi_arsize == 3'd3 && axi_arburst == 2'd1 && axi_arid == 6'd0 && axi_araddr[2:0] == 3'd0);
      end
      if (stopped && !offered) assert (!axi_arvalid);
      assert (axi_rready);
      assert ({1'b0, whole_data_valid} + {1'b0, shared_data_valid} + {1'b0, bus_error} <= 2'd1);
    end
    if (BOUNDED && !reset) begin
      if (axi_arvalid) begin
        assert (axi_araddr[31:7] == 25'(last_word >> 4));  // inside 128 bytes, and so inside 4 KB
        assert (word_address[28:12] == page && last_word[28:12] == page);
      end
      if (idle) assert (owed == 0 && !axi_arvalid);
      assert (!(whole_data_valid || shared_data_valid || bus_error) || given[1]);
      assert (owed <= 9'd256);
    end
    cover (!reset && whole_data_valid && whole_data_index != destination);
    cover (!reset && stop && !idle && given[1]);
    cover (!reset && bus_error);
  end
endmodule
