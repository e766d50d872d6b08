"""Builds the overlay: `python -m overlays.flow.build`, or `make -C overlays`.

Writes pynq_snn.bit, pynq_snn.hwh, utilisation.json, timing.json and manifest.json into the folder overlays/, and a
report of the checks, which must all pass before, into benchmarks/overlay.json. The same RTL and tools give the same
FASM.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from overlays.flow import implementation, readback, synthesis, tools
from overlays.flow.fan_out import write_limited
from overlays.flow.implementation import Implementation
from overlays.flow.netlist import Netlist
from overlays.flow.placement_order import write_ordered
from overlays.flow.sources import OVERLAYS, PART, RTL, TOP, build_hash, file_hash, rtl_files, rtl_hashes

NAME = "pynq_snn"
NETLIST = "netlist.json"  # what is placed and routed
WORK = OVERLAYS / "build"
REPORTS = OVERLAYS.parent / "benchmarks"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a report."""
    path.write_text(json.dumps(content, indent=2) + "\n")


def utilisation(netlist: Netlist, placed: Implementation) -> dict[str, Any]:
    """Return what the design takes: cells of the netlist, and places that nextpnr gave them."""
    return {
        "part": PART,
        "cells": netlist.cell_counts(),
        "places": {kind: {"used": used, "available": total} for kind, (used, total) in placed.used.items()},
    }


def timing(netlist: Netlist, placed: Implementation, clock_mhz: float) -> dict[str, Any]:
    """Return the clock, and why it is safe."""
    path = netlist.longest_path()
    return {
        "clock_mhz": round(clock_mhz, 6),
        "fmax_mhz": placed.fmax_mhz,
        "margin": round(placed.fmax_mhz / clock_mhz, 3),
        "kind": "estimate of nextpnr-xilinx, without block RAMs and PS7: the clock is at most half of it",
        "longest_path": {"cells": path.cells, "from": path.start, "to": path.end},
    }


def tool_versions(work: Path) -> dict[str, str]:
    """Return what the tools call themselves, and hashes of those without a name."""
    nextpnr, database, assembler = tools.require(tools.NEXTPNR, tools.CHIP_DATABASE, tools.ASSEMBLER)
    said = tools.run([nextpnr, "--version"], work / "version.log").strip()
    if "(Version )" in said:  # built outside of its repository
        said = f"unversioned build, sha256 {file_hash(nextpnr)}"
    return {
        "yosys": synthesis.yosys_version(work),
        "nextpnr-xilinx": said,
        "chip database": f"sha256 {file_hash(tools.unpacked(database, work))}",
        "bits7.py": f"sha256 {file_hash(assembler)}",
    }


def manifest(rtl: Path, work: Path, placed: Implementation, clock_mhz: float) -> dict[str, Any]:
    """Return what the bitstream was built from, with what, and when."""
    hashes = rtl_hashes(rtl)
    return {
        "build_hash": f"0x{build_hash(hashes):08x}",
        "part": PART,
        "top": TOP,
        "clock_mhz": round(clock_mhz, 6),
        "seed": implementation.SEED,
        "target_mhz": implementation.TARGET_MHZ,
        "sources": hashes,
        "tools": tool_versions(work),
        "fasm_sha256": file_hash(placed.fasm),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }


def build(rtl: Path, target: Path, reports: Path, work: Path) -> None:
    """Do all steps; nothing in `target` is touched before the checks have passed."""
    tools.require(*tools.ALL_NEEDS)
    for folder in (work, target, reports):
        folder.mkdir(parents=True, exist_ok=True)
    step("synthesis")
    synthesised = synthesis.synthesise(rtl_files(rtl), build_hash(rtl_hashes(rtl)), work)
    limited, ordered = work / "limited.json", work / NETLIST
    copies = write_limited(synthesised, limited)
    write_ordered(limited, ordered)
    netlist = Netlist.read(ordered)
    implementation.check_design_rules(netlist)
    step(f"place and route: {netlist.area()}, {copies} of them copies")
    placed = implementation.place_and_route(ordered, work)
    clock_mhz = implementation.choose_clock(placed.fmax_mhz)
    step(f"bitstream: {placed.fmax_mhz} MHz estimated, clock {clock_mhz:.2f} MHz")
    bitstream = work / f"{NAME}.bit"
    implementation.assemble(placed.fasm, bitstream, work)
    step("checks of the bitstream")
    report = {
        "bitstream": implementation.check_bitstream(bitstream, work),
        "readback": readback.compare(bitstream, placed.placed, netlist, work),
    }
    shutil.copyfile(bitstream, target / bitstream.name)
    write_json(target / "utilisation.json", utilisation(netlist, placed))
    write_json(target / "timing.json", timing(netlist, placed, clock_mhz))
    write_json(target / "manifest.json", manifest(rtl, work, placed, clock_mhz))
    write_description(target)
    write_json(reports / "overlay.json", report)
    step(f"written to {target}")


def write_description(target: Path) -> None:
    """Write pynq_snn.hwh beside the manifest, which has the clock that it names."""
    command = [sys.executable, "-m", "pynq_snn.overlay.hwh", str(target)]
    subprocess.run(command, cwd=OVERLAYS.parent, check=True)


def step(text: str) -> None:
    """Say what happens now."""
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", flush=True)


def main() -> int:
    """Run the build from the command line."""
    parser = argparse.ArgumentParser(description="Build the overlay's bitstream with open tools.")
    parser.add_argument("--rtl", type=Path, default=RTL, help="folder of the SystemVerilog sources")
    parser.add_argument("--target", type=Path, default=OVERLAYS, help="folder for the bitstream and its papers")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder for the report of the checks")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for everything between")
    arguments = parser.parse_args()
    try:
        build(arguments.rtl, arguments.target, arguments.reports, arguments.work)
    except tools.ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
