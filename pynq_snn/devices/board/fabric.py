"""What the FPGA holds: whether it is this build of the core, and how it gets there.

Nothing may be read from an address at which the FPGA has nothing: the processor would wait for an answer for ever. So
the registers are read only after this code has downloaded the bitstream, or has its own note that it did so since the
board was started and that pynq has downloaded nothing since.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from pynq_snn import layout
from pynq_snn.devices.board.lock import BoardLock
from pynq_snn.devices.board.presence import NO_PYNQ
from pynq_snn.errors import DeviceError
from pynq_snn.overlay import block_design
from pynq_snn.overlay.files import BUILD_COMMAND, OverlayFiles, check_bitstream

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
CLOCK_TOLERANCE = 0.001  # relative: pynq rounds what it reads


class Fabric:
    """The overlay in the FPGA.

    Parameters
    ----------
    files : OverlayFiles
        The build that is wanted.
    lock : BoardLock
        Held by the caller; keeps the note of the last download.
    core : pynq.DefaultIP, optional
        The core of an overlay that the user has opened and downloaded; then nothing is ever downloaded here.

    Attributes
    ----------
    registers : pynq.MMIO
        The core's registers; not to be read before `load` has returned.
    target : pynq.Device
        Where memory is allocated.
    downloads : int
        How often the bitstream was written by this object.
    """

    def __init__(self, files: OverlayFiles, lock: BoardLock, core: Any = None) -> None:
        self.files = files
        self.downloads = 0
        self._lock = lock
        self._digest = files.digest
        self._pynq = import_pynq()
        check_bitstream(files)
        self._overlay = None if core is not None else self._open_overlay()
        core = core or getattr(self._overlay, block_design.CORE)
        self.registers, self.target = core.mmio, core.device

    def _open_overlay(self) -> Any:
        try:
            overlay = self._pynq.Overlay(str(self.files.bitstream), download=False)
            getattr(overlay, block_design.CORE)
        except Exception as error:  # whatever pynq, its metadata reader or the driver below it raises
            raise DeviceError(
                f"pynq {self._pynq.__version__} cannot use {self.files.bitstream}: {error}; see `pynq-snn doctor`"
            ) from error
        return overlay

    def load(self) -> None:
        """Have the wanted build in the FPGA, by a download where it is not there yet.

        Raises
        ------
        DeviceError
            The download failed, or what answers afterwards is not the wanted build.
        """
        if self._overlay is None:
            if _pynq_record()[0] != self._digest:
                raise DeviceError(f"{self.files.bitstream} is not in the FPGA; call download() of its Overlay first")
            self.check_identity()
        elif self._lock.note != self._note() or self._difference() is not None:
            self.download()

    def download(self) -> None:
        """Write the bitstream; raises as `load`."""
        if self._overlay is None:
            raise DeviceError("the core must be downloaded again; call download() of its Overlay")
        self._lock.note = {}
        try:
            self._overlay.download()
        except Exception as error:  # file system, FPGA manager, XRT: each has its own
            raise DeviceError(
                f"the bitstream could not be downloaded ({type(error).__name__}: {error}); try again, and restart the "
                "board if it fails again"
            ) from error
        self.downloads += 1
        self.check_identity()

    def check_identity(self) -> None:
        """Raise DeviceError where the core in the FPGA is not the wanted build; note it where it is."""
        difference = self._difference()
        if difference is not None:
            raise DeviceError(
                f"the FPGA holds another design than {self.files.bitstream} should be: {difference}; install pynq-snn "
                f"again, or build the overlay anew with `{BUILD_COMMAND}`"
            )
        self._lock.note = self._note()

    def _difference(self) -> str | None:
        for name, expected in (
            ("core_id", layout.CORE_ID),
            ("core_version", layout.LAYOUT_VERSION),
            ("build_hash", self.files.build_hash),
        ):
            found = self.registers.read(layout.REGISTER_OFFSETS[name])
            if found != expected:
                return f"register {name} is {found:#010x} instead of {expected:#010x}"
        return None

    def _note(self) -> dict[str, str]:
        boot = BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""
        return {"boot": boot, "bitstream": self._digest, "pynq": " ".join(_pynq_record())}

    # --- clock and memory ports ---------------------------------------------------------------------------------------

    def read_clock_mhz(self) -> float:
        """Return FCLK0 in MHz, from the registers of the processing system."""
        return float(self._pynq.Clocks.fclk0_mhz)

    def set_clock(self, clock_mhz: float) -> float:
        """Set FCLK0 to the fastest clock up to `clock_mhz` MHz and return what is read back.

        Raises
        ------
        DeviceError
            No such clock can be made, or another one is read back.
        """
        try:
            first, second = block_design.clock_divisors(clock_mhz)
        except ValueError as error:
            raise DeviceError(f"{error}; choose another clock_mhz") from error
        expected = block_design.CLOCK_SOURCE_MHZ / (first * second)
        found = self.read_clock_mhz()
        if abs(found - expected) > CLOCK_TOLERANCE * expected:
            slowest = block_design.MAX_DIVISOR
            # pynq writes one divisor after the other: by way of the slowest clock it is never too fast in between
            self._pynq.Clocks.set_pl_clk(0, slowest, slowest)
            self._pynq.Clocks.set_pl_clk(0, first, second)
            found = self.read_clock_mhz()
        if abs(found - expected) > CLOCK_TOLERANCE * expected:
            raise DeviceError(
                f"FCLK0 was set to {expected:.3f} MHz, but {found:.3f} MHz are read back; the image may have another "
                f"PLL setting than {block_design.CLOCK_SOURCE_MHZ:.0f} MHz; restart the board"
            )
        return found

    def widen_memory_ports(self) -> None:
        """Make the memory ports 64 bits wide: the image's boot loader may have left them at 32, and pynq does not look.

        Raises
        ------
        DeviceError
            A port stays at 32 bits.
        """
        for port in block_design.MEMORY_PORTS:
            registers = self._pynq.MMIO(port.fifo_address, 0x20, device=self.target)
            for offset in (block_design.FIFO_READ_CONTROL, block_design.FIFO_WRITE_CONTROL):
                value = registers.read(offset)
                if value & block_design.FIFO_32_BITS:
                    registers.write(offset, value & ~block_design.FIFO_32_BITS)
                if registers.read(offset) & block_design.FIFO_32_BITS:
                    raise DeviceError(f"{port.system_port} cannot be set to 64 bits; restart the board")


def import_pynq() -> Any:
    """Return the pynq package, with the driver of the core registered."""
    try:
        importlib.import_module("pynq_snn.pynq_plugin.drivers")  # whether or not the package's entry points are seen
        return importlib.import_module("pynq")
    except ImportError as error:
        raise DeviceError(f"{NO_PYNQ} ({error})") from error


def _pynq_record() -> tuple[str, str]:
    """Return what pynq noted of its last download since the board was started: SHA-1 of the bitstream, and when."""
    from pynq.pl_server import global_state

    try:
        global_state.initial_global_state_file_boot_check()
        if not global_state.global_state_file_exists():
            return "", ""
        record = global_state.load_global_state()
    except (OSError, ValueError):
        return "", ""  # no record, or one that cannot be read: the same as none
    return str(record.bitfile_hash), str(record.timestamp)
