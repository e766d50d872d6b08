// The 32 neurons of a place and output group: sums in, spikes or logits out.
//
// Sums come with `handed` and stay until the neurons have used them; `may_hand_over` says that the popper may send the end of
// another pass that hands over, which takes ten cycles to get here. Parameters are used while `parameters_ready`;
// `parameters_done` is high in the last cycle of a group. Under deferred firing the next
// sums may set out even before the ones before have arrived, because it is known when these will be used. Results leave as 64-bit words with `out_valid`, without
// back-pressure: a place begins only while `out_room`. `spikes_fired`, of existing lanes, goes with `spikes_valid`.
//
// One step a cycle. Deferred: current, then one comparison for each timestep. Stepwise: current, bias, comparison in each
// timestep; a leak takes three cycles more and as many as its shift. Readout: current, then 16 words.
module snn_neurons (
    input  logic                   clk,
    input  logic                   reset,
    input  logic                   start,  // a new layer
    input  logic [1:0]             firing,
    input  logic                   hard_reset,
    input  logic [3:0]             leak_shift,
    input  logic                   binary_in,
    input  logic                   binary_out,
    input  logic [5:0]             timesteps,
    input  logic [5:0]             output_planes,
    input  logic [6:0]             groups,
    input  logic [4:0]             last_lanes,  // lanes of the last group, 0: all
    input  logic                   hand_begun,
    output logic                   may_hand_over,
    input  logic                   handed,
    input  logic                   handed_group_end,
    input  logic [31:0][31:0]      earlier_sum,
    input  logic [31:0][31:0]      later_sum,
    input  logic                   parameters_ready,
    output logic                   parameters_done,
    input  logic [31:0][31:0]      initial_potential,
    input  logic [31:0][31:0]      bias,
    input  logic [31:0][31:0]      not_threshold,
    input  logic                   out_room,
    input  logic                   out_room_ahead,  // and will be in EARLY cycles
    output logic                   out_valid,
    output logic [63:0]            out_word,
    output logic                   active,
    output logic                   spikes_valid,
    output logic [5:0]             spikes_fired
);

  localparam logic [2:0] OPERAND_EARLIER = 3'd1, OPERAND_LATER = 3'd2, OPERAND_BIAS = 3'd3,
                         OPERAND_NOT_THRESHOLD = 3'd4, OPERAND_NOT_POTENTIAL = 3'd5, OPERAND_SHIFTED = 3'd6,
                         OPERAND_ZERO = 3'd7;
  localparam logic [5:0] EARLY = 6'd7;  // sums may set out so many cycles before there is room for them; they take ten

  // What this cycle does. In IDLE with `begun`, a place waits for its next pair of planes.
  typedef enum logic [2:0] {IDLE, INITIAL, LEAK_LOAD, LEAK_SHIFT, LEAK_SUBTRACT, CURRENT, BIAS, FIRE} step_t;
  step_t step, next;
  logic [5:0] t;
  logic [3:0] shifts_left;
  logic begun;
  logic full;          // there are sums
  logic given_back;    // and the popper knows already that they will be used in time
  logic outstanding;   // an end of a pass is on its way, or its sums are here
  logic ends_group;    // this place is its group's last
  logic [4:0] words_left;  // of a readout's place
  logic results_wait;      // words of the place before are still to be sent

  // Of the layer: registers, because much hangs on them. They are right long before a layer's first sums are here.
  logic stepwise, readout, leaks, pairs, direct;
  logic early_allowed;   // deferred firing whose results are out in time: sums may set out ahead
  logic one_timestep, two_timesteps, long_numbers;
  logic [5:0] last_t, last_t_but_one, last_t_but_two;

  always_ff @(posedge clk) begin
    stepwise <= firing == 2'(snn_layout_pkg::FIRING_STEPWISE);
    readout <= firing == 2'(snn_layout_pkg::FIRING_READOUT);
    leaks <= leak_shift != 4'd0;
    pairs <= firing == 2'(snn_layout_pkg::FIRING_STEPWISE) && !binary_in;
    direct <= firing == 2'(snn_layout_pkg::FIRING_STEPWISE) && binary_in;
    early_allowed <= firing == 2'(snn_layout_pkg::FIRING_DEFERRED) && output_planes <= 6'd4;
    long_numbers <= binary_out && output_planes > 6'd4;
    one_timestep <= timesteps == 6'd1;
    two_timesteps <= timesteps == 6'd2;
    last_t <= timesteps - 6'd1;
    last_t_but_one <= timesteps - 6'd2;
    last_t_but_two <= timesteps - 6'd3;
  end

  // Of this cycle's timestep, as registers too; a number of a timestep below 0 is above all others.
  logic first_step, last_step, last_but_one, last_but_two, near_the_end;
  wire place_ends = step == FIRE && last_step;
  wire [5:0] t_next = step == FIRE ? (last_step ? 6'd0 : t + 6'd1) : t;
  wire t_next_odd = step == FIRE ? !last_step && !t[0] : t[0];
  wire next_is_last = step == FIRE ? last_but_one || one_timestep : last_step;
  wire next_is_last_but_one = step == FIRE ? last_but_two || (last_step && two_timesteps) : last_but_one;

  always_ff @(posedge clk) begin
    first_step <= t_next == 6'd0;
    last_step <= t_next == last_t;
    last_but_one <= t_next == last_t_but_one;
    last_but_two <= t_next == last_t_but_two;
    near_the_end <= last_t - t_next <= EARLY;
  end

  wire may_begin = full && parameters_ready && out_room && !results_wait && !(place_ends && (ends_group || long_numbers));
  wire current_there = full || (pairs && t_next_odd);

  always_comb begin
    next = step;
    case (step)
      IDLE:
        if (begun) next = current_there ? CURRENT : IDLE;
        else if (may_begin) next = leaks ? INITIAL : CURRENT;
      INITIAL: next = LEAK_LOAD;
      LEAK_LOAD: next = LEAK_SHIFT;
      LEAK_SHIFT: if (shifts_left == 4'd1) next = LEAK_SUBTRACT;
      LEAK_SUBTRACT: next = current_there ? CURRENT : IDLE;
      CURRENT: next = stepwise ? BIAS : readout ? IDLE : FIRE;
      BIAS: next = FIRE;
      default: begin
        if (!last_step) next = !stepwise ? FIRE : leaks ? LEAK_LOAD : current_there ? CURRENT : IDLE;
        else if (may_begin) next = leaks ? INITIAL : CURRENT;
        else next = IDLE;
      end
    endcase
  end

  // What the lanes do in the next step: registers, because they go to all of them.
  logic from_initial, adds, fires, carry, keeps;
  logic [2:0] choice;
  wire begun_next = place_ends ? next != IDLE : step == IDLE && next != IDLE ? !readout : begun;
  wire next_is_first = step == FIRE ? last_step : first_step;

  always_ff @(posedge clk) begin
    from_initial <= next == INITIAL || (next == CURRENT && next_is_first && !leaks);
    adds <= next == INITIAL || next == LEAK_SUBTRACT || next == CURRENT || next == BIAS;
    fires <= next == FIRE;
    carry <= next == FIRE || next == LEAK_SUBTRACT;
    // The operand for the step after it, or for the one that would come if nothing had to be waited for: where something
    // has, nobody looks at the operand, and the choice is made again.
    keeps <= next == FIRE && !stepwise && !next_is_last;
    case (next)
      LEAK_LOAD: choice <= OPERAND_NOT_POTENTIAL;
      LEAK_SHIFT: choice <= OPERAND_SHIFTED;
      CURRENT: choice <= stepwise ? OPERAND_BIAS : OPERAND_NOT_THRESHOLD;
      BIAS: choice <= OPERAND_NOT_THRESHOLD;
      default: begin  // a place begins, or a timestep
        if (next == FIRE ? next_is_last : next == IDLE && !begun_next) choice <= leaks ? OPERAND_ZERO : OPERAND_EARLIER;
        else choice <= pairs && t_next_odd == (next != FIRE) ? OPERAND_LATER : OPERAND_EARLIER;
      end
    endcase
  end

  // When the sums have been used, and when that is certain to happen before others can arrive. `uses` is
  // next == CURRENT, without the detour.
  wire begins = (step == IDLE && !begun) || (step == FIRE && last_step);
  wire goes_on = (step == IDLE && begun) || step == LEAK_SUBTRACT || (step == FIRE && !last_step && stepwise && !leaks);
  wire uses = (goes_on && current_there) || (begins && may_begin && !leaks);
  wire used_up = uses && (pairs ? t_next_odd || next_is_last : direct ? next_is_last : 1'b1);
  logic certain;
  always_comb begin
    certain = used_up;
    if (pairs && !leaks && uses) certain = 1'b1;
    if (direct && !leaks && uses && (next_is_last || next_is_last_but_one)) certain = 1'b1;
    if (early_allowed && outstanding && out_room_ahead) begin
      if (step == FIRE && near_the_end && !ends_group) certain = 1'b1;
      if (step == IDLE && parameters_ready) certain = 1'b1;
    end
  end

  wire gives_back = certain && !given_back;
  assign may_hand_over = !outstanding;
  assign parameters_done = ends_group && (place_ends || (readout && words_left == 5'd1));
  assign active = step != IDLE || words_left != 5'd0;

  always_ff @(posedge clk) begin
    if (reset) begin
      step <= IDLE;
      t <= '0;
      begun <= 1'b0;
      full <= 1'b0;
      given_back <= 1'b0;
      outstanding <= 1'b0;
      ends_group <= 1'b0;
      words_left <= '0;
    end else begin
      step <= next;
      t <= t_next;
      begun <= begun_next;
      if (handed) full <= 1'b1;
      else if (used_up) full <= 1'b0;
      if (used_up) given_back <= 1'b0;
      else if (gives_back) given_back <= 1'b1;
      if (hand_begun) outstanding <= 1'b1;
      else if (gives_back) outstanding <= 1'b0;
      if (used_up) ends_group <= handed_group_end;
      else if (parameters_done) ends_group <= 1'b0;
      if (step == CURRENT && readout) words_left <= 5'd16;
      else if (words_left != 5'd0) words_left <= words_left - 1'b1;
      assert (!(handed && full && !used_up));  // otherwise: sums were overwritten
    end
    shifts_left <= step == LEAK_SHIFT ? shifts_left - 1'b1 : leak_shift;
  end

  // --- lanes ---------------------------------------------------------------------------------------------------------

  logic [31:0][31:0] potential;
  logic [31:0] spike;

  for (genvar lane = 0; lane < 32; lane++) begin : lanes
    snn_neuron neuron (
        .clk,
        .from_initial,
        .adds,
        .fires,
        .carry,
        .hard_reset,
        .keeps,
        .choice,
        .initial_potential(initial_potential[lane]),
        .earlier_sum(earlier_sum[lane]),
        .later_sum(later_sum[lane]),
        .bias(bias[lane]),
        .not_threshold(not_threshold[lane]),
        .potential(potential[lane]),
        .spike(spike[lane])
    );
  end

  // --- results -------------------------------------------------------------------------------------------------------

  logic fired, fired_odd, fired_first, fired_last;
  logic [31:0] mask, earlier_mask, existing;
  logic [31:0][5:0] count;
  logic [4:0] planes_left;  // pairs of planes of a number that are still to be sent
  logic [6:0] group;
  logic last_group;
  logic [31:0] earlier_bits, later_bits;
  logic counted;
  logic [3:0][3:0] spikes_of_eight;

  // A long number may still be on its way out when the next place counts; short ones are out in time. A place may begin
  // when two pairs of planes are left, or no word of a readout.
  always_ff @(posedge clk) begin
    results_wait <= !reset && ((step == CURRENT && readout) || words_left > 5'd1 ||
                               (long_numbers && (place_ends || (fired && fired_last) || planes_left > 5'd3)));
  end

  always_comb begin
    for (int lane = 0; lane < 32; lane++) begin
      earlier_bits[lane] = planes_left <= 5'd3 && count[lane][{planes_left[1:0] - 2'd1, 1'b1}];
      later_bits[lane] = planes_left <= 5'd3 && count[lane][{planes_left[1:0] - 2'd1, 1'b0}];
    end
  end

  always_ff @(posedge clk) begin
    fired <= step == FIRE && !reset;
    if (step == FIRE) begin
      mask <= spike;
      fired_odd <= t[0];
      fired_first <= first_step;
      fired_last <= last_step;
    end
    if (fired) begin
      if (!fired_odd) earlier_mask <= mask;
      for (int lane = 0; lane < 32; lane++) begin
        count[lane] <= (fired_first ? 6'd0 : count[lane]) + 6'(mask[lane]);
      end
      for (int i = 0; i < 4; i++) spikes_of_eight[i] <= 4'($countones(mask[8*i+:8] & existing[8*i+:8]));
    end
    counted <= fired;
    spikes_fired <= {2'd0, spikes_of_eight[0]} + {2'd0, spikes_of_eight[1]} +
                    {2'd0, spikes_of_eight[2]} + {2'd0, spikes_of_eight[3]};
    spikes_valid <= counted;

    out_valid <= 1'b0;
    if (reset) planes_left <= '0;
    else if (readout) begin
      out_valid <= words_left != 5'd0;
      if (words_left != 5'd0) begin
        out_word <= {potential[5'd1-{words_left[3:0], 1'b0}], potential[5'd0-{words_left[3:0], 1'b0}]};
      end
    end else if (binary_out) begin
      if (fired && fired_last) planes_left <= output_planes[5:1];
      else if (planes_left != 5'd0) planes_left <= planes_left - 1'b1;
      out_valid <= planes_left != 5'd0;
      out_word <= {later_bits, earlier_bits};
    end else begin
      out_valid <= fired && (fired_odd || fired_last);
      out_word <= fired_odd ? {mask, earlier_mask} : {32'd0, mask};
    end
  end

  always_ff @(posedge clk) begin
    if (reset || start) group <= '0;
    else if (parameters_done) group <= group + 1'b1;
    // Each group's parameters take longer to come than these two registers.
    last_group <= group == groups - 1'b1 && last_lanes != 5'd0;
    for (int lane = 0; lane < 32; lane++) existing[lane] <= !last_group || 5'(lane) < last_lanes;
  end

endmodule
