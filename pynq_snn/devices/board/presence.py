"""Whether this machine is a board, and what it lacks; nothing here touches the FPGA."""

from __future__ import annotations

import importlib.util
import os
import platform
from pathlib import Path

from pynq_snn.errors import DeviceError
from pynq_snn.overlay.files import check_bitstream, find_overlay

BOARD_MACHINE = "armv7l"
FPGA_MANAGER = Path("/sys/class/fpga_manager/fpga0")
MEMORY_FACTS = Path("/proc/meminfo")
NO_PYNQ = (
    "the Python package pynq is not installed for this Python; on a PYNQ image use its own: "
    "`sudo -i`, then `source /etc/profile.d/pynq_venv.sh`"
)


def board_present() -> bool:
    """Whether this machine is a Zynq-7000 board that runs Linux."""
    return platform.machine() == BOARD_MACHINE and FPGA_MANAGER.exists()


def what_is_missing() -> str | None:
    """Return what keeps the board from being used, with the remedy; None where nothing does."""
    try:
        check_bitstream(find_overlay())
    except DeviceError as error:
        return str(error)
    if not board_present():
        return (
            f"this machine ({platform.machine()}) is no PYNQ-Z2: there is no {FPGA_MANAGER}; use --device kernel, "
            "or run pynq-snn on the board"
        )
    if importlib.util.find_spec("pynq") is None:
        return NO_PYNQ
    if os.geteuid() != 0:
        return "the FPGA can be used by root only; run `sudo -i`, then `source /etc/profile.d/pynq_venv.sh`"
    if "XILINX_XRT" not in os.environ:
        return "XILINX_XRT is not set, so pynq finds no device; run `source /etc/profile.d/xrt_setup.sh`"
    return None


def contiguous_memory() -> tuple[int, int] | None:
    """Return free and total contiguous memory (CMA) of this machine in bytes; None where the kernel has none."""
    try:
        lines = MEMORY_FACTS.read_text().splitlines()
        facts = {name: int(value.split()[0]) << 10 for name, _, value in (line.partition(":") for line in lines)}
        return facts["CmaFree"], facts["CmaTotal"]
    except (OSError, KeyError, ValueError, IndexError):
        return None
