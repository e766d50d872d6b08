// The registers: an AXI4-Lite slave with the control map of Vitis HLS (offsets in snn_layout_pkg).
//
// `start` is a pulse; a start while the core runs is ignored, and so are writes to arguments. `soft_reset` is a pulse.
// `ends` with `end_code` and `end_detail` closes a run: done is set unless the run was `aborted`. One read and one write at
// a time; offsets without a register read as 0.
module snn_control #(
    parameter logic [31:0] BUILD_HASH = 32'd0
) (
    input logic clk,
    input logic reset,

    input  logic [8:0] axi_awaddr,
    input  logic axi_awvalid,
    output logic axi_awready,
    input  logic [31:0] axi_wdata,
    input  logic [3:0] axi_wstrb,
    input  logic axi_wvalid,
    output logic axi_wready,
    output logic [1:0] axi_bresp,
    output logic axi_bvalid,
    input  logic axi_bready,
    input  logic [8:0] axi_araddr,
    input  logic axi_arvalid,
    output logic axi_arready,
    output logic [31:0] axi_rdata,
    output logic [1:0] axi_rresp,
    output logic axi_rvalid,
    input  logic axi_rready,
    output logic interrupt_line,

    output logic start,
    output logic soft_reset,
    input  logic running,
    input  logic ends,
    input  logic aborted,
    input  logic [3:0] end_code,
    input  logic [31:0] end_detail,
    input  logic [63:0] cycles,

    output logic [3:0][63:0] window_address,
    output logic [3:0][31:0] window_bytes,
    output logic [31:0] images,
    output logic [31:0] watchdog_cycles
);

  localparam logic [8:0] CONTROL = snn_layout_pkg::REGISTER_CONTROL[8:0];
  localparam logic [8:0] GLOBAL_ENABLE = snn_layout_pkg::REGISTER_INTERRUPT_GLOBAL_ENABLE[8:0];
  localparam logic [8:0] ENABLE = snn_layout_pkg::REGISTER_INTERRUPT_ENABLE[8:0];
  localparam logic [8:0] STATUS = snn_layout_pkg::REGISTER_INTERRUPT_STATUS[8:0];
  localparam logic [8:0] PROGRAM_ADDRESS = snn_layout_pkg::REGISTER_PROGRAM_ADDRESS[8:0];
  localparam logic [8:0] PROGRAM_BYTES = snn_layout_pkg::REGISTER_PROGRAM_BYTES[8:0];
  localparam logic [8:0] INPUT_ADDRESS = snn_layout_pkg::REGISTER_INPUT_ADDRESS[8:0];
  localparam logic [8:0] INPUT_BYTES = snn_layout_pkg::REGISTER_INPUT_BYTES[8:0];
  localparam logic [8:0] WORKSPACE_ADDRESS = snn_layout_pkg::REGISTER_WORKSPACE_ADDRESS[8:0];
  localparam logic [8:0] WORKSPACE_BYTES = snn_layout_pkg::REGISTER_WORKSPACE_BYTES[8:0];
  localparam logic [8:0] OUTPUT_ADDRESS = snn_layout_pkg::REGISTER_OUTPUT_ADDRESS[8:0];
  localparam logic [8:0] OUTPUT_BYTES = snn_layout_pkg::REGISTER_OUTPUT_BYTES[8:0];
  localparam logic [8:0] IMAGES = snn_layout_pkg::REGISTER_IMAGES[8:0];
  localparam logic [8:0] WATCHDOG_CYCLES = snn_layout_pkg::REGISTER_WATCHDOG_CYCLES[8:0];
  localparam logic [8:0] CORE_ID = snn_layout_pkg::REGISTER_CORE_ID[8:0];
  localparam logic [8:0] CORE_VERSION = snn_layout_pkg::REGISTER_CORE_VERSION[8:0];
  localparam logic [8:0] HASH = snn_layout_pkg::REGISTER_BUILD_HASH[8:0];
  localparam logic [8:0] ERROR_CODE = snn_layout_pkg::REGISTER_ERROR_CODE[8:0];
  localparam logic [8:0] ERROR_DETAIL = snn_layout_pkg::REGISTER_ERROR_DETAIL[8:0];
  localparam logic [8:0] CYCLES_LOW = snn_layout_pkg::REGISTER_CYCLES_LOW[8:0];
  localparam logic [8:0] CYCLES_HIGH = snn_layout_pkg::REGISTER_CYCLES_HIGH[8:0];
  localparam logic [8:0] SOFT_RESET = snn_layout_pkg::REGISTER_SOFT_RESET[8:0];

  localparam logic [1:0] PROGRAM = snn_layout_pkg::REGION_PROGRAM[1:0];
  localparam logic [1:0] INPUTS = snn_layout_pkg::REGION_INPUT[1:0];
  localparam logic [1:0] WORKSPACE = snn_layout_pkg::REGION_WORKSPACE[1:0];
  localparam logic [1:0] OUTPUTS = snn_layout_pkg::REGION_OUTPUT[1:0];

  // --- writes: address and data are kept until both are there ---
  logic [8:0] write_address;
  logic [31:0] write_data;
  logic [3:0] write_strobe;
  logic write_address_here;
  logic write_data_here;
  logic writes;

  assign writes = write_address_here && write_data_here && !axi_bvalid;
  assign axi_awready = !write_address_here;
  assign axi_wready = !write_data_here;
  assign axi_bresp = 2'd0;

  always_ff @(posedge clk) begin
    if (axi_awready) write_address <= {axi_awaddr[8:2], 2'd0};
    if (axi_wready) begin
      write_data   <= axi_wdata;
      write_strobe <= axi_wstrb;
    end
    if (reset) begin
      write_address_here <= 1'b0;
      write_data_here    <= 1'b0;
      axi_bvalid         <= 1'b0;
    end else begin
      if (axi_awvalid) write_address_here <= 1'b1;
      if (axi_wvalid) write_data_here <= 1'b1;
      if (axi_bready) axi_bvalid <= 1'b0;
      if (writes) begin
        write_address_here <= 1'b0;
        write_data_here    <= 1'b0;
        axi_bvalid         <= 1'b1;
      end
    end
  end

  // Keeps the bytes whose strobe is off.
  function automatic logic [31:0] merged(input logic [31:0] present, input logic [31:0] data, input logic [3:0] strobe);
    merged = {
      strobe[3] ? data[31:24] : present[31:24],
      strobe[2] ? data[23:16] : present[23:16],
      strobe[1] ? data[15:8] : present[15:8],
      strobe[0] ? data[7:0] : present[7:0]
    };
  endfunction

  // --- arguments ---
  always_ff @(posedge clk) begin
    if (reset) begin
      window_address  <= '0;
      window_bytes    <= '0;
      images          <= '0;
      watchdog_cycles <= '0;
    end else if (writes && !running && !start) begin
      case (write_address)
        PROGRAM_ADDRESS:
        window_address[PROGRAM][31:0] <= merged(window_address[PROGRAM][31:0], write_data, write_strobe);
        PROGRAM_ADDRESS + 9'd4:
        window_address[PROGRAM][63:32] <= merged(window_address[PROGRAM][63:32], write_data, write_strobe);
        INPUT_ADDRESS:
        window_address[INPUTS][31:0] <= merged(window_address[INPUTS][31:0], write_data, write_strobe);
        INPUT_ADDRESS + 9'd4:
        window_address[INPUTS][63:32] <= merged(window_address[INPUTS][63:32], write_data, write_strobe);
        WORKSPACE_ADDRESS:
        window_address[WORKSPACE][31:0] <= merged(window_address[WORKSPACE][31:0], write_data, write_strobe);
        WORKSPACE_ADDRESS + 9'd4:
        window_address[WORKSPACE][63:32] <= merged(window_address[WORKSPACE][63:32], write_data, write_strobe);
        OUTPUT_ADDRESS:
        window_address[OUTPUTS][31:0] <= merged(window_address[OUTPUTS][31:0], write_data, write_strobe);
        OUTPUT_ADDRESS + 9'd4:
        window_address[OUTPUTS][63:32] <= merged(window_address[OUTPUTS][63:32], write_data, write_strobe);
        PROGRAM_BYTES: window_bytes[PROGRAM] <= merged(window_bytes[PROGRAM], write_data, write_strobe);
        INPUT_BYTES: window_bytes[INPUTS] <= merged(window_bytes[INPUTS], write_data, write_strobe);
        WORKSPACE_BYTES: window_bytes[WORKSPACE] <= merged(window_bytes[WORKSPACE], write_data, write_strobe);
        OUTPUT_BYTES: window_bytes[OUTPUTS] <= merged(window_bytes[OUTPUTS], write_data, write_strobe);
        IMAGES: images <= merged(images, write_data, write_strobe);
        WATCHDOG_CYCLES: watchdog_cycles <= merged(watchdog_cycles, write_data, write_strobe);
        default: ;  // read only, or no register
      endcase
    end
  end

  // --- start, done, interrupt ---
  logic done;
  logic ready;
  logic global_enable;
  logic enable;
  logic status;
  logic [3:0] error_code;
  logic [31:0] error_detail;
  logic control_was_read;  // clears done
  logic writes_low_byte;

  assign writes_low_byte = writes && write_strobe[0];

  always_ff @(posedge clk) begin
    if (reset) begin
      start         <= 1'b0;
      soft_reset    <= 1'b0;
      done          <= 1'b0;
      ready         <= 1'b0;
      global_enable <= 1'b0;
      enable        <= 1'b0;
      status        <= 1'b0;
      interrupt_line <= 1'b0;
      error_code    <= '0;
      error_detail  <= '0;
    end else begin
      start      <= 1'b0;
      soft_reset <= 1'b0;
      interrupt_line <= global_enable && status;
      if (control_was_read) done <= 1'b0;
      if (writes_low_byte) begin
        case (write_address)
          CONTROL:
          if (write_data[0] && !running && !start) begin
            start <= 1'b1;
            done  <= 1'b0;
            ready <= 1'b0;
          end
          GLOBAL_ENABLE: global_enable <= write_data[0];
          ENABLE: enable <= write_data[0];
          STATUS: if (write_data[0]) status <= 1'b0;
          SOFT_RESET:
          if (write_data[0]) begin
            soft_reset <= 1'b1;
            done       <= 1'b0;
            ready      <= 1'b0;
          end
          default: ;
        endcase
      end
      if (ends) begin
        error_code   <= end_code;
        error_detail <= end_detail;
        if (!aborted) begin
          done  <= 1'b1;
          ready <= 1'b1;
          if (enable) status <= 1'b1;
        end
      end
    end
  end

  // --- reads: the address is kept, then the value selected, then sent ---
  logic [8:0] read_address;
  logic read_address_here;
  logic placed;    // `argument_place` follows from the address
  logic selected;  // `argument` and `state` too
  logic reads;
  logic [31:0] argument;  // one of the two is 0
  logic [31:0] state;

  assign reads = selected && !axi_rvalid;
  assign axi_arready = !read_address_here;
  assign axi_rresp = 2'd0;
  // Only what software gets to see is cleared.
  assign control_was_read = reads && read_address == CONTROL && state[1];

  // Of the arguments, first the place among them.
  logic [3:0] argument_place;
  logic [15:0][31:0] arguments;

  always_comb begin
    for (int region = 0; region < 4; region++) begin
      arguments[2*region] = window_address[region][31:0];
      arguments[2*region+1] = window_address[region][63:32];
      arguments[8+region] = window_bytes[region];
    end
    arguments[12] = images;
    arguments[13] = watchdog_cycles;
    arguments[15:14] = '0;
  end

  always_ff @(posedge clk) begin
    case (read_address)
      PROGRAM_ADDRESS: argument_place <= {1'b0, PROGRAM, 1'b0};
      PROGRAM_ADDRESS + 9'd4: argument_place <= {1'b0, PROGRAM, 1'b1};
      INPUT_ADDRESS: argument_place <= {1'b0, INPUTS, 1'b0};
      INPUT_ADDRESS + 9'd4: argument_place <= {1'b0, INPUTS, 1'b1};
      WORKSPACE_ADDRESS: argument_place <= {1'b0, WORKSPACE, 1'b0};
      WORKSPACE_ADDRESS + 9'd4: argument_place <= {1'b0, WORKSPACE, 1'b1};
      OUTPUT_ADDRESS: argument_place <= {1'b0, OUTPUTS, 1'b0};
      OUTPUT_ADDRESS + 9'd4: argument_place <= {1'b0, OUTPUTS, 1'b1};
      PROGRAM_BYTES: argument_place <= {2'b10, PROGRAM};
      INPUT_BYTES: argument_place <= {2'b10, INPUTS};
      WORKSPACE_BYTES: argument_place <= {2'b10, WORKSPACE};
      OUTPUT_BYTES: argument_place <= {2'b10, OUTPUTS};
      IMAGES: argument_place <= 4'd12;
      WATCHDOG_CYCLES: argument_place <= 4'd13;
      default: argument_place <= 4'd15;
    endcase
    argument <= arguments[argument_place];
    case (read_address)
      CONTROL: state <= {28'd0, ready, !running && !start, done, running || start};
      GLOBAL_ENABLE: state <= {31'd0, global_enable};
      ENABLE: state <= {31'd0, enable};
      STATUS: state <= {31'd0, status};
      CORE_ID: state <= snn_layout_pkg::CORE_ID;
      CORE_VERSION: state <= snn_layout_pkg::LAYOUT_VERSION;
      HASH: state <= BUILD_HASH;
      ERROR_CODE: state <= {28'd0, error_code};
      ERROR_DETAIL: state <= error_detail;
      CYCLES_LOW: state <= cycles[31:0];
      CYCLES_HIGH: state <= cycles[63:32];
      default: state <= '0;
    endcase
  end

  always_ff @(posedge clk) begin
    if (axi_arready) read_address <= {axi_araddr[8:2], 2'd0};
    if (reads) axi_rdata <= argument | state;
    if (reset) begin
      read_address_here <= 1'b0;
      placed            <= 1'b0;
      selected          <= 1'b0;
      axi_rvalid        <= 1'b0;
    end else begin
      placed   <= read_address_here && !reads;
      selected <= placed && !reads;
      if (axi_arvalid) read_address_here <= 1'b1;
      if (axi_rready) axi_rvalid <= 1'b0;
      if (reads) begin
        read_address_here <= 1'b0;
        axi_rvalid        <= 1'b1;
      end
    end
  end

  logic unused;
  assign unused = ^{axi_awaddr[1:0], axi_araddr[1:0]};

endmodule
