// What the overlay sees of the processing system, for simulation: the ports that the top level connects, and nothing behind
// them. The variables sim_* are the other side of each port; a bench reads and writes them by hierarchical names.
module PS7 (
    input  logic [ 3:0] DDRARB,
    input  logic        FPGAIDLEN,
    input  logic [ 3:0] FCLKCLKTRIGN,
    input  logic        EMIOUART0RX,
    input  logic        EMIOUART1RX,
    output logic [ 3:0] FCLKCLK,
    output logic [ 3:0] FCLKRESETN,
    input  logic [19:0] IRQF2P,

    input  logic        MAXIGP0ACLK,
    output logic [31:0] MAXIGP0ARADDR,
    output logic [ 3:0] MAXIGP0ARLEN,
    output logic [ 1:0] MAXIGP0ARSIZE,
    output logic [ 1:0] MAXIGP0ARBURST,
    output logic [11:0] MAXIGP0ARID,
    output logic        MAXIGP0ARVALID,
    input  logic        MAXIGP0ARREADY,
    output logic [31:0] MAXIGP0AWADDR,
    output logic [ 3:0] MAXIGP0AWLEN,
    output logic [ 1:0] MAXIGP0AWSIZE,
    output logic [ 1:0] MAXIGP0AWBURST,
    output logic [11:0] MAXIGP0AWID,
    output logic        MAXIGP0AWVALID,
    input  logic        MAXIGP0AWREADY,
    output logic [31:0] MAXIGP0WDATA,
    output logic [ 3:0] MAXIGP0WSTRB,
    output logic        MAXIGP0WVALID,
    input  logic        MAXIGP0WREADY,
    input  logic [31:0] MAXIGP0RDATA,
    input  logic [ 1:0] MAXIGP0RRESP,
    input  logic [11:0] MAXIGP0RID,
    input  logic        MAXIGP0RLAST,
    input  logic        MAXIGP0RVALID,
    output logic        MAXIGP0RREADY,
    input  logic [ 1:0] MAXIGP0BRESP,
    input  logic [11:0] MAXIGP0BID,
    input  logic        MAXIGP0BVALID,
    output logic        MAXIGP0BREADY,

    input  logic        SAXIHP0ACLK,
    input  logic [ 1:0] SAXIHP0ARLOCK,
    input  logic [ 3:0] SAXIHP0ARQOS,
    input  logic [ 1:0] SAXIHP0AWLOCK,
    input  logic [ 3:0] SAXIHP0AWQOS,
    input  logic        SAXIHP0RDISSUECAP1EN,
    input  logic        SAXIHP0WRISSUECAP1EN,
    input  logic [31:0] SAXIHP0ARADDR,
    input  logic [ 3:0] SAXIHP0ARLEN,
    input  logic [ 1:0] SAXIHP0ARSIZE,
    input  logic [ 1:0] SAXIHP0ARBURST,
    input  logic [ 3:0] SAXIHP0ARCACHE,
    input  logic [ 2:0] SAXIHP0ARPROT,
    input  logic [ 5:0] SAXIHP0ARID,
    input  logic        SAXIHP0ARVALID,
    output logic        SAXIHP0ARREADY,
    output logic [63:0] SAXIHP0RDATA,
    output logic [ 1:0] SAXIHP0RRESP,
    output logic [ 5:0] SAXIHP0RID,
    output logic        SAXIHP0RLAST,
    output logic        SAXIHP0RVALID,
    input  logic        SAXIHP0RREADY,
    input  logic [31:0] SAXIHP0AWADDR,
    input  logic [ 3:0] SAXIHP0AWLEN,
    input  logic [ 1:0] SAXIHP0AWSIZE,
    input  logic [ 1:0] SAXIHP0AWBURST,
    input  logic [ 3:0] SAXIHP0AWCACHE,
    input  logic [ 2:0] SAXIHP0AWPROT,
    input  logic [ 5:0] SAXIHP0AWID,
    input  logic        SAXIHP0AWVALID,
    output logic        SAXIHP0AWREADY,
    input  logic [63:0] SAXIHP0WDATA,
    input  logic [ 7:0] SAXIHP0WSTRB,
    input  logic [ 5:0] SAXIHP0WID,
    input  logic        SAXIHP0WLAST,
    input  logic        SAXIHP0WVALID,
    output logic        SAXIHP0WREADY,
    output logic [ 1:0] SAXIHP0BRESP,
    output logic [ 5:0] SAXIHP0BID,
    output logic        SAXIHP0BVALID,
    input  logic        SAXIHP0BREADY,

    input  logic        SAXIHP1ACLK,
    input  logic [ 1:0] SAXIHP1ARLOCK,
    input  logic [ 3:0] SAXIHP1ARQOS,
    input  logic        SAXIHP1RDISSUECAP1EN,
    input  logic        SAXIHP1WRISSUECAP1EN,
    input  logic [31:0] SAXIHP1ARADDR,
    input  logic [ 3:0] SAXIHP1ARLEN,
    input  logic [ 1:0] SAXIHP1ARSIZE,
    input  logic [ 1:0] SAXIHP1ARBURST,
    input  logic [ 3:0] SAXIHP1ARCACHE,
    input  logic [ 2:0] SAXIHP1ARPROT,
    input  logic [ 5:0] SAXIHP1ARID,
    input  logic        SAXIHP1ARVALID,
    output logic        SAXIHP1ARREADY,
    output logic [63:0] SAXIHP1RDATA,
    output logic [ 1:0] SAXIHP1RRESP,
    output logic [ 5:0] SAXIHP1RID,
    output logic        SAXIHP1RLAST,
    output logic        SAXIHP1RVALID,
    input  logic        SAXIHP1RREADY,
    input  logic        SAXIHP1AWVALID,
    input  logic        SAXIHP1WVALID,
    input  logic        SAXIHP1WLAST,
    input  logic        SAXIHP1BREADY
);

  logic sim_clock, sim_resetn;
  assign FCLKCLK = {3'b000, sim_clock};
  assign FCLKRESETN = {3'b000, sim_resetn};

  logic [8:0] sim_araddr, sim_awaddr;
  logic [31:0] sim_wdata;
  logic [3:0] sim_wstrb;
  logic sim_arvalid, sim_awvalid, sim_wvalid, sim_rready, sim_bready;
  // One beat at a time, as a processor reads and writes registers.
  assign MAXIGP0ARADDR = 32'h43C0_0000 | 32'(sim_araddr);
  assign MAXIGP0ARLEN = 4'd0;
  assign MAXIGP0ARSIZE = 2'd2;
  assign MAXIGP0ARBURST = 2'b01;
  assign MAXIGP0ARID = 12'h5A3;
  assign MAXIGP0ARVALID = sim_arvalid;
  assign MAXIGP0RREADY = sim_rready;
  assign MAXIGP0AWADDR = 32'h43C0_0000 | 32'(sim_awaddr);
  assign MAXIGP0AWLEN = 4'd0;
  assign MAXIGP0AWSIZE = 2'd2;
  assign MAXIGP0AWBURST = 2'b01;
  assign MAXIGP0AWID = 12'hC71;
  assign MAXIGP0AWVALID = sim_awvalid;
  assign MAXIGP0WDATA = sim_wdata;
  assign MAXIGP0WSTRB = sim_wstrb;
  assign MAXIGP0WVALID = sim_wvalid;
  assign MAXIGP0BREADY = sim_bready;

  logic sim_hp0_arready, sim_hp0_rvalid, sim_hp0_rlast, sim_hp0_awready, sim_hp0_wready, sim_hp0_bvalid;
  logic sim_hp1_arready, sim_hp1_rvalid, sim_hp1_rlast;
  logic [63:0] sim_hp0_rdata, sim_hp1_rdata;
  logic [1:0] sim_hp0_rresp, sim_hp1_rresp, sim_hp0_bresp;
  logic [5:0] sim_hp0_rid, sim_hp1_rid, sim_hp0_bid;
  assign SAXIHP0ARREADY = sim_hp0_arready;
  assign SAXIHP0RDATA = sim_hp0_rdata;
  assign SAXIHP0RRESP = sim_hp0_rresp;
  assign SAXIHP0RID = sim_hp0_rid;
  assign SAXIHP0RLAST = sim_hp0_rlast;
  assign SAXIHP0RVALID = sim_hp0_rvalid;
  assign SAXIHP0AWREADY = sim_hp0_awready;
  assign SAXIHP0WREADY = sim_hp0_wready;
  assign SAXIHP0BRESP = sim_hp0_bresp;
  assign SAXIHP0BID = sim_hp0_bid;
  assign SAXIHP0BVALID = sim_hp0_bvalid;
  assign SAXIHP1ARREADY = sim_hp1_arready;
  assign SAXIHP1RDATA = sim_hp1_rdata;
  assign SAXIHP1RRESP = sim_hp1_rresp;
  assign SAXIHP1RID = sim_hp1_rid;
  assign SAXIHP1RLAST = sim_hp1_rlast;
  assign SAXIHP1RVALID = sim_hp1_rvalid;

endmodule
