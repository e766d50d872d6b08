"""Follows the routing of a bitstream from every input of every cell back to what drives it.

Together with `overlays.flow.readback`, which compares what cells are set to, this compares the whole netlist with the
bits: each input of each placed cell must be reached from the output that drives its net, through the arcs and the
multiplexers inside of slices that the bitstream configures, and from nothing else.
"""

from __future__ import annotations

import lzma
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LETTERS = "ABCD"
Node = int | tuple[int, int]
Features = dict[tuple[str, str], set[str]]  # of a tile, and a site or a routed wire in it
ONE, ZERO = "constant 1", "constant 0"
CLOCK_BUFFER = "BUFHCE"
INPUT_PIN, OUTPUT_PIN = 2, 4
# A global buffer without a cell carries what comes to one of its inputs while the two pins behind it are at 1.
PASSING = {
    frozenset({"IN_USE", "IS_IGNORE1_INVERTED", "ZINV_CE0", "ZINV_S0"}): ("I0", "CE0", "S0"),
    frozenset({"IN_USE", "IS_IGNORE0_INVERTED", "ZINV_CE1", "ZINV_S1"}): ("I1", "CE1", "S1"),
}
GLOBAL_BUFFERS_PER_TILE = 16
# The lower half of a block RAM has the pins of a FIFO in the graph.
FIFO_PINS = {
    "RDCLK": "CLKARDCLK", "WRCLK": "CLKBWRCLK", "RDEN": "ENARDEN", "WREN": "ENBWREN", "REGCE": "REGCEAREGCE",
    "RDRCLK": "REGCLKARDRCLK", "RST": "RSTRAMARSTRAM", "RSTREG": "RSTREGARSTREG",
    **{f"DO{index}": f"DO{'AB'[index // 16]}DO{index % 16}" for index in range(32)},
    **{f"DOP{index}": f"DOP{'AB'[index // 2]}DOP{index % 2}" for index in range(4)},
}  # fmt: skip
# The pin of a slice that selects each wide multiplexer, and the tables and multiplexers that it selects from (0, 1).
SELECTS = {"F7AMUX": "AX", "F7BMUX": "CX", "F8MUX": "BX"}
WIDE_OUTPUT = {("A", "F7"): "F7AMUX", ("C", "F7"): "F7BMUX", ("B", "F8"): "F8MUX"}


@dataclass(frozen=True)
class Arc:
    """The source of a programmable or fixed connection."""

    tile: int
    wire: str


