"""Area and logic depth after synthesis, module by module: `python -m overlays.flow.area`, or `make -C overlays synth`.

The whole design is synthesised flat, as the build does it, for its totals and its longest path, and once more with its
hierarchy kept, for what each instance takes: without optimisation across modules, so the parts add up to more than the
whole.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from overlays.flow import implementation, synthesis, tools
from overlays.flow.build import REPORTS, WORK, write_json
from overlays.flow.netlist import Area, Netlist
from overlays.flow.sources import RTL, TOP, build_hash, rtl_files, rtl_hashes

# Of the xc7z020's 53,200 LUT, 106,400 FF, 140 block RAMs and 220 DSP slices: what still routes well.
LIMITS = Area(lut=40_000, ff=60_000, bram36=128, dsp=0)
SMALLEST_NAMED = 20  # LUTs or flip-flops: smaller instances are part of the one around them only


def report(rtl: Path, work: Path, top: str) -> dict[str, Any]:
    """Synthesise `top` flat and with its hierarchy, and return what it takes."""
    files, word = rtl_files(rtl), build_hash(rtl_hashes(rtl))
    with ThreadPoolExecutor() as pool:
        parts = pool.submit(synthesis.synthesise, files, word, work / "hierarchy", top, flatten=False)
        flat = Netlist.read(synthesis.synthesise(files, word, work, top))
        modules = Netlist.read(parts.result())
    implementation.check_design_rules(flat)
    path = flat.longest_path()
    return {
        "tool": synthesis.yosys_version(work),
        "top": top,
        "build_hash": f"0x{word:08x}",
        "limits": dataclasses.asdict(LIMITS),
        "total": dataclasses.asdict(flat.area()),
        "cells": flat.cell_counts(),
        "longest_path": {"cells": path.cells, "from": path.start, "to": path.end},
        "instances": {
            name or top: dataclasses.asdict(area)
            for name, area in modules.area_by_instance().items()
            if area.lut + area.ff >= SMALLEST_NAMED or area.bram36
        },
    }


def excesses(total: dict[str, float]) -> list[str]:
    """Return what is over the limits."""
    limits = dataclasses.asdict(LIMITS)
    return [f"{kind}: {total[kind]} of {limits[kind]}" for kind in limits if total[kind] > limits[kind]]


def main() -> int:
    """Write and print the report; exit status 1 where the design is over its limits."""
    parser = argparse.ArgumentParser(description="Area and logic depth of the overlay after synthesis.")
    parser.add_argument("--rtl", type=Path, default=RTL, help="folder of the SystemVerilog sources")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder for synth.json")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for everything between")
    parser.add_argument("--top", default=TOP, help="module to synthesise")
    arguments = parser.parse_args()
    try:
        result = report(arguments.rtl, arguments.work, arguments.top)
    except tools.ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    write_json(arguments.reports / "synth.json", result)
    for name, area in result["instances"].items():
        print(f"{area['lut']:7} LUT {area['ff']:7} FF {area['bram36']:6} BRAM36  {name}")
    print(f"flat: {result['total']}, longest path: {result['longest_path']}")
    over = excesses(result["total"])
    print("\n".join(f"over the limit: {line}" for line in over) or "within the limits")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
