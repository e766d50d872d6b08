// One half of the core: registers, the program, and memory. The other half is snn_compute.
//
// Joins the modules that docs/hardware.md shows. Handshakes with snn_compute are those of its header; `compute_reset` is
// up from the end of a run until the next one starts.
module snn_memory #(
    parameter logic [31:0] BUILD_HASH = 32'd0
) (
    input  logic clk,
    input  logic reset,
    output logic interrupt_line,

    // snn_compute
    output logic compute_reset,
    output logic layer_valid,
    input  logic layer_ready,
    output snn_types_pkg::layer_t layer,
    input  logic layer_done,
    input  logic [63:0] layer_additions,
    input  logic [63:0] layer_spikes,
    input  logic busy_computing,
    input  logic [9:0] tap_address,
    output snn_types_pkg::tap_t tap,
    input  logic weight_request_valid,
    output logic weight_request_ready,
    input  snn_types_pkg::read_request_t weight_request,
    output logic [1:0] weight_data_valid,
    output logic [1:0][15:0] weight_data_index,
    output logic [1:0][63:0] weight_data,
    input  logic map_request_valid,
    output logic map_request_ready,
    input  snn_types_pkg::read_request_t map_request,
    output logic map_data_valid,
    output logic [15:0] map_data_index,
    output logic [63:0] map_data,
    input  logic write_request_valid,
    output logic write_request_ready,
    input  snn_types_pkg::write_request_t write_request,
    input  logic write_data_valid,
    output logic write_data_ready,
    input  logic [63:0] write_data,
    output logic writes_idle,

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

  // --- registers ---
  logic start;
  logic soft_reset;
  logic running;
  logic ends;
  logic aborted;
  logic [3:0] end_code;
  logic [31:0] end_detail;
  logic [63:0] cycles;
  logic [3:0][63:0] window_address;
  logic [3:0][31:0] window_bytes;
  logic [31:0] images;
  logic [31:0] watchdog_cycles;

  snn_control #(
      .BUILD_HASH(BUILD_HASH)
  ) control (
      .clk,
      .reset,
      .axi_awaddr(s_axi_awaddr),
      .axi_awvalid(s_axi_awvalid),
      .axi_awready(s_axi_awready),
      .axi_wdata(s_axi_wdata),
      .axi_wstrb(s_axi_wstrb),
      .axi_wvalid(s_axi_wvalid),
      .axi_wready(s_axi_wready),
      .axi_bresp(s_axi_bresp),
      .axi_bvalid(s_axi_bvalid),
      .axi_bready(s_axi_bready),
      .axi_araddr(s_axi_araddr),
      .axi_arvalid(s_axi_arvalid),
      .axi_arready(s_axi_arready),
      .axi_rdata(s_axi_rdata),
      .axi_rresp(s_axi_rresp),
      .axi_rvalid(s_axi_rvalid),
      .axi_rready(s_axi_rready),
      .interrupt_line,
      .start,
      .soft_reset,
      .running,
      .ends,
      .aborted,
      .end_code,
      .end_detail,
      .cycles,
      .window_address,
      .window_bytes,
      .images,
      .watchdog_cycles
  );

  // --- beginning and end of a run ---
  logic program_start;
  logic stop;
  logic clear;
  logic program_finished;
  snn_memory_pkg::outcome_t program_outcome;
  logic fence_error;
  logic fence_bus_error;
  logic [1:0] fence_client;
  logic [1:0] fence_region;
  logic [1:0] read_bus_error;
  logic write_bus_error;
  logic [1:0] reads_idle;
  logic write_port_idle;
  logic [7:0] layer_index;  // of the layer that is read
  logic [7:0] layer_under_way;  // of the layer that computes
  logic [7:0] fence_layer;
  logic bus_error;

  assign fence_layer = fence_client == snn_memory_pkg::CLIENT_COMMAND ? layer_index : layer_under_way;
  assign bus_error = fence_bus_error || read_bus_error != '0 || write_bus_error;
  assign compute_reset = clear;

  snn_run_control run_control (
      .clk,
      .reset,
      .start,
      .soft_reset,
      .watchdog_cycles,
      .running,
      .ends,
      .aborted,
      .end_code,
      .end_detail,
      .cycles,
      .program_finished,
      .program_outcome,
      .bus_error,
      .fence_error,
      .fence_region,
      .fence_layer,
      .layer_under_way,
      .program_start,
      .stop,
      .clear,
      .drained(reads_idle == '1 && write_port_idle)
  );

  // --- the program ---
  logic command_request_valid;
  logic command_request_ready;
  snn_types_pkg::read_request_t command_request;
  logic command_data_valid;
  logic [15:0] command_data_index;
  logic [1:0][63:0] read_data;
  logic program_checked;
  logic [31:0] record_offset;
  logic layer_active;

  snn_command command (
      .clk,
      .reset(clear),
      .start(program_start),
      .window_bytes,
      .window_address,
      .images,
      .request_valid(command_request_valid),
      .request_ready(command_request_ready),
      .request(command_request),
      .data_valid(command_data_valid),
      .data_index(command_data_index),
      .data(read_data[0]),
      .layer_valid,
      .layer_ready,
      .layer,
      .layer_index,
      .tap_address,
      .tap,
      .program_checked,
      .record_offset,
      .settled(!layer_active && writes_idle),
      .finished(program_finished),
      .outcome(program_outcome)
  );

  always_ff @(posedge clk) begin
    if (clear) begin
      layer_active    <= 1'b0;
      layer_under_way <= '0;
    end else if (layer_valid && layer_ready) begin
      layer_active    <= 1'b1;
      layer_under_way <= layer_index;
    end else if (layer_done) layer_active <= 1'b0;
  end

  // --- counters ---
  // snn_compute asks for weights of the layer that is offered when it has asked for all of the present one's. In a program
  // weights follow the order of layers, which tells the two apart.
  logic weight_ahead;
  assign weight_ahead = !layer_active || (layer_valid && !layer.max_pool && weight_request.offset[31:0] >= layer.weight_offset);

  logic result_request_valid;
  logic result_request_ready;
  snn_types_pkg::write_request_t result_request;
  logic result_data_valid;
  logic result_data_ready;
  logic [63:0] result_data;
  logic record_writing;

  snn_layer_record layer_record (
      .clk,
      .reset(clear),
      .counting(program_checked && !program_finished),
      .busy_computing,
      .layer_taken(layer_valid && layer_ready),
      .layer_done,
      .additions(layer_additions),
      .spikes(layer_spikes),
      .command_asked(command_request_valid && command_request_ready),
      .command_words(command_request.words),
      .weight_asked(weight_request_valid && weight_request_ready),
      .weight_words(weight_request.words),
      .weight_ahead,
      .map_asked(map_request_valid && map_request_ready),
      .map_words(map_request.words),
      .record_offset,
      .result_request_valid(write_request_valid),
      .result_request_ready(write_request_ready),
      .result_request(write_request),
      .result_data_valid(write_data_valid),
      .result_data_ready(write_data_ready),
      .result_data(write_data),
      .request_valid(result_request_valid),
      .request_ready(result_request_ready),
      .request(result_request),
      .data_valid(result_data_valid),
      .data_ready(result_data_ready),
      .data(result_data),
      .writing(record_writing)
  );

  // --- the fence ---
  logic [3:0] passed_valid;
  snn_memory_pkg::fenced_request_t passed;
  logic [1:0] whole_room;
  logic [1:0] shared_room;
  logic write_room;
  logic [3:0] room;
  logic [3:0] request_ready;

  assign room = {write_room, whole_room[1], shared_room == '1, whole_room[0]};
  assign command_request_ready = request_ready[snn_memory_pkg::CLIENT_COMMAND];
  assign weight_request_ready = request_ready[snn_memory_pkg::CLIENT_WEIGHTS];
  assign map_request_ready = request_ready[snn_memory_pkg::CLIENT_MAPS];
  assign result_request_ready = request_ready[snn_memory_pkg::CLIENT_RESULTS];

  snn_fence fence (
      .clk,
      .reset(clear),
      .stop,
      .window_bytes,
      .window_address,
      .request_valid({result_request_valid, map_request_valid, weight_request_valid, command_request_valid}),
      .request_ready,
      .command_request,
      .weight_request,
      .map_request,
      .result_request,
      .room,
      .passed_valid,
      .passed,
      .fence_error,
      .bus_error(fence_bus_error),
      .error_client(fence_client),
      .error_region(fence_region)
  );

  // --- reads: the program and weights through port 0, maps and weights through port 1 ---
  snn_read_port read_port_0 (
      .clk,
      .reset,
      .clear,
      .stop,
      .parity(1'b0),
      .whole_valid(passed_valid[snn_memory_pkg::CLIENT_COMMAND]),
      .whole_request(passed),
      .whole_room(whole_room[0]),
      .whole_data_valid(command_data_valid),
      .whole_data_index(command_data_index),
      .shared_valid(passed_valid[snn_memory_pkg::CLIENT_WEIGHTS]),
      .shared_request(passed),
      .shared_room(shared_room[0]),
      .shared_data_valid(weight_data_valid[0]),
      .shared_data_index(weight_data_index[0]),
      .data(read_data[0]),
      .bus_error(read_bus_error[0]),
      .idle(reads_idle[0]),
      .axi_araddr(m0_axi_araddr),
      .axi_arlen(m0_axi_arlen),
      .axi_arsize(m0_axi_arsize),
      .axi_arburst(m0_axi_arburst),
      .axi_arcache(m0_axi_arcache),
      .axi_arprot(m0_axi_arprot),
      .axi_arid(m0_axi_arid),
      .axi_arvalid(m0_axi_arvalid),
      .axi_arready(m0_axi_arready),
      .axi_rdata(m0_axi_rdata),
      .axi_rresp(m0_axi_rresp),
      .axi_rid(m0_axi_rid),
      .axi_rlast(m0_axi_rlast),
      .axi_rvalid(m0_axi_rvalid),
      .axi_rready(m0_axi_rready)
  );

  snn_read_port read_port_1 (
      .clk,
      .reset,
      .clear,
      .stop,
      .parity(1'b1),
      .whole_valid(passed_valid[snn_memory_pkg::CLIENT_MAPS]),
      .whole_request(passed),
      .whole_room(whole_room[1]),
      .whole_data_valid(map_data_valid),
      .whole_data_index(map_data_index),
      .shared_valid(passed_valid[snn_memory_pkg::CLIENT_WEIGHTS]),
      .shared_request(passed),
      .shared_room(shared_room[1]),
      .shared_data_valid(weight_data_valid[1]),
      .shared_data_index(weight_data_index[1]),
      .data(read_data[1]),
      .bus_error(read_bus_error[1]),
      .idle(reads_idle[1]),
      .axi_araddr(m1_axi_araddr),
      .axi_arlen(m1_axi_arlen),
      .axi_arsize(m1_axi_arsize),
      .axi_arburst(m1_axi_arburst),
      .axi_arcache(m1_axi_arcache),
      .axi_arprot(m1_axi_arprot),
      .axi_arid(m1_axi_arid),
      .axi_arvalid(m1_axi_arvalid),
      .axi_arready(m1_axi_arready),
      .axi_rdata(m1_axi_rdata),
      .axi_rresp(m1_axi_rresp),
      .axi_rid(m1_axi_rid),
      .axi_rlast(m1_axi_rlast),
      .axi_rvalid(m1_axi_rvalid),
      .axi_rready(m1_axi_rready)
  );

  assign weight_data = read_data;
  assign map_data = read_data[1];

  // --- writes ---
  logic write_done;
  logic [3:0] open_writes;  // requests that are not completely issued

  snn_write_port write_port (
      .clk,
      .reset,
      .clear,
      .stop,
      .request_valid(passed_valid[snn_memory_pkg::CLIENT_RESULTS]),
      .request(passed),
      .room(write_room),
      .request_done(write_done),
      .data_valid(result_data_valid),
      .data_ready(result_data_ready),
      .data(result_data),
      .bus_error(write_bus_error),
      .idle(write_port_idle),
      .axi_awaddr(m0_axi_awaddr),
      .axi_awlen(m0_axi_awlen),
      .axi_awsize(m0_axi_awsize),
      .axi_awburst(m0_axi_awburst),
      .axi_awcache(m0_axi_awcache),
      .axi_awprot(m0_axi_awprot),
      .axi_awid(m0_axi_awid),
      .axi_awvalid(m0_axi_awvalid),
      .axi_awready(m0_axi_awready),
      .axi_wdata(m0_axi_wdata),
      .axi_wstrb(m0_axi_wstrb),
      .axi_wid(m0_axi_wid),
      .axi_wlast(m0_axi_wlast),
      .axi_wvalid(m0_axi_wvalid),
      .axi_wready(m0_axi_wready),
      .axi_bresp(m0_axi_bresp),
      .axi_bid(m0_axi_bid),
      .axi_bvalid(m0_axi_bvalid),
      .axi_bready(m0_axi_bready)
  );

  always_ff @(posedge clk) begin
    if (clear) open_writes <= '0;
    else begin
      open_writes <= open_writes + {3'd0, result_request_valid && result_request_ready} - {3'd0, write_done};
    end
  end

  assign writes_idle = open_writes == '0 && write_port_idle && !record_writing && !result_request_valid;

endmodule
