// Derives from a layer how its sources lie in the line buffer, with one serial multiplier.
//
// `start` with a stable `layer`; `held0`, `held1` and `output_row_words` are valid from `done` on, until the next start.
module snn_layer_setup (
    input  logic                     clk,
    input  logic                     reset,
    input  logic                     start,
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
    input  snn_types_pkg::layer_t    layer,
  /* verilator lint_on UNUSEDSIGNAL */
    output logic                     done,
    output snn_compute_pkg::held_t   held0,
    output snn_compute_pkg::held_t   held1,
    output logic [12:0]              output_row_words
);

  localparam int BUFFER = snn_types_pkg::LINE_BUFFER_WORDS;

  // What is multiplied or divided, one after the other; a step of source 1 is that of source 0 plus 1.
  typedef enum logic [3:0] {
    IDLE, ROW_0, ROW_1, SLOT_0, SLOT_1, NEED_0, NEED_1, ALL_ROWS_0, ALL_ROWS_1, OUTPUT_ROW, SHARE, SLOTS_0, SLOTS_1
  } step_t;
  step_t step;
  logic begun;                 // the operands of this step are in the registers
  logic [25:0] product, shifted;
  logic [10:0] factor;         // of a multiplication, what is left of it
  /* verilator lint_off UNUSEDSIGNAL */  // the carry of the last step
  logic [15:0] remainder;      // of a division
  /* verilator lint_on UNUSEDSIGNAL */
  logic [3:0] bits_left;
  logic [14:0] need0, need1, share0, share1;
  logic [18:0] all_rows0, all_rows1;

  logic [8:0] rows0, rows1;  // in reach of an output row

  wire max_pool = layer.max_pool;
  wire shortcut = layer.shortcut;
  wire readout = layer.firing == 2'(snn_layout_pkg::FIRING_READOUT) && !max_pool;
  wire [4:0] place_words = layer.input_planes[5:1];

  /* verilator lint_off UNUSEDSIGNAL */  // of the whole source, only the rows matter
  function automatic logic [8:0] rows_in_reach(input snn_types_pkg::source_t source);
  /* verilator lint_on UNUSEDSIGNAL */
    logic signed [17:0] rows;  // up to 65,536
    rows = 18'(source.last_dy) - 18'(source.first_dy) + 18'sd1;
    rows_in_reach = rows < signed'({9'd0, source.height}) ? rows[8:0] : source.height;
  endfunction

  logic [14:0] multiplicand;
  logic [10:0] multiplier;
  logic [14:0] dividend, divisor;

  always_comb begin
    case (step)
      ROW_0: {multiplicand, multiplier} = {6'd0, layer.source0.width, 6'd0, place_words};
      ROW_1: {multiplicand, multiplier} = {6'd0, layer.source1.width, 6'd0, place_words};
      SLOT_0: {multiplicand, multiplier} = {2'd0, held0.row_words, 4'd0, held0.blocks};
      SLOT_1: {multiplicand, multiplier} = {2'd0, held1.row_words, 4'd0, held1.blocks};
      NEED_0: {multiplicand, multiplier} = {held0.slot_words, 2'd0, rows0};
      NEED_1: {multiplicand, multiplier} = {held1.slot_words, 2'd0, rows1};
      ALL_ROWS_0: {multiplicand, multiplier} = {6'd0, layer.source0.height, layer.images};
      ALL_ROWS_1: {multiplicand, multiplier} = {6'd0, layer.source1.height, layer.images};
      default: {multiplicand, multiplier} =
          {6'd0, layer.output_width, 6'd0, readout ? 5'd16 : layer.output_planes[5:1]};
    endcase
    dividend = step == SLOTS_0 ? share0 : share1;
    divisor = step == SLOTS_0 ? held0.slot_words : held1.slot_words;
  end

  wire dividing = step == SLOTS_0 || step == SLOTS_1;
  wire [15:0] difference = {remainder[14:0], shifted[14]} - {1'b0, divisor};
  wire step_ends = begun && (dividing ? bits_left == 4'd0 : factor == 11'd0);
  wire quotient_is_large = product[14:0] > 15'd256;

  always_ff @(posedge clk) begin
    if (reset) begin
      step <= IDLE;
      begun <= 1'b0;
      done <= 1'b0;
    end else if (step == IDLE) begin
      begun <= 1'b0;
      if (start) begin
        step <= ROW_0;
        done <= 1'b0;
      end
    end else if (step == SHARE) begin
      step <= SLOTS_0;
    end else begin
      begun <= !step_ends;
      if (step_ends) begin
        step <= step == SLOTS_1 ? IDLE : step_t'(step + 4'd1);
        done <= step == SLOTS_1;
      end
    end
  end

  // `product` is the quotient in a division, where `shifted` holds what is left of the dividend.
  always_ff @(posedge clk) begin
    if (!begun) begin
      product <= '0;
      remainder <= '0;
      bits_left <= 4'd15;
      factor <= multiplier;
      shifted <= dividing ? {11'd0, dividend} : {11'd0, multiplicand};
    end else if (dividing) begin
      remainder <= difference[15] ? {remainder[14:0], shifted[14]} : difference;
      product <= {product[24:0], !difference[15]};
      shifted <= shifted << 1;
      bits_left <= bits_left - 1'b1;
    end else begin
      if (factor[0]) product <= product + shifted;
      factor <= factor >> 1;
      shifted <= shifted << 1;
    end
  end

  always_ff @(posedge clk) begin
    rows0 <= rows_in_reach(layer.source0);
    rows1 <= rows_in_reach(layer.source1);
    if (step == ROW_0) begin
      held0.used <= layer.source0.used && layer.source0.height != 0 && layer.source0.width != 0;
      held0.one_block <= max_pool;
      held0.blocks <= max_pool ? 7'd1 : layer.source0.blocks;
      held0.height <= layer.source0.height;
      held0.width <= layer.source0.width;
      held0.stride_y <= layer.source0.stride_y;
      held0.stride_x <= layer.source0.stride_x;
      held0.first_dy <= layer.source0.first_dy;
      held0.last_dy <= layer.source0.last_dy;
      held0.base <= '0;
      held1.used <= layer.source1.used && layer.source1.height != 0 && layer.source1.width != 0 && !max_pool;
      held1.one_block <= shortcut;
      held1.blocks <= shortcut ? 7'd1 : layer.source1.blocks;
      held1.height <= layer.source1.height;
      held1.width <= layer.source1.width;
      held1.stride_y <= shortcut ? 9'd1 : layer.source1.stride_y;
      held1.stride_x <= shortcut ? 9'd1 : layer.source1.stride_x;
      held1.first_dy <= layer.source1.first_dy;
      held1.last_dy <= layer.source1.last_dy;
    end
    if (step_ends) begin
      case (step)
        ROW_0: held0.row_words <= product[12:0];
        ROW_1: held1.row_words <= product[12:0];
        SLOT_0: held0.slot_words <= product[14:0];
        SLOT_1: held1.slot_words <= product[14:0];
        NEED_0: need0 <= product[14:0];
        NEED_1: need1 <= product[14:0];
        ALL_ROWS_0: all_rows0 <= product[18:0];
        ALL_ROWS_1: all_rows1 <= product[18:0];
        OUTPUT_ROW: output_row_words <= product[12:0];
        SLOTS_0: begin
          held0.slots <= quotient_is_large ? 9'd256 : product[8:0];
          held0.resident <= !held0.one_block && all_rows0 <= 19'd256 && all_rows0[14:0] <= product[14:0];
        end
        default: begin
          held1.slots <= quotient_is_large ? 9'd256 : product[8:0];
          held1.resident <= !held1.one_block && all_rows1 <= 19'd256 && all_rows1[14:0] <= product[14:0];
        end
      endcase
    end
    if (step == SHARE) begin  // source 1 gets room to run ahead where that leaves source 0 its need
      if (!held0.used) {share0, share1} <= {15'd0, 15'(BUFFER)};
      else if (!held1.used) {share0, share1} <= {15'(BUFFER), 15'd0};
      else if (17'(need0) + {need1, 2'd0} <= 17'(BUFFER)) begin
        {share0, share1} <= {15'(BUFFER) - 15'({need1, 2'd0}), 15'({need1, 2'd0})};
      end else if (17'(need0) + 17'({need1, 1'b0}) <= 17'(BUFFER)) begin
        {share0, share1} <= {15'(BUFFER) - 15'({need1, 1'b0}), 15'({need1, 1'b0})};
      end else {share0, share1} <= {15'(BUFFER) - need1, need1};
    end
    if (step == SLOTS_0) held1.base <= share0[13:0];
  end

endmodule
