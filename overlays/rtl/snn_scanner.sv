// Reads the words of each place from the line buffer, two channel blocks in a cycle, and keeps those with spikes.
//
// A gather place is scanned block by block, once its weights are there; a max pooling place pair of planes by pair of
// planes. A group ends when all its weights are there, also those that only meet padding: the next one's come after
// them. `words` is valid for one cycle with `words_valid`, six cycles after the scan; there is no back-pressure, but
// nothing is begun while `hold`.
module snn_scanner (
    input  logic                         clk,
    input  logic                         reset,
    input  logic                         max_pool,
    input  logic [4:0]                   place_words,
    input  logic [8:0]                   weight_blocks,  // of a group
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
    input  snn_compute_pkg::held_t       held0,
  /* verilator lint_on UNUSEDSIGNAL */
  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
    input  snn_compute_pkg::held_t       held1,
  /* verilator lint_on UNUSEDSIGNAL */
    input  logic                         place_valid,
    output logic                         place_ready,
    input  snn_compute_pkg::place_t      place,
    input  logic [9:0]                   complete,  // weight blocks that have arrived since reset
    input  logic                         hold,
    output logic [1:0]                   read,
    output logic [1:0][13:0]             read_address,
    input  logic                         conflict,
    input  logic [1:0][63:0]             read_word,
    output logic                         row_passed,  // pulse: the last place of an output row has been scanned
    output logic                         words_valid,
    output snn_compute_pkg::words_t      words
);

  // --- the place in hand ---------------------------------------------------------------------------------------------

  /* verilator lint_off UNUSEDSIGNAL */  // whole structs are passed on; this module needs a part
  snn_compute_pkg::place_t now;
  /* verilator lint_on UNUSEDSIGNAL */
  logic valid;
  logic [6:0] left;       // blocks, or pairs in a max pooling layer
  logic [3:0] pair;
  logic [13:0] address1;  // of the second word
  logic [13:0] row_words;
  logic [9:0] group_start;  // position of the group's first weight block
  logic [9:0] ready;        // weight blocks of this group that are there
  logic all_ready;          // that is all of them

  wire two = !max_pool && left > 7'd1;
  wire ends = !now.present || left == 7'd1 || (two && left == 7'd2);
  wire lacks_weights = now.present && !now.shortcut && !max_pool && {1'b0, now.weight_block} + 10'(two) >= ready;
  wire group_ends = ends && now.last && now.group_end && !max_pool;
  wire waits = lacks_weights || (group_ends && !all_ready);
  wire scans = valid && !hold && !waits && !(now.present && conflict);
  wire [13:0] new_row_words = 14'(place.source ? held1.row_words : held0.row_words);

  assign place_ready = !valid || (scans && ends);
  assign read = {scans && now.present && two, valid && !hold && !waits && now.present};
  assign read_address = {address1, now.address};

  always_ff @(posedge clk) begin
    if (reset) valid <= 1'b0;
    else if (place_ready) valid <= place_valid;

    if (place_ready && place_valid) begin
      now <= place;
      pair <= '0;
      left <= max_pool ? 7'(place_words) : place.source ? held1.blocks : held0.blocks;
      row_words <= new_row_words;
      address1 <= place.address + new_row_words;
    end else if (scans) begin
      pair <= pair + 1'b1;
      left <= left - (two ? 7'd2 : 7'd1);
      now.address <= max_pool ? now.address + 14'd1 : address1 + row_words;
      address1 <= address1 + {row_words[12:0], 1'b0};
      now.weight_block <= now.weight_block + 9'd2;
    end
  end

  always_ff @(posedge clk) row_passed <= scans && ends && now.last && now.row_end && !reset;

  always_ff @(posedge clk) begin
    if (reset) begin
      group_start <= '0;
      ready <= '0;
      all_ready <= 1'b0;
    end else if (scans && group_ends) begin
      group_start <= group_start + 10'(weight_blocks);
      ready <= '0;
      all_ready <= 1'b0;
    end else begin
      ready <= complete - group_start;
      all_ready <= ready >= 10'(weight_blocks);
    end
  end

  // --- the words come back -------------------------------------------------------------------------------------------

  localparam int STAGES = 4;
  logic [STAGES-1:0] coming;
  snn_compute_pkg::words_t label;
  snn_compute_pkg::words_t label1, label2, label3, label4, label5;
  logic [STAGES-1:0][1:0] has_word;
  logic valid5;

  always_comb begin
    label.word = '0;
    label.block = max_pool ? {4'd0, pair} : 8'(group_start[7:0] + now.weight_block[7:0]);
    label.present = now.present;
    label.shortcut = now.shortcut && now.present;
    label.last = now.last && ends;
    label.hand_over = now.hand_over;
    label.group_end = now.group_end;
  end

  always_ff @(posedge clk) begin
    coming <= reset ? '0 : {coming[STAGES-2:0], scans};
    has_word <= {has_word[STAGES-2:0], {now.present && two, now.present}};
    if (scans) label1 <= label;
    if (coming[0]) label2 <= label1;
    if (coming[1]) label3 <= label2;
    if (coming[2]) label4 <= label3;

    valid5 <= coming[3] && !reset;
    if (coming[3]) begin
      label5 <= label4;
      label5.word <= {has_word[3][1] ? read_word[1] : 64'd0, has_word[3][0] ? read_word[0] : 64'd0};
    end

    words <= label5;
    words_valid <= valid5 && !reset && (label5.last || max_pool || label5.word != '0);
  end

endmodule
