"""Compares a bitstream, read back bit by bit, with the netlist that nextpnr-xilinx placed, cell by cell.

What the bits say comes from the database of the assembler alone; what they should say is worked out here from the
placed netlist and from the netlist of yosys, not taken from nextpnr's FASM. Compared are

* every look-up table: all 64 bits, and that each of its pins carries the net that yosys connected to the input that it
  serves;
* every flip-flop: initial value, set or reset, and for its slice whether the reset is synchronous, the clock inverted,
  and clock enable and reset connected;
* every carry: where its inputs come from;
* every block RAM: widths, write modes, output registers, inverted pins, and its whole content;
* every input of every cell: the routing, followed back, must end at the output that drives its net, and nowhere else;
* and that nothing else is configured: no table, flip-flop or block RAM without a cell.
"""

from __future__ import annotations

import importlib.util
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from overlays.flow import tools
from overlays.flow.connections import LETTERS, Fabric, Features, Tracer
from overlays.flow.netlist import Netlist

BRAM_PINS = (
    "CLKARDCLK", "CLKBWRCLK", "ENARDEN", "ENBWREN", "RSTRAMARSTRAM", "RSTRAMB", "RSTREGARSTREG", "RSTREGB",
)  # fmt: skip
MISMATCHES_NAMED = 20


