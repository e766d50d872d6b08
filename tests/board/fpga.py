"""A stand-in for the board: the real pynq runs on it, over the simulated core.

It behaves as the hardware does where a driver can go wrong: the processor's cache is apart from the memory that the
core sees, an FPGA without the design answers nothing (and that is a failed test, since the real bus would hang), and a
bitstream changes what the registers say. Faults are switched on by attributes.
"""

from __future__ import annotations

import os
import pty
import struct
import time
import tty
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pynq import Device
from pynq.buffer import PynqBuffer
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
from pynq.pl_server import global_state
from pynqmetadata.frontends import Metadata

from pynq_snn import layout
from pynq_snn.devices.kernel import KernelDevice
from pynq_snn.layout import ErrorCode
from pynq_snn.overlay import block_design
from tests.board.bitfile import identity

CLOCK_REGISTERS, CLOCK_REGISTER_BYTES = 0xF800_0000, 0x200
IO_PLL_CONTROL, FPGA0_CLOCK_CONTROL = 0x108, 0x170
IO_PLL_MULTIPLIER = 20  # of 50 MHz


class Core(KernelDevice):
    """The design in the FPGA: the simulated core, with an interrupt line and faults.

    Attributes
    ----------
    hangs : bool
        Runs never end.
    ignores_reset : bool
        It hangs so badly that only a new bitstream helps.
    bus_error : bool
        Memory refuses the next run's accesses.
    """

    def __init__(self, fpga: Fpga, identity: tuple[int, int, int]) -> None:
        super().__init__(memory_bytes=fpga.memory_bytes)
        self.fpga = fpga
        self.hangs = self.ignores_reset = self.bus_error = False
        self.identity = dict(zip(("core_id", "core_version", "build_hash"), identity, strict=True))
        self._answer_identity()

    def _answer_identity(self) -> None:
        for name, value in self.identity.items():
            self._set(name, value)

    def execute(self) -> None:
        if self.hangs:
            while not self.abort[0]:
                time.sleep(0.002)
            self._set("error_code", ErrorCode.ABORTED)
            return
        super().execute()
        self._answer_identity()  # the kernel calls itself a software model
        if self.bus_error:
            self._set("error_code", ErrorCode.BUS)
        if self.fpga.clock_mhz > self.fpga.flips_above_mhz:
            self.memory.array[self.read_named("output_address") - self.memory.base] ^= 1

    def _run(self) -> None:
        super()._run()
        enabled = self.words[layout.REGISTER_OFFSETS["interrupt_global_enable"] // 4] & 1
        if enabled and self.words[layout.REGISTER_OFFSETS["interrupt_status"] // 4] & 1:
            self.fpga.interrupt.fire()

    def reset(self) -> None:
        if not self.ignores_reset:
            super().reset()


class Interrupt:
    """A file that behaves like a UIO device: it can be polled, and lets one interrupt through after each write."""

    def __init__(self) -> None:
        self._kernel, user = pty.openpty()
        tty.setraw(user)
        self.path, self._user = os.ttyname(user), user
        self.lost = False
        self.fired = 0

    def fire(self) -> None:
        os.set_blocking(self._kernel, False)
        try:
            armed = os.read(self._kernel, 64)
        except BlockingIOError:
            armed = b""
        if armed and not self.lost:
            self.fired += 1
            os.write(self._kernel, struct.pack("=i", self.fired))

    def close(self) -> None:
        os.close(self._kernel)
        os.close(self._user)


@dataclass
class _Handle:
    number: int
    buffer: weakref.ref[PynqBuffer]


class Fpga(Device):
    """A pynq device of a PYNQ-Z2 with its processing system and FPGA.

    Attributes
    ----------
    fails_download : bool
        The FPGA manager refuses the bitstream.
    short_buffers : bool
        Memory comes in smaller pieces than asked for.
    full : bool
        There is no contiguous memory.
    flips_above_mhz : float
        Above this clock, one bit of the core's output is wrong: a timing error.
    forgets_clock, narrow_for_ever : bool
        The clock, or the memory ports' widths, cannot be changed.
    """

    memory_bytes = 64 << 20

    def __init__(self) -> None:
        super().__init__("stand-in")
        self.name = "stand-in"
        self.capabilities = {"REGISTER_RW": True}
        self.arch = "armv7l"
        self.interrupt = Interrupt()
        self._core: Core | None = None
        self.downloads = 0
        self.flips_above_mhz = float("inf")
        self.fails_download = self.short_buffers = self.full = self.forgets_clock = self.narrow_for_ever = False
        self.system = dict.fromkeys(range(CLOCK_REGISTERS, CLOCK_REGISTERS + CLOCK_REGISTER_BYTES, 4), 0)
        for clock in range(0x170, 0x1B0, 0x10):
            self.system[CLOCK_REGISTERS + clock] = 10 << 8 | 1 << 20  # 100 MHz, as the base overlay leaves it
        for pll in (0x100, 0x104, IO_PLL_CONTROL):
            self.system[CLOCK_REGISTERS + pll] = IO_PLL_MULTIPLIER << 12
        for port in block_design.MEMORY_PORTS:
            for offset in range(0, 0x20, 4):
                self.system[port.fifo_address + offset] = block_design.FIFO_32_BITS  # as some boot loaders leave them
        self.clocks_seen: list[float] = []
        self._memory: dict[int, tuple[Any, Any]] = {}
        self._numbers = iter(range(1, 1 << 30))

    @property
    def core(self) -> Core:
        """What the FPGA holds; a failed test where it is empty."""
        assert self._core is not None, "the FPGA is empty: a real processor would wait for an answer for ever"
        return self._core

    def switch_off(self) -> None:
        """Lose what the FPGA holds."""
        if self._core is not None:
            self._core.hangs = self._core.ignores_reset = False
            self._core.close()
        self._core = None

    @property
    def clock_mhz(self) -> float:
        value = self.system[CLOCK_REGISTERS + FPGA0_CLOCK_CONTROL]
        return 50.0 * IO_PLL_MULTIPLIER / ((value >> 8 & 63) * (value >> 20 & 63))

    # --- registers ----------------------------------------------------------------------------------------------------

    def read_registers(self, address: int, length: int) -> bytes:
        return b"".join(self._read(address + offset).to_bytes(4, "little") for offset in range(0, length, 4))

    def write_registers(self, address: int, data: bytes) -> None:
        for offset in range(0, len(data), 4):
            self._write(address + offset, int.from_bytes(data[offset : offset + 4], "little"))

    def _read(self, address: int) -> int:
        if address in self.system:
            return self.system[address]
        return self._core_at(address).read(address - block_design.REGISTER_ADDRESS)

    def _write(self, address: int, value: int) -> None:
        if address not in self.system:
            self._core_at(address).write(address - block_design.REGISTER_ADDRESS, value)
        elif address < CLOCK_REGISTERS + CLOCK_REGISTER_BYTES:
            if not self.forgets_clock:
                self.system[address] = value
                self.clocks_seen.append(self.clock_mhz)
        elif not self.narrow_for_ever:
            self.system[address] = value

    def _core_at(self, address: int) -> Core:
        offset = address - block_design.REGISTER_ADDRESS
        assert 0 <= offset < block_design.REGISTER_RANGE, f"nothing answers at {address:#x}"
        return self.core

    # --- bitstream ----------------------------------------------------------------------------------------------------

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> RuntimeMetadataParser:
        return RuntimeMetadataParser(Metadata(input=str(Path(bitfile_name).with_suffix(".hwh"))))

    def download(self, bitstream: Any, parser: Any = None) -> None:
        if self.fails_download:
            raise OSError(22, "Invalid argument: /sys/class/fpga_manager/fpga0/firmware")
        said = identity(Path(bitstream.bitfile_name).read_bytes())
        memory = None if self._core is None else self._core.memory
        self.switch_off()
        self._core = Core(self, said)
        if memory is not None:
            self._core.memory = memory  # DDR outlives a configuration
        self.downloads += 1
        self.post_download(bitstream, parser)
        record = global_state.GlobalState(
            bitfile_name=str(bitstream.bitfile_name), timestamp=bitstream.timestamp, active_name=self.name,
            bitfile_hash=global_state.bitstream_hash(bitstream.bitfile_name),
        )  # fmt: skip
        global_state.save_global_state(record)

    # --- memory: `cache` is what the processor sees, the core's memory what the core sees -----------------------------

    def allocate(self, shape: Any, dtype: Any, **options: Any) -> PynqBuffer:
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if self.full:
            raise RuntimeError("Allocate failed: Cannot allocate memory")
        if self.short_buffers:
            shape, count = (count // 2,), count // 2
        ddr = self.core.memory.allocate(count)
        cache = np.random.default_rng(count).integers(0, 256, count, np.uint8)  # whatever was there before
        number = next(self._numbers)
        self._memory[number] = (ddr, cache)
        buffer = PynqBuffer(shape, dtype, buffer=cache, device=self, device_address=ddr.address, bo=number)
        buffer.memory, buffer.pointer, buffer.return_to = self, _Handle(number, weakref.ref(buffer)), self
        return buffer

    def return_pointer(self, handle: _Handle) -> None:
        ddr, _ = self._memory.pop(handle.number)
        ddr.free()
        buffer = handle.buffer()
        if buffer is not None:
            del buffer.memory  # pynq would unmap it a second time when the object goes

    @property
    def buffers(self) -> int:
        return len(self._memory)

    def flush(self, bo: int, offset: int, address: int, size: int) -> None:
        ddr, cache = self._memory[bo]
        ddr.array[offset : offset + size] = cache[offset : offset + size]

    def invalidate(self, bo: int, offset: int, address: int, size: int) -> None:
        ddr, cache = self._memory[bo]
        cache[offset : offset + size] = ddr.array[offset : offset + size]
