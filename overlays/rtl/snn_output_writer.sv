// Collects the words of output places and writes them, one request for each row.
//
// Words come in with `in_valid`, as many in each row as `row_words` says; `room` promises space for a place after the one that
// is coming in, `room_ahead` that there will still be `room` some cycles later. Rows go
// group by group, image by image. `done` is high when all rows of the layer have been accepted; `start` begins a layer.
module snn_output_writer (
    input  logic                            clk,
    input  logic                            reset,
    input  logic                            start,
    input  logic [1:0]                      region,
    input  logic [41:0]                     first_offset,
    input  logic [31:0]                     image_bytes,
    input  logic [31:0]                     block_bytes,
    input  logic [12:0]                     row_words,
    input  logic [8:0]                      height,
    input  logic [6:0]                      groups,
    input  logic [10:0]                     images,
    input  logic                            in_valid,
    input  logic [63:0]                     in_word,
    output logic                            room,
    output logic                            room_ahead,
    output logic                            request_valid,
    input  logic                            request_ready,
    output snn_types_pkg::write_request_t   request,
    output logic                            data_valid,
    input  logic                            data_ready,
    output logic [63:0]                     data,
    output logic                            done
);

  typedef enum logic [2:0] {IDLE, GROUP, IMAGE, ROW, DATA} state_t;
  state_t state;

  logic [41:0] group_offset, image_offset, row_offset;
  logic [6:0] group;
  logic [10:0] image;
  logic [8:0] y;
  logic [12:0] words_left;
  logic last_row, last_image, last_group;  // a cycle after the counters, and before the next word is taken
  logic fifo_valid;
  logic [63:0] fifo_data;
  logic [8:0] fifo_count;

  assign done = state == IDLE;
  assign data_valid = state == DATA && fifo_valid;
  assign data = fifo_data;

  snn_block_fifo #(.WIDTH(64), .DEPTH_BITS(9)) fifo (
      .clk,
      .reset,
      .in_valid,
      .in_data(in_word),
      .out_valid(fifo_valid),
      .out_ready(state == DATA && data_ready),
      .out_data(fifo_data),
      .count(fifo_count)
  );

  always_ff @(posedge clk) begin
    room <= fifo_count < 9'd448;
    room_ahead <= fifo_count < 9'd384;
    last_row <= y == height - 1'b1;
    last_image <= image == images - 1'b1;
    last_group <= group == groups - 1'b1;
    if (reset) begin
      state <= IDLE;
      request_valid <= 1'b0;
    end else begin
      if (request_valid && request_ready) request_valid <= 1'b0;
      case (state)
        IDLE: begin
          group <= '0;
          group_offset <= first_offset;
          if (start) state <= GROUP;
        end
        GROUP: begin
          image <= '0;
          image_offset <= group_offset;
          group_offset <= group_offset + {10'd0, block_bytes};
          state <= IMAGE;
        end
        IMAGE: begin
          y <= '0;
          row_offset <= image_offset;
          image_offset <= image_offset + {10'd0, image_bytes};
          state <= ROW;
        end
        ROW: begin
          words_left <= row_words;
          if (fifo_valid && !request_valid) begin
            request_valid <= 1'b1;
            request.offset <= row_offset;
            row_offset <= row_offset + {26'd0, row_words, 3'd0};
            state <= DATA;
          end
        end
        default: if (fifo_valid && data_ready) begin
          words_left <= words_left - 1'b1;
          if (words_left == 13'd1) begin
            y <= y + 1'b1;
            state <= ROW;
            if (last_row) begin
              image <= image + 1'b1;
              state <= IMAGE;
              if (last_image) begin
                group <= group + 1'b1;
                state <= last_group ? IDLE : GROUP;
              end
            end
          end
        end
      endcase
    end
    request.region <= region;
    request.words <= {3'd0, row_words};
  end

endmodule