def load_assembler(path: Path) -> ModuleType:
    """Import the assembler, which is a program outside of this project."""
    spec = importlib.util.spec_from_file_location("bits7", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Decoded:
    """What the bits of a bitstream say.

    Attributes
    ----------
    features : dict
        Features that are set, for each tile and each site (or routed wire) in it.
    sites : dict
        Of each slice and block RAM the tile and the name there.
    fixed : callable
        Connections that a type of tile always has.
    resting : callable
        Connections that a type of tile has while no bit says otherwise.
    """

    features: Features
    sites: dict[str, tuple[str, str]]
    fixed: Callable[[str], set[str]]
    resting: Callable[[str], set[str]]


def decode(bitstream: Path, work: Path) -> Decoded:
    """Read a bitstream back."""
    assembler, database = tools.require(tools.ASSEMBLER, tools.SEGMENT_DATABASE)
    bits7 = load_assembler(assembler)
    db = bits7.Database(str(tools.unpacked(database, work)))
    db._key = lambda feature: (feature, 0)  # keep the index of a vector's bit in its name
    _, pairs, _ = bits7.decode(db, str(bitstream))
    features: Features = defaultdict(set)
    for tile, feature in pairs:
        site, _, rest = feature.partition(".")
        features[tile, site].add(rest)

    def resting(tile_type: str) -> set[str]:
        return {feature for (feature, _), bits in db.segbits(tile_type).items() if not any(bit[-1] for bit in bits)}

    return Decoded(features, dict(site_names(db.grid)), db.pseudo_pips, resting)


def site_names(grid: dict[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each site's own name with its tile and the name that features of that tile use for it."""
    for tile, content in grid.items():
        for site, kind in content.get("sites", {}).items():
            if kind in ("SLICEL", "SLICEM"):
                yield site, (tile, f"{kind}_X{int(site[7 : site.index('Y')]) % 2}")
            elif site.startswith("RAMB18"):
                yield site, (tile, f"RAMB18_Y{int(site.rpartition('Y')[2]) % 2}")
            elif site.startswith("RAMB36"):
                yield site, (tile, "")


@dataclass
class Placed:
    """The netlist as nextpnr wrote it: cells by place, and names of nets."""

    cells: dict[str, dict[str, Any]]
    net_names: dict[int, set[str]]
    by_place: dict[tuple[str, str], str] = field(default_factory=dict)  # (site, element): name of the cell

    @classmethod
    def read(cls, path: Path) -> Placed:
        """Read the file that nextpnr wrote."""
        module = json.loads(path.read_text())["modules"]["top"]
        names: dict[int, set[str]] = defaultdict(set)
        for name, net in module["netnames"].items():
            for bit in net["bits"]:
                names[bit].add(name)
        placed = cls(module["cells"], names)
        for name, cell in placed.cells.items():
            site, _, element = cell["attributes"].get("NEXTPNR_BEL", "").partition("/")
            placed.by_place[site, element] = name
        return placed

    def net(self, cell: dict[str, Any], port: str) -> int | None:
        """Return the number of the net at a port, None where there is none."""
        bits = cell["connections"].get(port, [])
        return bits[0] if bits else None

    def constant_nets(self) -> tuple[int | None, int | None]:
        """Return the numbers of the nets that are 0 and 1."""
        by_name = {name: net for net, names in self.net_names.items() for name in names}
        return by_name.get("$PACKER_GND_NET"), by_name.get("$PACKER_VCC_NET")

    def is_constant(self, net: int | None, value: int) -> bool:
        """Whether a net is the constant 0 or 1."""
        return net is not None and ("$PACKER_VCC_NET" if value else "$PACKER_GND_NET") in self.net_names[net]


class Comparison:
    """Counts what was compared, and keeps what differs."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        self.differences: list[str] = []

    def equal(self, kind: str, what: str, found: object, wanted: object) -> None:
        """Compare one thing."""
        self.counts[kind] += 1
        if found != wanted:
            self.differences.append(f"{what}: {kind} is {found}, should be {wanted}")

    def report(self) -> dict[str, Any]:
        """Return counts and differences."""
        return {"compared": dict(sorted(self.counts.items())), "differences": len(self.differences)}


def vector(features: Iterable[str], name: str) -> int:
    """Return the number whose bits are the features `name`[index]."""
    prefix = name + "["
    return sum(1 << int(feature[len(prefix) : -1]) for feature in features if feature.startswith(prefix))


def binary(text: str | int) -> int:
    """Return a number from binary digits, unknown ones taken as 0, as the device powers up."""
    return int(str(text).replace("x", "0").replace("z", "0") or "0", 2)


def lut_table(placed: Placed, cell: dict[str, Any]) -> int:
    """Return the 64 bits of a table that computes the function of `cell` from its physical pins A1 to A6."""
    inputs = [cell["attributes"].get(f"X_ORIG_PORT_A{pin}", "").split() for pin in range(1, 7)]
    function = binary(cell["parameters"]["INIT"])
    table = 0
    for address in range(64):
        logical = 0
        for pin, names in enumerate(inputs):
            if address >> pin & 1:
                for name in names:
                    logical |= 1 << int(name[1:])
        table |= (function >> logical & 1) << address
    return table


def compare_luts(
    comparison: Comparison, placed: Placed, features: Features, sites: dict[str, tuple[str, str]]
) -> set[tuple[str, str, str]]:
    """Compare all tables; return the places of those that have a cell."""
    used = set()
    for (site, element), name in placed.by_place.items():
        if not element.endswith("6LUT") and not (
            element.endswith("5LUT") and (site, element[0] + "6LUT") not in placed.by_place
        ):
            continue
        letter = element[0]
        small = placed.by_place.get((site, letter + "5LUT"))
        large = placed.by_place.get((site, letter + "6LUT"))
        wanted = 0
        for half in (small, large):
            if half is None:
                continue
            cell = placed.cells[half]
            mask = (1 << 64) - 1
            if small and large:
                mask = 0xFFFFFFFF if half == small else 0xFFFFFFFF << 32
                comparison.equal(
                    "sixth pins of split tables at 1", half, placed.is_constant(placed.net(cell, "A6"), 1), True
                )
            wanted |= lut_table(placed, cell) & mask
            comparison.counts["LUT cells"] += 1
        here = features.get(sites[site], set())
        comparison.equal("tables of 64 bits", f"{site}/{letter} ({name})", vector(here, f"{letter}LUT.INIT"), wanted)
        used.add((*sites[site], letter))
    return used


def compare_lut_pins(comparison: Comparison, placed: Placed, netlist: Netlist) -> None:
    """Compare which net comes to which pin with what yosys connected, for every table that yosys named."""
    yosys_names: dict[int, set[str]] = defaultdict(set)
    for name, net in netlist.modules[netlist.top]["netnames"].items():
        for index, bit in enumerate(net["bits"]):
            yosys_names[bit].add(f"{name}[{index + net.get('offset', 0)}]" if len(net["bits"]) > 1 else name)
    for name, cell in placed.cells.items():
        original = netlist.cells.get(name)
        if cell["type"] != "SLICE_LUTX" or original is None or not original["type"].startswith("LUT"):
            continue
        comparison.equal(
            "functions against yosys", name, binary(cell["parameters"]["INIT"]), binary(original["parameters"]["INIT"])
        )
        for pin in range(1, 7):
            for port in cell["attributes"].get(f"X_ORIG_PORT_A{pin}", "").split():
                bit = original["connections"][port][0]
                net = placed.net(cell, f"A{pin}")
                same = (
                    placed.is_constant(net, int(bit)) if bit in ("0", "1")
                    else net is not None and bool(placed.net_names[net] & yosys_names[bit])
                )  # fmt: skip
                comparison.equal("table pins with yosys's net", f"{name}.{port}", same, True)


def compare_flip_flops(
    comparison: Comparison, placed: Placed, features: Features, sites: dict[str, tuple[str, str]]
) -> set[tuple[str, str, str]]:
    """Compare all flip-flops and the slices that they are in; return their places."""
    used = set()
    for (site, element), name in placed.by_place.items():
        cell = placed.cells[name]
        if cell["type"] != "SLICE_FFX":
            continue
        here = features.get(sites[site], set())
        kind = cell["attributes"]["X_ORIG_TYPE"]
        init = binary(cell["parameters"].get("INIT", "0"))
        comparison.equal("flip-flops: initial value", name, f"{element}.ZINI" not in here, bool(init))
        comparison.equal("flip-flops: set or reset", name, f"{element}.ZRST" not in here, kind in ("FDSE", "FDPE"))
        comparison.equal("flip-flops: synchronous", name, "FFSYNC" in here, kind in ("FDRE", "FDSE"))
        comparison.equal("flip-flops: latch", name, "LATCH" in here, False)
        inverted = binary(cell["parameters"].get("IS_CLK_INVERTED", cell["parameters"].get("IS_C_INVERTED", "0")))
        comparison.equal("flip-flops: clock inverted", name, "CLKINV" in here, bool(inverted))
        reset, enable = placed.net(cell, "SR"), placed.net(cell, "CE")
        has_reset = reset is not None and not placed.is_constant(reset, 0)
        has_enable = enable is not None and not placed.is_constant(enable, 1)
        comparison.equal("flip-flops: reset connected", name, "SRUSEDMUX" in here, has_reset)
        comparison.equal("flip-flops: enable connected", name, "CEUSEDMUX" in here, has_enable)
        used.add((*sites[site], element))
    return used


def compare_carries(
    comparison: Comparison, placed: Placed, features: Features, sites: dict[str, tuple[str, str]]
) -> None:
    """Compare where each carry takes its inputs from: the table beside it, or the pin of the slice."""
    for (site, _), name in placed.by_place.items():
        cell = placed.cells[name]
        if cell["type"] != "CARRY4":
            continue
        here = features.get(sites[site], set())
        for index, letter in enumerate(LETTERS):
            table = placed.by_place.get((site, letter + "5LUT"))
            data = placed.net(cell, f"DI{index}")
            from_table = table is not None and data is not None and placed.net(placed.cells[table], "O5") == data
            comparison.equal(
                "carries: data from the table", f"{name} {letter}", f"CARRY4.{letter}CY0" in here, from_table
            )
        chained = placed.net(cell, "CIN") is not None
        comparison.equal("carries: chained", name, "PRECYINIT.CIN" in here, chained)


def compare_block_rams(
    comparison: Comparison, placed: Placed, features: Features, sites: dict[str, tuple[str, str]]
) -> set[tuple[str, str]]:
    """Compare settings and content of all block RAMs; return the places of the halves that have a cell."""
    used = set()
    for (site, _), name in placed.by_place.items():
        cell = placed.cells[name]
        if not cell["type"].startswith("RAMB"):
            continue
        tile, half_name = sites[site]
        for half in (half_name,) if half_name else ("RAMB18_Y0", "RAMB18_Y1"):
            here = features.get((tile, half), set())
            used.add((tile, half))
            found = {feature for feature in here if not feature.startswith(("INIT_", "INITP_", "ZINIT", "ZSRVAL"))}
            wanted = block_ram_settings(cell["parameters"], 1 if half_name else 2)
            comparison.equal("block RAM halves: settings", f"{name} {half}", sorted(found), sorted(wanted))
            for port in "AB":
                zeros = vector(here, f"ZSRVAL_{port}")
                comparison.equal("block RAM halves: value after reset is 0", f"{name} {half}", zeros, (1 << 18) - 1)
            for prefix, rows in (("INIT", 64), ("INITP", 8)):
                for row in range(rows):
                    content = vector(here, f"{prefix}_{row:02X}")
                    row_wanted = block_ram_row(cell["parameters"], prefix, row, half if not half_name else "")
                    comparison.equal(
                        "block RAM rows of 256 bits", f"{name} {half} {prefix}_{row:02X}", content, row_wanted
                    )
    return used


def block_ram_settings(parameters: dict[str, str], halves: int) -> set[str]:
    """Return the features that one half of a block RAM must have; its ports are a half as wide where there are two."""
    wanted = {"IN_USE"}
    for port in ("READ_WIDTH_A", "READ_WIDTH_B", "WRITE_WIDTH_A", "WRITE_WIDTH_B"):
        width = binary(parameters.get(port, "0")) // halves
        if width > 1:
            wanted.add(f"{port}_{width}")
    for register in ("DOA_REG", "DOB_REG"):
        if binary(parameters.get(register, "0")):
            wanted.add(register)
    for pin in BRAM_PINS:
        if not binary(parameters.get(f"IS_{pin}_INVERTED", "0")):
            wanted.add(f"ZINV_{pin}")
    for mode in ("WRITE_MODE_A", "WRITE_MODE_B"):
        if parameters.get(mode, "WRITE_FIRST") != "WRITE_FIRST":
            wanted.add(f"{mode}_{parameters[mode]}")
    return wanted


def block_ram_row(parameters: dict[str, str], prefix: str, row: int, half: str) -> int:
    """Return row `row` of the content of a half; even bits of a RAMB36 lie in its lower half, odd ones in the upper."""
    if not half:
        return binary(parameters.get(f"{prefix}_{row:02X}", "0"))
    value = 0
    for part in range(2):
        both = binary(parameters.get(f"{prefix}_{2 * row + part:02X}", "0"))
        for bit in range(128):
            value |= (both >> (2 * bit + int(half[-1])) & 1) << (128 * part + bit)
    return value


def compare_empty_places(
    comparison: Comparison,
    features: Features,
    luts: set[tuple[str, str, str]],
    flip_flops: set[tuple[str, str, str]],
    block_rams: set[tuple[str, str]],
) -> None:
    """Look for configured tables, flip-flops and block RAMs without a cell."""
    for (tile, site), here in features.items():
        if site.startswith("SLICE"):
            tables = {feature[0] for feature in here if feature[1:].startswith("LUT.INIT[")}
            registers = {feature.partition(".")[0] for feature in here if feature.endswith((".ZINI", ".ZRST"))}
            for letter in tables:
                comparison.equal(
                    "tables with content have a cell", f"{tile} {site} {letter}", (tile, site, letter) in luts, True
                )
            for element in registers:
                found = (tile, site, element) in flip_flops
                comparison.equal("configured flip-flops have a cell", f"{tile} {site} {element}", found, True)
        elif site.startswith("RAMB18") and "IN_USE" in here:
            comparison.equal("block RAM halves in use have a cell", f"{tile} {site}", (tile, site) in block_rams, True)


def compare_cells(placed: Placed, features: Features, sites: dict[str, tuple[str, str]]) -> Comparison:
    """Compare all cells with what the features say of their places, and look at the places without a cell."""
    comparison = Comparison()
    luts = compare_luts(comparison, placed, features, sites)
    flip_flops = compare_flip_flops(comparison, placed, features, sites)
    compare_carries(comparison, placed, features, sites)
    block_rams = compare_block_rams(comparison, placed, features, sites)
    compare_empty_places(comparison, features, luts, flip_flops, block_rams)
    return comparison


def compare_connections(comparison: Comparison, placed: Placed, decoded: Decoded) -> None:
    """Follow the routing back from every input of every cell."""
    (graph,) = tools.require(tools.ROUTING_GRAPH)
    fabric = Fabric(graph, decoded.features, decoded.fixed, decoded.resting)
    tracer = Tracer(placed.cells, placed.by_place, decoded.features, decoded.sites, fabric, placed.constant_nets())
    for name, port, found, wanted in tracer.inputs():
        comparison.equal("cell inputs reached by their net", f"{name}.{port}", found, wanted)


def compare(bitstream: Path, placed_file: Path, netlist: Netlist, work: Path) -> dict[str, Any]:
    """Compare a bitstream with the placed netlist.

    Returns
    -------
    dict
        How many things of each kind were compared.

    Raises
    ------
    ToolError
        Something differs; the message names the first differences.
    """
    decoded = decode(bitstream, work)
    placed = Placed.read(placed_file)
    comparison = compare_cells(placed, decoded.features, decoded.sites)
    compare_lut_pins(comparison, placed, netlist)
    compare_connections(comparison, placed, decoded)
    if comparison.differences:
        named = "\n  ".join(comparison.differences[:MISMATCHES_NAMED])
        raise tools.ToolError(f"{len(comparison.differences)} differences between bitstream and netlist:\n  {named}")
    return comparison.report()