class Fabric:
    """Wires of the device and the connections that a bitstream makes between them.

    Parameters
    ----------
    graph_file : Path
        Routing nodes of the device.
    features : dict
        What the bitstream sets: for (tile, destination wire) the source wires, among others.
    fixed : callable
        Connections that a type of tile always has, as "destination.source".
    resting : callable
        Connections that a type of tile has while none of the destination's bits is set.
    """

    def __init__(
        self, graph_file: Path, features: Features, fixed: Callable[[str], set[str]],
        resting: Callable[[str], set[str]],
    ) -> None:  # fmt: skip
        with lzma.open(graph_file) as packed:
            graph = pickle.load(packed)
        self._tiles, self._wires = graph["tiles"], graph["wires"]
        self._wire_ids = [{wire[0]: index for index, wire in enumerate(wires)} for wires in self._wires]
        self._nodes: dict[int, int] = {}
        count = 0
        for segment, anchors in graph["segs"]:
            for anchor in anchors:
                for wire, offset in segment:
                    self._nodes[anchor + offset << 16 | wire] = count
                count += 1
        self._drivers = self._find_drivers(features)
        self._fixed = self._find_fixed(graph["tt"], fixed)
        self._resting = self._find_fixed(graph["tt"], resting)
        self._outputs: dict[Node, list[tuple[str, str]]] = defaultdict(list)  # several: a RAMB36 lies over two RAMB18
        self.pins: dict[tuple[str, str], Node] = {}
        self._tile_of: dict[str, str] = {}
        for site, site_type, tile, _, pin_map in graph["sites"]:
            self._tile_of[site] = self._tiles[tile][3]
            kind, pins = graph["sitetypes"][site_type][:2]
            for index, (name, way) in enumerate(pins):
                pin = FIFO_PINS.get(name, name) if kind == "FIFO18E1" else name
                wire = graph["pinmaps"][pin_map][index]
                if wire == 65535:
                    continue
                node = self._node(tile, wire)
                self.pins[site, pin] = node
                if way == OUTPUT_PIN:
                    self._outputs[node].append((site, pin))

    def _node(self, tile: int, wire: int) -> Node:
        return self._nodes.get(tile << 16 | wire, (tile, wire))

    def _find_drivers(self, features: Features) -> dict[Node, list[Arc]]:
        tile_ids = {tile[3]: index for index, tile in enumerate(self._tiles)}
        drivers: dict[Node, list[Arc]] = defaultdict(list)
        for (tile_name, target), sources in features.items():
            tile = tile_ids[tile_name]
            wires = self._wire_ids[self._tiles[tile][0]]
            if target in wires:
                drivers[self._node(tile, wires[target])] += [Arc(tile, source) for source in sources if source in wires]
        return drivers

    def _find_fixed(self, types: list[str], fixed: Callable[[str], set[str]]) -> dict[Node, list[Arc]]:
        by_type = []
        for index, name in enumerate(types):
            pairs = [feature.split(".") for feature in fixed(name)]
            wires = self._wire_ids[index]
            by_type.append([pair for pair in pairs if len(pair) == 2 and pair[0] in wires and pair[1] in wires])
        arcs: dict[Node, list[Arc]] = defaultdict(list)
        for tile, content in enumerate(self._tiles):
            for target, source in by_type[content[0]]:
                arcs[self._node(tile, self._wire_ids[content[0]][target])].append(Arc(tile, source))
        return arcs

    def sources(self, site: str, pin: str) -> set[tuple[str, str] | str]:
        """Return all that drives an input pin: output pins, constants; empty where nothing does.

        One output may have several names, since a RAMB36 lies over two RAMB18.
        """
        found: set[tuple[str, str] | str] = set()
        todo, seen = [self.pins[site, pin]], set()
        while todo:
            node = todo.pop()
            if node in seen:
                continue
            seen.add(node)
            for output_site, output in self._outputs.get(node, ()):
                if output_site.startswith(CLOCK_BUFFER):  # no cell: it only passes a clock on into a region
                    todo.append(self.pins[output_site, "I"])
                else:
                    found.add((output_site, output))
            if node in self._outputs:
                continue
            for arc in self._drivers.get(node) or self._fixed.get(node) or self._resting.get(node, []):
                if "VCC_WIRE" in arc.wire or "GND_WIRE" in arc.wire:
                    found.add(ONE if "VCC" in arc.wire else ZERO)
                    continue
                todo.append(self._node(arc.tile, self._wire_ids[self._tiles[arc.tile][0]][arc.wire]))
        return found

    def tile_of(self, site: str) -> str:
        """Return the name of the tile that a site lies in."""
        return self._tile_of[site]


