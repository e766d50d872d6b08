// Models of device cells that yosys has none of with behaviour: block RAM in the shapes that the flow allows (true dual port,
// 18 or 36 bits, no output registers).
/* verilator lint_off DECLFILENAME */
module RAMB36E1 #(
    parameter integer DOA_REG = 0,
    parameter integer DOB_REG = 0,
    parameter integer READ_WIDTH_A = 0,
    parameter integer READ_WIDTH_B = 0,
    parameter integer WRITE_WIDTH_A = 0,
    parameter integer WRITE_WIDTH_B = 0,
    parameter WRITE_MODE_A = "WRITE_FIRST",
    parameter WRITE_MODE_B = "WRITE_FIRST",
    parameter RAM_MODE = "NONE",
    parameter RAM_EXTENSION_A = "NONE",
    parameter RAM_EXTENSION_B = "NONE",
    parameter [71:0] INIT_A = 72'h0,
    parameter [71:0] INIT_B = 72'h0,
    parameter [71:0] SRVAL_A = 72'h0,
    parameter [71:0] SRVAL_B = 72'h0,
    parameter [255:0] INITP_00 = 256'h0,
    parameter [255:0] INITP_01 = 256'h0,
    parameter [255:0] INITP_02 = 256'h0,
    parameter [255:0] INITP_03 = 256'h0,
    parameter [255:0] INITP_04 = 256'h0,
    parameter [255:0] INITP_05 = 256'h0,
    parameter [255:0] INITP_06 = 256'h0,
    parameter [255:0] INITP_07 = 256'h0,
    parameter [255:0] INITP_08 = 256'h0,
    parameter [255:0] INITP_09 = 256'h0,
    parameter [255:0] INITP_0A = 256'h0,
    parameter [255:0] INITP_0B = 256'h0,
    parameter [255:0] INITP_0C = 256'h0,
    parameter [255:0] INITP_0D = 256'h0,
    parameter [255:0] INITP_0E = 256'h0,
    parameter [255:0] INITP_0F = 256'h0,
    parameter [255:0] INIT_00 = 256'h0,
    parameter [255:0] INIT_01 = 256'h0,
    parameter [255:0] INIT_02 = 256'h0,
    parameter [255:0] INIT_03 = 256'h0,
    parameter [255:0] INIT_04 = 256'h0,
    parameter [255:0] INIT_05 = 256'h0,
    parameter [255:0] INIT_06 = 256'h0,
    parameter [255:0] INIT_07 = 256'h0,
    parameter [255:0] INIT_08 = 256'h0,
    parameter [255:0] INIT_09 = 256'h0,
    parameter [255:0] INIT_0A = 256'h0,
    parameter [255:0] INIT_0B = 256'h0,
    parameter [255:0] INIT_0C = 256'h0,
    parameter [255:0] INIT_0D = 256'h0,
    parameter [255:0] INIT_0E = 256'h0,
    parameter [255:0] INIT_0F = 256'h0,
    parameter [255:0] INIT_10 = 256'h0,
    parameter [255:0] INIT_11 = 256'h0,
    parameter [255:0] INIT_12 = 256'h0,
    parameter [255:0] INIT_13 = 256'h0,
    parameter [255:0] INIT_14 = 256'h0,
    parameter [255:0] INIT_15 = 256'h0,
    parameter [255:0] INIT_16 = 256'h0,
    parameter [255:0] INIT_17 = 256'h0,
    parameter [255:0] INIT_18 = 256'h0,
    parameter [255:0] INIT_19 = 256'h0,
    parameter [255:0] INIT_1A = 256'h0,
    parameter [255:0] INIT_1B = 256'h0,
    parameter [255:0] INIT_1C = 256'h0,
    parameter [255:0] INIT_1D = 256'h0,
    parameter [255:0] INIT_1E = 256'h0,
    parameter [255:0] INIT_1F = 256'h0,
    parameter [255:0] INIT_20 = 256'h0,
    parameter [255:0] INIT_21 = 256'h0,
    parameter [255:0] INIT_22 = 256'h0,
    parameter [255:0] INIT_23 = 256'h0,
    parameter [255:0] INIT_24 = 256'h0,
    parameter [255:0] INIT_25 = 256'h0,
    parameter [255:0] INIT_26 = 256'h0,
    parameter [255:0] INIT_27 = 256'h0,
    parameter [255:0] INIT_28 = 256'h0,
    parameter [255:0] INIT_29 = 256'h0,
    parameter [255:0] INIT_2A = 256'h0,
    parameter [255:0] INIT_2B = 256'h0,
    parameter [255:0] INIT_2C = 256'h0,
    parameter [255:0] INIT_2D = 256'h0,
    parameter [255:0] INIT_2E = 256'h0,
    parameter [255:0] INIT_2F = 256'h0,
    parameter [255:0] INIT_30 = 256'h0,
    parameter [255:0] INIT_31 = 256'h0,
    parameter [255:0] INIT_32 = 256'h0,
    parameter [255:0] INIT_33 = 256'h0,
    parameter [255:0] INIT_34 = 256'h0,
    parameter [255:0] INIT_35 = 256'h0,
    parameter [255:0] INIT_36 = 256'h0,
    parameter [255:0] INIT_37 = 256'h0,
    parameter [255:0] INIT_38 = 256'h0,
    parameter [255:0] INIT_39 = 256'h0,
    parameter [255:0] INIT_3A = 256'h0,
    parameter [255:0] INIT_3B = 256'h0,
    parameter [255:0] INIT_3C = 256'h0,
    parameter [255:0] INIT_3D = 256'h0,
    parameter [255:0] INIT_3E = 256'h0,
    parameter [255:0] INIT_3F = 256'h0,
    parameter [255:0] INIT_40 = 256'h0,
    parameter [255:0] INIT_41 = 256'h0,
    parameter [255:0] INIT_42 = 256'h0,
    parameter [255:0] INIT_43 = 256'h0,
    parameter [255:0] INIT_44 = 256'h0,
    parameter [255:0] INIT_45 = 256'h0,
    parameter [255:0] INIT_46 = 256'h0,
    parameter [255:0] INIT_47 = 256'h0,
    parameter [255:0] INIT_48 = 256'h0,
    parameter [255:0] INIT_49 = 256'h0,
    parameter [255:0] INIT_4A = 256'h0,
    parameter [255:0] INIT_4B = 256'h0,
    parameter [255:0] INIT_4C = 256'h0,
    parameter [255:0] INIT_4D = 256'h0,
    parameter [255:0] INIT_4E = 256'h0,
    parameter [255:0] INIT_4F = 256'h0,
    parameter [255:0] INIT_50 = 256'h0,
    parameter [255:0] INIT_51 = 256'h0,
    parameter [255:0] INIT_52 = 256'h0,
    parameter [255:0] INIT_53 = 256'h0,
    parameter [255:0] INIT_54 = 256'h0,
    parameter [255:0] INIT_55 = 256'h0,
    parameter [255:0] INIT_56 = 256'h0,
    parameter [255:0] INIT_57 = 256'h0,
    parameter [255:0] INIT_58 = 256'h0,
    parameter [255:0] INIT_59 = 256'h0,
    parameter [255:0] INIT_5A = 256'h0,
    parameter [255:0] INIT_5B = 256'h0,
    parameter [255:0] INIT_5C = 256'h0,
    parameter [255:0] INIT_5D = 256'h0,
    parameter [255:0] INIT_5E = 256'h0,
    parameter [255:0] INIT_5F = 256'h0,
    parameter [255:0] INIT_60 = 256'h0,
    parameter [255:0] INIT_61 = 256'h0,
    parameter [255:0] INIT_62 = 256'h0,
    parameter [255:0] INIT_63 = 256'h0,
    parameter [255:0] INIT_64 = 256'h0,
    parameter [255:0] INIT_65 = 256'h0,
    parameter [255:0] INIT_66 = 256'h0,
    parameter [255:0] INIT_67 = 256'h0,
    parameter [255:0] INIT_68 = 256'h0,
    parameter [255:0] INIT_69 = 256'h0,
    parameter [255:0] INIT_6A = 256'h0,
    parameter [255:0] INIT_6B = 256'h0,
    parameter [255:0] INIT_6C = 256'h0,
    parameter [255:0] INIT_6D = 256'h0,
    parameter [255:0] INIT_6E = 256'h0,
    parameter [255:0] INIT_6F = 256'h0,
    parameter [255:0] INIT_70 = 256'h0,
    parameter [255:0] INIT_71 = 256'h0,
    parameter [255:0] INIT_72 = 256'h0,
    parameter [255:0] INIT_73 = 256'h0,
    parameter [255:0] INIT_74 = 256'h0,
    parameter [255:0] INIT_75 = 256'h0,
    parameter [255:0] INIT_76 = 256'h0,
    parameter [255:0] INIT_77 = 256'h0,
    parameter [255:0] INIT_78 = 256'h0,
    parameter [255:0] INIT_79 = 256'h0,
    parameter [255:0] INIT_7A = 256'h0,
    parameter [255:0] INIT_7B = 256'h0,
    parameter [255:0] INIT_7C = 256'h0,
    parameter [255:0] INIT_7D = 256'h0,
    parameter [255:0] INIT_7E = 256'h0,
    parameter [255:0] INIT_7F = 256'h0
) (
    input  logic        CLKARDCLK,
    input  logic        ENARDEN,
    input  logic        RSTRAMARSTRAM,
    input  logic        RSTREGARSTREG,
    input  logic        REGCEAREGCE,
    input  logic [15:0] ADDRARDADDR,
    input  logic [ 3:0] WEA,
    input  logic [31:0] DIADI,
    input  logic [ 3:0] DIPADIP,
    output logic [31:0] DOADO,
    output logic [ 3:0] DOPADOP,
    input  logic        CLKBWRCLK,
    input  logic        ENBWREN,
    input  logic        RSTRAMB,
    input  logic        RSTREGB,
    input  logic        REGCEB,
    input  logic [15:0] ADDRBWRADDR,
    input  logic [ 7:0] WEBWE,
    input  logic [31:0] DIBDI,
    input  logic [ 3:0] DIPBDIP,
    output logic [31:0] DOBDO,
    output logic [ 3:0] DOPBDOP
);

  // A byte and its parity bit together: four to a word of 36, two to each half.
  logic [35:0] memory[1024];

  function automatic logic [35:0] with_parity(input logic [31:0] data, input logic [3:0] parity);
    for (int byte_ = 0; byte_ < 4; byte_++) with_parity[9*byte_+:9] = {parity[byte_], data[8*byte_+:8]};
  endfunction

  // What an access of the given width sees of a word, its first byte lowest.
  function automatic logic [35:0] seen(input logic [35:0] word, input integer width, input logic half);
    seen = width == 18 && half ? {18'd0, word[35:18]} : word;
  endfunction

  // The bytes of a word that a write of the given width changes.
  function automatic logic [3:0] changed(input logic [3:0] enables, input integer width, input logic half);
    changed = width == 36 ? enables : width == 18 ? (half ? {enables[1:0], 2'b00} : {2'b00, enables[1:0]}) : 4'b0000;
  endfunction

  function automatic logic [35:0] merged(input logic [35:0] word, input logic [35:0] data, input logic [3:0] bytes);
    for (int byte_ = 0; byte_ < 4; byte_++) merged[9*byte_+:9] = bytes[byte_] ? data[9*byte_+:9] : word[9*byte_+:9];
  endfunction

  localparam bit [256*128-1:0] CONTENT = {
    INIT_7F, INIT_7E, INIT_7D, INIT_7C, INIT_7B, INIT_7A, INIT_79, INIT_78,
    INIT_77, INIT_76, INIT_75, INIT_74, INIT_73, INIT_72, INIT_71, INIT_70,
    INIT_6F, INIT_6E, INIT_6D, INIT_6C, INIT_6B, INIT_6A, INIT_69, INIT_68,
    INIT_67, INIT_66, INIT_65, INIT_64, INIT_63, INIT_62, INIT_61, INIT_60,
    INIT_5F, INIT_5E, INIT_5D, INIT_5C, INIT_5B, INIT_5A, INIT_59, INIT_58,
    INIT_57, INIT_56, INIT_55, INIT_54, INIT_53, INIT_52, INIT_51, INIT_50,
    INIT_4F, INIT_4E, INIT_4D, INIT_4C, INIT_4B, INIT_4A, INIT_49, INIT_48,
    INIT_47, INIT_46, INIT_45, INIT_44, INIT_43, INIT_42, INIT_41, INIT_40,
    INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
    INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30,
    INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
    INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
    INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
    INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
    INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
    INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00
  };
  localparam bit [256*16-1:0] PARITY = {
    INITP_0F, INITP_0E, INITP_0D, INITP_0C, INITP_0B, INITP_0A, INITP_09, INITP_08,
    INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
  };
  initial begin
    for (int word = 0; word < 1024; word++) memory[word] = with_parity(CONTENT[32*word+:32], PARITY[4*word+:4]);
    if (DOA_REG != 0 || DOB_REG != 0) $fatal(1, "this model has no output registers");
    if (!(READ_WIDTH_A inside {0, 18, 36} && READ_WIDTH_B inside {0, 18, 36} && WRITE_WIDTH_A inside {0, 18, 36}
          && WRITE_WIDTH_B inside {0, 18, 36})) $fatal(1, "this model has 18 and 36 bit ports only");
  end

  wire [9:0] row_a = ADDRARDADDR[14:5], row_b = ADDRBWRADDR[14:5];
  wire half_a = ADDRARDADDR[4], half_b = ADDRBWRADDR[4];
  logic [35:0] read_a, read_b;
  always_comb begin
    for (int byte_ = 0; byte_ < 4; byte_++) begin
      {DOPADOP[byte_], DOADO[8*byte_+:8]} = read_a[9*byte_+:9];
      {DOPBDOP[byte_], DOBDO[8*byte_+:8]} = read_b[9*byte_+:9];
    end
  end

  // Both ports are clocked by one clock in this design; a read beside a write of the other port gives the old word, which
  // the device promises in the mode READ_FIRST alone. In the others that word is spoilt here, so that nobody relies on it.
  localparam logic [35:0] SPOILT = 36'h5_A5A5_A5A5;
  wire [3:0] bytes_a = ENARDEN ? changed(WEA, WRITE_WIDTH_A, half_a) : 4'd0;
  wire [3:0] bytes_b = ENBWREN ? changed(WEBWE[3:0], WRITE_WIDTH_B, half_b) : 4'd0;
  wire writes_a = bytes_a != 0, writes_b = bytes_b != 0;
  wire together = row_a == row_b && ((READ_WIDTH_A != 18 && WRITE_WIDTH_A != 18) || (READ_WIDTH_B != 18 && WRITE_WIDTH_B != 18)
                                     || half_a == half_b);
  // An access of 18 bits to the upper half has its data in the lower bits.
  wire [35:0] data_a = WRITE_WIDTH_A == 18 ? {2{18'(with_parity(DIADI, DIPADIP))}} : with_parity(DIADI, DIPADIP);
  wire [35:0] data_b = WRITE_WIDTH_B == 18 ? {2{18'(with_parity(DIBDI, DIPBDIP))}} : with_parity(DIBDI, DIPBDIP);

  always_ff @(posedge CLKARDCLK) begin
    if (ENARDEN) begin
      if (RSTRAMARSTRAM) read_a <= 36'd0;
      else if (writes_b && together && WRITE_MODE_B != "READ_FIRST") read_a <= SPOILT;
      else if (!writes_a || WRITE_MODE_A == "READ_FIRST") read_a <= seen(memory[row_a], READ_WIDTH_A, half_a);
      else if (WRITE_MODE_A == "WRITE_FIRST") read_a <= seen(merged(memory[row_a], data_a, bytes_a), READ_WIDTH_A, half_a);
    end
    if (ENBWREN) begin
      if (RSTRAMB) read_b <= 36'd0;
      else if (writes_a && together && WRITE_MODE_A != "READ_FIRST") read_b <= SPOILT;
      else if (!writes_b || WRITE_MODE_B == "READ_FIRST") read_b <= seen(memory[row_b], READ_WIDTH_B, half_b);
      else if (WRITE_MODE_B == "WRITE_FIRST") read_b <= seen(merged(memory[row_b], data_b, bytes_b), READ_WIDTH_B, half_b);
    end
    for (int byte_ = 0; byte_ < 4; byte_++) begin
      if (bytes_a[byte_]) memory[row_a][9*byte_+:9] <= data_a[9*byte_+:9];
      if (bytes_b[byte_]) memory[row_b][9*byte_+:9] <= data_b[9*byte_+:9];
    end
  end

endmodule

module BUFG (
    input  logic I,
    output logic O
);
  assign O = I;
endmodule

module RAMB18E1 #(
    parameter integer DOA_REG = 0,
    parameter integer DOB_REG = 0,
    parameter integer READ_WIDTH_A = 0,
    parameter integer READ_WIDTH_B = 0,
    parameter integer WRITE_WIDTH_A = 0,
    parameter integer WRITE_WIDTH_B = 0,
    parameter WRITE_MODE_A = "WRITE_FIRST",
    parameter WRITE_MODE_B = "WRITE_FIRST",
    parameter RAM_MODE = "NONE",
    parameter [35:0] INIT_A = 36'h0,
    parameter [35:0] INIT_B = 36'h0,
    parameter [35:0] SRVAL_A = 36'h0,
    parameter [35:0] SRVAL_B = 36'h0,
    parameter [255:0] INITP_00 = 256'h0,
    parameter [255:0] INITP_01 = 256'h0,
    parameter [255:0] INITP_02 = 256'h0,
    parameter [255:0] INITP_03 = 256'h0,
    parameter [255:0] INITP_04 = 256'h0,
    parameter [255:0] INITP_05 = 256'h0,
    parameter [255:0] INITP_06 = 256'h0,
    parameter [255:0] INITP_07 = 256'h0,
    parameter [255:0] INIT_00 = 256'h0,
    parameter [255:0] INIT_01 = 256'h0,
    parameter [255:0] INIT_02 = 256'h0,
    parameter [255:0] INIT_03 = 256'h0,
    parameter [255:0] INIT_04 = 256'h0,
    parameter [255:0] INIT_05 = 256'h0,
    parameter [255:0] INIT_06 = 256'h0,
    parameter [255:0] INIT_07 = 256'h0,
    parameter [255:0] INIT_08 = 256'h0,
    parameter [255:0] INIT_09 = 256'h0,
    parameter [255:0] INIT_0A = 256'h0,
    parameter [255:0] INIT_0B = 256'h0,
    parameter [255:0] INIT_0C = 256'h0,
    parameter [255:0] INIT_0D = 256'h0,
    parameter [255:0] INIT_0E = 256'h0,
    parameter [255:0] INIT_0F = 256'h0,
    parameter [255:0] INIT_10 = 256'h0,
    parameter [255:0] INIT_11 = 256'h0,
    parameter [255:0] INIT_12 = 256'h0,
    parameter [255:0] INIT_13 = 256'h0,
    parameter [255:0] INIT_14 = 256'h0,
    parameter [255:0] INIT_15 = 256'h0,
    parameter [255:0] INIT_16 = 256'h0,
    parameter [255:0] INIT_17 = 256'h0,
    parameter [255:0] INIT_18 = 256'h0,
    parameter [255:0] INIT_19 = 256'h0,
    parameter [255:0] INIT_1A = 256'h0,
    parameter [255:0] INIT_1B = 256'h0,
    parameter [255:0] INIT_1C = 256'h0,
    parameter [255:0] INIT_1D = 256'h0,
    parameter [255:0] INIT_1E = 256'h0,
    parameter [255:0] INIT_1F = 256'h0,
    parameter [255:0] INIT_20 = 256'h0,
    parameter [255:0] INIT_21 = 256'h0,
    parameter [255:0] INIT_22 = 256'h0,
    parameter [255:0] INIT_23 = 256'h0,
    parameter [255:0] INIT_24 = 256'h0,
    parameter [255:0] INIT_25 = 256'h0,
    parameter [255:0] INIT_26 = 256'h0,
    parameter [255:0] INIT_27 = 256'h0,
    parameter [255:0] INIT_28 = 256'h0,
    parameter [255:0] INIT_29 = 256'h0,
    parameter [255:0] INIT_2A = 256'h0,
    parameter [255:0] INIT_2B = 256'h0,
    parameter [255:0] INIT_2C = 256'h0,
    parameter [255:0] INIT_2D = 256'h0,
    parameter [255:0] INIT_2E = 256'h0,
    parameter [255:0] INIT_2F = 256'h0,
    parameter [255:0] INIT_30 = 256'h0,
    parameter [255:0] INIT_31 = 256'h0,
    parameter [255:0] INIT_32 = 256'h0,
    parameter [255:0] INIT_33 = 256'h0,
    parameter [255:0] INIT_34 = 256'h0,
    parameter [255:0] INIT_35 = 256'h0,
    parameter [255:0] INIT_36 = 256'h0,
    parameter [255:0] INIT_37 = 256'h0,
    parameter [255:0] INIT_38 = 256'h0,
    parameter [255:0] INIT_39 = 256'h0,
    parameter [255:0] INIT_3A = 256'h0,
    parameter [255:0] INIT_3B = 256'h0,
    parameter [255:0] INIT_3C = 256'h0,
    parameter [255:0] INIT_3D = 256'h0,
    parameter [255:0] INIT_3E = 256'h0,
    parameter [255:0] INIT_3F = 256'h0
) (
    input  logic        CLKARDCLK,
    input  logic        ENARDEN,
    input  logic        RSTRAMARSTRAM,
    input  logic        RSTREGARSTREG,
    input  logic        REGCEAREGCE,
    input  logic [13:0] ADDRARDADDR,
    input  logic [ 1:0] WEA,
    input  logic [15:0] DIADI,
    input  logic [ 1:0] DIPADIP,
    output logic [15:0] DOADO,
    output logic [ 1:0] DOPADOP,
    input  logic        CLKBWRCLK,
    input  logic        ENBWREN,
    input  logic        RSTRAMB,
    input  logic        RSTREGB,
    input  logic        REGCEB,
    input  logic [13:0] ADDRBWRADDR,
    input  logic [ 3:0] WEBWE,
    input  logic [15:0] DIBDI,
    input  logic [ 1:0] DIPBDIP,
    output logic [15:0] DOBDO,
    output logic [ 1:0] DOPBDOP
);

  logic [17:0] memory[1024];

  localparam bit [256*64-1:0] CONTENT = {
    INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
    INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30,
    INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
    INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
    INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
    INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
    INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
    INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00
  };
  localparam bit [256*8-1:0] PARITY = {
    INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
  };
  initial begin
    for (int word = 0; word < 1024; word++)
      memory[word] = {PARITY[2*word+1], CONTENT[16*word+8+:8], PARITY[2*word], CONTENT[16*word+:8]};
    if (DOA_REG != 0 || DOB_REG != 0) $fatal(1, "this model has no output registers");
    if (!(READ_WIDTH_A inside {0, 18} && READ_WIDTH_B inside {0, 18} && WRITE_WIDTH_A inside {0, 18}
          && WRITE_WIDTH_B inside {0, 18})) $fatal(1, "this model has 18 bit ports only");
  end

  wire [9:0] row_a = ADDRARDADDR[13:4], row_b = ADDRBWRADDR[13:4];
  wire [17:0] data_a = {DIPADIP[1], DIADI[15:8], DIPADIP[0], DIADI[7:0]};
  wire [17:0] data_b = {DIPBDIP[1], DIBDI[15:8], DIPBDIP[0], DIBDI[7:0]};
  wire [1:0] bytes_a = ENARDEN && WRITE_WIDTH_A != 0 ? WEA : 2'd0;
  wire [1:0] bytes_b = ENBWREN && WRITE_WIDTH_B != 0 ? WEBWE[1:0] : 2'd0;
  logic [17:0] read_a, read_b;
  assign {DOPADOP[1], DOADO[15:8], DOPADOP[0], DOADO[7:0]} = read_a;
  assign {DOPBDOP[1], DOBDO[15:8], DOPBDOP[0], DOBDO[7:0]} = read_b;

  // As in RAMB36E1 above: beside a write of the other port only READ_FIRST promises the old word.
  localparam logic [17:0] SPOILT = 18'h2_5A5A;
  function automatic logic [17:0] merged(input logic [17:0] word, input logic [17:0] data, input logic [1:0] bytes);
    merged = {bytes[1] ? data[17:9] : word[17:9], bytes[0] ? data[8:0] : word[8:0]};
  endfunction

  always_ff @(posedge CLKARDCLK) begin
    if (ENARDEN) begin
      if (RSTRAMARSTRAM) read_a <= 18'd0;
      else if (bytes_b != 0 && row_a == row_b && WRITE_MODE_B != "READ_FIRST") read_a <= SPOILT;
      else if (bytes_a == 0 || WRITE_MODE_A == "READ_FIRST") read_a <= memory[row_a];
      else if (WRITE_MODE_A == "WRITE_FIRST") read_a <= merged(memory[row_a], data_a, bytes_a);
    end
    if (ENBWREN) begin
      if (RSTRAMB) read_b <= 18'd0;
      else if (bytes_a != 0 && row_a == row_b && WRITE_MODE_A != "READ_FIRST") read_b <= SPOILT;
      else if (bytes_b == 0 || WRITE_MODE_B == "READ_FIRST") read_b <= memory[row_b];
      else if (WRITE_MODE_B == "WRITE_FIRST") read_b <= merged(memory[row_b], data_b, bytes_b);
    end
    for (int byte_ = 0; byte_ < 2; byte_++) begin
      if (bytes_a[byte_]) memory[row_a][9*byte_+:9] <= data_a[9*byte_+:9];
      if (bytes_b[byte_]) memory[row_b][9*byte_+:9] <= data_b[9*byte_+:9];
    end
  end

endmodule
