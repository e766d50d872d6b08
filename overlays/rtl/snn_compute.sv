// The half of the core that turns weights and rows of spike maps into rows of spikes.
//
// Takes a layer with `layer_valid && layer_ready`, one at a time; its fields have to stay for one more cycle. `layer_done`
// is a pulse when all its results have been written and acknowledged, and the layer's counters are valid in that cycle.
// While a layer is offered and another one computes, the offered one's geometry is derived and its first weights are asked
// for. Handshakes and what comes back without back-pressure: see the ports below and docs/hardware.md.
module snn_compute (
    input  logic                           clk,
    input  logic                           reset,
    input  logic                           layer_valid,
    output logic                           layer_ready,
    input  snn_types_pkg::layer_t          layer,
    output logic                           layer_done,
    output logic [63:0]                    layer_additions,
    output logic [63:0]                    layer_spikes,
    output logic                           busy_computing,
    output logic [9:0]                     tap_address,
    input  snn_types_pkg::tap_t            tap,
    output logic                           weight_request_valid,
    input  logic                           weight_request_ready,
    output snn_types_pkg::read_request_t   weight_request,
    input  logic [1:0]                     weight_data_valid,
    input  logic [1:0][15:0]               weight_data_index,
    input  logic [1:0][63:0]               weight_data,
    output logic                           map_request_valid,
    input  logic                           map_request_ready,
    output snn_types_pkg::read_request_t   map_request,
    input  logic                           map_data_valid,
    input  logic [15:0]                    map_data_index,
    input  logic [63:0]                    map_data,
    output logic                           write_request_valid,
    input  logic                           write_request_ready,
    output snn_types_pkg::write_request_t  write_request,
    output logic                           write_data_valid,
    input  logic                           write_data_ready,
    output logic [63:0]                    write_data,
    input  logic                           writes_idle
);

  // --- layers --------------------------------------------------------------------------------------------------------

  typedef enum logic [2:0] {IDLE, TAKE, START, RUN, ACKNOWLEDGE} state_t;
  state_t state;
  snn_types_pkg::layer_t now;           // the layer that computes
  snn_compute_pkg::held_t held0, held1;
  logic [12:0] output_row_words;
  snn_compute_pkg::held_t next_held0, next_held1;  // of the layer that is offered
  logic [12:0] next_output_row_words;
  logic looked_ahead;  // at the layer that is offered
  logic taken;         // in the cycle before
  logic setup_done, setup_is_current, loader_idle, writer_done;
  logic [1:0] pause;   // for `writes_idle` to know of the last request

  wire look_ahead = layer_valid && !looked_ahead && loader_idle;
  wire start = state == START;
  wire takes = layer_valid && layer_ready;

  assign layer_ready = state == IDLE && looked_ahead && setup_is_current && setup_done;

  always_ff @(posedge clk) begin
    layer_done <= 1'b0;
    if (reset) begin
      state <= IDLE;
      looked_ahead <= 1'b0;
      setup_is_current <= 1'b0;
    end else begin
      if (look_ahead) looked_ahead <= 1'b1;
      else if (takes) looked_ahead <= 1'b0;
      setup_is_current <= looked_ahead && !takes;
      case (state)
        IDLE: if (takes) state <= TAKE;
        TAKE: state <= START;
        START: state <= RUN;
        RUN: begin
          pause <= '1;
          if (writer_done) state <= ACKNOWLEDGE;
        end
        default: begin
          if (pause != 0) pause <= pause - 1'b1;
          else if (writes_idle) begin
            state <= IDLE;
            layer_done <= 1'b1;
          end
        end
      endcase
    end
    taken <= takes;
    if (taken) begin  // what was offered stays for more than a cycle
      now <= layer;
      held0 <= next_held0;
      held1 <= next_held1;
      output_row_words <= next_output_row_words;
    end
  end

  snn_layer_setup setup (
      .clk, .reset, .start(look_ahead), .layer, .done(setup_done),
      .held0(next_held0), .held1(next_held1), .output_row_words(next_output_row_words)
  );

  wire [4:0] place_words = now.input_planes[5:1];
  logic pairs;  // the sums of the two planes are kept apart
  always_ff @(posedge clk) pairs <= now.firing == 2'(snn_layout_pkg::FIRING_STEPWISE) && !now.binary_in;

  // --- weights and parameters ----------------------------------------------------------------------------------------

  snn_compute_pkg::row_write_t row;
  logic slot_free, slot_taken;
  logic [9:0] released, complete;
  wire row_of_weights = row.valid && !row.parameters;

  snn_weight_loader weight_loader (
      .clk, .reset, .start(look_ahead && !layer.max_pool), .weight_offset(layer.weight_offset),
      .weight_blocks(layer.weight_blocks), .groups(layer.output_groups), .idle(loader_idle),
      .request_valid(weight_request_valid), .request_ready(weight_request_ready), .request(weight_request),
      .row_arrives(row_of_weights), .row_block(row.index[8:5]), .slot_free, .slot_taken, .released, .complete
  );

  snn_row_collector row_collector (
      .clk, .reset, .data_valid(weight_data_valid), .data_index(weight_data_index), .data(weight_data), .row
  );

  logic neurons_done, neurons_ready, sums_done, sums_ready;
  logic [31:0][31:0] initial_potential, bias, not_threshold, shortcut;

  snn_parameters parameters (
      .clk, .reset, .row, .slot_taken, .slot_free, .neurons_done, .neurons_ready, .initial_potential, .bias,
      .not_threshold, .sums_done, .sums_ready, .shortcut
  );

  // --- maps ----------------------------------------------------------------------------------------------------------

  logic map_write, conflict, row_write;
  logic [13:0] map_write_address, row_address;
  logic [63:0] map_write_data;
  logic [1:0][11:0] needed, loaded;
  logic [9:0] row_index;
  logic [1:0] read;
  logic [1:0][13:0] read_address;
  logic [1:0][63:0] read_word;

  snn_map_loader map_loader (
      .clk, .reset, .start, .layer(now), .held0, .held1,
      .request_valid(map_request_valid), .request_ready(map_request_ready), .request(map_request),
      .data_valid(map_data_valid), .data_index(map_data_index), .data(map_data),
      .write_valid(map_write), .write_address(map_write_address), .write_data(map_write_data),
      .needed, .loaded, .row_write, .row_index, .row_address
  );

  snn_line_buffer line_buffer (
      .clk, .write(map_write), .write_address(map_write_address), .write_data(map_write_data),
      .read, .read_address, .conflict, .word(read_word)
  );

  // --- from taps to words with spikes --------------------------------------------------------------------------------

  logic place_valid, place_ready;
  snn_compute_pkg::place_t place;
  logic scanned_valid, words_valid, words_ready, popper_ready, max_pool_ready;
  snn_compute_pkg::words_t scanned, words;
  logic [8:0] queued;
  logic hold, row_passed;

  snn_sequencer sequencer (
      .clk, .reset, .start, .layer(now), .held0, .held1, .tap_address, .tap, .needed, .row_passed, .loaded,
      .row_write, .row_index, .row_address, .place_valid, .place_ready, .place
  );

  always_ff @(posedge clk) hold <= queued > 9'd480;

  snn_scanner scanner (
      .clk, .reset, .max_pool(now.max_pool), .place_words, .weight_blocks(now.weight_blocks), .held0, .held1,
      .place_valid, .place_ready, .place, .complete, .hold, .read, .read_address, .conflict, .read_word, .row_passed,
      .words_valid(scanned_valid), .words(scanned)
  );

  snn_block_fifo #(.WIDTH(snn_compute_pkg::WORDS_BITS), .DEPTH_BITS(9)) queue (
      .clk, .reset, .in_valid(scanned_valid), .in_data(scanned),
      .out_valid(words_valid), .out_ready(words_ready), .out_data(words), .count(queued)
  );

  assign words_ready = max_pool_ready || popper_ready;  // only one of them is enabled

  // --- sums ----------------------------------------------------------------------------------------------------------

  logic [7:0] first_read, second_read;
  logic [7:0][9:0] first_row, second_row;
  logic [7:0][1:0] first_planes, second_planes;
  logic [7:0][255:0] first, second;
  snn_compute_pkg::pass_end_t pass_end;
  logic may_hand_over, handed, handed_group_end;
  logic [31:0][31:0] earlier_sum, later_sum;
  logic spikes_popped_valid, spikes_are_shortcut;
  logic [6:0] spikes_popped;
  logic [255:0] write_row_data;

  snn_popper popper (
      .clk, .reset, .enable(!now.max_pool), .needs_shortcut(now.shortcut), .sums_done, .sums_ready, .may_hand_over,
      .words_valid, .words_ready(popper_ready), .words, .write(row.bank),
      .first_read, .first_row, .first_planes, .second_read, .second_row, .second_planes, .pass_end
  );

  for (genvar i = 0; i < 8; i++) begin : banks
    snn_weight_bank bank (
        .clk, .write(row.bank[i]), .write_row(row.index[12:3]),
        .write_data(write_row_data), .read_first(first_read[i]), .first_row(first_row[i]),
        .read_second(second_read[i]), .second_row(second_row[i]), .first(first[i]), .second(second[i])
    );
  end

  always_ff @(posedge clk) begin
    if (row_of_weights) write_row_data <= row.data;
    if (reset) released <= '0;
    else if (pass_end.valid && pass_end.group_end) released <= released + {1'b0, now.weight_blocks};
  end

  snn_sums sums (
      .clk, .reset, .fraction_bits(now.fraction_bits), .binary(now.binary_in), .pairs,
      .first_read, .first_planes, .second_read, .second_planes, .pass_end, .first, .second, .shortcut,
      .handed, .handed_group_end, .sums_done, .earlier_sum, .later_sum,
      .spikes_valid(spikes_popped_valid), .spikes_are_shortcut, .spikes_popped
  );

  // --- neurons and results -------------------------------------------------------------------------------------------

  logic out_room, out_room_ahead, neurons_out, max_pool_out, out_valid;
  logic [63:0] neurons_word, max_pool_word, out_word;
  logic neurons_active, max_pool_active, neurons_spikes_valid, max_pool_spikes_valid;
  logic [5:0] neurons_spikes;
  logic [37:0] max_pool_spikes;

  snn_neurons neurons (
      .clk, .reset, .start, .firing(now.firing), .hard_reset(now.hard_reset), .leak_shift(now.leak_shift),
      .binary_in(now.binary_in), .binary_out(now.binary_out), .timesteps(now.timesteps),
      .output_planes(now.output_planes), .groups(now.output_groups), .last_lanes(now.output_channels[4:0]),
      .hand_begun(pass_end.valid && pass_end.hand_over), .may_hand_over, .handed, .handed_group_end,
      .earlier_sum, .later_sum, .parameters_ready(neurons_ready), .parameters_done(neurons_done),
      .initial_potential, .bias, .not_threshold, .out_room, .out_room_ahead, .out_valid(neurons_out),
      .out_word(neurons_word), .active(neurons_active), .spikes_valid(neurons_spikes_valid),
      .spikes_fired(neurons_spikes)
  );

  snn_max_pool max_pool (
      .clk, .reset, .enable(now.max_pool), .binary(now.binary_in), .place_words, .words_valid,
      .words_ready(max_pool_ready), .words, .out_room, .out_valid(max_pool_out), .out_word(max_pool_word),
      .active(max_pool_active), .spikes_valid(max_pool_spikes_valid), .spikes(max_pool_spikes)
  );

  always_ff @(posedge clk) begin
    out_valid <= !reset && (neurons_out || max_pool_out);
    if (neurons_out || max_pool_out) out_word <= now.max_pool ? max_pool_word : neurons_word;
  end

  snn_output_writer writer (
      .clk, .reset, .start, .region(now.output_region), .first_offset(now.output_first_offset),
      .image_bytes(now.output_image_bytes), .block_bytes(now.output_block_bytes), .row_words(output_row_words),
      .height(now.output_height), .groups(now.output_groups), .images(now.images),
      .in_valid(out_valid), .in_word(out_word), .room(out_room), .room_ahead(out_room_ahead),
      .request_valid(write_request_valid), .request_ready(write_request_ready), .request(write_request),
      .data_valid(write_data_valid), .data_ready(write_data_ready), .data(write_data), .done(writer_done)
  );

  // --- counters ------------------------------------------------------------------------------------------------------

  logic [6:0] group;  // of the passes that are being popped
  logic [1:0] group_ended;  // delayed as the spikes that are counted
  logic [5:0] lanes;
  logic [11:0] additions;

  always_ff @(posedge clk) begin
    busy_computing <= !reset && (first_read != 8'd0 || neurons_active || max_pool_active);
    group_ended <= {group_ended[0], pass_end.valid && pass_end.group_end};
    if (start) group <= '0;
    else if (group_ended[1]) group <= group + 1'b1;
    lanes <= group == now.output_groups - 1'b1 && now.output_channels[4:0] != 0 ? {1'b0, now.output_channels[4:0]} : 6'd32;
    additions <= !spikes_popped_valid ? 12'd0 : spikes_are_shortcut ? {5'd0, spikes_popped} : spikes_popped[5:0] * lanes;
    if (start) begin
      layer_additions <= '0;
      layer_spikes <= '0;
    end else begin
      layer_additions <= layer_additions + {52'd0, additions};
      if (neurons_spikes_valid) layer_spikes <= layer_spikes + {58'd0, neurons_spikes};
      if (max_pool_spikes_valid) layer_spikes <= layer_spikes + {26'd0, max_pool_spikes};
    end
  end

endmodule
