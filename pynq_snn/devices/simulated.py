"""A core in software: registers with the Vitis HLS control protocol, a piece of DDR, and a thread that computes."""

from __future__ import annotations

import abc
import mmap
import threading

import numpy as np
import numpy.typing as npt

from pynq_snn import layout
from pynq_snn.devices.interface import Buffer, Device
from pynq_snn.errors import DeviceError, DeviceTimeout

MEMORY_BASE = 0x1000_0000  # an address that is neither 0 nor small, so that confusing offset and address shows
MEMORY_BYTES = 512 << 20  # as much as the board has; pages that nobody touches cost nothing
RESET_TIMEOUT_S = 10.0


class SimulatedMemory:
    """DDR with a first-fit allocator."""

    def __init__(self, nbytes: int = MEMORY_BYTES, base: int = MEMORY_BASE) -> None:
        self._map = mmap.mmap(-1, nbytes)
        self.array: npt.NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)
        self.base = base
        self._taken: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def allocate(self, nbytes: int) -> Buffer:
        """Return a zeroed buffer; raises DeviceError where none is free."""
        size = layout.align(max(nbytes, 1))
        with self._lock:
            start = 0
            for taken_start, taken_end in self._taken:
                if start + size <= taken_start:
                    break
                start = taken_end
            if start + size > len(self.array):
                used = sum(end - begin for begin, end in self._taken)
                raise DeviceError(
                    f"the simulated memory has no {nbytes} bytes in one piece ({used} of {len(self.array)} in use); "
                    "run fewer images at once"
                )
            entry = (start, start + size)
            self._taken = sorted([*self._taken, entry])
        part = self.array[start : start + nbytes]
        part[:] = 0
        return Buffer(part, self.base + start, lambda: self._free(entry))

    def _free(self, entry: tuple[int, int]) -> None:
        with self._lock:
            self._taken.remove(entry)

    @property
    def buffers(self) -> int:
        """Number of buffers that are not freed."""
        return len(self._taken)


class SimulatedDevice(Device):
    """Base of the devices that run on this machine's processor."""

    cycles_are = "estimate"

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self.memory = SimulatedMemory(memory_bytes)
        self.words = np.zeros(layout.REGISTER_SPACE_BYTES // 4, np.uint32)
        self.abort = np.zeros(1, np.int32)
        self._control = layout.CONTROL_IDLE
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._set("core_id", layout.CORE_ID)
        self._set("core_version", layout.LAYOUT_VERSION)

    @abc.abstractmethod
    def execute(self) -> None:
        """Run the program that the registers point to; must return soon after `abort` becomes nonzero."""

    def _set(self, name: str, value: int) -> None:
        self.words[layout.REGISTER_OFFSETS[name] // 4] = value

    def read(self, offset: int) -> int:
        self._check_offset(offset)
        if offset != layout.REGISTER_OFFSETS["control"]:
            return int(self.words[offset // 4])
        with self._lock:
            value = self._control
            self._control &= ~layout.CONTROL_DONE  # cleared by reading
        return value

    def write(self, offset: int, value: int) -> None:
        self._check_offset(offset)
        if offset == layout.REGISTER_OFFSETS["control"]:
            if value & layout.CONTROL_START:
                self._start()
        elif offset == layout.REGISTER_OFFSETS["interrupt_status"]:
            self.words[offset // 4] &= ~np.uint32(value)  # writing 1 clears
        elif offset == layout.REGISTER_OFFSETS["soft_reset"]:
            self.reset()
        else:
            self.words[offset // 4] = value

    @staticmethod
    def _check_offset(offset: int) -> None:
        if offset % 4 or not 0 <= offset < layout.REGISTER_SPACE_BYTES:
            raise DeviceError(
                f"register offset {offset:#x} is outside the map of {layout.REGISTER_SPACE_BYTES:#x} bytes"
            )

    def _start(self) -> None:
        with self._lock:
            if not self._control & layout.CONTROL_IDLE:
                return  # as the hardware does: a start while running is ignored
            self._control = layout.CONTROL_START
            self.abort[0] = 0
            self._failure = None
            self._thread = threading.Thread(target=self._run, name=f"{self.name} core", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            self.execute()
        except BaseException as failure:  # handed to the thread that waits
            self._failure = failure
        with self._lock:
            self._control = layout.CONTROL_IDLE | layout.CONTROL_DONE | layout.CONTROL_READY
            if int(self.words[layout.REGISTER_OFFSETS["interrupt_enable"] // 4]) & 1:
                self.words[layout.REGISTER_OFFSETS["interrupt_status"] // 4] |= np.uint32(1)

    def allocate(self, nbytes: int) -> Buffer:
        return self.memory.allocate(nbytes)

    def wait(self, timeout_s: float) -> None:
        thread = self._thread
        if thread is None:
            return
        thread.join(timeout_s)
        if thread.is_alive():
            raise DeviceTimeout(
                f"the {self.name} device did not finish within {timeout_s:g} s; "
                "give it longer (timeout_s, --timeout) or fewer images at once"
            )
        self._thread = None
        if self._failure is not None:
            raise DeviceError(f"the {self.name} device failed: {self._failure}") from self._failure

    def reset(self) -> None:
        self.abort[0] = 1
        thread = self._thread
        if thread is not None:
            thread.join(RESET_TIMEOUT_S)
            if thread.is_alive():
                raise DeviceError(f"the {self.name} device did not stop within {RESET_TIMEOUT_S:g} s; open it again")
        self._thread = None
        self._control = layout.CONTROL_IDLE

    def close(self) -> None:
        self.reset()
