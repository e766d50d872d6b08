"""Copies of what drives many cells, so that no net of the netlist has more loads than the router and the clock bear.

The router looks for every load of a net through all that the net reaches already: a net with a thousand loads takes it
a minute, and its one driver is far from most of them. So look-up tables and flip-flops that drive more than a limit are
copied, and each copy drives loads that belong together: those whose nearest registers are neighbours by name, such as
the bits of one lane. Copies compute the same from the same inputs, so the design does not change.
"""

from __future__ import annotations

import copy
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overlays.flow.netlist import LUT_TYPES, top_of

MOST_LOADS = 40
CONTROL_PORTS = ("CE", "R", "S", "CLR", "PRE")
LOOK_AHEAD = 4  # cells between a load and the register whose name says where it belongs
Load = tuple[str, str, int]  # cell, port, index in the port


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts numbers within names by their value."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


@dataclass
class Design:
    """The top module of a yosys netlist, with what drives and what loads each net."""

    module: dict[str, Any]

    def __post_init__(self) -> None:
        self.cells: dict[str, dict[str, Any]] = self.module["cells"]
        self.names: dict[int, str] = {}
        for name, net in self.module["netnames"].items():
            for index, bit in enumerate(net["bits"]):
                if isinstance(bit, int) and (bit not in self.names or self.names[bit].startswith("$")):
                    self.names[bit] = f"{name}[{index}]"
        self._next_net = max(self.names, default=1) + 1
        self.scan()

    def scan(self) -> None:
        """Find drivers and loads anew."""
        self.driver: dict[int, str] = {}
        self.loads: dict[int, list[Load]] = defaultdict(list)
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                for index, bit in enumerate(bits):
                    if not isinstance(bit, int):
                        continue
                    if cell["port_directions"][port] == "output":
                        self.driver[bit] = name
                    else:
                        self.loads[bit].append((name, port, index))

    def output(self, cell: str) -> int | None:
        """Return the net that a look-up table or flip-flop drives."""
        connections = self.cells[cell]["connections"]
        bits = connections.get("O") or connections.get("Q") or [None]
        return bits[0] if isinstance(bits[0], int) else None

    def place(self, cell: str) -> list[tuple[int, int, str]]:
        """Return the name, as a key to sort by, of the register nearest behind a cell."""
        todo, seen = [cell], {cell}
        for _ in range(LOOK_AHEAD):
            registers = [self.cells[name]["connections"]["Q"][0] for name in todo if self.is_register(name)]
            if registers:
                return min(natural(self.names.get(bit, "")) for bit in registers)
            nets = [self.output(name) for name in todo]
            behind = [load[0] for net in nets if net is not None for load in self.loads[net][:MOST_LOADS]]
            todo = [name for name in dict.fromkeys(behind) if name not in seen]
            seen.update(todo)
        return natural(cell)

    def is_register(self, cell: str) -> bool:
        """Whether a cell is a flip-flop."""
        return self.cells[cell]["type"].startswith("FD")

    def copy_driver(self, cell: str, loads: list[Load]) -> None:
        """Let a copy of a cell drive some of its loads."""
        twin = copy.deepcopy(self.cells[cell])
        port = "O" if "O" in twin["connections"] else "Q"
        net, self._next_net = self._next_net, self._next_net + 1
        twin["connections"][port] = [net]
        name = f"{cell}.copy{net}"
        self.cells[name] = twin
        self.module["netnames"][f"{name}.out"] = {"hide_name": 1, "bits": [net], "attributes": {}}
        for user, user_port, index in loads:
            self.cells[user]["connections"][user_port][index] = net

    def divide(self, net: int) -> int:
        """Divide the loads of a net among copies of its driver; return how many copies were made."""
        cell = self.driver[net]
        loads = [load for load in self.loads[net] if not self.stays(load)]
        loads.sort(key=lambda load: (self.place(load[0]), load))
        if len(loads) == len(self.loads[net]):  # the original drives some of them
            count = -(-len(loads) // MOST_LOADS)
            del loads[: -(-len(loads) // count)]
        count = -(-len(loads) // MOST_LOADS)
        size = -(-len(loads) // count)
        for start in range(0, len(loads), size):
            self.copy_driver(cell, loads[start : start + size])
        return count

    def stays(self, load: Load) -> bool:
        """Whether a load stays with the driver that it has.

        Wide multiplexers and carries share a slice with it. Enables and resets do since all flip-flops of a slice must
        have the same ones: with more different nets the placer finds no place for the last of them.
        """
        return load[1] in CONTROL_PORTS or self.cells[load[0]]["type"].startswith(("MUXF", "CARRY"))

    def too_many(self, net: int) -> bool:
        """Whether a net has more loads than it may, and a driver that can be copied."""
        kind = self.cells[self.driver[net]]["type"] if net in self.driver else ""
        if kind not in LUT_TYPES and not kind.startswith("FD"):
            return False
        return sum(not self.stays(load) for load in self.loads[net]) > MOST_LOADS


def limit_fan_out(module: dict[str, Any]) -> int:
    """Copy drivers in a module until no net has more loads than it may; return how many copies were made."""
    design = Design(module)
    copies = 0
    while True:
        nets = [net for net in list(design.loads) if design.too_many(net)]
        made = sum(design.divide(net) for net in nets)
        if not made:
            return copies
        copies += made
        design.scan()


def write_limited(netlist: Path, limited: Path) -> int:
    """Write the netlist of yosys again with copies in it; return how many."""
    design = json.loads(netlist.read_text())
    top = design["modules"][top_of(design["modules"])]
    copies = limit_fan_out(top)
    limited.write_text(json.dumps(design))
    return copies
