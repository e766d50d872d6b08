"""The netlist that is placed and routed computes what its RTL computes: `python -m tests.overlay.netlist_proof`.

Needs the netlist of a build (overlays/build/netlist.json) and Verilator. The whole overlay, processing system ports
and bridge included, runs small networks twice, as RTL and as the netlist of xc7 cells with yosys's models of them. Both
must leave the same bytes in memory, take the same number of cycles, and give the logits of the compiled kernel. Writes
benchmarks/netlist.json.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from overlays.flow.build import NETLIST, REPORTS, WORK
from overlays.flow.netlist import Netlist
from overlays.flow.simulation import simulation_netlist
from overlays.flow.sources import RTL, build_hash, rtl_files, rtl_hashes
from pynq_snn import layout
from pynq_snn.accelerator import Accelerator
from pynq_snn.devices.simulated import SimulatedDevice
from pynq_snn.network import Network, integrate
from tests.networks import EXAMPLES, random_input, to_events
from tests.overlay.verilated import build_library, missing_tools

HERE = Path(__file__).resolve().parent
MODELS = [HERE / "ps7_model.sv", HERE / "xc7_models.sv", HERE / "overlay_bench.sv"]
BENCH = HERE / "overlay_bench.cpp"
FIRST_OUTPUT = layout.REGISTER_OFFSETS["core_id"]
END = layout.REGISTER_OFFSETS["cycles_high"] + 4
MEMORY_BYTES = 16 << 20
CYCLE_LIMIT = 5_000_000
PROBLEMS = {1: "no end within the cycle limit", 2: "a broken rule of AXI3, named above", 3: "a failed register access"}
NETWORKS = ("plain", "residual", "pooled_spikes", "max_pooled", "from_events", "single_places")  # of EXAMPLES


class OverlayDevice(SimulatedDevice):
    """The whole overlay in Verilator; each run starts with a reset."""

    name = "overlay"
    description = "overlay in Verilator, from the processing system's ports on"
    cycles_are = "cycle-accurate simulation"

    def __init__(self, library: Path, seed: int = 1) -> None:
        super().__init__(MEMORY_BYTES)
        self._library = ctypes.CDLL(str(library))
        self._seed = seed

    def execute(self) -> None:
        words, memory = self.words, self.memory.array
        problem = self._library.overlay_run(
            words.ctypes.data_as(ctypes.c_void_p), memory.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_uint64(self.memory.base), ctypes.c_uint64(len(memory)), FIRST_OUTPUT, END,
            ctypes.c_uint64(CYCLE_LIMIT), self._seed,
        )  # fmt: skip
        if problem:
            raise RuntimeError(PROBLEMS[problem])


def build_models(netlist: Path, rtl: Path, work: Path) -> tuple[Path, Path]:
    """Build the overlay from RTL and from the netlist, as libraries."""
    word = build_hash(rtl_hashes(rtl))
    top = (work / "overlay_with_hash.sv").resolve()
    source = (rtl / "snn_overlay.sv").read_text()
    top.write_text(source.replace("BUILD_HASH = 32'd0", f"BUILD_HASH = 32'h{word:08x}", 1))
    sources = [path for path in rtl_files(rtl) if path.name != "snn_overlay.sv"]
    of_rtl = build_library("overlay_bench", [*sources, top, *MODELS], BENCH, work / "simulation_rtl")
    cells = simulation_netlist(netlist)
    of_netlist = build_library("overlay_bench", [cells, *MODELS], BENCH, work / "simulation_netlist", optimise="-O0")
    return of_rtl, of_netlist


def run(network: Network, device: Any) -> tuple[np.ndarray, dict[str, int], np.ndarray]:
    """Run a network; return logits, what the core's registers say, and the memory."""
    inputs = random_input(network, 11, 2)
    with Accelerator(device, timeout_s=3600) as accelerator:
        accelerator.load(network, keep_maps=True)
        if network.input_kind == "pixels":
            logits = accelerator.infer(inputs, batch=2)
        else:
            logits = accelerator.infer_events([to_events(item) for item in inputs], batch=2)
        opened = accelerator.device
        registers = {r.name: opened.read(r.offset) for r in layout.REGISTERS if FIRST_OUTPUT <= r.offset < END}
        assert isinstance(opened, SimulatedDevice)
        return logits, registers, opened.memory.array.copy()


def prove(of_rtl: Path, of_netlist: Path, name: str, **options: Any) -> dict[str, Any]:
    """Compare one network; raises AssertionError at a difference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # small random networks are rounded anew
        network = integrate(EXAMPLES[name](**options))
    logits, registers, memory = run(network, OverlayDevice(of_rtl))
    other_logits, other_registers, other_memory = run(network, OverlayDevice(of_netlist))
    kernel_logits, _, _ = run(network, "kernel")
    assert np.array_equal(memory, other_memory), f"{name}: the memories differ"
    assert registers == other_registers, f"{name}: the registers differ: {registers} {other_registers}"
    assert np.array_equal(logits, other_logits) and np.array_equal(logits, kernel_logits), f"{name}: the logits differ"
    return {
        "network": name.replace("_", " "),
        **options,
        "cycles": registers["cycles_low"],
        "memory_bytes_compared": len(memory),
    }


def main() -> int:
    """Compare the networks and write the report."""
    parser = argparse.ArgumentParser(description="Run the synthesised overlay against its RTL.")
    parser.add_argument("--rtl", type=Path, default=RTL, help="folder of the SystemVerilog sources")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of the build")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder for netlist.json")
    arguments = parser.parse_args()
    netlist = arguments.work / NETLIST
    problem = missing_tools() or ("" if netlist.exists() else f"{netlist} does not exist: run make -C overlays first")
    if problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    of_rtl, of_netlist = build_models(netlist, arguments.rtl, arguments.work.resolve())
    runs = []
    for name in NETWORKS:
        for firing in ("stepwise", "deferred"):
            runs.append(prove(of_rtl, of_netlist, name, firing=firing))
            print(runs[-1], flush=True)
    word = build_hash(rtl_hashes(arguments.rtl))
    report = {"build_hash": f"0x{word:08x}", "cells": Netlist.read(netlist).cell_counts(), "equal_runs": runs}
    (arguments.reports / "netlist.json").write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
