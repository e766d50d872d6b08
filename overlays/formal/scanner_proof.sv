// snn_scanner: every word of a place is read once, at its address, in order and not before its weights are there; no group
// ends before all its weights are there; what memory answers comes out in that order with its place's label, all of it
// that has spikes or ends a pass.
module scanner_proof (
    input logic clk,
    input logic any_max_pool,
    input logic [4:0] any_place_words,
    input logic [1:0][6:0] any_blocks,
    input logic [1:0][12:0] any_row_words,
    input logic [8:0] any_weight_blocks,
    input logic place_valid,
    input snn_compute_pkg::place_t place,
    input logic [9:0] complete,
    input logic hold,
    input logic conflict,
    input logic [1:0][63:0] read_word
);
  logic reset = 1'b1;
  logic max_pool, place_ready, row_passed, words_valid;
  logic [4:0] place_words;
  logic [1:0][6:0] blocks;
  logic [1:0][12:0] row_words;
  logic [8:0] weight_blocks;
  logic [1:0] read;
  logic [1:0][13:0] read_address;
  snn_compute_pkg::held_t held0, held1;
  snn_compute_pkg::words_t words;

  always_comb begin
    held0 = '0;
    held1 = '0;
    held0.blocks = blocks[0];
    held1.blocks = blocks[1];
    held0.row_words = row_words[0];
    held1.row_words = row_words[1];
  end

  snn_scanner dut (
      .clk, .reset, .max_pool, .place_words, .weight_blocks, .held0, .held1, .place_valid, .place_ready, .place, .complete,
      .hold, .read, .read_address, .conflict, .read_word, .row_passed, .words_valid, .words
  );

  // The place in hand: what is left of it, and where the next word lies.
  logic have = 1'b0;
  snn_compute_pkg::place_t now;
  logic [6:0] left;
  logic [13:0] address, row;
  logic [8:0] block;
  logic [3:0] pair;
  logic [9:0] group_start = '0;
  logic [9:0] complete_before;
  wire two = now.present && !max_pool && left > 7'd1;
  wire ends = left <= (two ? 7'd2 : 7'd1);
  wire scans = have && (now.present ? read[0] && !conflict : place_ready);
  wire needs_weights = now.present && !now.shortcut && !max_pool;
  wire [9:0] arrived = complete - group_start;
  wire [9:0] arrived_before = complete_before - group_start;
  wire group_ends = scans && ends && now.last && now.group_end && !max_pool;

  // What comes out six cycles after a scan.
  snn_compute_pkg::words_t expected[1:6];
  logic [6:1] coming = '0;
  logic [4:1][1:0] has_word;
  logic row_ended = 1'b0;
  snn_compute_pkg::words_t label, answered;

  always_comb begin
    label.word = '0;
    label.block = max_pool ? {4'd0, pair} : 8'(group_start[7:0] + block[7:0]);
    label.present = now.present;
    label.shortcut = now.shortcut && now.present;
    label.last = now.last && ends;
    label.hand_over = now.hand_over;
    label.group_end = now.group_end;
    answered = expected[4];
    answered.word = {has_word[4][1] ? read_word[1] : 64'd0, has_word[4][0] ? read_word[0] : 64'd0};
  end

  always_ff @(posedge clk) begin
    reset <= 1'b0;
    if (reset) begin
      max_pool <= any_max_pool;
      place_words <= any_place_words;
      blocks <= any_blocks;
      row_words <= any_row_words;
      weight_blocks <= any_weight_blocks;
    end
    assume (any_place_words inside {[5'd1 : 5'd16]} && any_blocks[0] inside {[7'd1 : 7'd64]});
    assume (any_blocks[1] inside {[7'd1 : 7'd64]} && any_weight_blocks inside {[9'd1 : 9'd256]});
    if (!reset) begin
      assume (place_words inside {[5'd1 : 5'd16]} && blocks[0] inside {[7'd1 : 7'd64]});
      assume (blocks[1] inside {[7'd1 : 7'd64]});
      // One weight block arrives in a cycle at most, and not more than the ring of 256 holds.
      assume (10'(complete - complete_before) <= 10'd1 && arrived_before <= 10'd256 && arrived <= 10'd256);
      assume (weight_blocks inside {[9'd1 : 9'd256]});
      if (place_valid) assume (place.weight_block <= 9'd256);
    end
    complete_before <= complete;

    if (reset) have <= 1'b0;
    else if (place_ready) have <= place_valid;
    if (!reset && place_ready && place_valid) begin
      now <= place;
      left <= !place.present ? 7'd1 : max_pool ? 7'(place_words) : blocks[place.source];
      address <= place.address;
      row <= 14'(row_words[place.source]);
      block <= place.weight_block;
      pair <= '0;
    end else if (scans) begin
      left <= left - (two ? 7'd2 : 7'd1);
      address <= max_pool ? address + 14'd1 : address + row + row;
      block <= block + 9'd2;
      pair <= pair + 4'd1;
    end
    if (reset) group_start <= '0;
    else if (group_ends) group_start <= group_start + 10'(weight_blocks);

    coming <= reset ? '0 : {coming[5:1], scans};
    has_word <= {has_word[3:1], {two, now.present}};
    row_ended <= !reset && scans && ends && now.last && now.row_end;
    expected[1] <= label;
    expected[2] <= expected[1];
    expected[3] <= expected[2];
    expected[4] <= expected[3];
    expected[5] <= answered;
    expected[6] <= expected[5];

    if (!reset) begin
      assert (dut.valid == have && dut.group_start == group_start);
      assert (place_ready == (!have || (scans && ends)));
      assert (read == 2'b00 || (have && now.present && !hold));
      assert (!read[1] || (two && read[0]));
      if (scans) begin
        assert (!hold);
        if (now.present) assert (read_address[0] == address);
        if (two) assert (read[1] && read_address[1] == 14'(address + row));
        if (needs_weights) assert (arrived > 10'(block) + 10'(two));
        if (group_ends) assert (arrived >= 10'(weight_blocks));
      end
      if (have) begin
        assert (dut.now.present == now.present && dut.now.shortcut == now.shortcut && dut.now.last == now.last);
        assert (dut.now.hand_over == now.hand_over && dut.now.row_end == now.row_end);
        assert (dut.now.group_end == now.group_end && dut.now.weight_block == block && dut.pair == pair);
        assert (dut.row_words == row && dut.now.address == address);
        assert (max_pool || dut.address1 == 14'(address + row));
        assert (left >= 7'd1 && left <= 7'd64);
        if (now.present) assert (dut.left == left);
        if (!now.present) assert (left == 7'd1);
      end
      assert (dut.ready <= arrived_before);
      if (dut.all_ready) assert (arrived_before >= 10'(weight_blocks));
      assert (dut.coming == coming[4:1] && dut.valid5 == coming[5]);
      if (coming[1]) assert (dut.label1 == expected[1] && dut.has_word[0] == has_word[1]);
      if (coming[2]) assert (dut.label2 == expected[2] && dut.has_word[1] == has_word[2]);
      if (coming[3]) assert (dut.label3 == expected[3] && dut.has_word[2] == has_word[3]);
      if (coming[4]) assert (dut.label4 == expected[4] && dut.has_word[3] == has_word[4]);
      if (coming[5]) assert (dut.label5 == expected[5]);
      assert (words_valid == (coming[6] && (expected[6].last || max_pool || expected[6].word != '0)));
      if (words_valid) assert (words == expected[6]);
      assert (row_passed == row_ended);
    end
    cover (words_valid && words.word[1] != '0 && words.last);
    cover (scans && needs_weights && group_start != '0);
    cover (group_ends && !now.present);
    cover (have && read[0] && conflict && max_pool);
  end
endmodule
