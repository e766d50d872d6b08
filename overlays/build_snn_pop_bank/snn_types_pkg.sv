// What the two halves of the core say to each other: snn_memory (control, commands, ports) and snn_compute (weights to
// spikes). Widths follow the limits of snn_layout_pkg; everything here has been checked against them before it is sent.
package snn_types_pkg;

  /* verilator lint_off UNUSEDPARAM */  // no module needs all of them

  localparam int WEIGHT_RING_BLOCKS = 256;  // weight blocks on chip: 8 banks of 1,024 rows of 32 bytes
  localparam int LINE_BUFFER_WORDS = 16384;  // 64-bit words of spike maps on chip
  localparam int LINE_ADDRESS_BITS = 14;
  localparam int TAP_INDEX_BITS = 10;
  localparam int OFFSET_BITS = 42;  // a 32-bit offset times MAX_IMAGES

  typedef struct packed {
    logic        used;  // taps or an identity shortcut look at it
    logic [1:0]  region;
    logic [41:0] first_offset;  // of image 0: descriptor offset * images
    logic [31:0] image_bytes;
    logic [31:0] block_bytes;
    logic [31:0] row_bytes;
    logic [8:0]  height;
    logic [8:0]  width;
    logic [6:0]  blocks;
    logic [8:0]  stride_y;
    logic [8:0]  stride_x;
    logic signed [15:0] first_dy;  // rows that the taps reach, relative to the origin of an output row
    logic signed [15:0] last_dy;
  } source_t;

  typedef struct packed {
    logic        max_pool;
    logic [1:0]  firing;  // FIRING_*
    logic        hard_reset;
    logic [3:0]  leak_shift;
    logic        binary_in;
    logic        binary_out;
    logic [5:0]  timesteps;
    logic [3:0]  fraction_bits;
    logic [5:0]  input_planes;
    logic [5:0]  output_planes;
    logic        shortcut;
    logic [10:0] tap_count;
    logic [31:0] weight_offset;
    logic [8:0]  weight_blocks;
    logic [41:0] output_first_offset;
    logic [1:0]  output_region;
    logic [31:0] output_image_bytes;
    logic [31:0] output_block_bytes;
    logic [8:0]  output_height;
    logic [8:0]  output_width;
    logic [11:0] output_channels;
    logic [6:0]  output_groups;
    logic [10:0] images;
    source_t source0;  // two names instead of an array: yosys cannot select members of an array of structs
    source_t source1;
  } layer_t;

  typedef struct packed {
    logic        source;
    logic [8:0]  weight_block;
    logic signed [15:0] dx;
    logic signed [15:0] dy;
  } tap_t;

  // A request for `words` 64-bit words from byte `offset` of a region on. Every word comes back with the position that it
  // was asked for: `destination` of the request plus its index.
  typedef struct packed {
    logic [1:0]  region;
    logic [41:0] offset;
    logic [15:0] words;  // 1 to 65,535
    logic [15:0] destination;
  } read_request_t;

  typedef struct packed {
    logic [1:0]  region;
    logic [41:0] offset;
    logic [15:0] words;
  } write_request_t;

  /* verilator lint_on UNUSEDPARAM */
endpackage
