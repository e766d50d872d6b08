"""A netlist of xc7 cells as yosys writes it: what it holds, and how deep its logic is."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

LUT_TYPES = ("INV", "LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6")
COMBINATIONAL_TYPES = (*LUT_TYPES, "MUXF7", "MUXF8", "CARRY4")


@dataclass
class Area:
    """What a piece of design takes of the device; `bram36` counts a RAMB18E1 as a half."""

    lut: int = 0
    ff: int = 0
    bram36: float = 0
    dsp: int = 0

    def add(self, cell_type: str) -> None:
        """Count one cell."""
        self.lut += cell_type in LUT_TYPES
        self.ff += cell_type.startswith(("FD", "LD"))
        self.bram36 += {"RAMB36E1": 1.0, "RAMB18E1": 0.5}.get(cell_type, 0)
        self.dsp += cell_type == "DSP48E1"

    def __add__(self, other: Area) -> Area:
        return Area(self.lut + other.lut, self.ff + other.ff, self.bram36 + other.bram36, self.dsp + other.dsp)


@dataclass
class LogicPath:
    """A longest chain of combinational cells: how many cells, and where it starts and ends."""

    cells: int
    start: str
    end: str


def top_of(modules: dict[str, dict[str, Any]]) -> str:
    """Return the name of the module that yosys marked as the top."""
    return next(name for name, module in modules.items() if int(module.get("attributes", {}).get("top", "0"), 2))


@dataclass
class Netlist:
    """The modules of a yosys netlist in JSON."""

    modules: dict[str, dict[str, Any]] = field(repr=False)
    top: str

    @classmethod
    def read(cls, path: Path) -> Netlist:
        """Read the file that yosys wrote."""
        modules = json.loads(path.read_text())["modules"]
        return cls(modules, top_of(modules))

    @cached_property
    def cells(self) -> dict[str, dict[str, Any]]:
        """The cells of the top module."""
        cells: dict[str, dict[str, Any]] = self.modules[self.top]["cells"]
        return cells

    def is_library(self, module: str) -> bool:
        """Whether `module` is a cell of the device rather than a part of the design."""
        attributes = self.modules[module].get("attributes", {}) if module in self.modules else {"blackbox": "1"}
        return "blackbox" in attributes or "whitebox" in attributes

    def cell_counts(self) -> dict[str, int]:
        """How many cells of each type the top module has."""
        return dict(sorted(Counter(cell["type"] for cell in self.cells.values()).items()))

    def area(self, module: str | None = None) -> Area:
        """Return what a module takes, all that is in it included."""
        total = Area()
        for cell in self.modules[module or self.top]["cells"].values():
            if self.is_library(cell["type"]):
                total.add(cell["type"])
            else:
                total += self.area(cell["type"])
        return total

    def area_by_instance(self, module: str | None = None, prefix: str = "") -> dict[str, Area]:
        """Return what every instance takes, those within it included, by its path of names; the top's is empty."""
        module = module or self.top
        areas = {prefix: self.area(module)}
        for name, cell in self.modules[module]["cells"].items():
            if not self.is_library(cell["type"]):
                areas |= self.area_by_instance(cell["type"], f"{prefix}.{name}" if prefix else name)
        return areas

    def longest_path(self) -> LogicPath:
        """Return the longest chain of LUTs, wide multiplexers and carries of four bits between what is clocked."""
        driver: dict[int, str] = {}  # of each net bit: a combinational cell, or the name of what starts a path
        inputs: dict[str, list[int]] = {}
        for name, cell in self.cells.items():
            outputs = [port for port, way in cell["port_directions"].items() if way == "output"]
            driver |= {
                bit: name for port in outputs for bit in cell["connections"].get(port, ()) if isinstance(bit, int)
            }
            if cell["type"] in COMBINATIONAL_TYPES:
                inputs[name] = [
                    bit
                    for port, bits in cell["connections"].items() if port not in outputs
                    for bit in bits if isinstance(bit, int)
                ]  # fmt: skip
        depth, before = self._depths(driver, inputs)
        last = max(depth, key=depth.__getitem__, default="")
        start = last
        while before.get(start):
            start = before[start]
        loads = [
            name
            for name, cell in self.cells.items() if cell["type"] not in COMBINATIONAL_TYPES
            for port, bits in cell["connections"].items() if cell["port_directions"][port] == "input"
            for bit in bits if driver.get(bit) == last
        ]  # fmt: skip
        return LogicPath(depth.get(last, 0), self._output_name(start), self._output_name(loads[0] if loads else last))

    @staticmethod
    def _depths(driver: dict[int, str], inputs: dict[str, list[int]]) -> tuple[dict[str, int], dict[str, str]]:
        """Return the depth of every combinational cell and the cell before it on its longest path."""
        depth: dict[str, int] = {}
        before: dict[str, str] = {}
        for root in inputs:
            todo = [root]
            while todo:
                name = todo[-1]
                feeders = {driver[bit] for bit in inputs[name] if bit in driver}
                waiting = [feeder for feeder in feeders if feeder in inputs and feeder not in depth]
                if waiting and name not in depth:
                    todo += waiting
                    continue
                todo.pop()
                deepest = max(feeders, key=lambda feeder: (depth.get(feeder, 0), feeder), default="")
                depth[name] = 1 + depth.get(deepest, 0)
                before[name] = deepest
        return depth, before

    @cached_property
    def _names(self) -> dict[int, str]:
        names: dict[int, str] = {}
        for name, net in self.modules[self.top]["netnames"].items():
            for index, bit in enumerate(net["bits"]):
                text = f"{name}[{index}]" if len(net["bits"]) > 1 else name
                if bit not in names or names[bit].startswith("$") or (len(text) < len(names[bit]) and text[0] != "$"):
                    names[bit] = text
        return names

    def _output_name(self, cell_name: str) -> str:
        """Return the name of what a cell drives, which says more than the name that yosys gave the cell."""
        cell = self.cells.get(cell_name)
        if cell is None or cell["type"].startswith(("RAMB", "PS7")):
            return cell_name
        outputs = [port for port, way in cell["port_directions"].items() if way == "output"]
        bits = [bit for port in outputs for bit in cell["connections"].get(port, ()) if isinstance(bit, int)]
        return self._names.get(bits[0], cell_name) if bits else cell_name
