// The fence: every access of the core passes here and is compared with the window of its region before it can become a
// burst.
//
// The four clients take turns, one in a cycle. A request that is taken appears three cycles later at the client's output
// (`*_passed`, for one cycle, with `passed`; room for it was asked for by `*_room`), or ends the run: fence_error where it
// leaves its window, bus_error where its physical address needs more than 32 bits. Either is a pulse, with `error_client`
// and `error_region`.
module snn_fence (
    input  logic clk,
    input  logic reset,
    input  logic stop,  // take nothing more

    input logic [3:0][31:0] window_bytes,  // by region
    input logic [3:0][63:0] window_address,

    input  logic [3:0] request_valid,  // by client
    output logic [3:0] request_ready,
    input  snn_types_pkg::read_request_t command_request,
    input  snn_types_pkg::read_request_t weight_request,
    input  snn_types_pkg::read_request_t map_request,
    input  snn_types_pkg::write_request_t result_request,

    input  logic [3:0] room,  // by client: its queue takes at least two more
    output logic [3:0] passed_valid,
    output snn_memory_pkg::fenced_request_t passed,

    output logic fence_error,
    output logic bus_error,
    output logic [1:0] error_client,
    output logic [1:0] error_region
);

  // --- turn ---
  logic [3:0] turn;  // one bit is set
  logic [1:0] client;
  logic takes;
  snn_types_pkg::read_request_t chosen;

  always_comb begin
    client = snn_memory_pkg::CLIENT_COMMAND;
    chosen = command_request;
    if (turn[snn_memory_pkg::CLIENT_WEIGHTS]) begin
      client = snn_memory_pkg::CLIENT_WEIGHTS;
      chosen = weight_request;
    end
    if (turn[snn_memory_pkg::CLIENT_MAPS]) begin
      client = snn_memory_pkg::CLIENT_MAPS;
      chosen = map_request;
    end
    if (turn[snn_memory_pkg::CLIENT_RESULTS]) begin
      client = snn_memory_pkg::CLIENT_RESULTS;
      chosen.region = result_request.region;
      chosen.offset = result_request.offset;
      chosen.words = result_request.words;
      chosen.destination = '0;
    end
  end

  assign request_ready = turn & room & {4{!stop}};
  assign takes = (request_valid & request_ready) != 4'd0;

  // --- window ---
  logic taken_valid;
  logic [1:0] taken_client;
  snn_types_pkg::read_request_t taken;

  // --- sums ---
  logic summed_valid;
  logic [1:0] summed_client;
  logic [1:0] summed_region;
  logic [15:0] summed_words;
  logic [15:0] summed_destination;
  logic [42:0] window_end;  // of the request, in its region
  logic [31:0] window_size;
  logic [32:0] first_address;
  logic address_too_long;
  logic [63:0] base;

  always_comb begin
    case (taken.region)
      2'd0: base = window_address[0];
      2'd1: base = window_address[1];
      2'd2: base = window_address[2];
      default: base = window_address[3];
    endcase
  end

  // --- verdict ---
  logic [33:0] address_end;
  logic in_window;
  logic reachable;

  assign in_window = {11'd0, window_size} >= window_end && summed_words != '0;
  assign address_end = {1'b0, first_address} + {15'd0, summed_words, 3'd0};
  assign reachable = !address_too_long && address_end <= 34'h1_0000_0000;

  always_ff @(posedge clk) begin
    taken        <= chosen;
    taken_client <= client;

    summed_client      <= taken_client;
    summed_region      <= taken.region;
    summed_words       <= taken.words;
    summed_destination <= taken.destination;
    window_end         <= {1'b0, taken.offset} + {24'd0, taken.words, 3'd0};
    window_size        <= window_bytes[taken.region];
    first_address      <= {1'b0, base[31:0]} + {1'b0, taken.offset[31:0]};
    address_too_long   <= base[63:32] != '0;

    passed.address     <= first_address[31:3];
    passed.words       <= summed_words;
    passed.destination <= summed_destination;
    error_client       <= summed_client;
    error_region       <= summed_region;
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      turn         <= 4'd1;
      taken_valid  <= 1'b0;
      summed_valid <= 1'b0;
      passed_valid <= '0;
      fence_error  <= 1'b0;
      bus_error    <= 1'b0;
    end else begin
      turn         <= {turn[2:0], turn[3]};
      taken_valid  <= takes;
      summed_valid <= taken_valid;
      passed_valid <= '0;
      if (summed_valid && in_window && reachable) passed_valid[summed_client] <= 1'b1;
      fence_error <= summed_valid && !in_window;
      bus_error   <= summed_valid && in_window && !reachable;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk) begin
    if (!reset && takes) assert (chosen.offset[2:0] == 3'd0);
    if (!reset) assert (!(fence_error && bus_error) && (passed_valid & (passed_valid - 4'd1)) == 4'd0);
  end
`endif

endmodule
