// The maximum of what the taps of a place see, tap by tap, as docs/numerics.md section 4 says.
//
// Words come place by place, tap by tap, pair of planes by pair of planes, with `words_valid`, and are taken with
// `words_ready`: two cycles a word, one for each plane. Results leave with `out_valid`; a place goes out only while
// `out_room`. `spikes` is what the place's spikes count, valid with `spikes_valid`.
module snn_max_pool (
    input  logic                     clk,
    input  logic                     reset,
    input  logic                     enable,
    input  logic                     binary,
    input  logic [4:0]               place_words,
    input  logic                     words_valid,
    output logic                     words_ready,
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
    input  snn_compute_pkg::words_t  words,
  /* verilator lint_on UNUSEDSIGNAL */
    input  logic                     out_room,
    output logic                     out_valid,
    output logic [63:0]              out_word,
    output logic                     active,
    output logic                     spikes_valid,
    output logic [37:0]              spikes
);

  typedef enum logic [1:0] {EARLIER, LATER, SEND, COUNT} state_t;
  state_t state;

  logic [15:0][63:0] kept;
  logic [31:0] kept_is_larger, seen_is_larger;  // of numbers, as far as their planes have shown
  logic [31:0][6:0] lead;                       // spikes that the train seen is ahead of the train kept
  logic [3:0] sent;
  logic [37:0] total;
  logic sent_now, sent_last;

  wire [3:0] pair = words.block[3:0];
  wire [63:0] kept_pair = kept[pair];
  wire later = state == LATER;
  wire [31:0] kept_plane = later ? kept_pair[63:32] : kept_pair[31:0];
  wire [31:0] seen_plane = later ? words.word[0][63:32] : words.word[0][31:0];
  wire begins = pair == 4'd0 && !later;  // a tap: nothing has been compared yet

  logic [31:0] larger, kept_larger_next, seen_larger_next;
  logic [31:0][6:0] lead_next;

  always_comb begin
    for (int i = 0; i < 32; i++) begin
      logic kept_wins, seen_wins, decided;
      logic [6:0] ahead;
      kept_wins = kept_is_larger[i] && !begins;
      seen_wins = seen_is_larger[i] && !begins;
      ahead = begins ? 7'd0 : lead[i];
      decided = kept_wins || seen_wins;
      kept_larger_next[i] = kept_wins || (!decided && kept_plane[i] && !seen_plane[i]);
      seen_larger_next[i] = seen_wins || (!decided && seen_plane[i] && !kept_plane[i]);
      lead_next[i] = ahead + {6'd0, seen_plane[i] && !kept_plane[i]} - {6'd0, kept_plane[i] && !seen_plane[i]};
      if (binary) larger[i] = seen_larger_next[i] ? seen_plane[i] : kept_plane[i];
      else larger[i] = (seen_plane[i] && !ahead[6]) || (kept_plane[i] && (ahead[6] || ahead == 7'd0));
    end
  end

  wire [37:0] earlier_count = 38'($countones(out_word[31:0]));
  wire [37:0] later_count = 38'($countones(out_word[63:32]));
  wire [37:0] total_next = binary ? {total[35:0], 2'b00} + {earlier_count[36:0], 1'b0} + later_count
                                  : total + earlier_count + later_count;

  wire computes = enable && words_valid && words.present && (state == EARLIER || state == LATER);
  assign words_ready = enable && words_valid && (state == LATER || (state == EARLIER && !words.present));
  assign active = enable && (words_valid || state == SEND);

  always_ff @(posedge clk) begin
    if (computes) begin
      kept_is_larger <= kept_larger_next;
      seen_is_larger <= seen_larger_next;
      lead <= lead_next;
    end
  end

  always_ff @(posedge clk) begin
    out_valid <= 1'b0;
    sent_now <= 1'b0;
    spikes_valid <= 1'b0;
    if (reset) begin
      state <= EARLIER;
      kept <= '0;
    end else begin
      case (state)
        EARLIER: begin
          sent <= '0;
          if (computes) begin
            kept[pair][31:0] <= larger;
            state <= LATER;
          end else if (words_ready && words.last) state <= SEND;
        end
        LATER: begin
          kept[pair][63:32] <= larger;
          state <= words.last ? SEND : EARLIER;
        end
        SEND: if (out_room || sent != 0) begin
          out_valid <= 1'b1;
          out_word <= kept[sent];
          kept[sent] <= '0;
          sent <= sent + 1'b1;
          sent_now <= 1'b1;
          sent_last <= {1'b0, sent} == place_words - 5'd1;
          if ({1'b0, sent} == place_words - 5'd1) state <= COUNT;
        end
        default: state <= EARLIER;
      endcase
      if (sent_now) begin
        if (sent_last) begin
          spikes <= total_next;
          spikes_valid <= 1'b1;
        end
        total <= sent_last ? '0 : total_next;
      end
    end
    if (reset) total <= '0;
  end

endmodule
