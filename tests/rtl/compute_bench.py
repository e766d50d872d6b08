"""snn_compute alone, verilated, as a device: a C++ bench plays the rest of the core with a behavioural memory."""

from __future__ import annotations

import ctypes
import hashlib
import os
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pynq_snn.devices.rtl_model import cache_folder, core_sources
from pynq_snn.devices.simulated import MEMORY_BYTES, SimulatedDevice
from tests.overlay.verilated import build_program

ROOT = Path(__file__).resolve().parent.parent.parent
BENCH = Path(__file__).with_name("compute_bench.cpp")
SURROUNDINGS = ("snn_core", "snn_overlay")  # tops that snn_compute knows nothing of
OPTIMISATION = os.environ.get("PYNQ_SNN_BENCH_OPTIMISATION", "-O1")
OPTIONS = (
    "--assert", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing", "-Wno-UNUSED", "-j", "2",
    "-CFLAGS", f"-std=c++17 -fPIC -I{ROOT}/hls", "-LDFLAGS", "-shared",
)  # fmt: skip
SILENCE_LIMIT = 4_000_000  # cycles without the end of a layer


def fingerprint(*paths: Path) -> str:
    """Return a hash of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache
def build() -> ctypes.CDLL:
    """Build the bench, unless it is in the cache, and load it."""
    sources = [path for path in core_sources() if path.stem not in SURROUNDINGS]
    folder = cache_folder() / "compute-bench" / fingerprint(*sources, BENCH, Path(__file__))
    library = folder / "bench.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        build_program("snn_compute", sources, BENCH, folder, OPTIONS, OPTIMISATION).replace(library)
    loaded = ctypes.CDLL(str(library))
    loaded.compute_bench_run.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64,
    ]  # fmt: skip
    return loaded


@dataclass(frozen=True)
class Conditions:
    """How the memory behaves.

    Attributes
    ----------
    latency : int
        Cycles from a burst's request to its first word.
    pause_percent : int
        Of the cycles in which a handshake or a port pauses, each for itself.
    bytes_per_cycle : int
        Of both ports and the results together.
    reset_cycle : int
        A reset in the middle of the run, which then begins anew; 0: none.
    """

    seed: int = 1
    latency: int = 40
    pause_percent: int = 0
    bytes_per_cycle: int = 14
    reset_cycle: int = 0


class ComputeBenchDevice(SimulatedDevice):
    """Runs programs on the verilated snn_compute; trusts them."""

    name = "snn_compute"
    description = "verilated snn_compute with a behavioural memory"
    cycles_are = "cycle-accurate simulation"

    def __init__(self, conditions: Conditions | None = None, memory_bytes: int = MEMORY_BYTES) -> None:
        self.conditions = conditions or Conditions()
        self._library = build()
        super().__init__(memory_bytes)

    def execute(self) -> None:
        options = np.array(astuple(self.conditions), np.uint32)
        self._library.compute_bench_run(
            self.words.ctypes.data,
            self.memory.array.ctypes.data,
            self.memory.base,
            options.ctypes.data,
            SILENCE_LIMIT,
        )
