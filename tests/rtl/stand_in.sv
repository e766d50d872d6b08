// A stand-in for the core, to test the simulation's own checks: registers as the core's, a run that reads 16 words of the
// program (port 0) and 4 of the input (port 1) and writes their exclusive or plus a count, 8 words, to the output twice.
// Register `images` chooses what it does wrong; 1 is nothing.
module snn_core
  import snn_layout_pkg::*;
#(
    parameter logic [31:0] BUILD_HASH = 0
) (
    input logic clk,
    input logic resetn,
    output logic interrupt,

    input logic [8:0] s_axi_awaddr,
    input logic s_axi_awvalid,
    output logic s_axi_awready,
    input logic [31:0] s_axi_wdata,
    input logic [3:0] s_axi_wstrb,
    input logic s_axi_wvalid,
    output logic s_axi_wready,
    output logic [1:0] s_axi_bresp,
    output logic s_axi_bvalid,
    input logic s_axi_bready,
    input logic [8:0] s_axi_araddr,
    input logic s_axi_arvalid,
    output logic s_axi_arready,
    output logic [31:0] s_axi_rdata,
    output logic [1:0] s_axi_rresp,
    output logic s_axi_rvalid,
    input logic s_axi_rready,

    output logic [31:0] m0_axi_araddr,
    output logic [3:0] m0_axi_arlen,
    output logic [2:0] m0_axi_arsize,
    output logic [1:0] m0_axi_arburst,
    output logic [3:0] m0_axi_arcache,
    output logic [2:0] m0_axi_arprot,
    output logic [5:0] m0_axi_arid,
    output logic m0_axi_arvalid,
    input logic m0_axi_arready,
    input logic [63:0] m0_axi_rdata,
    input logic [1:0] m0_axi_rresp,
    input logic [5:0] m0_axi_rid,
    input logic m0_axi_rlast,
    input logic m0_axi_rvalid,
    output logic m0_axi_rready,
    output logic [31:0] m0_axi_awaddr,
    output logic [3:0] m0_axi_awlen,
    output logic [2:0] m0_axi_awsize,
    output logic [1:0] m0_axi_awburst,
    output logic [3:0] m0_axi_awcache,
    output logic [2:0] m0_axi_awprot,
    output logic [5:0] m0_axi_awid,
    output logic m0_axi_awvalid,
    input logic m0_axi_awready,
    output logic [63:0] m0_axi_wdata,
    output logic [7:0] m0_axi_wstrb,
    output logic [5:0] m0_axi_wid,
    output logic m0_axi_wlast,
    output logic m0_axi_wvalid,
    input logic m0_axi_wready,
    input logic [1:0] m0_axi_bresp,
    input logic [5:0] m0_axi_bid,
    input logic m0_axi_bvalid,
    output logic m0_axi_bready,

    output logic [31:0] m1_axi_araddr,
    output logic [3:0] m1_axi_arlen,
    output logic [2:0] m1_axi_arsize,
    output logic [1:0] m1_axi_arburst,
    output logic [3:0] m1_axi_arcache,
    output logic [2:0] m1_axi_arprot,
    output logic [5:0] m1_axi_arid,
    output logic m1_axi_arvalid,
    input logic m1_axi_arready,
    input logic [63:0] m1_axi_rdata,
    input logic [1:0] m1_axi_rresp,
    input logic [5:0] m1_axi_rid,
    input logic m1_axi_rlast,
    input logic m1_axi_rvalid,
    output logic m1_axi_rready
);
  // What can go wrong: the names are those of tests/rtl/test_harness.py.
  localparam logic [7:0] READ_VALID_FALLS = 2, READ_PAYLOAD_CHANGES = 3, READ_FIXED_BURST = 4, READ_NARROW = 5,
      READ_CROSSES_4K = 6, READ_OUTSIDE = 7, READ_UNALIGNED = 8, LAST_EARLY = 9, LAST_MISSING = 10, WRONG_ID = 11,
      WRITE_OUTSIDE = 12, WRITE_ADDRESS_CHANGES = 13, WRITE_DATA_CHANGES = 14, WRITE_DATA_FALLS = 15,
      DONE_TOO_EARLY = 16, READ_WHILE_IDLE = 17, RESPONSE_FALLS = 18, ANSWER_CHANGES = 19, NO_ANSWER = 20,
      ERROR_ANSWER = 21, UNASKED_ANSWER = 22, UNASKED_RESPONSE = 23, STOPS = 24, HANGS = 25,
      WRITE_ADDRESS_FALLS = 26, WRITE_CROSSES_4K = 27, SECOND_PORT_OUTSIDE = 28, PARTIAL_STROBES = 29;

  logic [31:0] register[128];
  logic [7:0] mischief;
  assign mischief = register[REGISTER_IMAGES[8:2]][7:0];

  typedef enum logic [2:0] {
    IDLE, READING, WRITING, DATA, RESPONDING, FINISHED
  } state_t;
  state_t state;
  logic done;
  logic asked0, asked1, was_waiting, data_was_waiting, second;
  logic [4:0] left0, left1;
  logic [2:0] beat;
  logic [63:0] sum;
  logic [31:0] cycles;
  logic [7:0] since_done;
  logic failed, finish_read;

  assign interrupt = register[REGISTER_INTERRUPT_GLOBAL_ENABLE[8:2]][0] & register[REGISTER_INTERRUPT_STATUS[8:2]][0];

  // --- registers ---
  logic address_taken, data_taken;
  logic [8:0] write_offset;
  logic [31:0] write_value;
  logic write_now;
  assign s_axi_awready = !address_taken && mischief != NO_ANSWER;
  assign s_axi_wready = !data_taken;
  assign write_now = address_taken && data_taken && !s_axi_bvalid;
  assign s_axi_arready = !s_axi_rvalid;
  assign s_axi_bresp = mischief == ERROR_ANSWER ? 2'd2 : 2'd0;
  assign s_axi_rresp = 2'd0;

  logic [31:0] control;
  assign control = {28'd0, done, state == IDLE, done, state != IDLE};

  always_ff @(posedge clk) begin
    if (s_axi_awvalid && s_axi_awready) begin
      address_taken <= 1;
      write_offset <= s_axi_awaddr;
    end
    if (s_axi_wvalid && s_axi_wready) begin
      data_taken <= 1;
      write_value <= s_axi_wdata;
    end
    if (write_now) s_axi_bvalid <= 1;
    if (s_axi_bvalid && (s_axi_bready || mischief == RESPONSE_FALLS)) begin
      s_axi_bvalid <= 0;
      address_taken <= 0;
      data_taken <= 0;
    end
    if (mischief == UNASKED_RESPONSE && state != IDLE) s_axi_bvalid <= 1;
    if (s_axi_arvalid && s_axi_arready) begin
      s_axi_rvalid <= 1;
      s_axi_rdata <= s_axi_araddr == 0 ? control : register[s_axi_araddr[8:2]];
    end
    if (s_axi_rvalid && mischief == ANSWER_CHANGES) s_axi_rdata <= s_axi_rdata + 1;
    if (s_axi_rvalid && s_axi_rready) s_axi_rvalid <= 0;
    if (mischief == UNASKED_ANSWER && state != IDLE) s_axi_rvalid <= 1;
    if (!resetn) begin
      address_taken <= 0;
      data_taken <= 0;
      s_axi_bvalid <= 0;
      s_axi_rvalid <= 0;
    end
  end

  // --- the run ---
  logic start;
  assign start = write_now && write_offset == 0 && write_value[0] && state == IDLE;
  assign m0_axi_arsize = mischief == READ_NARROW ? 3'd2 : 3'd3;
  assign m0_axi_arburst = mischief == READ_FIXED_BURST ? 2'd0 : 2'd1;
  assign {m0_axi_arcache, m0_axi_arprot, m0_axi_arid} = '0;
  assign {m1_axi_arcache, m1_axi_arprot, m1_axi_arid} = '0;
  assign {m0_axi_awcache, m0_axi_awprot} = '0;
  assign m0_axi_awid = 6'd5;
  assign m0_axi_wid = mischief == WRONG_ID ? 6'd6 : 6'd5;
  assign {m0_axi_awsize, m0_axi_awburst, m0_axi_awlen} = {3'd3, 2'd1, 4'd7};
  assign {m1_axi_arsize, m1_axi_arburst, m1_axi_arlen} = {3'd3, 2'd1, 4'd3};
  assign m0_axi_arlen = 4'd15;
  assign m0_axi_rready = 1;
  assign m1_axi_rready = 1;
  assign m0_axi_bready = 1;
  assign m0_axi_wstrb = mischief == PARTIAL_STROBES ? 8'h0f : 8'hff;
  assign m0_axi_wlast = mischief == LAST_EARLY ? beat == 6 : mischief == LAST_MISSING ? 1'b0 : beat == 7;

  always_ff @(posedge clk) begin
    if (write_now && write_offset != 0) begin
      register[write_offset[8:2]] <= write_offset == REGISTER_INTERRUPT_STATUS[8:0] ? 0 : write_value;
      if (write_offset == REGISTER_SOFT_RESET[8:0] && state != IDLE) finish_read <= 1;
    end
    if (s_axi_rvalid && s_axi_rready && s_axi_araddr == 0) done <= 0;
    cycles <= cycles + 1;
    since_done <= since_done == 0 ? 8'd0 : since_done - 8'd1;
    was_waiting <= (m0_axi_arvalid && !m0_axi_arready) || (m0_axi_awvalid && !m0_axi_awready);
    data_was_waiting <= m0_axi_wvalid && !m0_axi_wready;
    if (m0_axi_arvalid && m0_axi_arready) m0_axi_arvalid <= 0;
    if (m1_axi_arvalid && m1_axi_arready) m1_axi_arvalid <= 0;
    if (m0_axi_rvalid) begin
      sum <= sum ^ m0_axi_rdata ^ (m1_axi_rvalid ? m1_axi_rdata : 64'd0);
      left0 <= left0 - 1;
      failed <= failed | m0_axi_rresp != 0;
    end else if (m1_axi_rvalid) sum <= sum ^ m1_axi_rdata;
    if (m1_axi_rvalid) begin
      left1 <= left1 - 1;
      failed <= failed | m1_axi_rresp != 0 | (m0_axi_rvalid & m0_axi_rresp != 0);
    end
    case (state)
      IDLE:
      if (start) begin
        state <= READING;
        {sum, cycles, failed, second, done} <= '0;
        left0 <= 16;
        left1 <= 4;
        m0_axi_arvalid <= 1;
        m1_axi_arvalid <= 1;
        m0_axi_araddr <= register[REGISTER_PROGRAM_ADDRESS[8:2]]
            + (mischief == READ_CROSSES_4K ? 32'hfc0 : mischief == READ_UNALIGNED ? 32'd4
               : mischief == READ_OUTSIDE ? {register[REGISTER_PROGRAM_BYTES[8:2]][31:3], 3'd0} - 32'd120 : 32'd0);
        m1_axi_araddr <= register[REGISTER_INPUT_ADDRESS[8:2]] - (mischief == SECOND_PORT_OUTSIDE ? 32'd8 : 32'd0);
        register[REGISTER_ERROR_CODE[8:2]] <= ERROR_CODE_NONE;
      end
      READING: begin
        if (mischief == READ_VALID_FALLS && was_waiting) m0_axi_arvalid <= 0;
        if (mischief == READ_PAYLOAD_CHANGES && was_waiting) m0_axi_araddr <= m0_axi_araddr ^ 32'd64;
        if (mischief == STOPS && cycles == 20) $stop;
        if (mischief == DONE_TOO_EARLY || ((left0 | left1) == 0 && mischief != HANGS)) begin
          state <= failed || mischief == DONE_TOO_EARLY ? FINISHED : WRITING;
          m0_axi_awvalid <= !(failed || mischief == DONE_TOO_EARLY);
          m0_axi_awaddr <= mischief == WRITE_OUTSIDE ? register[REGISTER_PROGRAM_ADDRESS[8:2]]
              : register[REGISTER_OUTPUT_ADDRESS[8:2]] + (mischief == WRITE_CROSSES_4K ? 32'hfe0 : 32'd0);
        end
      end
      WRITING: begin
        if (mischief == WRITE_ADDRESS_CHANGES && was_waiting) m0_axi_awaddr <= m0_axi_awaddr ^ 32'd64;
        if (mischief == WRITE_ADDRESS_FALLS && was_waiting) m0_axi_awvalid <= 0;
        if (m0_axi_awvalid && m0_axi_awready) begin
          m0_axi_awvalid <= 0;
          m0_axi_wvalid <= 1;
          m0_axi_wdata <= sum;
          beat <= 0;
          state <= DATA;
        end
      end
      DATA: begin
        if (mischief == WRITE_DATA_CHANGES && data_was_waiting) m0_axi_wdata <= ~m0_axi_wdata;
        if (mischief == WRITE_DATA_FALLS && data_was_waiting) m0_axi_wvalid <= 0;
        if (m0_axi_wvalid && m0_axi_wready) begin
          beat <= beat + 1;
          m0_axi_wdata <= m0_axi_wdata + 1;
          m0_axi_wvalid <= beat != 7;
          if (beat == 7) state <= RESPONDING;
        end
      end
      RESPONDING:
      if (m0_axi_bvalid) begin
        failed <= failed | m0_axi_bresp != 0;
        second <= 1;
        state <= second ? FINISHED : WRITING;
        m0_axi_awvalid <= !second;
        m0_axi_awaddr <= m0_axi_awaddr + 64;
      end
      default: begin
        state <= IDLE;
        done <= 1;
        since_done <= 8'd3;
        if (failed) register[REGISTER_ERROR_CODE[8:2]] <= ERROR_CODE_BUS;
        register[REGISTER_CYCLES_LOW[8:2]] <= cycles;
        if (register[REGISTER_INTERRUPT_ENABLE[8:2]][0]) register[REGISTER_INTERRUPT_STATUS[8:2]] <= 1;
      end
    endcase
    if (mischief == READ_WHILE_IDLE && since_done == 2) m0_axi_arvalid <= 1;
    // A soft reset waits for what memory still owes; this core stops between bursts only.
    if (finish_read && (left0 | left1) == 0 && state == READING) begin
      finish_read <= 0;
      state <= IDLE;
      m0_axi_awvalid <= 0;
    end
    if (!resetn) begin
      state <= IDLE;
      {done, m0_axi_arvalid, m1_axi_arvalid, m0_axi_awvalid, m0_axi_wvalid, since_done, finish_read} <= '0;
      {left0, left1, failed} <= '0;
      for (int i = 0; i < 128; i++) register[i] <= 0;
      register[REGISTER_CORE_ID[8:2]] <= CORE_ID;
      register[REGISTER_CORE_VERSION[8:2]] <= LAYOUT_VERSION;
      register[REGISTER_BUILD_HASH[8:2]] <= BUILD_HASH;
    end
  end

  logic unused;
  assign unused = &{s_axi_wstrb, m0_axi_rid, m0_axi_rlast, m1_axi_rid, m1_axi_rlast, m0_axi_bid};

endmodule
