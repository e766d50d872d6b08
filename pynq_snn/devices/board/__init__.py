"""The FPGA of a PYNQ-Z2, through the pynq package that comes with the board's image.

========= ============================================================================================
device    `BoardDevice`: registers, buffers, waiting, resetting
fabric    what the FPGA holds: identity, download, clock, widths of the memory ports
interrupt the core's interrupt line
lock      one process at a time
presence  whether this machine is such a board, and what it lacks
========= ============================================================================================

Importing this package does not import pynq.
"""

from __future__ import annotations

from pynq_snn.devices.board.device import BoardDevice
from pynq_snn.devices.board.presence import board_present, what_is_missing

__all__ = ["BoardDevice", "board_present", "what_is_missing"]
