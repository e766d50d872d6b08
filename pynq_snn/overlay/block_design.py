"""The block design of the overlay, declared once: what hangs on which port of the processing system.

    GP0 ──► registers of the core     core port 0 ──► HP0     core port 1 ──► HP1
    FCLK0, FCLKRESETN[0] ──► core     core interrupt ──► IRQ_F2P[0]

``pynq_snn.hwh`` is written from here (`pynq_snn.overlay.hwh`), and the board device drives what stands here.
Addresses and fields of the processing system are those of the Zynq-7000 Technical Reference Manual (UG585).
"""

from __future__ import annotations

from dataclasses import dataclass

DESIGN = "pynq_snn"
BOARD = "tul.com.tw:pynq-z2:part0:1.0"
DEVICE, PACKAGE, SPEED_GRADE = "7z020", "clg400", "-1"

PROCESSING_SYSTEM = "processing_system7_0"
PROCESSING_SYSTEM_VLNV = "xilinx.com:ip:processing_system7:5.5"
CORE = "snn"  # the name of the attribute in Overlay("pynq_snn.bit").snn
CORE_VLNV = "pynq-snn:snn:snn_core:1.0"  # vendor, library, name, version: pynq finds the driver by it

REGISTER_PORT = "M_AXI_GP0"
REGISTER_ADDRESS = 0x43C0_0000
REGISTER_RANGE = 0x1_0000  # what Vivado gives a peripheral; the core decodes layout.REGISTER_SPACE_BYTES of it

MEMORY_BYTES = 512 << 20  # DDR3 of the PYNQ-Z2, from address 0
MEMORY_PORT_BITS = 64


@dataclass(frozen=True)
class MemoryPort:
    """A path of the core to DDR.

    Attributes
    ----------
    core_port, system_port : str
        Names of the two ends.
    writes : bool
        Whether the core writes through it too.
    fifo_address : int
        Physical address of the port's AXI FIFO interface registers (AFI).
    """

    core_port: str
    system_port: str
    writes: bool
    fifo_address: int


MEMORY_PORTS = (
    MemoryPort("m0_axi", "S_AXI_HP0", True, 0xF800_8000),
    MemoryPort("m1_axi", "S_AXI_HP1", False, 0xF800_9000),
)
# In each AFI: bit 0 of these registers makes the channel 32 bits wide instead of 64.
FIFO_READ_CONTROL, FIFO_WRITE_CONTROL, FIFO_32_BITS = 0x00, 0x14, 1 << 0

INTERRUPT_PIN = "interrupt"
INTERRUPT_NUMBER = 61  # IRQ_F2P[0] at the interrupt controller

CLOCK_SOURCE_MHZ = 1000.0  # IO PLL of a PYNQ-Z2: 20 times 50 MHz
DEFAULT_CLOCK_MHZ = 50.0  # of a description that is written before there is a bitstream
MAX_DIVISOR = 63


def clock_divisors(clock_mhz: float) -> tuple[int, int]:
    """Return the two divisors of FCLK0 for the fastest clock that does not exceed `clock_mhz`.

    Raises
    ------
    ValueError
        No divisors give such a clock.
    """
    pairs = [(first, second) for first in range(1, MAX_DIVISOR + 1) for second in range(1, MAX_DIVISOR + 1)]
    slow_enough = [pair for pair in pairs if CLOCK_SOURCE_MHZ / (pair[0] * pair[1]) <= clock_mhz * (1 + 1e-6)]
    if not slow_enough:
        slowest = CLOCK_SOURCE_MHZ / MAX_DIVISOR**2
        raise ValueError(f"a clock of {clock_mhz} MHz cannot be made; the slowest is {slowest:.3f} MHz")
    return min(slow_enough, key=lambda pair: (pair[0] * pair[1], abs(pair[0] - pair[1]), pair[1]))
