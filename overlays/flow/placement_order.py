"""Cell names that make nextpnr-xilinx place the most demanding cells first.

All flip-flops of a slice share one clock enable and one reset. The placer's legaliser takes cells in the order of their
names, last first, and does not move pairs of a look-up table and its flip-flop again: where flip-flops with a common
pair of control nets come first, they leave some in every slice, and a pair with control nets of its own finds no slice
and is looked for forever. So names begin with a rank: flip-flops, and the look-up tables in front of them, by how many
flip-flops share their control nets, the fewest first; everything else last.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from overlays.flow.netlist import top_of

RANKS = 100_000


def control_nets(cell: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a flip-flop has in common with the others of its slice."""
    connections = cell["connections"]
    resets = [(port, *connections[port]) for port in ("R", "S", "CLR", "PRE") if port in connections]
    return (*connections["C"], *connections["CE"], *resets)


def ranks(cells: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Return the place in the order of each cell that has one: the higher, the earlier it is placed."""
    flip_flops = {name: cell for name, cell in cells.items() if cell["type"].startswith("FD")}
    sharing = Counter(control_nets(cell) for cell in flip_flops.values())
    drivers = {cell["connections"]["O"][0]: name for name, cell in cells.items() if cell["type"].startswith("LUT")}
    order: dict[str, int] = {}
    for name, cell in flip_flops.items():
        order[name] = RANKS - 1 - sharing[control_nets(cell)]
        driver = drivers.get(cell["connections"]["D"][0])
        if driver is not None:
            order[driver] = max(order.get(driver, 0), order[name])
    return order


def write_ordered(netlist: Path, ordered: Path) -> None:
    """Write the netlist of yosys again, the cells of its top module renamed; nothing else changes."""
    design = json.loads(netlist.read_text())
    top = design["modules"][top_of(design["modules"])]
    order = ranks(top["cells"])
    top["cells"] = {f"{order.get(name, 0):05d}.{name}": cell for name, cell in top["cells"].items()}
    ordered.write_text(json.dumps(design))
