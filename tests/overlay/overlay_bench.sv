// Brings the far side of the processing system's ports out of the overlay, so that a program can be processor and memory.
// The same for the overlay as RTL and as a netlist: in both the processing system is the cell ps7.
module overlay_bench (
    input  logic clock,
    input  logic resetn,
    output logic irq,
    output logic idle_interrupts,
    input  logic [8:0] araddr,
    input  logic arvalid,
    input  logic rready,
    input  logic [8:0] awaddr,
    input  logic awvalid,
    input  logic [31:0] wdata,
    input  logic [3:0] wstrb,
    input  logic wvalid,
    input  logic bready,
    input  logic hp0_arready,
    input  logic [63:0] hp0_rdata,
    input  logic [1:0] hp0_rresp,
    input  logic [5:0] hp0_rid,
    input  logic hp0_rlast,
    input  logic hp0_rvalid,
    input  logic hp0_awready,
    input  logic hp0_wready,
    input  logic [1:0] hp0_bresp,
    input  logic [5:0] hp0_bid,
    input  logic hp0_bvalid,
    input  logic hp1_arready,
    input  logic [63:0] hp1_rdata,
    input  logic [1:0] hp1_rresp,
    input  logic [5:0] hp1_rid,
    input  logic hp1_rlast,
    input  logic hp1_rvalid,
    output logic gp_arready,
    output logic [31:0] gp_rdata,
    output logic [1:0] gp_rresp,
    output logic [11:0] gp_rid,
    output logic gp_rlast,
    output logic gp_rvalid,
    output logic gp_awready,
    output logic gp_wready,
    output logic [1:0] gp_bresp,
    output logic [11:0] gp_bid,
    output logic gp_bvalid,
    output logic [31:0] hp0_araddr,
    output logic [3:0] hp0_arlen,
    output logic [1:0] hp0_arsize,
    output logic [1:0] hp0_arburst,
    output logic [5:0] hp0_arid,
    output logic hp0_arvalid,
    output logic hp0_rready,
    output logic [31:0] hp1_araddr,
    output logic [3:0] hp1_arlen,
    output logic [1:0] hp1_arsize,
    output logic [1:0] hp1_arburst,
    output logic [5:0] hp1_arid,
    output logic hp1_arvalid,
    output logic hp1_rready,
    output logic [31:0] hp0_awaddr,
    output logic [3:0] hp0_awlen,
    output logic [1:0] hp0_awsize,
    output logic [1:0] hp0_awburst,
    output logic [5:0] hp0_awid,
    output logic hp0_awvalid,
    output logic [63:0] hp0_wdata,
    output logic [7:0] hp0_wstrb,
    output logic [5:0] hp0_wid,
    output logic hp0_wlast,
    output logic hp0_wvalid,
    output logic hp0_bready,
    output logic hp1_awvalid,
    output logic hp1_wvalid
);

  snn_overlay overlay ();

  always_comb begin
    overlay.ps7.sim_clock = clock;
    overlay.ps7.sim_resetn = resetn;
    overlay.ps7.sim_araddr = araddr;
    overlay.ps7.sim_arvalid = arvalid;
    overlay.ps7.sim_rready = rready;
    overlay.ps7.sim_awaddr = awaddr;
    overlay.ps7.sim_awvalid = awvalid;
    overlay.ps7.sim_wdata = wdata;
    overlay.ps7.sim_wstrb = wstrb;
    overlay.ps7.sim_wvalid = wvalid;
    overlay.ps7.sim_bready = bready;
    overlay.ps7.sim_hp0_arready = hp0_arready;
    overlay.ps7.sim_hp0_rdata = hp0_rdata;
    overlay.ps7.sim_hp0_rresp = hp0_rresp;
    overlay.ps7.sim_hp0_rid = hp0_rid;
    overlay.ps7.sim_hp0_rlast = hp0_rlast;
    overlay.ps7.sim_hp0_rvalid = hp0_rvalid;
    overlay.ps7.sim_hp0_awready = hp0_awready;
    overlay.ps7.sim_hp0_wready = hp0_wready;
    overlay.ps7.sim_hp0_bresp = hp0_bresp;
    overlay.ps7.sim_hp0_bid = hp0_bid;
    overlay.ps7.sim_hp0_bvalid = hp0_bvalid;
    overlay.ps7.sim_hp1_arready = hp1_arready;
    overlay.ps7.sim_hp1_rdata = hp1_rdata;
    overlay.ps7.sim_hp1_rresp = hp1_rresp;
    overlay.ps7.sim_hp1_rid = hp1_rid;
    overlay.ps7.sim_hp1_rlast = hp1_rlast;
    overlay.ps7.sim_hp1_rvalid = hp1_rvalid;
  end

  assign irq = overlay.ps7.IRQF2P[0];
  assign idle_interrupts = |overlay.ps7.IRQF2P[19:1];
  assign gp_arready = overlay.ps7.MAXIGP0ARREADY;
  assign gp_rdata = overlay.ps7.MAXIGP0RDATA;
  assign gp_rresp = overlay.ps7.MAXIGP0RRESP;
  assign gp_rid = overlay.ps7.MAXIGP0RID;
  assign gp_rlast = overlay.ps7.MAXIGP0RLAST;
  assign gp_rvalid = overlay.ps7.MAXIGP0RVALID;
  assign gp_awready = overlay.ps7.MAXIGP0AWREADY;
  assign gp_wready = overlay.ps7.MAXIGP0WREADY;
  assign gp_bresp = overlay.ps7.MAXIGP0BRESP;
  assign gp_bid = overlay.ps7.MAXIGP0BID;
  assign gp_bvalid = overlay.ps7.MAXIGP0BVALID;
  assign hp0_araddr = overlay.ps7.SAXIHP0ARADDR;
  assign hp0_arlen = overlay.ps7.SAXIHP0ARLEN;
  assign hp0_arsize = overlay.ps7.SAXIHP0ARSIZE;
  assign hp0_arburst = overlay.ps7.SAXIHP0ARBURST;
  assign hp0_arid = overlay.ps7.SAXIHP0ARID;
  assign hp0_arvalid = overlay.ps7.SAXIHP0ARVALID;
  assign hp0_rready = overlay.ps7.SAXIHP0RREADY;
  assign hp1_araddr = overlay.ps7.SAXIHP1ARADDR;
  assign hp1_arlen = overlay.ps7.SAXIHP1ARLEN;
  assign hp1_arsize = overlay.ps7.SAXIHP1ARSIZE;
  assign hp1_arburst = overlay.ps7.SAXIHP1ARBURST;
  assign hp1_arid = overlay.ps7.SAXIHP1ARID;
  assign hp1_arvalid = overlay.ps7.SAXIHP1ARVALID;
  assign hp1_rready = overlay.ps7.SAXIHP1RREADY;
  assign hp0_awaddr = overlay.ps7.SAXIHP0AWADDR;
  assign hp0_awlen = overlay.ps7.SAXIHP0AWLEN;
  assign hp0_awsize = overlay.ps7.SAXIHP0AWSIZE;
  assign hp0_awburst = overlay.ps7.SAXIHP0AWBURST;
  assign hp0_awid = overlay.ps7.SAXIHP0AWID;
  assign hp0_awvalid = overlay.ps7.SAXIHP0AWVALID;
  assign hp0_wdata = overlay.ps7.SAXIHP0WDATA;
  assign hp0_wstrb = overlay.ps7.SAXIHP0WSTRB;
  assign hp0_wid = overlay.ps7.SAXIHP0WID;
  assign hp0_wlast = overlay.ps7.SAXIHP0WLAST;
  assign hp0_wvalid = overlay.ps7.SAXIHP0WVALID;
  assign hp0_bready = overlay.ps7.SAXIHP0BREADY;
  assign hp1_awvalid = overlay.ps7.SAXIHP1AWVALID;
  assign hp1_wvalid = overlay.ps7.SAXIHP1WVALID;

endmodule
