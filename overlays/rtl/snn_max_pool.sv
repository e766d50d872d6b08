// The maximum of what the taps of a place see, tap by tap, as docs/numerics.md section 4 says.
//
// Words come place by place, tap by tap, pair of planes by pair of planes, with `words_valid`, and are taken with
// `words_ready`: two cycles a word, one for each plane. Results leave with `out_valid`; a place goes out only while
// `out_room`. `spikes` is what the place's spikes count, valid with `spikes_valid`, three cycles
// after its last word.
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
  logic sent_last;  // `out_word` is its place's last
  logic sending;    // some words of the place

  // Pairs come in a circle: while one is in hand, `kept_next` is the next one. Where a place has one pair, what is in hand
  // stays there.
  logic [3:0] next, last;
  logic one_pair;
  logic [63:0] in_hand;
  wire [63:0] kept_next = kept[next];
  wire next_is_last = next == last;

  always_ff @(posedge clk) begin
    last <= 4'(place_words - 5'd1);
    one_pair <= place_words == 5'd1;
  end

  wire [3:0] pair = words.block[3:0];
  wire later = state == LATER;
  wire [31:0] kept_plane = later ? in_hand[63:32] : in_hand[31:0];
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

  wire computes = enable && words_valid && words.present && (state == EARLIER || state == LATER);
  assign words_ready = enable && words_valid && (state == LATER || (state == EARLIER && !words.present));
  assign active = enable && (words_valid || state == SEND);

  always_ff @(posedge clk) begin
    if (computes && !one_pair) assert (next == (pair == last ? 4'd0 : pair + 4'd1));
    if (computes) begin
      kept_is_larger <= kept_larger_next;
      seen_is_larger <= seen_larger_next;
      lead <= lead_next;
    end
  end

  always_ff @(posedge clk) begin
    out_valid <= 1'b0;
    if (reset) begin
      state <= EARLIER;
      kept <= '0;
      in_hand <= '0;
      next <= 4'd1;
      sending <= 1'b0;
    end else begin
      case (state)
        EARLIER: begin
          if (computes) begin
            kept[pair][31:0] <= larger;
            in_hand[31:0] <= larger;
            state <= LATER;
          end else if (words_ready && words.last) begin
            next <= '0;
            state <= SEND;
          end
        end
        LATER: begin
          kept[pair][63:32] <= larger;
          in_hand <= one_pair ? {larger, in_hand[31:0]} : kept_next;
          next <= words.last || next_is_last ? '0 : next + 1'b1;
          state <= words.last ? SEND : EARLIER;
        end
        SEND: if (out_room || sending) begin
          out_valid <= 1'b1;
          out_word <= kept_next;
          kept[next] <= '0;
          next <= next + 1'b1;
          sent_last <= next_is_last;
          sending <= !next_is_last;
          if (next_is_last) state <= COUNT;
        end
        default: begin
          in_hand <= '0;
          next <= 4'd1;
          state <= EARLIER;
        end
      endcase
    end
  end

  // What leaves is counted behind: the spikes of each plane, of the word, of the place.
  logic [1:0] here, is_last;  // bit k: a word, a place's last one, is in stage k
  logic [5:0] earlier_count, later_count;
  logic [7:0] word_count;
  logic begins_place;  // the next word's count does not add to `spikes`

  always_ff @(posedge clk) begin
    earlier_count <= 6'($countones(out_word[31:0]));
    later_count <= 6'($countones(out_word[63:32]));
    word_count <= {2'd0, later_count} + (binary ? {1'b0, earlier_count, 1'b0} : {2'd0, earlier_count});
    is_last <= {is_last[0], sent_last};
    if (here[1]) spikes <= (begins_place ? 38'd0 : binary ? {spikes[35:0], 2'b00} : spikes) + {30'd0, word_count};
    if (reset) begin
      here <= '0;
      begins_place <= 1'b1;
      spikes_valid <= 1'b0;
    end else begin
      here <= {here[0], out_valid};
      if (here[1]) begins_place <= is_last[1];
      spikes_valid <= here[1] && is_last[1];
    end
  end

endmodule
