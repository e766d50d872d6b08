// AXI3, as the PS7's general purpose port speaks it, to the AXI4-Lite port of the core.
//
// A burst becomes one access for each beat, in order, with the addresses of its type (fixed, incrementing, wrapping).
// Answers carry the ID of their request. Reads and writes go their ways independently, one burst of each at a time. The
// port does not interleave write data, so WID is not looked at. Addresses outside the window get a decode error, and the
// core sees nothing of them.
module axi_lite_bridge #(
    parameter logic [31:0] BASE = 32'h43C0_0000,
    parameter int ADDRESS_BITS = 9
) (
    input logic clk,
    input logic resetn,

    input  logic [31:0] gp_araddr,
    input  logic [ 3:0] gp_arlen,
    input  logic [ 1:0] gp_arsize,
    input  logic [ 1:0] gp_arburst,
    input  logic [11:0] gp_arid,
    input  logic        gp_arvalid,
    output logic        gp_arready,
    output logic [31:0] gp_rdata,
    output logic [ 1:0] gp_rresp,
    output logic [11:0] gp_rid,
    output logic        gp_rlast,
    output logic        gp_rvalid,
    input  logic        gp_rready,
    input  logic [31:0] gp_awaddr,
    input  logic [ 3:0] gp_awlen,
    input  logic [ 1:0] gp_awsize,
    input  logic [ 1:0] gp_awburst,
    input  logic [11:0] gp_awid,
    input  logic        gp_awvalid,
    output logic        gp_awready,
    input  logic [31:0] gp_wdata,
    input  logic [ 3:0] gp_wstrb,
    input  logic        gp_wvalid,
    output logic        gp_wready,
    output logic [ 1:0] gp_bresp,
    output logic [11:0] gp_bid,
    output logic        gp_bvalid,
    input  logic        gp_bready,

    output logic [ADDRESS_BITS-1:0] lite_araddr,
    output logic                    lite_arvalid,
    input  logic                    lite_arready,
    input  logic [            31:0] lite_rdata,
    input  logic [             1:0] lite_rresp,
    input  logic                    lite_rvalid,
    output logic                    lite_rready,
    output logic [ADDRESS_BITS-1:0] lite_awaddr,
    output logic                    lite_awvalid,
    input  logic                    lite_awready,
    output logic [            31:0] lite_wdata,
    output logic [             3:0] lite_wstrb,
    output logic                    lite_wvalid,
    input  logic                    lite_wready,
    input  logic [             1:0] lite_bresp,
    input  logic                    lite_bvalid,
    output logic                    lite_bready
);

  localparam logic [1:0] BURST_FIXED = 2'b00, BURST_WRAP = 2'b10;
  localparam logic [1:0] RESPONSE_OKAY = 2'b00, RESPONSE_DECODE_ERROR = 2'b11;

  // The address of the beat after `address`. A reserved burst type counts as incrementing.
  function automatic logic [31:0] next_address(input logic [31:0] address, input logic [3:0] length, input logic [1:0] size,
                                               input logic [1:0] burst);
    logic [31:0] step, above, wrapped_bits;
    step = 32'd1 << size;
    above = (address & ~(step - 32'd1)) + step;
    wrapped_bits = ((32'(length) + 32'd1) << size) - 32'd1;
    case (burst)
      BURST_FIXED: next_address = address;
      BURST_WRAP: next_address = (address & ~wrapped_bits) | (above & wrapped_bits);
      default: next_address = above;
    endcase
  endfunction

  function automatic logic in_window(input logic [31:0] address);
    in_window = address[31:ADDRESS_BITS] == BASE[31:ADDRESS_BITS];
  endfunction

  // ---- reads

  typedef enum logic [2:0] {
    READ_IDLE,
    READ_LOOK,  // whether the address is in the window
    READ_ASK,
    READ_WAIT,
    READ_ANSWER
  } read_state_t;
  read_state_t read_state;
  logic [31:0] read_address;
  logic [ 3:0] read_length, read_left;
  logic [ 1:0] read_size, read_burst;
  logic read_inside;

  assign gp_arready = read_state == READ_IDLE;
  assign gp_rvalid = read_state == READ_ANSWER;
  assign gp_rlast = read_left == 4'd0;
  assign lite_araddr = {read_address[ADDRESS_BITS-1:2], 2'b00};
  assign lite_arvalid = read_state == READ_ASK && read_inside;
  assign lite_rready = read_state == READ_WAIT;

  always_ff @(posedge clk) begin
    if (!resetn) read_state <= READ_IDLE;
    else
      case (read_state)
        READ_IDLE: begin
          read_address <= gp_araddr;
          read_length <= gp_arlen;
          read_left <= gp_arlen;
          read_size <= gp_arsize;
          read_burst <= gp_arburst;
          gp_rid <= gp_arid;
          if (gp_arvalid) read_state <= READ_LOOK;
        end
        READ_LOOK: begin
          read_inside <= in_window(read_address);
          read_state <= READ_ASK;
        end
        READ_ASK: begin
          gp_rdata <= 32'd0;
          gp_rresp <= RESPONSE_DECODE_ERROR;
          if (!read_inside) read_state <= READ_ANSWER;
          else if (lite_arready) read_state <= READ_WAIT;
        end
        READ_WAIT: begin
          gp_rdata <= lite_rdata;
          gp_rresp <= lite_rresp;
          if (lite_rvalid) read_state <= READ_ANSWER;
        end
        default:
        if (gp_rready) begin
          read_left <= read_left - 4'd1;
          read_address <= next_address(read_address, read_length, read_size, read_burst);
          read_state <= gp_rlast ? READ_IDLE : READ_LOOK;
        end
      endcase
  end

  // ---- writes

  typedef enum logic [2:0] {
    WRITE_IDLE,
    WRITE_LOOK,  // likewise
    WRITE_DATA,
    WRITE_TELL,
    WRITE_WAIT,
    WRITE_ANSWER
  } write_state_t;
  write_state_t write_state;
  logic [31:0] write_address;
  logic [ 3:0] write_length, write_left;
  logic [ 1:0] write_size, write_burst;
  logic address_told, data_told, write_inside;

  assign gp_awready = write_state == WRITE_IDLE;
  assign gp_wready = write_state == WRITE_DATA;
  assign gp_bvalid = write_state == WRITE_ANSWER;
  assign lite_awaddr = {write_address[ADDRESS_BITS-1:2], 2'b00};
  assign lite_awvalid = write_state == WRITE_TELL && !address_told;
  assign lite_wvalid = write_state == WRITE_TELL && !data_told;
  assign lite_bready = write_state == WRITE_WAIT;

  // One bad beat makes a bad burst; the gravest of the codes is the largest.
  wire [1:0] beat_response = write_state == WRITE_WAIT ? lite_bresp : RESPONSE_DECODE_ERROR;
  wire beat_ends = write_state == WRITE_WAIT ? lite_bvalid
                                             : write_state == WRITE_DATA && gp_wvalid && !write_inside;

  always_ff @(posedge clk) begin
    if (!resetn) write_state <= WRITE_IDLE;
    else begin
      case (write_state)
        WRITE_IDLE: begin
          write_address <= gp_awaddr;
          write_length <= gp_awlen;
          write_left <= gp_awlen;
          write_size <= gp_awsize;
          write_burst <= gp_awburst;
          gp_bid <= gp_awid;
          gp_bresp <= RESPONSE_OKAY;
          if (gp_awvalid) write_state <= WRITE_LOOK;
        end
        WRITE_LOOK: begin
          write_inside <= in_window(write_address);
          write_state <= WRITE_DATA;
        end
        WRITE_DATA: begin
          lite_wdata <= gp_wdata;
          lite_wstrb <= gp_wstrb;
          address_told <= 1'b0;
          data_told <= 1'b0;
          if (gp_wvalid && write_inside) write_state <= WRITE_TELL;
        end
        WRITE_TELL: begin
          if (lite_awready) address_told <= 1'b1;
          if (lite_wready) data_told <= 1'b1;
          if ((address_told || lite_awready) && (data_told || lite_wready)) write_state <= WRITE_WAIT;
        end
        WRITE_WAIT: ;
        default: if (gp_bready) write_state <= WRITE_IDLE;
      endcase
      if (beat_ends) begin
        if (beat_response > gp_bresp) gp_bresp <= beat_response;
        write_left <= write_left - 4'd1;
        write_address <= next_address(write_address, write_length, write_size, write_burst);
        write_state <= write_left == 4'd0 ? WRITE_ANSWER : WRITE_LOOK;
      end
    end
  end

endmodule
