// Begins and ends runs.
//
// The first event ends a run: the program has finished, an error, the watchdog, or soft_reset. From then on `stop` keeps
// the ports from beginning anything; when memory owes nothing more (`drained`) everything is cleared, and `ends` tells the
// registers, with code, detail and `aborted`. `clear` is up from there until the next start.
//
// Memory that never answers cannot be cleared away. The run then ends after DRAIN_CYCLES all the same, and a start is
// answered with a bus error until memory has answered.
module snn_run_control #(
    parameter int DRAIN_CYCLES = 65536
) (
    input logic clk,
    input logic reset,

    input  logic start,
    input  logic soft_reset,
    input  logic [31:0] watchdog_cycles,
    output logic running,
    output logic ends,
    output logic aborted,
    output logic [3:0] end_code,
    output logic [31:0] end_detail,
    output logic [63:0] cycles,

    input logic program_finished,  // with program_outcome
    input snn_memory_pkg::outcome_t program_outcome,
    input logic bus_error,
    input logic fence_error,
    input logic [1:0] fence_region,
    input logic [7:0] fence_layer,
    input logic [7:0] layer_under_way,

    output logic program_start,  // a pulse, when everything has left its reset
    output logic stop,
    output logic clear,
    input  logic drained
);

  typedef enum logic [2:0] {
    IDLE,
    BEGIN_RUN,
    RUN,
    DRAIN,
    CLEAR
  } state_t;

  localparam int DRAIN_BITS = $clog2(DRAIN_CYCLES) + 1;
  localparam logic [2:0] CLEAR_CYCLES = 3'd7;

  state_t state;
  logic [DRAIN_BITS-1:0] drain_cycles;
  logic [2:0] clear_cycles;
  logic watchdog_bites;

  assign running = state != IDLE;
  assign program_start = state == BEGIN_RUN && !clear;

  always_ff @(posedge clk) begin
    watchdog_bites <= watchdog_cycles != 32'd0 && cycles[63:32] == '0 && cycles[31:0] >= watchdog_cycles;

    if (reset) begin
      state        <= IDLE;
      stop         <= 1'b1;
      clear        <= 1'b1;
      ends         <= 1'b0;
      aborted      <= 1'b0;
      end_code     <= '0;
      end_detail   <= '0;
      cycles       <= '0;
      drain_cycles <= '0;
      clear_cycles <= '0;
    end else begin
      ends <= 1'b0;
      if (running) cycles <= cycles + 64'd1;
      if (running && soft_reset) aborted <= 1'b1;

      case (state)
        IDLE:
        if (start) begin
          cycles  <= '0;
          aborted <= 1'b0;
          if (drained) begin
            state <= BEGIN_RUN;
            clear <= 1'b0;
            stop  <= 1'b0;
          end else begin
            state      <= CLEAR;
            end_code   <= snn_layout_pkg::ERROR_CODE_BUS[3:0];
            end_detail <= '0;
          end
        end
        BEGIN_RUN: state <= RUN;
        RUN: begin
          drain_cycles <= '0;
          clear_cycles <= '0;
          end_detail   <= '0;
          if (soft_reset || aborted) begin
            end_code <= snn_layout_pkg::ERROR_CODE_ABORTED[3:0];
          end else if (bus_error) begin
            end_code <= snn_layout_pkg::ERROR_CODE_BUS[3:0];
          end else if (fence_error) begin
            end_code   <= snn_layout_pkg::ERROR_CODE_ADDRESS_FENCE[3:0];
            end_detail <= {8'd0, fence_layer, 14'd0, fence_region};
          end else if (program_finished) begin
            end_code   <= program_outcome.code;
            end_detail <= {8'd0, program_outcome.layer, 10'd0, program_outcome.place};
          end else begin
            end_code   <= snn_layout_pkg::ERROR_CODE_WATCHDOG[3:0];
            end_detail <= {8'd0, layer_under_way, 16'd0};
          end
          if (soft_reset || aborted || bus_error || fence_error || program_finished || watchdog_bites) begin
            state <= DRAIN;
            stop  <= 1'b1;
          end
        end
        DRAIN: begin
          drain_cycles <= drain_cycles + 1'b1;
          if (drained || drain_cycles == DRAIN_CYCLES[DRAIN_BITS-1:0]) begin
            state <= CLEAR;
            clear <= 1'b1;
          end
        end
        default: begin
          clear_cycles <= clear_cycles + 3'd1;
          if (clear_cycles == CLEAR_CYCLES) begin
            state <= IDLE;
            ends  <= 1'b1;
            if (aborted || soft_reset) begin
              end_code   <= snn_layout_pkg::ERROR_CODE_ABORTED[3:0];
              end_detail <= '0;
            end
          end
        end
      endcase
    end
  end

endmodule
