// Registers of the layer being read: descriptor fields come by position and are kept in the form that snn_compute takes.
// `field_valid` writes a field, `store_valid` a derived value, `tap_*` are passed through. The layer is right one cycle
// after the last write, the number of output groups two cycles. Fields must be within their limits: only the bits that a legal value needs are kept.
module snn_layer_decoder (
    input logic clk,

    input logic field_valid,
    input logic [5:0] field,
    input logic [31:0] value,

    input logic store_valid,
    input logic [6:0] store,  // STORE_*_FIRST
    input logic [41:0] store_value,

    input logic [10:0] images,
    input logic used0,
    input logic used1,
    input logic signed [15:0] first_dy0,
    input logic signed [15:0] last_dy0,
    input logic signed [15:0] first_dy1,
    input logic signed [15:0] last_dy1,

    output snn_types_pkg::layer_t layer
);

  logic max_pool;
  logic [1:0] firing;
  logic hard_reset;
  logic [3:0] leak_shift;
  logic binary_in;
  logic binary_out;
  logic [5:0] timesteps;
  logic [3:0] fraction_bits;
  logic [5:0] input_planes;
  logic [5:0] output_planes;
  logic shortcut;
  logic [10:0] tap_count;
  logic [31:0] weight_offset;
  logic [8:0] weight_blocks;
  logic [1:0] output_region;
  logic [31:0] output_image_bytes;
  logic [31:0] output_block_bytes;
  logic [8:0] output_height;
  logic [8:0] output_width;
  logic [11:0] output_channels;
  logic [1:0] region0;
  logic [31:0] image_bytes0;
  logic [31:0] block_bytes0;
  logic [31:0] row_bytes0;
  logic [8:0] height0;
  logic [8:0] width0;
  logic [6:0] blocks0;
  logic [8:0] stride_y0;
  logic [8:0] stride_x0;
  logic [1:0] region1;
  logic [31:0] image_bytes1;
  logic [31:0] block_bytes1;
  logic [31:0] row_bytes1;
  logic [8:0] height1;
  logic [8:0] width1;
  logic [6:0] blocks1;
  logic [8:0] stride_y1;
  logic [8:0] stride_x1;
  logic [41:0] first0;
  logic [41:0] first1;
  logic [41:0] output_first;
  logic [11:0] channels_up;
  logic [6:0] output_groups;

  always_ff @(posedge clk) begin
    if (field_valid) begin
      case (field)
        snn_layout_pkg::FIELD_OPERATION[5:0]: max_pool <= value == snn_layout_pkg::OPERATION_MAX_POOL;
        snn_layout_pkg::FIELD_FIRING[5:0]: firing <= value[1:0];
        snn_layout_pkg::FIELD_HARD_RESET[5:0]: hard_reset <= value[0];
        snn_layout_pkg::FIELD_LEAK_SHIFT[5:0]: leak_shift <= value[3:0];
        snn_layout_pkg::FIELD_INPUT_CODING[5:0]: binary_in <= value == snn_layout_pkg::CODING_BINARY;
        snn_layout_pkg::FIELD_OUTPUT_CODING[5:0]: binary_out <= value == snn_layout_pkg::CODING_BINARY;
        snn_layout_pkg::FIELD_TIMESTEPS[5:0]: timesteps <= value[5:0];
        snn_layout_pkg::FIELD_FRACTION_BITS[5:0]: fraction_bits <= value[3:0];
        snn_layout_pkg::FIELD_INPUT_PLANES[5:0]: input_planes <= value[5:0];
        snn_layout_pkg::FIELD_OUTPUT_PLANES[5:0]: output_planes <= value[5:0];
        snn_layout_pkg::FIELD_SHORTCUT[5:0]: shortcut <= value[0];
        snn_layout_pkg::FIELD_TAP_COUNT[5:0]: tap_count <= value[10:0];
        snn_layout_pkg::FIELD_WEIGHT_OFFSET[5:0]: weight_offset <= value;
        snn_layout_pkg::FIELD_WEIGHT_BLOCKS[5:0]: weight_blocks <= value[8:0];
        snn_layout_pkg::FIELD_OUTPUT_REGION[5:0]: output_region <= value[1:0];
        snn_layout_pkg::FIELD_OUTPUT_IMAGE_BYTES[5:0]: output_image_bytes <= value;
        snn_layout_pkg::FIELD_OUTPUT_BLOCK_BYTES[5:0]: output_block_bytes <= value;
        snn_layout_pkg::FIELD_OUTPUT_HEIGHT[5:0]: output_height <= value[8:0];
        snn_layout_pkg::FIELD_OUTPUT_WIDTH[5:0]: output_width <= value[8:0];
        snn_layout_pkg::FIELD_OUTPUT_CHANNELS[5:0]: output_channels <= value[11:0];
        snn_layout_pkg::FIELD_SOURCE0_REGION[5:0]: region0 <= value[1:0];
        snn_layout_pkg::FIELD_SOURCE0_IMAGE_BYTES[5:0]: image_bytes0 <= value;
        snn_layout_pkg::FIELD_SOURCE0_BLOCK_BYTES[5:0]: block_bytes0 <= value;
        snn_layout_pkg::FIELD_SOURCE0_ROW_BYTES[5:0]: row_bytes0 <= value;
        snn_layout_pkg::FIELD_SOURCE0_HEIGHT[5:0]: height0 <= value[8:0];
        snn_layout_pkg::FIELD_SOURCE0_WIDTH[5:0]: width0 <= value[8:0];
        snn_layout_pkg::FIELD_SOURCE0_BLOCKS[5:0]: blocks0 <= value[6:0];
        snn_layout_pkg::FIELD_SOURCE0_STRIDE_Y[5:0]: stride_y0 <= value[8:0];
        snn_layout_pkg::FIELD_SOURCE0_STRIDE_X[5:0]: stride_x0 <= value[8:0];
        snn_layout_pkg::FIELD_SOURCE1_REGION[5:0]: region1 <= value[1:0];
        snn_layout_pkg::FIELD_SOURCE1_IMAGE_BYTES[5:0]: image_bytes1 <= value;
        snn_layout_pkg::FIELD_SOURCE1_BLOCK_BYTES[5:0]: block_bytes1 <= value;
        snn_layout_pkg::FIELD_SOURCE1_ROW_BYTES[5:0]: row_bytes1 <= value;
        snn_layout_pkg::FIELD_SOURCE1_HEIGHT[5:0]: height1 <= value[8:0];
        snn_layout_pkg::FIELD_SOURCE1_WIDTH[5:0]: width1 <= value[8:0];
        snn_layout_pkg::FIELD_SOURCE1_BLOCKS[5:0]: blocks1 <= value[6:0];
        snn_layout_pkg::FIELD_SOURCE1_STRIDE_Y[5:0]: stride_y1 <= value[8:0];
        snn_layout_pkg::FIELD_SOURCE1_STRIDE_X[5:0]: stride_x1 <= value[8:0];
        default: ;  // offsets and the first tap are only used by way of what is derived from them
      endcase
    end
    if (store_valid && store == snn_memory_pkg::STORE_SOURCE0_FIRST) first0 <= store_value;
    if (store_valid && store == snn_memory_pkg::STORE_SOURCE1_FIRST) first1 <= store_value;
    if (store_valid && store == snn_memory_pkg::STORE_RESULT_FIRST) output_first <= store_value;
  end

  assign channels_up = output_channels + 12'd31;
  always_ff @(posedge clk) output_groups <= channels_up[11:5];

  always_comb begin
    layer.max_pool = max_pool;
    layer.firing = firing;
    layer.hard_reset = hard_reset;
    layer.leak_shift = leak_shift;
    layer.binary_in = binary_in;
    layer.binary_out = binary_out;
    layer.timesteps = timesteps;
    layer.fraction_bits = fraction_bits;
    layer.input_planes = input_planes;
    layer.output_planes = output_planes;
    layer.shortcut = shortcut;
    layer.tap_count = tap_count;
    layer.weight_offset = weight_offset;
    layer.weight_blocks = weight_blocks;
    layer.output_first_offset = output_first;
    layer.output_region = output_region;
    layer.output_image_bytes = output_image_bytes;
    layer.output_block_bytes = output_block_bytes;
    layer.output_height = output_height;
    layer.output_width = output_width;
    layer.output_channels = output_channels;
    layer.output_groups = output_groups;
    layer.images = images;

    layer.source0.used = used0;
    layer.source0.region = region0;
    layer.source0.first_offset = first0;
    layer.source0.image_bytes = image_bytes0;
    layer.source0.block_bytes = block_bytes0;
    layer.source0.row_bytes = row_bytes0;
    layer.source0.height = height0;
    layer.source0.width = width0;
    layer.source0.blocks = blocks0;
    layer.source0.stride_y = stride_y0;
    layer.source0.stride_x = stride_x0;
    layer.source0.first_dy = first_dy0;
    layer.source0.last_dy = last_dy0;

    layer.source1.used = used1;
    layer.source1.region = region1;
    layer.source1.first_offset = first1;
    layer.source1.image_bytes = image_bytes1;
    layer.source1.block_bytes = block_bytes1;
    layer.source1.row_bytes = row_bytes1;
    layer.source1.height = height1;
    layer.source1.width = width1;
    layer.source1.blocks = blocks1;
    layer.source1.stride_y = stride_y1;
    layer.source1.stride_x = stride_x1;
    layer.source1.first_dy = first_dy1;
    layer.source1.last_dy = last_dy1;
  end

  logic unused;
  assign unused = ^channels_up[4:0];

endmodule
