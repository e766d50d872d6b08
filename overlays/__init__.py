"""The overlay: RTL of the programmable logic and what builds a bitstream from it."""