class Tracer:
    """Knows which net of the placed netlist each pin and each multiplexer of a slice carries.

    Parameters
    ----------
    cells : dict
        The placed cells; `connections` of each name the net at each port.
    by_place : dict
        Names of cells by site and element.
    features, sites
        What the bitstream sets, and where each site's features are.
    constants : tuple
        The nets that are 0 and 1, None where there is none.
    """

    def __init__(
        self, cells: dict[str, dict[str, Any]], by_place: dict[tuple[str, str], str], features: Features,
        sites: dict[str, tuple[str, str]], fabric: Fabric, constants: tuple[int | None, int | None],
    ) -> None:  # fmt: skip
        self._cells, self._by_place, self._features, self._sites = cells, by_place, features, sites
        self._fabric = fabric
        self._constants = dict(zip((ZERO, ONE), constants, strict=True))
        self._names_at: dict[str, list[str]] = defaultdict(list)
        for (site, _), name in by_place.items():
            self._names_at[site].append(name)

    def _port(self, site: str, element: str, port: str) -> int | None:
        name = self._by_place.get((site, element))
        bits = self._cells[name]["connections"].get(port, []) if name else []
        return bits[0] if bits else None

    def _chosen(self, site: str, multiplexer: str) -> str | None:
        here = self._features.get(self._sites[site], set())
        choices = [feature.partition(".")[2] for feature in here if feature.startswith(multiplexer + ".")]
        return choices[0] if len(choices) == 1 else None

    def _inside(self, site: str, letter: str, choice: str | None) -> int | None:
        """Return the net at an input of an output or flip-flop multiplexer."""
        index = LETTERS.index(letter)
        if choice in ("O6", "O5"):
            return self._port(site, f"{letter}{choice[1]}LUT", choice)
        if choice == "XOR":
            return self._port(site, "CARRY4", f"O{index}")
        if choice == "CY":
            return self._port(site, "CARRY4", f"CO{index}")
        if choice == f"{letter}5Q":
            return self._port(site, f"{letter}5FF", "Q")
        if choice in ("F7", "F8"):
            return self._port(site, WIDE_OUTPUT[letter, choice], "OUT")
        if choice == f"{letter}X":
            return self.at_pin(site, choice)
        return None

    def _output(self, site: str, pin: str) -> int | None:
        """Return the net that an output pin of a site carries."""
        if site.startswith("BUFGCTRL") and site not in self._names_at:
            return self._passed_on(site)
        if not site.startswith("SLICE"):
            bits = [self._cells[name]["connections"].get(pin, []) for name in self._names_at.get(site, ())]
            return next((each[0] for each in bits if each), None)
        if pin in LETTERS:
            has_cell = (site, f"{pin}6LUT") in self._by_place
            return self._port(site, f"{pin}6LUT", "O6") if has_cell else self._ground(site, pin)
        if pin == "COUT":
            return self._port(site, "CARRY4", "CO3")
        letter, kind = pin[0], pin[1:]
        if kind == "Q":
            return self._port(site, f"{letter}FF", "Q")
        return self._inside(site, letter, self._chosen(site, f"{letter}OUTMUX"))

    def _ground(self, site: str, letter: str) -> int | None:
        """Return the constant 0, which a table without a cell and without a bit gives."""
        here = self._features.get(self._sites[site], set())
        return None if any(feature.startswith(f"{letter}LUT.INIT") for feature in here) else self._constants[ZERO]

    def _passed_on(self, site: str) -> int | None:
        """Return the net that a global buffer without a cell passes on; None where it does not."""
        local = f"BUFGCTRL_X0Y{int(site.rpartition('Y')[2]) % GLOBAL_BUFFERS_PER_TILE}."
        features = self._features.get((self._fabric.tile_of(site), "BUFGCTRL"), set())
        settings = frozenset(feature.removeprefix(local) for feature in features if feature.startswith(local))
        if settings not in PASSING:
            return None
        data, *controls = PASSING[settings]
        # an input that nothing drives is 1
        if any(self._fabric.sources(site, control) - {ONE} for control in controls):
            return None
        return self.at_pin(site, data)

    def at_pin(self, site: str, pin: str) -> int | None:
        """Return the net that reaches an input pin; None where none does, or more than one."""
        sources = self._fabric.sources(site, pin)
        nets = {self._constants[one] if isinstance(one, str) else self._output(*one) for one in sources} - {None}
        return nets.pop() if len(nets) == 1 else None

    def inputs(self) -> Iterator[tuple[str, str, int | None, int | None]]:
        """Yield cell, port, the net that reaches it in the bitstream and the net that should."""
        for (site, element), name in self._by_place.items():
            cell = self._cells[name]
            kind = cell["type"]
            for port, way in cell["port_directions"].items():
                bits = cell["connections"].get(port, [])
                if way != "input" or not bits:
                    continue
                if kind == "SLICE_LUTX":
                    found = self.at_pin(site, element[0] + port[1])
                elif kind == "SLICE_FFX":
                    found = self._flip_flop_input(site, element, port)
                elif kind == "CARRY4":
                    found = self._carry_input(site, port)
                elif kind == "SELMUX2_1":
                    found = self._wide_input(site, element, port)
                elif (site, port) in self._fabric.pins:
                    found = self.at_pin(site, port)
                else:
                    continue
                yield name, port, found, bits[0]

    def _flip_flop_input(self, site: str, element: str, port: str) -> int | None:
        if port == "CK":
            return self.at_pin(site, "CLK")
        here = self._features.get(self._sites[site], set())
        if port == "CE":
            return self.at_pin(site, "CE") if "CEUSEDMUX" in here else self._constants[ONE]
        if port == "SR":
            return self.at_pin(site, "SR") if "SRUSEDMUX" in here else self._constants[ZERO]
        letter = element[0]
        choice = self._chosen(site, f"{element}MUX")
        if element[1] == "5":
            choice = {"IN_A": "O5", "IN_B": f"{letter}X"}.get(choice or "")
        return self._inside(site, letter, choice)

    def _carry_input(self, site: str, port: str) -> int | None:
        here = self._features.get(self._sites[site], set())
        if port == "CIN":
            return self.at_pin(site, "CIN")
        if port == "CYINIT":
            choice = self._chosen(site, "PRECYINIT")
            if choice in ("C0", "C1"):
                return self._constants[ONE if choice == "C1" else ZERO]
            return self.at_pin(site, "AX") if choice == "AX" else None
        letter = LETTERS[int(port[-1])]
        if port.startswith("S"):
            return self._port(site, f"{letter}6LUT", "O6")
        return self._inside(site, letter, "O5" if f"CARRY4.{letter}CY0" in here else f"{letter}X")

    def _wide_input(self, site: str, element: str, port: str) -> int | None:
        if port == "S0":
            return self.at_pin(site, SELECTS[element])
        if element == "F8MUX":
            return self._port(site, "F7AMUX" if port == "1" else "F7BMUX", "OUT")
        first, second = ("A", "B") if element == "F7AMUX" else ("C", "D")
        return self._port(site, f"{first if port == '1' else second}6LUT", "O6")
