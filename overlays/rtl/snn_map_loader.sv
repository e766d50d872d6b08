// Asks for rows of spike maps in the order in which output rows reach them, and runs ahead as far as slots are free.
//
// Rows of a source are numbered across images and groups: row `r` of an image has number `first of the image + r`, and lies
// in slot (number modulo slots). `loaded[s]` is one more than the number of the last row of source s that is there; rows
// that no output row reaches are skipped, but keep their numbers. `needed[s]`: rows before it may be overwritten.
// `row_write` tells the sequencer where a row will lie, before it is there. Of a resident source all images are loaded
// once, and row numbers start at 0 in each group. `start` begins a layer; `layer`, `held0` and `held1` stay until it ends.
// Data arrive by `data_*` and leave for the line buffer one cycle later.
module snn_map_loader (
    input  logic                          clk,
    input  logic                          reset,
    input  logic                          start,
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
    input  snn_types_pkg::layer_t         layer,
  /* verilator lint_on UNUSEDSIGNAL */
    input  snn_compute_pkg::held_t        held0,
    input  snn_compute_pkg::held_t        held1,
    output logic                          request_valid,
    input  logic                          request_ready,
    output snn_types_pkg::read_request_t  request,
    input  logic                          data_valid,
  /* verilator lint_off UNUSEDSIGNAL */  // the upper bits say who asked
    input  logic [15:0]                   data_index,
  /* verilator lint_on UNUSEDSIGNAL */
    input  logic [63:0]                   data,
    output logic                          write_valid,
    output logic [13:0]                   write_address,
    output logic [63:0]                   write_data,
    input  logic [1:0][11:0]              needed,
    output logic [1:0][11:0]              loaded,
    output logic                          row_write,
    output logic [9:0]                    row_index,  // source, number of the row modulo 512
    output logic [13:0]                   row_address
);

  localparam int ROWS_ON_THE_WAY = 8;

  typedef enum logic [2:0] {IDLE, GROUP, IMAGE, PREPARE, ROW, BLOCKS, ADVANCE, SKIP_REST} state_t;
  state_t state;

  logic [6:0] group;
  logic [10:0] image;
  logic [8:0] y;
  logic s;  // the source whose turn it is

  // Of each source: the next row, its number, its slot, and where it lies in memory.
  logic [1:0][8:0] row;
  logic [1:0][11:0] number;
  logic [1:0][8:0] slot;
  logic [1:0][13:0] slot_address;
  logic [1:0][41:0] group_offset, image_offset, row_offset;
  logic [1:0][17:0] first, last;  // rows that output row y reaches, relative to the map: first to last - 1, signed

  // The fields of the source whose turn it is.
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
  wire snn_types_pkg::source_t source = s ? layer.source1 : layer.source0;
  /* verilator lint_on UNUSEDSIGNAL */
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
  wire snn_compute_pkg::held_t held = s ? held1 : held0;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [1:0] loading;  // sources that this group loads
  wire signed [17:0] next_row = signed'({9'd0, row[s]});
  logic [1:0] in_map;  // the next row of each source
  wire loads_row = loading[s] && in_map[s];
  logic skips, wants, room;  // registered, because they come from long comparisons
  logic last_row, last_image, last_group;  // likewise; each state that changes a counter has another one behind it
  logic rows_done;

  logic [6:0] blocks_left;
  logic [41:0] block_offset;
  logic [13:0] block_address;

  logic on_the_way_full;

  always_ff @(posedge clk) begin
    loading <= {held1.used && !(held1.resident && group != 7'd0), held0.used && !(held0.resident && group != 7'd0)};
    last_row <= y == layer.output_height - 1'b1;
    last_image <= image == layer.images - 1'b1;
    last_group <= group == layer.output_groups - 1'b1;
    in_map <= {row[1] < held1.height, row[0] < held0.height};
    skips <= next_row < signed'(first[s]);
    wants <= next_row < signed'(last[s]);
    room <= 12'(number[s] - needed[s]) < {3'd0, held.slots} || signed'(12'(number[s] - needed[s])) < 0;
  end

  always_ff @(posedge clk) begin
    row_write <= 1'b0;
    if (reset) begin
      state <= IDLE;
      request_valid <= 1'b0;
    end else begin
      if (request_valid && request_ready) request_valid <= 1'b0;
      case (state)
        IDLE: begin
          group <= '0;
          s <= 1'b0;
          slot <= '0;
          number <= '0;
          slot_address <= {held1.base, held0.base};
          group_offset <= {layer.source1.first_offset, layer.source0.first_offset};
          if (start) state <= GROUP;
        end
        GROUP: begin
          image <= '0;
          image_offset <= group_offset;
          state <= IMAGE;
        end
        IMAGE: begin
          y <= '0;
          rows_done <= 1'b0;
          row <= '0;
          row_offset <= image_offset;
          first <= {18'(signed'(held1.first_dy)), 18'(signed'(held0.first_dy))};
          last <= {18'(signed'(held1.last_dy)) + 18'd1, 18'(signed'(held0.last_dy)) + 18'd1};
          state <= PREPARE;
        end
        PREPARE: state <= rows_done ? SKIP_REST : ROW;  // comparisons of this row and source are being made
        ROW: begin
          if (loads_row && skips) state <= ADVANCE;
          else if (loads_row && wants) begin
            if (room && !on_the_way_full) begin
              row_write <= 1'b1;
              blocks_left <= held.blocks;
              block_offset <= row_offset[s];
              block_address <= slot_address[s];
              state <= BLOCKS;
            end else state <= PREPARE;
          end else if (!s) begin
            s <= 1'b1;
            state <= PREPARE;
          end else begin
            s <= 1'b0;
            y <= y + 1'b1;
            first <= {first[1] + {9'd0, held1.stride_y}, first[0] + {9'd0, held0.stride_y}};
            last <= {last[1] + {9'd0, held1.stride_y}, last[0] + {9'd0, held0.stride_y}};
            rows_done <= last_row;
            state <= last_row ? SKIP_REST : PREPARE;
          end
        end
        BLOCKS: begin
          if (!request_valid || request_ready) begin
            request_valid <= 1'b1;
            request.region <= source.region;
            request.words <= {3'd0, held.row_words};
            request.offset <= block_offset;
            request.destination <= {1'b0, s, block_address};
            block_offset <= block_offset + {10'd0, source.block_bytes};
            block_address <= block_address + 14'(held.row_words);
            blocks_left <= blocks_left - 1'b1;
            if (blocks_left == 7'd1) state <= ADVANCE;
          end
        end
        ADVANCE: begin
          row[s] <= row[s] + 1'b1;
          number[s] <= number[s] + 1'b1;
          row_offset[s] <= row_offset[s] + {10'd0, source.row_bytes};
          if (slot[s] == held.slots - 1'b1) begin
            slot[s] <= '0;
            slot_address[s] <= held.base;
          end else begin
            slot[s] <= slot[s] + 1'b1;
            slot_address[s] <= slot_address[s] + 14'(held.slot_words);
          end
          state <= PREPARE;
        end
        default: begin  // SKIP_REST: rows below the last reach keep their numbers and slots
          if (loads_row) state <= ADVANCE;
          else begin
            s <= !s;
            if (s) begin
              image_offset <= {image_offset[1] + {10'd0, layer.source1.image_bytes},
                               image_offset[0] + {10'd0, layer.source0.image_bytes}};
              image <= image + 1'b1;
              if (last_image) begin
                group <= group + 1'b1;
                if (held0.one_block) group_offset[0] <= group_offset[0] + {10'd0, layer.source0.block_bytes};
                if (held1.one_block) group_offset[1] <= group_offset[1] + {10'd0, layer.source1.block_bytes};
                state <= last_group ? IDLE : GROUP;
              end else state <= IMAGE;
            end
          end
        end
      endcase
    end
    row_index <= {s, number[s][8:0]};
    row_address <= slot_address[s];
  end

  // Rows on their way, in order: source, and what `loaded` becomes when the row is there.
  logic [ROWS_ON_THE_WAY-1:0] way_source;
  logic [ROWS_ON_THE_WAY-1:0][11:0] way_number;
  logic [2:0] way_in, way_out;
  logic [3:0] way_count;
  logic [14:0] arrived;  // words of the row at the head
  logic [14:0] last_word0, last_word1;

  wire row_begins = state == ROW && loads_row && !skips && wants && room && !on_the_way_full;
  wire head = way_source[way_out];
  wire [1:0] completes = {arrived == last_word1, arrived == last_word0};  // of either source
  wire row_is_there = data_valid && completes[head];

  always_ff @(posedge clk) begin
    last_word0 <= held0.slot_words - 15'd1;
    last_word1 <= held1.slot_words - 15'd1;
  end

  assign on_the_way_full = way_count == 4'(ROWS_ON_THE_WAY);

  always_ff @(posedge clk) begin
    write_valid <= data_valid && !reset;
    if (data_valid) begin
      write_address <= data_index[13:0];
      write_data <= data;
    end
    if (reset || start) begin
      way_in <= '0;
      way_out <= '0;
      way_count <= '0;
      arrived <= '0;
      loaded <= '0;
    end else begin
      if (row_begins) begin
        way_source[way_in] <= s;
        way_number[way_in] <= number[s] + 1'b1;
        way_in <= way_in + 1'b1;
      end
      if (row_begins != row_is_there) way_count <= row_begins ? way_count + 1'b1 : way_count - 1'b1;
      if (row_is_there) begin
        loaded[head] <= way_number[way_out];
        way_out <= way_out + 1'b1;
      end
      if (data_valid) arrived <= row_is_there ? '0 : arrived + 1'b1;
    end
  end

endmodule
