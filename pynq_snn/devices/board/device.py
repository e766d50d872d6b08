"""The board as a `Device`."""

from __future__ import annotations

import atexit
import time
from pathlib import Path
from typing import Any

import numpy as np

from pynq_snn import layout
from pynq_snn.devices.board.fabric import Fabric
from pynq_snn.devices.board.interrupt import InterruptLine, open_line
from pynq_snn.devices.board.lock import BoardLock, default_lock_file
from pynq_snn.devices.board.presence import contiguous_memory
from pynq_snn.devices.interface import Buffer, Device
from pynq_snn.errors import DeviceError, DeviceTimeout
from pynq_snn.overlay import block_design
from pynq_snn.overlay.files import OverlayFiles, find_overlay

POLL_S = 0.0005  # between two looks at the core where there is no interrupt
INTERRUPT_PATIENCE_S = 0.05  # then the core is looked at, interrupt or not
INTERRUPT_DELAY_S = 0.005  # from the end of a run until its interrupt counts as lost
RESET_TIMEOUT_S = 1.0
ADDRESS_LIMIT = 1 << 32  # the masters have 32 address bits

_CONTROL = layout.REGISTER_OFFSETS["control"]
_STATUS = layout.REGISTER_OFFSETS["interrupt_status"]


class BoardDevice(Device):
    """The accelerator in the FPGA of a PYNQ-Z2.

    Parameters
    ----------
    overlay : OverlayFiles, optional
        The build to use; by default the one that came with the package.
    clock_mhz : float, optional
        Fastest clock of the core in MHz; by default the one that the build was timed for. A faster one may give wrong
        results.
    lock_file : Path, optional
        What processes on this board lock; by default one file for all.
    core : pynq.DefaultIP, optional
        The core of an ``Overlay`` that is open already, and belongs to the caller.

    Attributes
    ----------
    clock_mhz : float
        FCLK0, read back.
    waits_for : {"interrupt", "polling"}
        How the end of a run is noticed. It becomes polling for good once an interrupt got lost.
    recoveries : int
        How often the bitstream had to be downloaded again because the core did not answer a reset.

    Raises
    ------
    DeviceError
        Bitstream or pynq are missing, another process has the board, the download failed, or the FPGA does not hold
        this build afterwards.
    """

    name = "board"
    cycles_are = "measured on the board"

    def __init__(
        self,
        overlay: OverlayFiles | None = None,
        *,
        clock_mhz: float | None = None,
        lock_file: Path | None = None,
        core: Any = None,
    ) -> None:
        files = find_overlay() if overlay is None else overlay
        self.recoveries = 0
        self._asked_mhz = files.clock_mhz if clock_mhz is None else clock_mhz
        self._buffers: set[_BoardBuffer] = set()
        self._line: InterruptLine | None = None
        self._closed = False
        self._lock = BoardLock(default_lock_file() if lock_file is None else lock_file)
        try:
            self._fabric = Fabric(files, self._lock, core)
            self._fabric.load()
            self._prepare()
        except BaseException:
            self._let_go()
            raise
        atexit.register(self.close)  # a core that runs on would write into memory that others get

    def _prepare(self) -> None:
        """Bring the core to idle, then set what surrounds it."""
        if not self._is_idle():
            self._stop()  # the process before was killed in the middle of a run
        self._fabric.widen_memory_ports()
        self.clock_mhz = self._fabric.set_clock(self._asked_mhz)
        if self._line is None:
            self._line = open_line(block_design.INTERRUPT_NUMBER)
        self.waits_for = "polling" if self._line is None else "interrupt"

    @property
    def description(self) -> str:  # type: ignore[override]
        """What a report says about where a figure comes from."""
        return f"FPGA of the board at {self.clock_mhz:.2f} MHz, waiting by {self.waits_for}"

    @property
    def build_hash(self) -> int:
        """First 32 bits of the hash of the core's sources."""
        return self._fabric.files.build_hash

    @property
    def downloads(self) -> int:
        """How often this object wrote the bitstream: 0 where the FPGA held it already."""
        return self._fabric.downloads

    # --- registers ----------------------------------------------------------------------------------------------------

    def read(self, offset: int) -> int:
        self._check_offset(offset)
        return int(self._fabric.registers.read(offset))

    def write(self, offset: int, value: int) -> None:
        self._check_offset(offset)
        if offset == _CONTROL and value & layout.CONTROL_START:
            self._arm_interrupt()
        self._fabric.registers.write(offset, int(value))

    def _check_offset(self, offset: int) -> None:
        if self._closed:
            raise DeviceError("the board device is closed; open a new one")
        if offset % 4 or not 0 <= offset < layout.REGISTER_SPACE_BYTES:
            raise DeviceError(
                f"register offset {offset:#x} is outside the map of {layout.REGISTER_SPACE_BYTES:#x} bytes"
            )

    def _raw(self, name: str) -> int:
        return int(self._fabric.registers.read(layout.REGISTER_OFFSETS[name]))

    def _set_raw(self, name: str, value: int) -> None:
        self._fabric.registers.write(layout.REGISTER_OFFSETS[name], value)

    def _is_idle(self) -> bool:
        return bool(self._raw("control") & layout.CONTROL_IDLE)

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _arm_interrupt(self) -> None:
        enable = int(self._line is not None)
        self._set_raw("interrupt_global_enable", enable)
        self._set_raw("interrupt_enable", enable)
        self._clear_interrupt()
        if self._line is not None:
            self._line.arm()

    def _clear_interrupt(self) -> None:
        pending = self._raw("interrupt_status")
        if pending:  # a kernel built by Vitis HLS toggles the bits that are written as 1
            self._set_raw("interrupt_status", pending)

    def wait(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        told = False
        while not self._has_ended():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise DeviceTimeout(
                    f"the board did not finish within {timeout_s:g} s; give it longer (timeout_s, --timeout) or fewer "
                    "images at once"
                )
            told = self._rest(remaining)
        if self._line is not None:
            if not told and not self._line.wait(INTERRUPT_DELAY_S):
                self._stop_trusting_interrupts()
            self._clear_interrupt()

    def _has_ended(self) -> bool:
        return bool(self._raw("control") & (layout.CONTROL_DONE | layout.CONTROL_IDLE))

    def _rest(self, remaining: float) -> bool:
        """Wait a little; return whether an interrupt came."""
        if self._line is not None:
            return self._line.wait(min(remaining, INTERRUPT_PATIENCE_S))
        time.sleep(min(remaining, POLL_S))
        return False

    def _stop_trusting_interrupts(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line = None
        self.waits_for = "polling"

    # --- memory -------------------------------------------------------------------------------------------------------

    def allocate(self, nbytes: int) -> Buffer:
        size = layout.align(max(nbytes, 1))
        try:
            memory = self._fabric.target.allocate((size,), np.uint8, cacheable=True)
        except Exception as error:  # XRT's own, differing between its versions
            raise DeviceError(
                f"the board has no {size:,} bytes of contiguous memory ({_contiguous_memory()}; {error}); run fewer "
                "images at once, close other notebooks, or give the image more (docs/board.md, section Memory)"
            ) from error
        address = int(memory.device_address)
        if memory.nbytes < size or address % layout.ALIGNMENT or address + size > ADDRESS_LIMIT:
            found = f"{memory.nbytes:,} bytes at {address:#x}"
            memory.freebuffer()
            raise DeviceError(
                f"pynq allocated {found} instead of {size:,} bytes at a multiple of {layout.ALIGNMENT} below 4 GiB; "
                "restart the board"
            )
        buffer = _BoardBuffer(memory, nbytes, self._buffers.discard)
        self._buffers.add(buffer)
        return buffer

    @property
    def buffers(self) -> int:
        """Number of buffers that are not freed."""
        return len(self._buffers)

    # --- reset and end ------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        self._check_offset(_CONTROL)
        self._stop()

    def _stop(self) -> None:
        """Stop the core; where it does not obey, write the bitstream again."""
        self._set_raw("soft_reset", 1)
        if self._becomes_idle():
            return
        self.recoveries += 1
        self._fabric.download()
        self.clock_mhz = self._fabric.set_clock(self._asked_mhz)
        self._fabric.widen_memory_ports()
        if not self._becomes_idle():
            raise DeviceError("the core does not become idle, not even after a new download; restart the board")

    def _becomes_idle(self) -> bool:
        deadline = time.monotonic() + RESET_TIMEOUT_S
        while not self._is_idle():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def set_clock(self, clock_mhz: float) -> float:
        """Set the core's clock in MHz while it is idle, and return what is read back; raises DeviceError."""
        self._asked_mhz = clock_mhz
        self.clock_mhz = self._fabric.set_clock(clock_mhz)
        return self.clock_mhz

    def reload(self) -> None:
        """Write the bitstream again, for a core whose state cannot be trusted; buffers stay as they are."""
        self._fabric.download()
        self._prepare()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        try:
            self._set_raw("interrupt_global_enable", 0)
            if not self._is_idle():
                self._stop()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        for buffer in list(self._buffers):
            buffer.free()
        self._stop_trusting_interrupts()
        self._lock.release()


class _BoardBuffer(Buffer):
    """Contiguous memory from pynq, cached by the processor, so that it must be flushed and invalidated."""

    def __init__(self, memory: Any, nbytes: int, forget: Any) -> None:
        super().__init__(memory.view(np.ndarray)[:nbytes], int(memory.device_address), self._free_memory)
        self._memory = memory
        self._forget = forget
        self.array[:] = 0
        self.flush()

    def flush(self) -> None:
        if self._memory is not None:
            self._memory.flush()

    def invalidate(self) -> None:
        if self._memory is not None:
            self._memory.invalidate()

    def _free_memory(self) -> None:
        memory, self._memory = self._memory, None
        self.array = np.zeros(0, np.uint8)  # the memory goes away below; a late reader must not touch it
        self._forget(self)
        memory.freebuffer()


def _contiguous_memory() -> str:
    facts = contiguous_memory()
    if facts is None:
        return "CMA: none"
    return f"CMA: {facts[0] >> 20} of {facts[1] >> 20} MiB free"
