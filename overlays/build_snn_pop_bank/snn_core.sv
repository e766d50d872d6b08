// The core: snn_memory (registers, program, memory) and snn_compute (weights and spikes to results).
//
// s_axi_* is the register slave, m0_axi_* and m1_axi_* are AXI3 masters for the HP ports of a Zynq. The core is idle, and
// owes memory nothing, from two cycles after resetn on.
module snn_core #(
    parameter logic [31:0] BUILD_HASH = 32'd0  // first 32 bits of the hash of these sources
) (
    input  logic clk,
    input  logic resetn,
    /* verilator lint_off SYMRSVDWORD */  // the name that Vitis HLS gives to it
    output logic interrupt,
    /* verilator lint_on SYMRSVDWORD */

    input  logic [8:0] s_axi_awaddr,
    input  logic s_axi_awvalid,
    output logic s_axi_awready,
    input  logic [31:0] s_axi_wdata,
    input  logic [3:0] s_axi_wstrb,
    input  logic s_axi_wvalid,
    output logic s_axi_wready,
    output logic [1:0] s_axi_bresp,
    output logic s_axi_bvalid,
    input  logic s_axi_bready,
    input  logic [8:0] s_axi_araddr,
    input  logic s_axi_arvalid,
    output logic s_axi_arready,
    output logic [31:0] s_axi_rdata,
    output logic [1:0] s_axi_rresp,
    output logic s_axi_rvalid,
    input  logic s_axi_rready,

    output logic [31:0] m0_axi_araddr,
    output logic [3:0] m0_axi_arlen,
    output logic [2:0] m0_axi_arsize,
    output logic [1:0] m0_axi_arburst,
    output logic [3:0] m0_axi_arcache,
    output logic [2:0] m0_axi_arprot,
    output logic [5:0] m0_axi_arid,
    output logic m0_axi_arvalid,
    input  logic m0_axi_arready,
    input  logic [63:0] m0_axi_rdata,
    input  logic [1:0] m0_axi_rresp,
    input  logic [5:0] m0_axi_rid,
    input  logic m0_axi_rlast,
    input  logic m0_axi_rvalid,
    output logic m0_axi_rready,
    output logic [31:0] m0_axi_awaddr,
    output logic [3:0] m0_axi_awlen,
    output logic [2:0] m0_axi_awsize,
    output logic [1:0] m0_axi_awburst,
    output logic [3:0] m0_axi_awcache,
    output logic [2:0] m0_axi_awprot,
    output logic [5:0] m0_axi_awid,
    output logic m0_axi_awvalid,
    input  logic m0_axi_awready,
    output logic [63:0] m0_axi_wdata,
    output logic [7:0] m0_axi_wstrb,
    output logic [5:0] m0_axi_wid,
    output logic m0_axi_wlast,
    output logic m0_axi_wvalid,
    input  logic m0_axi_wready,
    input  logic [1:0] m0_axi_bresp,
    input  logic [5:0] m0_axi_bid,
    input  logic m0_axi_bvalid,
    output logic m0_axi_bready,

    output logic [31:0] m1_axi_araddr,
    output logic [3:0] m1_axi_arlen,
    output logic [2:0] m1_axi_arsize,
    output logic [1:0] m1_axi_arburst,
    output logic [3:0] m1_axi_arcache,
    output logic [2:0] m1_axi_arprot,
    output logic [5:0] m1_axi_arid,
    output logic m1_axi_arvalid,
    input  logic m1_axi_arready,
    input  logic [63:0] m1_axi_rdata,
    input  logic [1:0] m1_axi_rresp,
    input  logic [5:0] m1_axi_rid,
    input  logic m1_axi_rlast,
    input  logic m1_axi_rvalid,
    output logic m1_axi_rready
);

  logic reset;
  always_ff @(posedge clk) reset <= !resetn;

  logic compute_reset;
  logic layer_valid;
  logic layer_ready;
  snn_types_pkg::layer_t layer;
  logic layer_done;
  logic [63:0] layer_additions;
  logic [63:0] layer_spikes;
  logic busy_computing;
  logic [9:0] tap_address;
  snn_types_pkg::tap_t tap;
  logic weight_request_valid;
  logic weight_request_ready;
  snn_types_pkg::read_request_t weight_request;
  logic [1:0] weight_data_valid;
  logic [1:0][15:0] weight_data_index;
  logic [1:0][63:0] weight_data;
  logic map_request_valid;
  logic map_request_ready;
  snn_types_pkg::read_request_t map_request;
  logic map_data_valid;
  logic [15:0] map_data_index;
  logic [63:0] map_data;
  logic write_request_valid;
  logic write_request_ready;
  snn_types_pkg::write_request_t write_request;
  logic write_data_valid;
  logic write_data_ready;
  logic [63:0] write_data;
  logic writes_idle;

  snn_memory #(
      .BUILD_HASH(BUILD_HASH)
  ) memory (
      .clk,
      .reset,
      .interrupt_line(interrupt),
      .compute_reset,
      .layer_valid,
      .layer_ready,
      .layer,
      .layer_done,
      .layer_additions,
      .layer_spikes,
      .busy_computing,
      .tap_address,
      .tap,
      .weight_request_valid,
      .weight_request_ready,
      .weight_request,
      .weight_data_valid,
      .weight_data_index,
      .weight_data,
      .map_request_valid,
      .map_request_ready,
      .map_request,
      .map_data_valid,
      .map_data_index,
      .map_data,
      .write_request_valid,
      .write_request_ready,
      .write_request,
      .write_data_valid,
      .write_data_ready,
      .write_data,
      .writes_idle,
      .s_axi_awaddr,
      .s_axi_awvalid,
      .s_axi_awready,
      .s_axi_wdata,
      .s_axi_wstrb,
      .s_axi_wvalid,
      .s_axi_wready,
      .s_axi_bresp,
      .s_axi_bvalid,
      .s_axi_bready,
      .s_axi_araddr,
      .s_axi_arvalid,
      .s_axi_arready,
      .s_axi_rdata,
      .s_axi_rresp,
      .s_axi_rvalid,
      .s_axi_rready,
      .m0_axi_araddr,
      .m0_axi_arlen,
      .m0_axi_arsize,
      .m0_axi_arburst,
      .m0_axi_arcache,
      .m0_axi_arprot,
      .m0_axi_arid,
      .m0_axi_arvalid,
      .m0_axi_arready,
      .m0_axi_rdata,
      .m0_axi_rresp,
      .m0_axi_rid,
      .m0_axi_rlast,
      .m0_axi_rvalid,
      .m0_axi_rready,
      .m0_axi_awaddr,
      .m0_axi_awlen,
      .m0_axi_awsize,
      .m0_axi_awburst,
      .m0_axi_awcache,
      .m0_axi_awprot,
      .m0_axi_awid,
      .m0_axi_awvalid,
      .m0_axi_awready,
      .m0_axi_wdata,
      .m0_axi_wstrb,
      .m0_axi_wid,
      .m0_axi_wlast,
      .m0_axi_wvalid,
      .m0_axi_wready,
      .m0_axi_bresp,
      .m0_axi_bid,
      .m0_axi_bvalid,
      .m0_axi_bready,
      .m1_axi_araddr,
      .m1_axi_arlen,
      .m1_axi_arsize,
      .m1_axi_arburst,
      .m1_axi_arcache,
      .m1_axi_arprot,
      .m1_axi_arid,
      .m1_axi_arvalid,
      .m1_axi_arready,
      .m1_axi_rdata,
      .m1_axi_rresp,
      .m1_axi_rid,
      .m1_axi_rlast,
      .m1_axi_rvalid,
      .m1_axi_rready
  );

  snn_compute compute (
      .clk,
      .reset(compute_reset),
      .layer_valid,
      .layer_ready,
      .layer,
      .layer_done,
      .layer_additions,
      .layer_spikes,
      .busy_computing,
      .tap_address,
      .tap,
      .weight_request_valid,
      .weight_request_ready,
      .weight_request,
      .weight_data_valid,
      .weight_data_index,
      .weight_data,
      .map_request_valid,
      .map_request_ready,
      .map_request,
      .map_data_valid,
      .map_data_index,
      .map_data,
      .write_request_valid,
      .write_request_ready,
      .write_request,
      .write_data_valid,
      .write_data_ready,
      .write_data,
      .writes_idle
  );

endmodule
