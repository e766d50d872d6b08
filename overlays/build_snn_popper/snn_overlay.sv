// The whole programmable logic of the overlay for the xc7z020: processing system, register bridge, core.
//
//     GP0 (AXI3) ──► axi_lite_bridge ──► registers of snn_core at 0x43C0_0000
//     HP0 ◄── port 0 of snn_core (reads and writes), HP1 ◄── port 1 (reads)
//     FCLK0 clocks everything, FCLKRESETN[0] resets it, IRQ_F2P[0] is the core's interrupt
//
// Every channel between the PS7 and the rest passes an axi_slice. The design has no pins: those of the processing system are
// its own.
module snn_overlay #(
    parameter logic [31:0] BUILD_HASH = 32'd0
) ();

  // ---- clock and reset

  wire [3:0] fclk;
  wire [3:0] fclk_resetn;
  wire clk;
  BUFG clock_buffer (
      .I(fclk[0]),
      .O(clk)
  );

  // Asserted at once, released in step with the clock.
  (* ASYNC_REG = "TRUE" *)logic [2:0] reset_chain = 3'b000;
  always_ff @(posedge clk or negedge fclk_resetn[0]) begin
    if (!fclk_resetn[0]) reset_chain <= 3'b000;
    else reset_chain <= {reset_chain[1:0], 1'b1};
  end
  wire resetn = reset_chain[2];

  // ---- channels as the PS7 has them (ps_), and behind their slices

  typedef struct packed {
    logic [31:0] addr;
    logic [3:0]  len;
    logic [1:0]  size;
    logic [1:0]  burst;
    logic [11:0] id;
  } gp_address_t;
  typedef struct packed {
    logic [31:0] data;
    logic [3:0]  strb;
  } gp_write_t;
  typedef struct packed {
    logic [31:0] data;
    logic [1:0]  resp;
    logic [11:0] id;
    logic        last;
  } gp_read_t;
  typedef struct packed {
    logic [1:0]  resp;
    logic [11:0] id;
  } gp_response_t;
  typedef struct packed {
    logic [31:0] addr;
    logic [3:0]  len;
    logic [1:0]  size;
    logic [1:0]  burst;
    logic [3:0]  cache;
    logic [2:0]  prot;
    logic [5:0]  id;
  } hp_address_t;
  typedef struct packed {
    logic [63:0] data;
    logic [7:0]  strb;
    logic [5:0]  id;
    logic        last;
  } hp_write_t;
  typedef struct packed {
    logic [63:0] data;
    logic [1:0]  resp;
    logic [5:0]  id;
    logic        last;
  } hp_read_t;
  typedef struct packed {
    logic [1:0] resp;
    logic [5:0] id;
  } hp_response_t;

  gp_address_t ps_gp_ar, gp_ar, ps_gp_aw, gp_aw;
  gp_write_t ps_gp_w, gp_w;
  gp_read_t ps_gp_r, gp_r;
  gp_response_t ps_gp_b, gp_b;
  wire ps_gp_ar_valid, ps_gp_ar_ready, gp_ar_valid, gp_ar_ready;
  wire ps_gp_aw_valid, ps_gp_aw_ready, gp_aw_valid, gp_aw_ready;
  wire ps_gp_w_valid, ps_gp_w_ready, gp_w_valid, gp_w_ready;
  wire ps_gp_r_valid, ps_gp_r_ready, gp_r_valid, gp_r_ready;
  wire ps_gp_b_valid, ps_gp_b_ready, gp_b_valid, gp_b_ready;

  hp_address_t ps_hp0_ar, hp0_ar, ps_hp0_aw, hp0_aw, ps_hp1_ar, hp1_ar;
  hp_write_t ps_hp0_w, hp0_w;
  hp_read_t ps_hp0_r, hp0_r, ps_hp1_r, hp1_r;
  hp_response_t ps_hp0_b, hp0_b;
  wire ps_hp0_ar_valid, ps_hp0_ar_ready, hp0_ar_valid, hp0_ar_ready;
  wire ps_hp0_aw_valid, ps_hp0_aw_ready, hp0_aw_valid, hp0_aw_ready;
  wire ps_hp0_w_valid, ps_hp0_w_ready, hp0_w_valid, hp0_w_ready;
  wire ps_hp0_r_valid, ps_hp0_r_ready, hp0_r_valid, hp0_r_ready;
  wire ps_hp0_b_valid, ps_hp0_b_ready, hp0_b_valid, hp0_b_ready;
  wire ps_hp1_ar_valid, ps_hp1_ar_ready, hp1_ar_valid, hp1_ar_ready;
  wire ps_hp1_r_valid, ps_hp1_r_ready, hp1_r_valid, hp1_r_ready;

  axi_slice #(
      .WIDTH($bits(gp_address_t))
  ) gp_ar_slice (
      .clk,
      .resetn,
      .in_valid(ps_gp_ar_valid),
      .in_ready(ps_gp_ar_ready),
      .in_data(ps_gp_ar),
      .out_valid(gp_ar_valid),
      .out_ready(gp_ar_ready),
      .out_data(gp_ar)
  );
  axi_slice #(
      .WIDTH($bits(gp_address_t))
  ) gp_aw_slice (
      .clk,
      .resetn,
      .in_valid(ps_gp_aw_valid),
      .in_ready(ps_gp_aw_ready),
      .in_data(ps_gp_aw),
      .out_valid(gp_aw_valid),
      .out_ready(gp_aw_ready),
      .out_data(gp_aw)
  );
  axi_slice #(
      .WIDTH($bits(gp_write_t))
  ) gp_w_slice (
      .clk,
      .resetn,
      .in_valid(ps_gp_w_valid),
      .in_ready(ps_gp_w_ready),
      .in_data(ps_gp_w),
      .out_valid(gp_w_valid),
      .out_ready(gp_w_ready),
      .out_data(gp_w)
  );
  axi_slice #(
      .WIDTH($bits(gp_read_t))
  ) gp_r_slice (
      .clk,
      .resetn,
      .in_valid(gp_r_valid),
      .in_ready(gp_r_ready),
      .in_data(gp_r),
      .out_valid(ps_gp_r_valid),
      .out_ready(ps_gp_r_ready),
      .out_data(ps_gp_r)
  );
  axi_slice #(
      .WIDTH($bits(gp_response_t))
  ) gp_b_slice (
      .clk,
      .resetn,
      .in_valid(gp_b_valid),
      .in_ready(gp_b_ready),
      .in_data(gp_b),
      .out_valid(ps_gp_b_valid),
      .out_ready(ps_gp_b_ready),
      .out_data(ps_gp_b)
  );
  axi_slice #(
      .WIDTH($bits(hp_address_t))
  ) hp0_ar_slice (
      .clk,
      .resetn,
      .in_valid(hp0_ar_valid),
      .in_ready(hp0_ar_ready),
      .in_data(hp0_ar),
      .out_valid(ps_hp0_ar_valid),
      .out_ready(ps_hp0_ar_ready),
      .out_data(ps_hp0_ar)
  );
  axi_slice #(
      .WIDTH($bits(hp_address_t))
  ) hp0_aw_slice (
      .clk,
      .resetn,
      .in_valid(hp0_aw_valid),
      .in_ready(hp0_aw_ready),
      .in_data(hp0_aw),
      .out_valid(ps_hp0_aw_valid),
      .out_ready(ps_hp0_aw_ready),
      .out_data(ps_hp0_aw)
  );
  axi_slice #(
      .WIDTH($bits(hp_write_t))
  ) hp0_w_slice (
      .clk,
      .resetn,
      .in_valid(hp0_w_valid),
      .in_ready(hp0_w_ready),
      .in_data(hp0_w),
      .out_valid(ps_hp0_w_valid),
      .out_ready(ps_hp0_w_ready),
      .out_data(ps_hp0_w)
  );
  axi_slice #(
      .WIDTH($bits(hp_read_t))
  ) hp0_r_slice (
      .clk,
      .resetn,
      .in_valid(ps_hp0_r_valid),
      .in_ready(ps_hp0_r_ready),
      .in_data(ps_hp0_r),
      .out_valid(hp0_r_valid),
      .out_ready(hp0_r_ready),
      .out_data(hp0_r)
  );
  axi_slice #(
      .WIDTH($bits(hp_response_t))
  ) hp0_b_slice (
      .clk,
      .resetn,
      .in_valid(ps_hp0_b_valid),
      .in_ready(ps_hp0_b_ready),
      .in_data(ps_hp0_b),
      .out_valid(hp0_b_valid),
      .out_ready(hp0_b_ready),
      .out_data(hp0_b)
  );
  axi_slice #(
      .WIDTH($bits(hp_address_t))
  ) hp1_ar_slice (
      .clk,
      .resetn,
      .in_valid(hp1_ar_valid),
      .in_ready(hp1_ar_ready),
      .in_data(hp1_ar),
      .out_valid(ps_hp1_ar_valid),
      .out_ready(ps_hp1_ar_ready),
      .out_data(ps_hp1_ar)
  );
  axi_slice #(
      .WIDTH($bits(hp_read_t))
  ) hp1_r_slice (
      .clk,
      .resetn,
      .in_valid(ps_hp1_r_valid),
      .in_ready(ps_hp1_r_ready),
      .in_data(ps_hp1_r),
      .out_valid(hp1_r_valid),
      .out_ready(hp1_r_ready),
      .out_data(hp1_r)
  );

  // ---- registers

  wire [8:0] lite_araddr, lite_awaddr;
  wire [31:0] lite_rdata, lite_wdata;
  wire [3:0] lite_wstrb;
  wire [1:0] lite_rresp, lite_bresp;
  wire lite_arvalid, lite_arready, lite_rvalid, lite_rready, lite_awvalid, lite_awready, lite_wvalid, lite_wready;
  wire lite_bvalid, lite_bready;

  axi_lite_bridge bridge (
      .clk,
      .resetn,
      .gp_araddr(gp_ar.addr),
      .gp_arlen(gp_ar.len),
      .gp_arsize(gp_ar.size),
      .gp_arburst(gp_ar.burst),
      .gp_arid(gp_ar.id),
      .gp_arvalid(gp_ar_valid),
      .gp_arready(gp_ar_ready),
      .gp_awaddr(gp_aw.addr),
      .gp_awlen(gp_aw.len),
      .gp_awsize(gp_aw.size),
      .gp_awburst(gp_aw.burst),
      .gp_awid(gp_aw.id),
      .gp_awvalid(gp_aw_valid),
      .gp_awready(gp_aw_ready),
      .gp_wdata(gp_w.data),
      .gp_wstrb(gp_w.strb),
      .gp_wvalid(gp_w_valid),
      .gp_wready(gp_w_ready),
      .gp_rdata(gp_r.data),
      .gp_rresp(gp_r.resp),
      .gp_rid(gp_r.id),
      .gp_rlast(gp_r.last),
      .gp_rvalid(gp_r_valid),
      .gp_rready(gp_r_ready),
      .gp_bresp(gp_b.resp),
      .gp_bid(gp_b.id),
      .gp_bvalid(gp_b_valid),
      .gp_bready(gp_b_ready),
      .lite_araddr,
      .lite_arvalid,
      .lite_arready,
      .lite_rdata,
      .lite_rresp,
      .lite_rvalid,
      .lite_rready,
      .lite_awaddr,
      .lite_awvalid,
      .lite_awready,
      .lite_wdata,
      .lite_wstrb,
      .lite_wvalid,
      .lite_wready,
      .lite_bresp,
      .lite_bvalid,
      .lite_bready
  );

  // ---- the core

  wire [2:0] m0_axi_arsize, m0_axi_awsize, m1_axi_arsize;  // the top bit is 0: a beat is 8 bytes, and the PS7 has 2 bits
  assign hp0_ar.size = m0_axi_arsize[1:0];
  assign hp0_aw.size = m0_axi_awsize[1:0];
  assign hp1_ar.size = m1_axi_arsize[1:0];
  wire interrupt;

  snn_core #(
      .BUILD_HASH(BUILD_HASH)
  ) core (
      .clk,
      .resetn,
      .interrupt,
      .s_axi_araddr(lite_araddr),
      .s_axi_arvalid(lite_arvalid),
      .s_axi_arready(lite_arready),
      .s_axi_rdata(lite_rdata),
      .s_axi_rresp(lite_rresp),
      .s_axi_rvalid(lite_rvalid),
      .s_axi_rready(lite_rready),
      .s_axi_awaddr(lite_awaddr),
      .s_axi_awvalid(lite_awvalid),
      .s_axi_awready(lite_awready),
      .s_axi_wdata(lite_wdata),
      .s_axi_wstrb(lite_wstrb),
      .s_axi_wvalid(lite_wvalid),
      .s_axi_wready(lite_wready),
      .s_axi_bresp(lite_bresp),
      .s_axi_bvalid(lite_bvalid),
      .s_axi_bready(lite_bready),
      .m0_axi_araddr(hp0_ar.addr),
      .m0_axi_arlen(hp0_ar.len),
      .m0_axi_arsize,
      .m0_axi_arburst(hp0_ar.burst),
      .m0_axi_arcache(hp0_ar.cache),
      .m0_axi_arprot(hp0_ar.prot),
      .m0_axi_arid(hp0_ar.id),
      .m0_axi_arvalid(hp0_ar_valid),
      .m0_axi_arready(hp0_ar_ready),
      .m0_axi_rdata(hp0_r.data),
      .m0_axi_rresp(hp0_r.resp),
      .m0_axi_rid(hp0_r.id),
      .m0_axi_rlast(hp0_r.last),
      .m0_axi_rvalid(hp0_r_valid),
      .m0_axi_rready(hp0_r_ready),
      .m0_axi_awaddr(hp0_aw.addr),
      .m0_axi_awlen(hp0_aw.len),
      .m0_axi_awsize,
      .m0_axi_awburst(hp0_aw.burst),
      .m0_axi_awcache(hp0_aw.cache),
      .m0_axi_awprot(hp0_aw.prot),
      .m0_axi_awid(hp0_aw.id),
      .m0_axi_awvalid(hp0_aw_valid),
      .m0_axi_awready(hp0_aw_ready),
      .m0_axi_wdata(hp0_w.data),
      .m0_axi_wstrb(hp0_w.strb),
      .m0_axi_wid(hp0_w.id),
      .m0_axi_wlast(hp0_w.last),
      .m0_axi_wvalid(hp0_w_valid),
      .m0_axi_wready(hp0_w_ready),
      .m0_axi_bresp(hp0_b.resp),
      .m0_axi_bid(hp0_b.id),
      .m0_axi_bvalid(hp0_b_valid),
      .m0_axi_bready(hp0_b_ready),
      .m1_axi_araddr(hp1_ar.addr),
      .m1_axi_arlen(hp1_ar.len),
      .m1_axi_arsize,
      .m1_axi_arburst(hp1_ar.burst),
      .m1_axi_arcache(hp1_ar.cache),
      .m1_axi_arprot(hp1_ar.prot),
      .m1_axi_arid(hp1_ar.id),
      .m1_axi_arvalid(hp1_ar_valid),
      .m1_axi_arready(hp1_ar_ready),
      .m1_axi_rdata(hp1_r.data),
      .m1_axi_rresp(hp1_r.resp),
      .m1_axi_rid(hp1_r.id),
      .m1_axi_rlast(hp1_r.last),
      .m1_axi_rvalid(hp1_r_valid),
      .m1_axi_rready(hp1_r_ready)
  );

  // ---- the processing system
  // What is not connected nextpnr-xilinx ties to 0; the few below it does not, or not to the value that Vivado gives them.

  (* keep *)
  PS7 ps7 (
      .DDRARB(4'b0),
      .FPGAIDLEN(1'b0),
      .FCLKCLKTRIGN(4'b0),
      .EMIOUART0RX(1'b1),
      .EMIOUART1RX(1'b1),

      .FCLKCLK(fclk),
      .FCLKRESETN(fclk_resetn),
      .IRQF2P({19'b0, interrupt}),

      .MAXIGP0ACLK(clk),
      .MAXIGP0ARADDR(ps_gp_ar.addr),
      .MAXIGP0ARLEN(ps_gp_ar.len),
      .MAXIGP0ARSIZE(ps_gp_ar.size),
      .MAXIGP0ARBURST(ps_gp_ar.burst),
      .MAXIGP0ARID(ps_gp_ar.id),
      .MAXIGP0ARVALID(ps_gp_ar_valid),
      .MAXIGP0ARREADY(ps_gp_ar_ready),
      .MAXIGP0AWADDR(ps_gp_aw.addr),
      .MAXIGP0AWLEN(ps_gp_aw.len),
      .MAXIGP0AWSIZE(ps_gp_aw.size),
      .MAXIGP0AWBURST(ps_gp_aw.burst),
      .MAXIGP0AWID(ps_gp_aw.id),
      .MAXIGP0AWVALID(ps_gp_aw_valid),
      .MAXIGP0AWREADY(ps_gp_aw_ready),
      .MAXIGP0WDATA(ps_gp_w.data),
      .MAXIGP0WSTRB(ps_gp_w.strb),
      .MAXIGP0WVALID(ps_gp_w_valid),
      .MAXIGP0WREADY(ps_gp_w_ready),
      .MAXIGP0RDATA(ps_gp_r.data),
      .MAXIGP0RRESP(ps_gp_r.resp),
      .MAXIGP0RID(ps_gp_r.id),
      .MAXIGP0RLAST(ps_gp_r.last),
      .MAXIGP0RVALID(ps_gp_r_valid),
      .MAXIGP0RREADY(ps_gp_r_ready),
      .MAXIGP0BRESP(ps_gp_b.resp),
      .MAXIGP0BID(ps_gp_b.id),
      .MAXIGP0BVALID(ps_gp_b_valid),
      .MAXIGP0BREADY(ps_gp_b_ready),

      .SAXIHP0ACLK(clk),
      .SAXIHP0ARLOCK(2'b0),
      .SAXIHP0ARQOS(4'b0),
      .SAXIHP0AWLOCK(2'b0),
      .SAXIHP0AWQOS(4'b0),
      .SAXIHP0RDISSUECAP1EN(1'b0),
      .SAXIHP0WRISSUECAP1EN(1'b0),
      .SAXIHP0ARADDR(ps_hp0_ar.addr),
      .SAXIHP0ARLEN(ps_hp0_ar.len),
      .SAXIHP0ARSIZE(ps_hp0_ar.size),
      .SAXIHP0ARBURST(ps_hp0_ar.burst),
      .SAXIHP0ARCACHE(ps_hp0_ar.cache),
      .SAXIHP0ARPROT(ps_hp0_ar.prot),
      .SAXIHP0ARID(ps_hp0_ar.id),
      .SAXIHP0ARVALID(ps_hp0_ar_valid),
      .SAXIHP0ARREADY(ps_hp0_ar_ready),
      .SAXIHP0RDATA(ps_hp0_r.data),
      .SAXIHP0RRESP(ps_hp0_r.resp),
      .SAXIHP0RID(ps_hp0_r.id),
      .SAXIHP0RLAST(ps_hp0_r.last),
      .SAXIHP0RVALID(ps_hp0_r_valid),
      .SAXIHP0RREADY(ps_hp0_r_ready),
      .SAXIHP0AWADDR(ps_hp0_aw.addr),
      .SAXIHP0AWLEN(ps_hp0_aw.len),
      .SAXIHP0AWSIZE(ps_hp0_aw.size),
      .SAXIHP0AWBURST(ps_hp0_aw.burst),
      .SAXIHP0AWCACHE(ps_hp0_aw.cache),
      .SAXIHP0AWPROT(ps_hp0_aw.prot),
      .SAXIHP0AWID(ps_hp0_aw.id),
      .SAXIHP0AWVALID(ps_hp0_aw_valid),
      .SAXIHP0AWREADY(ps_hp0_aw_ready),
      .SAXIHP0WDATA(ps_hp0_w.data),
      .SAXIHP0WSTRB(ps_hp0_w.strb),
      .SAXIHP0WID(ps_hp0_w.id),
      .SAXIHP0WLAST(ps_hp0_w.last),
      .SAXIHP0WVALID(ps_hp0_w_valid),
      .SAXIHP0WREADY(ps_hp0_w_ready),
      .SAXIHP0BRESP(ps_hp0_b.resp),
      .SAXIHP0BID(ps_hp0_b.id),
      .SAXIHP0BVALID(ps_hp0_b_valid),
      .SAXIHP0BREADY(ps_hp0_b_ready),

      .SAXIHP1ACLK(clk),
      .SAXIHP1ARLOCK(2'b0),
      .SAXIHP1ARQOS(4'b0),
      .SAXIHP1RDISSUECAP1EN(1'b0),
      .SAXIHP1WRISSUECAP1EN(1'b0),
      .SAXIHP1ARADDR(ps_hp1_ar.addr),
      .SAXIHP1ARLEN(ps_hp1_ar.len),
      .SAXIHP1ARSIZE(ps_hp1_ar.size),
      .SAXIHP1ARBURST(ps_hp1_ar.burst),
      .SAXIHP1ARCACHE(ps_hp1_ar.cache),
      .SAXIHP1ARPROT(ps_hp1_ar.prot),
      .SAXIHP1ARID(ps_hp1_ar.id),
      .SAXIHP1ARVALID(ps_hp1_ar_valid),
      .SAXIHP1ARREADY(ps_hp1_ar_ready),
      .SAXIHP1RDATA(ps_hp1_r.data),
      .SAXIHP1RRESP(ps_hp1_r.resp),
      .SAXIHP1RID(ps_hp1_r.id),
      .SAXIHP1RLAST(ps_hp1_r.last),
      .SAXIHP1RVALID(ps_hp1_r_valid),
      .SAXIHP1RREADY(ps_hp1_r_ready),
      // nothing is ever written through this port
      .SAXIHP1AWVALID(1'b0),
      .SAXIHP1WVALID(1'b0),
      .SAXIHP1WLAST(1'b0),
      .SAXIHP1BREADY(1'b1)
  );

endmodule
