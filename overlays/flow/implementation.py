"""Place and route with nextpnr-xilinx, and the bitstream from what it wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from overlays.flow import tools
from overlays.flow.netlist import Netlist

SEED = 1
TARGET_MHZ = 100.0  # what placer and router strive for; the clock is chosen afterwards
PLL_MHZ = 1000.0  # the IO PLL of a PYNQ-Z2, from which FCLK0 is divided by a whole number
# The tool knows no setup times of block RAMs and the PS7 and takes 0.1 ns for a flip-flop's: half of its Fmax is used.
SAFETY_FACTOR = 2.0
ALLOWED_BRAM_WIDTHS = {"RAMB18E1": (0, 18), "RAMB36E1": (0, 18, 36)}  # twice as wide is the simple dual port mode


@dataclass(frozen=True)
class Implementation:
    """What came out of place and route.

    Attributes
    ----------
    fasm, placed : Path
        The features to configure; the netlist with its places.
    fmax_mhz : float
        The highest clock by the tool's own estimate.
    used : dict
        Used and available places of each kind.
    """

    fasm: Path
    placed: Path
    fmax_mhz: float
    used: dict[str, tuple[int, int]]


def check_design_rules(netlist: Netlist) -> None:
    """Refuse cells that nextpnr-xilinx is known to configure wrongly.

    Raises
    ------
    ToolError
        A cell breaks a rule; the message names it.
    """
    forbidden = re.compile(r"SRL|RAM(?!B)|DSP48|LD[CP]E|CFGLUT")
    for name, cell in netlist.cells.items():
        if forbidden.match(cell["type"]):
            raise tools.ToolError(f"cell {name} is a {cell['type']}, which this flow does not use: change the RTL")
        if cell["type"] in ALLOWED_BRAM_WIDTHS:
            allowed = ALLOWED_BRAM_WIDTHS[cell["type"]]
            for port in ("READ_WIDTH_A", "READ_WIDTH_B", "WRITE_WIDTH_A", "WRITE_WIDTH_B"):
                width = int(cell["parameters"].get(port, "0"), 2)
                if width not in allowed:
                    raise tools.ToolError(
                        f"{cell['type']} {name} has {port} = {width}; only {allowed} are safe: "
                        "change the shape of the memory in the RTL"
                    )


def place_and_route(netlist: Path, work: Path, seed: int = SEED, target_mhz: float = TARGET_MHZ) -> Implementation:
    """Run nextpnr-xilinx on the netlist of yosys; all that it writes goes to `work`."""
    nextpnr, database = tools.require(tools.NEXTPNR, tools.CHIP_DATABASE)
    chip = tools.unpacked(database, work)
    fasm, placed = work / "overlay.fasm", work / "placed.json"
    log = tools.run(
        [
            nextpnr, "--chipdb", chip, "--json", netlist, "--write", placed, "--fasm", fasm, "--seed", str(seed),
            "--freq", str(target_mhz), "--timing-allow-fail", "--sdf", work / "delays.sdf",
        ],
        work / "nextpnr.log",
    )  # fmt: skip
    return Implementation(fasm, placed, read_fmax(log), read_utilisation(log))


def read_fmax(log: str) -> float:
    """Return the last, after routing, of the frequencies that nextpnr estimates for the slowest clock."""
    found = re.findall(r"Max frequency for clock\s+'([^']+)': ([\d.]+) MHz", log)
    if not found:
        raise tools.ToolError("nextpnr-xilinx reported no clock frequency: look at nextpnr.log")
    return min({clock: float(mhz) for clock, mhz in found}.values())


def read_utilisation(log: str) -> dict[str, tuple[int, int]]:
    """Return used and available places by kind, from the table in nextpnr's log."""
    rows = re.findall(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", log, flags=re.M)
    return {kind: (int(used), int(available)) for kind, used, available in rows if int(used)}


def choose_clock(fmax_mhz: float) -> float:
    """Return the fastest FCLK0 that a whole divider of the PLL gives within the safety factor."""
    divider = 1
    while PLL_MHZ / divider > fmax_mhz / SAFETY_FACTOR:
        divider += 1
    return PLL_MHZ / divider


def assemble(fasm: Path, bitstream: Path, work: Path) -> None:
    """Write the bitstream of the features in `fasm`."""
    assembler, database = tools.require(tools.ASSEMBLER, tools.SEGMENT_DATABASE)
    tools.run([assembler, "assemble", fasm, bitstream, "--db", tools.unpacked(database, work)], work / "assemble.log")


def check_bitstream(bitstream: Path, work: Path) -> dict[str, int]:
    """Decode a bitstream and follow its routing.

    Returns
    -------
    dict
        Counts: bits set, features, unexplained bits, routing arcs, nodes with several drivers, undriven sources.

    Raises
    ------
    ToolError
        A bit is unexplained, or a node has several drivers or none.
    """
    assembler, database, graph = tools.require(tools.ASSEMBLER, tools.SEGMENT_DATABASE, tools.ROUTING_GRAPH)
    said = tools.run(
        [assembler, "route", bitstream, "--db", tools.unpacked(database, work), "--graph", graph], work / "route.log"
    )
    bits = re.search(r"(\d+) bits set, (\d+) features, (\d+) bits unexplained", said)
    arcs = re.search(r"(\d+) routing arcs, (\d+) nodes with several drivers, (\d+) undriven sources", said)
    if not bits or not arcs:
        raise tools.ToolError(f"{assembler.name} did not say what was expected: {said}")
    names = ("bits_set", "features", "unexplained_bits", "routing_arcs", "multiply_driven_nodes", "undriven_sources")
    counts = dict(zip(names, map(int, (*bits.groups(), *arcs.groups())), strict=True))
    if counts["unexplained_bits"] or counts["multiply_driven_nodes"] or counts["undriven_sources"]:
        raise tools.ToolError(f"the bitstream is not sound: {counts}")
    return counts
