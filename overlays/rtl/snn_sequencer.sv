// Walks through a layer: group, image, row, column, pass (pair of planes), tap; then the identity shortcut, if any.
//
// Each step becomes a place in the line buffer: `place` is valid with `place_valid` and leaves with `place_ready`. Taps
// outside the map are dropped, except for the end of a pass. A row begins when the rows of the sources that it reaches are
// there (`loaded`); `needed` says which rows may be overwritten, because the scanner has passed the last output row that
// reaches them (`row_passed`). In max pooling layers there is one pass. The tap memory
// answers one cycle after `tap_address`. `start` begins a layer; `layer`, `held0` and `held1` stay until it ends.
module snn_sequencer (
    input  logic                         clk,
    input  logic                         reset,
    input  logic                         start,
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
    input  snn_types_pkg::layer_t        layer,
  /* verilator lint_on UNUSEDSIGNAL */
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
    input  snn_compute_pkg::held_t       held0,
  /* verilator lint_on UNUSEDSIGNAL */
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
    input  snn_compute_pkg::held_t       held1,
  /* verilator lint_on UNUSEDSIGNAL */
    output logic [9:0]                   tap_address,
    input  snn_types_pkg::tap_t          tap,
    output logic [1:0][11:0]             needed,
    input  logic                         row_passed,
    input  logic [1:0][11:0]             loaded,
    input  logic                         row_write,
    input  logic [9:0]                   row_index,
    input  logic [13:0]                  row_address,
    output logic                         place_valid,
    input  logic                         place_ready,
    output snn_compute_pkg::place_t      place
);

  // --- steps ---------------------------------------------------------------------------------------------------------

  typedef enum logic [2:0] {IDLE, GROUP, IMAGE, COMPARE, WAIT, STEP} state_t;
  state_t state;

  logic [6:0] group;
  logic [10:0] image;
  logic [8:0] y, x;
  logic [3:0] pass;
  logic [9:0] tap_number;
  logic at_shortcut;
  logic [1:0][11:0] image_row;        // number of each source's row 0 in this image
  logic [1:0][17:0] origin_y, origin_x;

  wire stepwise_pairs = layer.firing == 2'(snn_layout_pkg::FIRING_STEPWISE) && !layer.binary_in;
  wire [5:0] planes = layer.binary_in ? layer.input_planes : layer.timesteps;

  // Whether the step's tap, pass, column, row, image and group are the last ones, as registers: much hangs on them. Of
  // what may change in every step it is known a step ahead, of the others before the next step.
  logic last_tap, last_pass, last_column, last_row, last_image, last_group;
  logic one_tap, one_pass, one_column;  // of the layer, and the numbers before the last ones
  logic [9:0] tap_before_last;
  logic [3:0] pass_before_last;
  logic [8:0] column_before_last;

  always_ff @(posedge clk) begin
    one_tap <= layer.tap_count == 11'd1;
    one_pass <= layer.max_pool || planes <= 6'd2;
    one_column <= layer.output_width == 9'd1;
    tap_before_last <= 10'(layer.tap_count - 11'd2);
    pass_before_last <= 4'((planes - 6'd3) >> 1);
    column_before_last <= layer.output_width - 9'd2;
    last_row <= y == layer.output_height - 1'b1;
    last_image <= image == layer.images - 1'b1;
    last_group <= group == layer.output_groups - 1'b1;
  end

  wire ends_pass = layer.shortcut ? at_shortcut : last_tap;
  wire ends_place = ends_pass && last_pass;
  wire ends_row = ends_place && last_column;
  wire ends_image = ends_row && last_row;
  wire ends_group = ends_image && last_image;
  wire ends_layer = ends_group && last_group;

  logic [3:0] credits;  // places that the stages and the queue below can still take
  wire steps = state == STEP && credits != 0;

  // Rows that output row y reaches, cut to the map: first to last - 1.
  logic [1:0][8:0] first, last;
  logic [1:0][11:0] needed_base;

  // Rows before `first` are free when the scanner has passed the row before; the walk may be one row ahead of that.
  logic [1:0] rows_in_scan;  // whose last step has been made, but not been scanned
  logic needed_waits;
  wire [1:0][11:0] needed_next = {needed_base[1] + 12'(first[1]), needed_base[0] + 12'(first[0])};

  function automatic logic [8:0] cut(input logic signed [17:0] row, input logic [8:0] height);
    cut = row < 18'sd0 ? 9'd0 : row > signed'({9'd0, height}) ? height : row[8:0];
  endfunction

  function automatic logic rows_are_there(
      input logic used, input logic [8:0] from, input logic [8:0] to, input logic [11:0] base, input logic [11:0] there);
  /* verilator lint_off UNUSEDSIGNAL */  // only its sign matters
    logic [11:0] ahead;
  /* verilator lint_on UNUSEDSIGNAL */
    ahead = there - base - 12'(to);
    rows_are_there = !used || from >= to || !ahead[11];
  endfunction

  assign tap_address = tap_number;

  always_ff @(posedge clk) begin
    if (reset) state <= IDLE;
    else begin
      case (state)
        IDLE: begin
          group <= '0;
          image_row <= '0;
          needed <= '0;
          needed_waits <= 1'b0;
          rows_in_scan <= '0;
          if (start) state <= GROUP;
        end
        GROUP: begin
          image <= '0;
          if (held0.resident) image_row[0] <= '0;
          if (held1.resident) image_row[1] <= '0;
          state <= IMAGE;
        end
        IMAGE: begin
          y <= '0;
          origin_y <= '0;
          state <= COMPARE;
        end
        COMPARE: if (!needed_waits) begin
          x <= '0;
          origin_x <= '0;
          pass <= '0;
          tap_number <= '0;
          last_tap <= one_tap;
          last_pass <= one_pass;
          last_column <= one_column;
          at_shortcut <= 1'b0;
          first[0] <= cut(signed'(origin_y[0]) + 18'(signed'(held0.first_dy)), held0.height);
          first[1] <= cut(signed'(origin_y[1]) + 18'(signed'(held1.first_dy)), held1.height);
          needed_base <= image_row;
          last[0] <= cut(signed'(origin_y[0]) + 18'(signed'(held0.last_dy)) + 18'sd1, held0.height);
          last[1] <= cut(signed'(origin_y[1]) + 18'(signed'(held1.last_dy)) + 18'sd1, held1.height);
          state <= WAIT;
        end
        WAIT: begin
          if (rows_in_scan == 0) needed <= needed_next;
          if (rows_are_there(held0.used, first[0], last[0], image_row[0], loaded[0]) &&
              rows_are_there(held1.used, first[1], last[1], image_row[1], loaded[1])) begin
            state <= STEP;
            needed_waits <= rows_in_scan != 0 && !row_passed;
          end
        end
        default: if (steps) begin
          if (layer.shortcut && last_tap && !at_shortcut) at_shortcut <= 1'b1;
          else begin
            at_shortcut <= 1'b0;
            tap_number <= ends_pass ? '0 : tap_number + 1'b1;
            last_tap <= ends_pass ? one_tap : tap_number == tap_before_last;
          end
          if (ends_pass) begin
            pass <= last_pass ? '0 : pass + 1'b1;
            last_pass <= last_pass ? one_pass : pass == pass_before_last;
          end
          if (ends_place) begin
            x <= x + 1'b1;
            last_column <= x == column_before_last;
            origin_x <= {origin_x[1] + 18'(held1.stride_x), origin_x[0] + 18'(held0.stride_x)};
          end
          if (ends_row) begin
            y <= y + 1'b1;
            origin_y <= {origin_y[1] + 18'(held1.stride_y), origin_y[0] + 18'(held0.stride_y)};
            state <= COMPARE;
          end
          if (ends_image) begin
            image <= image + 1'b1;
            image_row <= {image_row[1] + 12'(held1.height), image_row[0] + 12'(held0.height)};
            state <= IMAGE;
          end
          if (ends_group) begin
            group <= group + 1'b1;
            state <= ends_layer ? IDLE : GROUP;
          end
        end
      endcase
      if (row_passed && (needed_waits || state == WAIT)) needed <= needed_next;
      if (row_passed) needed_waits <= 1'b0;
      if (state != IDLE) rows_in_scan <= rows_in_scan + 2'(steps && ends_row) - 2'(row_passed);
    end
  end

  // --- stage 1: the tap is there; stage 2: where it points; stage 3: row table is read; stage 4: its answer ------------

  logic valid1, valid2, valid3, valid4;
  snn_compute_pkg::place_t place1, place2, place3, place4;
  logic [3:0] pass1, pass2, pass3;
  logic [1:0][17:0] origin_y1, origin_x1;
  logic [1:0][11:0] image_row1;
  logic [17:0] row2, column2;
  logic [11:0] image_row2;
  logic [8:0] height2, width2;
  logic [12:0] in_row3, in_row4;
  logic inside3;
  logic [9:0] table_index;
  logic [13:0] table_answer;
  logic [13:0] row_table[1024];  // first word of each row in the line buffer, by source and row number

  wire source1 = place1.shortcut || tap.source;
  wire inside2 = row2 < {9'd0, height2} && column2 < {9'd0, width2};  // negative ones are large here
  wire [4:0] place_words = layer.input_planes[5:1];
  wire dropped = valid3 && !inside3 && !place3.last;

  always_ff @(posedge clk) begin
    if (reset) {valid1, valid2, valid3, valid4} <= '0;
    else {valid1, valid2, valid3, valid4} <= {steps, valid1, valid2, valid3 && !dropped};

    if (steps) begin
      pass1 <= pass;
      origin_y1 <= origin_y;
      origin_x1 <= origin_x;
      image_row1 <= image_row;
      place1.present <= 1'b1;
      place1.address <= '0;
      place1.weight_block <= '0;
      place1.source <= at_shortcut;
      place1.shortcut <= at_shortcut;
      place1.last <= ends_pass;
      place1.hand_over <= ends_place || (ends_pass && stepwise_pairs);
      place1.row_end <= ends_row;
      place1.group_end <= ends_group;
    end
    if (valid1) begin
      place2 <= place1;
      place2.source <= source1;
      place2.weight_block <= tap.weight_block;
      pass2 <= pass1;
      row2 <= origin_y1[source1] + (place1.shortcut ? 18'd0 : 18'(signed'(tap.dy)));
      column2 <= origin_x1[source1] + (place1.shortcut ? 18'd0 : 18'(signed'(tap.dx)));
      image_row2 <= image_row1[source1];
      height2 <= source1 ? held1.height : held0.height;
      width2 <= source1 ? held1.width : held0.width;
    end
    if (valid2) begin
      place3 <= place2;
      inside3 <= inside2;
      table_index <= {place2.source, 9'(image_row2 + row2[11:0])};
      in_row3 <= 13'(column2[7:0]) * 13'(place_words);
      pass3 <= pass2;
    end
    if (valid3) begin
      place4 <= place3;
      place4.present <= inside3;
      in_row4 <= in_row3 + 13'(pass3);
    end
  end

  always_ff @(posedge clk) begin
    if (row_write) row_table[row_index] <= row_address;
  end

  always_ff @(posedge clk) begin
    if (valid3) table_answer <= row_table[table_index];
  end

  // --- the queue of places -------------------------------------------------------------------------------------------

  localparam int DEPTH = 8;
  snn_compute_pkg::place_t arrival;
  snn_compute_pkg::place_t [DEPTH-1:0] queue;
  logic [2:0] queue_in, queue_out;
  logic [3:0] queue_count;
  wire leaves = place_valid && place_ready;

  always_comb begin
    arrival = place4;
    arrival.address = table_answer + 14'(in_row4);
  end

  assign place_valid = queue_count != 0;
  assign place = queue[queue_out];

  always_ff @(posedge clk) begin
    if (valid4) queue[queue_in] <= arrival;
    if (reset) begin
      queue_in <= '0;
      queue_out <= '0;
      queue_count <= '0;
      credits <= 4'(DEPTH);
    end else begin
      if (valid4) queue_in <= queue_in + 1'b1;
      if (leaves) queue_out <= queue_out + 1'b1;
      if (valid4 != leaves) queue_count <= valid4 ? queue_count + 1'b1 : queue_count - 1'b1;
      credits <= credits - 4'(steps) + 4'(leaves) + 4'(dropped);
    end
  end

endmodule
