"""The overlay of the board: its block design, and the files that a PYNQ image needs of it.

============== =========================================================================================
block_design   which ports of the processing system the core hangs on, at which address and clock
hwh            writes ``pynq_snn.hwh``, the description of the block design that pynq reads
files          where bitstream, description and manifest are, and what they say
============== =========================================================================================
"""
