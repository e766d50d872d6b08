// The core as Vivado's IP packager takes it: a Verilog module whose ports say which interface they are part of.
module snn_core_ip #(
    parameter [31:0] BUILD_HASH = 32'd0
) (
    (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 clk CLK" *)
    (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME clk, ASSOCIATED_BUSIF s_axi:m0_axi:m1_axi, ASSOCIATED_RESET resetn" *)
    input  wire        clk,
    (* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 resetn RST" *)
    (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME resetn, POLARITY ACTIVE_LOW" *)
    input  wire        resetn,
    (* X_INTERFACE_INFO = "xilinx.com:signal:interrupt:1.0 interrupt INTERRUPT" *)
    (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME interrupt, SENSITIVITY LEVEL_HIGH" *)
    output wire        interrupt,

    (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME s_axi, PROTOCOL AXI4LITE, DATA_WIDTH 32, ADDR_WIDTH 9" *)
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi AWADDR" *)
    input  wire [8:0]  s_axi_awaddr,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi AWVALID" *)
    input  wire        s_axi_awvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi AWREADY" *)
    output wire        s_axi_awready,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi WDATA" *)
    input  wire [31:0] s_axi_wdata,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi WSTRB" *)
    input  wire [3:0]  s_axi_wstrb,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi WVALID" *)
    input  wire        s_axi_wvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi WREADY" *)
    output wire        s_axi_wready,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi BRESP" *)
    output wire [1:0]  s_axi_bresp,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi BVALID" *)
    output wire        s_axi_bvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi BREADY" *)
    input  wire        s_axi_bready,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi ARADDR" *)
    input  wire [8:0]  s_axi_araddr,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi ARVALID" *)
    input  wire        s_axi_arvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi ARREADY" *)
    output wire        s_axi_arready,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi RDATA" *)
    output wire [31:0] s_axi_rdata,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi RRESP" *)
    output wire [1:0]  s_axi_rresp,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi RVALID" *)
    output wire        s_axi_rvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 s_axi RREADY" *)
    input  wire        s_axi_rready,

    (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME m0_axi, PROTOCOL AXI3, DATA_WIDTH 64, ADDR_WIDTH 32, ID_WIDTH 6, MAX_BURST_LENGTH 16" *)
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARADDR" *)
    output wire [31:0] m0_axi_araddr,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARLEN" *)
    output wire [3:0]  m0_axi_arlen,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARSIZE" *)
    output wire [2:0]  m0_axi_arsize,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARBURST" *)
    output wire [1:0]  m0_axi_arburst,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARCACHE" *)
    output wire [3:0]  m0_axi_arcache,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARPROT" *)
    output wire [2:0]  m0_axi_arprot,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARID" *)
    output wire [5:0]  m0_axi_arid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARVALID" *)
    output wire        m0_axi_arvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi ARREADY" *)
    input  wire        m0_axi_arready,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RDATA" *)
    input  wire [63:0] m0_axi_rdata,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RRESP" *)
    input  wire [1:0]  m0_axi_rresp,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RID" *)
    input  wire [5:0]  m0_axi_rid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RLAST" *)
    input  wire        m0_axi_rlast,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RVALID" *)
    input  wire        m0_axi_rvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi RREADY" *)
    output wire        m0_axi_rready,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWADDR" *)
    output wire [31:0] m0_axi_awaddr,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWLEN" *)
    output wire [3:0]  m0_axi_awlen,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWSIZE" *)
    output wire [2:0]  m0_axi_awsize,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWBURST" *)
    output wire [1:0]  m0_axi_awburst,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWCACHE" *)
    output wire [3:0]  m0_axi_awcache,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWPROT" *)
    output wire [2:0]  m0_axi_awprot,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWID" *)
    output wire [5:0]  m0_axi_awid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWVALID" *)
    output wire        m0_axi_awvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi AWREADY" *)
    input  wire        m0_axi_awready,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WDATA" *)
    output wire [63:0] m0_axi_wdata,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WSTRB" *)
    output wire [7:0]  m0_axi_wstrb,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WID" *)
    output wire [5:0]  m0_axi_wid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WLAST" *)
    output wire        m0_axi_wlast,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WVALID" *)
    output wire        m0_axi_wvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi WREADY" *)
    input  wire        m0_axi_wready,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi BRESP" *)
    input  wire [1:0]  m0_axi_bresp,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi BID" *)
    input  wire [5:0]  m0_axi_bid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi BVALID" *)
    input  wire        m0_axi_bvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m0_axi BREADY" *)
    output wire        m0_axi_bready,

    (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME m1_axi, PROTOCOL AXI3, DATA_WIDTH 64, ADDR_WIDTH 32, ID_WIDTH 6, MAX_BURST_LENGTH 16, READ_WRITE_MODE READ_ONLY" *)
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARADDR" *)
    output wire [31:0] m1_axi_araddr,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARLEN" *)
    output wire [3:0]  m1_axi_arlen,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARSIZE" *)
    output wire [2:0]  m1_axi_arsize,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARBURST" *)
    output wire [1:0]  m1_axi_arburst,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARCACHE" *)
    output wire [3:0]  m1_axi_arcache,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARPROT" *)
    output wire [2:0]  m1_axi_arprot,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARID" *)
    output wire [5:0]  m1_axi_arid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARVALID" *)
    output wire        m1_axi_arvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi ARREADY" *)
    input  wire        m1_axi_arready,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RDATA" *)
    input  wire [63:0] m1_axi_rdata,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RRESP" *)
    input  wire [1:0]  m1_axi_rresp,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RID" *)
    input  wire [5:0]  m1_axi_rid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RLAST" *)
    input  wire        m1_axi_rlast,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RVALID" *)
    input  wire        m1_axi_rvalid,
    (* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 m1_axi RREADY" *)
    output wire        m1_axi_rready
);

  snn_core #(
      .BUILD_HASH(BUILD_HASH)
  ) core (
      .clk(clk),
      .resetn(resetn),
      .interrupt(interrupt),
      .s_axi_awaddr(s_axi_awaddr),
      .s_axi_awvalid(s_axi_awvalid),
      .s_axi_awready(s_axi_awready),
      .s_axi_wdata(s_axi_wdata),
      .s_axi_wstrb(s_axi_wstrb),
      .s_axi_wvalid(s_axi_wvalid),
      .s_axi_wready(s_axi_wready),
      .s_axi_bresp(s_axi_bresp),
      .s_axi_bvalid(s_axi_bvalid),
      .s_axi_bready(s_axi_bready),
      .s_axi_araddr(s_axi_araddr),
      .s_axi_arvalid(s_axi_arvalid),
      .s_axi_arready(s_axi_arready),
      .s_axi_rdata(s_axi_rdata),
      .s_axi_rresp(s_axi_rresp),
      .s_axi_rvalid(s_axi_rvalid),
      .s_axi_rready(s_axi_rready),
      .m0_axi_araddr(m0_axi_araddr),
      .m0_axi_arlen(m0_axi_arlen),
      .m0_axi_arsize(m0_axi_arsize),
      .m0_axi_arburst(m0_axi_arburst),
      .m0_axi_arcache(m0_axi_arcache),
      .m0_axi_arprot(m0_axi_arprot),
      .m0_axi_arid(m0_axi_arid),
      .m0_axi_arvalid(m0_axi_arvalid),
      .m0_axi_arready(m0_axi_arready),
      .m0_axi_rdata(m0_axi_rdata),
      .m0_axi_rresp(m0_axi_rresp),
      .m0_axi_rid(m0_axi_rid),
      .m0_axi_rlast(m0_axi_rlast),
      .m0_axi_rvalid(m0_axi_rvalid),
      .m0_axi_rready(m0_axi_rready),
      .m0_axi_awaddr(m0_axi_awaddr),
      .m0_axi_awlen(m0_axi_awlen),
      .m0_axi_awsize(m0_axi_awsize),
      .m0_axi_awburst(m0_axi_awburst),
      .m0_axi_awcache(m0_axi_awcache),
      .m0_axi_awprot(m0_axi_awprot),
      .m0_axi_awid(m0_axi_awid),
      .m0_axi_awvalid(m0_axi_awvalid),
      .m0_axi_awready(m0_axi_awready),
      .m0_axi_wdata(m0_axi_wdata),
      .m0_axi_wstrb(m0_axi_wstrb),
      .m0_axi_wid(m0_axi_wid),
      .m0_axi_wlast(m0_axi_wlast),
      .m0_axi_wvalid(m0_axi_wvalid),
      .m0_axi_wready(m0_axi_wready),
      .m0_axi_bresp(m0_axi_bresp),
      .m0_axi_bid(m0_axi_bid),
      .m0_axi_bvalid(m0_axi_bvalid),
      .m0_axi_bready(m0_axi_bready),
      .m1_axi_araddr(m1_axi_araddr),
      .m1_axi_arlen(m1_axi_arlen),
      .m1_axi_arsize(m1_axi_arsize),
      .m1_axi_arburst(m1_axi_arburst),
      .m1_axi_arcache(m1_axi_arcache),
      .m1_axi_arprot(m1_axi_arprot),
      .m1_axi_arid(m1_axi_arid),
      .m1_axi_arvalid(m1_axi_arvalid),
      .m1_axi_arready(m1_axi_arready),
      .m1_axi_rdata(m1_axi_rdata),
      .m1_axi_rresp(m1_axi_rresp),
      .m1_axi_rid(m1_axi_rid),
      .m1_axi_rlast(m1_axi_rlast),
      .m1_axi_rvalid(m1_axi_rvalid),
      .m1_axi_rready(m1_axi_rready)
  );

endmodule
