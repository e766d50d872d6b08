"""What the driver asks of a device: registers, memory, and waiting."""

from __future__ import annotations

import abc
from collections.abc import Callable
from types import TracebackType

import numpy as np
import numpy.typing as npt

from pynq_snn import layout


class Buffer:
    """Memory that software and core share.

    Attributes
    ----------
    array : uint8 [nbytes]
        The memory as software sees it.
    address : int
        Where the core sees it; a multiple of `layout.ALIGNMENT`.
    """

    def __init__(self, array: npt.NDArray[np.uint8], address: int, release: Callable[[], None]) -> None:
        self.array = array
        self.address = address
        self._release: Callable[[], None] | None = release

    def flush(self) -> None:
        """Make what software wrote visible to the core."""

    def invalidate(self) -> None:
        """Make what the core wrote visible to software."""

    def free(self) -> None:
        """Give the memory back; safe to call twice."""
        if self._release is not None:
            release, self._release = self._release, None
            release()


class Device(abc.ABC):
    """A core with its registers and memory.

    Attributes
    ----------
    name : str
        As in ``--device NAME``.
    description : str
        What a report says about where a figure comes from.
    cycles_are : {"measured on the board", "cycle-accurate simulation", "estimate"}
        What the cycle counters of this device are.
    """

    name: str
    description: str
    cycles_are: str

    @abc.abstractmethod
    def read(self, offset: int) -> int:
        """Return the 32-bit register at byte `offset`."""

    @abc.abstractmethod
    def write(self, offset: int, value: int) -> None:
        """Write the 32-bit register at byte `offset`; writing control bit 0 starts a run."""

    @abc.abstractmethod
    def allocate(self, nbytes: int) -> Buffer:
        """Return a zeroed buffer.

        Raises
        ------
        DeviceError
            There is not enough memory for the core; the message says how much is needed and left.
        """

    @abc.abstractmethod
    def wait(self, timeout_s: float) -> None:
        """Wait until the run has ended.

        Raises
        ------
        DeviceTimeout
            It did not end within `timeout_s` seconds. The device is still busy; call `reset`.
        """

    @abc.abstractmethod
    def reset(self) -> None:
        """Stop whatever runs and return to idle."""

    @abc.abstractmethod
    def close(self) -> None:
        """Free everything; the device cannot be used afterwards. Safe to call twice."""

    def read_named(self, name: str) -> int:
        """Return a register of 32 or 64 bits by its name in `pynq_snn.layout`."""
        register = next(r for r in layout.REGISTERS if r.name == name)
        value = self.read(register.offset)
        return value | self.read(register.offset + 4) << 32 if register.bits == 64 else value

    def write_named(self, name: str, value: int) -> None:
        """Write a register of 32 or 64 bits by its name in `pynq_snn.layout`."""
        register = next(r for r in layout.REGISTERS if r.name == name)
        self.write(register.offset, value & layout.WORD_MAX)
        if register.bits == 64:
            self.write(register.offset + 4, value >> 32)

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
