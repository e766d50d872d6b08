"""The RTL of ``overlays/rtl``, simulated cycle by cycle against a model of the board's memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from pynq_snn import layout
from pynq_snn.devices.rtl_model import Faults, Settings, Statistics, Variant, build_model, load_model
from pynq_snn.devices.simulated import MEMORY_BYTES, SimulatedDevice
from pynq_snn.errors import DeviceError

DEFAULT_CLOCK_MHZ = 100.0
CYCLES_PER_TURN = 10_000  # between two looks at who else wants the simulation: some 30 ms
RESET_POLL_CYCLES = 100
RESET_POLLS = 2_000  # the core owes memory at most a few bursts; after 200,000 cycles it is stuck


class Channel(IntEnum):
    """Channels that `Faults.stalled_channels` can name, by bit."""

    READ_ADDRESS = 0
    READ_DATA = 1
    WRITE_ADDRESS = 2
    WRITE_DATA = 3
    WRITE_RESPONSE = 4
    REGISTERS = 5


ALL_CHANNELS = sum(1 << channel for channel in Channel)


class Outcome(IntEnum):
    """What a call of the simulation ended with."""

    STILL_RUNNING = 0
    INTERRUPTED = 1
    WAS_RESET = 2
    VIOLATED = 3


@dataclass(frozen=True)
class MemoryModel:
    """DDR as the core sees it through two 64-bit high-performance ports.

    Attributes
    ----------
    latency_cycles : int
        From an accepted address to its first word, and from a burst's last word to its response.
    bandwidth : float
        Bytes per second, of both ports and both directions together.
    refresh_interval_s, refresh_s : float
        A refresh comes so often and takes so long (JESD79-3: 7.8 us, and 160 ns for 2 Gbit).
    outstanding_bursts : int
        Of each port and direction.
    queue_words : int
        64-bit words between memory and a port (UG585: 128).
    """

    latency_cycles: int = 40
    bandwidth: float = 1.4e9
    refresh_interval_s: float = 7.8e-6
    refresh_s: float = 160e-9
    outstanding_bursts: int = 8
    queue_words: int = 128

    def settings(self, clock_mhz: float) -> Settings:
        """Return the same in cycles."""
        hertz = clock_mhz * 1e6
        return Settings(
            bytes_per_cycle=self.bandwidth / hertz,
            latency_cycles=self.latency_cycles,
            refresh_interval_cycles=round(self.refresh_interval_s * hertz),
            refresh_cycles=round(self.refresh_s * hertz),
            outstanding_bursts=self.outstanding_bursts,
            queue_words=self.queue_words,
        )


@dataclass
class _Turns:
    """Lets threads share the simulation; one that computes on and on does not keep others out."""

    _door: threading.Lock = field(default_factory=threading.Lock)
    _inside: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        with self._door, self._inside:
            yield

    @contextlib.contextmanager
    def take_humbly(self) -> Iterator[None]:
        """Go in behind whoever already waits."""
        with self._door:
            pass
        with self._inside:
            yield


class RtlDevice(SimulatedDevice):
    """Runs programs on the Verilated core; its cycle counters count cycles.

    Registers are read and written by AXI4-Lite transfers, the end of a run is the core's interrupt, and what the core
    does on its memory ports is checked against the rules of AXI and the buffers of the run at all times.

    Parameters
    ----------
    memory_bytes : int
        Size of the simulated memory.
    clock_mhz : float
        Clock of the core: what the memory moves in a cycle follows from it.
    trace : path, optional
        Write all signals to this file, for GTKWave or Surfer, in FST format.
    memory_model : MemoryModel, optional
    sources : sequence of path, optional
        Other SystemVerilog files with a module ``snn_core``; the core's by default.
    variant : Variant, optional
        What else the model can do (see `pynq_snn.devices.rtl_model`).

    Raises
    ------
    DeviceError
        A tool to build the model is missing, the build failed, or the trace cannot be written.
    """

    name = "rtl"
    cycles_are = "cycle-accurate simulation"

    def __init__(
        self,
        memory_bytes: int = MEMORY_BYTES,
        *,
        clock_mhz: float = DEFAULT_CLOCK_MHZ,
        trace: str | os.PathLike[str] | None = None,
        memory_model: MemoryModel | None = None,
        sources: Sequence[Path] | None = None,
        variant: Variant | None = None,
    ) -> None:
        if trace is not None:
            _check_writable(trace)  # before a build of minutes
        variant = variant or Variant(trace=trace is not None)
        memory_model = memory_model or MemoryModel()
        self.clock_mhz = clock_mhz
        self.description = (
            f"simulation of the RTL at {clock_mhz:g} MHz, memory at {memory_model.bandwidth / 1e9:g} GB/s "
            f"with a latency of {memory_model.latency_cycles} cycles"
        )
        self._model = load_model(build_model(sources, variant))
        super().__init__(memory_bytes)
        self._written: dict[int, int] = {}
        self._turns = _Turns()
        self._simulation: int | None = self._model.snn_rtl_open(
            self.memory.array.ctypes.data, self.memory.base, len(self.memory.array), memory_model.settings(clock_mhz)
        )
        if trace is not None:
            self._begin_trace(trace)

    def _begin_trace(self, path: str | os.PathLike[str]) -> None:
        if not self._model.snn_rtl_begin_trace(self._simulation, os.fsencode(path), self.clock_mhz):
            self.close()
            raise DeviceError(
                f"{os.fspath(path)}: this model writes no traces; open it with variant=Variant(trace=True)"
            )

    # --- registers ----------------------------------------------------------------------------------------------------

    def read(self, offset: int) -> int:
        self._check_offset(offset)
        with self._turns.take():
            return self._read(offset)

    def write(self, offset: int, value: int) -> None:
        self._check_offset(offset)
        if offset == layout.REGISTER_OFFSETS["soft_reset"]:
            if value & 1:
                self.reset()
        elif offset == layout.REGISTER_OFFSETS["control"] and value & layout.CONTROL_START:
            self._start()
        else:
            with self._turns.take():
                self._written[offset] = value
                self._write(offset, value)

    def _read(self, offset: int) -> int:
        value = ctypes.c_uint32()
        self._check(self._model.snn_rtl_read(self._open(), offset, value))
        return value.value

    def _write(self, offset: int, value: int) -> None:
        self._check(self._model.snn_rtl_write(self._open(), offset, value & layout.WORD_MAX))

    def _open(self) -> int:
        if self._simulation is None:
            raise DeviceError("the rtl device is closed; open a new one")
        return self._simulation

    def _check(self, outcome: int) -> None:
        if outcome == Outcome.VIOLATED:
            raise DeviceError(f"the simulated core broke a rule in {self._problem()}")

    def _problem(self) -> str:
        return str(self._model.snn_rtl_problem(self._open()).decode())

    def _written_value(self, name: str, bits: int = 32) -> int:
        offset = layout.REGISTER_OFFSETS[name]
        low = self._written.get(offset, 0)
        return low | self._written.get(offset + 4, 0) << 32 if bits == 64 else low

    # --- runs ---------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        with self._turns.take():
            if self._thread is not None and self._thread.is_alive():
                self._write(layout.REGISTER_OFFSETS["control"], layout.CONTROL_START)  # the core ignores it
                return
        self.begin()
        self._thread = threading.Thread(target=self._run, name=f"{self.name} core", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Start a run that goes on only in `run_cycles`; for tests."""
        with self._turns.take():
            for region in layout.Region:
                prefix = region.name.lower()
                self._model.snn_rtl_set_window(
                    self._open(), region, self._written_value(f"{prefix}_address", 64),
                    self._written_value(f"{prefix}_bytes"),
                )  # fmt: skip
            self._clear_interrupt()
            self._write(layout.REGISTER_OFFSETS["interrupt_enable"], 1)
            self._write(layout.REGISTER_OFFSETS["interrupt_global_enable"], 1)
            self.abort[0] = 0
            self._failure = None
            self._write(layout.REGISTER_OFFSETS["control"], layout.CONTROL_START)

    def execute(self) -> None:
        while not self.abort[0]:
            with self._turns.take_humbly():
                outcome = self._model.snn_rtl_run(self._open(), CYCLES_PER_TURN)
                self._check(outcome)
                if outcome == Outcome.INTERRUPTED:
                    self._restore_interrupts()
                if outcome != Outcome.STILL_RUNNING:
                    return

    def _run(self) -> None:
        try:
            self.execute()
        except BaseException as failure:  # handed to the thread that waits
            self._failure = failure

    def run_cycles(self, cycles: int) -> None:
        """Simulate so many cycles, or until the core interrupts, in this thread: after `begin`."""
        with self._turns.take():
            self._check(self._model.snn_rtl_run(self._open(), cycles))

    def _clear_interrupt(self) -> None:
        offset = layout.REGISTER_OFFSETS["interrupt_status"]
        pending = self._read(offset)
        if pending:
            self._write(offset, pending)  # writing 1 clears

    def _restore_interrupts(self) -> None:
        """Undo what waiting needed: software that wants no interrupt finds none pending."""
        if not self._written_value("interrupt_enable") & 1:
            self._clear_interrupt()
        for name in ("interrupt_enable", "interrupt_global_enable"):
            self._write(layout.REGISTER_OFFSETS[name], self._written_value(name))

    def reset(self) -> None:
        self._stop_thread()
        with self._turns.take():
            if self._problem():  # a core that broke a rule is not asked to stop in good order
                self._model.snn_rtl_reset(self._open())
                self._written.clear()
                return
            self._write(layout.REGISTER_OFFSETS["soft_reset"], 1)
            for _ in range(RESET_POLLS):
                if self._read(layout.REGISTER_OFFSETS["control"]) & layout.CONTROL_IDLE:
                    self._restore_interrupts()
                    return
                self._check(self._model.snn_rtl_run(self._open(), RESET_POLL_CYCLES))
        raise DeviceError(
            f"the simulated core is not idle {RESET_POLLS * RESET_POLL_CYCLES} cycles after a soft reset; "
            "a trace (--trace FILE.fst) shows what it waits for"
        )

    def _stop_thread(self) -> None:
        self.abort[0] = 1
        if self._thread is not None:
            self._thread.join()  # one turn at most
        self._thread = None

    # --- for measurements and tests -----------------------------------------------------------------------------------

    def set_faults(self, faults: Faults) -> None:
        """Stall, delay, answer with errors or reset as `faults` says, from the next run on."""
        with self._turns.take():
            self._model.snn_rtl_set_faults(self._open(), faults)

    def statistics(self) -> Statistics:
        """Return what has moved on the ports since the device was opened."""
        result = Statistics()
        with self._turns.take():
            self._model.snn_rtl_statistics(self._open(), result)
        return result

    def write_coverage(self, path: str | os.PathLike[str]) -> None:
        """Write coverage data for ``verilator_coverage``; raises DeviceError for a model that counts none."""
        with self._turns.take():
            if not self._model.snn_rtl_write_coverage(self._open(), os.fsencode(path)):
                raise DeviceError("this model counts no coverage; open it with variant=Variant(coverage=True)")

    def close(self) -> None:
        self._stop_thread()
        with self._turns.take():
            if self._simulation is not None:
                simulation, self._simulation = self._simulation, None
                self._model.snn_rtl_end_trace(simulation)
                self._model.snn_rtl_close(simulation)


def _check_writable(path: str | os.PathLike[str]) -> None:
    try:
        Path(path).open("wb").close()
    except OSError as error:
        raise DeviceError(
            f"{os.fspath(path)}: the trace cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from error
