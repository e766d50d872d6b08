// Asks for parameters and weights, group by group, and layer after layer, as far ahead as there is room.
//
// Weight blocks lie in a ring of 256, in the order of the groups; parameters of up to four groups in slots of their own.
// `start` begins a layer (its fields are copied); `idle` says that another may begin. Blocks may arrive in any order
// between the ports: each block's rows are counted, and `complete` counts blocks that are there, in order.
// All three positions count blocks since reset, modulo 1,024.
module snn_weight_loader (
    input  logic                           clk,
    input  logic                           reset,
    input  logic                           start,
    input  logic [31:0]                    weight_offset,
    input  logic [8:0]                     weight_blocks,
    input  logic [6:0]                     groups,
    output logic                           idle,
    output logic                           request_valid,
    input  logic                           request_ready,
    output snn_types_pkg::read_request_t   request,
    input  logic                           row_arrives,   // a row of weights, being written
    input  logic [3:0]                     row_block,     // its block of the ring, modulo WINDOW
    input  logic                           slot_free,     // a parameter slot
    output logic                           slot_taken,    // pulse: its parameters have been asked for
    input  logic [9:0]                     released,      // blocks no longer needed
    output logic [9:0]                     complete
);

  localparam int WINDOW = 16;  // blocks on their way
  localparam int REQUEST_BLOCKS = 8;

  typedef enum logic [1:0] {IDLE, PARAMETERS, BLOCKS, NEXT} state_t;
  state_t state;
  logic [31:0] offset;
  logic [8:0] blocks, blocks_left;
  logic [6:0] groups_left;
  logic [1:0] slot;
  logic [9:0] issued;

  // The next request: as many blocks as one request takes, up to the end of the ring. A register for each step, right when
  // `issued` and `blocks_left` have stood still for as many cycles; a request keeps the memory busy for far longer.
  logic [3:0] most, count;
  logic [9:0] after;
  logic ring_has_room, window_has_room;
  logic [3:0] steady;  // bit k: for k + 1 cycles
  wire fits = steady[3] && ring_has_room && window_has_room;
  wire [8:0] to_ring_end = 9'd256 - {1'b0, issued[7:0]};

  always_ff @(posedge clk) begin
    most <= blocks_left < 9'(REQUEST_BLOCKS) ? blocks_left[3:0] : 4'(REQUEST_BLOCKS);
    count <= to_ring_end < 9'(most) ? to_ring_end[3:0] : most;
    after <= issued + 10'(count);
    ring_has_room <= (after - released) <= 10'd256;
    window_has_room <= (after - complete) <= 10'(WINDOW);
  end

  assign idle = state == IDLE;

  always_ff @(posedge clk) begin
    slot_taken <= 1'b0;
    if (reset) begin
      state <= IDLE;
      request_valid <= 1'b0;
      issued <= '0;
      slot <= '0;
      steady <= '0;
    end else begin
      if (request_valid && request_ready) request_valid <= 1'b0;
      steady <= {steady[2:0], 1'b1};
      case (state)
        IDLE: begin
          if (start) state <= PARAMETERS;
          offset <= weight_offset;
          blocks <= weight_blocks;
          groups_left <= groups;
        end
        PARAMETERS: begin
          blocks_left <= blocks;
          if (slot_free && !request_valid) begin
            request_valid <= 1'b1;
            request.offset <= {10'd0, offset};
            request.words <= 16'd64;
            request.destination <= {8'h80, slot, 6'd0};
            slot <= slot + 1'b1;
            slot_taken <= 1'b1;
            offset <= offset + 32'd512;
            steady <= '0;
            state <= BLOCKS;
          end
        end
        BLOCKS: begin
          if (fits && !request_valid) begin
            request_valid <= 1'b1;
            request.offset <= {10'd0, offset};
            request.words <= {5'd0, count, 7'd0};
            request.destination <= {1'b0, issued[7:0], 7'd0};
            offset <= offset + {18'd0, count, 10'd0};
            issued <= after;
            blocks_left <= blocks_left - 9'(count);
            steady <= '0;
            if (blocks_left == 9'(count)) state <= NEXT;
          end
        end
        default: begin
          groups_left <= groups_left - 1'b1;
          state <= groups_left == 7'd1 ? IDLE : PARAMETERS;
        end
      endcase
    end
    request.region <= 2'(snn_layout_pkg::REGION_PROGRAM);
  end

  // Rows of the blocks on their way; 32 make a block.
  logic [WINDOW-1:0][5:0] rows;
  wire oldest_is_there = rows[complete[3:0]][5];

  always_ff @(posedge clk) begin
    if (reset) begin
      rows <= '0;
      complete <= '0;
    end else begin
      for (int i = 0; i < WINDOW; i++) begin
        if (oldest_is_there && complete[3:0] == 4'(i)) rows[i] <= '0;
        else if (row_arrives && row_block == 4'(i)) rows[i] <= rows[i] + 1'b1;
      end
      if (oldest_is_there) complete <= complete + 1'b1;
    end
  end

endmodule
