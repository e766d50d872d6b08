// Types inside snn_compute: what its modules hand to each other.
package snn_compute_pkg;

  // A source as the line buffer holds it: rows in a ring of slots, each with one row of every held block.
  typedef struct packed {
    logic               used;
    logic               resident;   // all rows of all images fit: loaded by the first group, used by all
    logic               one_block;  // only the block of the output group is held
    logic [6:0]         blocks;     // held, 1 to 64
    logic [8:0]         height;
    logic [8:0]         width;
    logic [8:0]         stride_y;
    logic [8:0]         stride_x;
    logic signed [15:0] first_dy;
    logic signed [15:0] last_dy;
    logic [12:0]        row_words;   // of one row of one block
    logic [14:0]        slot_words;  // of one row of all held blocks
    logic [8:0]         slots;       // 1 to 256
    logic [13:0]        base;        // first word in the line buffer
  } held_t;

  // A tap that has been resolved to a place in the line buffer.
  typedef struct packed {
    logic        present;       // inside the map; otherwise only the end of a pass travels
    logic [13:0] address;       // of block 0, in the line buffer
    logic [8:0]  weight_block;  // of block 0, within the group
    logic        source;
    logic        shortcut;      // not a tap but the identity shortcut
    logic        last;          // of its pass
    logic        hand_over;     // with `last`: the sums go to the neurons
    logic        row_end;       // with `last`: last pass of an output row's last place
    logic        group_end;     // with `last`: likewise of the group's last place
  } place_t;

  // Two words of neighbouring channel blocks, at least one of them with spikes, or the end of a pass.
  typedef struct packed {
    logic [1:0][63:0] word;   // earlier plane in the low half of each
    logic [7:0]       block;  // of word 0: block of the weight ring; in max pooling layers the pair of planes
    logic             present;
    logic             shortcut;
    logic             last;
    logic             hand_over;
    logic             group_end;
  } words_t;

  localparam int WORDS_BITS = 141;  // of words_t

  // What ends a pass, travelling behind its last weights.
  typedef struct packed {
    logic        valid;
    logic        hand_over;
    logic        group_end;
    logic        shortcut_valid;
    logic [63:0] shortcut;  // spikes of the identity shortcut, earlier plane in the low half
  } pass_end_t;

  // A row of 32 bytes on its way into the weight memory or the parameter memory.
  typedef struct packed {
    logic         valid;
    logic         parameters;
    logic [12:0]  index;  // weights: row of the ring, bank in bits 2..0; parameters: slot in bits 5..4
    logic [7:0]   bank;   // valid row of weights: the bit of its bank; else none
    logic [255:0] data;
  } row_write_t;

endpackage
